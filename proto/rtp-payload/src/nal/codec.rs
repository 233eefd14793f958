use std::fmt::Debug;

use super::{Format, ParameterSets};
use crate::Error;

/// [`H264`](crate::h264::H264) or [`H265`](crate::h265::H265).
pub trait Codec: Syntax {}

impl<C: Syntax> Codec for C {}

/// The layout of NAL units and of the RTP payloads made of them.
pub trait Syntax: Debug + Default + Sized + 'static {
    /// Length of the header of a NAL unit, 1 or 2. A fragment has one byte more.
    const HEADER_LEN: usize;

    /// Kinds of parameter sets.
    const SET_KINDS: usize;

    /// Which kind of parameter set a NAL unit is, by its first byte and in the order of sending.
    fn set_kind(first: u8) -> Option<usize>;

    /// The id of a parameter set.
    fn set_id(nal: &[u8]) -> Option<u32>;

    /// Reads the codec data of caps.
    fn read_record(record: &[u8]) -> Result<(Format, ParameterSets<Self>), Error>;

    /// Writes the header of an aggregation packet of `nals`.
    fn begin_aggregate<'a>(nals: impl Iterator<Item = &'a [u8]> + Clone, out: &mut Vec<u8>);

    /// Whether the NAL unit is part of a picture.
    fn is_slice(nal: &[u8]) -> bool;

    /// Whether a decoder can start with the access unit made of `nals`.
    fn is_random_access_point<'a>(nals: impl Iterator<Item = &'a [u8]> + Clone) -> bool;

    /// The header of a fragment of `nal`.
    fn fragment_header(nal: &[u8], first: bool, last: bool) -> FragmentHeader;

    /// What the payload that begins with this byte is.
    fn shape(first: u8) -> Result<Shape, Error>;

    /// The header of the NAL unit whose fragment this is; of two bytes the first
    /// [`HEADER_LEN`](Self::HEADER_LEN) count.
    fn whole_header(fragment: &[u8]) -> [u8; 2];

    /// Whether a NAL unit that begins with this byte belongs to a picture a decoder can start with.
    fn is_key(first: u8) -> bool;
}

/// What an RTP payload holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One NAL unit.
    Single,
    /// Several, each behind its length.
    Aggregate,
    /// Part of one.
    Fragment,
}

/// The header of a fragment, up to three bytes; empty for what is no fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FragmentHeader {
    bytes: [u8; 3],
    len: u8,
}

impl FragmentHeader {
    pub(crate) fn new<const LEN: usize>(header: [u8; LEN]) -> Self {
        let mut bytes = [0; 3];
        bytes[..LEN].copy_from_slice(&header);
        let len = LEN as u8;
        Self { bytes, len }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len.into()]
    }
}
