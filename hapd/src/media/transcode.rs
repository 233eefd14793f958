//! The recipe of a viewer's video: size, rate, profile and bitrate as asked.

use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;
use pipelines::{Element, EncoderSettings, H264_ENCODERS, H264Level};

use super::decoders;
use super::demand::Demands;
use super::derived::Recipe;
use super::params::{H264Profile, VideoParams};
use super::track::Codec;
use super::tracks::Tracks;
use gsthomekit::ring::{Backlog, Ring};

/// Seconds between key frames.
const KEY_INTERVAL_S: u32 = 2;

/// What two viewers must have in common to share an encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Variant {
    pub(super) width: u16,
    pub(super) height: u16,
    pub(super) fps: u8,
    pub(super) profile: H264Profile,
    pub(super) level: H264Level,
    /// Which of the camera's encodings it is made from.
    pub(super) origin: usize,
    /// Viewers of very different networks do not share an encoder: each of those has a number.
    pub(super) tier: u8,
}

impl Variant {
    pub(super) fn of(params: &VideoParams, origin: usize, tier: u8) -> Self {
        Self {
            origin,
            tier,
            width: params.width,
            height: params.height,
            fps: params.fps,
            profile: params.profile,
            level: params.level,
        }
    }

    fn settings(&self, source_fps: Option<u32>, kbps: u32) -> EncoderSettings {
        let (width, height) = (u32::from(self.width), u32::from(self.height));
        let fps = u32::from(self.fps)
            .min(source_fps.unwrap_or(u32::MAX))
            .max(1);
        EncoderSettings {
            width,
            height,
            fps,
            kbps,
            profile: self.profile,
            level: self.level.max(H264Level::for_picture(width, height, fps)),
            key_interval_s: KEY_INTERVAL_S,
        }
    }
}

/// Kilobits per second for viewers that set no limit: 0.07 bit per pixel.
pub(super) fn usual_kbps(params: &VideoParams) -> u32 {
    let pixels = u32::from(params.width) * u32::from(params.height) / 1000 * u32::from(params.fps);
    (pixels * 7 / 100).clamp(150, 6000)
}

/// Decodes, fits and encodes.
pub(super) struct Transcode {
    pub(super) tracks: Arc<Tracks>,
    pub(super) variant: Variant,
    pub(super) demands: Arc<Demands>,
    pub(super) encoder: Option<String>,
}

impl Recipe for Transcode {
    fn input(&self) -> Option<Arc<Ring>> {
        Some(self.tracks.video.clone())
    }

    fn limit(&self, caps: &gst::Caps) -> Backlog {
        match Codec::of(caps) {
            Some(Codec::RawVideo) => Backlog {
                frames: 3,
                bytes: 256 << 20,
            },
            _ => Backlog {
                frames: 90,
                bytes: 16 << 20,
            },
        }
    }

    fn chain(&self, caps: Option<&gst::Caps>, attempt: usize) -> Option<String> {
        let caps = caps?;
        // The viewer's demand is there before its stream; without one nobody looks.
        let kbps = self.demands.lowest().unwrap_or(1_000_000) / 1000;
        let kbps = u32::try_from(kbps).unwrap_or(u32::MAX);
        let settings = self.variant.settings(source_fps(caps), kbps);
        let decoders = decoders_of(caps);
        let encoders = self.encoders();
        // All encoders with the best decoder, then with the next.
        let decode = decoders.get(attempt / encoders.len().max(1))?;
        let encoder = encoders
            .get(attempt % encoders.len().max(1))?
            .element(&settings)?;
        let deinterlace = if is_interlaced(caps) {
            "! deinterlace mode=auto "
        } else {
            ""
        };
        let fit = pipelines::fit(settings.width, settings.height);
        tracing::debug!(%decode, %encoder, "transcoding");
        Some(format!(
            "appsrc name=in {decode}! identity name=gate silent=true \
             ! queue name=newest leaky=downstream max-size-buffers=3 max-size-bytes=0 max-size-time=0 {deinterlace}\
             ! {fit} ! {encoder} ! h264parse config-interval=-1 disable-passthrough=true \
             ! capsfilter caps=video/x-h264,stream-format=byte-stream,alignment=au"
        ))
    }

    fn prepare(&self, bin: &gst::Bin, joined: Option<gst::ClockTime>) {
        let Some(pad) = bin.by_name("gate").and_then(|gate| gate.static_pad("src")) else {
            return;
        };
        let gate = Mutex::new(Gate::new(self.variant.fps, joined));
        let mask = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
        pad.add_probe(mask, move |_, info| {
            gate.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .probe(info)
        });
    }

    fn codec(&self) -> Codec {
        Codec::H264
    }
}

impl Transcode {
    fn encoders(&self) -> Vec<Encoder> {
        match &self.encoder {
            Some(fragment) => vec![Encoder::Custom(fragment.clone())],
            None => H264_ENCODERS
                .into_iter()
                .filter(|name| gst::ElementFactory::find(name).is_some())
                .map(Encoder::Known)
                .collect(),
        }
    }
}

/// What comes between the source and the gate, per decoder; nothing for raw video.
fn decoders_of(caps: &gst::Caps) -> Vec<String> {
    if Codec::of(caps) == Some(Codec::RawVideo) {
        return vec![String::new()];
    }
    let decoders = decoders::of(caps).into_iter();
    decoders.map(|factory| format!("! {factory} ")).collect()
}

enum Encoder {
    Known(&'static str),
    Custom(String),
}

impl Encoder {
    fn element(&self, settings: &EncoderSettings) -> Option<String> {
        match self {
            Self::Custom(fragment) => {
                Some(pipelines::custom_encoder(fragment, settings).to_string())
            }
            Self::Known(factory) => {
                let element = with_known_settings(pipelines::h264_encoder(factory, settings)?);
                Some(
                    element
                        .to(pipelines::h264_caps(factory, settings))
                        .to_string(),
                )
            }
        }
    }
}

/// Versions of encoders differ in what can be set.
fn with_known_settings(element: Element) -> Element {
    match gst::ElementFactory::make(element.factory()).build() {
        Ok(instance) => element.retain(|name| instance.has_property(name)),
        Err(_) => element,
    }
}

fn source_fps(caps: &gst::Caps) -> Option<u32> {
    let rate = caps.structure(0)?.get::<gst::Fraction>("framerate").ok()?;
    let fps = (f64::from(rate.numer()) / f64::from(rate.denom().max(1))).round();
    (1.0..=240.0).contains(&fps).then_some(fps as u32)
}

fn is_interlaced(caps: &gst::Caps) -> bool {
    let mode = caps
        .structure(0)
        .and_then(|s| s.get::<&str>("interlace-mode").ok());
    mode.is_some_and(|mode| mode != "progressive")
}

/// Lets the first picture through at once, then leaves out what lies before the moment of joining, and then whatever comes
/// faster than the frame rate asked for.
struct Gate {
    fps: u8,
    joined: Option<gst::ClockTime>,
    started: bool,
    due: gst::ClockTime,
}

impl Gate {
    fn new(fps: u8, joined: Option<gst::ClockTime>) -> Self {
        Self {
            fps: fps.max(1),
            joined,
            started: false,
            due: gst::ClockTime::ZERO,
        }
    }

    fn probe(&mut self, info: &mut gst::PadProbeInfo<'_>) -> gst::PadProbeReturn {
        let rewritten = match &info.data {
            Some(gst::PadProbeData::Buffer(buffer)) if !self.passes(buffer.pts()) => {
                return gst::PadProbeReturn::Drop;
            }
            Some(gst::PadProbeData::Event(event)) => match event.view() {
                gst::EventView::Caps(caps) => self.limited(caps.caps(), event.seqnum()),
                _ => None,
            },
            _ => None,
        };
        if let Some(event) = rewritten {
            info.data = Some(gst::PadProbeData::Event(event));
        }
        gst::PadProbeReturn::Ok
    }

    fn passes(&mut self, time: Option<gst::ClockTime>) -> bool {
        let Some(time) = time else {
            return true;
        };
        if !std::mem::replace(&mut self.started, true) {
            return true;
        }
        if self.joined.is_some_and(|joined| time < joined) {
            return false;
        }
        self.is_due(time)
    }

    /// Half a frame early is in time: cameras' clocks jitter.
    fn is_due(&mut self, time: gst::ClockTime) -> bool {
        let interval = gst::ClockTime::SECOND / u64::from(self.fps);
        let behind = time.saturating_sub(self.due) > interval;
        let jumped_back = self.due.saturating_sub(time) > interval * 4;
        if time + interval / 2 < self.due && !jumped_back {
            return false;
        }
        self.due = if behind || jumped_back {
            time + interval
        } else {
            self.due + interval
        };
        true
    }

    /// Encoders share their bits out by the frame rate in the caps: it must not be above what this gate lets through.
    fn limited(&self, caps: &gst::CapsRef, seqnum: gst::Seqnum) -> Option<gst::Event> {
        let limit = gst::Fraction::new(self.fps.into(), 1);
        let rate = caps.structure(0)?.get::<gst::Fraction>("framerate").ok();
        if rate.is_some_and(|rate| rate.numer() > 0 && rate <= limit) {
            return None;
        }
        let mut caps = caps.to_owned();
        caps.make_mut().set("framerate", limit);
        Some(gst::event::Caps::builder(&caps).seqnum(seqnum).build())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(fps: u8, joined: Option<u64>, times: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let mut gate = Gate::new(fps, joined.map(gst::ClockTime::from_mseconds));
        times
            .into_iter()
            .filter(|ms| gate.passes(Some(gst::ClockTime::from_mseconds(*ms))))
            .collect()
    }

    #[test]
    fn the_first_picture_passes_then_nothing_old() {
        let times = (0..10).map(|n| n * 100);
        assert_eq!(passed(30, Some(700), times), [0, 700, 800, 900]);
    }

    #[test]
    fn the_frame_rate_is_limited() {
        let times = (0..300).map(|n| n * 1000 / 30);
        assert_eq!(passed(15, None, times.clone()).len(), 151);
        let count = passed(24, None, times.clone()).len();
        assert!((239..=242).contains(&count), "{count}");
        assert_eq!(passed(30, None, times).len(), 300);
    }

    #[test]
    fn jitter_costs_no_frames() {
        let times = (1..200_u64).map(|n| n * 1000 / 30 + (n * 7919) % 12);
        assert_eq!(passed(30, None, times).len(), 199);
    }

    #[test]
    fn a_clock_that_jumps_does_not_stop_the_picture() {
        let times = (0..30)
            .map(|n| 100_000 + n * 33)
            .chain((0..30).map(|n| n * 33));
        assert!(passed(30, None, times).len() >= 58);
    }

    #[test]
    fn a_limit_of_none_means_the_usual_bitrate() {
        let params = VideoParams {
            profile: H264Profile::Main,
            level: H264Level::L3_1,
            width: 1280,
            height: 720,
            fps: 30,
            max_bitrate_kbps: 0,
            payload_type: 99,
            remote_ssrc: 0,
            mtu: None,
            rtcp_interval: None,
        };
        assert_eq!(usual_kbps(&params), 1934);
    }
}
