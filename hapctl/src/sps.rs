//! The picture size in an H.264 sequence parameter set (H.264 §7.3.2.1.1).

use crate::bits::Bits;

/// Profiles whose parameter sets describe the chroma format.
const HIGH_PROFILES: [u8; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];
/// Level 6.2 allows no more than 139264 macroblocks, thus none wider than this (H.264 table A-1).
const MAX_MACROBLOCKS: u32 = 1055;

/// What a viewer wants to know of a sequence parameter set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sps {
    /// `profile_idc`: 66 baseline, 77 main, 100 high.
    pub profile: u8,
    /// `level_idc`: 31 is level 3.1.
    pub level: u8,
    /// Width in pixels after cropping.
    pub width: u32,
    /// Height in pixels after cropping.
    pub height: u32,
}

impl Sps {
    /// Reads a NAL unit of type 7, header byte included.
    ///
    /// None when it is not one, ends early, or holds values out of range.
    #[must_use]
    pub fn parse(nal: &[u8]) -> Option<Self> {
        let (header, payload) = nal.split_first()?;
        if header & 0x9F != 7 {
            return None;
        }
        let mut bits = Bits::new(payload);
        let profile = bits.bits(8)? as u8;
        let _constraints = bits.bits(8)?;
        let level = bits.bits(8)? as u8;
        let _id = at_most(bits.ue()?, 31)?;
        let chroma = chroma(&mut bits, profile)?;
        order_count(&mut bits)?;
        let (width, height) = picture_size(&mut bits, chroma)?;
        Some(Self {
            profile,
            level,
            width,
            height,
        })
    }
}

fn at_most(n: u32, max: u32) -> Option<u32> {
    (n <= max).then_some(n)
}

/// `ChromaArrayType`: 0 monochrome or separate planes, 1 is 4:2:0, 2 is 4:2:2, 3 is 4:4:4.
fn chroma(bits: &mut Bits<'_>, profile: u8) -> Option<u32> {
    if !HIGH_PROFILES.contains(&profile) {
        return Some(1);
    }
    let format = at_most(bits.ue()?, 3)?;
    let separate = format == 3 && bits.bit()?;
    let _luma_depth = at_most(bits.ue()?, 6)?;
    let _chroma_depth = at_most(bits.ue()?, 6)?;
    let _lossless = bits.bit()?;
    if bits.bit()? {
        scaling_matrix(bits, if format == 3 { 12 } else { 8 })?;
    }
    Some(if separate { 0 } else { format })
}

fn scaling_matrix(bits: &mut Bits<'_>, lists: usize) -> Option<()> {
    for list in 0..lists {
        if bits.bit()? {
            scaling_list(bits, if list < 6 { 16 } else { 64 })?;
        }
    }
    Some(())
}

/// H.264 §7.3.2.1.1.1: a delta per coefficient until the next scale is 0.
fn scaling_list(bits: &mut Bits<'_>, size: usize) -> Option<()> {
    let (mut last, mut next) = (8i64, 8i64);
    for _ in 0..size {
        if next != 0 {
            let delta = bits.se()?;
            next = (last + delta).rem_euclid(256);
        }
        if next != 0 {
            last = next;
        }
    }
    Some(())
}

/// Frame number and picture order count, up to the reference frames.
fn order_count(bits: &mut Bits<'_>) -> Option<()> {
    let _log2_frame_num = at_most(bits.ue()?, 12)?;
    match bits.ue()? {
        0 => drop(at_most(bits.ue()?, 12)?),
        1 => {
            let _delta_always_zero = bits.bit()?;
            let _offset_non_reference = bits.se()?;
            let _offset_top_to_bottom = bits.se()?;
            let cycle = at_most(bits.ue()?, 255)?;
            for _ in 0..cycle {
                let _offset = bits.se()?;
            }
        }
        2 => {}
        _ => return None,
    }
    let _reference_frames = at_most(bits.ue()?, 16)?;
    let _gaps_allowed = bits.bit()?;
    Some(())
}

fn picture_size(bits: &mut Bits<'_>, chroma: u32) -> Option<(u32, u32)> {
    let width = at_most(bits.ue()?, MAX_MACROBLOCKS - 1)? + 1;
    let map_units = at_most(bits.ue()?, MAX_MACROBLOCKS - 1)? + 1;
    let frames_only = bits.bit()?;
    if !frames_only {
        let _adaptive = bits.bit()?;
    }
    let _direct_8x8 = bits.bit()?;
    let fields = if frames_only { 1 } else { 2 };
    let (unit_x, unit_y) = crop_unit(chroma, fields);
    let [left, right, top, bottom] = cropping(bits)?;
    Some((
        cropped(width * 16, left, right, unit_x)?,
        cropped(map_units * 16 * fields, top, bottom, unit_y)?,
    ))
}

/// H.264 equations 7-19 to 7-22.
fn crop_unit(chroma: u32, fields: u32) -> (u32, u32) {
    match chroma {
        1 => (2, 2 * fields),
        2 => (2, fields),
        _ => (1, fields),
    }
}

fn cropping(bits: &mut Bits<'_>) -> Option<[u32; 4]> {
    if !bits.bit()? {
        return Some([0; 4]);
    }
    Some([bits.ue()?, bits.ue()?, bits.ue()?, bits.ue()?])
}

fn cropped(size: u32, a: u32, b: u32, unit: u32) -> Option<u32> {
    let cut = a.checked_add(b)?.checked_mul(unit)?;
    size.checked_sub(cut).filter(|left| *left > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex;
    use proptest::prelude::*;

    /// Parameter sets as x264 and OpenH264 write them.
    const REAL: &[(&str, u32, u32, u8, u8)] = &[
        (
            "6742c01fd9005005bb0110000003001000000303c0f1832480",
            1280,
            720,
            66,
            31,
        ),
        (
            "6764001facd9405005bb0110000003001000000303c0f1831960",
            1280,
            720,
            100,
            31,
        ),
        (
            "6742c01ed900a02ff970110000030001000003003c0f162e48",
            640,
            360,
            66,
            30,
        ),
        (
            "6742c028d900780227e5c044000003000400000300f03c60c920",
            1920,
            1080,
            66,
            40,
        ),
        (
            "67640028acd940780227e5c044000003000400000300f03c60c658",
            1920,
            1080,
            100,
            40,
        ),
        (
            "6742c00dd90141fb0110000003001000000303c0f142a480",
            320,
            240,
            66,
            13,
        ),
        (
            "67640015acd941e08feb0110000003001000000303c0f162d960",
            480,
            270,
            100,
            21,
        ),
        ("6742c00d8c8d40a0cbcf00f08846a0", 320, 180, 66, 13),
        // 4:2:2, interlaced.
        (
            "677a001ebcd940b424d8088000000300800000190f8a14cb",
            720,
            576,
            122,
            30,
        ),
    ];

    #[test]
    fn sizes_of_real_encoders() {
        for &(text, width, height, profile, level) in REAL {
            let sps = Sps {
                profile,
                level,
                width,
                height,
            };
            assert_eq!(Sps::parse(&hex::decode(text).unwrap()), Some(sps), "{text}");
        }
    }

    #[test]
    fn an_early_end_is_refused() {
        let whole = hex::decode(REAL[0].0).unwrap();
        // Everything up to the cropping flag is needed; behind it stands the VUI.
        for end in 0..8 {
            assert_eq!(Sps::parse(&whole[..end]), None, "{end}");
        }
    }

    #[test]
    fn other_nal_units_are_refused() {
        let mut whole = hex::decode(REAL[0].0).unwrap();
        for header in [0x68, 0x65, 0xE7, 0x09] {
            whole[0] = header;
            assert_eq!(Sps::parse(&whole), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_within_limits(
            bytes in proptest::collection::vec(any::<u8>(), 0..120),
        ) {
            let mut nal = vec![0x67];
            nal.extend(bytes);
            if let Some(sps) = Sps::parse(&nal) {
                prop_assert!((1..=MAX_MACROBLOCKS * 16).contains(&sps.width));
                prop_assert!((1..=MAX_MACROBLOCKS * 32).contains(&sps.height));
            }
        }

        #[test]
        fn damaged_parameter_sets_do_no_harm(n in 0usize..9, at in 1usize..20, bit in 0u8..8) {
            let mut nal = hex::decode(REAL[n].0).unwrap();
            let at = at.min(nal.len() - 1);
            nal[at] ^= 1 << bit;
            let _ = Sps::parse(&nal);
        }
    }
}
