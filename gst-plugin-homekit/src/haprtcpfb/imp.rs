//! GObject and GStreamer glue of `haprtcpfb`; what it does is in the files beside.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;

use super::feedback::{Feedback, Passage};
use super::settings::Settings;
use super::shared::Shared;
use super::{Role, properties, stats};

pub(super) static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "haprtcpfb",
        gst::DebugColorFlags::empty(),
        Some("HomeKit RTCP feedback"),
    )
});

/// Instance data. Nothing of it is locked while something outside is called.
pub struct HapRtcpFb {
    sink_pad: gst::Pad,
    src_pad: gst::Pad,
    settings: Mutex<Settings>,
    /// The stream, from PAUSED until READY.
    shared: Mutex<Option<Arc<Shared>>>,
    /// What the media are: [`VIDEO`], [`RTP`].
    media: AtomicU8,
}

const VIDEO: u8 = 1;
const RTP: u8 = 2;

type Flow = Result<gst::FlowSuccess, gst::FlowError>;

#[glib::object_subclass]
impl ObjectSubclass for HapRtcpFb {
    const NAME: &'static str = "GstHapRtcpFb";
    type Type = super::HapRtcpFb;
    type ParentType = gst::Element;

    fn with_class(class: &Self::Class) -> Self {
        let template = |name| {
            let template = class.pad_template(name);
            template.expect("the class has a template for each pad")
        };
        let flags = gst::PadFlags::PROXY_CAPS | gst::PadFlags::PROXY_ALLOCATION;
        let sink_pad = gst::Pad::builder_from_template(&template("sink"))
            .chain_function(|_, parent, buffer| {
                let failed = || Err(gst::FlowError::Error);
                Self::catch_panic_pad_function(parent, failed, |imp| imp.chain(buffer))
            })
            .event_function(|_, parent, event| {
                Self::catch_panic_pad_function(parent, || false, |imp| imp.sink_event(event))
            })
            .flags(flags)
            .build();
        let src_pad = gst::Pad::builder_from_template(&template("src"))
            .flags(flags)
            .build();
        Self {
            sink_pad,
            src_pad,
            settings: Mutex::default(),
            shared: Mutex::default(),
            media: AtomicU8::new(0),
        }
    }
}

impl ObjectImpl for HapRtcpFb {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(properties::list);
        &PROPERTIES
    }

    fn constructed(&self) {
        self.parent_constructed();
        let obj = self.obj();
        for pad in [&self.sink_pad, &self.src_pad] {
            obj.add_pad(pad).expect("each pad has a name of its own");
        }
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        self.settings().set(pspec.name(), value);
        self.configure();
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        let shared = self.shared();
        let feedback = |shared: &Arc<Shared>| stats::structure(&shared.feedback());
        match (pspec.name(), shared) {
            ("max-bitrate", None) => 0u32.to_value(),
            ("max-bitrate", Some(shared)) => shared.max_bitrate.load(Ordering::Relaxed).to_value(),
            ("stats", None) => stats::structure(&Feedback::default()).to_value(),
            ("stats", Some(shared)) => feedback(&shared).to_value(),
            ("ssrc", Some(shared)) => shared.feedback().ssrc().unwrap_or(0).to_value(),
            (name, _) => self.settings().get(name),
        }
    }
}

impl GstObjectImpl for HapRtcpFb {}

impl ElementImpl for HapRtcpFb {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "HomeKit RTCP feedback",
                "Filter/Network/RTP",
                "Obeys the RTCP feedback of a HomeKit controller beside an rtpbin",
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
            self.join();
        }
        let done = self.parent_change_state(transition)?;
        if transition == gst::StateChange::PausedToReady {
            *self.lock_shared() = None;
        }
        Ok(done)
    }
}

impl HapRtcpFb {
    pub(super) fn sink_pad(&self) -> &gst::Pad {
        &self.sink_pad
    }

    pub(super) fn src_pad(&self) -> &gst::Pad {
        &self.src_pad
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_shared(&self) -> MutexGuard<'_, Option<Arc<Shared>>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shared(&self) -> Option<Arc<Shared>> {
        self.lock_shared().clone()
    }

    fn role(&self) -> Role {
        self.settings().role
    }

    fn join(&self) {
        let (role, stream) = {
            let settings = self.settings();
            (settings.role, settings.stream.clone())
        };
        let shared = Shared::join(&self.obj(), role, &stream);
        *self.lock_shared() = Some(shared);
        self.configure();
    }

    /// Gives the settings of the stream to it: they stand at the element the media pass.
    fn configure(&self) {
        let rules = {
            let settings = self.settings();
            (settings.role == Role::Media).then_some(settings.rules)
        };
        if let (Some(rules), Some(shared)) = (rules, self.shared()) {
            shared.feedback().set(rules);
        }
    }

    fn chain(&self, buffer: gst::Buffer) -> Flow {
        let Some(shared) = self.shared() else {
            return Err(gst::FlowError::Flushing);
        };
        match self.role() {
            Role::Media => self.pass_media(&shared, buffer),
            Role::RtcpIn => {
                let passage = map(&buffer, |rtcp| {
                    shared.feedback().received(rtcp, Instant::now())
                })?;
                shared.dispatch();
                self.pass(buffer, passage)
            }
            Role::RtcpOut => {
                let passage = map(&buffer, |rtcp| {
                    shared.feedback().sending(rtcp, Instant::now())
                })?;
                let flow = self.pass(buffer, passage);
                shared.dispatch();
                flow
            }
        }
    }

    fn pass_media(&self, shared: &Shared, buffer: gst::Buffer) -> Flow {
        let key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        let media = self.media.load(Ordering::Relaxed);
        let is_rtp = media & RTP != 0;
        let octets = match is_rtp {
            true => map(&buffer, payload_len)?,
            false => None,
        };
        let flow = self.src_pad.push(buffer);
        let now = Instant::now();
        if flow.is_ok() {
            let mut feedback = shared.feedback();
            if let Some(octets) = octets {
                feedback.media_sent(1, octets, now);
            }
            if key && media & VIDEO != 0 {
                feedback.key_frame_sent(now);
            }
        }
        shared.feedback().handle_timeout(now);
        shared.dispatch();
        flow
    }

    /// Pushes what becomes of `buffer`.
    fn pass(&self, buffer: gst::Buffer, passage: Passage) -> Flow {
        match passage {
            Passage::AsItIs => self.src_pad.push(buffer),
            Passage::Dropped => Ok(gst::FlowSuccess::Ok),
            Passage::Changed(bytes) => {
                let mut changed = gst::Buffer::from_slice(bytes);
                let target = changed.get_mut().expect("nobody else knows it yet");
                let copied = buffer.copy_into(target, gst::BUFFER_COPY_METADATA, ..);
                copied.map_err(|_| gst::FlowError::Error)?;
                self.src_pad.push(changed)
            }
        }
    }

    fn sink_event(&self, event: gst::Event) -> bool {
        if let (Role::Media, Some(shared)) = (self.role(), self.shared()) {
            match event.view() {
                gst::EventView::Caps(caps) => self.media_caps(&shared, caps.caps()),
                gst::EventView::FlushStop(_) => shared.feedback().key_frame_missed(),
                _ => {}
            }
        }
        gst::Pad::event_default(&self.sink_pad, Some(&*self.obj()), event)
    }

    fn media_caps(&self, shared: &Shared, caps: &gst::CapsRef) {
        let Some(caps) = caps.structure(0) else {
            return;
        };
        let is_rtp = caps.name() == "application/x-rtp";
        let media = caps.get::<&str>("media").unwrap_or_default();
        let is_video = caps.name().starts_with("video/") || (is_rtp && media == "video");
        let bits = (u8::from(is_video) * VIDEO) | (u8::from(is_rtp) * RTP);
        self.media.store(bits, Ordering::Relaxed);
        if let Some(ssrc) = caps.get::<u32>("ssrc").ok().filter(|_| is_rtp) {
            shared.feedback().learn(ssrc);
        }
    }
}

/// Octets of payload of an RTP packet.
fn payload_len(packet: &[u8]) -> Option<u64> {
    let packet = rtp_payload::Packet::parse(packet).ok()?;
    Some(packet.payload.len() as u64)
}

fn map<T>(buffer: &gst::Buffer, read: impl FnOnce(&[u8]) -> T) -> Result<T, gst::FlowError> {
    let bytes = buffer.map_readable().map_err(|_| gst::FlowError::Error)?;
    Ok(read(&bytes))
}
