//! GObject and GStreamer glue of `hksvmux`.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;

use super::access_unit::Codec;
use super::inner::{CAT, Inner};
use super::settings::{DEFAULT_AUDIO_WAIT, DEFAULT_FRAGMENT_DURATION, Settings};

/// Instance data.
#[derive(Debug)]
pub struct HksvMux {
    inner: Inner,
    src_pad: gst::GhostPad,
    settings: Mutex<Settings>,
}

#[glib::object_subclass]
impl ObjectSubclass for HksvMux {
    const NAME: &'static str = "GstHksvMux";
    type Type = super::HksvMux;
    type ParentType = gst::Bin;

    fn with_class(class: &Self::Class) -> Self {
        let template = class.pad_template("src");
        let template = template.expect("the template is registered");
        Self {
            inner: glib::Object::builder().property("name", "inner").build(),
            src_pad: gst::GhostPad::builder_from_template(&template).build(),
            settings: Mutex::default(),
        }
    }
}

impl ObjectImpl for HksvMux {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            vec![
                glib::ParamSpecUInt::builder("fragment-duration")
                    .nick("Fragment duration")
                    .blurb(
                        "Longest fragment in milliseconds; longer ones come only from streams whose \
                         key frames are further apart",
                    )
                    .minimum(100)
                    .maximum(60_000)
                    .default_value(DEFAULT_FRAGMENT_DURATION)
                    .mutable_ready()
                    .build(),
                glib::ParamSpecUInt::builder("audio-wait")
                    .nick("Audio wait")
                    .blurb(
                        "How long a fragment whose pictures are complete waits for its sound, in \
                         milliseconds of time on the wall; 0 = not at all",
                    )
                    .maximum(10_000)
                    .default_value(DEFAULT_AUDIO_WAIT)
                    .mutable_ready()
                    .build(),
                glib::ParamSpecUInt64::builder("start-time")
                    .nick("Start time")
                    .blurb(
                        "When the first key frame was taken, in nanoseconds since 1970, for the prft \
                         boxes; 0 = reference timestamps on the buffers, else the pipeline's clock",
                    )
                    .mutable_ready()
                    .build(),
                glib::ParamSpecBoxed::builder::<gst::Structure>("stats")
                    .nick("Statistics")
                    .blurb(
                        "fragments, bytes, longest-fragment (ms), key-requests, \
                         audio-frames-left-out and writing-time (microseconds), each a guint64",
                    )
                    .read_only()
                    .build(),
            ]
        });
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let mut settings = self.settings();
        match pspec.name() {
            "fragment-duration" => {
                settings.fragment_duration = value.get().unwrap_or(DEFAULT_FRAGMENT_DURATION);
            }
            "audio-wait" => settings.audio_wait = value.get().unwrap_or(DEFAULT_AUDIO_WAIT),
            "start-time" => settings.start_time = value.get().unwrap_or_default(),
            _ => unreachable!("GObject passes on known properties only"),
        }
        self.inner.imp().set_settings(*settings);
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let settings = *self.settings();
        match pspec.name() {
            "fragment-duration" => settings.fragment_duration.to_value(),
            "audio-wait" => settings.audio_wait.to_value(),
            "start-time" => settings.start_time.to_value(),
            "stats" => self.inner.imp().stats().to_value(),
            _ => unreachable!("GObject asks for readable properties only"),
        }
    }

    fn constructed(&self) {
        self.parent_constructed();
        let obj = self.obj();
        obj.add(&self.inner).expect("the bin is empty");
        let src = self.inner.static_pad("src");
        let target = self.src_pad.set_target(src.as_ref());
        target.expect("both pads are source pads");
        let added = obj.add_pad(&self.src_pad);
        added.expect("there is no other pad yet");
    }
}

impl GstObjectImpl for HksvMux {}

impl ElementImpl for HksvMux {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "HomeKit Secure Video muxer",
                "Codec/Muxer",
                "Makes the fragmented MP4 that a HomeKit hub records",
                "The gst-plugin-homekit authors",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let template = |name, direction, presence, caps: &gst::Caps| {
                gst::PadTemplate::new(name, direction, presence, caps)
                    .expect("direction, presence and caps are valid")
            };
            let request = gst::PadPresence::Request;
            let always = gst::PadPresence::Always;
            vec![
                template("video", gst::PadDirection::Sink, request, &video_caps()),
                template("audio", gst::PadDirection::Sink, request, &audio_caps()),
                template("src", gst::PadDirection::Src, always, &super::src_caps()),
            ]
        });
        &TEMPLATES
    }

    fn request_new_pad(
        &self,
        template: &gst::PadTemplate,
        _name: Option<&str>,
        _caps: Option<&gst::Caps>,
    ) -> Option<gst::Pad> {
        let name = template.name_template();
        if self.obj().static_pad(name).is_some() {
            gst::warning!(CAT, imp = self, "there is one pad {name} only");
            return None;
        }
        let target = match name {
            "video" => self.video_entrance(),
            _ => self.audio_entrance(),
        };
        match target.and_then(|target| self.expose(template, &target)) {
            Ok(pad) => Some(pad),
            Err(error) => {
                gst::error!(CAT, imp = self, "no pad {name}: {error}");
                None
            }
        }
    }

    fn release_pad(&self, pad: &gst::Pad) {
        let is_audio = pad.name() == "audio";
        let ghost = pad.downcast_ref::<gst::GhostPad>();
        let entrance = ghost.and_then(|ghost| ghost.target()?.parent_element());
        if let Err(error) = self.obj().remove_pad(pad) {
            gst::error!(CAT, imp = self, "cannot release the pad: {error}");
            return;
        }
        if let Some(entrance) = entrance {
            self.remove_chain(entrance);
        }
        if is_audio {
            self.inner.imp().expect_audio(false);
        }
    }
}

impl BinImpl for HksvMux {}

fn video_caps() -> gst::Caps {
    let h264 = gst::Structure::new_empty("video/x-h264");
    let h265 = gst::Structure::new_empty("video/x-h265");
    [h264, h265].into_iter().collect()
}

fn audio_caps() -> gst::Caps {
    gst::Caps::builder("audio/mpeg")
        .field("mpegversion", 4)
        .build()
}

impl HksvMux {
    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, factory: &str) -> Result<gst::Element, glib::BoolError> {
        let element = gst::ElementFactory::make(factory).build()?;
        self.obj().add(&element)?;
        element.sync_state_with_parent()?;
        Ok(element)
    }

    /// Which parser is needed shows with the caps; until then there is an entrance only.
    fn video_entrance(&self) -> Result<gst::Element, glib::BoolError> {
        let entrance = self.add("identity")?;
        entrance.set_property("silent", true);
        let weak = self.obj().downgrade();
        let pad = entrance.static_pad("sink");
        let pad = pad.ok_or_else(|| glib::bool_error!("identity without a sink pad"))?;
        pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |pad, info| {
            let caps = info
                .event()
                .filter(|event| event.type_() == gst::EventType::Caps);
            let parsed = match (weak.upgrade(), caps) {
                (Some(this), Some(event)) => this.imp().parse_video(pad, event),
                _ => Ok(()),
            };
            if let (Err(error), Some(this)) = (parsed, weak.upgrade()) {
                gst::element_error!(this, gst::CoreError::Negotiation, ["no parser: {error}"]);
            }
            gst::PadProbeReturn::Ok
        });
        Ok(entrance)
    }

    /// Puts the parser that the caps need behind the entrance.
    fn parse_video(&self, pad: &gst::Pad, event: &gst::EventRef) -> Result<(), glib::BoolError> {
        let gst::EventView::Caps(caps) = event.view() else {
            return Ok(());
        };
        let codec = caps.caps().structure(0).map(|it| it.name().as_str());
        let codec = codec.and_then(Codec::from_media_type);
        let codec =
            codec.ok_or_else(|| glib::bool_error!("{} is neither H.264 nor H.265", caps.caps()))?;
        let entrance = pad.parent_element();
        let entrance = entrance.ok_or_else(|| glib::bool_error!("the pad is gone"))?;
        match following(&entrance) {
            Some(parser) if is_made_by(&parser, codec.parser()) => return Ok(()),
            Some(parser) => self.remove_chain(parser),
            None => {}
        }
        let parser = self.add(codec.parser())?;
        parser.link_pads(Some("src"), &self.inner, Some("video"))?;
        entrance.link(&parser)
    }

    fn audio_entrance(&self) -> Result<gst::Element, glib::BoolError> {
        let parser = self.add("aacparse")?;
        parser.link_pads(Some("src"), &self.inner, Some("audio"))?;
        self.inner.imp().expect_audio(true);
        Ok(parser)
    }

    fn expose(
        &self,
        template: &gst::PadTemplate,
        entrance: &gst::Element,
    ) -> Result<gst::Pad, glib::BoolError> {
        let target = entrance.static_pad("sink");
        let target = target.ok_or_else(|| glib::bool_error!("no sink pad"))?;
        let pad = gst::GhostPad::builder_from_template_with_target(template, &target)?
            .name(template.name_template())
            .build();
        pad.set_active(true)?;
        self.obj().add_pad(&pad)?;
        Ok(pad.upcast())
    }

    /// Takes out an element and all behind it up to the inner one.
    fn remove_chain(&self, first: gst::Element) {
        let mut next = Some(first);
        while let Some(element) =
            next.filter(|element| element != self.inner.upcast_ref::<gst::Element>())
        {
            next = following(&element);
            let removed = self.obj().remove(&element);
            let stopped = element.set_state(gst::State::Null);
            if removed.is_err() || stopped.is_err() {
                gst::warning!(CAT, imp = self, "cannot take out {}", element.name());
            }
        }
    }
}

/// The element that is linked to an element's source pad.
fn following(element: &gst::Element) -> Option<gst::Element> {
    element.static_pad("src")?.peer()?.parent_element()
}

fn is_made_by(element: &gst::Element, factory: &str) -> bool {
    element
        .factory()
        .is_some_and(|made_by| made_by.name() == factory)
}
