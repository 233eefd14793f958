//! When to ask for a key frame after losses, as a viewer with PLI does.

use std::time::{Duration, Instant};

use crate::feedback::Cause;

/// A request without a whole key frame after it is repeated after this long.
const RETRY: Duration = Duration::from_millis(100);

/// From the first packet missing to the next whole key frame the picture is broken.
#[derive(Debug, Default)]
pub struct Recovery {
    outage: Option<Outage>,
    /// How long pictures were broken after the request, in ms.
    pub times: Vec<f64>,
}

#[derive(Debug, Clone, Copy)]
struct Outage {
    since: Instant,
    asked: Instant,
}

impl Recovery {
    /// A packet is missing at `now`: whether to ask.
    pub fn lost(&mut self, now: Instant) -> Option<Cause> {
        if self.outage.is_some() {
            return None;
        }
        self.outage = Some(Outage {
            since: now,
            asked: now,
        });
        Some(Cause::Loss)
    }

    /// A key frame whose packets came from `began` to `ended`: whether to ask again at `now`.
    pub fn key_frame(
        &mut self,
        began: Instant,
        ended: Instant,
        whole: bool,
        now: Instant,
    ) -> Option<Cause> {
        let outage = self.outage.as_mut()?;
        if whole {
            let broken = ended.saturating_duration_since(outage.since);
            self.times.push(broken.as_secs_f64() * 1000.0);
            self.outage = None;
            return None;
        }
        // One that was on its way when it was asked is not the answer.
        let answers = began >= outage.asked;
        answers.then(|| outage.ask_again(now))
    }

    /// When [`Recovery::timeout`] is due.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        Some(self.outage?.asked + RETRY)
    }

    /// Whether to ask again because nothing came.
    pub fn timeout(&mut self, now: Instant) -> Option<Cause> {
        let outage = self.outage.as_mut()?;
        (now >= outage.asked + RETRY).then(|| outage.ask_again(now))
    }
}

impl Outage {
    fn ask_again(&mut self, now: Instant) -> Cause {
        self.asked = now;
        Cause::Again
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_for_many_losses_until_a_whole_key_frame() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut recovery = Recovery::default();
        assert_eq!(recovery.lost(at(0)), Some(Cause::Loss));
        assert_eq!(recovery.lost(at(5)), None);
        assert_eq!(recovery.key_frame(at(20), at(30), true, at(30)), None);
        assert_eq!(recovery.times, [30.0]);
        assert_eq!(recovery.due(), None);
        assert_eq!(recovery.lost(at(40)), Some(Cause::Loss));
    }

    #[test]
    fn it_is_repeated_for_a_damaged_key_frame_and_for_none() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut recovery = Recovery::default();
        recovery.lost(at(10));
        assert_eq!(recovery.key_frame(at(5), at(15), false, at(15)), None);
        let again = Some(Cause::Again);
        assert_eq!(recovery.key_frame(at(20), at(30), false, at(31)), again);
        assert_eq!(recovery.timeout(at(130)), None);
        assert_eq!(recovery.due(), Some(at(131)));
        assert_eq!(recovery.timeout(at(131)), again);
        assert_eq!(recovery.key_frame(at(140), at(150), true, at(150)), None);
        assert_eq!(recovery.times, [140.0]);
    }
}
