//! The sample entry of a track: which codec, and with which parameters.

use mp4_atom::{Avcc, Esds, Hvcc};

use super::boxes::{Malformed, Mp4Box, boxes, only};
use super::rule::{Findings, Rule};
use crate::sps::Sps;

/// Fields of a visual sample entry before its boxes (ISO/IEC 14496-12 §12.1.3).
const VISUAL: usize = 78;
/// Fields of an audio sample entry before its boxes (ISO/IEC 14496-12 §12.2.3).
const AUDIO: usize = 28;
/// MPEG-4 audio, object type indication of ISO/IEC 14496-1 §7.2.6.6.
const MPEG4_AUDIO: u8 = 0x40;
/// Audio object type of AAC-LC.
const AAC_LC: u32 = 2;
/// ISO/IEC 14496-3 table 1.18.
const RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];
/// VPS, SPS and PPS of H.265 (ISO/IEC 23008-2 table 7-1).
const HEVC_PARAMETER_SETS: [u8; 3] = [32, 33, 34];

/// What a track holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Codec {
    /// `avc1`.
    H264(Picture),
    /// `hvc1`, or `hev1`.
    H265(Picture),
    /// `mp4a` with AAC-LC.
    Aac {
        /// Samples a second.
        rate: u32,
        /// Channels.
        channels: u8,
    },
    /// Anything else, by its four characters.
    Other(String),
}

/// What the sample entry says of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Picture {
    pub width: u32,
    pub height: u32,
    /// `profile_idc`, or `general_profile_idc`.
    pub profile: u8,
    /// `level_idc`, or `general_level_idc`.
    pub level: u8,
}

impl Codec {
    /// Name for people and JSON.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::H264(_) => "H.264",
            Self::H265(_) => "H.265",
            Self::Aac { .. } => "AAC-LC",
            Self::Other(name) => name,
        }
    }

    /// Reads the sample entry in `stsd`.
    pub(crate) fn read(stsd: &Mp4Box<'_>, findings: &mut Findings) -> Result<Self, Malformed> {
        let entries = stsd.body.get(8..).unwrap_or_default();
        let list = boxes(entries)?;
        let [entry] = list.as_slice() else {
            return Err(Malformed(format!("{} sample entries", list.len())));
        };
        match &entry.kind {
            b"avc1" => h264(entry, findings).map(Self::H264),
            b"hvc1" => h265(entry, findings).map(Self::H265),
            b"hev1" => {
                findings.add(
                    Rule::SampleEntry,
                    "the sample entry is hev1 instead of hvc1",
                );
                h265(entry, findings).map(Self::H265)
            }
            b"mp4a" => aac(entry, findings),
            _ => Ok(Self::Other(entry.name())),
        }
    }
}

fn h264(entry: &Mp4Box<'_>, findings: &mut Findings) -> Result<Picture, Malformed> {
    let avcc: Avcc = child(entry, VISUAL, b"avcC")?.read()?;
    check_lengths(avcc.length_size, findings);
    if avcc.picture_parameter_sets.is_empty() {
        findings.add(Rule::ParameterSets, "avcC has no picture parameter set");
    }
    let (width, height) = entry_size(entry)?;
    let sps = avcc
        .sequence_parameter_sets
        .first()
        .and_then(|s| Sps::parse(s));
    let Some(sps) = sps else {
        findings.add(
            Rule::ParameterSets,
            "avcC has no sequence parameter set that can be read",
        );
        return Ok(Picture {
            width,
            height,
            profile: avcc.avc_profile_indication,
            level: avcc.avc_level_indication,
        });
    };
    if (sps.width, sps.height) != (width, height) {
        let (w, h) = (sps.width, sps.height);
        findings.add(
            Rule::ParameterSets,
            format!("the sample entry says {width}x{height}, its parameter set {w}x{h}"),
        );
    }
    if (sps.profile, sps.level) != (avcc.avc_profile_indication, avcc.avc_level_indication) {
        findings.add(
            Rule::ParameterSets,
            "profile and level of avcC are not those of its parameter set",
        );
    }
    Ok(Picture {
        width: sps.width,
        height: sps.height,
        profile: sps.profile,
        level: sps.level,
    })
}

fn h265(entry: &Mp4Box<'_>, findings: &mut Findings) -> Result<Picture, Malformed> {
    let hvcc: Hvcc = child(entry, VISUAL, b"hvcC")?.read()?;
    check_lengths(hvcc.length_size_minus_one + 1, findings);
    for kind in HEVC_PARAMETER_SETS {
        let mut of_kind = hvcc.arrays.iter().filter(|a| a.nal_unit_type == kind);
        if !of_kind.any(|a| a.nalus.iter().any(|n| n.len() > 2)) {
            findings.add(
                Rule::ParameterSets,
                format!("hvcC has no parameter set of type {kind}"),
            );
        }
    }
    let (width, height) = entry_size(entry)?;
    Ok(Picture {
        width,
        height,
        profile: hvcc.general_profile_idc,
        level: hvcc.general_level_idc,
    })
}

fn check_lengths(length_size: u8, findings: &mut Findings) {
    if length_size != 4 {
        findings.add(
            Rule::ParameterSets,
            format!("lengths of NAL units have {length_size} bytes"),
        );
    }
}

fn entry_size(entry: &Mp4Box<'_>) -> Result<(u32, u32), Malformed> {
    let both = entry.u32_at(24);
    let both = both.ok_or_else(|| Malformed(format!("{} is too short", entry.name())))?;
    Ok((both >> 16, both & 0xFFFF))
}

fn aac(entry: &Mp4Box<'_>, findings: &mut Findings) -> Result<Codec, Malformed> {
    let esds: Esds = child(entry, AUDIO, b"esds")?.read()?;
    let config = esds.es_desc.dec_config;
    if config.object_type_indication != MPEG4_AUDIO {
        let found = config.object_type_indication;
        return Ok(Codec::Other(format!("mp4a.{found:02X}")));
    }
    let specific = config.dec_specific.map(|d| d.raw).unwrap_or_default();
    let Some((object, rate, channels)) = audio_config(&specific) else {
        findings.add(Rule::AudioCodec, "the AudioSpecificConfig cannot be read");
        return Ok(Codec::Other("mp4a.40".into()));
    };
    if object != AAC_LC {
        return Ok(Codec::Other(format!("mp4a.40.{object}")));
    }
    Ok(Codec::Aac { rate, channels })
}

/// Object type, rate and channels of an AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1).
fn audio_config(bytes: &[u8]) -> Option<(u32, u32, u8)> {
    let mut bits = Msb { bytes, at: 0 };
    let object = match bits.take(5)? {
        31 => 32 + bits.take(6)?,
        object => object,
    };
    let rate = match bits.take(4)? {
        15 => bits.take(24)?,
        index => *RATES.get(index as usize)?,
    };
    let channels = bits.take(4)?;
    Some((object, rate, channels as u8))
}

struct Msb<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Msb<'_> {
    fn take(&mut self, count: u8) -> Option<u32> {
        (0..count).try_fold(0, |n, _| {
            let byte = self.bytes.get(self.at / 8)?;
            let bit = byte >> (7 - self.at % 8) & 1;
            self.at += 1;
            Some(n << 1 | u32::from(bit))
        })
    }
}

fn child<'a>(entry: &Mp4Box<'a>, skip: usize, kind: &[u8; 4]) -> Result<Mp4Box<'a>, Malformed> {
    let rest = entry.body.get(skip..);
    let rest = rest.ok_or_else(|| Malformed(format!("{} is too short", entry.name())))?;
    only(&boxes(rest)?, kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn audio_configurations() {
        for (bytes, expected) in [
            ([0x15, 0x88], (2, 8_000, 1)),
            ([0x14, 0x08], (2, 16_000, 1)),
            ([0x13, 0x08], (2, 24_000, 1)),
            ([0x12, 0x88], (2, 32_000, 1)),
            ([0x11, 0x90], (2, 48_000, 2)),
        ] {
            assert_eq!(audio_config(&bytes), Some(expected));
        }
        // AAC-ELD, object type 39 behind the escape.
        assert_eq!(
            audio_config(&[0xF8, 0xF0, 0x30, 0x00]),
            Some((39, 16_000, 1))
        );
        assert_eq!(audio_config(&[0x15]), None);
        assert_eq!(audio_config(&[0x16, 0x88]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = audio_config(&bytes);
        }
    }
}
