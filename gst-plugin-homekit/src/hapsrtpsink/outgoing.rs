//! From RTP payloads to SRTP packets.

use rtp_payload::{Extension, Header};
use srtp::{MasterKey, RTCP_OVERHEAD, RTP_OVERHEAD, Sender};

use super::send_buffer::SendBuffer;

/// Numbers, protects and collects the packets of one source.
///
/// Lives as long as the key: with another numbering under the same key, the key stream would be
/// used twice.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) ssrc: u32,
    pub(crate) payload_type: u8,
    /// Sequence number of the next packet.
    sequence: u16,
    protect: Sender,
    packets: SendBuffer,
    payload_octets: u64,
}

impl Outgoing {
    /// `first_sequence` should lie in the lower half: a receiver that misses the first packets
    /// would else guess a wrong roll-over counter after the wrap (RFC 3711 §3.3.1).
    pub(crate) fn new(ssrc: u32, first_sequence: u16, key: &MasterKey) -> Self {
        Self {
            ssrc,
            payload_type: 0,
            sequence: first_sequence,
            protect: Sender::new(key),
            packets: SendBuffer::default(),
            payload_octets: 0,
        }
    }

    /// Adds an RTP packet whose payload `write` appends.
    pub(crate) fn push(
        &mut self,
        marker: bool,
        timestamp: u32,
        extension: Option<&Extension>,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), srtp::Error> {
        let header = Header {
            marker,
            payload_type: self.payload_type,
            sequence: self.sequence,
            timestamp,
            ssrc: self.ssrc,
        };
        let mut payload = 0;
        self.packets.push(|out| {
            let start = out.len();
            header.write_to(extension, out);
            let begin = out.len();
            write(out);
            payload = out.len() - begin;
            protect(out, start, RTP_OVERHEAD, |packet, len| {
                self.protect.protect_rtp_in_place(packet, len)
            })
        })?;
        self.payload_octets += payload as u64;
        self.sequence = self.sequence.wrapping_add(1);
        Ok(())
    }

    /// Leaves out a sequence number, so that the receiver learns of a loss before us.
    pub(crate) fn skip(&mut self) {
        self.sequence = self.sequence.wrapping_add(1);
    }

    /// Puts an RTCP packet into `out`.
    pub(crate) fn protect_rtcp(
        &mut self,
        compound: &[u8],
        out: &mut SendBuffer,
    ) -> Result<(), srtp::Error> {
        out.push(|out| {
            let start = out.len();
            out.extend(compound);
            protect(out, start, RTCP_OVERHEAD, |packet, len| {
                self.protect.protect_rtcp_in_place(packet, len)
            })
        })
    }

    /// Whether packets wait to be sent.
    pub(crate) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Moves the packets that wait into `out`, in place of what that held; returns how many octets
    /// of payload they have.
    pub(crate) fn take(&mut self, out: &mut SendBuffer) -> u64 {
        out.clear();
        std::mem::swap(&mut self.packets, out);
        std::mem::take(&mut self.payload_octets)
    }
}

/// Makes room behind the packet that begins at `start`, and protects it.
fn protect(
    out: &mut Vec<u8>,
    start: usize,
    overhead: usize,
    protect: impl FnOnce(&mut [u8], usize) -> Result<usize, srtp::Error>,
) -> Result<(), srtp::Error> {
    let len = out.len() - start;
    out.resize(out.len() + overhead, 0);
    protect(&mut out[start..], len).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use srtp::{Receiver, Suite};

    #[test]
    fn packets_are_numbered_and_protected() {
        let key = MasterKey::new(Suite::default(), &[1; 16], &[2; 14]).unwrap();
        let mut outgoing = Outgoing::new(7, 0xffff, &key);
        outgoing.payload_type = 99;
        outgoing
            .push(false, 10, None, |out| out.extend(b"one"))
            .unwrap();
        outgoing
            .push(true, 10, None, |out| out.extend(b"two"))
            .unwrap();
        outgoing.skip();
        outgoing
            .push(true, 20, None, |out| out.extend(b"fou"))
            .unwrap();

        let mut receiver = Receiver::new(&key);
        let mut seen = Vec::new();
        let mut packets = SendBuffer::default();
        assert_eq!(outgoing.take(&mut packets), 9);
        assert!(outgoing.is_empty());
        assert_eq!(packets.byte_len(), 3 * (12 + 3 + 10));
        for batch in packets.batches(0..3, 1) {
            let mut packet = batch.bytes.to_vec();
            let len = receiver.unprotect_rtp(&mut packet).unwrap();
            let packet = rtp_payload::Packet::parse(&packet[..len]).unwrap();
            let header = packet.header;
            assert_eq!((header.ssrc, header.payload_type), (7, 99));
            seen.push((header.sequence, header.marker, packet.payload.to_vec()));
        }
        let expected = [
            (0xffff, false, b"one".to_vec()),
            (0, true, b"two".to_vec()),
            (2, true, b"fou".to_vec()),
        ];
        assert_eq!(seen, expected);
    }
}
