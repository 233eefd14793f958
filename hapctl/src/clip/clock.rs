//! Wall clocks: when something came, and when the camera says it happened.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Seconds from 1900 to 1970.
const NTP_OFFSET: i64 = 2_208_988_800;

/// A moment on both clocks of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// For intervals.
    pub at: Instant,
    /// Since 1970, for what the camera says.
    pub wall: Duration,
}

impl Stamp {
    /// Now.
    #[must_use]
    pub fn now() -> Self {
        Self {
            at: Instant::now(),
            wall: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
        }
    }

    /// Milliseconds since `earlier`.
    #[must_use]
    pub fn ms_since(self, earlier: Self) -> u64 {
        let passed = self.at.saturating_duration_since(earlier.at);
        u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)
    }

    /// The wall clock in microseconds.
    pub(crate) fn micros(self) -> i64 {
        i64::try_from(self.wall.as_micros()).unwrap_or(i64::MAX)
    }
}

impl std::ops::Add<Duration> for Stamp {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self {
            at: self.at + by,
            wall: self.wall + by,
        }
    }
}

/// Microseconds since 1970 of a time in units of 2⁻³² s since 1900.
pub(crate) fn ntp_micros(ntp: u64) -> i64 {
    // 32.32 bits of seconds: the product needs 84.
    let since_1900 = (u128::from(ntp) * 1_000_000) >> 32;
    let since_1900 = i64::try_from(since_1900).unwrap_or(i64::MAX);
    since_1900 - NTP_OFFSET * 1_000_000
}

/// `20261122T141503.250Z`, for file names.
#[must_use]
pub fn utc(wall: Duration) -> String {
    let seconds = wall.as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (h, m, s) = (rest / 3600, rest / 60 % 60, rest % 60);
    let ms = wall.subsec_millis();
    format!("{year:04}{month:02}{day:02}T{h:02}{m:02}{s:02}.{ms:03}Z")
}

/// Year, month and day of a day since 1970-01-01 (Gregorian calendar, years from March).
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_clocks_of_both_ends_agree() {
        // 2026-11-22T13:56:41Z is 1795355801 s after 1970.
        let seconds = 1_795_355_801u64;
        let ntp = (seconds + NTP_OFFSET as u64) << 32 | 0x8000_0000;
        assert_eq!(ntp_micros(ntp), seconds as i64 * 1_000_000 + 500_000);
        assert_eq!(utc(Duration::from_secs(seconds)), "20261122T135641.000Z");
    }

    #[test]
    fn dates_of_the_calendar() {
        for (seconds, expected) in [
            (0, "19700101T000000.000Z"),
            (951_782_399, "20000228T235959.000Z"),
            (951_782_400, "20000229T000000.000Z"),
            (4_107_542_400, "21000301T000000.000Z"),
        ] {
            assert_eq!(utc(Duration::from_secs(seconds)), expected);
        }
        assert_eq!(ntp_micros(0), -NTP_OFFSET * 1_000_000);
        let _ = ntp_micros(u64::MAX);
    }
}
