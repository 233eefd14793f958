//! Motion and Occupancy: what the sources see, held so that it can neither be missed nor become a flood.

use std::time::{Duration, Instant};

/// A state that turns true at once, and false only when it was false for a while.
#[derive(Debug)]
pub(crate) struct Sensor {
    hold: Duration,
    /// What the source says now.
    detected: bool,
    /// Reads true until then, even when nothing is detected any more.
    held_until: Option<Instant>,
    /// Sees nothing while the camera is switched off.
    enabled: bool,
}

impl Sensor {
    pub(crate) const fn new(hold: Duration) -> Self {
        Self {
            hold,
            detected: false,
            held_until: None,
            enabled: true,
        }
    }

    pub(crate) fn set(&mut self, detected: bool, now: Instant) {
        if detected || self.detected {
            self.hold_from(now);
        }
        self.detected = detected;
    }

    /// Reads true for the time of the hold, whatever the source says.
    pub(crate) fn pulse(&mut self, now: Instant) {
        self.hold_from(now);
    }

    fn hold_from(&mut self, now: Instant) {
        if self.enabled {
            self.held_until = Some(now + self.hold);
        }
    }

    /// The camera is switched on or off. What was held is forgotten; what lasts is seen again.
    pub(crate) fn set_enabled(&mut self, enabled: bool) {
        self.enabled = enabled;
        if !enabled {
            self.held_until = None;
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.held_until.filter(|_| !self.detected)
    }

    pub(crate) fn timeout(&mut self, now: Instant) {
        if self.deadline().is_some_and(|at| at <= now) {
            self.held_until = None;
        }
    }

    /// What the characteristic reads.
    pub(crate) fn reported(&self) -> bool {
        self.enabled && (self.detected || self.held_until.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLD: Duration = Duration::from_secs(10);

    #[test]
    fn true_at_once_and_false_after_the_hold() {
        let (mut sensor, start) = (Sensor::new(HOLD), Instant::now());
        sensor.set(true, start);
        assert!(sensor.reported());
        assert_eq!(sensor.deadline(), None, "lasts as long as it is seen");
        let end = start + Duration::from_secs(5);
        sensor.set(false, end);
        assert_eq!(sensor.deadline(), Some(end + HOLD));
        sensor.timeout(end + HOLD - Duration::from_millis(1));
        assert!(sensor.reported());
        sensor.timeout(end + HOLD);
        assert!(!sensor.reported() && sensor.deadline().is_none());
    }

    #[test]
    fn repeated_false_does_not_hold_longer() {
        let (mut sensor, start) = (Sensor::new(HOLD), Instant::now());
        sensor.set(false, start);
        assert!(!sensor.reported());
        sensor.set(true, start);
        sensor.set(false, start);
        sensor.set(false, start + HOLD / 2);
        assert_eq!(sensor.deadline(), Some(start + HOLD));
    }

    #[test]
    fn switched_off_it_sees_nothing_but_what_lasts_is_seen_again() {
        let (mut sensor, now) = (Sensor::new(HOLD), Instant::now());
        sensor.set(true, now);
        sensor.set_enabled(false);
        assert!(!sensor.reported());
        sensor.pulse(now);
        sensor.set_enabled(true);
        assert!(sensor.reported());
        sensor.set_enabled(false);
        sensor.set(false, now);
        sensor.set_enabled(true);
        assert!(!sensor.reported() && sensor.deadline().is_none());
    }

    #[test]
    fn without_a_hold_the_end_is_due_at_once() {
        let (mut sensor, now) = (Sensor::new(Duration::ZERO), Instant::now());
        sensor.set(true, now);
        sensor.set(false, now);
        sensor.timeout(now);
        assert!(!sensor.reported());
    }
}
