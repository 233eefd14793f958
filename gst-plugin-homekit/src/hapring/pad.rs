//! A reader: a source pad with a thread of its own.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;

use super::queue::{Filler, Item, Waiting};
use crate::ring::{Backlog, Frame, Join, Ring, Subscription};

glib::wrapper! {
    /// Source pad of [`HapRing`](super::HapRing).
    pub struct HapRingPad(ObjectSubclass<imp::HapRingPad>) @extends gst::Pad, gst::Object;
}

/// When to look again whether the next element has started.
const RETRY: Duration = Duration::from_millis(10);

pub(super) const DEFAULT_MAX_FRAMES: u32 = 200;
pub(super) const DEFAULT_MAX_BYTES: u32 = 16 << 20;

impl HapRingPad {
    pub(super) fn set_start_offset(&self, milliseconds: u32) {
        self.imp()
            .start_offset
            .store(milliseconds, Ordering::Relaxed);
    }

    pub(super) fn set_fast_forward(&self, fast_forward: bool) {
        self.imp()
            .fast_forward
            .store(fast_forward, Ordering::Relaxed);
    }

    /// Frames it was too slow for.
    pub(super) fn dropped(&self) -> u64 {
        self.imp().dropped.load(Ordering::Relaxed)
    }

    /// Begins to read, in a thread of its own, unless it does.
    pub(super) fn start(&self, ring: &Arc<Ring>) -> Result<(), glib::BoolError> {
        let waiting = Waiting::default();
        {
            let mut reading = self.imp().reading();
            if reading.is_some() {
                return Ok(());
            }
            *reading = Some(Reading {
                waiting: waiting.clone(),
                _subscription: self.imp().subscribe(ring, &waiting),
            });
        }
        let (pad, mut caps) = (self.downgrade(), None);
        self.start_task(move || {
            let Some(pad) = pad.upgrade() else { return };
            let goes_on = match waiting.next() {
                Some(Item::Frame(frame)) => pad.deliver(&frame, &mut caps, &waiting),
                Some(Item::Eos) => pad.push_event(gst::event::Eos::new()),
                None => false,
            };
            if !goes_on {
                // What follows an error is an end, as from any source.
                let _ = pad.pause_task();
            }
        })
    }

    /// Ends the reading; waits for what is being pushed.
    pub(super) fn stop(&self) -> Result<(), glib::BoolError> {
        let reading = self.imp().reading().take();
        if let Some(reading) = &reading {
            reading.waiting.close();
        }
        drop(reading);
        self.stop_task()
    }

    /// The source has ended.
    pub(super) fn end(&self) {
        if let Some(reading) = &*self.imp().reading() {
            reading.waiting.end();
        }
    }

    fn deliver(&self, frame: &Frame, caps: &mut Option<gst::Caps>, waiting: &Waiting) -> bool {
        if caps.as_ref() != Some(&frame.caps) {
            self.announce(&frame.caps, caps.is_none());
            *caps = Some(frame.caps.clone());
        }
        loop {
            match self.push(frame.buffer.clone()) {
                Ok(_) | Err(gst::FlowError::NotLinked) => return true,
                // What was linked first and started later.
                Err(gst::FlowError::Flushing) if waiting.goes_on_after(RETRY) => {}
                Err(gst::FlowError::Flushing | gst::FlowError::Eos) => return false,
                Err(error) => {
                    self.tell(error);
                    return false;
                }
            }
        }
    }

    fn announce(&self, caps: &gst::Caps, first: bool) {
        if first {
            let id = match self.parent_element() {
                Some(parent) => self.create_stream_id(&parent, Some(self.name().as_str())),
                None => self.name(),
            };
            let start = gst::event::StreamStart::builder(&id).group_id(gst::GroupId::next());
            self.push_event(start.build());
        }
        self.push_event(gst::event::Caps::new(caps));
        if first {
            let segment = gst::FormattedSegment::<gst::ClockTime>::new();
            self.push_event(gst::event::Segment::new(&segment));
        }
    }

    fn tell(&self, error: gst::FlowError) {
        if let Some(element) = self.parent_element() {
            gst::element_error!(
                element,
                gst::StreamError::Failed,
                ("reader {} failed: {error}", self.name())
            );
        }
        self.push_event(gst::event::Eos::new());
    }
}

struct Reading {
    waiting: Waiting,
    _subscription: Subscription,
}

mod imp {
    use super::*;

    pub struct HapRingPad {
        pub(super) start_offset: AtomicU32,
        pub(super) fast_forward: AtomicBool,
        max_frames: AtomicU32,
        max_bytes: AtomicU32,
        pub(super) dropped: Arc<AtomicU64>,
        reading: Mutex<Option<Reading>>,
    }

    impl Default for HapRingPad {
        fn default() -> Self {
            Self {
                start_offset: AtomicU32::new(0),
                fast_forward: AtomicBool::new(true),
                max_frames: AtomicU32::new(DEFAULT_MAX_FRAMES),
                max_bytes: AtomicU32::new(DEFAULT_MAX_BYTES),
                dropped: Arc::default(),
                reading: Mutex::default(),
            }
        }
    }

    #[glib::object_subclass]
    impl ObjectSubclass for HapRingPad {
        const NAME: &'static str = "GstHapRingPad";
        type Type = super::HapRingPad;
        type ParentType = gst::Pad;
    }

    impl ObjectImpl for HapRingPad {
        fn properties() -> &'static [glib::ParamSpec] {
            static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
                vec![
                    glib::ParamSpecUInt::builder("start-offset")
                        .nick("Start offset")
                        .blurb("Begin this many ms back, 0 = with the newest key frame; before PAUSED")
                        .build(),
                    glib::ParamSpecBoolean::builder("fast-forward")
                        .nick("Fast forward")
                        .blurb("Show what lies between the newest key frame and the present in fast motion")
                        .default_value(true)
                        .build(),
                    glib::ParamSpecUInt::builder("max-frames")
                        .nick("Most frames")
                        .blurb("Frames that may wait before the reader counts as too slow")
                        .minimum(1)
                        .default_value(DEFAULT_MAX_FRAMES)
                        .build(),
                    glib::ParamSpecUInt::builder("max-bytes")
                        .nick("Most bytes")
                        .blurb("Bytes that may wait before the reader counts as too slow")
                        .minimum(1)
                        .default_value(DEFAULT_MAX_BYTES)
                        .build(),
                    glib::ParamSpecUInt64::builder("dropped")
                        .nick("Dropped")
                        .blurb("Frames the reader was too slow for")
                        .read_only()
                        .build(),
                ]
            });
            &PROPERTIES
        }

        fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
            let number = || value.get::<u32>().unwrap_or_default();
            match pspec.name() {
                "start-offset" => self.start_offset.store(number(), Ordering::Relaxed),
                "max-frames" => self.max_frames.store(number(), Ordering::Relaxed),
                "max-bytes" => self.max_bytes.store(number(), Ordering::Relaxed),
                _ => {
                    let fast_forward = value.get().unwrap_or_default();
                    self.fast_forward.store(fast_forward, Ordering::Relaxed);
                }
            }
        }

        fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
            match pspec.name() {
                "start-offset" => self.start_offset.load(Ordering::Relaxed).to_value(),
                "max-frames" => self.max_frames.load(Ordering::Relaxed).to_value(),
                "max-bytes" => self.max_bytes.load(Ordering::Relaxed).to_value(),
                "dropped" => self.dropped.load(Ordering::Relaxed).to_value(),
                _ => self.fast_forward.load(Ordering::Relaxed).to_value(),
            }
        }
    }

    impl GstObjectImpl for HapRingPad {}
    impl PadImpl for HapRingPad {}

    impl HapRingPad {
        pub(super) fn reading(&self) -> MutexGuard<'_, Option<Reading>> {
            self.reading.lock().unwrap_or_else(PoisonError::into_inner)
        }

        pub(super) fn subscribe(&self, ring: &Arc<Ring>, waiting: &Waiting) -> Subscription {
            let join = match self.start_offset.load(Ordering::Relaxed) {
                0 => Join::Group,
                ms => Join::Back(gst::ClockTime::from_mseconds(ms.into())),
            };
            let filler = Filler {
                waiting: waiting.clone(),
                fast_forward: join == Join::Group && self.fast_forward.load(Ordering::Relaxed),
            };
            let limit = Backlog {
                frames: self.max_frames.load(Ordering::Relaxed).into(),
                bytes: self.max_bytes.load(Ordering::Relaxed).into(),
            };
            ring.subscribe(filler, join, limit, &self.dropped)
        }
    }
}
