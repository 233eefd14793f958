//! The element around the ring: pads, events, queries.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;

use super::pad::HapRingPad;
use crate::ring::{Continuity, Frame, Limits, Ring};

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "hapring",
        gst::DebugColorFlags::empty(),
        Some("Ring of the newest groups of pictures"),
    )
});

pub struct HapRing {
    sink: gst::Pad,
    settings: Mutex<Settings>,
    state: Mutex<State>,
    next_pad: AtomicU32,
}

#[derive(Clone, Copy, Debug)]
struct Settings {
    limits: Limits,
    start_offset: u32,
    fast_forward: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::LIVE,
            start_offset: 0,
            fast_forward: true,
        }
    }
}

/// What belongs to the stream that comes in.
struct State {
    ring: Arc<Ring>,
    caps: Option<gst::Caps>,
    segment: gst::FormattedSegment<gst::ClockTime>,
    continuity: Continuity,
    /// Whether times can be compared with the clock's; asked at the first buffer.
    live: Option<bool>,
}

impl State {
    fn new(limits: Limits) -> Self {
        Self {
            ring: Ring::new(limits),
            caps: None,
            segment: gst::FormattedSegment::new(),
            continuity: Continuity::of_any_order(),
            live: None,
        }
    }
}

#[glib::object_subclass]
impl ObjectSubclass for HapRing {
    const NAME: &'static str = "GstHapRing";
    type Type = super::HapRing;
    type ParentType = gst::Element;
    type Interfaces = (gst::ChildProxy,);

    fn with_class(class: &Self::Class) -> Self {
        let template = class
            .pad_template("sink")
            .expect("it is a template of ours");
        let sink = gst::Pad::builder_from_template(&template)
            .chain_function(|pad, parent, buffer| {
                let chain = |this: &Self| this.chain(pad, buffer);
                Self::catch_panic_pad_function(parent, || Err(gst::FlowError::Error), chain)
            })
            .event_function(|pad, parent, event| {
                let handle = |this: &Self| this.sink_event(pad, event);
                Self::catch_panic_pad_function(parent, || false, handle)
            })
            .query_function(|pad, parent, query| {
                let answer = |this: &Self| this.sink_query(pad, query);
                Self::catch_panic_pad_function(parent, || false, answer)
            })
            .build();
        Self {
            sink,
            settings: Mutex::default(),
            state: Mutex::new(State::new(Limits::LIVE)),
            next_pad: AtomicU32::new(0),
        }
    }
}

impl ObjectImpl for HapRing {
    fn constructed(&self) {
        self.parent_constructed();
        self.obj()
            .add_pad(&self.sink)
            .expect("a new element has no pad of this name");
    }

    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            let limits = Limits::LIVE;
            vec![
                number("history", "History", "Keep as many ms of the past as readers go back; 0 = the newest group of pictures only")
                    .default_value(limits.history.mseconds() as u32)
                    .build(),
                number("max-group", "Longest group", "Of a group of pictures of more ms only the key frame is kept")
                    .minimum(1)
                    .default_value(limits.group.mseconds() as u32)
                    .build(),
                number("max-bytes", "Most bytes", "Bound of the memory")
                    .minimum(1)
                    .default_value(limits.bytes as u32)
                    .build(),
                number("start-offset", "Start offset", "Where new readers begin, in ms back; 0 = with the newest key frame")
                    .build(),
                glib::ParamSpecBoolean::builder("fast-forward")
                    .nick("Fast forward")
                    .blurb("New readers see what lies between the newest key frame and the present in fast motion")
                    .default_value(true)
                    .build(),
                glib::ParamSpecBoxed::builder::<gst::Structure>("stats")
                    .nick("Statistics")
                    .blurb("What is held, and by whom it is read")
                    .read_only()
                    .build(),
            ]
        });
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let mut settings = lock(&self.settings);
        let number = || value.get::<u32>().unwrap_or_default();
        let time = || gst::ClockTime::from_mseconds(number().into());
        match pspec.name() {
            "history" => settings.limits.history = time(),
            "max-group" => settings.limits.group = time(),
            "max-bytes" => settings.limits.bytes = number() as usize,
            "start-offset" => settings.start_offset = number(),
            _ => settings.fast_forward = value.get().unwrap_or_default(),
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let settings = *lock(&self.settings);
        match pspec.name() {
            "history" => (settings.limits.history.mseconds() as u32).to_value(),
            "max-group" => (settings.limits.group.mseconds() as u32).to_value(),
            "max-bytes" => (settings.limits.bytes as u32).to_value(),
            "start-offset" => settings.start_offset.to_value(),
            "stats" => self.stats().to_value(),
            _ => settings.fast_forward.to_value(),
        }
    }
}

fn number<'a>(name: &'a str, nick: &'a str, blurb: &'a str) -> glib::ParamSpecUIntBuilder<'a> {
    glib::ParamSpecUInt::builder(name).nick(nick).blurb(blurb)
}

impl GstObjectImpl for HapRing {}

impl ChildProxyImpl for HapRing {
    fn child_by_index(&self, index: u32) -> Option<glib::Object> {
        let pads = self.obj().src_pads();
        pads.get(index as usize).map(|pad| pad.clone().upcast())
    }

    fn child_by_name(&self, name: &str) -> Option<glib::Object> {
        self.obj().static_pad(name).map(|pad| pad.upcast())
    }

    fn children_count(&self) -> u32 {
        self.obj().num_src_pads().into()
    }
}

impl ElementImpl for HapRing {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "HomeKit ring",
                "Generic",
                "Keeps the newest groups of pictures in memory for readers that come and go",
                "The gst-plugin-homekit authors",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let caps = gst::Caps::new_any();
            let sink = gst::PadTemplate::new(
                "sink",
                gst::PadDirection::Sink,
                gst::PadPresence::Always,
                &caps,
            );
            let src = gst::PadTemplate::with_gtype(
                "src_%u",
                gst::PadDirection::Src,
                gst::PadPresence::Request,
                &caps,
                HapRingPad::static_type(),
            );
            [sink, src]
                .map(|template| template.expect("direction, presence and caps are valid"))
                .into()
        });
        &TEMPLATES
    }

    fn request_new_pad(
        &self,
        template: &gst::PadTemplate,
        name: Option<&str>,
        _caps: Option<&gst::Caps>,
    ) -> Option<gst::Pad> {
        let number = self.next_pad.fetch_add(1, Ordering::Relaxed);
        let name = name.map_or_else(|| format!("src_{number}"), str::to_owned);
        let pad = gst::PadBuilder::<HapRingPad>::from_template(template)
            .name(name)
            .activatemode_function(|pad, parent, mode, active| {
                let failed = || Err(gst::loggable_error!(CAT, "panicked"));
                let activate = |this: &Self| this.activate(pad, mode, active);
                Self::catch_panic_pad_function(parent, failed, activate)
            })
            .event_function(|_, parent, event| {
                let handle = |this: &Self| this.src_event(event);
                Self::catch_panic_pad_function(parent, || false, handle)
            })
            .query_function(|pad, parent, query| {
                let answer = |this: &Self| this.src_query(pad, query);
                Self::catch_panic_pad_function(parent, || false, answer)
            })
            .build();
        let settings = *lock(&self.settings);
        pad.set_start_offset(settings.start_offset);
        pad.set_fast_forward(settings.fast_forward);
        let ring = self.obj().downgrade();
        pad.connect_linked(move |pad, _| {
            let started = match ring.upgrade().filter(|_| pad.is_active()) {
                Some(ring) => ring.imp().start(pad),
                None => Ok(()),
            };
            if let Err(error) = started {
                gst::error!(CAT, obj = pad, "{error}");
            }
        });
        self.obj().add_pad(&pad).ok()?;
        self.obj().child_added(&pad, &pad.name());
        Some(pad.upcast())
    }

    fn release_pad(&self, pad: &gst::Pad) {
        let _ = pad.set_active(false);
        if self.obj().remove_pad(pad).is_ok() {
            self.obj().child_removed(pad, &pad.name());
        }
    }

    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        if transition == gst::StateChange::ReadyToPaused {
            let limits = lock(&self.settings).limits;
            *self.state() = State::new(limits);
        }
        let success = self.parent_change_state(transition)?;
        if transition == gst::StateChange::PausedToReady {
            *self.state() = State::new(Limits::LIVE);
        }
        Ok(success)
    }
}

impl HapRing {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn readers(&self) -> impl Iterator<Item = HapRingPad> + use<> {
        let pads = self.obj().src_pads().into_iter();
        pads.filter_map(|pad| pad.downcast().ok())
    }

    fn activate(
        &self,
        pad: &HapRingPad,
        mode: gst::PadMode,
        active: bool,
    ) -> Result<(), gst::LoggableError> {
        if mode != gst::PadMode::Push {
            return Err(gst::loggable_error!(CAT, "a ring pushes"));
        }
        let done = match active {
            true if pad.is_linked() => self.start(pad),
            true => Ok(()),
            false => pad.stop(),
        };
        done.map_err(Into::into)
    }

    /// A reader's stream begins when there is somebody to read it.
    fn start(&self, pad: &HapRingPad) -> Result<(), glib::BoolError> {
        let ring = self.state().ring.clone();
        pad.start(&ring)
    }

    fn chain(
        &self,
        pad: &gst::Pad,
        buffer: gst::Buffer,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let live = self.state().live;
        let live = live.unwrap_or_else(|| upstream_is_live(pad));
        let now = live.then(|| self.obj().current_running_time()).flatten();
        let mut state = self.state();
        state.live = Some(live);
        let caps = state.caps.clone().ok_or(gst::FlowError::NotNegotiated)?;
        let Some(buffer) = state.stamped(buffer, now) else {
            return Ok(gst::FlowSuccess::Ok);
        };
        let ring = state.ring.clone();
        drop(state);
        let key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        ring.publish(Frame { buffer, caps, key });
        Ok(gst::FlowSuccess::Ok)
    }

    fn sink_event(&self, pad: &gst::Pad, event: gst::Event) -> bool {
        gst::log!(CAT, obj = pad, "{event:?}");
        match event.view() {
            gst::EventView::Caps(caps) => self.state().caps = Some(caps.caps_owned()),
            gst::EventView::Segment(segment) => {
                let Some(segment) = segment.segment().downcast_ref() else {
                    gst::error!(CAT, imp = self, "only segments of time are understood");
                    return false;
                };
                self.state().segment = segment.clone();
            }
            gst::EventView::FlushStop(_) => {
                let ring = self.state().ring.clone();
                ring.interrupt();
            }
            gst::EventView::Eos(_) => self.readers().for_each(|pad| pad.end()),
            _ => {}
        }
        // Readers make their own sticky events; the rest is between the source and us.
        true
    }

    fn sink_query(&self, pad: &gst::Pad, query: &mut gst::QueryRef) -> bool {
        match query.view_mut() {
            gst::QueryViewMut::Caps(caps) => {
                let possible = self.readers_caps(caps.filter());
                caps.set_result(&possible);
                true
            }
            _ => gst::Pad::query_default(pad, Some(&*self.obj()), query),
        }
    }

    /// What all linked readers take.
    fn readers_caps(&self, filter: Option<&gst::CapsRef>) -> gst::Caps {
        let filter = filter.map(ToOwned::to_owned);
        let any = filter.clone().unwrap_or_else(gst::Caps::new_any);
        let linked = self.readers().filter(|pad| pad.is_linked());
        linked.fold(any, |caps, pad| {
            caps.intersect(&pad.peer_query_caps(filter.as_ref()))
        })
    }

    fn src_event(&self, event: gst::Event) -> bool {
        match event.view() {
            // One reader's wishes for rate and position are not the others'.
            gst::EventView::Qos(_) => true,
            gst::EventView::Seek(_) => false,
            _ => self.sink.push_event(event),
        }
    }

    fn src_query(&self, pad: &HapRingPad, query: &mut gst::QueryRef) -> bool {
        match query.view_mut() {
            gst::QueryViewMut::Latency(_) | gst::QueryViewMut::Caps(_) => {
                self.sink.peer_query(query)
            }
            gst::QueryViewMut::Seeking(seeking) => {
                let format = seeking.format();
                seeking.set(
                    false,
                    gst::GenericFormattedValue::none_for_format(format),
                    gst::GenericFormattedValue::none_for_format(format),
                );
                true
            }
            _ => gst::Pad::query_default(pad, Some(&*self.obj()), query),
        }
    }

    fn stats(&self) -> gst::Structure {
        let (ring, jumps) = {
            let state = self.state();
            (state.ring.clone(), state.continuity.jumps())
        };
        let held = ring.held();
        gst::Structure::builder("hapring-stats")
            .field("frames", held.frames as u64)
            .field("bytes", held.bytes as u64)
            .field("time-ms", held.time.mseconds())
            .field("bitrate", ring.bitrate().unwrap_or(0))
            .field("jumps", jumps)
            .field("readers", ring.readers() as u32)
            .field(
                "dropped",
                self.readers().map(|pad| pad.dropped()).sum::<u64>(),
            )
            .build()
    }
}

impl State {
    /// The buffer with times that go on; `None` for one outside the segment.
    fn stamped(
        &mut self,
        mut buffer: gst::Buffer,
        now: Option<gst::ClockTime>,
    ) -> Option<gst::Buffer> {
        let running = |time: Option<gst::ClockTime>| self.segment.to_running_time(time?);
        let (pts, dts) = (running(buffer.pts()), running(buffer.dts()));
        let has_time = buffer.pts().or(buffer.dts()).is_some();
        let time = match dts.or(pts) {
            Some(time) => time,
            None if has_time => return None,
            None => now.unwrap_or_default(),
        };
        let followed = self.continuity.follow(time, now);
        let shift = followed.nseconds().wrapping_sub(time.nseconds()) as i64;
        let shifted = |time: gst::ClockTime| {
            let shifted = time.nseconds().saturating_add_signed(shift);
            gst::ClockTime::from_nseconds(shifted.min(gst::ClockTime::MAX.nseconds()))
        };
        let buffer_ref = buffer.make_mut();
        buffer_ref.set_pts(pts.map_or(followed, shifted));
        buffer_ref.set_dts(dts.map(shifted));
        Some(buffer)
    }
}

fn upstream_is_live(pad: &gst::Pad) -> bool {
    let mut query = gst::query::Latency::new();
    pad.peer_query(&mut query) && query.result().0
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
