use super::Packet;
use crate::{Error, Sequence};

/// Takes Opus packets out of RTP and says what is missing.
#[derive(Debug, Default)]
pub struct Depacketizer {
    sequence: Sequence,
}

/// An Opus packet from the wire.
#[derive(Debug, Clone, Copy)]
pub struct ReceivedPacket<'a> {
    /// RTP timestamp, in units of the negotiated clock.
    pub timestamp: u32,
    /// RTP packets missing right before this one.
    pub lost_before: u16,
    /// The packet's bytes.
    pub bytes: &'a [u8],
    /// The same, split into frames.
    pub packet: Packet<'a>,
}

impl Depacketizer {
    /// Starts with any packet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next RTP packet; `None` for a late or repeated one.
    ///
    /// # Errors
    /// [`Error::Opus`] if the payload is malformed.
    pub fn push<'a>(
        &mut self,
        rtp: &crate::Packet<'a>,
    ) -> Result<Option<ReceivedPacket<'a>>, Error> {
        let Some(lost_before) = self.sequence.lost_before(rtp.header.sequence) else {
            return Ok(None);
        };
        Ok(Some(ReceivedPacket {
            timestamp: rtp.header.timestamp,
            lost_before,
            bytes: rtp.payload,
            packet: Packet::parse(rtp.payload)?,
        }))
    }

    /// Packets that did not come.
    pub fn lost(&self) -> u64 {
        self.sequence.lost()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Header;

    fn rtp(sequence: u16, payload: &[u8]) -> crate::Packet<'_> {
        let header = Header {
            marker: false,
            payload_type: 110,
            sequence,
            timestamp: 960,
            ssrc: 1,
        };
        crate::Packet::new(header, payload)
    }

    #[test]
    fn packets_are_split_and_losses_counted() {
        let mut depacketizer = Depacketizer::new();
        let first = depacketizer
            .push(&rtp(9, &[0x4b, 3, 1, 2, 3]))
            .unwrap()
            .unwrap();
        assert_eq!(first.lost_before, 0);
        assert_eq!(first.packet.frames().len(), 3);
        assert!(depacketizer.push(&rtp(9, &[0x48])).unwrap().is_none());
        let next = depacketizer.push(&rtp(12, &[0x48, 5])).unwrap().unwrap();
        assert_eq!((next.lost_before, next.timestamp), (2, 960));
        assert_eq!(depacketizer.lost(), 2);
        assert!(depacketizer.push(&rtp(13, &[])).is_err());
    }
}
