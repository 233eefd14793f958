//! Keeps a flood of events out of the log: it is told once.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Events within [`WINDOW`] that are told one by one.
const BURST: u32 = 20;
const WINDOW: Duration = Duration::from_secs(10);

/// What to do with one event's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Log it.
    Tell,
    /// Say that the following ones are not logged.
    TellFlood,
    /// Nothing.
    Silent,
}

/// Counts one source's events at one camera.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    since: Option<Instant>,
    count: u32,
    flooded: bool,
}

impl Quiet {
    /// Judges one event. A flood is over when a whole window has had no more than a burst.
    pub(super) fn judge(&self, now: Instant) -> Verdict {
        let Ok(mut state) = self.state.lock() else {
            return Verdict::Silent;
        };
        let age = state
            .since
            .map(|since| now.saturating_duration_since(since));
        if age.is_none_or(|age| age >= WINDOW) {
            // One event at the start of a window tells nothing about the window before, unless that one had few.
            state.flooded &= state.count > BURST && age.is_some_and(|age| age < WINDOW * 2);
            state.since = Some(now);
            state.count = 0;
        }
        state.count = state.count.saturating_add(1);
        match (state.flooded, state.count > BURST) {
            (true, _) => Verdict::Silent,
            (false, true) => {
                state.flooded = true;
                Verdict::TellFlood
            }
            (false, false) => Verdict::Tell,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(quiet: &Quiet, start: Instant, every: Duration, count: u32) -> (usize, usize) {
        let verdicts: Vec<_> = (0..count).map(|i| quiet.judge(start + every * i)).collect();
        let of = |v| verdicts.iter().filter(|w| **w == v).count();
        (of(Verdict::Tell), of(Verdict::TellFlood))
    }

    #[test]
    fn a_flood_is_told_once_however_long_it_lasts() {
        let quiet = Quiet::default();
        let flood = told(&quiet, Instant::now(), Duration::from_millis(50), 20 * 600);
        assert_eq!(flood, (BURST as usize, 1));
    }

    #[test]
    fn after_a_flood_events_are_told_again() {
        let (quiet, start) = (Quiet::default(), Instant::now());
        told(&quiet, start, Duration::from_millis(50), 1000);
        let later = start + Duration::from_secs(120);
        assert_eq!(told(&quiet, later, Duration::from_secs(2), 30), (30, 0));
    }

    #[test]
    fn a_busy_street_is_told_event_by_event() {
        let quiet = Quiet::default();
        assert_eq!(
            told(&quiet, Instant::now(), Duration::from_secs(1), 500),
            (500, 0)
        );
    }
}
