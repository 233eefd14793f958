//! One instant, by each clock that matters.

use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rtp_feedback::NtpTime;

/// The present: by the monotonic clock, the wall clock and the pipeline.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) now: Instant,
    pub(crate) ntp: NtpTime,
    /// Running time of the pipeline; `None` while it has no clock.
    pub(crate) running_time: Option<Duration>,
}

/// Two clocks that are read further apart than this are read again: reports would carry the error.
const MAX_SKEW: Duration = Duration::from_micros(200);

const MAX_READINGS: usize = 5;

impl Moment {
    /// The present, with the running time that `running_time` reads.
    pub(crate) fn present(running_time: impl Fn() -> Option<gst::ClockTime>) -> Self {
        let read = |_| {
            let before = Instant::now();
            let running_time = running_time();
            (before.elapsed(), before, running_time)
        };
        let mut reading = read(0);
        if reading.0 > MAX_SKEW {
            // Another thread had its turn in between: the closest of some more readings.
            let more = (1..MAX_READINGS).map(read);
            reading = more.fold(
                reading,
                |best, next| if next.0 < best.0 { next } else { best },
            );
        }
        let (_, now, running_time) = reading;
        Self {
            now,
            ntp: NtpTime::from_unix(wall_clock(now)),
            running_time: running_time.map(Into::into),
        }
    }
}

/// Time since 1970 by a clock that all sinks of the process share and nobody sets.
///
/// Lip-sync needs the sender reports of audio and video on one time line; a wall clock that is set
/// between two of them would pull the streams apart.
fn wall_clock(now: Instant) -> Duration {
    static ORIGIN: LazyLock<(Instant, Duration)> = LazyLock::new(|| {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        (Instant::now(), since_1970.unwrap_or_default())
    });
    let (start, since_1970) = *ORIGIN;
    match now.checked_duration_since(start) {
        Some(elapsed) => since_1970 + elapsed,
        None => since_1970.saturating_sub(start - now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_runs_evenly_from_the_time_of_day() {
        let now = Instant::now();
        let first = wall_clock(now);
        let second = wall_clock(now + Duration::from_secs(5));
        assert_eq!(second - first, Duration::from_secs(5));
        let today = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        assert!(today.abs_diff(first) < Duration::from_secs(60));
    }
}
