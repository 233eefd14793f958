//! GObject and GStreamer glue of `hapmotion`.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::base_transform::BaseTransformMode;
use gst_base::subclass::prelude::*;

use super::detector::{Change, Detector, Settings};
use super::picture;
use super::zones::Zones;

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "hapmotion",
        gst::DebugColorFlags::empty(),
        Some("HomeKit motion detection"),
    )
});

const DEFAULT_MAX_FPS: f64 = 5.0;

/// Part of the interval by which a picture may be early.
const EARLY: f64 = 0.1;

/// Instance data.
#[derive(Debug, Default)]
pub struct HapMotion {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    settings: Settings,
    active: bool,
    max_fps: f64,
    detector: Detector,
    info: Option<gst_video::VideoInfo>,
    /// Running time from which on the next picture is looked at.
    next: Duration,
    /// Of the last picture.
    now: Duration,
}

impl Default for State {
    fn default() -> Self {
        let settings = Settings::default();
        Self {
            detector: Detector::new(settings.clone()),
            settings,
            active: true,
            max_fps: DEFAULT_MAX_FPS,
            info: None,
            next: Duration::ZERO,
            now: Duration::ZERO,
        }
    }
}

impl State {
    /// Whether the picture of this time is to be looked at.
    fn is_due(&mut self, now: Duration) -> bool {
        let interval = Duration::from_secs_f64(1.0 / self.max_fps);
        let slack = interval.mul_f64(EARLY);
        // Far ahead: the time stepped back.
        let stepped_back = self.next > now + 2 * interval;
        if now + slack < self.next && !stepped_back {
            return false;
        }
        let late = now > self.next + interval || stepped_back;
        self.next = if late { now } else { self.next } + interval;
        true
    }
}

#[glib::object_subclass]
impl ObjectSubclass for HapMotion {
    const NAME: &'static str = "GstHapMotion";
    type Type = super::HapMotion;
    type ParentType = gst_base::BaseTransform;
}

impl ObjectImpl for HapMotion {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(properties);
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let mut state = self.state();
        match pspec.name() {
            "active" => state.active = value.get().unwrap_or(true),
            "max-fps" => state.max_fps = value.get().unwrap_or(DEFAULT_MAX_FPS),
            "sensitivity" => state.settings.sensitivity = value.get().unwrap_or_default(),
            "min-area" => state.settings.min_area = value.get().unwrap_or_default(),
            "hold-time" => {
                let ms = value.get::<u32>().unwrap_or_default();
                state.settings.hold = Duration::from_millis(ms.into());
            }
            "zones" => self.set_zones(&mut state, value),
            _ => unreachable!("GObject passes on known properties only"),
        }
        let settings = state.settings.clone();
        state.detector.set(settings);
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let state = self.state();
        match pspec.name() {
            "active" => state.active.to_value(),
            "max-fps" => state.max_fps.to_value(),
            "sensitivity" => state.settings.sensitivity.to_value(),
            "min-area" => state.settings.min_area.to_value(),
            "hold-time" => (state.settings.hold.as_millis() as u32).to_value(),
            "zones" => state.settings.zones.to_string().to_value(),
            "motion" => state.detector.motion().to_value(),
            _ => unreachable!("GObject asks for readable properties only"),
        }
    }
}

fn properties() -> Vec<glib::ParamSpec> {
    let defaults = Settings::default();
    vec![
        glib::ParamSpecBoolean::builder("active")
            .nick("Active")
            .blurb("Whether motion is looked for; while it is not, pictures pass and there is none")
            .default_value(true)
            .mutable_playing()
            .build(),
        glib::ParamSpecDouble::builder("max-fps")
            .nick("Maximum frame rate")
            .blurb("Most pictures that are looked at per second; the others pass")
            .minimum(0.1)
            .maximum(60.0)
            .default_value(DEFAULT_MAX_FPS)
            .mutable_playing()
            .build(),
        glib::ParamSpecDouble::builder("sensitivity")
            .nick("Sensitivity")
            .blurb("From 0 (large objects of high contrast) to 1 (small and faint ones)")
            .minimum(0.0)
            .maximum(1.0)
            .default_value(defaults.sensitivity)
            .mutable_playing()
            .build(),
        glib::ParamSpecDouble::builder("min-area")
            .nick("Minimum area")
            .blurb("Least share of the picture that an object covers; 0 = by the sensitivity")
            .minimum(0.0)
            .maximum(1.0)
            .mutable_playing()
            .build(),
        glib::ParamSpecUInt::builder("hold-time")
            .nick("Hold time")
            .blurb("How long motion stays on after it was last seen, in milliseconds")
            .maximum(600_000)
            .default_value(defaults.hold.as_millis() as u32)
            .mutable_playing()
            .build(),
        glib::ParamSpecString::builder("zones")
            .nick("Zones")
            .blurb(
                "Polygons in which motion counts, as x,y of each corner from 0 to 1, from the top left: \
                 \"0,0 0.5,0 0.5,1; ...\", \":\" being as good as a space; empty = everywhere. What is no polygon \
                 is refused with a warning",
            )
            .default_value(Some(""))
            .mutable_playing()
            .build(),
        glib::ParamSpecBoolean::builder("motion")
            .nick("Motion")
            .blurb("Whether something moves, or did within the hold time")
            .read_only()
            .build(),
    ]
}

impl GstObjectImpl for HapMotion {}

impl ElementImpl for HapMotion {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "HomeKit motion detection",
                "Filter/Analyzer/Video",
                "Posts a message when something moves in the picture, and when it no longer does",
                "The gst-plugin-homekit authors",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let caps = gst_video::VideoCapsBuilder::new()
                .format_list(picture::FORMATS)
                .build();
            let template = |name, direction| {
                gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &caps)
                    .expect("direction, presence and caps are valid")
            };
            vec![
                template("sink", gst::PadDirection::Sink),
                template("src", gst::PadDirection::Src),
            ]
        });
        &TEMPLATES
    }
}

impl BaseTransformImpl for HapMotion {
    const MODE: BaseTransformMode = BaseTransformMode::AlwaysInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = true;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = true;

    fn set_caps(&self, incaps: &gst::Caps, _outcaps: &gst::Caps) -> Result<(), gst::LoggableError> {
        let info = gst_video::VideoInfo::from_caps(incaps)
            .map_err(|_| gst::loggable_error!(CAT, "no caps of raw video: {incaps}"))?;
        self.state().info = Some(info);
        Ok(())
    }

    fn transform_ip_passthrough(
        &self,
        buffer: &gst::Buffer,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        if let Some(now) = self.running_time(buffer) {
            self.picture(buffer, now);
        }
        Ok(gst::FlowSuccess::Ok)
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        let mut state = self.state();
        let (change, now) = (state.detector.stop(), state.now);
        state.detector.forget();
        (state.info, state.next) = (None, Duration::ZERO);
        drop(state);
        self.tell(change, now);
        Ok(())
    }
}

impl HapMotion {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_zones(&self, state: &mut State, value: &glib::Value) {
        let text: Option<String> = value.get().unwrap_or_default();
        match Zones::parse(text.as_deref().unwrap_or_default()) {
            Ok(zones) => state.settings.zones = zones,
            Err(error) => gst::warning!(CAT, imp = self, "zones stay as they were: {error}"),
        }
    }

    /// Pictures without a time are never looked at.
    fn running_time(&self, buffer: &gst::Buffer) -> Option<Duration> {
        let segment = self.obj().segment().downcast::<gst::ClockTime>().ok()?;
        let time = segment.to_running_time(buffer.pts()?)?;
        Some(Duration::from_nanos(time.nseconds()))
    }

    fn picture(&self, buffer: &gst::BufferRef, now: Duration) {
        let mut state = self.state();
        state.now = now;
        let change = match (state.active, state.is_due(now)) {
            (false, _) => state.detector.stop(),
            (true, false) => state.detector.tick(now),
            (true, true) => self.look(&mut state, buffer, now),
        };
        drop(state);
        self.tell(change, now);
    }

    fn look(&self, state: &mut State, buffer: &gst::BufferRef, now: Duration) -> Option<Change> {
        let info = state.info.as_ref()?;
        let Ok(frame) = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, info) else {
            gst::warning!(CAT, imp = self, "a picture that cannot be read");
            return None;
        };
        let luma = picture::luma(&frame)?;
        state.detector.look(&luma, now)
    }

    fn tell(&self, change: Option<Change>, now: Duration) {
        let Some(Change { motion, score }) = change else {
            return;
        };
        gst::info!(CAT, imp = self, "motion: {motion}, score {score:.4}");
        let structure = gst::Structure::builder("hapmotion")
            .field("motion", motion)
            .field("score", score)
            .field("timestamp", now.as_nanos() as u64)
            .build();
        let obj = self.obj();
        let message = gst::message::Element::builder(structure).src(&*obj);
        // Without a bus nobody wants to know.
        let _ = obj.post_message(message.build());
        obj.notify("motion");
    }
}
