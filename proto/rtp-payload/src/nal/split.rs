use std::ops::Range;

use crate::Error;
use crate::error::need;

/// How the NAL units of an access unit are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Start codes (annex B of either; `stream-format=byte-stream`).
    AnnexB,
    /// A length before each NAL unit (ISO 14496-15; `stream-format=avc`, `hvc1` or `hev1`).
    Avc {
        /// Bytes per length, 1 to 4; the codec data says it.
        length_size: u8,
    },
}

/// Largest access unit taken or assembled: far beyond what HomeKit's bitrates can mean.
pub const MAX_ACCESS_UNIT: usize = 4 << 20;

/// Most NAL units in one access unit.
pub const MAX_NAL_UNITS: usize = 4096;

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
    let mut codes = memchr::memmem::find_iter(data, &START_CODE).peekable();
    while let Some(code) = codes.next() {
        let end = codes.peek().copied().unwrap_or(data.len());
        push(data, code + START_CODE.len()..end, out)?;
    }
    Ok(())
}

/// Of three bytes; a fourth before it is a zero that ends the NAL unit before.
const START_CODE: [u8; 3] = [0, 0, 1];

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
}
