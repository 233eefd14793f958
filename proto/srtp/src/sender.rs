use std::fmt;

use crate::header::{RTCP_CLEAR, RtpHeader, rtcp_ssrc};
use crate::session::Session;
use crate::sources::Sources;
use crate::{Error, INDEX_LEN, MasterKey, RTCP_OVERHEAD, RTP_OVERHEAD, index};

/// Protects the RTP and RTCP packets of one direction.
///
/// Keeps roll-over counter and SRTCP index of up to [`MAX_SOURCES`](crate::MAX_SOURCES) sources.
/// Sequence numbers of a source must rise (modulo 2^16); the first roll-over counter is 0.
pub struct Sender {
    rtp: Session,
    rtcp: Session,
    rtp_sources: Sources<Option<u64>>,
    rtcp_sources: Sources<u32>,
}

const RTCP_INDEX_MAX: u32 = (1 << 31) - 1;

/// The packet is encrypted: first bit of the SRTCP index word.
pub(crate) const E_BIT: u32 = 1 << 31;

impl Sender {
    /// Derives the session keys of `master`.
    pub fn new(master: &MasterKey) -> Self {
        Self {
            rtp: Session::rtp(master),
            rtcp: Session::rtcp(master),
            rtp_sources: Sources::new(),
            rtcp_sources: Sources::new(),
        }
    }

    /// Protects the RTP packet in `packet` and appends the tag.
    ///
    /// Allocates nothing where the vector has [`RTP_OVERHEAD`](crate::RTP_OVERHEAD) bytes to spare.
    ///
    /// # Errors
    /// Those of [`protect_rtp_in_place`](Self::protect_rtp_in_place); `packet` is then unchanged.
    pub fn protect_rtp(&mut self, packet: &mut Vec<u8>) -> Result<(), Error> {
        let len = packet.len();
        packet.resize(len + RTP_OVERHEAD, 0);
        let result = self.protect_rtp_in_place(packet, len);
        packet.truncate(*result.as_ref().unwrap_or(&len));
        result.map(|_| ())
    }

    /// Protects the first `len` bytes of `buffer`, an RTP packet, and returns its new length.
    ///
    /// # Errors
    /// No room for the tag, not an RTP packet, a sequence number not newer than the last one, or a
    /// limit of the key; `buffer` is then unchanged.
    pub fn protect_rtp_in_place(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, Error> {
        let total = room(buffer, len, RTP_OVERHEAD)?;
        let header = RtpHeader::parse(&buffer[..len])?;
        let index = self.next_rtp_index(header)?;
        let roc = ((index >> 16) as u32).to_be_bytes();
        self.rtp
            .crypt(header.ssrc, index, &mut buffer[header.len..len]);
        let tag = self.rtp.mac.tag([&buffer[..len], &roc]);
        buffer[len..total].copy_from_slice(&tag);
        Ok(total)
    }

    /// Protects the compound RTCP packet in `packet` and appends index and tag.
    ///
    /// # Errors
    /// Those of [`protect_rtcp_in_place`](Self::protect_rtcp_in_place); `packet` is then unchanged.
    pub fn protect_rtcp(&mut self, packet: &mut Vec<u8>) -> Result<(), Error> {
        let len = packet.len();
        packet.resize(len + RTCP_OVERHEAD, 0);
        let result = self.protect_rtcp_in_place(packet, len);
        packet.truncate(*result.as_ref().unwrap_or(&len));
        result.map(|_| ())
    }

    /// Protects the first `len` bytes of `buffer`, a compound RTCP packet, and returns its new
    /// length. The first index of a source is 1.
    ///
    /// # Errors
    /// No room for index and tag, not an RTCP packet, or a limit of the key; `buffer` is then
    /// unchanged.
    pub fn protect_rtcp_in_place(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, Error> {
        let total = room(buffer, len, RTCP_OVERHEAD)?;
        let ssrc = rtcp_ssrc(&buffer[..len])?;
        let index = self.next_rtcp_index(ssrc)?;
        self.rtcp
            .crypt(ssrc, index.into(), &mut buffer[RTCP_CLEAR..len]);
        let signed = len + INDEX_LEN;
        buffer[len..signed].copy_from_slice(&(E_BIT | index).to_be_bytes());
        let tag = self.rtcp.mac.tag([&buffer[..signed], &[]]);
        buffer[signed..total].copy_from_slice(&tag);
        Ok(total)
    }

    fn next_rtp_index(&mut self, header: RtpHeader) -> Result<u64, Error> {
        let RtpHeader { ssrc, sequence, .. } = header;
        let last = self.rtp_sources.entry(ssrc)?;
        let index = match *last {
            None => u64::from(sequence),
            Some(last) => index::guess(last, sequence)
                .filter(|&index| index > last)
                .ok_or(Error::SequenceReused { ssrc, sequence })?,
        };
        if index > index::MAX {
            return Err(Error::KeyExhausted { ssrc });
        }
        *last = Some(index);
        Ok(index)
    }

    fn next_rtcp_index(&mut self, ssrc: u32) -> Result<u32, Error> {
        let last = self.rtcp_sources.entry(ssrc)?;
        if *last == RTCP_INDEX_MAX {
            return Err(Error::KeyExhausted { ssrc });
        }
        *last += 1;
        Ok(*last)
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("rtp_sources", &self.rtp_sources)
            .field("rtcp_sources", &self.rtcp_sources)
            .finish_non_exhaustive()
    }
}

/// Length of the protected packet, if `buffer` can hold it.
fn room(buffer: &[u8], len: usize, overhead: usize) -> Result<usize, Error> {
    let needed = len.saturating_add(overhead);
    if buffer.len() < needed {
        return Err(Error::NoRoom {
            needed,
            available: buffer.len(),
        });
    }
    Ok(needed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::{hex, master_128, rtp, to_hex};

    #[test]
    fn rtp_packet_with_roll_over_counter_zero() {
        let mut packet = hex("80e30001000003e8deadbeef65b80004");
        Sender::new(&master_128()).protect_rtp(&mut packet).unwrap();
        assert_eq!(
            to_hex(&packet),
            "80e30001000003e8deadbeef6f15f9a5c1b8c0b062b4753e88a0"
        );
    }

    #[test]
    fn sender_report_with_index_one() {
        let mut packet = hex("80c80006deadbeefe000000080000000000003e80000000100000004");
        Sender::new(&master_128())
            .protect_rtcp(&mut packet)
            .unwrap();
        assert_eq!(
            to_hex(&packet),
            "80c80006deadbeeffffa1595070f8d8cf1f18afeacd0e673f22ff13280000001f8e6a9ec22781035b31d"
        );
    }

    #[test]
    fn a_sequence_number_is_never_used_twice() {
        let mut sender = Sender::new(&master_128());
        sender.protect_rtp(&mut rtp(7, 10)).unwrap();
        for sequence in [10, 9, 0x800b] {
            let mut packet = rtp(7, sequence);
            let before = packet.clone();
            let error = sender.protect_rtp(&mut packet).unwrap_err();
            assert_eq!(error, Error::SequenceReused { ssrc: 7, sequence });
            assert_eq!(packet, before);
        }
        sender.protect_rtp(&mut rtp(8, 10)).unwrap();
        sender.protect_rtp(&mut rtp(7, 11)).unwrap();
    }

    #[test]
    fn more_sources_than_the_limit_are_refused() {
        let mut sender = Sender::new(&master_128());
        for ssrc in 0..crate::MAX_SOURCES as u32 {
            sender.protect_rtp(&mut rtp(ssrc, 1)).unwrap();
        }
        let error = sender.protect_rtp(&mut rtp(99, 1)).unwrap_err();
        assert_eq!(error, Error::TooManySources { limit: 16 });
    }

    #[test]
    fn a_buffer_without_room_for_the_tag_is_refused() {
        let mut sender = Sender::new(&master_128());
        let mut buffer = rtp(1, 1);
        let len = buffer.len();
        let error = sender.protect_rtp_in_place(&mut buffer, len).unwrap_err();
        assert_eq!(
            error,
            Error::NoRoom {
                needed: len + 10,
                available: len
            }
        );
        assert!(
            sender
                .protect_rtcp_in_place(&mut buffer, usize::MAX)
                .is_err()
        );
    }

    #[test]
    fn the_last_srtcp_index_ends_the_key() {
        let mut sender = Sender::new(&master_128());
        *sender.rtcp_sources.entry(1).unwrap() = RTCP_INDEX_MAX - 1;
        let report = hex("80c9000100000001");
        sender.protect_rtcp(&mut report.clone()).unwrap();
        let error = sender.protect_rtcp(&mut report.clone()).unwrap_err();
        assert_eq!(error, Error::KeyExhausted { ssrc: 1 });
    }

    #[test]
    fn debug_prints_no_key() {
        let text = format!("{:?}", Sender::new(&master_128()));
        assert!(text.ends_with(", .. }"), "{text}");
    }
}
