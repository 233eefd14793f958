use std::ops::Range;

use super::split::split;
use super::{AccessUnit, Codec, Format, ParameterSets, Payloads};
use crate::Error;

/// Cuts access units into RTP payloads.
///
/// Access unit delimiters, SEI, filler and all that is no coded slice are left out. The parameter
/// sets, wherever they came from, travel in one aggregation packet before each key frame: iOS does
/// not handle them in packets of their own.
///
/// ```
/// use rtp_payload::h264::{Format, Packetizer};
///
/// let mut packetizer = Packetizer::new(1378 - 12 - 10);
/// let idr = [0, 0, 1, 0x67, 77, 64, 31, 0x80, 0, 0, 1, 0x68, 0xee, 0, 0, 1, 0x65, 0x88, 0x80];
/// let access_unit = packetizer.access_unit(&idr, Format::AnnexB)?;
/// assert!(access_unit.is_key());
///
/// let mut packet = Vec::new();
/// for payload in access_unit.payloads() {
///     packet.clear(); // here the RTP header, with `payload.marker`
///     payload.write_to(&mut packet);
/// }
/// assert_eq!(packet, [0x65, 0x88, 0x80]);
/// # Ok::<(), rtp_payload::Error>(())
/// ```
#[derive(Debug)]
pub struct Packetizer<C: Codec> {
    payload_limit: usize,
    sets: ParameterSets<C>,
    /// `sets` as they go on the wire.
    aggregate: Vec<u8>,
    /// NAL units of the access unit at hand; kept for its capacity.
    nals: Vec<Range<usize>>,
}

/// Below this a payload could not hold the headers of fragments and a useful share of data.
const MIN_PAYLOAD_LIMIT: usize = 64;

impl<C: Codec> Packetizer<C> {
    /// Payloads will have at most `payload_limit` bytes (at least 64): the size a UDP payload may
    /// have, less RTP header and SRTP tag.
    pub fn new(payload_limit: usize) -> Self {
        Self {
            payload_limit: payload_limit.max(MIN_PAYLOAD_LIMIT),
            sets: ParameterSets::default(),
            aggregate: Vec::new(),
            nals: Vec::new(),
        }
    }

    /// Changes the limit from the next access unit on.
    pub fn set_payload_limit(&mut self, payload_limit: usize) {
        self.payload_limit = payload_limit.max(MIN_PAYLOAD_LIMIT);
    }

    /// Takes the parameter sets of an `avcC` or `hvcC` record in place of those known so far, and returns the
    /// format of the access units that follow it.
    ///
    /// # Errors
    /// [`Error::CodecData`] if it is not such a record.
    pub fn set_codec_data(&mut self, record: &[u8]) -> Result<Format, Error> {
        let (format, sets) = C::read_record(record)?;
        if sets.are_complete() {
            self.sets = sets;
            self.sets.write_aggregate(&mut self.aggregate);
        }
        Ok(format)
    }

    /// Takes one access unit.
    ///
    /// # Errors
    /// The NAL units cannot be told apart, exceed a limit, hold no picture, or hold a key frame
    /// although the parameter sets are still unknown.
    pub fn access_unit<'a>(
        &'a mut self,
        data: &'a [u8],
        format: Format,
    ) -> Result<AccessUnit<'a>, Error> {
        split(data, format, &mut self.nals)?;
        let sets_changed = self.store_parameter_sets(data)?;
        let nals = self.nals.iter().map(|nal| &data[nal.clone()]);
        let key = C::is_random_access_point(nals);
        self.nals.retain(|nal| C::is_slice(&data[nal.clone()]));
        if self.nals.is_empty() {
            return Err(Error::NoPicture);
        }
        if key && !self.sets.are_complete() {
            return Err(Error::NoParameterSets);
        }
        let with_sets = (key || sets_changed) && self.sets.are_complete();
        Ok(self.cut(data, key, with_sets))
    }

    /// Stores what came in band. Sets that come complete replace all older ones.
    fn store_parameter_sets(&mut self, data: &[u8]) -> Result<bool, Error> {
        let mut in_band = ParameterSets::default();
        let mut changed = false;
        for nal in &self.nals {
            let nal = &data[nal.clone()];
            if C::set_kind(nal[0]).is_some() {
                in_band.store(nal)?;
                changed |= self.sets.store(nal)?;
            }
        }
        if changed {
            if in_band.are_complete() {
                self.sets = in_band;
            }
            self.sets.write_aggregate(&mut self.aggregate);
        }
        Ok(changed)
    }

    fn cut<'a>(&'a self, data: &'a [u8], key: bool, with_sets: bool) -> AccessUnit<'a> {
        let fits = self.aggregate.len() <= self.payload_limit;
        let payloads = Payloads {
            payload_limit: self.payload_limit,
            header_len: C::HEADER_LEN,
            fragment_header: C::fragment_header,
            aggregate: (with_sets && fits).then_some(&self.aggregate),
            data,
            nals: &self.nals,
            fragmented: 0,
        };
        AccessUnit { key, payloads }
    }
}
