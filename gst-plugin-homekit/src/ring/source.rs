//! From a ring into a pipeline, without a thread in between.

use std::sync::{LazyLock, Mutex, PoisonError};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;

use super::frame::{Flow, Frame};

glib::wrapper! {
    /// An element whose pad pushes in the thread of whoever calls [`Source::push`].
    ///
    /// For pipelines that never block, such as one that ends in [`hapsrtpsink`](crate::hapsrtpsink) without `sync`: a
    /// viewer then costs no thread and no wakeup. The frames' times are running times of the pipeline.
    pub struct Source(ObjectSubclass<imp::Source>) @extends gst::Element, gst::Object;
}

impl Source {
    /// Makes one.
    pub fn new(name: &str) -> Self {
        glib::Object::builder().property("name", name).build()
    }

    /// Pushes a frame. [`Flow::End`] when the pipeline does not run, or takes no more; what went wrong is told on its bus.
    pub fn push(&self, frame: &Frame) -> Flow {
        self.imp().push(frame)
    }
}

mod imp {
    use super::*;

    pub struct Source {
        pad: gst::Pad,
        caps: Mutex<Option<gst::Caps>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Source {
        const NAME: &'static str = "GstHapRingSource";
        type Type = super::Source;
        type ParentType = gst::Element;

        fn with_class(class: &Self::Class) -> Self {
            let template = class.pad_template("src").expect("it is a template of ours");
            let pad = gst::Pad::builder_from_template(&template)
                .query_function(|pad, parent, query| match query.view_mut() {
                    gst::QueryViewMut::Latency(latency) => {
                        latency.set(true, gst::ClockTime::ZERO, gst::ClockTime::NONE);
                        true
                    }
                    _ => gst::Pad::query_default(pad, parent, query),
                })
                .build();
            Self {
                pad,
                caps: Mutex::default(),
            }
        }
    }

    impl ObjectImpl for Source {
        fn constructed(&self) {
            self.parent_constructed();
            let obj = self.obj();
            obj.set_element_flags(gst::ElementFlags::SOURCE);
            obj.add_pad(&self.pad)
                .expect("a new element has no pad of this name");
        }
    }

    impl GstObjectImpl for Source {}

    impl ElementImpl for Source {
        fn pad_templates() -> &'static [gst::PadTemplate] {
            static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
                let source = gst::PadTemplate::new(
                    "src",
                    gst::PadDirection::Src,
                    gst::PadPresence::Always,
                    &gst::Caps::new_any(),
                );
                vec![source.expect("direction, presence and caps are valid")]
            });
            &TEMPLATES
        }

        fn change_state(
            &self,
            transition: gst::StateChange,
        ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
            let success = self.parent_change_state(transition)?;
            Ok(match transition {
                gst::StateChange::ReadyToPaused | gst::StateChange::PlayingToPaused => {
                    gst::StateChangeSuccess::NoPreroll
                }
                gst::StateChange::PausedToReady => {
                    *self.caps() = None;
                    success
                }
                _ => success,
            })
        }
    }

    impl Source {
        pub(super) fn push(&self, frame: &Frame) -> Flow {
            if !self.announce(&frame.caps) {
                return Flow::End;
            }
            match self.pad.push(frame.buffer.clone()) {
                Ok(_) => Flow::Go,
                Err(gst::FlowError::Flushing | gst::FlowError::Eos) => Flow::End,
                Err(error) => {
                    gst::element_imp_error!(
                        self,
                        gst::StreamError::Failed,
                        ("the stream cannot be sent: {error}")
                    );
                    Flow::End
                }
            }
        }

        /// Says what comes, at first and when it changes.
        fn announce(&self, caps: &gst::Caps) -> bool {
            let mut known = self.caps();
            if known.as_ref() == Some(caps) {
                return true;
            }
            let first = known.is_none();
            let start = || {
                let id = self.pad.create_stream_id(&*self.obj(), None::<&str>);
                let group = gst::GroupId::next();
                let start = gst::event::StreamStart::builder(&id).group_id(group);
                self.pad.push_event(start.build())
            };
            let begun = !first || start();
            if !begun {
                return false;
            }
            if !self.pad.push_event(gst::event::Caps::new(caps)) {
                self.refused(caps);
                return false;
            }
            if first {
                let segment = gst::FormattedSegment::<gst::ClockTime>::new();
                self.pad.push_event(gst::event::Segment::new(&segment));
            }
            *known = Some(caps.clone());
            true
        }

        /// Caps are refused by an element that cannot take them, and by one that is being shut down.
        fn refused(&self, caps: &gst::Caps) {
            if !self.pad.pad_flags().contains(gst::PadFlags::FLUSHING) {
                let name = caps.structure(0).map_or("nothing", |s| s.name().as_str());
                gst::element_imp_error!(
                    self,
                    gst::CoreError::Negotiation,
                    ("a stream of {name} cannot be sent")
                );
            }
        }

        fn caps(&self) -> std::sync::MutexGuard<'_, Option<gst::Caps>> {
            self.caps.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::frame;
    use super::*;

    #[test]
    fn frames_come_out_in_the_thread_that_pushes_them() {
        gst::init().unwrap();
        let pipeline = gst::Pipeline::new();
        let source = Source::new("in");
        let sink = gst_app::AppSink::builder()
            .sync(false)
            .async_(false)
            .build();
        let pushing = std::thread::current().id();
        let callbacks = gst_app::AppSinkCallbacks::builder().new_sample(move |sink| {
            let _sample = sink.pull_sample().unwrap();
            assert_eq!(std::thread::current().id(), pushing);
            Ok(gst::FlowSuccess::Ok)
        });
        sink.set_callbacks(callbacks.build());
        pipeline
            .add_many([source.upcast_ref::<gst::Element>(), sink.upcast_ref()])
            .unwrap();
        source.link(&sink).unwrap();
        assert_eq!(source.push(&frame(1, true)), Flow::End, "nothing runs yet");
        pipeline.set_state(gst::State::Playing).unwrap();
        assert_eq!(source.push(&frame(2, true)), Flow::Go);
        let mut other = frame(3, true);
        other.caps = gst::Caps::builder("video/x-h265").build();
        assert_eq!(source.push(&other), Flow::Go);
        assert_eq!(
            sink.static_pad("sink").unwrap().current_caps(),
            Some(other.caps)
        );
        pipeline.set_state(gst::State::Null).unwrap();
        assert_eq!(source.push(&frame(4, true)), Flow::End);
    }

    #[test]
    fn what_a_sink_refuses_is_told_on_the_bus() {
        gst::init().unwrap();
        let pipeline = gst::Pipeline::new();
        let source = Source::new("in");
        let only = gst::Caps::builder("audio/x-opus").build();
        let sink = gst_app::AppSink::builder()
            .caps(&only)
            .async_(false)
            .build();
        pipeline
            .add_many([source.upcast_ref::<gst::Element>(), sink.upcast_ref()])
            .unwrap();
        source.link(&sink).unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        assert_eq!(source.push(&frame(1, true)), Flow::End);
        let wanted = [gst::MessageType::Error];
        let error = pipeline
            .bus()
            .unwrap()
            .timed_pop_filtered(gst::ClockTime::SECOND, &wanted);
        assert!(error.is_some());
        pipeline.set_state(gst::State::Null).unwrap();
    }
}
