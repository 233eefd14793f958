//! H.265 in RTP (RFC 7798, `sprop-max-don-diff=0`): single NAL units, one aggregation packet for the
//! parameter sets, fragmentation units.

mod hvc;
#[cfg(test)]
mod packetizer_tests;
mod syntax;

use self::syntax::{is_irap, kind, kind_of, parameter_set_id};
use crate::Error;
use crate::nal::{self, FragmentHeader, ParameterSets, Shape, Syntax};

pub use crate::nal::{
    AccessUnit, Format, MAX_ACCESS_UNIT, MAX_NAL_UNITS, Payload, Payloads, ReceivedAccessUnit,
};

/// Cuts H.265 access units into RTP payloads: VPS, SPS and PPS in one aggregation packet before
/// each picture a decoder can start with.
pub type Packetizer = nal::Packetizer<H265>;

/// Puts H.265 access units together again.
pub type Depacketizer = nal::Depacketizer<H265>;

/// The layout of H.265 (RFC 7798).
///
/// ```text
/// +---------------+---------------+
/// |F|   Type    |  LayerId  | TID |
/// +---------------+---------------+
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct H265;

impl Syntax for H265 {
    const HEADER_LEN: usize = 2;
    const SET_KINDS: usize = 3;

    fn set_kind(first: u8) -> Option<usize> {
        match kind_of(first) {
            kind::VPS => Some(0),
            kind::SPS => Some(1),
            kind::PPS => Some(2),
            _ => None,
        }
    }

    fn set_id(nal: &[u8]) -> Option<u32> {
        parameter_set_id(nal)
    }

    fn read_record(record: &[u8]) -> Result<(Format, ParameterSets<Self>), Error> {
        hvc::read(record)
    }

    /// Aggregation packet, with the lowest LayerId and the lowest TID of its members
    /// (RFC 7798 §4.4.2).
    fn begin_aggregate<'a>(nals: impl Iterator<Item = &'a [u8]> + Clone, out: &mut Vec<u8>) {
        let ids = |nal: &[u8]| u16::from_be_bytes([nal[0] & 1, nal[1]]);
        let layer = nals.clone().map(|nal| ids(nal) >> 3).min().unwrap_or(0);
        let temporal = nals.map(|nal| ids(nal) & 7).min().unwrap_or(1);
        let header = u16::from(kind::AGGREGATE) << 9 | layer << 3 | temporal;
        out.extend(header.to_be_bytes());
    }

    fn is_slice(nal: &[u8]) -> bool {
        let kind = kind_of(nal[0]);
        let slice = kind <= kind::LAST_LEADING || is_irap(kind);
        slice && nal.len() > Self::HEADER_LEN
    }

    fn is_random_access_point<'a>(mut nals: impl Iterator<Item = &'a [u8]> + Clone) -> bool {
        nals.any(|nal| Self::is_slice(nal) && is_irap(kind_of(nal[0])))
    }

    /// ```text
    /// |F|  49  |  LayerId  | TID | |S|E|  type   |      (RFC 7798 §4.4.3)
    /// ```
    fn fragment_header(nal: &[u8], first: bool, last: bool) -> FragmentHeader {
        let payload_header = [nal[0] & 0x81 | kind::FRAGMENT << 1, nal[1]];
        let header = u8::from(first) << 7 | u8::from(last) << 6 | kind_of(nal[0]);
        FragmentHeader::new([payload_header[0], payload_header[1], header])
    }

    fn shape(first: u8) -> Result<Shape, Error> {
        match kind_of(first) {
            0..kind::AGGREGATE => Ok(Shape::Single),
            kind::AGGREGATE => Ok(Shape::Aggregate),
            kind::FRAGMENT => Ok(Shape::Fragment),
            kind => Err(Error::NalType { kind }),
        }
    }

    fn whole_header(fragment: &[u8]) -> [u8; 2] {
        let kind = fragment[2] & 0x3f;
        [fragment[0] & 0x81 | kind << 1, fragment[1]]
    }

    fn is_key(first: u8) -> bool {
        is_irap(kind_of(first))
    }
}
