//! H.264 in RTP (RFC 6184, `packetization-mode=1`): single NAL units, STAP-A for the parameter sets,
//! FU-A.

mod avc;
#[cfg(test)]
mod depacketizer_tests;
#[cfg(test)]
mod packetizer_tests;
mod syntax;

use self::syntax::{is_intra_slice, is_recovery_point, is_slice, kind, kind_of, parameter_set_id};
use crate::Error;
use crate::nal::{self, FragmentHeader, ParameterSets, Shape, Syntax};

pub use self::avc::codec_data;
pub use crate::nal::{
    AccessUnit, Format, MAX_ACCESS_UNIT, MAX_NAL_UNITS, Payload, Payloads, ReceivedAccessUnit,
};

/// Cuts H.264 access units into RTP payloads.
pub type Packetizer = nal::Packetizer<H264>;

/// Puts H.264 access units together again.
pub type Depacketizer = nal::Depacketizer<H264>;

/// The layout of H.264 (RFC 6184).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct H264;

impl Syntax for H264 {
    const HEADER_LEN: usize = 1;
    const SET_KINDS: usize = 2;

    fn set_kind(first: u8) -> Option<usize> {
        match kind_of(first) {
            kind::SPS => Some(0),
            kind::PPS => Some(1),
            _ => None,
        }
    }

    fn set_id(nal: &[u8]) -> Option<u32> {
        parameter_set_id(nal)
    }

    fn read_record(record: &[u8]) -> Result<(Format, ParameterSets<Self>), Error> {
        avc::read(record)
    }

    /// STAP-A (RFC 6184 §5.7.1), with the highest importance (NRI) of its members.
    fn begin_aggregate<'a>(nals: impl Iterator<Item = &'a [u8]> + Clone, out: &mut Vec<u8>) {
        let importance = nals.map(|nal| nal[0] & 0x60).max().unwrap_or(0);
        out.push(importance | kind::STAP_A);
    }

    fn is_slice(nal: &[u8]) -> bool {
        is_slice(nal[0])
    }

    /// An IDR picture; or, since cameras with open GOPs never send one, an intra picture with an
    /// SPS or a recovery point before it.
    fn is_random_access_point<'a>(nals: impl Iterator<Item = &'a [u8]> + Clone) -> bool {
        if nals.clone().any(|nal| Self::is_key(nal[0])) {
            return true;
        }
        let announced = nals.clone().any(|nal| match kind_of(nal[0]) {
            kind::SPS => true,
            kind::SEI => is_recovery_point(nal),
            _ => false,
        });
        let mut slices = nals.filter(|nal| is_slice(nal[0]));
        announced && slices.all(is_intra_slice)
    }

    /// ```text
    /// |F|NRI|  28   | |S|E|R|  type   |      (FU-A, RFC 6184 §5.8)
    /// ```
    fn fragment_header(nal: &[u8], first: bool, last: bool) -> FragmentHeader {
        let indicator = nal[0] & 0xe0 | kind::FU_A;
        let header = u8::from(first) << 7 | u8::from(last) << 6 | kind_of(nal[0]);
        FragmentHeader::new([indicator, header])
    }

    fn shape(first: u8) -> Result<Shape, Error> {
        match kind_of(first) {
            kind::SLICE..=kind::LAST_IN_STREAM => Ok(Shape::Single),
            kind::STAP_A => Ok(Shape::Aggregate),
            kind::FU_A => Ok(Shape::Fragment),
            kind => Err(Error::NalType { kind }),
        }
    }

    fn whole_header(fragment: &[u8]) -> [u8; 2] {
        [fragment[0] & 0xe0 | kind_of(fragment[1]), 0]
    }

    fn is_key(first: u8) -> bool {
        kind_of(first) == kind::IDR
    }
}
