use std::fmt;

use crate::header::{RTCP_CLEAR, RtpHeader, need, rtcp_ssrc, u32_at};
use crate::replay::ReplayWindow;
use crate::sender::E_BIT;
use crate::session::Session;
use crate::sources::Sources;
use crate::{Error, INDEX_LEN, MasterKey, RTCP_OVERHEAD, TAG_LEN, index};

/// Authenticates and decrypts the RTP and RTCP packets of one direction.
///
/// Follows roll-over counters, and refuses replays, of up to
/// [`MAX_SOURCES`](crate::MAX_SOURCES) sources; a source is known from its first authentic packet.
pub struct Receiver {
    rtp: Session,
    rtcp: Session,
    rtp_sources: Sources<ReplayWindow>,
    rtcp_sources: Sources<ReplayWindow>,
}

impl Receiver {
    /// Derives the session keys of `master`.
    pub fn new(master: &MasterKey) -> Self {
        Self {
            rtp: Session::rtp(master),
            rtcp: Session::rtcp(master),
            rtp_sources: Sources::new(),
            rtcp_sources: Sources::new(),
        }
    }

    /// Decrypts the SRTP packet `packet` in place and returns the length of the RTP packet.
    ///
    /// # Errors
    /// Not an RTP packet, not authentic, replayed, or from one source too many; `packet` is then
    /// unchanged.
    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, Error> {
        let (len, tag) = split_tag(packet)?;
        let header = RtpHeader::parse(&packet[..len])?;
        let index = self.rtp_index(header)?;
        let roc = ((index >> 16) as u32).to_be_bytes();
        if !self.rtp.mac.verify([&packet[..len], &roc], &tag) {
            return Err(Error::Authentication);
        }
        self.rtp_sources.entry(header.ssrc)?.accept(index);
        self.rtp
            .crypt(header.ssrc, index, &mut packet[header.len..len]);
        Ok(len)
    }

    /// Decrypts the SRTCP packet `packet` in place and returns the length of the compound packet.
    ///
    /// A packet that is authentic but not encrypted (E bit 0) is accepted, as RFC 3711 §3.4 allows.
    ///
    /// # Errors
    /// Not an RTCP packet, not authentic, replayed, or from one source too many; `packet` is then
    /// unchanged.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, Error> {
        need(packet, RTCP_CLEAR + RTCP_OVERHEAD)?;
        let (signed, tag) = split_tag(packet)?;
        let len = signed - INDEX_LEN;
        let ssrc = rtcp_ssrc(&packet[..len])?;
        let word = u32_at(packet, len);
        let index = u64::from(word & !E_BIT);
        check_replay(self.rtcp_sources.find(ssrc), ssrc, index)?;
        if !self.rtcp.mac.verify([&packet[..signed], &[]], &tag) {
            return Err(Error::Authentication);
        }
        self.rtcp_sources.entry(ssrc)?.accept(index);
        if word & E_BIT != 0 {
            self.rtcp.crypt(ssrc, index, &mut packet[RTCP_CLEAR..len]);
        }
        Ok(len)
    }

    fn rtp_index(&self, header: RtpHeader) -> Result<u64, Error> {
        let RtpHeader { ssrc, sequence, .. } = header;
        let window = self.rtp_sources.find(ssrc);
        let index = match window.and_then(ReplayWindow::highest) {
            None => u64::from(sequence),
            Some(highest) => index::guess(highest, sequence)
                .filter(|&index| index <= index::MAX)
                .ok_or(Error::Replayed {
                    ssrc,
                    index: sequence.into(),
                })?,
        };
        check_replay(window, ssrc, index)?;
        Ok(index)
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("rtp_sources", &self.rtp_sources)
            .field("rtcp_sources", &self.rtcp_sources)
            .finish_non_exhaustive()
    }
}

fn check_replay(window: Option<&ReplayWindow>, ssrc: u32, index: u64) -> Result<(), Error> {
    match window {
        Some(window) if !window.is_new(index) => Err(Error::Replayed { ssrc, index }),
        _ => Ok(()),
    }
}

/// Length of the authenticated part, and the tag behind it.
fn split_tag(packet: &[u8]) -> Result<(usize, [u8; TAG_LEN]), Error> {
    need(packet, TAG_LEN)?;
    let len = packet.len() - TAG_LEN;
    let mut tag = [0; TAG_LEN];
    tag.copy_from_slice(&packet[len..]);
    Ok((len, tag))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::{hex, master_128, rtp, to_hex};
    use crate::{MAX_SOURCES, Sender, Suite};

    const SRTP: &str = "80e30001000003e8deadbeef6f15f9a5c1b8c0b062b4753e88a0";
    const SRTCP: &str =
        "80c80006deadbeeffffa1595070f8d8cf1f18afeacd0e673f22ff13280000001f8e6a9ec22781035b31d";

    #[test]
    fn published_packets_are_decrypted() {
        let mut receiver = Receiver::new(&master_128());
        let mut packet = hex(SRTP);
        let len = receiver.unprotect_rtp(&mut packet).unwrap();
        assert_eq!(to_hex(&packet[..len]), "80e30001000003e8deadbeef65b80004");
        let mut packet = hex(SRTCP);
        let len = receiver.unprotect_rtcp(&mut packet).unwrap();
        assert_eq!(
            to_hex(&packet[..len]),
            "80c80006deadbeefe000000080000000000003e80000000100000004"
        );
    }

    #[test]
    fn any_damaged_byte_is_refused_and_changes_nothing() {
        let mut receiver = Receiver::new(&master_128());
        for at in 0..hex(SRTP).len() {
            let mut packet = hex(SRTP);
            packet[at] ^= 0x01;
            let before = packet.clone();
            assert!(receiver.unprotect_rtp(&mut packet).is_err(), "byte {at}");
            assert_eq!(packet, before);
        }
        for at in 0..hex(SRTCP).len() {
            let mut packet = hex(SRTCP);
            packet[at] ^= 0x01;
            let before = packet.clone();
            assert!(receiver.unprotect_rtcp(&mut packet).is_err(), "byte {at}");
            assert_eq!(packet, before);
        }
        receiver.unprotect_rtp(&mut hex(SRTP)).unwrap();
        receiver.unprotect_rtcp(&mut hex(SRTCP)).unwrap();
    }

    #[test]
    fn truncated_packets_are_refused() {
        let mut receiver = Receiver::new(&master_128());
        for len in 0..hex(SRTP).len() {
            assert!(receiver.unprotect_rtp(&mut hex(SRTP)[..len]).is_err());
        }
        for len in 0..hex(SRTCP).len() {
            assert!(receiver.unprotect_rtcp(&mut hex(SRTCP)[..len]).is_err());
        }
    }

    #[test]
    fn replays_are_refused() {
        let mut receiver = Receiver::new(&master_128());
        receiver.unprotect_rtp(&mut hex(SRTP)).unwrap();
        let error = receiver.unprotect_rtp(&mut hex(SRTP)).unwrap_err();
        let ssrc = 0xdeadbeef;
        assert_eq!(error, Error::Replayed { ssrc, index: 1 });
        receiver.unprotect_rtcp(&mut hex(SRTCP)).unwrap();
        let error = receiver.unprotect_rtcp(&mut hex(SRTCP)).unwrap_err();
        assert_eq!(error, Error::Replayed { ssrc, index: 1 });
    }

    #[test]
    fn wrong_key_is_refused() {
        let key = MasterKey::new(Suite::AesCm128HmacSha1_80, &[9; 16], &[9; 14]).unwrap();
        let mut receiver = Receiver::new(&key);
        let error = receiver.unprotect_rtp(&mut hex(SRTP)).unwrap_err();
        assert_eq!(error, Error::Authentication);
        let error = receiver.unprotect_rtcp(&mut hex(SRTCP)).unwrap_err();
        assert_eq!(error, Error::Authentication);
    }

    #[test]
    fn the_roll_over_counter_is_followed_through_reordering() {
        let (mut sender, mut receiver) = peers();
        let mut packets = Vec::new();
        for sequence in 0xfff0u16..=0xffff {
            packets.push(protected(&mut sender, sequence));
        }
        for sequence in 0..16 {
            packets.push(protected(&mut sender, sequence));
        }
        packets.swap(15, 16);
        packets.swap(10, 20);
        for packet in &mut packets {
            receiver.unprotect_rtp(packet).unwrap();
        }
        assert_eq!(
            receiver.rtp_sources.find(7).unwrap().highest(),
            Some(0x1_000f)
        );
    }

    #[test]
    fn forged_sources_take_no_room() {
        let (mut sender, mut receiver) = peers();
        for ssrc in 100..100 + 2 * MAX_SOURCES as u32 {
            let mut forged = rtp(ssrc, 1);
            forged.extend([0; 10]);
            let error = receiver.unprotect_rtp(&mut forged).unwrap_err();
            assert_eq!(error, Error::Authentication);
        }
        receiver
            .unprotect_rtp(&mut protected(&mut sender, 1))
            .unwrap();
    }

    #[test]
    fn authentic_but_unencrypted_rtcp_is_read_as_it_is() {
        let mut receiver = Receiver::new(&master_128());
        let clear = hex("80c9000100000001");
        let mut packet = [&clear[..], &[0, 0, 0, 5]].concat();
        let tag = receiver.rtcp.mac.tag([&packet, &[]]);
        packet.extend(tag);
        let len = receiver.unprotect_rtcp(&mut packet).unwrap();
        assert_eq!(packet[..len], clear);
    }

    fn peers() -> (Sender, Receiver) {
        let key = MasterKey::new(Suite::AesCm256HmacSha1_80, &[1; 32], &[2; 14]).unwrap();
        (Sender::new(&key), Receiver::new(&key))
    }

    fn protected(sender: &mut Sender, sequence: u16) -> Vec<u8> {
        let mut packet = rtp(7, sequence);
        sender.protect_rtp(&mut packet).unwrap();
        packet
    }
}
