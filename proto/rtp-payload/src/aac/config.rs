use std::time::Duration;

use crate::Error;
use crate::nal::Bits;

/// What the AudioSpecificConfig of AAC-ELD says (ISO 14496-3 §1.6.2.1, §4.6.20): `codec_data` of
/// caps, `config` of a session description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Samples per second.
    pub sample_rate: u32,
    /// Channels, 1 or 2 here.
    pub channels: u8,
    /// Samples of one channel in an access unit: 480 or 512.
    pub samples: u16,
}

/// Sample rates by their index (ISO 14496-3 table 1.18).
const SAMPLE_RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];

/// Audio object type.
const ER_AAC_ELD: u32 = 39;

impl Config {
    /// Reads an AudioSpecificConfig.
    ///
    /// # Errors
    /// [`Error::AudioConfig`] if it is none, or not of AAC-ELD.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        Self::read(&mut Bits::raw(bytes)).ok_or(Error::AudioConfig)
    }

    /// Writes it, without spectral band replication and error resilience tools. `None` for a sample
    /// rate without index.
    pub fn to_bytes(self) -> Option<[u8; 4]> {
        let index = SAMPLE_RATES.iter().position(|r| *r == self.sample_rate)?;
        let (escape, object) = (31, ER_AAC_ELD - 32);
        let word = escape << 27
            | object << 21
            | (index as u32) << 17
            | u32::from(self.channels & 15) << 13
            | u32::from(self.samples == 480) << 12;
        Some(word.to_be_bytes())
    }

    /// How long an access unit plays.
    pub fn duration(self) -> Duration {
        let nanos = u64::from(self.samples) * 1_000_000_000 / u64::from(self.sample_rate.max(1));
        Duration::from_nanos(nanos)
    }

    fn read(bits: &mut Bits<'_>) -> Option<Self> {
        let object = match bits.bits(5)? {
            31 => 32 + bits.bits(6)?,
            object => object,
        };
        let sample_rate = match bits.bits(4)? {
            15 => bits.bits(24)?,
            index => *SAMPLE_RATES.get(index as usize)?,
        };
        let channels = bits.bits(4)? as u8;
        let samples = if bits.bit()? == 1 { 480 } else { 512 };
        (object == ER_AAC_ELD && sample_rate > 0).then_some(Self {
            sample_rate,
            channels,
            samples,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_of_16_and_24_khz() {
        for (bytes, sample_rate, millis) in [
            ([0xf8, 0xf0, 0x30, 0x00], 16_000, 30),
            ([0xf8, 0xec, 0x30, 0x00], 24_000, 20),
        ] {
            let config = Config::parse(&bytes).unwrap();
            let expected = Config {
                sample_rate,
                channels: 1,
                samples: 480,
            };
            assert_eq!(config, expected);
            assert_eq!(config.to_bytes(), Some(bytes));
            assert_eq!(config.duration(), Duration::from_millis(millis));
        }
    }

    #[test]
    fn frames_of_512_samples() {
        let config = Config::parse(&[0xf8, 0xf0, 0x21, 0x2c, 0x00, 0xbc, 0x00]).unwrap();
        assert_eq!((config.sample_rate, config.samples), (16_000, 512));
        assert_eq!(config.duration(), Duration::from_millis(32));
    }

    #[test]
    fn other_codecs_and_truncated_bytes_are_refused() {
        // AAC-LC at 44.1 kHz, stereo.
        for bytes in [&[0x12, 0x10][..], &[], &[0xf8], &[0xf8, 0xf0]] {
            assert_eq!(Config::parse(bytes), Err(Error::AudioConfig));
        }
    }
}
