use std::time::Duration;

/// First byte of an Opus packet (RFC 6716 §3.1).
///
/// ```text
///  0 1 2 3 4 5 6 7
/// +-+-+-+-+-+-+-+-+
/// | config  |s| c |
/// +-+-+-+-+-+-+-+-+
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Toc(pub u8);

impl Toc {
    /// Mode, bandwidth and frame size: 0 to 31.
    pub fn config(self) -> u8 {
        self.0 >> 3
    }

    /// Two channels.
    pub fn is_stereo(self) -> bool {
        self.0 & 4 != 0
    }

    /// How many frames there are: 0 one, 1 two of one size, 2 two, 3 as the next byte says.
    pub fn code(self) -> u8 {
        self.0 & 3
    }

    /// The same with another frame count code.
    pub fn with_code(self, code: u8) -> Self {
        Self(self.0 & !3 | code & 3)
    }

    /// Duration of one frame: 2.5 to 60 ms (RFC 6716 table 2).
    pub fn frame_duration(self) -> Duration {
        Duration::from_micros(match (self.config(), self.config() & 3) {
            (0..=11, 0) | (12..=15, 0 | 2) | (16..=31, 2) => 10_000,
            (0..=11, 1) | (12..=15, 1 | 3) | (16..=31, 3) => 20_000,
            (0..=11, 2) => 40_000,
            (0..=11, _) => 60_000,
            (_, 0) => 2_500,
            _ => 5_000,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_durations_of_table_2() {
        let milliseconds = |config: u8| Toc(config << 3).frame_duration().as_secs_f32() * 1000.0;
        let silk = [10.0, 20.0, 40.0, 60.0];
        let hybrid = [10.0, 20.0];
        let celt = [2.5, 5.0, 10.0, 20.0];
        for config in 0..32 {
            let expected = match config {
                0..12 => silk[usize::from(config) % 4],
                12..16 => hybrid[usize::from(config) % 2],
                _ => celt[usize::from(config) % 4],
            };
            assert_eq!(milliseconds(config), expected, "config {config}");
        }
    }

    #[test]
    fn fields() {
        let toc = Toc(0x4b);
        assert_eq!((toc.config(), toc.is_stereo(), toc.code()), (9, false, 3));
        assert_eq!(toc.with_code(0), Toc(0x48));
        assert!(Toc(0x04).is_stereo());
    }
}
