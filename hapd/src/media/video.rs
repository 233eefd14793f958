//! The picture of one viewer: which of the camera's encodings, or which transcode, as the network allows.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use gst::prelude::*;

use super::adapt::Adaptation;
use super::camera::Shared;
use super::demand::Demand;
use super::derived::Derived;
use super::leg::{Feed, Leg};
use super::params::{VideoChange, VideoParams};
use super::select::{self, Choice, Limit};
use super::srtp_sink;
use super::switch::Switch;
use super::transcode::{Variant, usual_kbps};

/// A better stream is not tried sooner after the last change.
const SETTLED: Duration = Duration::from_secs(10);
/// The least an encoder here can be set to, in bits per second.
const LEAST_BITRATE: u32 = 60_000;

/// What a viewer gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Picture {
    /// The camera's encoding of this number.
    Own(usize),
    Made(Variant),
}

impl Picture {
    fn choice(&self) -> Choice {
        match self {
            Self::Own(index) => Choice::Own(*index),
            Self::Made(variant) => Choice::Made(variant.origin),
        }
    }
}

/// The video of one viewer.
pub(super) struct Video {
    camera: Arc<Shared>,
    leg: Leg<Picture>,
    sink: gst::Element,
    wanted: Option<VideoParams>,
    adaptation: Adaptation,
    /// Where the viewer takes part in choosing an encoder's bitrate.
    demand: Option<Demand>,
    changed: Option<Instant>,
    /// Reports seen so far, and bytes sent by then.
    seen: (u64, u64, Option<Instant>),
}

impl Video {
    pub(super) fn new(
        camera: Arc<Shared>,
        switch: Switch,
        dropped: Arc<AtomicU64>,
        sink: gst::Element,
    ) -> Self {
        Self {
            camera,
            leg: Leg::new(switch, dropped),
            sink,
            wanted: None,
            adaptation: Adaptation::new(0),
            demand: None,
            changed: None,
            seen: (0, 0, None),
        }
    }

    /// Begins with what the controller selected.
    pub(super) fn start(&mut self, params: VideoParams) {
        srtp_sink::set_video(&self.sink, &params);
        self.sink.set_property("min-bitrate", LEAST_BITRATE);
        self.adaptation = Adaptation::new(params.max_bitrate_kbps);
        self.wanted = Some(params);
    }

    /// What the controller wants changes. False before the start, when there is nothing to change.
    pub(super) fn change(&mut self, change: &VideoChange) -> bool {
        let Some(params) = &mut self.wanted else {
            return false;
        };
        params.apply(change);
        self.adaptation.request(params.max_bitrate_kbps);
        if let Some(interval) = change.rtcp_interval {
            srtp_sink::set_rtcp_interval(&self.sink, interval);
        }
        self.changed = None;
        true
    }

    /// The controller caps the bitrate (TMMBR), in bits per second.
    pub(super) fn cap(&mut self, bits_per_second: u32) {
        let camera = &self.camera.source.name;
        tracing::debug!(%camera, bits_per_second, "the controller caps the bitrate");
        self.adaptation.cap(bits_per_second);
    }

    /// Looks at what the controller reports. True if that changes what it should get.
    pub(super) fn look(&mut self, now: Instant) -> bool {
        let stats = srtp_sink::stats(&self.sink);
        let (reports, bytes, since) = self.seen;
        if stats.rtcp_received == reports {
            return self.is_settled(now);
        }
        self.seen = (stats.rtcp_received, stats.bytes, Some(now));
        let passed = since.map(|since| now.saturating_duration_since(since).as_secs_f64());
        let Some(passed) = passed.filter(|passed| *passed > 0.2) else {
            return false;
        };
        let sending = (stats.bytes.saturating_sub(bytes) * 8) as f64 / passed;
        let before = self.adaptation.hard();
        self.adaptation
            .report(stats.fraction_lost, sending as u64, now);
        let after = self.adaptation.hard();
        if before != after {
            let camera = &self.camera.source.name;
            let lost = stats.fraction_lost;
            tracing::debug!(%camera, lost, limit = after, "the bitrate follows the loss");
        }
        before != after || self.is_settled(now)
    }

    fn is_settled(&self, now: Instant) -> bool {
        self.changed
            .is_none_or(|at| now.saturating_duration_since(at) >= SETTLED)
    }

    /// Takes the stream that suits the viewer best now. [`Attached::Nothing`] if it is the same as before.
    pub(super) fn choose(&mut self, now: Instant) -> Attached {
        let Some((params, choice)) = self.wanted.as_ref().zip(self.best(now)) else {
            return Attached::Nothing;
        };
        let usual = u64::from(usual_kbps(params)) * 1000;
        let target = self.adaptation.target(usual);
        let picture = match choice {
            Choice::Own(index) => Picture::Own(index),
            Choice::Made(origin) => Picture::Made(self.variant(params, origin, target)),
        };
        if self.leg.choice() == Some(&picture) {
            if let Some(demand) = &self.demand {
                demand.set(target);
            }
            return Attached::Nothing;
        }
        self.attach(picture, target, now)
    }

    fn best(&self, now: Instant) -> Option<Choice> {
        let limit = Limit {
            requested: self.adaptation.requested(),
            hard: self.adaptation.hard(),
        };
        select::choose(
            &self.camera.encodings(),
            self.wanted.as_ref()?,
            self.camera.source.passthrough,
            limit,
            self.leg.choice().map(Picture::choice),
            self.is_settled(now),
        )
    }

    /// The first encoder whose other viewers want about the same.
    fn variant(&self, params: &VideoParams, origin: usize, target: u64) -> Variant {
        let variant = |tier| Variant::of(params, origin, tier);
        let suits = |tier: &u8| {
            let running = self.camera.variants.find(&variant(*tier));
            running.is_none_or(|derived| derived.demands.suits(target, self.demand.as_ref()))
        };
        variant((0..u8::MAX).find(suits).unwrap_or(u8::MAX))
    }

    fn attach(&mut self, picture: Picture, target: u64, now: Instant) -> Attached {
        let camera = &self.camera;
        tracing::debug!(camera = %camera.source.name, ?picture, target, "viewer's picture");
        self.changed = Some(now);
        match picture {
            Picture::Own(index) => {
                self.demand = None;
                let feed = Feed::Own(camera.tracks(index).video.clone());
                self.leg.attach(picture, feed);
                Attached::Own
            }
            Picture::Made(variant) => {
                let derived = camera.transcode(variant);
                self.demand = Some(derived.demands.add(target));
                self.leg.attach(picture, Feed::Made(derived.clone()));
                Attached::Made(derived)
            }
        }
    }

    /// The line of this number feeds now.
    pub(super) fn taken_over(&mut self, number: u64) {
        self.leg.taken_over(number);
    }

    /// Sends nothing until the next [`Video::choose`].
    pub(super) fn detach(&mut self) {
        self.leg.detach();
        self.demand = None;
    }

    /// Asks whoever makes the picture for a key frame.
    pub(super) fn request_key_unit(&self) {
        match (self.leg.feed(), self.leg.choice()) {
            (Some(Feed::Made(derived)), _) => derived.request_key_unit(),
            (Some(Feed::Own(_)), Some(Picture::Own(index))) => {
                self.camera.tracks(*index).request_key_unit();
            }
            _ => {}
        }
    }

    /// Why there is no picture, and will be none.
    pub(super) fn failure(&self) -> Option<String> {
        match self.leg.feed() {
            Some(Feed::Made(derived)) => derived.failure(),
            _ => None,
        }
    }
}

/// What became of a choice.
pub(super) enum Attached {
    /// What was there before.
    Nothing,
    /// An encoding of the camera.
    Own,
    /// A transcode.
    Made(Arc<Derived>),
}
