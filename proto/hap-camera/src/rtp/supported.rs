//! What a camera can do: 114, 115 and 116 (HAP R1 §8.72–§8.74).

use hap_tlv8::Writer;

use super::types::{AudioCodec, H264Level, H264Profile, SampleRate, SrtpSuite, VideoAttributes};
use crate::tlv::each;

/// Supported Video Stream Configuration, 114.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupportedVideo {
    /// H.264 profiles offered.
    pub profiles: Vec<H264Profile>,
    /// H.264 levels offered.
    pub levels: Vec<H264Level>,
    /// Sizes and rates offered, best first.
    pub attributes: Vec<VideoAttributes>,
}

impl SupportedVideo {
    /// What phones, tablets, TVs and the watch ask for. Controllers were seen to refuse sizes or rates of their own
    /// making (1080p at 25 fps, say), and the watch shows "No Response" without 320x240 at 15.
    pub const STANDARD_ATTRIBUTES: [VideoAttributes; 11] = [
        VideoAttributes::new(1920, 1080, 30),
        VideoAttributes::new(1280, 720, 30),
        VideoAttributes::new(1280, 960, 30),
        VideoAttributes::new(1024, 768, 30),
        VideoAttributes::new(640, 480, 30),
        VideoAttributes::new(640, 360, 30),
        VideoAttributes::new(480, 360, 30),
        VideoAttributes::new(480, 270, 30),
        VideoAttributes::new(320, 240, 30),
        VideoAttributes::new(320, 240, 15),
        VideoAttributes::new(320, 180, 30),
    ];

    /// Main and High at all three levels, with [`Self::STANDARD_ATTRIBUTES`] up to `width` x `height`. The watch
    /// sizes are always there.
    #[must_use]
    pub fn up_to(width: u16, height: u16) -> Self {
        let fits = |a: &VideoAttributes| (a.width <= width && a.height <= height) || a.width <= 320;
        Self {
            profiles: vec![H264Profile::Main, H264Profile::High],
            levels: vec![H264Level::L3_1, H264Level::L3_2, H264Level::L4_0],
            attributes: Self::STANDARD_ATTRIBUTES.into_iter().filter(fits).collect(),
        }
    }

    /// Writes the characteristic's TLV.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.nested(1, |w| {
            w.u8(1, 0);
            w.nested(2, |w| self.encode_parameters(w));
            each(w, &self.attributes, |w, a| {
                w.nested(3, |w| a.encode(w));
            });
        });
        w.into_vec()
    }

    fn encode_parameters(&self, w: &mut Writer) {
        each(w, &self.profiles, |w, p| {
            w.u8(1, p.to_wire());
        });
        each(w, &self.levels, |w, l| {
            w.u8(2, l.to_wire());
        });
        // Packetization mode 1 (non-interleaved) is written 0; CVO is not offered.
        w.u8(3, 0).u8(4, 0);
    }
}

/// Supported Audio Stream Configuration, 115.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupportedAudio {
    /// Codecs with the sample rates of each, preferred first.
    pub codecs: Vec<(AudioCodec, Vec<SampleRate>)>,
}

impl SupportedAudio {
    /// Opus at 16 and 24 kHz, mono, variable bitrate. A camera without a microphone advertises it too: without
    /// any codec controllers refuse the video.
    #[must_use]
    pub fn opus() -> Self {
        Self {
            codecs: vec![(AudioCodec::Opus, vec![SampleRate::Khz16, SampleRate::Khz24])],
        }
    }

    /// Writes the characteristic's TLV.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        each(&mut w, &self.codecs, |w, (codec, rates)| {
            w.nested(1, |w| {
                w.u8(1, codec.to_wire());
                w.nested(2, |w| {
                    w.u8(1, 1).u8(2, 0);
                    each(w, rates, |w, rate| {
                        w.u8(3, rate.to_wire());
                    });
                });
            });
        });
        w.u8(2, 0);
        w.into_vec()
    }
}

/// Supported RTP Configuration, 116.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupportedRtp {
    /// SRTP crypto suites, preferred first; never [`SrtpSuite::None`] alone.
    pub suites: Vec<SrtpSuite>,
}

impl Default for SupportedRtp {
    fn default() -> Self {
        Self {
            suites: vec![SrtpSuite::AesCm128HmacSha1_80],
        }
    }
}

impl SupportedRtp {
    /// Writes the characteristic's TLV.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        each(&mut w, &self.suites, |w, suite| {
            w.u8(2, suite.to_wire());
        });
        w.into_vec()
    }
}
