//! Timestamps that go on.

/// Makes the times of one stream go on, whatever its source does.
///
/// Cameras correct their clocks, repeat timestamps, and begin again at zero after a hiccup. What reads the stream later
/// relies on times that grow and stay near the present.
#[derive(Debug, Default)]
pub struct Continuity {
    /// Added to the times of the source, in nanoseconds.
    shift: i64,
    last: Option<gst::ClockTime>,
    jumps: u64,
    /// Small steps back are an order of frames, not a fault.
    any_order: bool,
}

impl Continuity {
    /// Least distance of two frames.
    const STEP: gst::ClockTime = gst::ClockTime::from_mseconds(1);
    /// A step back up to this is a correction of the clock: the source comes back to the old time by itself.
    const CORRECTION: gst::ClockTime = gst::ClockTime::from_mseconds(500);
    /// How far times may lie ahead of the present, and behind it.
    const AHEAD: gst::ClockTime = gst::ClockTime::from_mseconds(500);
    const BEHIND: gst::ClockTime = gst::ClockTime::from_seconds(10);

    /// For streams whose frames may come in another order than they are shown: small steps back stay as they are.
    pub fn of_any_order() -> Self {
        Self {
            any_order: true,
            ..Self::default()
        }
    }

    /// The time under which a frame goes on that its source calls `time`, and that came `now`. Without `now`, for sources
    /// that run as fast as they can, the present is no measure.
    pub fn follow(&mut self, time: gst::ClockTime, now: Option<gst::ClockTime>) -> gst::ClockTime {
        let mut mapped = self.shifted(time);
        let earliest = self.last.map(|last| last + Self::STEP);
        let back = earliest.map_or(gst::ClockTime::ZERO, |e| e.saturating_sub(mapped));
        let astray =
            now.is_some_and(|now| mapped > now + Self::AHEAD || mapped + Self::BEHIND < now);
        if astray || back > Self::CORRECTION {
            let present = now.unwrap_or_default();
            mapped = earliest.map_or(present, |earliest| earliest.max(present));
            self.shift = distance(time, mapped);
            self.jumps += 1;
        } else if let Some(earliest) = earliest.filter(|_| !self.any_order) {
            mapped = mapped.max(earliest);
        }
        self.last = self.last.max(Some(mapped));
        mapped
    }

    /// How often the source left its time line.
    pub fn jumps(&self) -> u64 {
        self.jumps
    }

    fn shifted(&self, time: gst::ClockTime) -> gst::ClockTime {
        let shifted = time.nseconds().saturating_add_signed(self.shift);
        gst::ClockTime::from_nseconds(shifted.min(gst::ClockTime::MAX.nseconds()))
    }
}

/// From `a` to `b` in nanoseconds.
fn distance(a: gst::ClockTime, b: gst::ClockTime) -> i64 {
    // Neither is above i64::MAX but for hostile input, which comes out wrong, and is corrected with the next frame.
    b.nseconds().wrapping_sub(a.nseconds()) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(time: u64) -> gst::ClockTime {
        gst::ClockTime::from_mseconds(time)
    }

    fn followed(times: &[(u64, u64)]) -> Vec<u64> {
        let mut continuity = Continuity::default();
        let follow = |&(time, now)| continuity.follow(ms(time), Some(ms(now))).mseconds();
        times.iter().map(follow).collect()
    }

    #[test]
    fn a_steady_source_is_left_alone() {
        let times = [(1000, 1010), (1033, 1043), (1067, 1090), (3000, 3010)];
        assert_eq!(followed(&times), [1000, 1033, 1067, 3000]);
    }

    #[test]
    fn repeated_and_corrected_times_still_grow() {
        let times = [
            (1000, 1000),
            (1000, 1033),
            (970, 1066),
            (1003, 1100),
            (1036, 1133),
        ];
        assert_eq!(followed(&times), [1000, 1001, 1002, 1003, 1036]);
    }

    #[test]
    fn after_a_jump_the_present_is_the_measure() {
        let back = [(9000, 9000), (0, 9033), (33, 9066)];
        assert_eq!(followed(&back), [9000, 9033, 9066]);
        let ahead = [(9000, 9000), (99_000, 9033), (99_033, 9066)];
        assert_eq!(followed(&ahead), [9000, 9033, 9066]);
        let behind = [(0, 60_000), (33, 60_033)];
        assert_eq!(followed(&behind), [60_000, 60_033]);
    }

    #[test]
    fn without_a_present_the_time_before_is_the_measure() {
        let mut continuity = Continuity::default();
        let times = [5000, 5033, 0, 33];
        let followed = times.map(|time| continuity.follow(ms(time), None).mseconds());
        assert_eq!(followed, [5000, 5033, 5034, 5067]);
        assert_eq!(continuity.jumps(), 1);
    }

    #[test]
    fn frames_in_another_order_keep_it() {
        let mut continuity = Continuity::of_any_order();
        let times = [1000, 1100, 1033, 1066, 100, 133];
        let followed = times.map(|time| continuity.follow(ms(time), None).mseconds());
        assert_eq!(followed, [1000, 1100, 1033, 1066, 1101, 1134]);
    }

    proptest! {
        #[test]
        fn times_grow_whatever_comes(times in prop::collection::vec((any::<u64>(), 0u64..1 << 50), 1..100)) {
            let mut continuity = Continuity::default();
            let mut last = None;
            for (time, now) in times {
                let time = gst::ClockTime::from_nseconds(time.min(u64::MAX - 1));
                let mapped = continuity.follow(time, Some(gst::ClockTime::from_nseconds(now)));
                prop_assert!(last.is_none_or(|last| mapped > last));
                last = Some(mapped);
            }
        }
    }
}
