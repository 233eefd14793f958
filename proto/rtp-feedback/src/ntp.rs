use std::time::Duration;

/// Time as sender reports carry it: seconds since 1900 in 32.32 bits (RFC 3550 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NtpTime(u64);

/// Seconds from 1900 to 1970.
const UNIX_EPOCH: u64 = 2_208_988_800;

impl NtpTime {
    /// From the 64 bits of a report.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// From the time since 1970; wraps in 2036, as the format does.
    pub fn from_unix(since_1970: Duration) -> Self {
        Self(UNIX_EPOCH << 32).after(since_1970)
    }

    /// The time `span` later.
    pub fn after(self, span: Duration) -> Self {
        let fraction = (u64::from(span.subsec_nanos()) << 32) / 1_000_000_000;
        Self(self.0.wrapping_add(span.as_secs() << 32 | fraction))
    }

    /// The 64 bits of a report.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The middle 32 bits, as report blocks quote them (`LSR`): 16.16.
    pub const fn compact(self) -> u32 {
        (self.0 >> 16) as u32
    }
}

/// A duration in units of 1/65536 s, rounded down and cut to 32 bits.
pub(crate) fn to_compact(duration: Duration) -> u32 {
    let units = (duration.as_nanos() << 16) / 1_000_000_000;
    u32::try_from(units).unwrap_or(u32::MAX)
}

/// A count of 1/65536 s as a duration.
pub(crate) fn from_compact(units: u32) -> Duration {
    Duration::from_nanos((u64::from(units) * 1_000_000_000) >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unix_time_in_32_32_bits() {
        let time = NtpTime::from_unix(Duration::from_millis(1_500));
        assert_eq!(time.to_bits(), (2_208_988_801 << 32) | 0x8000_0000);
        assert_eq!(time.compact(), 0x7e81_8000);
        assert_eq!(NtpTime::from_bits(time.to_bits()), time);
        let later = time.after(Duration::from_millis(2_750));
        assert_eq!(later, NtpTime::from_unix(Duration::from_millis(4_250)));
    }

    #[test]
    fn compact_durations() {
        assert_eq!(to_compact(Duration::from_millis(500)), 0x8000);
        assert_eq!(to_compact(Duration::MAX), u32::MAX);
        assert_eq!(from_compact(0x1_8000), Duration::from_millis(1500));
    }
}
