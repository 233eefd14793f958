//! NAL units: their types, and where they lie in an access unit.

use std::ops::Range;

use super::{Format, MAX_ACCESS_UNIT, MAX_NAL_UNITS};
use crate::Error;
use crate::error::need;

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

/// Finds the NAL units of `data`, none of them empty.
pub(super) fn split(data: &[u8], format: Format, out: &mut Vec<Range<usize>>) -> Result<(), Error> {
    out.clear();
    limit(data.len(), MAX_ACCESS_UNIT)?;
    match format {
        Format::AnnexB => split_annex_b(data, out),
        Format::Avc { length_size } => split_avc(data, length_size.into(), out),
    }
}

fn split_annex_b(data: &[u8], out: &mut Vec<Range<usize>>) -> Result<(), Error> {
    let Some(mut start) = next_start_code(data, 0) else {
        return Ok(());
    };
    loop {
        let begin = start + 3;
        let next = next_start_code(data, begin);
        push(data, begin..next.unwrap_or(data.len()), out)?;
        match next {
            Some(next) => start = next,
            None => return Ok(()),
        }
    }
}

/// Adds a NAL unit without the zero bytes that may follow it (H.264 §B.1.1).
fn push(data: &[u8], nal: Range<usize>, out: &mut Vec<Range<usize>>) -> Result<(), Error> {
    let zeros = data[nal.clone()].iter().rev().take_while(|&&b| b == 0);
    let nal = nal.start..nal.end - zeros.count();
    if !nal.is_empty() {
        out.push(nal);
        limit(out.len(), MAX_NAL_UNITS)?;
    }
    Ok(())
}

/// Position of the next `00 00 01` at or after `from`.
fn next_start_code(data: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while at + 2 < data.len() {
        match data[at + 2] {
            0 => at += 1,
            1 if data[at] == 0 && data[at + 1] == 0 => return Some(at),
            _ => at += 3,
        }
    }
    None
}

fn split_avc(data: &[u8], length_size: usize, out: &mut Vec<Range<usize>>) -> Result<(), Error> {
    let mut at = 0;
    while at < data.len() {
        need(data, at + length_size)?;
        let digits = &data[at..at + length_size];
        let len = digits.iter().fold(0, |len, &b| len << 8 | usize::from(b));
        at += length_size;
        need(data, at + len)?;
        if len > 0 {
            out.push(at..at + len);
            limit(out.len(), MAX_NAL_UNITS)?;
        }
        at += len;
    }
    Ok(())
}

fn limit(actual: usize, limit: usize) -> Result<(), Error> {
    if actual > limit {
        return Err(Error::TooLarge { limit, actual });
    }
    Ok(())
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

/// Reads bits; emulation prevention does not matter for the few at the beginning that are read.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn bit(&mut self) -> Option<u32> {
        let byte = *self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit.into())
    }

    /// `ue(v)` (H.264 §9.1), up to 16 leading zeros.
    fn exp_golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.bit()? == 0 {
            zeros += 1;
            if zeros > 16 {
                return None;
            }
        }
        let mut value = 1;
        for _ in 0..zeros {
            value = value << 1 | self.bit()?;
        }
        Some(value - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nals(data: &[u8], format: Format) -> Result<Vec<&[u8]>, Error> {
        let mut out = Vec::new();
        split(data, format, &mut out)?;
        Ok(out.into_iter().map(|range| &data[range]).collect())
    }

    #[test]
    fn start_codes_of_three_and_four_bytes_with_zeros_around() {
        let data = [
            0, 0, 0, 0, 1, 0x67, 0xaa, 0, 0, 1, 0x68, 0, 0, 0, 1, 0x65, 1, 0, 0, 2, 0, 0,
        ];
        let expected: [&[u8]; 3] = [&[0x67, 0xaa], &[0x68], &[0x65, 1, 0, 0, 2]];
        assert_eq!(nals(&data, Format::AnnexB).unwrap(), expected);
    }

    #[test]
    fn without_start_code_or_content_there_is_nothing() {
        for data in [
            &[][..],
            &[0, 0],
            &[1, 2, 3, 4],
            &[0, 0, 1],
            &[0, 0, 1, 0, 0, 1],
        ] {
            assert!(nals(data, Format::AnnexB).unwrap().is_empty(), "{data:?}");
        }
    }

    #[test]
    fn lengths_of_one_two_and_four_bytes() {
        let expected: [&[u8]; 2] = [&[0x67, 1], &[0x65]];
        let one = [2, 0x67, 1, 1, 0x65];
        assert_eq!(
            nals(&one, Format::Avc { length_size: 1 }).unwrap(),
            expected
        );
        let two = [0, 2, 0x67, 1, 0, 0, 0, 1, 0x65];
        assert_eq!(
            nals(&two, Format::Avc { length_size: 2 }).unwrap(),
            expected
        );
        let four = [0, 0, 0, 2, 0x67, 1, 0, 0, 0, 1, 0x65];
        assert_eq!(
            nals(&four, Format::Avc { length_size: 4 }).unwrap(),
            expected
        );
    }

    #[test]
    fn a_length_beyond_the_end_is_refused() {
        let format = Format::Avc { length_size: 4 };
        let error = nals(&[0xff, 0xff, 0xff, 0xff, 0x65], format).unwrap_err();
        assert!(matches!(error, Error::Truncated { actual: 5, .. }));
        assert!(nals(&[0, 0, 0], format).is_err());
    }

    #[test]
    fn more_nal_units_than_the_limit_are_refused() {
        let data = [0, 0, 1, 9].repeat(MAX_NAL_UNITS + 1);
        let error = nals(&data, Format::AnnexB).unwrap_err();
        let expected = Error::TooLarge {
            limit: MAX_NAL_UNITS,
            actual: MAX_NAL_UNITS + 1,
        };
        assert_eq!(error, expected);
    }

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
