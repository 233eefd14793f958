//! The values that the recording TLVs share.

use std::time::Duration;

use hap_tlv8::{Tlv, Writer};

use crate::tlv::{DecodeError, narrow, wire_enum};

/// The only container: fragmented MP4.
const FRAGMENTED_MP4: u64 = 0;

/// What makes a hub record: a set of bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Triggers(u64);

impl Triggers {
    /// Motion Detected turns true.
    pub const MOTION: Self = Self(1);
    /// The doorbell rings.
    pub const DOORBELL: Self = Self(2);
    /// Both.
    pub const MOTION_AND_DOORBELL: Self = Self(3);

    /// The bits on the wire.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// A set of the bits on the wire, unknown ones included.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Whether every trigger of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

wire_enum! {
    /// Audio codecs of recordings; the numbers are not those of RTP streams.
    RecordingAudioCodec: "recording audio codec" {
        /// AAC-LC.
        AacLc = 0,
        /// AAC-ELD.
        AacEld = 1,
    }
}

wire_enum! {
    /// How the audio bitrate is kept.
    BitrateMode: "audio bitrate mode" {
        /// Variable.
        Variable = 0,
        /// Constant.
        Constant = 1,
    }
}

wire_enum! {
    /// Audio sample rates of recordings.
    RecordingSampleRate: "recording sample rate" {
        /// 8 kHz.
        Khz8 = 0,
        /// 16 kHz.
        Khz16 = 1,
        /// 24 kHz.
        Khz24 = 2,
        /// 32 kHz.
        Khz32 = 3,
        /// 44.1 kHz.
        Khz44_1 = 4,
        /// 48 kHz.
        Khz48 = 5,
    }
}

impl RecordingSampleRate {
    /// The rate in Hz.
    #[must_use]
    pub const fn hz(self) -> u32 {
        match self {
            Self::Khz8 => 8_000,
            Self::Khz16 => 16_000,
            Self::Khz24 => 24_000,
            Self::Khz32 => 32_000,
            Self::Khz44_1 => 44_100,
            Self::Khz48 => 48_000,
        }
    }
}

/// What 205 holds, as offered and as selected: prebuffer, triggers and fragments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct General {
    pub(super) prebuffer: Duration,
    pub(super) triggers: Triggers,
    pub(super) fragment: Duration,
}

impl General {
    pub(super) fn decode(tlv: &Tlv) -> Result<Self, DecodeError> {
        Ok(Self {
            prebuffer: milliseconds("prebuffer", tlv.uint(1)?)?,
            triggers: Triggers::from_bits(tlv.uint(2)?),
            fragment: fragment_length(tlv)?,
        })
    }

    pub(super) fn encode(self, w: &mut Writer) {
        w.u32(1, as_milliseconds(self.prebuffer))
            .u64(2, self.triggers.bits());
        w.nested(3, |w| {
            w.u8(1, 0);
            w.nested(2, |w| {
                w.u32(1, as_milliseconds(self.fragment));
            });
        });
    }
}

/// The fragment length of the first container that is fragmented MP4.
fn fragment_length(tlv: &Tlv) -> Result<Duration, DecodeError> {
    for container in tlv.all(3) {
        let container = Tlv::parse(container)?;
        if container.uint(1)? == FRAGMENTED_MP4 {
            return milliseconds("fragment length", container.nested(2)?.uint(1)?);
        }
    }
    Err(DecodeError::NotOffered {
        field: "fragmented MP4",
    })
}

/// A duration on the wire; 0 is never one.
pub(super) fn milliseconds(field: &'static str, value: u64) -> Result<Duration, DecodeError> {
    match narrow::<u32>(field, value)? {
        0 => Err(DecodeError::OutOfRange { field, value }),
        ms => Ok(Duration::from_millis(ms.into())),
    }
}

pub(super) fn as_milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
