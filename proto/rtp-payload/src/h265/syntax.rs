use crate::nal::Bits;

/// Types of NAL units and of RTP payloads that matter here (H.265 table 7-1, RFC 7798 §4.4).
pub(super) mod kind {
    /// The last of the trailing, leading and sub-layer pictures that are not reserved.
    pub(crate) const LAST_LEADING: u8 = 9;
    pub(crate) const FIRST_IRAP: u8 = 16;
    pub(crate) const CRA: u8 = 21;
    pub(crate) const VPS: u8 = 32;
    pub(crate) const SPS: u8 = 33;
    pub(crate) const PPS: u8 = 34;
    pub(crate) const AGGREGATE: u8 = 48;
    pub(crate) const FRAGMENT: u8 = 49;
}

/// Type of a NAL unit.
pub(super) fn kind_of(first: u8) -> u8 {
    first >> 1 & 0x3f
}

/// Whether a decoder can start here: BLA, IDR, CRA.
pub(super) fn is_irap(kind: u8) -> bool {
    (kind::FIRST_IRAP..=kind::CRA).contains(&kind)
}

/// The id of a VPS, SPS or PPS (H.265 §7.3.2).
pub(super) fn parameter_set_id(nal: &[u8]) -> Option<u32> {
    let kind = kind_of(*nal.first()?);
    let mut bits = Bits::new(nal.get(2..)?);
    match kind {
        kind::VPS => bits.bits(4),
        kind::SPS => sps_id(&mut bits),
        _ => bits.exp_golomb(),
    }
}

/// Bits of `general_…` in `profile_tier_level` (H.265 §7.3.3), and of a sub-layer's profile.
const PROFILE_BITS: u32 = 88;
const LEVEL_BITS: u32 = 8;

fn sps_id(bits: &mut Bits<'_>) -> Option<u32> {
    bits.skip(4)?; // sps_video_parameter_set_id
    let sub_layers = bits.bits(3)?;
    bits.skip(1 + PROFILE_BITS + LEVEL_BITS)?;
    let present: Vec<_> = (0..sub_layers)
        .map(|_| Some((bits.bit()?, bits.bit()?)))
        .collect::<Option<_>>()?;
    if sub_layers > 0 {
        bits.skip(2 * (8 - sub_layers))?;
    }
    for (profile, level) in present {
        bits.skip(profile * PROFILE_BITS + level * LEVEL_BITS)?;
    }
    bits.exp_golomb()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of x265, 320x240, one sub-layer; emulation prevention within the profile.
    const SPS: &[u8] = &[
        0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00,
        0x03, 0x00, 0x3c, 0xa0, 0x0a, 0x08, 0x0f, 0x16,
    ];

    #[test]
    fn ids_of_vps_sps_and_pps() {
        assert_eq!(parameter_set_id(&[0x40, 0x01, 0x2c]), Some(2));
        assert_eq!(parameter_set_id(SPS), Some(0));
        assert_eq!(parameter_set_id(&[0x44, 0x01, 0x40]), Some(1));
        assert_eq!(parameter_set_id(&SPS[..16]), None);
        assert_eq!(parameter_set_id(&[0x44]), None);
    }

    #[test]
    fn an_sps_with_sub_layers() {
        // Two sub-layers: flags 1 and 1 for the lower one, 14 reserved bits, profile and level.
        let mut nal = vec![0x42, 0x01, 0x03];
        nal.extend([1; 12]);
        nal.extend([0xc0, 0x00]);
        nal.extend([1; 12]);
        nal.push(0b0110_0000);
        assert_eq!(parameter_set_id(&nal), Some(2));
    }

    #[test]
    fn key_pictures_are_bla_idr_and_cra() {
        let keys: Vec<u8> = (0..64).filter(|kind| is_irap(*kind)).collect();
        assert_eq!(keys, [16, 17, 18, 19, 20, 21]);
        assert_eq!(kind_of(0x26), 19);
    }
}
