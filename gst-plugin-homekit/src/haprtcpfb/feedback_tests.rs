use std::time::Duration;

use rtp_feedback::{Cause, NtpTime, ReportBlock, TmmbEntry, TradeOffEntry, Writer, parse};

use super::super::settings::DEFAULT_MIN_BITRATE;
use super::*;

const OURS: u32 = 0x1111_1111;
const THEIRS: u32 = 0x2222_2222;

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn ntp(at: u64) -> NtpTime {
    NtpTime::from_unix(ms(1_000_000 + at))
}

struct Bench {
    feedback: Feedback,
    start: Instant,
}

impl Bench {
    fn new() -> Self {
        Self {
            feedback: Feedback::default(),
            start: Instant::now(),
        }
    }

    /// A report of rtpsession has passed at 0.
    fn started() -> Self {
        let mut bench = Self::new();
        assert_eq!(bench.report(0), Passage::AsItIs);
        bench
    }

    fn at(&self, at: u64) -> Instant {
        self.start + ms(at)
    }

    fn report(&mut self, at: u64) -> Passage {
        let report = report(at).finish();
        self.feedback.sending(&report, self.at(at))
    }

    fn receive(&mut self, at: u64, packet: Writer) -> Passage {
        self.feedback.received(&packet.finish(), self.at(at))
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.feedback.poll_event()).collect()
    }
}

fn report(at: u64) -> Writer {
    let info = SenderInfo {
        ntp: ntp(at),
        rtp_timestamp: 90 * at as u32,
        packets: 10,
        octets: 1000,
    };
    Writer::new(OURS)
        .sender_report(info, &[])
        .canonical_name("camera")
}

/// A controller's report of `at`, 40 ms after it had the report of 0.
fn reception(round_trip: u64, at: u64) -> Writer {
    let delay = at - round_trip;
    let block = ReportBlock {
        ssrc: OURS,
        last_sender_report: ntp(0).compact(),
        delay_since_last_sender_report: ((delay << 16) / 1000) as u32,
        ..ReportBlock::default()
    };
    Writer::new(THEIRS).receiver_report(&[block])
}

fn cap(bitrate: u64) -> TmmbEntry {
    TmmbEntry {
        ssrc: OURS,
        bitrate,
        overhead: 0,
    }
}

const WANTED: Event = Event::KeyFrameWanted(Cause::PictureLoss);

#[test]
fn what_is_obeyed_is_taken_out_and_the_rest_goes_on() {
    let mut bench = Bench::started();
    let packet = reception(40, 100).picture_loss(OURS).nack(OURS, &[5]);
    let rest = reception(40, 100).nack(OURS, &[5]).finish();
    assert_eq!(bench.receive(100, packet), Passage::Changed(rest));
    assert_eq!(bench.events(), [Event::FirstRtcp, WANTED]);
    let alone = Writer::new(THEIRS).full_intra_request(OURS, 1);
    assert_eq!(bench.receive(101, alone), Passage::Dropped);
    assert_eq!(bench.receive(102, reception(40, 100)), Passage::AsItIs);
    let other = reception(40, 100).picture_loss(OURS + 1);
    assert_eq!(bench.receive(103, other), Passage::AsItIs);
}

#[test]
fn the_round_trip_follows_from_the_reports_that_pass() {
    let mut bench = Bench::started();
    bench.feedback.key_frame_sent(bench.at(100));
    bench.receive(150, reception(40, 150).picture_loss(OURS));
    assert_eq!(bench.events(), [Event::FirstRtcp]);
    let trip = bench.feedback.statistics().round_trip_time.unwrap();
    assert!(trip.abs_diff(ms(40)) < ms(1), "{trip:?}");
    bench.receive(182, reception(40, 182).picture_loss(OURS));
    assert_eq!(bench.events(), [WANTED]);
}

#[test]
fn before_the_source_is_known_everything_passes() {
    let mut bench = Bench::new();
    let packet = || Writer::new(THEIRS).picture_loss(OURS);
    assert_eq!(bench.receive(0, packet()), Passage::AsItIs);
    assert_eq!(bench.events(), []);
    bench.report(1);
    assert_eq!(bench.feedback.ssrc(), Some(OURS));
    assert_eq!(bench.receive(2, packet()), Passage::Dropped);
}

#[test]
fn a_tmmbn_goes_at_once_with_the_clocks_going_on_and_stands_for_a_regular_report() {
    let mut bench = Bench::started();
    bench.receive(200, reception(40, 200).max_bitrate_request(&[cap(1)]));
    let min = DEFAULT_MIN_BITRATE.into();
    assert_eq!(bench.events(), [Event::FirstRtcp, Event::MaxBitrate(min)]);
    let packet = bench.feedback.poll_report(bench.at(200)).unwrap();
    let messages = parse(&packet).unwrap();
    let Message::SenderReport { info, .. } = messages[0] else {
        panic!("{messages:?}");
    };
    assert_eq!((info.ntp, info.rtp_timestamp), (ntp(200), 90 * 200));
    assert_eq!((info.packets, info.octets), (10, 1000));
    let name = b"camera".to_vec();
    let canonical_name = Message::CanonicalName { ssrc: OURS, name };
    assert_eq!(messages[1], canonical_name);
    let confirmed = TmmbEntry {
        ssrc: THEIRS,
        ..cap(min)
    };
    let notification = Message::MaxBitrateNotification {
        sender: OURS,
        entries: vec![confirmed],
    };
    assert_eq!(messages[2], notification);

    assert_eq!(bench.report(400), Passage::Dropped);
    assert_eq!(bench.feedback.counters().reports_held, 1);
    assert_eq!(bench.feedback.poll_report(bench.at(699)), None);
    assert!(bench.feedback.poll_report(bench.at(700)).is_some());
    assert_eq!(bench.report(800), Passage::Dropped);
    // Nothing of ours went out after its interval: the next one of rtpsession does.
    assert_eq!(bench.report(1300), Passage::AsItIs);
}

#[test]
fn packets_that_pass_are_counted_between_reports() {
    let mut bench = Bench::started();
    bench.feedback.media_sent(3, 300, bench.at(100));
    let packet = bench.feedback.poll_report(bench.at(500)).unwrap();
    let Message::SenderReport { info, .. } = parse(&packet).unwrap()[0] else {
        panic!("a sender report comes first");
    };
    assert_eq!((info.packets, info.octets), (13, 1300));
}

#[test]
fn a_report_that_says_more_is_never_held() {
    let mut bench = Bench::started();
    bench.receive(10, reception(5, 10).max_bitrate_request(&[cap(300_000)]));
    assert!(bench.feedback.poll_report(bench.at(10)).is_some());
    let bye = report(20).bye().finish();
    assert_eq!(bench.feedback.sending(&bye, bench.at(20)), Passage::AsItIs);
}

#[test]
fn a_tstn_goes_with_the_next_regular_report() {
    let mut bench = Bench::started();
    let entry = TradeOffEntry {
        ssrc: OURS,
        sequence: 4,
        index: 9,
    };
    let packet = reception(5, 10).trade_off_request(&[entry]);
    assert_ne!(bench.receive(10, packet), Passage::AsItIs);
    assert_eq!(bench.events(), [Event::FirstRtcp, Event::TradeOff(9)]);
    assert_eq!(bench.feedback.poll_report(bench.at(10)), None);
    let Passage::Changed(packet) = bench.report(500) else {
        panic!("the notification is appended");
    };
    let confirmed = TradeOffEntry {
        ssrc: THEIRS,
        ..entry
    };
    let expected = Message::TradeOffNotification {
        sender: OURS,
        entries: vec![confirmed],
    };
    assert_eq!(parse(&packet).unwrap().last(), Some(&expected));
}

#[test]
fn key_frames_from_before_the_source_was_known_count() {
    let mut bench = Bench::new();
    bench.feedback.set(Rules {
        key_frame_interval: Some(ms(400)),
        ..Rules::default()
    });
    bench.feedback.key_frame_sent(bench.at(0));
    bench.report(100);
    bench.feedback.handle_timeout(bench.at(399));
    assert_eq!(bench.events(), []);
    bench.feedback.handle_timeout(bench.at(400));
    assert_eq!(bench.events(), [Event::KeyFrameWanted(Cause::Periodic)]);
}

#[test]
fn malformed_packets_are_dropped_and_counted() {
    let mut bench = Bench::started();
    let absurd = [0x81, 206, 0xff, 0xff, 0, 0, 0, 1];
    let passage = bench.feedback.received(&absurd, bench.start);
    assert_eq!(passage, Passage::Dropped);
    assert_eq!(bench.feedback.counters().rtcp_rejected, 1);
}
