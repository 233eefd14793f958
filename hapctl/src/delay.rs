//! Time from capture to arrival, by the camera's sender reports; of both media, their offset.

use std::collections::BTreeMap;
use std::time::Duration;

use rtp_feedback::{NtpTime, SenderInfo};

use crate::spread::Spread;

/// Beyond this many seconds (six hours) nothing is kept.
const MAX_SECONDS: usize = 21_600;

/// Delays of one medium: a median for each second.
///
/// The clocks of both ends are not the same, so a delay means nothing alone; the difference of two
/// media does.
#[derive(Debug, Default)]
pub struct Delays {
    clock_rate: u32,
    report: Option<SenderInfo>,
    /// The packet before; of a picture only the first packet counts.
    last: Option<u32>,
    second: u64,
    /// Those of `second`, in µs.
    current: Vec<i64>,
    seconds: BTreeMap<u64, i64>,
}

impl Delays {
    /// Of a medium whose timestamps count `clock_rate` a second.
    #[must_use]
    pub fn new(clock_rate: u32) -> Self {
        Self {
            clock_rate,
            ..Self::default()
        }
    }

    /// The camera says which time belongs to which timestamp.
    pub fn sender_report(&mut self, info: &SenderInfo) {
        self.report = Some(*info);
    }

    /// A packet with `timestamp` came `at` this time.
    pub fn packet(&mut self, timestamp: u32, at: Duration) {
        let Some(report) = &self.report else { return };
        if self.last.replace(timestamp) == Some(timestamp) {
            return;
        }
        let ticks = timestamp.wrapping_sub(report.rtp_timestamp) as i32;
        let since_report = i64::from(ticks) * 1_000_000 / i64::from(self.clock_rate.max(1));
        let arrival = i64::try_from(at.as_micros()).unwrap_or(i64::MAX);
        let delay = arrival - micros(report.ntp) - since_report;
        if at.as_secs() != self.second {
            self.close();
            self.second = at.as_secs();
        }
        self.current.push(delay);
    }

    fn close(&mut self) {
        if let Some(median) = median(&mut self.current) {
            if self.seconds.len() < MAX_SECONDS {
                self.seconds.insert(self.second, median);
            }
        }
        self.current.clear();
    }

    /// How much later video comes than the sound of the same moment, second by second, in ms.
    #[must_use]
    pub fn offset(video: &Self, audio: &Self) -> Option<Spread> {
        let both = video.seconds.iter().filter_map(|(second, v)| {
            let a = audio.seconds.get(second)?;
            Some((v - a) as f64 / 1000.0)
        });
        Spread::of(both.collect())
    }
}

fn micros(ntp: NtpTime) -> i64 {
    // 32.32 bits of seconds: the product needs 84.
    let micros = (u128::from(ntp.to_bits()) * 1_000_000) >> 32;
    i64::try_from(micros).unwrap_or(i64::MAX)
}

fn median(values: &mut [i64]) -> Option<i64> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(seconds: u64, rtp_timestamp: u32) -> SenderInfo {
        SenderInfo {
            ntp: NtpTime::from_unix(Duration::from_secs(seconds)),
            rtp_timestamp,
            ..SenderInfo::default()
        }
    }

    /// A packet every 20 ms, each `late` ms after its capture.
    fn run(clock_rate: u32, late: u64) -> Delays {
        let mut delays = Delays::new(clock_rate);
        let first = u32::MAX - clock_rate;
        delays.packet(first, Duration::ZERO);
        delays.sender_report(&report(1_700_000_000, first));
        for n in 0..200u32 {
            let timestamp = first.wrapping_add(n * clock_rate / 50);
            let at = Duration::from_millis(u64::from(n) * 20 + late);
            delays.packet(timestamp, at);
        }
        delays
    }

    #[test]
    fn the_offset_is_the_difference_of_the_delays() {
        let (video, audio) = (run(90_000, 35), run(16_000, 12));
        let offset = Delays::offset(&video, &audio).unwrap();
        assert_eq!((offset.min, offset.median, offset.max), (23.0, 23.0, 23.0));
        assert!(offset.count >= 3, "{offset:?}");
    }

    #[test]
    fn without_reports_there_is_none() {
        let mut silent = Delays::new(90_000);
        for n in 0..200 {
            silent.packet(n, Duration::from_millis(u64::from(n) * 20));
        }
        assert_eq!(Delays::offset(&silent, &run(16_000, 0)), None);
    }
}
