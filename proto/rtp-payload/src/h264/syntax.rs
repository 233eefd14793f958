use crate::nal::Bits;

/// Types of NAL units and of RTP payloads that matter here (RFC 6184 §5.2, H.264 table 7-1).
pub(super) mod kind {
    pub(crate) const SLICE: u8 = 1;
    pub(crate) const IDR: u8 = 5;
    pub(crate) const SEI: u8 = 6;
    pub(crate) const SPS: u8 = 7;
    pub(crate) const PPS: u8 = 8;
    pub(crate) const LAST_IN_STREAM: u8 = 23;
    pub(crate) const STAP_A: u8 = 24;
    pub(crate) const FU_A: u8 = 28;
}

/// Type of a NAL unit.
pub(super) fn kind_of(header: u8) -> u8 {
    header & 0x1f
}

/// Coded slices and their data partitions.
pub(super) fn is_slice(header: u8) -> bool {
    (kind::SLICE..=kind::IDR).contains(&kind_of(header))
}

/// Whether all macroblocks of a coded slice are intra coded: `slice_type` 2 or 7 (H.264 §7.4.3).
pub(super) fn is_intra_slice(nal: &[u8]) -> bool {
    let mut bits = Bits::new(nal.get(1..).unwrap_or_default());
    let first_macroblock = bits.exp_golomb();
    let slice_type = bits.exp_golomb();
    first_macroblock.is_some() && matches!(slice_type, Some(2 | 7))
}

/// Whether an SEI holds a recovery point, payload type 6 (H.264 §D.1.8).
pub(super) fn is_recovery_point(nal: &[u8]) -> bool {
    let mut rest = nal.get(1..).unwrap_or_default();
    while rest.len() > 2 {
        let Some((kind, after)) = sei_number(rest) else {
            return false;
        };
        if kind == 6 {
            return true;
        }
        let Some((len, after)) = sei_number(after) else {
            return false;
        };
        rest = after.get(len..).unwrap_or_default();
    }
    false
}

/// A payload type or size: bytes of 255 and a last one, added up (H.264 §7.3.2.3.1).
fn sei_number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let full = bytes.iter().take_while(|&&byte| byte == 255).count();
    let last = *bytes.get(full)?;
    Some((255 * full + usize::from(last), &bytes[full + 1..]))
}

/// `seq_parameter_set_id` of an SPS or `pic_parameter_set_id` of a PPS (H.264 §7.3.2).
pub(super) fn parameter_set_id(nal: &[u8]) -> Option<u32> {
    let header = match kind_of(*nal.first()?) {
        kind::SPS => 4,
        _ => 1,
    };
    Bits::new(nal.get(header..)?).exp_golomb()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_points_are_found_behind_other_messages() {
        assert!(is_recovery_point(&[0x06, 6, 1, 0xc4, 0x80]));
        assert!(is_recovery_point(&[
            0x06, 1, 2, 0xaa, 0xbb, 6, 1, 0xc4, 0x80
        ]));
        assert!(!is_recovery_point(&[0x06, 1, 2, 6, 6, 0x80]));
        assert!(!is_recovery_point(&[0x06, 255, 6, 1, 0xc4, 0x80]));
        assert!(!is_recovery_point(&[0x06, 1, 200, 6, 6]));
        assert!(!is_recovery_point(&[0x06]));
    }

    #[test]
    fn ids_and_slice_types_are_exp_golomb_coded() {
        assert_eq!(parameter_set_id(&[0x67, 0x4d, 0x40, 0x1f, 0x80]), Some(0));
        assert_eq!(parameter_set_id(&[0x67, 0x4d, 0x40, 0x1f, 0x60]), Some(2));
        assert_eq!(parameter_set_id(&[0x68, 0x40]), Some(1));
        assert_eq!(parameter_set_id(&[0x68]), None);
        // first_mb_in_slice 0 is `1`, slice_type 7 is `0001000`, 5 is `00110`.
        assert!(is_intra_slice(&[0x41, 0b1000_1000]));
        assert!(!is_intra_slice(&[0x41, 0b1001_1000]));
        assert!(!is_intra_slice(&[0x41]));
    }
}
