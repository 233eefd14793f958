use std::collections::VecDeque;

use super::MAX_ACCESS_UNIT;
use super::nal::{kind, kind_of};
use crate::error::need;
use crate::{Error, Gap, Packet, Sequence};

/// Puts access units together again: single NAL units, STAP-A and FU-A.
///
/// Feed the packets of one source in order (see [`Reorder`](crate::Reorder)) with
/// [`push`](Self::push), then take what is complete with [`poll`](Self::poll).
#[derive(Debug, Default)]
pub struct Depacketizer {
    sequence: Sequence,
    current: Option<ReceivedAccessUnit>,
    /// A fragmented NAL unit is being put together at the end of `current`.
    in_fragment: bool,
    /// Packets were lost and nothing has come since.
    after_loss: bool,
    ready: VecDeque<ReceivedAccessUnit>,
    lost: u64,
}

/// An access unit from the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedAccessUnit {
    /// RTP timestamp, in 1/90000 s.
    pub timestamp: u32,
    /// NAL units, each behind a start code of four bytes.
    pub annex_b: Vec<u8>,
    /// It holds an IDR picture.
    pub is_key: bool,
    /// No packet of it, or right before it, is missing.
    pub complete: bool,
    /// Packets it came in.
    pub packets: u32,
}

const START_CODE: [u8; 4] = [0, 0, 0, 1];

impl Depacketizer {
    /// Starts with any packet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next packet; a late or repeated one is ignored.
    ///
    /// # Errors
    /// The payload is malformed or exceeds [`MAX_ACCESS_UNIT`]; its access unit is then marked
    /// incomplete and the next packet can be pushed.
    pub fn push(&mut self, packet: &Packet<'_>) -> Result<(), Error> {
        match self.sequence.push(packet.header.sequence) {
            Gap::Old => return Ok(()),
            Gap::Lost(lost) => self.note_loss(lost),
            Gap::None => {}
        }
        self.begin(packet.header.timestamp);
        let result = self.append(packet.payload);
        if let (Err(_), Some(current)) = (&result, &mut self.current) {
            current.complete = false;
        }
        if packet.header.marker {
            self.finish();
        }
        result
    }

    /// The next access unit that ended, by its marker or by the timestamp of another.
    pub fn poll(&mut self) -> Option<ReceivedAccessUnit> {
        self.ready.pop_front()
    }

    /// Ends the access unit at hand; to be called at the end of the stream.
    pub fn finish(&mut self) {
        let unfinished_fragment = std::mem::take(&mut self.in_fragment);
        if let Some(mut current) = self.current.take() {
            current.complete &= !unfinished_fragment;
            if !current.annex_b.is_empty() {
                self.ready.push_back(current);
            }
        }
    }

    /// Packets that did not come.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    fn note_loss(&mut self, lost: u16) {
        self.lost += u64::from(lost);
        self.drop_fragment();
        self.after_loss = true;
        if let Some(current) = &mut self.current {
            current.complete = false;
        }
    }

    fn begin(&mut self, timestamp: u32) {
        if self
            .current
            .as_ref()
            .is_some_and(|c| c.timestamp != timestamp)
        {
            self.finish();
        }
        let complete = !std::mem::take(&mut self.after_loss);
        let current = self.current.get_or_insert_with(|| ReceivedAccessUnit {
            timestamp,
            annex_b: Vec::new(),
            is_key: false,
            complete,
            packets: 0,
        });
        current.packets += 1;
    }

    fn append(&mut self, payload: &[u8]) -> Result<(), Error> {
        need(payload, 1)?;
        if kind_of(payload[0]) == kind::FU_A {
            return self.append_fragment(payload);
        }
        self.drop_fragment();
        match kind_of(payload[0]) {
            kind::SLICE..=kind::LAST_IN_STREAM => self.append_nal(payload[0], &payload[1..]),
            kind::STAP_A => self.append_aggregate(&payload[1..]),
            kind => Err(Error::NalType { kind }),
        }
    }

    fn append_aggregate(&mut self, mut rest: &[u8]) -> Result<(), Error> {
        while !rest.is_empty() {
            need(rest, 2)?;
            let end = 2 + usize::from(u16::from_be_bytes([rest[0], rest[1]]));
            need(rest, end.max(3))?;
            self.append_nal(rest[2], &rest[3..end])?;
            rest = &rest[end..];
        }
        Ok(())
    }

    fn append_fragment(&mut self, payload: &[u8]) -> Result<(), Error> {
        need(payload, 2)?;
        let (indicator, header, body) = (payload[0], payload[1], &payload[2..]);
        if header & 0x80 != 0 {
            self.drop_fragment();
            self.append_nal(indicator & 0xe0 | kind_of(header), body)?;
            self.in_fragment = true;
        } else if self.in_fragment {
            self.append_bytes(body)?;
        } else {
            return Err(Error::Fragment);
        }
        if header & 0x40 != 0 {
            self.in_fragment = false;
        }
        Ok(())
    }

    fn append_nal(&mut self, header: u8, body: &[u8]) -> Result<(), Error> {
        if let Some(current) = &mut self.current {
            current.is_key |= kind_of(header) == kind::IDR;
        }
        self.append_bytes(&START_CODE)?;
        self.append_bytes(&[header])?;
        self.append_bytes(body)
    }

    fn append_bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let Some(current) = &mut self.current else {
            return Ok(());
        };
        let actual = current.annex_b.len() + bytes.len();
        if actual > MAX_ACCESS_UNIT {
            return Err(Error::TooLarge {
                limit: MAX_ACCESS_UNIT,
                actual,
            });
        }
        current.annex_b.extend_from_slice(bytes);
        Ok(())
    }

    /// A fragmented NAL unit lost its end: the access unit is damaged; what there is of it stays,
    /// since decoders can use it.
    fn drop_fragment(&mut self) {
        if std::mem::take(&mut self.in_fragment) {
            if let Some(current) = &mut self.current {
                current.complete = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Header;

    struct Peer {
        depacketizer: Depacketizer,
        sequence: u16,
    }

    impl Peer {
        fn new() -> Self {
            Self {
                depacketizer: Depacketizer::new(),
                sequence: 0xfffe,
            }
        }

        fn push(&mut self, timestamp: u32, marker: bool, payload: &[u8]) -> Result<(), Error> {
            let header = Header {
                marker,
                payload_type: 99,
                sequence: self.sequence,
                timestamp,
                ssrc: 1,
            };
            self.sequence = self.sequence.wrapping_add(1);
            self.depacketizer.push(&Packet { header, payload })
        }

        fn skip(&mut self, packets: u16) {
            self.sequence = self.sequence.wrapping_add(packets);
        }

        fn poll(&mut self) -> Option<ReceivedAccessUnit> {
            self.depacketizer.poll()
        }
    }

    #[test]
    fn stap_a_and_fragments_become_one_access_unit() {
        let mut peer = Peer::new();
        peer.push(5, false, &[0x78, 0, 2, 0x67, 1, 0, 1, 0x68])
            .unwrap();
        peer.push(5, false, &[0x7c, 0x85, 0xaa]).unwrap();
        peer.push(5, false, &[0x7c, 0x05, 0xbb]).unwrap();
        assert_eq!(peer.poll(), None);
        peer.push(5, true, &[0x7c, 0x45, 0xcc]).unwrap();
        let expected = ReceivedAccessUnit {
            timestamp: 5,
            annex_b: vec![
                0, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x68, 0, 0, 0, 1, 0x65, 0xaa, 0xbb, 0xcc,
            ],
            is_key: true,
            complete: true,
            packets: 4,
        };
        assert_eq!(peer.poll(), Some(expected));
        assert_eq!(peer.poll(), None);
    }

    #[test]
    fn a_new_timestamp_ends_an_access_unit_without_marker() {
        let mut peer = Peer::new();
        peer.push(1, false, &[0x41, 1]).unwrap();
        peer.push(2, true, &[0x41, 2]).unwrap();
        assert_eq!(peer.poll().unwrap().timestamp, 1);
        assert_eq!(peer.poll().unwrap().timestamp, 2);
    }

    #[test]
    fn loss_marks_the_access_unit_and_is_counted() {
        let mut peer = Peer::new();
        peer.push(1, false, &[0x7c, 0x81, 1]).unwrap();
        peer.skip(3);
        let error = peer.push(1, true, &[0x7c, 0x41, 2]).unwrap_err();
        assert_eq!(error, Error::Fragment);
        assert!(!peer.poll().unwrap().complete);
        assert_eq!(peer.depacketizer.lost(), 3);
        peer.push(2, true, &[0x41, 1]).unwrap();
        assert!(peer.poll().unwrap().complete);
        peer.skip(1);
        peer.push(3, true, &[0x41, 1]).unwrap();
        assert!(
            !peer.poll().unwrap().complete,
            "its beginning may be missing"
        );
    }

    #[test]
    fn a_fragment_without_end_damages_the_access_unit() {
        let mut peer = Peer::new();
        peer.push(1, true, &[0x7c, 0x81, 1]).unwrap();
        assert!(!peer.poll().unwrap().complete);
    }

    #[test]
    fn repeated_packets_are_ignored() {
        let mut peer = Peer::new();
        peer.push(1, false, &[0x41, 1]).unwrap();
        peer.sequence = peer.sequence.wrapping_sub(1);
        peer.push(1, false, &[0x41, 1]).unwrap();
        peer.push(1, true, &[0x41, 2]).unwrap();
        assert_eq!(peer.poll().unwrap().packets, 2);
    }

    #[test]
    fn malformed_payloads_are_refused() {
        let mut peer = Peer::new();
        for payload in [
            &[][..],
            &[0x7c],
            &[0x78, 0],
            &[0x78, 0, 0],
            &[0x78, 0, 9, 1],
            &[0x00, 1],
            &[0x7d, 1],
        ] {
            assert!(peer.push(1, false, payload).is_err(), "{payload:x?}");
        }
    }
}
