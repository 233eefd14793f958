use super::*;
use crate::feedback::Feedback;
use rtp_feedback::Writer;
use srtp::{MasterKey, Suite};

const CAMERA: u32 = 0x1122_3344;
const US: u32 = 0x5566_7788;

fn key(n: u8) -> MasterKey {
    MasterKey::new(Suite::AesCm128HmacSha1_80, &[n; 16], &[n; 14]).unwrap()
}

fn agreement() -> Agreement {
    Agreement {
        codec: "Opus",
        payload_type: 110,
        ssrc: CAMERA,
        own_ssrc: US,
        clock_rate: 24_000,
        rtcp_interval: Duration::from_millis(500),
        remote: from(),
        keys: Keys {
            send: Some(key(1)),
            receive: Some(key(2)),
        },
    }
}

fn from() -> SocketAddr {
    "192.0.2.1:5002".parse().unwrap()
}

fn track(now: Instant) -> Track {
    let media = Media::Audio(Audio::opus(24_000, None).unwrap());
    let mut track = Track::new(agreement(), media, true, now);
    track.started(now);
    track
}

fn rtp(sender: &mut srtp::Sender, sequence: u16, ssrc: u32, payload_type: u8) -> Vec<u8> {
    let header = Header {
        marker: false,
        payload_type,
        sequence,
        timestamp: u32::from(sequence) * 480,
        ssrc,
    };
    let mut bytes = header.to_bytes().to_vec();
    bytes.extend([0x48, 1, 2]);
    sender.protect_rtp(&mut bytes).unwrap();
    bytes
}

#[test]
fn packets_are_counted_with_losses_and_times() {
    let start = Instant::now();
    let (mut track, mut sender) = (track(start), srtp::Sender::new(&key(2)));
    for n in [0u16, 1, 3] {
        let now = start + Duration::from_millis(20 * u64::from(n) + 7);
        track.datagram(&mut rtp(&mut sender, 100 + n, CAMERA, 110), from(), now);
    }
    track.finish(start).unwrap();
    let report = track.summary();
    assert_eq!(
        (report.packets, report.lost, report.payload_type),
        (3, 1, Some(110))
    );
    assert_eq!(report.first_packet_ms, Some(7));
    assert_eq!(report.bytes, 3 * 15);
    assert_eq!(report.ssrc, CAMERA);
    assert!(report.source_as_announced);
}

#[test]
fn what_does_not_belong_here_is_told_apart() {
    let now = Instant::now();
    let (mut track, mut sender) = (track(now), srtp::Sender::new(&key(2)));
    let first = rtp(&mut sender, 1, CAMERA, 110);
    track.datagram(&mut first.clone(), from(), now);
    track.datagram(&mut first.clone(), from(), now);
    track.datagram(&mut rtp(&mut sender, 2, CAMERA, 99), from(), now);
    track.datagram(&mut rtp(&mut sender, 3, 7, 110), from(), now);
    let mut foreign = rtp(&mut srtp::Sender::new(&key(9)), 4, CAMERA, 110);
    track.datagram(&mut foreign, from(), now);
    track.datagram(&mut [], from(), now);
    let report = track.summary();
    assert_eq!(
        (report.packets, report.repeated, report.unexpected),
        (1, 1, 2)
    );
    assert_eq!(report.undecryptable, 2);
}

#[test]
fn sender_reports_and_bye_are_heard() {
    let now = Instant::now();
    let (mut track, mut sender) = (track(now), srtp::Sender::new(&key(2)));
    let info = SenderInfo {
        ntp: NtpTime::from_bits(5 << 32),
        packets: 17,
        ..SenderInfo::default()
    };
    let mut bytes = Writer::new(CAMERA).sender_report(info, &[]).bye().finish();
    sender.protect_rtcp(&mut bytes).unwrap();
    track.datagram(&mut bytes, from(), now);
    let report = track.summary();
    assert_eq!((report.sender_reports, report.packets_sent), (1, Some(17)));
    assert!(track.said_bye());
}

fn opened(bytes: Vec<u8>) -> Vec<Message> {
    let mut bytes = bytes;
    let length = srtp::Receiver::new(&key(1))
        .unprotect_rtcp(&mut bytes)
        .unwrap();
    rtp_feedback::parse(&bytes[..length]).unwrap()
}

#[test]
fn reports_come_at_the_interval_with_our_key_and_source() {
    let start = Instant::now();
    let mut track = track(start);
    track.timeout(start);
    let empty = opened(track.transmit().unwrap());
    assert!(matches!(&empty[0],
        Message::ReceiverReport { ssrc: US, blocks } if blocks.is_empty()));
    track.timeout(start + Duration::from_millis(499));
    assert_eq!(track.transmit(), None);
    let mut sender = srtp::Sender::new(&key(2));
    track.datagram(&mut rtp(&mut sender, 1, CAMERA, 110), from(), start);
    track.timeout(start + Duration::from_millis(500));
    let filled = opened(track.transmit().unwrap());
    assert!(matches!(&filled[0],
        Message::ReceiverReport { blocks, .. } if blocks[0].ssrc == CAMERA));
}

#[test]
fn every_full_intra_request_is_a_new_one() {
    let now = Instant::now();
    let mut track = track(now);
    for expected in [1, 2] {
        track.feedback(&[Feedback::Fir], now);
        let messages = opened(track.transmit().unwrap());
        let entries = vec![(CAMERA, expected)];
        assert!(messages.contains(&Message::FullIntraRequest {
            sender: US,
            entries
        }));
    }
    track.feedback(&[Feedback::Pli], now);
    let messages = opened(track.transmit().unwrap());
    assert!(messages.contains(&Message::PictureLoss {
        sender: US,
        media: CAMERA
    }));
}

#[test]
fn a_silent_viewer_sends_nothing() {
    let now = Instant::now();
    let media = Media::Audio(Audio::opaque(16_000));
    let mut track = Track::new(agreement(), media, false, now);
    track.started(now);
    assert_eq!(track.due(), None);
    track.timeout(now + Duration::from_secs(9));
    assert_eq!(track.transmit(), None);
}

fn video(now: Instant) -> Track {
    let agreement = Agreement {
        codec: "H.264",
        payload_type: 99,
        clock_rate: 90_000,
        ..agreement()
    };
    Track::new(agreement, Media::Video(Video::new(None)), true, now)
}

/// One picture in one packet: a key frame, or not.
fn picture(sender: &mut srtp::Sender, sequence: u16, is_key: bool) -> Vec<u8> {
    const SPS: &str = "6742c00dd90141fb0110000003001000000303c0f142a480";
    let header = Header {
        marker: true,
        payload_type: 99,
        sequence,
        timestamp: u32::from(sequence) * 3000,
        ssrc: CAMERA,
    };
    let mut bytes = header.to_bytes().to_vec();
    if is_key {
        let sps = crate::hex::decode(SPS).unwrap();
        bytes.extend([0x78, 0, sps.len() as u8]);
        bytes.extend(sps);
        bytes.extend([0, 2, 0x68, 0xCE, 0, 3, 0x65, 0xB8, 1]);
    } else {
        bytes.extend([0x41, 0x9A, 1]);
    }
    sender.protect_rtp(&mut bytes).unwrap();
    bytes
}

fn asks_for_picture(messages: &[Message]) -> bool {
    messages.contains(&Message::PictureLoss {
        sender: US,
        media: CAMERA,
    })
}

#[test]
fn a_loss_is_answered_with_pli_until_a_key_frame_comes() {
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    let mut sender = srtp::Sender::new(&key(2));
    let mut track = video(start).with_pli_on_loss();
    track.datagram(&mut picture(&mut sender, 10, true), from(), at(0));
    track.datagram(&mut picture(&mut sender, 12, false), from(), at(66));
    assert_eq!(track.transmit(), None, "it may still come");
    track.timeout(at(86));
    assert!(asks_for_picture(&opened(track.transmit().unwrap())));
    track.timeout(at(185));
    assert_eq!(track.transmit(), None);
    track.timeout(track.due().unwrap());
    assert!(track.transmit().is_some(), "again");
    track.datagram(&mut picture(&mut sender, 13, true), from(), at(200));
    track.timeout(at(900));
    assert_eq!(track.transmit(), None);
    let report = track.summary();
    let causes: Vec<_> = report.requests.iter().map(|r| r.cause).collect();
    assert_eq!(
        causes,
        [crate::feedback::Cause::Loss, crate::feedback::Cause::Again]
    );
    assert_eq!(report.requests[0].key_frame_ms, Some(114.0));
    assert_eq!(report.recovery_ms.unwrap().max, 114.0);
    assert_eq!(report.lost, 1);
}

#[test]
fn dropped_packets_count_as_lost() {
    let start = Instant::now();
    let second = Duration::from_secs;
    let all = crate::losses::Drop {
        share: 1.0,
        window: Some((second(1), second(2))),
    };
    let mut track = video(start).with_losses(Losses::new(&[all], 1));
    track.started(start);
    let mut sender = srtp::Sender::new(&key(2));
    for n in 0..30u16 {
        let now = start + Duration::from_millis(100 * u64::from(n));
        track.datagram(&mut picture(&mut sender, n, n == 0), from(), now);
    }
    let report = track.summary();
    assert_eq!((report.packets, report.dropped, report.lost), (20, 10, 10));
}

#[test]
fn limits_and_trade_offs_go_out_and_their_notifications_are_heard() {
    let start = Instant::now();
    let mut track = video(start);
    let both = [Feedback::MaxBitrate(300_000), Feedback::TradeOff(31)];
    track.feedback(&both, start);
    let entry = TmmbEntry {
        ssrc: CAMERA,
        bitrate: 300_000,
        overhead: 40,
    };
    let sent = opened(track.transmit().unwrap());
    assert_eq!(track.transmit(), None, "one packet for both");
    assert!(sent.contains(&Message::MaxBitrateRequest {
        sender: US,
        entries: vec![entry]
    }));
    let entry = TradeOffEntry {
        ssrc: CAMERA,
        sequence: 1,
        index: 31,
    };
    assert!(sent.contains(&Message::TradeOffRequest {
        sender: US,
        entries: vec![entry]
    }));
    let theirs = [TmmbEntry {
        ssrc: US,
        bitrate: 250_000,
        overhead: 40,
    }];
    let mut bytes = Writer::new(CAMERA)
        .receiver_report(&[])
        .max_bitrate_notification(&theirs)
        .trade_off_notification(&[TradeOffEntry { ssrc: US, ..entry }])
        .finish();
    srtp::Sender::new(&key(2)).protect_rtcp(&mut bytes).unwrap();
    track.datagram(&mut bytes, from(), start + Duration::from_millis(4));
    let reports = track.summary().requests;
    let heard: Vec<_> = reports
        .iter()
        .map(|r| (r.notified, r.notified_ms))
        .collect();
    assert_eq!(heard, [(Some(250_000), Some(4.0)), (Some(31), Some(4.0))]);
}

#[test]
fn sound_goes_out_with_our_key_and_its_reports_give_the_round_trip() {
    let start = Instant::now();
    let voice = crate::talk::Voice {
        ssrc: US,
        payload_type: 110,
        clock_rate: 24_000,
        packet_time: Duration::from_millis(20),
        begin: Duration::ZERO,
    };
    let packets = vec![vec![0x48, 1, 2]; 50];
    let talk = Talk::new(&packets, voice).unwrap();
    let media = Media::Audio(Audio::opus(24_000, None).unwrap());
    let unix = Duration::from_secs(1_700_000_000);
    let mut track = Track::new(agreement(), media, true, start).with_talk(talk, unix);
    track.started(start);
    let mut camera = srtp::Receiver::new(&key(1));
    let (mut sound, mut reports) = (0, Vec::new());
    while let Some(due) = track
        .due()
        .filter(|t| *t < start + Duration::from_millis(600))
    {
        track.timeout(due);
        while let Some(mut bytes) = track.transmit() {
            if is_rtcp(&bytes) {
                let length = camera.unprotect_rtcp(&mut bytes).unwrap();
                reports.extend(rtp_feedback::parse(&bytes[..length]).unwrap());
            } else {
                let length = camera.unprotect_rtp(&mut bytes).unwrap();
                assert_eq!(&bytes[12..length], [0x48, 1, 2]);
                sound += 1;
            }
        }
    }
    assert_eq!(sound, 30);
    let sent = reports.iter().find_map(|m| match m {
        Message::SenderReport { ssrc: US, info, .. } => Some(*info),
        _ => None,
    });
    let block = ReportBlock {
        ssrc: US,
        last_sender_report: sent.unwrap().ntp.compact(),
        delay_since_last_sender_report: 6554, // 100 ms
        ..ReportBlock::default()
    };
    let mut bytes = Writer::new(CAMERA)
        .sender_report(SenderInfo::default(), &[block])
        .finish();
    srtp::Sender::new(&key(2)).protect_rtcp(&mut bytes).unwrap();
    track.datagram(&mut bytes, from(), start + Duration::from_millis(640));
    let report = track.summary();
    assert_eq!(report.talked_packets, Some(30));
    assert_eq!(report.rtt_ms.unwrap().median, 40.0);
}
