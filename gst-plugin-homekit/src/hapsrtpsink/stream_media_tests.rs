//! Other codecs, orientation, long waits, and the way back.

use super::*;

#[test]
fn aac_access_units_share_packets_with_the_marker_set() {
    let config = rtp_payload::aac::Config {
        sample_rate: 16_000,
        channels: 1,
        samples: 480,
    };
    let mut bench = Bench::new(&Input::AacEld {
        is_rtp: false,
        config,
    });
    assert_eq!(bench.rtp(&[1, 2], 0), []);
    let sent = bench.rtp(&[3], 30);
    let audio = |sequence, timestamp| Header {
        payload_type: 110,
        ..header(sequence, timestamp, true)
    };
    let payload = vec![0, 32, 0, 2 << 3, 0, 1 << 3, 1, 2, 3];
    assert_eq!(sent, [(audio(100, 5000), payload.clone())]);

    // The same in RTP of another source, after new caps.
    let rtp = Input::AacEld {
        is_rtp: true,
        config,
    };
    bench.stream.configure(&rtp).unwrap();
    let packet = [&header(9, 1, true).to_bytes()[..], &payload].concat();
    assert_eq!(bench.rtp(&packet, 60), [(audio(101, 5960), payload)]);
}

#[test]
fn h265_goes_out_with_its_parameter_sets_in_one_packet() {
    let (vps, sps, pps) = (
        [0x40, 1, 0x0c, 1],
        [
            0x42, 1, 1, 1, 0x60, 0, 0, 3, 0, 0, 3, 0, 0, 3, 0, 0, 3, 0, 0x5d, 0xa0,
        ],
        [0x44, 1, 0xc1, 0x73],
    );
    let idr = [0x26, 1, 0xaf, 0x08];
    let delta = [0x02, 1, 0xd0, 0x10];
    let mut bench = Bench::new(&Input::H265(Framing::ByteStream));
    assert_eq!(bench.rtp(&annex_b(&[&delta]), 0), []);
    let sent = bench.rtp(&annex_b(&[&vps, &sps, &pps, &idr]), 33);
    let first: Vec<_> = sent.iter().map(|(_, payload)| payload[0] >> 1).collect();
    assert_eq!(first, [48, 19], "aggregate, then IDR_W_RADL");
    assert_eq!(sent[1].0, header(101, 5000 + 33 * 90, true));
    let sent = bench.rtp(&annex_b(&[&delta]), 66);
    assert_eq!(sent, [(header(102, 5000 + 66 * 90, true), delta.to_vec())]);
    let error = bench.stream.configure(&Input::H264(Framing::ByteStream));
    assert_eq!(error, Err(ConfigureError::OtherCodec));
}

/// The orientation that each packet of a frame tells.
fn told(bench: &mut Bench, data: &[u8], time: u64) -> Vec<Option<u8>> {
    bench.stream.push(data, ms(time), &bench.moment);
    bench.send();
    let datagrams = std::mem::take(&mut bench.datagrams);
    let rtp = datagrams.into_iter().filter(|datagram| !is_rtcp(datagram));
    rtp.map(|mut datagram| {
        assert!(datagram.len() <= 1378);
        let len = bench.receiver.unprotect_rtp(&mut datagram).unwrap();
        let packet = Packet::parse(&datagram[..len]).unwrap();
        packet.extension(5).map(|data| data[0])
    })
    .collect()
}

/// HAP R1 §11.4.2.
#[test]
fn the_orientation_is_told_by_key_frames_and_where_it_changes() {
    let mut bench = Bench::video();
    assert_eq!(
        told(&mut bench, &key_frame(), 0),
        [None, None],
        "not negotiated"
    );
    let turned = |byte| Turned {
        id: 5,
        orientation: Orientation::from_byte(byte),
    };
    bench.stream.set_orientation(turned(1));
    assert_eq!(told(&mut bench, &delta_frame(), 33), [Some(1)], "a change");
    assert_eq!(told(&mut bench, &delta_frame(), 66), [None]);
    assert_eq!(told(&mut bench, &key_frame(), 99), [None, Some(1)]);
    bench.stream.set_orientation(turned(0x0e));
    assert_eq!(told(&mut bench, &delta_frame(), 133), [Some(0x0e)]);
    assert_eq!(told(&mut bench, &delta_frame(), 166), [None]);

    // It has its room in the packet.
    let large = annex_b(&[SPS, PPS, &[&[0x65][..], &[0x55; 5000]].concat()]);
    let packets = told(&mut bench, &large, 200);
    assert_eq!(packets.iter().flatten().collect::<Vec<_>>(), [&0x0e]);
    assert_eq!(packets.last(), Some(&Some(0x0e)));
}

#[test]
fn a_minute_without_key_frame_asks_for_one_now_and_then() {
    let mut bench = Bench::video();
    let mut asked = 0;
    for n in 0..1800 {
        bench.at(n * 1000 / 30);
        assert_eq!(bench.push(&delta_frame(), n * 1000 / 30), []);
        asked += bench.events().len();
    }
    assert!((20..=60).contains(&asked), "{asked}");
    assert_eq!(bench.stream.counters().dropped_before_key, 1800);
}

#[test]
fn a_minute_of_other_frames_after_a_key_frame_is_sent_and_the_interval_kept() {
    let mut bench = Bench::video();
    let interval = Some(ms(5000));
    bench.stream.session_mut().set_key_frame_interval(interval);
    bench.push(&key_frame(), 0);
    let (mut sent, mut asked) = (0, 0);
    for n in 1..1800 {
        bench.at(n * 1000 / 30);
        bench.stream.handle_timeout(bench.moment.now);
        sent += bench.rtp(&delta_frame(), n * 1000 / 30).len();
        let events = bench.events();
        asked += events
            .iter()
            .filter(|event| **event == Event::KeyFrameWanted(Cause::Periodic))
            .count();
    }
    assert_eq!(sent, 1799);
    assert!((10..=30).contains(&asked), "{asked}");
}

#[test]
fn a_picture_that_cannot_be_sent_leaves_a_gap() {
    let mut bench = Bench::video();
    bench.push(&key_frame(), 0);
    let huge = [&[0x41][..], &vec![0x55; rtp_payload::nal::MAX_ACCESS_UNIT]].concat();
    assert_eq!(bench.rtp(&annex_b(&[&huge]), 33), []);
    assert_eq!(bench.rtp(&annex_b(&[&[0x09, 0xf0]]), 66), [], "no picture");
    let sent = bench.rtp(&delta_frame(), 100);
    assert_eq!(sent[0].0.sequence, 103);
    assert_eq!(bench.stream.counters().dropped_invalid, 2);
}

fn talk(bench: &mut Bench, header: Header, payload: &[u8]) -> Incoming {
    let mut packet = [&header.to_bytes()[..], payload].concat();
    bench.controller.protect_rtp(&mut packet).unwrap();
    let moment = bench.moment;
    bench.stream.handle_datagram(&mut packet, &moment)
}

#[test]
fn sound_of_the_controller_is_taken_and_reported() {
    let mut bench = Bench::new(&OPUS);
    let from = |sequence| Header {
        payload_type: 110,
        ssrc: THEIRS,
        ..header(sequence, 320 * u32::from(sequence), false)
    };
    assert_eq!(
        talk(&mut bench, from(1), b"sound"),
        Incoming::Talkback { len: 17 }
    );
    let other = Header {
        ssrc: THEIRS + 1,
        ..from(2)
    };
    assert_eq!(talk(&mut bench, other, b"sound"), Incoming::Done);
    talk(&mut bench, from(4), b"sound");
    let counters = *bench.stream.counters();
    assert_eq!((counters.talkback_packets, counters.rtp_rejected), (2, 1));

    for n in 0..3u8 {
        bench.push(&[0x48, n, n], 20 * u64::from(n));
    }
    bench.at(600);
    bench.send_report();
    let seen = bench.seen();
    let Some(Seen::Rtcp(report)) = seen.last() else {
        panic!("{seen:?}");
    };
    let Message::SenderReport { blocks, .. } = &report[0] else {
        panic!("{report:?}");
    };
    assert_eq!((blocks[0].ssrc, blocks[0].highest_sequence), (THEIRS, 4));
    assert_eq!(blocks[0].cumulative_lost, 2);
}
