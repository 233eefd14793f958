//! How much came when.

use std::time::Duration;

/// Bytes are added up over this long.
const BIN: Duration = Duration::from_millis(100);
/// Beyond this many bins (six hours) nothing is counted.
const MAX_BINS: usize = 216_000;

/// Bytes received by time.
#[derive(Debug, Default)]
pub struct Rates(Vec<u64>);

impl Rates {
    /// Counts `bytes` that came `at` this time.
    pub fn add(&mut self, at: Duration, bytes: usize) {
        let bin = bin(at);
        if bin >= MAX_BINS {
            return;
        }
        if bin >= self.0.len() {
            self.0.resize(bin + 1, 0);
        }
        self.0[bin] += bytes as u64;
    }

    /// Mean of the time between, in bit/s; none for less than half a second.
    #[must_use]
    pub fn mean(&self, from: Duration, to: Duration) -> Option<f64> {
        let (first, end) = (bin(from), bin(to).min(self.0.len()));
        let bins = self.0.get(first..end).filter(|bins| bins.len() >= 5)?;
        let seconds = BIN.as_secs_f64() * bins.len() as f64;
        Some(bins.iter().sum::<u64>() as f64 * 8.0 / seconds)
    }
}

fn bin(at: Duration) -> usize {
    usize::try_from(at.as_millis() / BIN.as_millis()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_of_windows() {
        let ms = Duration::from_millis;
        let mut rates = Rates::default();
        for n in 0..20 {
            let bytes = if n < 10 { 1250 } else { 125 };
            rates.add(ms(n * 100), bytes);
        }
        assert_eq!(rates.mean(ms(0), ms(1000)), Some(100_000.0));
        assert_eq!(rates.mean(ms(1000), ms(9000)), Some(10_000.0));
        assert_eq!(rates.mean(ms(500), ms(1500)), Some(55_000.0));
        assert_eq!(rates.mean(ms(1900), ms(9000)), None);
        assert_eq!(rates.mean(ms(3000), ms(2000)), None);
        rates.add(Duration::MAX, 1);
        assert_eq!(rates.0.len(), 20);
    }
}
