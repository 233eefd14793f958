//! RTP timestamps from running times.

use std::time::Duration;

/// Maps running time to the media clock of one stream.
///
/// The mapping has one random offset for the life of a stream, whatever encoder or size comes: a
/// reconfigured stream goes on without a jump (HAP R1 §11.4.3).
#[derive(Debug)]
pub(crate) struct Timeline {
    clock_rate: u32,
    offset: u32,
    /// Timestamp that continues the audio sent so far.
    next: Option<u32>,
    /// How far the timestamps sent are ahead of the running time, smoothed, in 1/16 units.
    ahead: i64,
}

/// Audio timestamps count samples and so differ from the running time; by more than this the
/// stream has a gap, and they jump; where that would be back, there is too much sound.
const MAX_DEVIATION: Duration = Duration::from_millis(100);

/// Times that go back by more than this begin anew.
const MAX_EXCESS: Duration = Duration::from_secs(2);

impl Timeline {
    /// A media clock of `clock_rate` Hz that shows `offset` at running time zero.
    pub(crate) fn new(clock_rate: u32, offset: u32) -> Self {
        Self {
            clock_rate,
            offset,
            next: None,
            ahead: 0,
        }
    }

    pub(crate) fn clock_rate(&self) -> u32 {
        self.clock_rate
    }

    /// Timestamp of a picture that is shown at `time`.
    pub(crate) fn video(&self, time: Duration) -> u32 {
        self.nominal(time)
    }

    /// Timestamp of a packet whose first sample is heard at `time` and that plays for `duration`:
    /// exactly the end of the packet before it, unless there is a gap between them. `None` for one
    /// to be left out: what was sent lasts until well after it.
    pub(crate) fn audio(&mut self, time: Duration, duration: Duration) -> Option<u32> {
        let nominal = self.nominal(time);
        let timestamp = self.next.unwrap_or(nominal);
        let ahead = i64::from(timestamp.wrapping_sub(nominal) as i32);
        let [limit, excess] = [MAX_DEVIATION, MAX_EXCESS].map(|time| self.units(time) as i64);
        if ahead > limit && ahead <= excess {
            return None;
        }
        let timestamp = if ahead.abs() > limit {
            self.ahead = 0;
            nominal
        } else {
            self.ahead += ahead - self.ahead / 16;
            timestamp
        };
        self.next = Some(timestamp.wrapping_add(self.units(duration) as u32));
        Some(timestamp)
    }

    /// Timestamp that belongs to running time `time`, for sender reports.
    pub(crate) fn at(&self, time: Duration) -> u32 {
        self.nominal(time).wrapping_add((self.ahead / 16) as u32)
    }

    fn nominal(&self, time: Duration) -> u32 {
        self.offset.wrapping_add(self.units(time) as u32)
    }

    /// `time` in units of the media clock, rounded.
    fn units(&self, time: Duration) -> u64 {
        let scaled = time.as_nanos() * u128::from(self.clock_rate);
        ((scaled + 500_000_000) / 1_000_000_000) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn pictures_are_stamped_by_their_running_time() {
        let timeline = Timeline::new(90_000, 1000);
        assert_eq!(timeline.video(ms(0)), 1000);
        assert_eq!(timeline.video(Duration::from_nanos(33_333_333)), 4000);
        assert_eq!(timeline.at(ms(1000)), 91_000);
    }

    #[test]
    fn timestamps_wrap() {
        let timeline = Timeline::new(90_000, u32::MAX);
        assert_eq!(timeline.video(ms(1000)), 89_999);
        let day = Duration::from_secs(86_400);
        assert_eq!(timeline.video(day), (86_400u64 * 90_000 - 1) as u32);
    }

    #[test]
    fn audio_counts_samples_of_the_negotiated_clock() {
        for (clock_rate, step) in [(16_000, 960), (24_000, 1440), (48_000, 2880)] {
            let mut timeline = Timeline::new(clock_rate, 7);
            let stamps = [0, 61, 118, 180].map(|time| timeline.audio(ms(time), ms(60)));
            assert_eq!(stamps, [0, 1, 2, 3].map(|n| Some(7 + n * step)));
        }
    }

    #[test]
    fn a_gap_moves_audio_timestamps_on() {
        let mut timeline = Timeline::new(16_000, 0);
        assert_eq!(timeline.audio(ms(0), ms(20)), Some(0));
        assert_eq!(timeline.audio(ms(500), ms(20)), Some(8000));
        assert_eq!(timeline.audio(ms(520), ms(20)), Some(8320));
    }

    #[test]
    fn sound_that_comes_faster_than_it_plays_is_thinned_out_and_never_goes_back() {
        let mut timeline = Timeline::new(16_000, 0);
        let twice_as_fast = (0..500).map(|n| timeline.audio(ms(10 * n), ms(20)));
        let sent: Vec<u32> = twice_as_fast.flatten().collect();
        assert!(sent.windows(2).all(|pair| pair[1] == pair[0] + 320));
        assert!((250..260).contains(&sent.len()), "{}", sent.len());
        assert_eq!(timeline.audio(ms(4500), ms(20)), None);
        assert_eq!(timeline.audio(ms(100), ms(20)), Some(1600), "begins anew");
    }

    #[test]
    fn reports_follow_a_steady_deviation() {
        let mut timeline = Timeline::new(16_000, 0);
        timeline.audio(ms(0), ms(20));
        // The sound card runs 10 ms late for good.
        for n in 1..200 {
            timeline.audio(ms(20 * n + 10), ms(20));
        }
        let error = timeline.at(ms(5000)) as i32 - (5000 - 10) * 16;
        assert!(error.abs() <= 1, "{error}");
    }
}
