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
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picture {
    /// As in RFC 6381, such as `avc1.64001F`.
    pub codec: String,
    pub width: u32,
    pub height: u32,
    /// `profile_idc`, or `general_profile_idc`.
    pub profile: u8,
    /// `level_idc`, or `general_level_idc`.
    pub level: u8,
}

impl Codec {
    /// As in RFC 6381.
    pub(crate) fn rfc6381(&self) -> String {
        match self {
            Self::H264(picture) | Self::H265(picture) => picture.codec.clone(),
            Self::Aac { .. } => format!("mp4a.{MPEG4_AUDIO:X}.{AAC_LC}"),
            Self::Other(name) => name.clone(),
        }
    }

    /// Name for people.
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
    let (profile, level) = (avcc.avc_profile_indication, avcc.avc_level_indication);
    let compatibility = avcc.profile_compatibility;
    let said = Picture {
        codec: format!("avc1.{profile:02X}{compatibility:02X}{level:02X}"),
        width,
        height,
        profile,
        level,
    };
    let first = avcc.sequence_parameter_sets.first();
    let Some(sps) = first.and_then(|s| Sps::parse(s)) else {
        let what = "avcC has no sequence parameter set that can be read";
        findings.add(Rule::ParameterSets, what);
        return Ok(said);
    };
    let is = Picture {
        codec: said.codec.clone(),
        width: sps.width,
        height: sps.height,
        profile: sps.profile,
        level: sps.level,
    };
    check_said(&said, &is, findings);
    Ok(is)
}

/// The sample entry and `avcC` repeat what the parameter set says.
fn check_said(said: &Picture, is: &Picture, findings: &mut Findings) {
    let (width, height) = (said.width, said.height);
    if (width, height) != (is.width, is.height) {
        let (w, h) = (is.width, is.height);
        findings.add(
            Rule::ParameterSets,
            format!("the sample entry says {width}x{height}, its parameter set {w}x{h}"),
        );
    }
    if (said.profile, said.level) != (is.profile, is.level) {
        findings.add(
            Rule::ParameterSets,
            "profile and level of avcC are not those of its parameter set",
        );
    }
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
        codec: hevc_name(&entry.name(), &hvcc),
        width,
        height,
        profile: hvcc.general_profile_idc,
        level: hvcc.general_level_idc,
    })
}

/// ISO/IEC 14496-15 §E.3: profile, compatibility from the last bit, tier and level, constraints.
fn hevc_name(entry: &str, hvcc: &Hvcc) -> String {
    let space = ["", "A", "B", "C"][usize::from(hvcc.general_profile_space & 3)];
    let compatible = u32::from_be_bytes(hvcc.general_profile_compatibility_flags).reverse_bits();
    let tier = if hvcc.general_tier_flag { 'H' } else { 'L' };
    let (profile, level) = (hvcc.general_profile_idc, hvcc.general_level_idc);
    let mut name = format!("{entry}.{space}{profile}.{compatible:X}.{tier}{level}");
    let constraints = hvcc.general_constraint_indicator_flags;
    let used = constraints
        .iter()
        .rposition(|b| *b != 0)
        .map_or(0, |n| n + 1);
    for byte in &constraints[..used] {
        name.push_str(&format!(".{byte:X}"));
    }
    name
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

    #[test]
    fn hevc_names_are_those_of_the_standard() {
        let mut hvcc = Hvcc {
            general_profile_idc: 1,
            general_profile_compatibility_flags: [0x60, 0, 0, 0],
            general_constraint_indicator_flags: [0xB0, 0, 0, 0, 0, 0],
            general_level_idc: 93,
            ..Hvcc::new()
        };
        assert_eq!(hevc_name("hvc1", &hvcc), "hvc1.1.6.L93.B0");
        hvcc.general_tier_flag = true;
        hvcc.general_profile_space = 1;
        hvcc.general_constraint_indicator_flags = [0; 6];
        assert_eq!(hevc_name("hev1", &hvcc), "hev1.A1.6.H93");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = audio_config(&bytes);
        }
    }
}
