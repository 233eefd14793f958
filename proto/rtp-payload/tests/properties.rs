//! What must hold for any bytes, and that both directions fit.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use rtp_payload::h264::{self, Format, MAX_ACCESS_UNIT};
use rtp_payload::opus;
use rtp_payload::{Header, Packet, Reorder};

const SPS: &[u8] = &[0x67, 0x4d, 0x40, 0x1f, 0x80];
const PPS: &[u8] = &[0x68, 0xee];

fn header(sequence: u16, marker: bool) -> Header {
    Header {
        marker,
        payload_type: 99,
        sequence,
        timestamp: 1,
        ssrc: 2,
    }
}

/// A slice whose bytes need no emulation prevention.
fn slice() -> impl Strategy<Value = Vec<u8>> {
    (1u8..=5, vec(1u8.., 1..4000)).prop_map(|(kind, mut body)| {
        body.insert(0, 0x60 | kind);
        body
    })
}

fn formats() -> impl Strategy<Value = Format> {
    prop_oneof![
        Just(Format::AnnexB),
        (1u8..=4).prop_map(|length_size| Format::Avc { length_size })
    ]
}

fn annex_b(nals: &[&[u8]]) -> Vec<u8> {
    let code = [0, 0, 0, 1];
    nals.iter().flat_map(|nal| [&code, *nal].concat()).collect()
}

proptest! {
    #[test]
    fn rtp_packets_of_any_bytes_never_panic(bytes in vec(any::<u8>(), 0..100)) {
        if let Ok(packet) = Packet::parse(&bytes) {
            prop_assert!(packet.payload.len() + 12 <= bytes.len());
        }
    }

    #[test]
    fn payloads_keep_the_limit_and_one_marker(
        bytes in vec(prop_oneof![Just(0u8), Just(1), any::<u8>()], 0..5000),
        format in formats(),
        limit in 64usize..1400,
    ) {
        let mut packetizer = h264::Packetizer::new(limit);
        if let Ok(access_unit) = packetizer.access_unit(&bytes, format) {
            let payloads: Vec<_> = access_unit.payloads().collect();
            prop_assert!(payloads.iter().all(|payload| payload.len() <= limit));
            prop_assert_eq!(payloads.iter().filter(|payload| payload.marker).count(), 1);
            prop_assert!(payloads.last().unwrap().marker);
        }
    }

    #[test]
    fn codec_data_of_any_bytes_never_panics(mut bytes in vec(any::<u8>(), 0..300)) {
        let mut packetizer = h264::Packetizer::new(1000);
        let _ = packetizer.set_codec_data(&bytes);
        if let Some(first) = bytes.first_mut() {
            *first = 1;
        }
        let _ = packetizer.set_codec_data(&bytes);
    }

    #[test]
    fn access_units_come_back_as_they_were(
        slices in vec(slice(), 1..6),
        limit in 64usize..1400,
    ) {
        let nals: Vec<&[u8]> = [SPS, PPS].into_iter().chain(slices.iter().map(|s| &s[..])).collect();
        let data = annex_b(&nals);
        let mut packetizer = h264::Packetizer::new(limit);
        let access_unit = packetizer.access_unit(&data, Format::AnnexB).unwrap();
        let mut depacketizer = h264::Depacketizer::new();
        for (n, payload) in access_unit.payloads().enumerate() {
            let mut out = Vec::new();
            payload.write_to(&mut out);
            let header = header(n as u16, payload.marker);
            depacketizer.push(&Packet { header, payload: &out }).unwrap();
        }
        let received = depacketizer.poll().unwrap();
        prop_assert_eq!(received.annex_b, data);
        prop_assert!(received.complete);
    }

    #[test]
    fn depacketizing_any_bytes_keeps_the_limit(
        packets in vec((vec(any::<u8>(), 0..60), 0u16..3, any::<bool>()), 0..40),
    ) {
        let mut depacketizer = h264::Depacketizer::new();
        let mut sequence = 0u16;
        for (payload, step, marker) in &packets {
            sequence = sequence.wrapping_add(*step);
            let header = header(sequence, *marker);
            let _ = depacketizer.push(&Packet { header, payload });
        }
        depacketizer.finish();
        while let Some(access_unit) = depacketizer.poll() {
            prop_assert!(access_unit.annex_b.len() <= MAX_ACCESS_UNIT);
        }
    }

    #[test]
    fn opus_packets_of_any_bytes_never_panic(bytes in vec(any::<u8>(), 0..1500)) {
        if let Ok(packet) = opus::Packet::parse(&bytes) {
            prop_assert!(packet.duration() <= Duration::from_millis(120));
            let total: usize = packet.frames().iter().map(|frame| frame.len()).sum();
            prop_assert!(total < bytes.len());
        }
    }

    #[test]
    fn frames_come_through_any_repacketizing(
        frames in vec(vec(any::<u8>(), 0..400), 1..30),
        packet_time in prop_oneof![Just(20u64), Just(40), Just(60), Just(120)],
    ) {
        let mut repacketizer = opus::Repacketizer::new(Some(Duration::from_millis(packet_time)));
        let mut received = Vec::new();
        let mut out = Vec::new();
        for (n, frame) in frames.iter().enumerate() {
            let packet = [&[0x48][..], frame].concat();
            repacketizer.push(&packet, Duration::from_millis(20 * n as u64)).unwrap();
            if n + 1 == frames.len() {
                repacketizer.flush();
            }
            while let Some(info) = repacketizer.pull(&mut out) {
                let packet = opus::Packet::parse(&out).unwrap();
                prop_assert_eq!(packet.duration(), info.duration);
                received.extend(packet.frames().iter().map(|frame| frame.to_vec()));
                out.clear();
            }
        }
        prop_assert_eq!(received, frames);
    }

    #[test]
    fn reordering_loses_nothing_within_its_depth(
        start: u16,
        order in Just((0u16..16).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let mut reorder = Reorder::new(16);
        reorder.push(start, vec![255]);
        let mut out = Vec::new();
        for n in order {
            reorder.push(start.wrapping_add(1 + n), vec![n as u8]);
            out.extend(std::iter::from_fn(|| reorder.pop()));
        }
        let expected: Vec<_> = [255].into_iter().chain(0..16)
            .map(|n| rtp_payload::Ordered::Packet(vec![n]))
            .collect();
        prop_assert_eq!(out, expected);
    }
}
