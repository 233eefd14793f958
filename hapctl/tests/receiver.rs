//! A receiver on a real socket, fed by an SRTP sender on loopback.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hapctl::audio::Audio;
use hapctl::feedback::Feedback;
use hapctl::receiver::{self, Receiver};
use hapctl::stream::Keys;
use hapctl::track::{Agreement, Media, Track};
use hapctl::video::Video;
use rtp_feedback::Message;
use rtp_payload::Header;
use rtp_payload::h264::{Format, Packetizer};
use srtp::{MasterKey, Suite};
use tokio::net::UdpSocket;

const CAMERA: u32 = 0x0BAD_CAFE;
const CONTROLLER: u32 = 0x1234_5678;
/// Baseline, 320x240.
const SPS: &[u8] = &[
    0x67, 0x42, 0xC0, 0x0D, 0xD9, 0x01, 0x41, 0xFB, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00,
    0x00, 0x03, 0x03, 0xC0, 0xF1, 0x42, 0xA4, 0x80,
];

fn key(n: u8) -> MasterKey {
    MasterKey::new(Suite::AesCm256HmacSha1_80, &[n; 32], &[n; 14]).unwrap()
}

/// A camera's socket and what it needs to send.
struct Camera {
    socket: UdpSocket,
    to: SocketAddr,
    srtp: srtp::Sender,
    sequence: u16,
    payload_type: u8,
}

impl Camera {
    async fn send(&mut self, timestamp: u32, marker: bool, payload: &[u8]) {
        let header = Header {
            marker,
            payload_type: self.payload_type,
            sequence: self.sequence,
            timestamp,
            ssrc: CAMERA,
        };
        self.sequence = self.sequence.wrapping_add(1);
        let mut packet = header.to_bytes().to_vec();
        packet.extend_from_slice(payload);
        self.srtp.protect_rtp(&mut packet).unwrap();
        self.socket.send_to(&packet, self.to).await.unwrap();
    }

    /// The next RTCP packet of the controller.
    async fn hear(&self, srtp: &mut srtp::Receiver) -> Vec<Message> {
        let mut buffer = [0; 2048];
        let received = self.socket.recv_from(&mut buffer);
        let received = tokio::time::timeout(Duration::from_secs(5), received).await;
        let (length, from) = received.expect("RTCP in time").unwrap();
        assert_eq!(from, self.to, "it is sent from the port announced");
        let length = srtp.unprotect_rtcp(&mut buffer[..length]).unwrap();
        rtp_feedback::parse(&buffer[..length]).unwrap()
    }
}

fn agreement(
    remote: SocketAddr,
    codec: &'static str,
    payload_type: u8,
    clock_rate: u32,
) -> Agreement {
    Agreement {
        codec,
        payload_type,
        ssrc: CAMERA,
        own_ssrc: CONTROLLER,
        clock_rate,
        rtcp_interval: Duration::from_millis(100),
        remote,
        keys: Keys {
            send: Some(key(1)),
            receive: Some(key(2)),
        },
    }
}

async fn connected(
    media: Media,
    codec: &'static str,
    payload_type: u8,
    clock_rate: u32,
) -> (Camera, Receiver) {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let (socket, ours) = (
        UdpSocket::bind(any).await.unwrap(),
        receiver::open(any).await.unwrap(),
    );
    let to = ours.local_addr().unwrap();
    let agreement = agreement(
        socket.local_addr().unwrap(),
        codec,
        payload_type,
        clock_rate,
    );
    let track = Track::new(agreement, media, true, Instant::now());
    let receiver = Receiver::spawn(ours, track);
    receiver.started(Instant::now());
    let camera = Camera {
        socket,
        to,
        srtp: srtp::Sender::new(&key(2)),
        sequence: 65_530,
        payload_type,
    };
    (camera, receiver)
}

async fn until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// An access unit of two slices with start codes: a key frame of 43 kB or a small picture.
fn access_unit(key: bool) -> Vec<u8> {
    let slice = |header: u8, length| [&[header][..], &vec![0xAA; length]].concat();
    let nals = if key {
        let sets = vec![SPS.to_vec(), vec![0x68, 0xCE, 0x3C, 0x80]];
        [sets, vec![slice(0x65, 40_000), slice(0x65, 3000)]].concat()
    } else {
        vec![slice(0x41, 2000), slice(0x41, 300)]
    };
    nals.iter()
        .flat_map(|nal| [&[0, 0, 0, 1], nal.as_slice()].concat())
        .collect()
}

/// RTP payloads of one access unit, with their marker bits.
fn payloads(packetizer: &mut Packetizer, unit: &[u8]) -> Vec<(Vec<u8>, bool)> {
    let unit = packetizer.access_unit(unit, Format::AnnexB).unwrap();
    unit.payloads()
        .map(|payload| {
            let mut bytes = Vec::new();
            payload.write_to(&mut bytes);
            (bytes, payload.marker)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn video_arrives_as_it_was_sent() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let video = Video::new(Some(Box::new(file.reopen().unwrap())));
    let (mut camera, receiver) = connected(Media::Video(video), "H.264", 99, 90_000).await;
    let mut packetizer = Packetizer::new(1300);
    let mut sent = Vec::new();
    for n in 0..30u32 {
        let unit = access_unit(n % 10 == 0);
        for (payload, marker) in payloads(&mut packetizer, &unit) {
            camera.send(n * 3000, marker, &payload).await;
        }
        sent.extend(unit);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let total = u64::from(camera.sequence.wrapping_sub(65_530));
    until("all packets", || receiver.summary().packets == total).await;
    receiver.finish().unwrap();
    let report = receiver.summary();
    let video = report.video.as_ref().unwrap();
    assert_eq!(
        (report.lost, report.undecryptable, report.unexpected),
        (0, 0, 0)
    );
    assert_eq!(
        (video.frames, video.key_frames, video.damaged_frames),
        (30, 3, 0)
    );
    assert_eq!((video.width, video.height), (Some(320), Some(240)));
    assert_eq!(std::fs::read(file.path()).unwrap(), sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_packet_is_counted_and_reported_to_the_camera() {
    let audio = Audio::opus(16_000, None).unwrap();
    let (mut camera, receiver) = connected(Media::Audio(audio), "Opus", 110, 16_000).await;
    let mut srtp = srtp::Receiver::new(&key(1));
    let first = camera.hear(&mut srtp).await;
    assert!(
        matches!(&first[0], Message::ReceiverReport { ssrc: CONTROLLER, blocks }
        if blocks.is_empty())
    );
    for n in 0..10u32 {
        if n == 4 {
            camera.sequence = camera.sequence.wrapping_add(1);
        } else {
            camera.send(n * 320, false, &[0x48, 1, 2]).await;
        }
    }
    until("all packets", || receiver.summary().packets == 9).await;
    let block = loop {
        if let Message::ReceiverReport { blocks, .. } = &camera.hear(&mut srtp).await[0] {
            if let [block] = blocks.as_slice() {
                break *block;
            }
        }
    };
    assert_eq!((block.ssrc, block.cumulative_lost), (CAMERA, 1));
    assert_eq!(block.highest_sequence, 65_536 + 3);
    receiver.finish().unwrap();
    let report = receiver.summary();
    assert_eq!(report.lost, 1);
    assert_eq!(report.audio.unwrap().timestamp_errors, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn feedback_goes_out_at_once() {
    let (camera, receiver) = connected(Media::Video(Video::new(None)), "H.264", 99, 90_000).await;
    let mut srtp = srtp::Receiver::new(&key(1));
    receiver.send(vec![Feedback::Pli]).await;
    let wanted = Message::PictureLoss {
        sender: CONTROLLER,
        media: CAMERA,
    };
    for _ in 0..5 {
        if camera.hear(&mut srtp).await.contains(&wanted) {
            return;
        }
    }
    panic!("no PLI among the first packets");
}
