use std::ops::Range;

use super::nal::{self, kind, kind_of};
use super::parameter_sets::ParameterSets;
use super::{Format, avc};
use crate::Error;

/// Cuts H.264 access units into RTP payloads (RFC 6184, `packetization-mode=1`).
///
/// Access unit delimiters, SEI, filler and all that is no coded slice are left out. SPS and PPS,
/// wherever they came from, travel in one STAP-A before each key frame: iOS does not handle them
/// in packets of their own.
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
pub struct Packetizer {
    payload_limit: usize,
    sets: ParameterSets,
    /// `sets` as they go on the wire.
    stap_a: Vec<u8>,
    /// NAL units of the access unit at hand; kept for its capacity.
    nals: Vec<Range<usize>>,
}

/// Below this a payload could not hold FU-A headers and a useful share of data.
const MIN_PAYLOAD_LIMIT: usize = 64;

impl Packetizer {
    /// Payloads will have at most `payload_limit` bytes (at least 64): the size a UDP payload may
    /// have, less RTP header and SRTP tag.
    pub fn new(payload_limit: usize) -> Self {
        Self {
            payload_limit: payload_limit.max(MIN_PAYLOAD_LIMIT),
            sets: ParameterSets::default(),
            stap_a: Vec::new(),
            nals: Vec::new(),
        }
    }

    /// Changes the limit from the next access unit on.
    pub fn set_payload_limit(&mut self, payload_limit: usize) {
        self.payload_limit = payload_limit.max(MIN_PAYLOAD_LIMIT);
    }

    /// Takes the parameter sets of an `avcC` record in place of those known so far, and returns the
    /// format of the access units that follow it.
    ///
    /// # Errors
    /// [`Error::CodecData`] if it is not such a record.
    pub fn set_codec_data(&mut self, record: &[u8]) -> Result<Format, Error> {
        let (format, sets) = avc::read(record)?;
        if sets.are_complete() {
            self.sets = sets;
            self.sets.write_stap_a(&mut self.stap_a);
        }
        Ok(format)
    }

    /// Takes one access unit.
    ///
    /// # Errors
    /// The NAL units cannot be told apart, exceed a limit, hold no picture, or hold a key frame
    /// although SPS and PPS are still unknown.
    pub fn access_unit<'a>(
        &'a mut self,
        data: &'a [u8],
        format: Format,
    ) -> Result<AccessUnit<'a>, Error> {
        nal::split(data, format, &mut self.nals)?;
        let sets_changed = self.store_parameter_sets(data)?;
        let key = self.is_random_access_point(data);
        self.nals.retain(|nal| is_slice(data[nal.start]));
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
            if matches!(kind_of(nal[0]), kind::SPS | kind::PPS) {
                in_band.store(nal)?;
                changed |= self.sets.store(nal)?;
            }
        }
        if changed {
            if in_band.are_complete() {
                self.sets = in_band;
            }
            self.sets.write_stap_a(&mut self.stap_a);
        }
        Ok(changed)
    }

    /// An IDR picture; or, since cameras with open GOPs never send one, an intra picture with an
    /// SPS or a recovery point before it.
    fn is_random_access_point(&self, data: &[u8]) -> bool {
        let nals = || self.nals.iter().map(|nal| &data[nal.clone()]);
        if nals().any(|nal| kind_of(nal[0]) == kind::IDR) {
            return true;
        }
        let announced = nals().any(|nal| match kind_of(nal[0]) {
            kind::SPS => true,
            kind::SEI => nal::is_recovery_point(nal),
            _ => false,
        });
        let mut slices = nals().filter(|nal| is_slice(nal[0]));
        announced && slices.all(nal::is_intra_slice)
    }

    fn cut<'a>(&'a self, data: &'a [u8], key: bool, with_sets: bool) -> AccessUnit<'a> {
        let fits = self.stap_a.len() <= self.payload_limit;
        AccessUnit {
            key,
            payloads: Payloads {
                payload_limit: self.payload_limit,
                stap_a: (with_sets && fits).then_some(&self.stap_a),
                data,
                nals: &self.nals,
                fragmented: 0,
            },
        }
    }
}

/// One access unit, cut into payloads.
#[derive(Debug, Clone)]
pub struct AccessUnit<'a> {
    key: bool,
    payloads: Payloads<'a>,
}

impl<'a> AccessUnit<'a> {
    /// Whether a decoder can start here.
    pub fn is_key(&self) -> bool {
        self.key
    }

    /// The payloads in sending order, at least one.
    pub fn payloads(&self) -> Payloads<'a> {
        self.payloads.clone()
    }
}

/// Iterator over the payloads of an access unit.
#[derive(Debug, Clone)]
pub struct Payloads<'a> {
    payload_limit: usize,
    stap_a: Option<&'a Vec<u8>>,
    data: &'a [u8],
    /// NAL units still to be sent.
    nals: &'a [Range<usize>],
    /// Bytes of the first of them that went out in fragments, its header included.
    fragmented: usize,
}

/// One RTP payload: up to two bytes of its own, then bytes of the access unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payload<'a> {
    /// Last payload of the access unit: the marker bit of the RTP header.
    pub marker: bool,
    fragment_header: Option<[u8; 2]>,
    body: &'a [u8],
}

impl Payload<'_> {
    /// Length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "a payload is never empty")]
    pub fn len(&self) -> usize {
        self.fragment_header.map_or(0, |header| header.len()) + self.body.len()
    }

    /// Appends the payload to `out`.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.extend(self.fragment_header.iter().flatten());
        out.extend_from_slice(self.body);
    }
}

impl<'a> Iterator for Payloads<'a> {
    type Item = Payload<'a>;

    fn next(&mut self) -> Option<Payload<'a>> {
        if let Some(stap_a) = self.stap_a.take() {
            return Some(Payload {
                marker: false,
                fragment_header: None,
                body: stap_a,
            });
        }
        let (nal, later) = self.nals.split_first()?;
        let nal = &self.data[nal.clone()];
        if nal.len() > self.payload_limit {
            return Some(self.fragment(nal, later));
        }
        self.nals = later;
        Some(Payload {
            marker: later.is_empty(),
            fragment_header: None,
            body: nal,
        })
    }
}

impl<'a> Payloads<'a> {
    /// The next FU-A of a NAL unit that is too large (RFC 6184 §5.8).
    ///
    /// ```text
    /// |F|NRI|  28   | |S|E|R|  type   | then bytes of the NAL unit without its header
    /// ```
    fn fragment(&mut self, nal: &'a [u8], later: &'a [Range<usize>]) -> Payload<'a> {
        let begin = self.fragmented.max(1);
        let end = nal.len().min(begin + self.payload_limit - 2);
        let (first, last) = (begin == 1, end == nal.len());
        if last {
            self.nals = later;
        }
        self.fragmented = if last { 0 } else { end };
        let indicator = nal[0] & 0xe0 | kind::FU_A;
        let header = u8::from(first) << 7 | u8::from(last) << 6 | kind_of(nal[0]);
        Payload {
            marker: last && later.is_empty(),
            fragment_header: Some([indicator, header]),
            body: &nal[begin..end],
        }
    }
}

/// Coded slices and their data partitions; all else is left out.
fn is_slice(header: u8) -> bool {
    (kind::SLICE..=kind::IDR).contains(&kind_of(header))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPS: &[u8] = &[0x67, 0x4d, 0x40, 0x1f, 0x80];
    const PPS: &[u8] = &[0x68, 0xee];
    const IDR: &[u8] = &[0x65, 0x88, 0x80, 1];
    const DELTA: &[u8] = &[0x41, 0x9a, 0x01];
    const STAP_A: &[u8] = &[0x78, 0, 5, 0x67, 0x4d, 0x40, 0x1f, 0x80, 0, 2, 0x68, 0xee];

    fn annex_b(nals: &[&[u8]]) -> Vec<u8> {
        let code = [0, 0, 0, 1];
        nals.iter()
            .flat_map(|nal| [&code[..], nal].concat())
            .collect()
    }

    fn avc(nals: &[&[u8]]) -> Vec<u8> {
        let len = |nal: &[u8]| (nal.len() as u32).to_be_bytes();
        nals.iter()
            .flat_map(|nal| [&len(nal), *nal].concat())
            .collect()
    }

    /// Payloads with their markers.
    fn packets(access_unit: &AccessUnit<'_>) -> Vec<(bool, Vec<u8>)> {
        let packet = |payload: Payload<'_>| {
            let mut out = Vec::new();
            payload.write_to(&mut out);
            assert_eq!(out.len(), payload.len());
            (payload.marker, out)
        };
        access_unit.payloads().map(packet).collect()
    }

    #[test]
    fn parameter_sets_go_in_one_stap_a_before_the_key_frame() {
        let mut packetizer = Packetizer::new(1356);
        let data = annex_b(&[
            &[0x09, 0xf0],
            SPS,
            PPS,
            &[0x06, 5, 1, 0x80],
            IDR,
            &[0x0c, 0xff],
        ]);
        let access_unit = packetizer.access_unit(&data, Format::AnnexB).unwrap();
        assert!(access_unit.is_key());
        let expected = [(false, STAP_A.to_vec()), (true, IDR.to_vec())];
        assert_eq!(packets(&access_unit), expected);
    }

    #[test]
    fn known_parameter_sets_are_repeated_before_each_key_frame() {
        let mut packetizer = Packetizer::new(1356);
        let first = annex_b(&[SPS, PPS, IDR]);
        packetizer.access_unit(&first, Format::AnnexB).unwrap();
        let delta = annex_b(&[DELTA, DELTA]);
        let access_unit = packetizer.access_unit(&delta, Format::AnnexB).unwrap();
        assert!(!access_unit.is_key());
        let expected = [(false, DELTA.to_vec()), (true, DELTA.to_vec())];
        assert_eq!(packets(&access_unit), expected);
        let bare = annex_b(&[IDR]);
        let access_unit = packetizer.access_unit(&bare, Format::AnnexB).unwrap();
        assert_eq!(packets(&access_unit)[0], (false, STAP_A.to_vec()));
    }

    #[test]
    fn parameter_sets_of_the_codec_data_serve_until_newer_ones_come() {
        let mut packetizer = Packetizer::new(1356);
        let record = avc::codec_data(SPS, PPS).unwrap();
        let format = packetizer.set_codec_data(&record).unwrap();
        let data = avc(&[IDR]);
        let access_unit = packetizer.access_unit(&data, format).unwrap();
        let expected = [(false, STAP_A.to_vec()), (true, IDR.to_vec())];
        assert_eq!(packets(&access_unit), expected);

        let newer = [0x67, 0x4d, 0x40, 0x28, 0x80];
        let data = avc(&[&newer, IDR]);
        let access_unit = packetizer.access_unit(&data, format).unwrap();
        let stap_a = &packets(&access_unit)[0].1;
        assert_eq!(stap_a[3..8], newer);
        assert_eq!(stap_a[8..], STAP_A[8..]);
    }

    #[test]
    fn large_nal_units_are_fragmented_within_the_limit() {
        let mut packetizer = Packetizer::new(100);
        let mut idr = vec![0x65];
        idr.extend((0..250).map(|n| n as u8 | 1));
        let data = annex_b(&[SPS, PPS, &idr]);
        let access_unit = packetizer.access_unit(&data, Format::AnnexB).unwrap();
        let packets = packets(&access_unit);
        let lens: Vec<usize> = packets.iter().map(|(_, packet)| packet.len()).collect();
        assert_eq!(lens, [12, 100, 100, 56]);
        let markers: Vec<bool> = packets.iter().map(|(marker, _)| *marker).collect();
        assert_eq!(markers, [false, false, false, true]);
        assert_eq!(packets[1].1[..3], [0x7c, 0x85, 1]);
        assert_eq!(packets[2].1[..2], [0x7c, 0x05]);
        assert_eq!(packets[3].1[..2], [0x7c, 0x45]);
        let joined: Vec<u8> = packets[1..]
            .iter()
            .flat_map(|(_, p)| p[2..].to_vec())
            .collect();
        assert_eq!(joined, idr[1..]);
    }

    #[test]
    fn a_nal_unit_of_exactly_the_limit_is_not_fragmented() {
        let mut packetizer = Packetizer::new(100);
        for (len, count) in [(100, 1), (101, 2)] {
            let mut slice = DELTA.to_vec();
            slice.resize(len, 0xff);
            let data = annex_b(&[&slice]);
            let access_unit = packetizer.access_unit(&data, Format::AnnexB).unwrap();
            assert_eq!(access_unit.payloads().count(), count, "{len} bytes");
        }
    }

    #[test]
    fn two_large_slices_are_fragmented_one_after_the_other() {
        let mut packetizer = Packetizer::new(64);
        let slice = [DELTA, &[0x55; 100]].concat();
        let data = annex_b(&[&slice, &slice]);
        let access_unit = packetizer.access_unit(&data, Format::AnnexB).unwrap();
        let heads: Vec<(bool, u8)> = packets(&access_unit)
            .iter()
            .map(|(marker, packet)| (*marker, packet[1]))
            .collect();
        let expected = [(false, 0x81), (false, 0x41), (false, 0x81), (true, 0x41)];
        assert_eq!(heads, expected);
    }

    #[test]
    fn changed_parameter_sets_go_out_without_a_key_frame_too() {
        let mut packetizer = Packetizer::new(1356);
        let data = annex_b(&[SPS, PPS, DELTA]);
        let access_unit = packetizer.access_unit(&data, Format::AnnexB).unwrap();
        assert!(!access_unit.is_key());
        assert_eq!(packets(&access_unit)[0].1, STAP_A);
        let access_unit = packetizer.access_unit(&data, Format::AnnexB).unwrap();
        assert_eq!(packets(&access_unit), [(true, DELTA.to_vec())]);
    }

    #[test]
    fn an_intra_picture_with_sps_or_recovery_point_is_a_key_frame() {
        let mut packetizer = Packetizer::new(1356);
        let intra: &[u8] = &[0x41, 0b1000_1000, 0xff];
        let data = annex_b(&[SPS, PPS, intra, intra]);
        assert!(
            packetizer
                .access_unit(&data, Format::AnnexB)
                .unwrap()
                .is_key()
        );
        let without_sps = annex_b(&[intra]);
        let access_unit = packetizer
            .access_unit(&without_sps, Format::AnnexB)
            .unwrap();
        assert!(!access_unit.is_key());
        let recovery_point: &[u8] = &[0x06, 6, 1, 0xc4, 0x80];
        let recovery = annex_b(&[recovery_point, intra]);
        let access_unit = packetizer.access_unit(&recovery, Format::AnnexB).unwrap();
        assert!(access_unit.is_key());
        let mixed = annex_b(&[SPS, PPS, recovery_point, intra, DELTA]);
        assert!(
            !packetizer
                .access_unit(&mixed, Format::AnnexB)
                .unwrap()
                .is_key()
        );
    }

    #[test]
    fn access_units_that_cannot_be_sent_are_refused() {
        let mut packetizer = Packetizer::new(1356);
        let refused = |packetizer: &mut Packetizer, nals: &[&[u8]]| {
            let result = packetizer.access_unit(&annex_b(nals), Format::AnnexB).err();
            result.unwrap()
        };
        assert_eq!(refused(&mut packetizer, &[]), Error::NoPicture);
        assert_eq!(refused(&mut packetizer, &[IDR]), Error::NoParameterSets);
        assert_eq!(refused(&mut packetizer, &[SPS, PPS]), Error::NoPicture);
        // NAL unit types that RTP gives another meaning must not pass as they are.
        assert_eq!(refused(&mut packetizer, &[&[0x7c, 0x85]]), Error::NoPicture);
        let huge = vec![0; super::super::MAX_ACCESS_UNIT + 1];
        assert!(packetizer.access_unit(&huge, Format::AnnexB).is_err());
    }

    #[test]
    fn a_reconfigured_stream_sends_only_its_new_parameter_sets() {
        let mut packetizer = Packetizer::new(1356);
        let old_pps: &[u8] = &[0x68, 0x40];
        let old = annex_b(&[SPS, PPS, old_pps, IDR]);
        packetizer.access_unit(&old, Format::AnnexB).unwrap();
        let smaller = [0x67, 0x42, 0xc0, 0x0d, 0x80];
        let data = annex_b(&[&smaller, PPS, IDR]);
        let access_unit = packetizer.access_unit(&data, Format::AnnexB).unwrap();
        let stap_a = &packets(&access_unit)[0].1;
        assert_eq!(stap_a.len(), STAP_A.len());
        assert_eq!(stap_a[3..8], smaller);
    }
}
