//! A recording as it comes, held against every rule.

use std::time::Duration;

use super::clock::{Stamp, ntp_micros};
use super::fragment::{self, Clock, Group};
use super::init::Init;
use super::rule::{Findings, Rule};
use super::samples::Run;
use super::timeline::Timeline;
use super::wanted::Wanted;

/// Hubs wait this long for the first fragment, and between fragments.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// Fragments shorter than this make hubs give up.
const SHORT_MS: u64 = 500;
/// Clocks of two machines are never quite the same.
const FUTURE_MICROS: i64 = 1_000_000;
/// A key frame may stand this long before the prebuffer.
const OLD: Duration = Duration::from_secs(10);
/// Wall clock and decode time may differ this much from fragment to fragment.
const STEP_MICROS: i64 = 500_000;
/// Picture and sound of a fragment start within this; they are cut at different places.
const APART_MICROS: i64 = 500_000;
/// The event took a moment to arrive.
const EVENT_MS: i64 = 100;

/// When the stream was opened, and when the event came.
#[derive(Debug, Clone, Copy)]
struct Times {
    opened: Stamp,
    event: Stamp,
}

/// A recording under way.
#[derive(Debug)]
pub struct Checker {
    wanted: Wanted,
    times: Option<Times>,
    init: Option<Init>,
    video: Option<Timeline>,
    audio: Option<Timeline>,
    moof: Option<u32>,
    /// Wall clock and media time of the fragment before.
    clock: Option<(i64, i64)>,
    /// Wall clock of decode time 0, as `prft` says, and as arrivals show.
    start: Option<i64>,
    start_by_arrival: Option<i64>,
    last_arrival: Option<Stamp>,
    open_to_init_ms: Option<u64>,
    open_to_first_fragment_ms: Option<u64>,
    fragments: u64,
    bytes: u64,
    /// What was found so far.
    pub findings: Findings,
}

/// What a recording was.
#[derive(Debug)]
pub struct Summary {
    /// Duration of the video.
    pub duration_ms: u64,
    /// Of that, before the event.
    pub prebuffer_ms: Option<i64>,
    /// From `open` to the initialization.
    pub open_to_init_ms: Option<u64>,
    /// From `open` to the end of the first fragment.
    pub open_to_first_fragment_ms: Option<u64>,
    /// Fragments without the initialization.
    pub fragments: u64,
    /// Bytes with the initialization.
    pub bytes: u64,
    /// Codec of the video, as in RFC 6381.
    pub video_codec: Option<String>,
    /// Codec of the sound, as in RFC 6381.
    pub audio_codec: Option<String>,
    /// What was found.
    pub findings: Findings,
}

impl Checker {
    /// Of a recording from a file: times of arrival mean nothing.
    #[must_use]
    pub fn offline(wanted: Wanted) -> Self {
        Self {
            wanted,
            times: None,
            init: None,
            video: None,
            audio: None,
            moof: None,
            clock: None,
            start: None,
            start_by_arrival: None,
            last_arrival: None,
            open_to_init_ms: None,
            open_to_first_fragment_ms: None,
            fragments: 0,
            bytes: 0,
            findings: Findings::default(),
        }
    }

    /// Of a stream `opened` because of an `event`.
    #[must_use]
    pub fn live(wanted: Wanted, opened: Stamp, event: Stamp) -> Self {
        Self {
            times: Some(Times { opened, event }),
            ..Self::offline(wanted)
        }
    }

    /// The stream was asked for only now.
    pub fn opened(&mut self, opened: Stamp) {
        if let Some(times) = &mut self.times {
            times.opened = opened;
        }
    }

    /// Fragments so far.
    #[must_use]
    pub fn fragments(&self) -> u64 {
        self.fragments
    }

    /// An initialization came.
    pub fn init(&mut self, sequence: u64, bytes: &[u8], stamp: Stamp) {
        self.arrived(stamp);
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        if self.init.is_some() {
            let what = format!("number {sequence} is a second initialization");
            self.findings.add(Rule::OneInit, what);
            return;
        }
        if sequence != 1 || self.fragments > 0 {
            let what = format!("the initialization is number {sequence}");
            self.findings.add(Rule::InitFirst, what);
        }
        self.open_to_init_ms = self.times.map(|t| stamp.ms_since(t.opened));
        let init = Init::read(bytes, &self.wanted, &mut self.findings);
        self.video = init.video.as_ref().map(|t| Timeline::new(t, true));
        self.audio = init.audio.as_ref().map(|t| Timeline::new(t, false));
        self.init = Some(init);
    }

    /// A fragment came; `end` when it is the last.
    pub fn fragment(&mut self, sequence: u64, bytes: &[u8], end: bool, stamp: Stamp) {
        self.arrived(stamp);
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        self.fragments += 1;
        if self.fragments == 1 {
            self.first_fragment(stamp);
        }
        let Some(init) = &self.init else {
            let what = format!("number {sequence} came before any initialization");
            self.findings.add(Rule::InitFirst, what);
            return;
        };
        let name = format!("number {sequence}");
        for group in fragment::read(&name, bytes, init, &mut self.findings) {
            self.group(&name, &group, end, stamp);
        }
    }

    fn first_fragment(&mut self, stamp: Stamp) {
        let Some(times) = self.times else { return };
        let ms = stamp.ms_since(times.opened);
        self.open_to_first_fragment_ms = Some(ms);
        if u128::from(ms) > PATIENCE.as_millis() {
            let what = format!("the first fragment came {ms} ms after open");
            self.findings.add(Rule::FirstData, what);
        }
    }

    fn arrived(&mut self, stamp: Stamp) {
        let Some(last) = self.last_arrival.replace(stamp) else {
            return;
        };
        let ms = stamp.ms_since(last);
        if self.fragments > 0 && u128::from(ms) > PATIENCE.as_millis() {
            let what = format!("{ms} ms passed between fragments");
            self.findings.add(Rule::FragmentGap, what);
        }
    }

    fn group(&mut self, name: &str, group: &Group, end: bool, stamp: Stamp) {
        self.check_sequence(name, group.moof.sequence);
        let runs = &group.moof.runs;
        let of = |track: Option<u32>| runs.iter().find(|r| Some(r.track) == track);
        let (video, audio) = self.init.as_ref().map_or((None, None), |i| {
            let id = |t: &super::init::Track| t.id;
            (of(i.video.as_ref().map(id)), of(i.audio.as_ref().map(id)))
        });
        self.check_apart(name, video, audio);
        if let (Some(line), Some(run)) = (&mut self.video, video) {
            line.run(name, run, &mut self.findings);
            self.check_duration(name, run, end);
        }
        if let (Some(line), Some(run)) = (&mut self.audio, audio) {
            line.run(name, run, &mut self.findings);
        }
        if let Some(clock) = &group.clock {
            self.check_clock(name, clock, stamp);
        }
        let ended = self.video.as_ref().map(Timeline::end_micros);
        let start = ended.map(|end| stamp.micros().saturating_sub(end));
        self.start_by_arrival = match (self.start_by_arrival, start) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }

    fn check_sequence(&mut self, name: &str, sequence: u32) {
        if let Some(last) = self.moof.replace(sequence) {
            if sequence <= last {
                let what = format!("{name}: moof {sequence} follows {last}");
                self.findings.add(Rule::FragmentSequence, what);
            }
        }
    }

    fn check_apart(&mut self, name: &str, video: Option<&Run>, audio: Option<&Run>) {
        let at = |line: &Option<Timeline>, run: Option<&Run>| {
            Some(line.as_ref()?.micros(run?.decode_time?))
        };
        let both = (at(&self.video, video), at(&self.audio, audio));
        if let (Some(video), Some(audio)) = both {
            let ms = (audio - video) / 1000;
            if (audio - video).abs() > APART_MICROS {
                let what = format!("{name}: sound starts {ms} ms after the picture");
                self.findings.add(Rule::AvOffset, what);
            }
        }
    }

    fn check_duration(&mut self, name: &str, run: &Run, end: bool) {
        let Some(line) = &self.video else { return };
        let longest = run.samples.iter().map(|s| s.duration).max().unwrap_or(0);
        let (ms, frame) = (line.ms(run.duration()), line.ms(longest.into()));
        let allowed = u64::try_from(self.wanted.fragment.as_millis()).unwrap_or(u64::MAX);
        if ms > allowed.saturating_add(frame.min(100)) {
            let what = format!("{name} lasts {ms} ms, {allowed} ms were selected");
            self.findings.add(Rule::FragmentDuration, what);
        }
        if ms < SHORT_MS && !end {
            let what = format!("{name} lasts only {ms} ms");
            self.findings.add(Rule::ShortFragment, what);
        }
    }

    fn check_clock(&mut self, name: &str, clock: &Clock, stamp: Stamp) {
        let Some(init) = &self.init else { return };
        let Some(track) = init.track(clock.track) else {
            return;
        };
        let scale = u128::from(track.timescale);
        let media = u128::from(clock.media_time) * 1_000_000 / scale;
        let media = i64::try_from(media).unwrap_or(i64::MAX);
        let wall = ntp_micros(clock.ntp);
        self.start.get_or_insert(wall.saturating_sub(media));
        if let Some((last_wall, last_media)) = self.clock.replace((wall, media)) {
            let step = wall.saturating_sub(last_wall);
            let apart = step.saturating_sub(media.saturating_sub(last_media));
            if apart.saturating_abs() > STEP_MICROS {
                let ms = apart / 1000;
                let what =
                    format!("{name}: the clock of prft jumps by {ms} ms against decode times");
                self.findings.add(Rule::PrftSteps, what);
            }
        }
        self.check_age(name, wall, stamp);
    }

    fn check_age(&mut self, name: &str, wall: i64, stamp: Stamp) {
        if self.times.is_none() {
            return;
        }
        let age = stamp.micros().saturating_sub(wall);
        let oldest = self.wanted.prebuffer.unwrap_or_default() + 2 * self.wanted.fragment + OLD;
        let oldest = i64::try_from(oldest.as_micros()).unwrap_or(i64::MAX);
        let ms = age / 1000;
        if age < -FUTURE_MICROS {
            let what = format!("{name}: prft is {} ms in the future", -ms);
            self.findings.add(Rule::PrftClock, what);
        } else if age > oldest {
            let what = format!("{name}: prft was {ms} ms ago when it came");
            self.findings.add(Rule::PrftClock, what);
        }
    }

    /// The recording is over.
    #[must_use]
    pub fn finish(mut self) -> Summary {
        let prebuffer_ms = self.prebuffer();
        self.check_rates();
        let codec = |track: Option<&super::init::Track>| track.map(|t| t.codec.rfc6381());
        let init = self.init.as_ref();
        Summary {
            duration_ms: self.video.as_ref().map_or(0, Timeline::duration_ms),
            prebuffer_ms,
            open_to_init_ms: self.open_to_init_ms,
            open_to_first_fragment_ms: self.open_to_first_fragment_ms,
            fragments: self.fragments,
            bytes: self.bytes,
            video_codec: codec(init.and_then(|i| i.video.as_ref())),
            audio_codec: codec(init.and_then(|i| i.audio.as_ref())),
            findings: self.findings,
        }
    }

    fn prebuffer(&mut self) -> Option<i64> {
        let event = self.times?.event.micros();
        let start = self.start.or(self.start_by_arrival)?;
        let ms = event.saturating_sub(start) / 1000;
        if self.start.is_none() {
            self.findings.add(
                Rule::Prebuffer,
                "prebuffer_ms is estimated from when fragments came, for want of prft",
            );
        }
        let needed = self.wanted.prebuffer?.as_millis();
        let needed = i64::try_from(needed).unwrap_or(i64::MAX);
        if ms < needed - EVENT_MS {
            let what = format!("the recording starts {ms} ms before the event instead of {needed}");
            self.findings.add(Rule::Prebuffer, what);
        }
        Some(ms)
    }

    fn check_rates(&mut self) {
        let (Some(line), Some(wanted)) = (&self.video, self.wanted.video) else {
            return;
        };
        let ms = line.duration_ms();
        if ms < 1000 {
            return;
        }
        let fps = line.samples as f64 * 1000.0 / ms as f64;
        if fps > f64::from(wanted.fps) * 1.1 + 0.5 {
            let what = format!("{fps:.1} pictures a second, {} selected", wanted.fps);
            self.findings.add(Rule::FrameRate, what);
        }
        let kbps = line.bytes.saturating_mul(8) / ms;
        if kbps > u64::from(wanted.kbps) * 2 + 200 {
            let what = format!("{kbps} kbit/s, {} selected", wanted.kbps);
            self.findings.add(Rule::Bitrate, what);
        }
    }
}
