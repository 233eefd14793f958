use super::*;
use crate::{Header, Packet};

const VPS: &[u8] = &[0x40, 1, 0x0c];
const SPS: &[u8] = &[0x42, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0x80];
const PPS: &[u8] = &[0x44, 1, 0xc0];
const AUD: &[u8] = &[0x46, 1, 0x50];
const SEI: &[u8] = &[0x4e, 1, 5, 1, 0x80];
const FILLER: &[u8] = &[0x4c, 1, 0xff, 0x80];
const IDR: &[u8] = &[0x26, 1, 0xaf, 0x08];
const CRA: &[u8] = &[0x2a, 1, 0xaf, 0x08];
const TRAIL: &[u8] = &[0x02, 1, 0xd0, 0x09];

/// `| type 48, LayerId 0, TID 1 | 3 | VPS | 16 | SPS | 3 | PPS |`
fn aggregate() -> Vec<u8> {
    [&[0x60, 1, 0, 3], VPS, &[0, 16], SPS, &[0, 3], PPS].concat()
}

fn annex_b(nals: &[&[u8]]) -> Vec<u8> {
    let code = [0, 0, 0, 1];
    nals.iter().flat_map(|nal| [&code, *nal].concat()).collect()
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

fn depacketize(packets: &[(bool, Vec<u8>)]) -> ReceivedAccessUnit {
    let mut depacketizer = Depacketizer::new();
    for (n, (marker, payload)) in packets.iter().enumerate() {
        let header = Header {
            marker: *marker,
            payload_type: 99,
            sequence: n as u16,
            timestamp: 7,
            ssrc: 1,
        };
        let packet = Packet::new(header, payload);
        depacketizer.push(&packet).unwrap();
    }
    depacketizer.poll().unwrap()
}

#[test]
fn parameter_sets_go_in_one_aggregation_packet_before_each_key_frame() {
    let mut packetizer = Packetizer::new(1356);
    let data = annex_b(&[AUD, VPS, SPS, PPS, SEI, IDR, FILLER]);
    let access_unit = packetizer.access_unit(&data, Format::AnnexB).unwrap();
    assert!(access_unit.is_key());
    let expected = [(false, aggregate()), (true, IDR.to_vec())];
    assert_eq!(packets(&access_unit), expected);
    for key in [IDR, CRA] {
        let data = annex_b(&[key]);
        let access_unit = packetizer.access_unit(&data, Format::AnnexB).unwrap();
        assert!(access_unit.is_key());
        assert_eq!(packets(&access_unit)[0].1, aggregate());
    }
    let data = annex_b(&[TRAIL]);
    let access_unit = packetizer.access_unit(&data, Format::AnnexB).unwrap();
    assert!(!access_unit.is_key());
    assert_eq!(packets(&access_unit), [(true, TRAIL.to_vec())]);
}

#[test]
fn large_nal_units_are_fragmented_within_the_limit() {
    let mut packetizer = Packetizer::new(100);
    let mut idr = vec![0x27, 0x0a];
    idr.extend((0..250).map(|n| n as u8 | 1));
    let data = annex_b(&[VPS, SPS, PPS, &idr]);
    let access_unit = packetizer.access_unit(&data, Format::AnnexB).unwrap();
    let packets = packets(&access_unit);
    let lens: Vec<usize> = packets.iter().map(|(_, packet)| packet.len()).collect();
    assert_eq!(lens, [30, 100, 100, 59]);
    // Type 49, with the LayerId and TID of the NAL unit, then S, E and type 19.
    assert_eq!(packets[1].1[..3], [0x63, 0x0a, 0x93]);
    assert_eq!(packets[2].1[..3], [0x63, 0x0a, 0x13]);
    assert_eq!(packets[3].1[..3], [0x63, 0x0a, 0x53]);
    let markers: Vec<bool> = packets.iter().map(|(marker, _)| *marker).collect();
    assert_eq!(markers, [false, false, false, true]);
    let received = depacketize(&packets);
    assert_eq!(received.annex_b, data);
    assert!(received.is_key && received.complete);
}

#[test]
fn a_key_frame_without_all_three_parameter_sets_is_refused() {
    let mut packetizer = Packetizer::new(1356);
    let data = annex_b(&[SPS, PPS, IDR]);
    let error = packetizer.access_unit(&data, Format::AnnexB).unwrap_err();
    assert_eq!(error, Error::NoParameterSets);
    let refused: [&[&[u8]]; 4] = [&[], &[&[0x26]], &[VPS, SPS, PPS], &[&[0x62, 1, 0x93]]];
    for nals in refused {
        let error = packetizer.access_unit(&annex_b(nals), Format::AnnexB).err();
        assert_eq!(error, Some(Error::NoPicture), "{nals:x?}");
    }
}

#[test]
fn malformed_payloads_are_refused() {
    let mut depacketizer = Depacketizer::new();
    for (n, payload) in [
        &[][..],
        &[0x02],
        &[0x62, 1],
        &[0x62, 1, 0x01, 7],
        &[0x60, 1, 0],
        &[0x60, 1, 0, 0],
        &[0x60, 1, 0, 1, 0x40],
        &[0x60, 1, 0, 9, 0x40, 1],
        &[0x64, 1, 7],
    ]
    .into_iter()
    .enumerate()
    {
        let header = Header {
            marker: false,
            payload_type: 99,
            sequence: n as u16,
            timestamp: 7,
            ssrc: 1,
        };
        let packet = Packet::new(header, payload);
        assert!(depacketizer.push(&packet).is_err(), "{payload:x?}");
    }
}
