//! What is in an access unit of length-prefixed NAL units (ISO/IEC 14496-15).

use std::ops::Range;

/// How NAL units are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    H264,
    H265,
}

impl Codec {
    /// By the name of caps.
    pub(super) fn from_media_type(name: &str) -> Option<Self> {
        match name {
            "video/x-h264" => Some(Self::H264),
            "video/x-h265" => Some(Self::H265),
            _ => None,
        }
    }

    /// The parser that belongs to it.
    pub(super) fn parser(self) -> &'static str {
        match self {
            Self::H264 => "h264parse",
            Self::H265 => "h265parse",
        }
    }

    /// Bytes of the lengths before NAL units, by the decoder configuration (ISO/IEC 14496-15 §5.3.3.1.2,
    /// §8.3.3.1.2): what a camera's recorder chose, since parsers keep it.
    pub(super) fn length_size(self, configuration: &[u8]) -> Option<usize> {
        let at = match self {
            Self::H264 => 4,
            Self::H265 => 21,
        };
        configuration.get(at).map(|byte| usize::from(byte & 3) + 1)
    }

    fn unit(self, header: u8) -> Unit {
        match self {
            Self::H264 => match header & 0x1f {
                5 => Unit::Key,
                1..=4 => Unit::Picture,
                // Parameter sets, delimiter, end of sequence and of stream, filler.
                7..=13 => Unit::Dispensable,
                _ => Unit::Other,
            },
            Self::H265 => match (header >> 1) & 0x3f {
                16..=21 => Unit::Key,
                0..=31 => Unit::Picture,
                32..=38 => Unit::Dispensable,
                _ => Unit::Other,
            },
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// Of an IDR picture, or in H.265 any random access point.
    Key,
    Picture,
    /// In `avc1` and `hvc1` the sample entry alone holds parameter sets.
    Dispensable,
    Other,
}

/// What a sample is made of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Contents {
    /// Decoding can begin here.
    pub(super) key: bool,
    /// Bytes that go into the sample.
    pub(super) kept: Vec<Range<usize>>,
}

impl Contents {
    /// Whether nothing of `len` bytes is left out.
    pub(super) fn is_all_of(&self, len: usize) -> bool {
        self.kept.first().is_some_and(|range| *range == (0..len))
    }
}

/// Looks through an access unit; what is cut short at its end is left out.
pub(super) fn contents(codec: Codec, length_size: usize, bytes: &[u8]) -> Contents {
    let mut contents = Contents {
        key: false,
        kept: Vec::new(),
    };
    for (range, header) in units(length_size, bytes) {
        match codec.unit(header) {
            Unit::Dispensable => continue,
            Unit::Key => contents.key = true,
            Unit::Picture | Unit::Other => {}
        }
        keep(&mut contents.kept, range);
    }
    contents
}

/// Neighbours become one.
fn keep(kept: &mut Vec<Range<usize>>, range: Range<usize>) {
    match kept.last_mut() {
        Some(last) if last.end == range.start => last.end = range.end,
        _ => kept.push(range),
    }
}

/// Range of each NAL unit with its length, and the first byte of its header.
fn units(length_size: usize, bytes: &[u8]) -> impl Iterator<Item = (Range<usize>, u8)> + '_ {
    let mut start = 0;
    std::iter::from_fn(move || {
        let begin = start + length_size;
        let length = bytes.get(start..begin)?.iter();
        let length = length.fold(0, |length, byte| (length << 8) | usize::from(*byte));
        let end = begin.checked_add(length)?;
        let unit = bytes.get(begin..end)?;
        let range = start..end;
        start = end;
        Some((range, unit.first().copied().unwrap_or_default()))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unit(bytes: &[u8]) -> Vec<u8> {
        let mut unit = (bytes.len() as u32).to_be_bytes().to_vec();
        unit.extend(bytes);
        unit
    }

    fn one(range: Range<usize>) -> Vec<Range<usize>> {
        vec![range]
    }

    fn access_unit(units: &[&[u8]]) -> Vec<u8> {
        units.iter().flat_map(|bytes| unit(bytes)).collect()
    }

    #[test]
    fn h264_key_frame_loses_delimiter_and_parameter_sets() {
        let bytes = access_unit(&[
            &[0x09, 0xf0],
            &[0x67, 1],
            &[0x68],
            &[0x06, 5],
            &[0x65, 9, 9],
        ]);
        let contents = contents(Codec::H264, 4, &bytes);
        assert!(contents.key);
        assert_eq!(contents.kept, one(6 + 6 + 5..bytes.len()));
    }

    #[test]
    fn h264_intra_picture_that_is_no_idr_is_no_key() {
        let contents = contents(Codec::H264, 4, &access_unit(&[&[0x41, 0x9a]]));
        assert!(!contents.key);
        assert_eq!(contents.kept, one(0..6));
    }

    #[test]
    fn h265_random_access_points_are_keys() {
        for (kind, key) in [(1, false), (9, false), (16, true), (19, true), (21, true)] {
            let bytes = access_unit(&[&[35 << 1, 1], &[33 << 1, 1], &[kind << 1, 1, 7]]);
            let contents = contents(Codec::H265, 4, &bytes);
            assert_eq!(contents.key, key, "{kind}");
            assert_eq!(contents.kept, one(12..19));
        }
    }

    #[test]
    fn what_lies_between_dispensable_units_is_kept_in_pieces() {
        let bytes = access_unit(&[&[0x06, 1], &[0x0c, 0xff], &[0x65, 1]]);
        let kept = contents(Codec::H264, 4, &bytes).kept;
        assert_eq!(kept, [0..6, 12..18]);
    }

    #[test]
    fn lengths_of_two_bytes_are_read_too() {
        let configuration = [1, 66, 0, 30, 0xfd];
        assert_eq!(Codec::H264.length_size(&configuration), Some(2));
        assert_eq!(Codec::H265.length_size(&configuration), None);
        let contents = contents(Codec::H264, 2, &[0, 2, 0x09, 0xf0, 0, 2, 0x65, 9]);
        assert!(contents.key);
        assert_eq!(contents.kept, one(4..8));
    }

    proptest! {
        #[test]
        fn any_bytes_give_ranges_in_order_within_them(
            bytes: Vec<u8>,
            h265: bool,
            length_size in 1_usize..=4,
        ) {
            let codec = if h265 { Codec::H265 } else { Codec::H264 };
            let mut end = 0;
            for range in contents(codec, length_size, &bytes).kept {
                prop_assert!(end <= range.start && range.start < range.end);
                prop_assert!(range.end <= bytes.len());
                end = range.end;
            }
        }
    }
}
