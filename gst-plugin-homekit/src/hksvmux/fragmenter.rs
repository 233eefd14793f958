//! Pictures and sound in, whole fragments out; no clock but the caller's.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::cut::{Cutter, Verdict};
use super::decode_times::{decode_times, is_reordered};
use super::sound::{Placed, Sound};

/// Timescale of the video track, as of RTP: what all usual frame rates divide.
pub(super) const VIDEO_TIMESCALE: u64 = 90_000;

/// Pictures that may wait for a key frame, over which the stream is given up: about 2 minutes.
const MAX_PICTURES: usize = 4096;

/// One access unit.
#[derive(Debug)]
pub(super) struct Picture<T> {
    /// Running time in nanoseconds.
    pub(super) pts: u64,
    pub(super) key: bool,
    pub(super) data: T,
}

/// A picture with its place on the timeline, in ticks since the first key frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sample<T> {
    pub(super) pts: u64,
    pub(super) dts: u64,
    pub(super) duration: u64,
    pub(super) key: bool,
    pub(super) data: T,
}

/// Begins with a key frame and holds all up to the next one it does not hold.
#[derive(Debug)]
pub(super) struct Fragment<V, A> {
    /// Running time of the key frame it begins with.
    pub(super) start: u64,
    pub(super) video: Vec<Sample<V>>,
    pub(super) audio: Vec<Placed<A>>,
}

impl<V, A> Fragment<V, A> {
    /// In ticks.
    pub(super) fn duration(&self) -> u64 {
        self.video.iter().map(|sample| sample.duration).sum()
    }
}

/// What no recording goes on with.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum StreamError {
    /// Memory would grow without end.
    #[error("no key frame among {MAX_PICTURES} pictures")]
    NoKeyFrame,
    /// A key frame is shown before the one before it.
    #[error("times of the pictures went back")]
    WentBack,
}

#[derive(Debug)]
pub(super) struct Fragmenter<V, A> {
    cutter: Cutter,
    /// How long a fragment waits for its sound.
    patience: Duration,
    /// Running time of the first key frame.
    zero: Option<u64>,
    newest_key: Option<u64>,
    under_way: Vec<Picture<V>>,
    closed: VecDeque<Closed<V>>,
    sound: Option<Sound<A>>,
    /// Where the last fragment ended, in ticks.
    position: u64,
}

#[derive(Debug)]
struct Closed<V> {
    pictures: Vec<Picture<V>>,
    /// Running time of the key frame after it.
    next_key: Option<u64>,
    since: Instant,
}

impl<V, A> Fragmenter<V, A> {
    /// Fragments last `limit` nanoseconds at most, where key frames allow.
    pub(super) fn new(limit: u64, patience: Duration) -> Self {
        Self {
            cutter: Cutter::new(limit),
            patience,
            zero: None,
            newest_key: None,
            under_way: Vec::new(),
            closed: VecDeque::new(),
            sound: None,
            position: 0,
        }
    }

    /// In nanoseconds, from the caps.
    pub(super) fn set_frame_interval(&mut self, interval: u64) {
        self.cutter.set_interval(interval);
    }

    /// Sound is to come; fragments wait for it.
    pub(super) fn set_sound(&mut self, sound: Option<Sound<A>>) {
        self.sound = sound;
    }

    pub(super) fn sound(&mut self) -> Option<&mut Sound<A>> {
        self.sound.as_mut()
    }

    pub(super) fn has_no_sound(&self) -> bool {
        self.sound.is_none()
    }

    /// Whether anything was taken yet.
    pub(super) fn has_begun(&self) -> bool {
        self.zero.is_some()
    }

    /// The next picture in decoding order.
    ///
    /// # Errors
    /// If the recording has to end before this picture.
    pub(super) fn picture(
        &mut self,
        picture: Picture<V>,
        now: Instant,
    ) -> Result<Verdict, StreamError> {
        if picture.key {
            let newest = self.newest_key.replace(picture.pts);
            if newest.is_some_and(|newest| newest > picture.pts) {
                return Err(StreamError::WentBack);
            }
        }
        let verdict = self.cutter.picture(picture.pts, picture.key);
        if self.zero.is_none() && picture.key {
            self.zero = Some(picture.pts);
        }
        // Before the first key frame, or shown before it and made from pictures nobody has.
        if self.zero.is_none_or(|zero| picture.pts < zero) {
            return Ok(verdict);
        }
        if verdict.before_newest_key {
            self.close_before_newest_key(now);
        }
        if verdict.before_this {
            self.close(Some(picture.pts), now);
        }
        if self.under_way.len() >= MAX_PICTURES {
            return Err(StreamError::NoKeyFrame);
        }
        self.under_way.push(picture);
        Ok(verdict)
    }

    fn close_before_newest_key(&mut self, now: Instant) {
        let newest = self.under_way.iter().rposition(|picture| picture.key);
        let Some(newest) = newest.filter(|newest| *newest > 0) else {
            return;
        };
        let rest = self.under_way.split_off(newest);
        let next_key = rest.first().map(|picture| picture.pts);
        self.close(next_key, now);
        self.under_way = rest;
    }

    fn close(&mut self, next_key: Option<u64>, now: Instant) {
        let pictures = std::mem::take(&mut self.under_way);
        if !pictures.is_empty() {
            self.closed.push_back(Closed {
                pictures,
                next_key,
                since: now,
            });
        }
    }

    /// No more pictures come: the fragment under way is the last one.
    pub(super) fn finish(&mut self, now: Instant) {
        self.close(None, now);
    }

    /// Whether a fragment is there, be it without its sound.
    pub(super) fn is_waiting(&self) -> bool {
        !self.closed.is_empty()
    }

    /// The next fragment, if its sound is there or was waited for long enough.
    pub(super) fn fragment(&mut self, now: Instant) -> Option<Fragment<V, A>> {
        let front = self.closed.front()?;
        let until = self.end_of(front);
        let patient = now < front.since + self.patience;
        let complete = self.sound.as_ref().is_none_or(|it| it.is_complete(until));
        if patient && !complete {
            return None;
        }
        let closed = self.closed.pop_front()?;
        Some(self.build(closed, until))
    }

    /// Running time up to which its sound goes.
    fn end_of(&self, closed: &Closed<V>) -> u64 {
        closed.next_key.unwrap_or_else(|| {
            let last = closed.pictures.iter().map(|picture| picture.pts).max();
            last.unwrap_or_default() + self.cutter.interval()
        })
    }

    fn build(&mut self, closed: Closed<V>, until: u64) -> Fragment<V, A> {
        let zero = self.zero.unwrap_or_default();
        let start = closed.pictures.first().map_or(0, |picture| picture.pts);
        let next_key = closed.next_key.map(|pts| ticks(zero, pts));
        let video = self.place(zero, closed.pictures, next_key);
        let sound = self.sound.as_mut().map(|sound| sound.take(zero, until));
        let audio = sound.unwrap_or_default();
        Fragment {
            start,
            video,
            audio,
        }
    }

    fn place(
        &mut self,
        zero: u64,
        pictures: Vec<Picture<V>>,
        next_key: Option<u64>,
    ) -> Vec<Sample<V>> {
        let pts: Vec<u64> = pictures.iter().map(|it| ticks(zero, it.pts)).collect();
        let times = decode_times(&pts, self.position);
        let dts: Vec<u64> = times.iter().map(|times| times.dts).collect();
        let end = self.end_in_ticks(&dts, is_reordered(&times), next_key);
        self.position = end;
        let ends = dts.iter().skip(1).copied().chain([end]);
        let samples = pictures.into_iter().zip(times).zip(ends);
        let sample =
            |((picture, times), end): ((Picture<V>, super::decode_times::Times), u64)| Sample {
                pts: times.pts,
                dts: times.dts,
                duration: end - times.dts,
                key: picture.key,
                data: picture.data,
            };
        samples.map(sample).collect()
    }

    /// The next key frame ends the last sample, but where pictures are reordered some may be shown
    /// before it.
    fn end_in_ticks(&self, dts: &[u64], reordered: bool, next_key: Option<u64>) -> u64 {
        let last = dts.last().copied().unwrap_or_default();
        let interval = ticks(0, self.cutter.interval());
        let usual = match dts {
            [.., before, last] => interval.min(last - before),
            _ => interval,
        };
        let expected = last + usual.max(1);
        match next_key {
            Some(next_key) if reordered => next_key.min(expected).max(last + 1),
            Some(next_key) => next_key.max(last + 1),
            None => expected,
        }
    }
}

/// Nanoseconds between two running times as ticks, rounded.
fn ticks(zero: u64, pts: u64) -> u64 {
    let distance = u128::from(pts.saturating_sub(zero));
    let ticks = (distance * u128::from(VIDEO_TIMESCALE) + 500_000_000) / 1_000_000_000;
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "fragmenter_tests.rs"]
mod tests;
