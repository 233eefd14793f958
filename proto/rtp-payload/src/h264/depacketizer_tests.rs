use super::*;
use crate::{Header, Packet};

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
        self.depacketizer.push(&Packet::new(header, payload))
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
