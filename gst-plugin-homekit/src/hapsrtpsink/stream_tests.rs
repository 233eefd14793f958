use rtp_feedback::{Cause, Message, NtpTime, TmmbEntry, Writer};
use rtp_payload::{Header, Packet, opus};
use srtp::{Sender, Suite};

use super::*;
use crate::hapsrtpsink::media::Framing;

const OPUS: Input = Input::Opus { is_rtp: false };
const OPUS_RTP: Input = Input::Opus { is_rtp: true };
#[path = "stream_media_tests.rs"]
mod media;

const OURS: u32 = 0x1111_1111;
const THEIRS: u32 = 0x2222_2222;
const SPS: &[u8] = &[0x67, 0x4d, 0x40, 0x1f, 0x80];
const PPS: &[u8] = &[0x68, 0xee];
const IDR: &[u8] = &[0x65, 0x88, 0x80, 1];
const DELTA: &[u8] = &[0x41, 0x9a, 0x01];

/// A stream, the datagrams it sends, and the controller that gets them.
struct Bench {
    stream: Stream,
    datagrams: Vec<Vec<u8>>,
    receiver: Receiver,
    controller: Sender,
    start: Instant,
    moment: Moment,
}

/// A datagram, decrypted.
#[derive(Debug, PartialEq)]
enum Seen {
    Rtp(Header, Vec<u8>),
    Rtcp(Vec<Message>),
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn key(fill: u8) -> MasterKey {
    MasterKey::new(Suite::default(), &[fill; 16], &[fill; 14]).unwrap()
}

fn config() -> StreamConfig {
    StreamConfig {
        remote_ssrc: Some(THEIRS),
        payload_type: None,
        mtu: 1378,
        audio_clock_rate: Some(16_000),
        packet_time: Some(ms(60)),
        canonical_name: "camera".into(),
        report_interval: ms(500),
        silence_timeout: Some(ms(30_000)),
        active: true,
        pace: Pace {
            factor: 0.0,
            bitrate: 0,
        },
        min_bitrate: 0,
        key_frame_interval: None,
        orientation: Turned::default(),
    }
}

fn annex_b(nals: &[&[u8]]) -> Vec<u8> {
    let code = [0, 0, 0, 1];
    nals.iter().flat_map(|nal| [&code, *nal].concat()).collect()
}

fn key_frame() -> Vec<u8> {
    annex_b(&[SPS, PPS, IDR])
}

fn delta_frame() -> Vec<u8> {
    annex_b(&[DELTA])
}

impl Bench {
    fn new(input: &Input) -> Self {
        let start = Instant::now();
        let lots = Lots {
            ssrc: OURS,
            sequence: 100,
            timestamp: 5000,
        };
        let mut stream = Stream::new(config(), &key(1), &key(2), lots);
        stream.configure(input).unwrap();
        let mut bench = Self {
            stream,
            datagrams: Vec::new(),
            receiver: Receiver::new(&key(1)),
            controller: Sender::new(&key(2)),
            start,
            moment: Moment {
                now: start,
                ntp: NtpTime::default(),
                running_time: None,
            },
        };
        bench.at(0);
        bench
    }

    fn video() -> Self {
        Self::new(&Input::H264(Framing::ByteStream))
    }

    /// Sets the clocks; the wall clock is 100 s ahead of the running time.
    fn at(&mut self, milliseconds: u64) {
        self.moment = Moment {
            now: self.start + ms(milliseconds),
            ntp: NtpTime::from_unix(ms(100_000 + milliseconds)),
            running_time: Some(ms(milliseconds)),
        };
    }

    fn push(&mut self, data: &[u8], time: u64) -> Vec<Seen> {
        self.stream.push(data, ms(time), &self.moment);
        self.send();
        self.seen()
    }

    /// Sends media, and a report if one is due.
    fn send(&mut self) {
        let mut packets = SendBuffer::default();
        let now = self.moment.now;
        if let Some(taken) = self.stream.take(&mut packets) {
            self.put_on_wire(&packets);
            let sent = Sent {
                packets: packets.len() as u64,
                payload_octets: taken.payload_octets,
                bytes: packets.byte_len() as u64,
                errors: 0,
            };
            self.stream.sent(sent, now);
            self.stream.frame_left(taken, Duration::ZERO, now);
        }
        self.send_report();
    }

    fn send_report(&mut self) {
        let mut packets = SendBuffer::default();
        if self.stream.take_report(&mut packets, &self.moment) {
            self.put_on_wire(&packets);
        }
    }

    fn send_bye(&mut self) {
        let mut packets = SendBuffer::default();
        if self.stream.take_bye(&mut packets, &self.moment) {
            self.put_on_wire(&packets);
        }
    }

    fn put_on_wire(&mut self, packets: &SendBuffer) {
        let datagrams = packets.batches(0..packets.len(), 1);
        self.datagrams
            .extend(datagrams.map(|batch| batch.bytes.to_vec()));
    }

    fn seen(&mut self) -> Vec<Seen> {
        let datagrams = std::mem::take(&mut self.datagrams);
        let decrypt = |mut datagram: Vec<u8>| {
            if is_rtcp(&datagram) {
                let len = self.receiver.unprotect_rtcp(&mut datagram).unwrap();
                return Seen::Rtcp(rtp_feedback::parse(&datagram[..len]).unwrap());
            }
            let len = self.receiver.unprotect_rtp(&mut datagram).unwrap();
            let packet = Packet::parse(&datagram[..len]).unwrap();
            Seen::Rtp(packet.header, packet.payload.to_vec())
        };
        datagrams.into_iter().map(decrypt).collect()
    }

    fn rtp(&mut self, data: &[u8], time: u64) -> Vec<(Header, Vec<u8>)> {
        let only_rtp = |seen| match seen {
            Seen::Rtp(header, payload) => Some((header, payload)),
            Seen::Rtcp(_) => None,
        };
        self.push(data, time)
            .into_iter()
            .filter_map(only_rtp)
            .collect()
    }

    fn feedback(&mut self, packet: Writer) -> Vec<Event> {
        let mut packet = packet.finish();
        self.controller.protect_rtcp(&mut packet).unwrap();
        self.stream.handle_datagram(&mut packet, &self.moment);
        self.events()
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.stream.poll_event()).collect()
    }
}

fn header(sequence: u16, timestamp: u32, marker: bool) -> Header {
    Header {
        marker,
        payload_type: 99,
        sequence,
        timestamp,
        ssrc: OURS,
    }
}

fn controller() -> Writer {
    Writer::new(THEIRS).receiver_report(&[])
}

#[test]
fn a_key_frame_is_followed_by_the_first_sender_report() {
    let mut bench = Bench::video();
    bench.at(40);
    let seen = bench.push(&key_frame(), 30);
    let stap_a = [&[0x78, 0, 5][..], SPS, &[0, 2], PPS].concat();
    assert_eq!(seen[0], Seen::Rtp(header(100, 7700, false), stap_a));
    assert_eq!(seen[1], Seen::Rtp(header(101, 7700, true), IDR.to_vec()));
    let Seen::Rtcp(report) = &seen[2] else {
        panic!("{seen:?}");
    };
    let Message::SenderReport { ssrc, info, .. } = report[0] else {
        panic!("{report:?}");
    };
    assert_eq!((ssrc, info.packets), (OURS, 2));
    assert_eq!(info.octets as usize, 12 + IDR.len());
    // At a running time of 40 ms, when the picture of 30 ms has left.
    assert_eq!(info.ntp, NtpTime::from_unix(ms(100_040)));
    assert_eq!(info.rtp_timestamp, 5000 + 40 * 90);
    assert_eq!(seen.len(), 3);
}

#[test]
fn nothing_goes_out_before_a_key_frame_and_one_is_asked_for() {
    let mut bench = Bench::video();
    assert_eq!(bench.push(&delta_frame(), 0), []);
    assert_eq!(bench.push(&delta_frame(), 33), []);
    assert_eq!(bench.events(), [Event::KeyFrameWanted(Cause::Application)]);
    assert_eq!(bench.stream.counters().dropped_before_key, 2);
    assert_eq!(bench.stream.poll_timeout(), None);
    bench.push(&key_frame(), 66);
    let sent = bench.rtp(&delta_frame(), 100);
    assert_eq!(sent, [(header(102, 14_000, true), DELTA.to_vec())]);
    assert_eq!(bench.stream.counters().key_frames, 1);
}

#[test]
fn new_caps_go_on_where_the_old_ones_ended() {
    let mut bench = Bench::video();
    bench.push(&key_frame(), 0);
    let record = rtp_payload::h264::codec_data(&[0x67, 0x42, 0xc0, 0x0d, 0x80], PPS).unwrap();
    let avc = Input::H264(Framing::Record(record));
    bench.stream.configure(&avc).unwrap();
    let access_unit = [&[0, 0, 0, 4][..], IDR].concat();
    let sent = bench.rtp(&access_unit, 100);
    let headers: Vec<_> = sent.iter().map(|(header, _)| *header).collect();
    let expected = [header(102, 14_000, false), header(103, 14_000, true)];
    assert_eq!(headers, expected);
    assert_eq!(sent[0].1[3..8], [0x67, 0x42, 0xc0, 0x0d, 0x80]);
    let error = bench.stream.configure(&OPUS).unwrap_err();
    assert_eq!(error, ConfigureError::OtherCodec);
}

#[test]
fn a_suspended_stream_sends_reports_only_and_resumes_with_a_key_frame() {
    let mut bench = Bench::video();
    bench.push(&key_frame(), 0);
    bench.stream.set_active(false, bench.moment.now);
    assert_eq!(bench.push(&delta_frame(), 33), []);
    bench.at(600);
    bench.send_report();
    assert!(matches!(bench.seen()[..], [Seen::Rtcp(_)]));
    assert_eq!(bench.stream.counters().dropped_inactive, 1);

    bench.stream.set_active(true, bench.moment.now);
    assert_eq!(bench.events(), [Event::KeyFrameWanted(Cause::Application)]);
    assert_eq!(bench.push(&delta_frame(), 1000), []);
    let sent = bench.rtp(&key_frame(), 1033);
    assert_eq!(sent[0].0.sequence, 102);
}

#[test]
fn a_key_frame_that_was_dropped_while_suspended_is_asked_for_again() {
    let mut bench = Bench::video();
    bench.push(&key_frame(), 0);
    bench.stream.set_active(false, bench.moment.now);
    bench.feedback(controller().picture_loss(OURS));
    bench.push(&key_frame(), 33);
    bench.stream.set_active(true, bench.moment.now);
    assert_eq!(bench.events(), [Event::KeyFrameWanted(Cause::Application)]);
}

#[test]
fn feedback_asks_for_key_frames_one_at_a_time() {
    let mut bench = Bench::video();
    bench.push(&key_frame(), 0);
    let wanted = Event::KeyFrameWanted(Cause::PictureLoss);
    let pli = || controller().picture_loss(OURS);
    assert_eq!(bench.feedback(pli()), [Event::FirstRtcp, wanted]);
    assert_eq!(bench.feedback(pli()), []);
    bench.push(&delta_frame(), 33);
    assert_eq!(bench.feedback(pli()), []);
    bench.push(&key_frame(), 66);
    assert_eq!(bench.feedback(pli()), [wanted]);
}

#[test]
fn forged_replayed_and_foreign_packets_are_counted_and_ignored() {
    let mut bench = Bench::video();
    bench.push(&key_frame(), 0);
    let mut forged = controller().picture_loss(OURS).finish();
    Sender::new(&key(3)).protect_rtcp(&mut forged).unwrap();
    bench.stream.handle_datagram(&mut forged, &bench.moment);
    bench
        .stream
        .handle_datagram(&mut [0x80, 201], &bench.moment);
    assert_eq!(bench.stream.counters().rtcp_rejected, 2);

    let mut packet = controller().finish();
    bench.controller.protect_rtcp(&mut packet).unwrap();
    bench
        .stream
        .handle_datagram(&mut packet.clone(), &bench.moment);
    bench.stream.handle_datagram(&mut packet, &bench.moment);
    assert_eq!(bench.stream.counters().rtcp_rejected, 3);
    assert_eq!(bench.events(), [Event::FirstRtcp]);

    let foreign = Writer::new(THEIRS + 1)
        .receiver_report(&[])
        .picture_loss(OURS);
    assert_eq!(bench.feedback(foreign), []);
    assert_eq!(bench.stream.counters().rtcp_rejected, 4);
    bench
        .stream
        .handle_datagram(&mut [0x80, 110, 0, 1], &bench.moment);
    assert_eq!(bench.stream.counters().rtp_ignored, 1);
}

#[test]
fn a_bitrate_cap_is_confirmed_in_the_next_packet() {
    let mut bench = Bench::video();
    bench.push(&key_frame(), 0);
    bench.at(100);
    let cap = TmmbEntry {
        ssrc: OURS,
        bitrate: 131_072,
        overhead: 40,
    };
    let events = bench.feedback(controller().max_bitrate_request(&[cap]));
    assert_eq!(events, [Event::FirstRtcp, Event::MaxBitrate(131_072)]);
    assert_eq!(bench.stream.poll_timeout(), Some(bench.moment.now));
    bench.send_report();
    let seen = bench.seen();
    let Seen::Rtcp(report) = &seen[0] else {
        panic!("{seen:?}");
    };
    let confirmed = Message::MaxBitrateNotification {
        sender: OURS,
        entries: vec![TmmbEntry {
            ssrc: THEIRS,
            ..cap
        }],
    };
    assert_eq!(report.last(), Some(&confirmed));
}

#[test]
fn opus_has_the_negotiated_duration_and_clock() {
    let mut bench = Bench::new(&OPUS);
    let mut sent = Vec::new();
    for n in 0..7u8 {
        sent.extend(bench.rtp(&[0x48, n, n], 20 * u64::from(n)));
    }
    assert_eq!(sent.len(), 2);
    let audio = |sequence, timestamp| Header {
        payload_type: 110,
        ..header(sequence, timestamp, false)
    };
    assert_eq!(sent[0].0, audio(100, 5000));
    assert_eq!(sent[1].0, audio(101, 5960));
    assert_eq!(sent[1].1, [0x4b, 3, 3, 3, 4, 4, 5, 5]);

    bench.stream.finish();
    bench.send();
    let rest = bench.seen();
    assert_eq!(rest, [Seen::Rtp(audio(102, 6920), vec![0x48, 6, 6])]);
}

#[test]
fn rtp_input_is_packed_anew() {
    let mut bench = Bench::new(&Input::H264(Framing::Rtp));
    let rtp = |sequence, marker, payload: &[u8]| {
        let header = Header {
            marker,
            payload_type: 96,
            sequence,
            timestamp: 1,
            ssrc: 9,
        };
        [&header.to_bytes()[..], payload].concat()
    };
    assert_eq!(bench.rtp(&rtp(7, false, SPS), 0), []);
    assert_eq!(bench.rtp(&rtp(8, false, PPS), 0), []);
    let sent = bench.rtp(&rtp(9, true, IDR), 0);
    let payloads: Vec<_> = sent.iter().map(|(_, payload)| payload[0]).collect();
    assert_eq!(payloads, [0x78, 0x65]);
    assert_eq!(sent[1].0, header(101, 5000, true));

    // A loss before us is passed on as a loss.
    let sent = bench.rtp(&rtp(11, true, DELTA), 0);
    assert_eq!(sent[0].0.sequence, 103);
}

#[test]
fn opus_in_rtp_is_regrouped_too() {
    let mut bench = Bench::new(&OPUS_RTP);
    let mut sent = Vec::new();
    for n in 0..3u8 {
        let header = Header {
            marker: false,
            payload_type: 96,
            sequence: n.into(),
            timestamp: 960 * u32::from(n),
            ssrc: 9,
        };
        let packet = [&header.to_bytes()[..], &[0x48, n]].concat();
        sent.extend(bench.rtp(&packet, 20 * u64::from(n)));
    }
    assert_eq!(sent.len(), 1);
    let packet = opus::Packet::parse(&sent[0].1).unwrap();
    assert_eq!(packet.frames(), [[0], [1], [2]]);
}

#[test]
fn frames_that_cannot_be_sent_are_counted() {
    let mut bench = Bench::video();
    assert_eq!(bench.push(&annex_b(&[IDR]), 0), []);
    assert_eq!(bench.push(b"garbage", 0), []);
    assert_eq!(bench.stream.counters().dropped_invalid, 2);
    let mut audio = Bench::new(&OPUS);
    assert_eq!(audio.push(&[], 0), []);
    assert_eq!(audio.stream.counters().dropped_invalid, 1);
}

#[test]
fn a_larger_mtu_makes_fewer_packets() {
    let mut bench = Bench::video();
    let idr = [&[0x65][..], &[0x55; 3000]].concat();
    let frame = annex_b(&[SPS, PPS, &idr]);
    assert_eq!(bench.rtp(&frame, 0).len(), 1 + 3);
    bench.stream.set_mtu(4000);
    assert_eq!(bench.rtp(&frame, 33).len(), 1 + 1);
    bench.stream.set_mtu(228);
    let sent = bench.rtp(&frame, 66);
    let longest = sent.iter().map(|(_, payload)| payload.len()).max();
    assert_eq!(longest, Some(228 - 12 - 10));
}

#[test]
fn a_key_frame_that_was_cut_off_by_a_flush_is_asked_for_again() {
    let mut bench = Bench::video();
    bench.push(&key_frame(), 0);
    bench.feedback(controller().picture_loss(OURS));
    bench.stream.push(&key_frame(), ms(33), &bench.moment);
    let taken = bench.stream.take(&mut SendBuffer::default()).unwrap();
    assert!(taken.key_frame);
    bench.stream.frame_flushed(taken, 1);
    let wanted = Event::KeyFrameWanted(Cause::FullIntraRequest);
    assert_eq!(
        bench.feedback(controller().full_intra_request(OURS, 1)),
        [wanted]
    );
    assert_eq!(bench.stream.counters().packets_flushed, 1);
}

#[test]
fn silence_is_an_event() {
    let mut bench = Bench::video();
    bench.push(&key_frame(), 0);
    bench.at(30_000);
    bench.stream.handle_timeout(bench.moment.now);
    assert_eq!(bench.events(), [Event::Silent { age: ms(30_000) }]);
}

#[test]
fn a_farewell_is_sent_by_those_who_have_spoken() {
    let mut bench = Bench::video();
    bench.send_bye();
    assert_eq!(bench.seen(), []);
    bench.push(&key_frame(), 0);
    bench.send_bye();
    let seen = bench.seen();
    let Seen::Rtcp(report) = &seen[0] else {
        panic!("{seen:?}");
    };
    let bye = Message::Bye {
        sources: vec![OURS],
    };
    assert_eq!(report.last(), Some(&bye));
}

#[test]
fn a_restart_never_uses_a_key_stream_twice() {
    let mut bench = Bench::video();
    bench.push(&key_frame(), 0);
    bench.stream.restart(config(), 0);
    bench
        .stream
        .configure(&Input::H264(Framing::ByteStream))
        .unwrap();
    let sent = bench.rtp(&key_frame(), 0);
    assert_eq!(sent[0].0.sequence, 102, "the sequence goes on");
    assert_eq!(sent[0].0.timestamp, 0);
    assert_eq!(bench.stream.session().statistics().packets, 2);
}

#[test]
fn without_a_pipeline_clock_reports_count_on_from_the_newest_buffer() {
    let mut bench = Bench::video();
    bench.push(&key_frame(), 1000);
    bench.at(500);
    bench.moment.running_time = None;
    bench.send_report();
    let seen = bench.seen();
    let [Seen::Rtcp(report)] = &seen[..] else {
        panic!("{seen:?}");
    };
    let Message::SenderReport { info, .. } = report[0] else {
        panic!("{report:?}");
    };
    assert_eq!(info.rtp_timestamp, 5000 + 1500 * 90);
}
