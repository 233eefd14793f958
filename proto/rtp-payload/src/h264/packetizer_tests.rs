use super::*;

const SPS: &[u8] = &[0x67, 0x4d, 0x40, 0x1f, 0x80];
const PPS: &[u8] = &[0x68, 0xee];
const IDR: &[u8] = &[0x65, 0x88, 0x80, 1];
const DELTA: &[u8] = &[0x41, 0x9a, 0x01];
const STAP_A: &[u8] = &[0x78, 0, 5, 0x67, 0x4d, 0x40, 0x1f, 0x80, 0, 2, 0x68, 0xee];

fn annex_b(nals: &[&[u8]]) -> Vec<u8> {
    let code = [0, 0, 0, 1];
    nals.iter()
        .flat_map(|nal| [&code[..], nal].concat())
        .collect()
}

fn avc(nals: &[&[u8]]) -> Vec<u8> {
    let len = |nal: &[u8]| (nal.len() as u32).to_be_bytes();
    nals.iter()
        .flat_map(|nal| [&len(nal), *nal].concat())
        .collect()
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

#[test]
fn parameter_sets_go_in_one_stap_a_before_the_key_frame() {
    let mut packetizer = Packetizer::new(1356);
    let data = annex_b(&[
        &[0x09, 0xf0],
        SPS,
        PPS,
        &[0x06, 5, 1, 0x80],
        IDR,
        &[0x0c, 0xff],
    ]);
    let access_unit = packetizer.access_unit(&data, Format::AnnexB).unwrap();
    assert!(access_unit.is_key());
    let expected = [(false, STAP_A.to_vec()), (true, IDR.to_vec())];
    assert_eq!(packets(&access_unit), expected);
}

#[test]
fn known_parameter_sets_are_repeated_before_each_key_frame() {
    let mut packetizer = Packetizer::new(1356);
    let first = annex_b(&[SPS, PPS, IDR]);
    packetizer.access_unit(&first, Format::AnnexB).unwrap();
    let delta = annex_b(&[DELTA, DELTA]);
    let access_unit = packetizer.access_unit(&delta, Format::AnnexB).unwrap();
    assert!(!access_unit.is_key());
    let expected = [(false, DELTA.to_vec()), (true, DELTA.to_vec())];
    assert_eq!(packets(&access_unit), expected);
    let bare = annex_b(&[IDR]);
    let access_unit = packetizer.access_unit(&bare, Format::AnnexB).unwrap();
    assert_eq!(packets(&access_unit)[0], (false, STAP_A.to_vec()));
}

#[test]
fn parameter_sets_of_the_codec_data_serve_until_newer_ones_come() {
    let mut packetizer = Packetizer::new(1356);
    let record = avc::codec_data(SPS, PPS).unwrap();
    let format = packetizer.set_codec_data(&record).unwrap();
    let data = avc(&[IDR]);
    let access_unit = packetizer.access_unit(&data, format).unwrap();
    let expected = [(false, STAP_A.to_vec()), (true, IDR.to_vec())];
    assert_eq!(packets(&access_unit), expected);

    let newer = [0x67, 0x4d, 0x40, 0x28, 0x80];
    let data = avc(&[&newer, IDR]);
    let access_unit = packetizer.access_unit(&data, format).unwrap();
    let stap_a = &packets(&access_unit)[0].1;
    assert_eq!(stap_a[3..8], newer);
    assert_eq!(stap_a[8..], STAP_A[8..]);
}

#[test]
fn large_nal_units_are_fragmented_within_the_limit() {
    let mut packetizer = Packetizer::new(100);
    let mut idr = vec![0x65];
    idr.extend((0..250).map(|n| n as u8 | 1));
    let data = annex_b(&[SPS, PPS, &idr]);
    let access_unit = packetizer.access_unit(&data, Format::AnnexB).unwrap();
    let packets = packets(&access_unit);
    let lens: Vec<usize> = packets.iter().map(|(_, packet)| packet.len()).collect();
    assert_eq!(lens, [12, 100, 100, 56]);
    let markers: Vec<bool> = packets.iter().map(|(marker, _)| *marker).collect();
    assert_eq!(markers, [false, false, false, true]);
    assert_eq!(packets[1].1[..3], [0x7c, 0x85, 1]);
    assert_eq!(packets[2].1[..2], [0x7c, 0x05]);
    assert_eq!(packets[3].1[..2], [0x7c, 0x45]);
    let joined: Vec<u8> = packets[1..]
        .iter()
        .flat_map(|(_, p)| p[2..].to_vec())
        .collect();
    assert_eq!(joined, idr[1..]);
}

#[test]
fn a_nal_unit_of_exactly_the_limit_is_not_fragmented() {
    let mut packetizer = Packetizer::new(100);
    for (len, count) in [(100, 1), (101, 2)] {
        let mut slice = DELTA.to_vec();
        slice.resize(len, 0xff);
        let data = annex_b(&[&slice]);
        let access_unit = packetizer.access_unit(&data, Format::AnnexB).unwrap();
        assert_eq!(access_unit.payloads().count(), count, "{len} bytes");
    }
}

#[test]
fn two_large_slices_are_fragmented_one_after_the_other() {
    let mut packetizer = Packetizer::new(64);
    let slice = [DELTA, &[0x55; 100]].concat();
    let data = annex_b(&[&slice, &slice]);
    let access_unit = packetizer.access_unit(&data, Format::AnnexB).unwrap();
    let heads: Vec<(bool, u8)> = packets(&access_unit)
        .iter()
        .map(|(marker, packet)| (*marker, packet[1]))
        .collect();
    let expected = [(false, 0x81), (false, 0x41), (false, 0x81), (true, 0x41)];
    assert_eq!(heads, expected);
}

#[test]
fn changed_parameter_sets_go_out_without_a_key_frame_too() {
    let mut packetizer = Packetizer::new(1356);
    let data = annex_b(&[SPS, PPS, DELTA]);
    let access_unit = packetizer.access_unit(&data, Format::AnnexB).unwrap();
    assert!(!access_unit.is_key());
    assert_eq!(packets(&access_unit)[0].1, STAP_A);
    let access_unit = packetizer.access_unit(&data, Format::AnnexB).unwrap();
    assert_eq!(packets(&access_unit), [(true, DELTA.to_vec())]);
}

#[test]
fn an_intra_picture_with_sps_or_recovery_point_is_a_key_frame() {
    let mut packetizer = Packetizer::new(1356);
    let intra: &[u8] = &[0x41, 0b1000_1000, 0xff];
    let data = annex_b(&[SPS, PPS, intra, intra]);
    assert!(
        packetizer
            .access_unit(&data, Format::AnnexB)
            .unwrap()
            .is_key()
    );
    let without_sps = annex_b(&[intra]);
    let access_unit = packetizer
        .access_unit(&without_sps, Format::AnnexB)
        .unwrap();
    assert!(!access_unit.is_key());
    let recovery_point: &[u8] = &[0x06, 6, 1, 0xc4, 0x80];
    let recovery = annex_b(&[recovery_point, intra]);
    let access_unit = packetizer.access_unit(&recovery, Format::AnnexB).unwrap();
    assert!(access_unit.is_key());
    let mixed = annex_b(&[SPS, PPS, recovery_point, intra, DELTA]);
    assert!(
        !packetizer
            .access_unit(&mixed, Format::AnnexB)
            .unwrap()
            .is_key()
    );
}

#[test]
fn access_units_that_cannot_be_sent_are_refused() {
    let mut packetizer = Packetizer::new(1356);
    let refused = |packetizer: &mut Packetizer, nals: &[&[u8]]| {
        let result = packetizer.access_unit(&annex_b(nals), Format::AnnexB).err();
        result.unwrap()
    };
    assert_eq!(refused(&mut packetizer, &[]), Error::NoPicture);
    assert_eq!(refused(&mut packetizer, &[IDR]), Error::NoParameterSets);
    assert_eq!(refused(&mut packetizer, &[SPS, PPS]), Error::NoPicture);
    // NAL unit types that RTP gives another meaning must not pass as they are.
    assert_eq!(refused(&mut packetizer, &[&[0x7c, 0x85]]), Error::NoPicture);
    let huge = vec![0; MAX_ACCESS_UNIT + 1];
    assert!(packetizer.access_unit(&huge, Format::AnnexB).is_err());
}

#[test]
fn a_reconfigured_stream_sends_only_its_new_parameter_sets() {
    let mut packetizer = Packetizer::new(1356);
    let old_pps: &[u8] = &[0x68, 0x40];
    let old = annex_b(&[SPS, PPS, old_pps, IDR]);
    packetizer.access_unit(&old, Format::AnnexB).unwrap();
    let smaller = [0x67, 0x42, 0xc0, 0x0d, 0x80];
    let data = annex_b(&[&smaller, PPS, IDR]);
    let access_unit = packetizer.access_unit(&data, Format::AnnexB).unwrap();
    let stap_a = &packets(&access_unit)[0].1;
    assert_eq!(stap_a.len(), STAP_A.len());
    assert_eq!(stap_a[3..8], smaller);
}
