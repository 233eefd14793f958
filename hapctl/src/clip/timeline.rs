//! The times of one track from fragment to fragment.

use super::init::Track;
use super::rule::{Findings, Rule};
use super::samples::Run;

/// Sound may start this much after the picture: it cannot be cut anywhere.
const LATE_SOUND_MS: u64 = 100;

/// What a track has had so far.
#[derive(Debug)]
pub(crate) struct Timeline {
    timescale: u32,
    video: bool,
    codec: String,
    /// Where the next fragment starts.
    next: Option<u64>,
    last_duration: u32,
    /// Duration of all samples.
    ticks: u64,
    pub samples: u64,
    pub bytes: u64,
}

impl Timeline {
    pub(crate) fn new(track: &Track, video: bool) -> Self {
        Self {
            timescale: track.timescale,
            video,
            codec: track.codec.name().to_owned(),
            next: None,
            last_duration: 0,
            ticks: 0,
            samples: 0,
            bytes: 0,
        }
    }

    /// `ticks` of this track in milliseconds.
    pub(crate) fn ms(&self, ticks: u64) -> u64 {
        let ms = u128::from(ticks) * 1000 / u128::from(self.timescale.max(1));
        u64::try_from(ms).unwrap_or(u64::MAX)
    }

    /// `ticks` of this track in microseconds.
    pub(crate) fn micros(&self, ticks: u64) -> i64 {
        let micros = u128::from(ticks) * 1_000_000 / u128::from(self.timescale.max(1));
        i64::try_from(micros).unwrap_or(i64::MAX)
    }

    /// Duration of all samples.
    pub(crate) fn duration_ms(&self) -> u64 {
        self.ms(self.ticks)
    }

    /// Where the last fragment ended, in microseconds.
    pub(crate) fn end_micros(&self) -> i64 {
        self.micros(self.next.unwrap_or(0))
    }

    /// Takes the samples of a fragment.
    pub(crate) fn run(&mut self, name: &str, run: &Run, findings: &mut Findings) {
        let start = self.start(name, run, findings);
        if let Some(zero) = run.samples.iter().position(|s| s.duration == 0) {
            let codec = &self.codec;
            findings.add(
                Rule::DecodeTimeGap,
                format!("{name}: sample {zero} of {codec} has no duration"),
            );
        }
        let duration = run.duration();
        self.next = Some(start.saturating_add(duration));
        self.ticks = self.ticks.saturating_add(duration);
        self.samples += run.samples.len() as u64;
        let lengths = run.samples.iter().map(|s| s.data.len() as u64);
        self.bytes = self.bytes.saturating_add(lengths.sum());
        self.last_duration = run.samples.last().map_or(0, |s| s.duration);
    }

    fn start(&self, name: &str, run: &Run, findings: &mut Findings) -> u64 {
        let due = self.next.unwrap_or(0);
        let Some(start) = run.decode_time else {
            let codec = &self.codec;
            findings.add(
                Rule::DecodeTimeStart,
                format!("{name}: {codec} has no decode time"),
            );
            return due;
        };
        match self.next {
            None => self.check_first(name, start, run, findings),
            Some(due) => self.check_next(name, start, due, findings),
        }
        start
    }

    fn check_first(&self, name: &str, start: u64, run: &Run, findings: &mut Findings) {
        let frame = run.samples.first().map_or(0, |s| s.duration);
        let late = LATE_SOUND_MS.max(self.ms(frame.into()) * 2);
        let ms = self.ms(start);
        if (self.video && start != 0) || (!self.video && ms > late) {
            let codec = &self.codec;
            findings.add(
                Rule::DecodeTimeStart,
                format!("{name}: {codec} starts at {ms} ms instead of 0"),
            );
        }
    }

    fn check_next(&self, name: &str, start: u64, due: u64, findings: &mut Findings) {
        let apart = start.abs_diff(due);
        if apart > u64::from(self.last_duration) {
            let (ms, codec) = (self.ms(apart), &self.codec);
            let what = if start > due { "a gap" } else { "an overlap" };
            findings.add(
                Rule::DecodeTimeGap,
                format!("{name}: {what} of {ms} ms in {codec}"),
            );
        }
    }
}
