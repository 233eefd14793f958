//! The bitrate of the last seconds.

use std::time::{Duration, Instant};

/// Measures what passes, over spans that hold a key frame or two.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// When the present span began, and its bytes.
    span: Option<(Instant, u64)>,
    bitrate: u64,
}

const SPAN: Duration = Duration::from_secs(2);

impl Meter {
    /// As many bytes come at `now`.
    pub(crate) fn add(&mut self, bytes: usize, now: Instant) {
        let (start, sum) = self.span.get_or_insert((now, 0));
        let elapsed = now.saturating_duration_since(*start);
        if elapsed >= SPAN {
            self.bitrate = (*sum as f64 * 8.0 / elapsed.as_secs_f64()) as u64;
            (*start, *sum) = (now, 0);
        }
        *sum += bytes as u64;
    }

    /// Bit/s of the last whole span; 0 before there is one.
    pub(crate) fn bitrate(&self) -> u64 {
        self.bitrate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bitrate_is_that_of_the_last_span() {
        let start = Instant::now();
        let mut meter = Meter::default();
        for n in 0..50u64 {
            meter.add(5000, start + Duration::from_millis(40 * n));
        }
        assert_eq!(meter.bitrate(), 0);
        meter.add(7, start + SPAN);
        assert_eq!(meter.bitrate(), 1_000_000);
        meter.add(7, start + 4 * SPAN);
        assert_eq!(meter.bitrate(), 9, "a pause counts");
    }
}
