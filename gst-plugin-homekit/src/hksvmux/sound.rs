//! The sound of a recording on its own timeline, in sync with the pictures.

use std::collections::VecDeque;

/// So many frames wait for the first key frame at most; older ones go.
const MAX_WAITING: usize = 4096;

/// AAC frames that wait for the fragment they belong to.
///
/// Each frame lasts as long as it has samples; where the times of the source differ from that by more
/// than a frame, there is a gap, or a frame is left out.
#[derive(Debug)]
pub(super) struct Sound<T> {
    rate: u64,
    waiting: VecDeque<Frame<T>>,
    /// Running time where the newest frame ends.
    heard: Option<u64>,
    ended: bool,
    /// Where the next frame goes, in samples since the first key frame.
    position: Option<u64>,
    /// What the first frame was moved by so that the track begins at zero, in samples.
    shift: i64,
    left_out: u64,
}

#[derive(Debug)]
struct Frame<T> {
    pts: u64,
    samples: u64,
    data: T,
}

/// A frame with its place on the timeline.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Placed<T> {
    /// In samples since the first key frame.
    pub(super) position: u64,
    pub(super) samples: u64,
    pub(super) data: T,
}

impl<T> Sound<T> {
    /// `rate` in samples per second.
    pub(super) fn new(rate: u32) -> Self {
        Self {
            rate: u64::from(rate.max(1)),
            waiting: VecDeque::new(),
            heard: None,
            ended: false,
            position: None,
            shift: 0,
            left_out: 0,
        }
    }

    /// Frames that were not taken: too early, or on top of others.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }

    /// A frame that begins at running time `pts`.
    pub(super) fn push(&mut self, pts: u64, samples: u64, data: T) {
        if self.waiting.len() == MAX_WAITING {
            self.waiting.pop_front();
            self.left_out += 1;
        }
        self.heard = Some(pts + samples * 1_000_000_000 / self.rate);
        self.waiting.push_back(Frame { pts, samples, data });
    }

    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// Whether all that begins before running time `until` is here.
    pub(super) fn is_complete(&self, until: u64) -> bool {
        // A frame's end is rounded down.
        self.ended || self.heard.is_some_and(|heard| heard + 1 >= until)
    }

    /// Takes what begins before running time `until`; `zero` is where the timeline begins.
    pub(super) fn take(&mut self, zero: u64, until: u64) -> Vec<Placed<T>> {
        let mut placed = Vec::new();
        while self.waiting.front().is_some_and(|frame| frame.pts < until) {
            let Some(frame) = self.waiting.pop_front() else {
                break;
            };
            match self.place(zero, &frame) {
                Some(position) => placed.push(Placed {
                    position,
                    samples: frame.samples,
                    data: frame.data,
                }),
                None => self.left_out += 1,
            }
        }
        placed
    }

    fn place(&mut self, zero: u64, frame: &Frame<T>) -> Option<u64> {
        let time = self.samples_since(zero, frame.pts);
        let samples = i64::try_from(frame.samples).ok()?;
        let position = match self.position {
            None => self.place_first(time, samples)?,
            Some(expected) => {
                let expected_time = i64::try_from(expected).ok()?;
                let ahead = time + self.shift - expected_time;
                if ahead < -samples {
                    return None;
                }
                let gap = if ahead > samples { ahead } else { 0 };
                expected + u64::try_from(gap).ok()?
            }
        };
        self.position = Some(position + frame.samples);
        Some(position)
    }

    /// The frame nearest to the first picture goes to zero, since both tracks begin there; sound that
    /// begins later stays where it is.
    fn place_first(&mut self, time: i64, samples: i64) -> Option<u64> {
        if time < -samples / 2 {
            return None;
        }
        let position = if time < samples { 0 } else { time };
        self.shift = position - time;
        u64::try_from(position).ok()
    }

    fn samples_since(&self, zero: u64, pts: u64) -> i64 {
        let distance = i128::from(pts) - i128::from(zero);
        let scaled = distance * i128::from(self.rate);
        let rounded = (scaled + 500_000_000).div_euclid(1_000_000_000);
        i64::try_from(rounded).unwrap_or(i64::MAX / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 64 ms each.
    const RATE: u32 = 16_000;

    fn feed(sound: &mut Sound<()>, milliseconds: impl IntoIterator<Item = u64>) {
        for time in milliseconds {
            sound.push(time * 1_000_000, 1024, ());
        }
    }

    fn positions(placed: &[Placed<()>]) -> Vec<u64> {
        placed.iter().map(|placed| placed.position).collect()
    }

    #[test]
    fn the_nearest_frame_begins_the_track_and_earlier_ones_go() {
        let mut sound = Sound::new(RATE);
        feed(&mut sound, (0..10).map(|n| n * 64));
        // 150 ms lies between frames 2 (128) and 3 (192): the former is nearer.
        let placed = sound.take(150_000_000, 400_000_000);
        assert_eq!(positions(&placed), [0, 1024, 2048, 3072, 4096]);
        assert_eq!(sound.left_out(), 2);
    }

    #[test]
    fn sound_that_begins_later_keeps_its_place() {
        let mut sound = Sound::new(RATE);
        feed(&mut sound, [1000, 1064]);
        assert_eq!(positions(&sound.take(0, 2_000_000_000)), [16_000, 17_024]);
    }

    #[test]
    fn a_gap_stays_a_gap_and_jitter_does_not() {
        let mut sound = Sound::new(RATE);
        feed(&mut sound, [0, 70, 120, 192, 1000, 1064]);
        let placed = sound.take(0, u64::MAX);
        assert_eq!(positions(&placed), [0, 1024, 2048, 3072, 16_000, 17_024]);
    }

    #[test]
    fn frames_on_top_of_others_are_left_out() {
        let mut sound = Sound::new(RATE);
        feed(&mut sound, [0, 64, 128, 0, 64, 192]);
        assert_eq!(positions(&sound.take(0, u64::MAX)), [0, 1024, 2048, 3072]);
        assert_eq!(sound.left_out(), 2);
    }

    #[test]
    fn complete_once_heard_so_far_or_ended() {
        let mut sound = Sound::new(RATE);
        assert!(!sound.is_complete(100));
        feed(&mut sound, [0]);
        assert!(sound.is_complete(64_000_000));
        assert!(!sound.is_complete(65_000_000));
        sound.end();
        assert!(sound.is_complete(u64::MAX));
    }

    #[test]
    fn what_waits_for_the_first_key_frame_is_bounded() {
        let mut sound = Sound::new(RATE);
        feed(&mut sound, (0..MAX_WAITING as u64 + 10).map(|n| n * 64));
        assert_eq!(sound.waiting.len(), MAX_WAITING);
        assert_eq!(sound.left_out(), 10);
    }
}
