//! GObject and GStreamer glue of `hapencctl`.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;

use super::chain;
use crate::encoder;

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "hapencctl",
        gst::DebugColorFlags::empty(),
        Some("HomeKit encoder control"),
    )
});

/// Instance data.
#[derive(Debug)]
pub struct HapEncCtl {
    sink_pad: gst::Pad,
    src_pad: gst::Pad,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    share: f64,
    /// The application's limit in bit/s; 0: what the encoder had before the first cap.
    max_bitrate: u32,
    before_caps: Option<u32>,
    /// The controller's cap.
    cap: Option<u32>,
    /// What the encoder was last set to.
    bitrate: u32,
}

const DEFAULT_SHARE: f64 = 0.85;

/// Highest index of a trade-off (RFC 5104 §4.3.2.1).
const MAX_INDEX: u32 = 31;

impl Default for State {
    fn default() -> Self {
        Self {
            share: DEFAULT_SHARE,
            max_bitrate: 0,
            before_caps: None,
            cap: None,
            bitrate: 0,
        }
    }
}

impl State {
    /// What the encoder may make.
    fn allowed(&self, cap: u32) -> u32 {
        let share = (f64::from(cap) * self.share) as u32;
        let limit = match self.max_bitrate {
            0 => self.before_caps.unwrap_or(u32::MAX),
            limit => limit,
        };
        share.min(limit).max(1)
    }
}

#[glib::object_subclass]
impl ObjectSubclass for HapEncCtl {
    const NAME: &'static str = "GstHapEncCtl";
    type Type = super::HapEncCtl;
    type ParentType = gst::Element;

    fn with_class(class: &Self::Class) -> Self {
        let template = |name: &str| {
            let template = class.pad_template(name);
            template.expect("both templates are registered")
        };
        let transparent = gst::PadFlags::PROXY_CAPS
            | gst::PadFlags::PROXY_ALLOCATION
            | gst::PadFlags::PROXY_SCHEDULING;
        let sink_pad = gst::Pad::builder_from_template(&template("sink"))
            .chain_function(|_, parent, buffer| src_pad(parent)?.push(buffer))
            .chain_list_function(|_, parent, list| src_pad(parent)?.push_list(list))
            .flags(transparent)
            .build();
        let src_pad = gst::Pad::builder_from_template(&template("src"))
            .event_function(|pad, parent, event| {
                Self::catch_panic_pad_function(parent, || false, |this| this.src_event(pad, event))
            })
            .flags(transparent)
            .build();
        Self {
            sink_pad,
            src_pad,
            state: Mutex::default(),
        }
    }
}

/// The pad that everything leaves by.
fn src_pad(parent: Option<&gst::Object>) -> Result<&gst::Pad, gst::FlowError> {
    let this = parent.and_then(|parent| parent.downcast_ref::<super::HapEncCtl>());
    this.map(|this| &this.imp().src_pad)
        .ok_or(gst::FlowError::Error)
}

impl ObjectImpl for HapEncCtl {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            vec![
                glib::ParamSpecDouble::builder("share")
                    .nick("Share")
                    .blurb(
                        "Share of the controller's cap that the encoder gets; the rest is for \
                         packet headers and what it overshoots",
                    )
                    .minimum(0.1)
                    .maximum(1.0)
                    .default_value(DEFAULT_SHARE)
                    .mutable_playing()
                    .build(),
                glib::ParamSpecUInt::builder("max-bitrate")
                    .nick("Maximum bitrate")
                    .blurb(
                        "Most that the encoder is set to, in bit/s; 0 = what it had before the \
                         first cap. Setting it applies it at once",
                    )
                    .mutable_playing()
                    .build(),
                glib::ParamSpecUInt::builder("bitrate")
                    .nick("Bitrate")
                    .blurb("What the encoder was last set to here, in bit/s; 0 = never")
                    .read_only()
                    .build(),
            ]
        });
        &PROPERTIES
    }

    fn constructed(&self) {
        self.parent_constructed();
        let obj = self.obj();
        for pad in [&self.sink_pad, &self.src_pad] {
            obj.add_pad(pad).expect("the names of the pads differ");
        }
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let mut state = self.state();
        match pspec.name() {
            "share" => state.share = value.get().unwrap_or(DEFAULT_SHARE),
            "max-bitrate" => state.max_bitrate = value.get().unwrap_or_default(),
            _ => unreachable!("GObject passes on known properties only"),
        }
        let max_bitrate = state.max_bitrate;
        let cap = state.cap.unwrap_or(max_bitrate);
        drop(state);
        if pspec.name() == "max-bitrate" && max_bitrate > 0 {
            self.set_bitrate(cap);
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let state = *self.state();
        match pspec.name() {
            "share" => state.share.to_value(),
            "max-bitrate" => state.max_bitrate.to_value(),
            "bitrate" => state.bitrate.to_value(),
            _ => unreachable!("GObject asks for readable properties only"),
        }
    }
}

impl GstObjectImpl for HapEncCtl {}

impl ElementImpl for HapEncCtl {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "HomeKit encoder control",
                "Filter/Network",
                "Makes the encoder before it obey a controller's bitrate and trade-off",
                "The gst-plugin-homekit authors",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let template = |name, direction| {
                let caps = gst::Caps::new_any();
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

    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        if transition == gst::StateChange::ReadyToPaused {
            let mut state = self.state();
            (state.cap, state.before_caps) = (None, None);
        }
        self.parent_change_state(transition)
    }
}

impl HapEncCtl {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn src_event(&self, pad: &gst::Pad, event: gst::Event) -> bool {
        let obeyed = match event.structure().filter(|_| is_custom(&event)) {
            Some(structure) => self.obey(structure),
            None => false,
        };
        obeyed || gst::Pad::event_default(pad, Some(&*self.obj()), event)
    }

    fn obey(&self, structure: &gst::StructureRef) -> bool {
        match structure.name().as_str() {
            "hap-max-bitrate" => match structure.get::<u32>("bitrate") {
                Ok(bitrate) => self.set_cap(bitrate),
                Err(_) => false,
            },
            "hap-trade-off" => match structure.get::<u32>("index") {
                Ok(index) => self.set_trade_off(index.min(MAX_INDEX)),
                Err(_) => false,
            },
            _ => false,
        }
    }

    fn set_cap(&self, bitrate: u32) -> bool {
        self.state().cap = Some(bitrate);
        self.set_bitrate(bitrate)
    }

    /// Sets the encoder to what `cap` allows.
    fn set_bitrate(&self, cap: u32) -> bool {
        let found = chain::upstream(&self.sink_pad)
            .find_map(|element| encoder::bitrate(&element).map(|bitrate| (element, bitrate)));
        let Some((element, present)) = found else {
            gst::info!(CAT, imp = self, "no encoder upstream");
            return false;
        };
        let allowed = {
            let mut state = self.state();
            state.before_caps.get_or_insert(present);
            state.allowed(cap)
        };
        gst::info!(CAT, imp = self, "{} to {allowed} bit/s", element.name());
        let set = encoder::set_bitrate(&element, allowed);
        if set {
            self.state().bitrate = allowed;
            self.obj().notify("bitrate");
        }
        set
    }

    fn set_trade_off(&self, index: u32) -> bool {
        let mut elements = chain::upstream(&self.sink_pad);
        let rate = elements.find(|element| {
            let factory = element.factory();
            factory.is_some_and(|factory| factory.name() == "videorate")
        });
        let frame_rate = rate.as_ref().and_then(frame_rate);
        let (Some(rate), Some(frame_rate)) = (rate, frame_rate) else {
            gst::info!(CAT, imp = self, "no videorate upstream");
            return false;
        };
        // Half of the frame rate at 0, all of it at 31.
        let wanted = frame_rate * f64::from(MAX_INDEX + index) / f64::from(2 * MAX_INDEX);
        let wanted = (wanted.round() as i32).max(1);
        gst::info!(CAT, imp = self, "at most {wanted} frames per second");
        rate.set_property("max-rate", wanted);
        true
    }
}

fn is_custom(event: &gst::Event) -> bool {
    event.type_() == gst::EventType::CustomUpstream
}

/// Frames per second that come into an element.
fn frame_rate(element: &gst::Element) -> Option<f64> {
    let caps = element.static_pad("sink")?.current_caps()?;
    let rate = caps.structure(0)?.get::<gst::Fraction>("framerate").ok()?;
    let rate = f64::from(rate.numer()) / f64::from(rate.denom());
    (rate > 0.0).then_some(rate)
}
