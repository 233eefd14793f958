//! The values that several camera TLVs share.

use hap_tlv8::{Tlv, Writer};
use zeroize::Zeroizing;

use crate::tlv::{DecodeError, narrow, wire_enum};

/// Identifies one stream session; chosen by the controller (HAP R1 §8.75).
pub type SessionId = [u8; 16];

wire_enum! {
    /// SRTP crypto suites (HAP R1 §8.75).
    SrtpSuite: "SRTP crypto suite" {
        /// AES_CM_128_HMAC_SHA1_80: 16-byte key, 14-byte salt.
        AesCm128HmacSha1_80 = 0,
        /// AES_256_CM_HMAC_SHA1_80 (RFC 6188): 32-byte key, 14-byte salt.
        AesCm256HmacSha1_80 = 1,
        /// No encryption.
        None = 2,
    }
}

impl SrtpSuite {
    /// Bytes of master key and master salt.
    #[must_use]
    pub const fn key_and_salt_len(self) -> (usize, usize) {
        match self {
            Self::AesCm128HmacSha1_80 => (16, 14),
            Self::AesCm256HmacSha1_80 => (32, 14),
            Self::None => (0, 0),
        }
    }
}

wire_enum! {
    /// H.264 profiles (HAP R1 §8.72).
    H264Profile: "H.264 profile" {
        /// Constrained Baseline.
        ConstrainedBaseline = 0,
        /// Main.
        Main = 1,
        /// High.
        High = 2,
    }
}

wire_enum! {
    /// H.264 levels (HAP R1 §8.72).
    H264Level: "H.264 level" {
        /// Level 3.1.
        L3_1 = 0,
        /// Level 3.2.
        L3_2 = 1,
        /// Level 4.0.
        L4_0 = 2,
    }
}

wire_enum! {
    /// Audio codecs that controllers ask for over RTP (HAP R1 §8.73).
    AudioCodec: "audio codec" {
        /// AAC-ELD.
        AacEld = 2,
        /// Opus.
        Opus = 3,
    }
}

wire_enum! {
    /// Audio sample rates; for Opus this is also the RTP clock rate.
    SampleRate: "audio sample rate" {
        /// 8 kHz.
        Khz8 = 0,
        /// 16 kHz.
        Khz16 = 1,
        /// 24 kHz.
        Khz24 = 2,
    }
}

impl SampleRate {
    /// The rate in Hz.
    #[must_use]
    pub const fn hz(self) -> u32 {
        match self {
            Self::Khz8 => 8_000,
            Self::Khz16 => 16_000,
            Self::Khz24 => 24_000,
        }
    }
}

wire_enum! {
    /// Session control commands (HAP R1 §8.76).
    StreamCommand: "session control command" {
        /// End the session.
        End = 0,
        /// Start it with the parameters of the same write.
        Start = 1,
        /// Pause the media, keep the session.
        Suspend = 2,
        /// Go on after a suspend.
        Resume = 3,
        /// Change parameters of the running session.
        Reconfigure = 4,
    }
}

wire_enum! {
    /// Streaming Status (HAP R1 §8.71).
    StreamingStatus: "streaming status" {
        /// A session can be set up.
        Available = 0,
        /// A session is set up or running.
        InUse = 1,
        /// No session can be set up now.
        Unavailable = 2,
    }
}

impl StreamingStatus {
    /// The characteristic's TLV: `01 01 status`.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(1, self.to_wire());
        w.into_vec()
    }
}

/// SRTP suite, master key and master salt of one direction of one medium.
#[derive(Clone, PartialEq, Eq)]
pub struct SrtpParameters {
    /// The crypto suite.
    pub suite: SrtpSuite,
    /// Master key, of the length the suite asks for.
    pub key: Zeroizing<Vec<u8>>,
    /// Master salt, of the length the suite asks for.
    pub salt: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for SrtpParameters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SrtpParameters")
            .field("suite", &self.suite)
            .finish_non_exhaustive()
    }
}

impl SrtpParameters {
    /// Key followed by salt, as `hapsrtpsink` and SDP want them.
    #[must_use]
    pub fn key_and_salt(&self) -> Zeroizing<Vec<u8>> {
        let mut all = Zeroizing::new(Vec::with_capacity(self.key.len() + self.salt.len()));
        all.extend_from_slice(&self.key);
        all.extend_from_slice(&self.salt);
        all
    }

    pub(super) fn decode(tlv: &Tlv) -> Result<Self, DecodeError> {
        let suite = SrtpSuite::from_wire(tlv.uint(1)?)?;
        let (key_len, salt_len) = suite.key_and_salt_len();
        let key = Self::secret(tlv, 2, "key", key_len)?;
        let salt = Self::secret(tlv, 3, "salt", salt_len)?;
        Ok(Self { suite, key, salt })
    }

    fn secret(
        tlv: &Tlv,
        tag: u8,
        field: &'static str,
        expected: usize,
    ) -> Result<Zeroizing<Vec<u8>>, DecodeError> {
        let value = tlv.first(tag).unwrap_or_default();
        if value.len() != expected {
            return Err(DecodeError::KeyLength {
                field,
                expected,
                actual: value.len(),
            });
        }
        Ok(Zeroizing::new(value.to_vec()))
    }

    pub(super) fn encode(&self, w: &mut Writer) {
        w.u8(1, self.suite.to_wire());
        w.bytes(2, &self.key);
        w.bytes(3, &self.salt);
    }
}

/// Picture size and rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VideoAttributes {
    /// Width in pixels.
    pub width: u16,
    /// Height in pixels.
    pub height: u16,
    /// Frames per second.
    pub fps: u8,
}

impl VideoAttributes {
    /// Shorthand for tables.
    #[must_use]
    pub const fn new(width: u16, height: u16, fps: u8) -> Self {
        Self { width, height, fps }
    }

    pub(crate) fn decode(tlv: &Tlv) -> Result<Self, DecodeError> {
        let attributes = Self {
            width: narrow("width", tlv.uint(1)?)?,
            height: narrow("height", tlv.uint(2)?)?,
            fps: narrow("frame rate", tlv.uint(3)?)?,
        };
        attributes.check()
    }

    /// Sizes that a decoder could not be asked for are the sender's mistake, not ours to round.
    fn check(self) -> Result<Self, DecodeError> {
        for (field, value, most) in [
            ("width", self.width, 8192),
            ("height", self.height, 8192),
            ("frame rate", self.fps.into(), 240),
        ] {
            let least = if field == "frame rate" { 1 } else { 16 };
            if value < least || value > most {
                return Err(DecodeError::OutOfRange {
                    field,
                    value: value.into(),
                });
            }
        }
        Ok(self)
    }

    pub(crate) fn encode(self, w: &mut Writer) {
        w.u16(1, self.width).u16(2, self.height).u8(3, self.fps);
    }
}

/// RTP parameters of one medium, as the controller chose them (HAP R1 §8.76).
#[derive(Debug, Clone, PartialEq)]
pub struct RtpParameters {
    /// RTP payload type; 99 for video and 110 for audio in practice.
    pub payload_type: u8,
    /// The **controller's** SSRC: the source of its receiver reports and talkback.
    pub ssrc: u32,
    /// Most that may be sent, in kbit/s.
    pub max_bitrate_kbps: u16,
    /// Shortest time between two regular RTCP packets, in seconds; 0 means the default.
    pub min_rtcp_interval_s: f32,
    /// Video only: most bytes of a UDP payload.
    pub mtu: Option<u16>,
    /// Audio only: payload type of comfort noise.
    pub comfort_noise_pt: Option<u8>,
}

impl RtpParameters {
    // Controllers use tag 5 for the MTU and 6 for comfort noise; HAP R1 tables 8-64 and 8-66 print them the other way.
    const MTU: u8 = 5;
    const COMFORT_NOISE: u8 = 6;

    pub(super) fn decode(tlv: &Tlv) -> Result<Self, DecodeError> {
        let payload_type: u8 = narrow("payload type", tlv.uint(1)?)?;
        if payload_type > 127 {
            return Err(DecodeError::OutOfRange {
                field: "payload type",
                value: payload_type.into(),
            });
        }
        Ok(Self {
            payload_type,
            ssrc: narrow("SSRC", tlv.uint(2)?)?,
            max_bitrate_kbps: narrow("maximum bitrate", tlv.uint(3)?)?,
            min_rtcp_interval_s: interval(tlv)?.unwrap_or(0.0),
            mtu: tlv
                .opt_uint(Self::MTU)?
                .map(|v| narrow("MTU", v))
                .transpose()?,
            comfort_noise_pt: tlv
                .opt_uint(Self::COMFORT_NOISE)?
                .map(|v| narrow("comfort noise payload type", v))
                .transpose()?,
        })
    }

    pub(super) fn encode(&self, w: &mut Writer) {
        w.u8(1, self.payload_type)
            .u32(2, self.ssrc)
            .u16(3, self.max_bitrate_kbps)
            .f32(4, self.min_rtcp_interval_s);
        if let Some(mtu) = self.mtu {
            w.u16(Self::MTU, mtu);
        }
        if let Some(pt) = self.comfort_noise_pt {
            w.u8(Self::COMFORT_NOISE, pt);
        }
    }
}

/// The minimum RTCP interval (tag 4); a value that is no number of seconds counts as absent.
pub(super) fn interval(tlv: &Tlv) -> Result<Option<f32>, DecodeError> {
    if tlv.first(4).is_none() {
        return Ok(None);
    }
    let seconds = tlv.f32(4)?;
    Ok((seconds.is_finite() && seconds >= 0.0).then_some(seconds))
}

/// The video that the controller selected (HAP R1 §8.76).
#[derive(Debug, Clone, PartialEq)]
pub struct VideoSelection {
    /// H.264 profile.
    pub profile: H264Profile,
    /// H.264 level.
    pub level: H264Level,
    /// Picture size and rate.
    pub attributes: VideoAttributes,
    /// RTP parameters.
    pub rtp: RtpParameters,
}

/// The audio that the controller selected (HAP R1 §8.76).
#[derive(Debug, Clone, PartialEq)]
pub struct AudioSelection {
    /// Codec.
    pub codec: AudioCodec,
    /// Number of channels; 1 in practice.
    pub channels: u8,
    /// Constant bitrate wanted; variable otherwise.
    pub constant_bitrate: bool,
    /// Sample rate.
    pub sample_rate: SampleRate,
    /// Time per packet in ms: 20 at home, 60 remotely, 40 possible.
    pub packet_time_ms: u8,
    /// RTP parameters.
    pub rtp: RtpParameters,
    /// Comfort noise wanted.
    pub comfort_noise: bool,
}
