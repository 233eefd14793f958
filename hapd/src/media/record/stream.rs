//! What is recorded, and its past.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::camera::Shared;
use super::super::clock;
use super::super::demand::Demand;
use super::super::derived::Derived;
use super::super::select::{self, Encoding};
use super::super::status::VideoInfo;
use super::super::tracks::Tracks;
use super::super::transcode::Variant;
use super::{RecordingCodec, RecordingParams, RecordingVideo};
use gsthomekit::ring::{Retention, Ring};

/// On top of the prebuffer: hubs need some time from the motion to their request.
const SLACK: Duration = Duration::from_secs(2);
/// Much more than that is kept while something happens and no hub has come yet.
const HOLD: Duration = Duration::from_secs(10);
/// Key frames are asked for when the newest is older than the longest fragment less this.
const ASK_BEFORE: Duration = Duration::from_millis(700);
/// What a distance of key frames may be above the longest fragment: clocks are not exact.
const TOLERANCE: Duration = Duration::from_millis(20);
/// Sources get this long, on top of the longest fragment, to make key frames when asked.
const GRACE: Duration = Duration::from_secs(2);
/// A camera whose key frames were too far apart is believed again after this.
const FORGIVEN: Duration = Duration::from_secs(60);

/// What is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    /// The camera's encoding of this number.
    Own(usize),
    /// A transcode.
    Made(Variant),
}

/// A stream that may be recorded, with its past.
pub(super) struct Stream {
    shared: Arc<Shared>,
    params: RecordingParams,
    choice: Option<Choice>,
    made: Option<(Arc<Derived>, Demand)>,
    kept: Vec<Retention>,
    since: Instant,
    /// When the key frames of each encoding were last seen to be too far apart.
    sparse: Vec<Option<Instant>>,
    motion: Option<Instant>,
    held: Duration,
}

impl Stream {
    pub(super) fn new(shared: Arc<Shared>, params: RecordingParams) -> Self {
        let sparse = shared.all_tracks().map(|_| None).collect();
        let mut this = Self {
            shared,
            params,
            choice: None,
            made: None,
            kept: Vec::new(),
            since: Instant::now(),
            sparse,
            motion: None,
            held: Duration::ZERO,
        };
        this.look(Instant::now());
        this
    }

    pub(super) const fn params(&self) -> &RecordingParams {
        &self.params
    }

    /// Chooses anew, asks for key frames, and keeps as much of the past as is wanted now.
    pub(super) fn look(&mut self, now: Instant) {
        self.look_at_key_frames(now);
        let choice = self.best(now);
        if choice.is_some() && choice != self.choice {
            self.take(choice);
        }
        self.hold(now);
    }

    /// Something happened: what was before it is kept for a while.
    pub(super) fn motion(&mut self, now: Instant) {
        let holds = |at: Instant| now.saturating_duration_since(at) < HOLD;
        if !self.motion.is_some_and(holds) {
            self.motion = Some(now);
        }
        self.hold(now);
    }

    /// How far back a recording that starts now begins.
    pub(super) fn back(&self, now: Instant) -> Duration {
        let since = self.motion.map(|at| now.saturating_duration_since(at));
        self.params.prebuffer + since.filter(|since| *since < HOLD).unwrap_or_default()
    }

    /// A recording has been started: what comes next begins before its own cause.
    pub(super) fn started(&mut self, now: Instant) {
        self.motion = None;
        self.hold(now);
    }

    /// The picture.
    pub(super) fn video(&self) -> Option<Arc<Ring>> {
        match (&self.made, self.choice?) {
            (Some((derived, _)), _) => Some(derived.stream.clone()),
            (None, Choice::Own(index)) => Some(self.shared.tracks(index).video.clone()),
            (None, Choice::Made(_)) => None,
        }
    }

    /// The camera's sound, if it has any.
    pub(super) fn audio(&self) -> Option<Arc<Ring>> {
        let tracks = &self.shared.tracks;
        tracks.status().audio.map(|_| tracks.audio.clone())
    }

    /// Why the picture cannot be made.
    pub(super) fn failure(&self) -> Option<String> {
        self.made
            .as_ref()
            .and_then(|(derived, _)| derived.failure())
    }

    /// Asks whoever makes the picture for a key frame; returns how.
    pub(super) fn key_unit_request(&self) -> impl Fn() + Send + Sync + 'static {
        let derived = self.made.as_ref().map(|(derived, _)| derived.clone());
        let tracks = self.own().cloned();
        move || match (&derived, &tracks) {
            (Some(derived), _) => derived.request_key_unit(),
            (None, Some(tracks)) => tracks.request_key_unit(),
            (None, None) => {}
        }
    }

    fn own(&self) -> Option<&Arc<Tracks>> {
        match self.choice? {
            Choice::Own(index) => Some(self.shared.tracks(index)),
            Choice::Made(_) => None,
        }
    }

    fn best(&self, now: Instant) -> Option<Choice> {
        let encodings = self.shared.encodings();
        let policy = self.shared.source.recording_codec;
        let dense = |index: &usize| !self.is_sparse(*index, now);
        let own = suitable(&encodings, &self.params.video, policy);
        if let Some(index) = own.into_iter().find(dense) {
            return Some(Choice::Own(index));
        }
        let origin = origin(&encodings, &self.params.video)?;
        let info = encodings[origin].info.as_ref()?;
        Some(Choice::Made(variant(&self.params.video, info, origin)))
    }

    fn take(&mut self, choice: Option<Choice>) {
        let camera = &self.shared.source.name;
        tracing::info!(%camera, recorded = %Shown(choice), "the stream for recordings");
        self.choice = choice;
        self.made = match choice {
            Some(Choice::Made(variant)) => {
                let derived = self.shared.transcode(variant);
                let demand = derived
                    .demands
                    .add(u64::from(self.params.video.kbps) * 1000);
                Some((derived, demand))
            }
            _ => None,
        };
        self.held = Duration::ZERO;
    }

    fn hold(&mut self, now: Instant) {
        let pinned = self
            .motion
            .is_some_and(|at| now.saturating_duration_since(at) < HOLD);
        let extra = if pinned { SLACK + HOLD } else { SLACK };
        let history = self.params.prebuffer + extra;
        if history == self.held {
            return;
        }
        let time = |time: Duration| gst::ClockTime::try_from(time).unwrap_or(gst::ClockTime::MAX);
        // The picture begins up to a group of pictures earlier than asked for, and the sound with it.
        let sound = self
            .shared
            .tracks
            .audio
            .retain(time(history + self.params.fragment));
        let video = self.video().map(|ring| ring.retain(time(history)));
        self.held = history;
        self.kept = video.into_iter().chain([sound]).collect();
    }

    fn is_sparse(&self, index: usize, now: Instant) -> bool {
        let seen = self.sparse.get(index).copied().flatten();
        seen.is_some_and(|at| now.saturating_duration_since(at) < FORGIVEN)
    }

    /// Fragments begin with key frames and have a longest length: some sources make key frames when asked, some do not.
    fn look_at_key_frames(&mut self, now: Instant) {
        let longest = self.params.fragment;
        let judged = now.saturating_duration_since(self.since) > longest + GRACE;
        for index in 0..self.sparse.len() {
            let tracks = self.shared.tracks(index).clone();
            let distance = tracks.video.key_distance().map(Duration::from);
            let too_far = distance.filter(|distance| *distance > longest + TOLERANCE);
            if let Some(distance) = too_far.filter(|_| judged) {
                self.note_sparse(index, distance, now);
            }
            let newest = tracks.video.key_frame();
            let stale = newest.is_some_and(|f| clock::since(f.time()) + ASK_BEFORE > longest);
            if stale && (!judged || self.choice == Some(Choice::Own(index))) {
                tracks.request_key_unit();
            }
        }
    }

    fn note_sparse(&mut self, index: usize, distance: Duration, now: Instant) {
        let known = self.sparse[index].replace(now);
        let concerned = matches!(self.choice, None | Some(Choice::Own(_)));
        if known.is_none() && concerned && self.shared.encodings()[index].info.is_some() {
            let camera = &self.shared.source.name;
            tracing::warn!(
                %camera,
                "key frames of the camera are {:.1} s apart and recordings need one every {:.0} s: they are transcoded. \
                 Set the camera's I-frame interval (GOP) to {:.0} s or less to save the CPU time",
                distance.as_secs_f64(),
                self.params.fragment.as_secs_f64(),
                self.params.fragment.as_secs_f64() / 2.0
            );
        }
    }
}

/// The camera's encodings that can be recorded as they are, the best first.
fn suitable(encodings: &[Encoding], wanted: &RecordingVideo, policy: RecordingCodec) -> Vec<usize> {
    let most = (wanted.width, wanted.height);
    let suits = |info: &VideoInfo| {
        is_recorded(info, policy) && (policy == RecordingCodec::Source || fits(info, most))
    };
    let numbered = encodings.iter().enumerate();
    let suits = numbered.filter(|(_, encoding)| encoding.info.as_ref().is_some_and(suits));
    suits.map(|(index, _)| index).collect()
}

/// What will be recorded of a camera, as far as that can be told before a hub selects: its best encoding that is recorded
/// as it is and not larger than `most`, else its best, which is transcoded. `None` while encodings that may be the one are
/// not known.
pub(in super::super) fn recorded(
    encodings: &[Encoding],
    policy: RecordingCodec,
    most: (u16, u16),
) -> Option<VideoInfo> {
    for encoding in encodings {
        let info = encoding.info.as_ref()?;
        if is_recorded(info, policy) && fits(info, most) {
            return Some(info.clone());
        }
    }
    encodings.first()?.info.clone()
}

fn is_recorded(info: &VideoInfo, policy: RecordingCodec) -> bool {
    match info.codec.as_str() {
        "h264" => true,
        "h265" => policy == RecordingCodec::Source,
        _ => false,
    }
}

fn fits(info: &VideoInfo, (width, height): (u16, u16)) -> bool {
    let (width, height) = (u32::from(width), u32::from(height));
    let within = |w, h| (1..=width).contains(&w) && (1..=height).contains(&h);
    // A picture on end has as many pixels.
    within(info.width, info.height) || within(info.height, info.width)
}

/// The encoding to transcode from: the smallest that is not smaller than what is wanted.
fn origin(encodings: &[Encoding], wanted: &RecordingVideo) -> Option<usize> {
    select::origin(encodings, u32::from(wanted.width), u32::from(wanted.height))
}

/// What is encoded: never larger than the source.
fn variant(wanted: &RecordingVideo, info: &VideoInfo, origin: usize) -> Variant {
    let smaller = info.width > 0
        && info.height > 0
        && info.width <= u32::from(wanted.width)
        && info.height <= u32::from(wanted.height);
    let even = |pixels: u32| u16::try_from(pixels & !1).unwrap_or(u16::MAX - 1);
    let (width, height) = match smaller {
        true => (even(info.width), even(info.height)),
        false => (wanted.width, wanted.height),
    };
    Variant {
        width,
        height,
        fps: wanted.fps,
        profile: wanted.profile,
        level: wanted.level,
        origin,
        tier: 0,
    }
}

/// For the log.
struct Shown(Option<Choice>);

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            None => f.write_str("nothing"),
            Some(Choice::Own(0)) => f.write_str("the camera's own"),
            Some(Choice::Own(index)) => write!(f, "the camera's own, stream {index}"),
            Some(Choice::Made(v)) => {
                write!(f, "transcoded to {}x{} at {} fps", v.width, v.height, v.fps)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::params::{H264Level, H264Profile};
    use super::*;

    fn encoding(codec: &str, width: u32, height: u32) -> Encoding {
        let info = VideoInfo {
            codec: codec.into(),
            profile: Some("high".into()),
            level: Some("4".into()),
            width,
            height,
            fps: 25.0,
            reordered: false,
        };
        Encoding {
            info: Some(info),
            bitrate: None,
        }
    }

    const WANTED: RecordingVideo = RecordingVideo {
        profile: H264Profile::Main,
        level: H264Level::L4_0,
        width: 1920,
        height: 1080,
        fps: 30,
        kbps: 2000,
    };

    #[test]
    fn the_largest_encoding_that_fits_is_recorded_as_it_is() {
        let camera = [
            encoding("h265", 3840, 2160),
            encoding("h264", 2560, 1440),
            encoding("h264", 1920, 1080),
            encoding("h264", 640, 360),
        ];
        assert_eq!(suitable(&camera, &WANTED, RecordingCodec::H264), [2, 3]);
        assert_eq!(
            suitable(&camera, &WANTED, RecordingCodec::Source),
            [0, 1, 2, 3]
        );
        let portrait = [encoding("h264", 1080, 1920)];
        assert_eq!(suitable(&portrait, &WANTED, RecordingCodec::H264), [0]);
    }

    #[test]
    fn what_is_offered_is_what_will_be_recorded() {
        let size = |encodings: &[Encoding], policy| {
            let info = recorded(encodings, policy, (1920, 1080));
            info.map(|info| (info.width, info.height))
        };
        let camera = [encoding("h265", 3840, 2160), encoding("h264", 1280, 720)];
        assert_eq!(size(&camera, RecordingCodec::H264), Some((1280, 720)));
        assert_eq!(size(&camera[..1], RecordingCodec::H264), Some((3840, 2160)));
        let large = [encoding("h264", 2560, 1440), encoding("h264", 640, 360)];
        assert_eq!(size(&large, RecordingCodec::H264), Some((640, 360)));
        let raw = [encoding("raw", 1280, 720)];
        assert_eq!(size(&raw, RecordingCodec::H264), Some((1280, 720)));
        let unknown = Encoding {
            info: None,
            bitrate: None,
        };
        let starting = [encoding("h265", 1280, 720), unknown];
        assert_eq!(size(&starting, RecordingCodec::H264), None);
    }

    #[test]
    fn nothing_is_made_larger_than_it_is() {
        let info = encoding("h265", 1281, 720).info.unwrap();
        let small = variant(&WANTED, &info, 0);
        assert_eq!((small.width, small.height), (1280, 720));
        let info = encoding("h265", 3840, 2160).info.unwrap();
        let large = variant(&WANTED, &info, 0);
        assert_eq!((large.width, large.height), (1920, 1080));
    }
}
