//! What must hold for any bytes.

use proptest::prelude::*;
use srtp::{MasterKey, RTCP_OVERHEAD, RTP_OVERHEAD, Receiver, Sender, Suite};

fn key(suite: Suite) -> MasterKey {
    let joined = vec![0x42; suite.key_len() + suite.salt_len()];
    MasterKey::from_key_and_salt(suite, &joined).unwrap()
}

fn suites() -> impl Strategy<Value = Suite> {
    prop_oneof![
        Just(Suite::AesCm128HmacSha1_80),
        Just(Suite::AesCm256HmacSha1_80)
    ]
}

fn rtp(first: u8, sequence: u16, rest: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80 | first & 0x3f, 99];
    packet.extend(sequence.to_be_bytes());
    packet.extend([0, 0, 0, 1, 0, 0, 0, 2]);
    packet.extend(rest);
    packet
}

proptest! {
    #[test]
    fn random_bytes_are_refused_and_left_alone(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut receiver = Receiver::new(&key(Suite::default()));
        let mut packet = bytes.clone();
        prop_assert!(receiver.unprotect_rtp(&mut packet).is_err());
        prop_assert!(receiver.unprotect_rtcp(&mut packet).is_err());
        prop_assert_eq!(packet, bytes);
    }

    #[test]
    fn protecting_any_bytes_never_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut sender = Sender::new(&key(Suite::default()));
        let _ = sender.protect_rtp(&mut bytes);
        let _ = sender.protect_rtcp(&mut bytes);
    }

    #[test]
    fn rtp_comes_back_whatever_its_header(
        suite in suites(),
        first: u8,
        sequence: u16,
        rest in prop::collection::vec(any::<u8>(), 0..1400),
    ) {
        let plain = rtp(first, sequence, &rest);
        let mut packet = plain.clone();
        let mut sender = Sender::new(&key(suite));
        if sender.protect_rtp(&mut packet).is_ok() {
            prop_assert_eq!(packet.len(), plain.len() + RTP_OVERHEAD);
            let len = Receiver::new(&key(suite)).unprotect_rtp(&mut packet).unwrap();
            prop_assert_eq!(&packet[..len], &plain[..]);
        } else {
            prop_assert_eq!(packet, plain);
        }
    }

    #[test]
    fn rtcp_comes_back(suite in suites(), rest in prop::collection::vec(any::<u8>(), 4..300)) {
        let plain = [&[0x80, 201, 0, 1][..], &rest].concat();
        let mut packet = plain.clone();
        Sender::new(&key(suite)).protect_rtcp(&mut packet).unwrap();
        prop_assert_eq!(packet.len(), plain.len() + RTCP_OVERHEAD);
        let len = Receiver::new(&key(suite)).unprotect_rtcp(&mut packet).unwrap();
        prop_assert_eq!(&packet[..len], &plain[..]);
    }

    #[test]
    fn every_packet_is_accepted_once_in_any_order_within_the_window(
        start: u16,
        order in Just((0u16..100).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let key = key(Suite::default());
        let (mut sender, mut receiver) = (Sender::new(&key), Receiver::new(&key));
        let first = rtp(0, start, b"first");
        let mut packets = vec![first];
        packets.extend((1..=100).map(|n| rtp(0, start.wrapping_add(n), b"payload")));
        packets.iter_mut().for_each(|packet| sender.protect_rtp(packet).unwrap());
        receiver.unprotect_rtp(&mut packets[0].clone()).unwrap();
        for at in order {
            let packet = &packets[usize::from(at) + 1];
            receiver.unprotect_rtp(&mut packet.clone()).unwrap();
            prop_assert!(receiver.unprotect_rtp(&mut packet.clone()).is_err());
        }
    }
}
