//! What must hold for any bytes, and that both directions fit.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use rtp_payload::h264::{self, Format, MAX_ACCESS_UNIT};
use rtp_payload::{Extension, Header, Packet, Reorder, aac, h265, nal, opus};

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

/// H.265: a slice whose bytes need no emulation prevention.
fn h265_slice() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![0u8..=9, 16u8..=21];
    (kind, vec(1u8.., 1..4000)).prop_map(|(kind, mut body)| {
        body.splice(0..0, [kind << 1, 1]);
        body
    })
}

const H265_SETS: [&[u8]; 3] = [
    &[0x40, 1, 0x0c],
    &[0x42, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0x80],
    &[0x44, 1, 0xc0],
];

/// What comes out of the depacketizer for what goes into the packetizer, and its limit.
fn there_and_back<C: nal::Codec>(data: &[u8], limit: usize) -> nal::ReceivedAccessUnit {
    let mut packetizer = nal::Packetizer::<C>::new(limit);
    let access_unit = packetizer.access_unit(data, Format::AnnexB).unwrap();
    let mut depacketizer = nal::Depacketizer::<C>::new();
    for (n, payload) in access_unit.payloads().enumerate() {
        let mut out = Vec::new();
        payload.write_to(&mut out);
        assert!(out.len() <= limit);
        let header = header(n as u16, payload.marker);
        depacketizer.push(&Packet::new(header, &out)).unwrap();
    }
    depacketizer.poll().unwrap()
}

/// Pushes packets of any bytes; what comes out keeps the limit.
fn depacketize_any<C: nal::Codec>(packets: &[(Vec<u8>, u16, bool)]) {
    let mut depacketizer = nal::Depacketizer::<C>::new();
    let mut sequence = 0u16;
    for (payload, step, marker) in packets {
        sequence = sequence.wrapping_add(*step);
        let header = header(sequence, *marker);
        let _ = depacketizer.push(&Packet::new(header, payload));
    }
    depacketizer.finish();
    while let Some(access_unit) = depacketizer.poll() {
        assert!(access_unit.annex_b.len() <= MAX_ACCESS_UNIT);
    }
}

/// Cuts any bytes; the payloads keep the limit and have one marker.
fn packetize_any<C: nal::Codec>(bytes: &[u8], format: Format, limit: usize) {
    let mut packetizer = nal::Packetizer::<C>::new(limit);
    if let Ok(access_unit) = packetizer.access_unit(bytes, format) {
        let payloads: Vec<_> = access_unit.payloads().collect();
        assert!(payloads.iter().all(|payload| payload.len() <= limit));
        assert_eq!(payloads.iter().filter(|payload| payload.marker).count(), 1);
        assert!(payloads.last().unwrap().marker);
    }
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
        bytes in vec(prop_oneof![Just(0u8), Just(1), any::<u8>()], 0..800),
        format in formats(),
        limit in 64usize..400,
    ) {
        packetize_any::<h264::H264>(&bytes, format, limit);
        packetize_any::<h265::H265>(&bytes, format, limit);
    }

    #[test]
    fn codec_data_of_any_bytes_never_panics(mut bytes in vec(any::<u8>(), 0..300)) {
        let mut packetizers = (h264::Packetizer::new(1000), h265::Packetizer::new(1000));
        for _ in 0..2 {
            let _ = packetizers.0.set_codec_data(&bytes);
            let _ = packetizers.1.set_codec_data(&bytes);
            if let Some(first) = bytes.first_mut() {
                *first = 1;
            }
        }
    }

    #[test]
    fn access_units_come_back_as_they_were(
        slices in vec(slice(), 1..6),
        limit in 64usize..1400,
    ) {
        let nals: Vec<&[u8]> = [SPS, PPS].into_iter().chain(slices.iter().map(|s| &s[..])).collect();
        let data = annex_b(&nals);
        let received = there_and_back::<h264::H264>(&data, limit);
        prop_assert_eq!(received.annex_b, data);
        prop_assert!(received.complete);
    }

    #[test]
    fn h265_access_units_come_back_as_they_were(
        slices in vec(h265_slice(), 1..6),
        limit in 64usize..1400,
    ) {
        let nals: Vec<&[u8]> = H265_SETS.into_iter().chain(slices.iter().map(|s| &s[..])).collect();
        let data = annex_b(&nals);
        let received = there_and_back::<h265::H265>(&data, limit);
        prop_assert_eq!(received.annex_b, data);
        prop_assert!(received.complete);
    }

    #[test]
    fn depacketizing_any_bytes_keeps_the_limit(
        packets in vec((vec(any::<u8>(), 0..60), 0u16..3, any::<bool>()), 0..40),
    ) {
        depacketize_any::<h264::H264>(&packets);
        depacketize_any::<h265::H265>(&packets);
    }

    #[test]
    fn aac_of_any_bytes_never_panics(bytes in vec(any::<u8>(), 0..300), words in 0u8..4) {
        let likely = [&[0, 16 * words][..], &bytes].concat();
        for payload in [&bytes, &likely] {
            if let Ok(units) = aac::AccessUnits::parse(payload) {
                let total: usize = units.map(<[u8]>::len).sum();
                prop_assert!(total > 0 && total < payload.len());
            }
        }
        let _ = aac::Config::parse(&bytes);
    }

    #[test]
    fn aac_access_units_come_back_as_they_were(
        units in vec(vec(any::<u8>(), 1..400), 1..20),
        packet_time in prop_oneof![Just(20u64), Just(30), Just(60)],
        start: u16,
    ) {
        let ms = Duration::from_millis;
        let mut packetizer = aac::Packetizer::new(ms(30), Some(ms(packet_time)));
        let mut depacketizer = aac::Depacketizer::new();
        let mut received = Vec::new();
        let (mut out, mut sequence) = (Vec::new(), start);
        for (n, unit) in units.iter().enumerate() {
            packetizer.push(unit, ms(30 * n as u64)).unwrap();
            if n + 1 == units.len() {
                packetizer.flush();
            }
            while packetizer.pull(&mut out).is_some() {
                let packet = Packet::new(header(sequence, true), &out);
                let packet = depacketizer.push(&packet).unwrap().unwrap();
                prop_assert_eq!(packet.lost_before, 0);
                received.extend(packet.access_units.map(<[u8]>::to_vec));
                sequence = sequence.wrapping_add(1);
                out.clear();
            }
        }
        prop_assert_eq!(received, units);
    }

    #[test]
    fn extensions_of_any_bytes_never_panic_and_come_back(
        body in vec(any::<u8>(), 0..40), profile in prop_oneof![Just(0xbedeu16), Just(0x1000), any::<u16>()],
        id in 1u8..15, data in vec(any::<u8>(), 1..17),
    ) {
        let mut packet = header(0, false).to_bytes().to_vec();
        packet[0] |= 0x10;
        packet.extend(profile.to_be_bytes());
        packet.extend((body.len() as u16 / 4).to_be_bytes());
        packet.extend(&body);
        let read = Packet::parse(&packet).unwrap();
        for id in 0..=255 {
            prop_assert!(read.extension(id).is_none_or(|found| found.len() < body.len()));
        }
        let mut packet = Vec::new();
        header(0, false).write_to(Extension::new(id, &data).as_ref(), &mut packet);
        prop_assert_eq!(Packet::parse(&packet).unwrap().extension(id), Some(&data[..]));
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
