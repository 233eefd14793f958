use super::*;

const OURS: u32 = 0x1111_1111;
const THEIRS: u32 = 0x2222_2222;
const INTERVAL: Duration = Duration::from_millis(500);
const SILENCE: Duration = Duration::from_secs(30);

struct Bench {
    session: SenderSession,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        let config = SenderConfig {
            ssrc: OURS,
            remote_ssrc: Some(THEIRS),
            canonical_name: "camera".into(),
            report_interval: INTERVAL,
            silence_timeout: Some(SILENCE),
            key_frame_interval: None,
        };
        Self {
            session: SenderSession::new(config),
            now: Instant::now(),
        }
    }

    fn started() -> Self {
        let mut bench = Self::new();
        bench.session.media_sent(1, 100, bench.now);
        bench.report().unwrap();
        bench
    }

    fn input(&mut self, packet: Writer) -> Vec<Event> {
        let packet = packet.finish();
        let ntp = NtpTime::default();
        self.session.handle_input(&packet, self.now, ntp).unwrap();
        self.events()
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.session.poll_event()).collect()
    }

    fn report(&mut self) -> Option<Vec<Message>> {
        let time = ReportTime {
            ntp: NtpTime::from_bits(5 << 32),
            rtp_timestamp: 77,
        };
        let report = self.session.poll_report(self.now, time)?;
        Some(crate::parse(&report).unwrap())
    }
}

fn from_controller() -> Writer {
    Writer::new(THEIRS).receiver_report(&[])
}

#[test]
fn the_first_report_follows_the_first_packets_then_one_per_interval() {
    let mut bench = Bench::new();
    assert_eq!(bench.report(), None);
    assert_eq!(bench.session.poll_timeout(), None);
    bench.session.media_sent(3, 3000, bench.now);
    let report = bench.report().unwrap();
    let info = SenderInfo {
        ntp: NtpTime::from_bits(5 << 32),
        rtp_timestamp: 77,
        packets: 3,
        octets: 3000,
    };
    let expected = [
        Message::SenderReport {
            ssrc: OURS,
            info,
            blocks: vec![],
        },
        Message::CanonicalName {
            ssrc: OURS,
            name: b"camera".to_vec(),
        },
    ];
    assert_eq!(report, expected);
    assert_eq!(bench.report(), None);
    assert_eq!(bench.session.poll_timeout(), Some(bench.now + INTERVAL));
    bench.now += INTERVAL;
    assert!(bench.report().is_some());
}

#[test]
fn the_first_packet_of_the_controller_is_announced_once() {
    let mut bench = Bench::started();
    assert_eq!(bench.input(from_controller()), [Event::FirstRtcp]);
    assert_eq!(bench.input(from_controller()), []);
    assert_eq!(bench.session.statistics().rtcp_received, 2);
}

#[test]
fn picture_loss_asks_for_one_key_frame_until_it_has_left() {
    let mut bench = Bench::started();
    bench.input(from_controller());
    let wanted = Event::KeyFrameWanted(Cause::PictureLoss);
    let pli = || from_controller().picture_loss(OURS);
    assert_eq!(bench.input(pli()), [wanted]);
    assert_eq!(bench.input(pli()), []);
    bench.session.key_frame_sent(bench.now);
    assert_eq!(bench.input(pli()), [wanted]);
    assert_eq!(bench.session.statistics().picture_losses, 3);
}

#[test]
fn full_intra_requests_count_once_per_sequence_number() {
    let mut bench = Bench::started();
    bench.input(from_controller());
    let wanted = Event::KeyFrameWanted(Cause::FullIntraRequest);
    let fir = |sequence| from_controller().full_intra_request(OURS, sequence);
    assert_eq!(bench.input(fir(1)), [wanted]);
    bench.session.key_frame_sent(bench.now);
    assert_eq!(bench.input(fir(1)), []);
    assert_eq!(bench.input(fir(2)), [wanted]);
}

#[test]
fn feedback_for_other_sources_is_ignored() {
    let mut bench = Bench::started();
    bench.input(from_controller());
    let other = OURS + 1;
    let cap = TmmbEntry {
        ssrc: other,
        bitrate: 1,
        overhead: 0,
    };
    assert_eq!(bench.input(from_controller().picture_loss(other)), []);
    assert_eq!(
        bench.input(from_controller().full_intra_request(other, 1)),
        []
    );
    assert_eq!(
        bench.input(from_controller().max_bitrate_request(&[cap])),
        []
    );
}

#[test]
fn a_cap_goes_before_the_key_frame_and_is_confirmed_at_once() {
    let mut bench = Bench::started();
    bench.input(from_controller());
    bench.now += Duration::from_millis(100);
    let cap = TmmbEntry {
        ssrc: OURS,
        bitrate: 150_000,
        overhead: 40,
    };
    let packet = from_controller()
        .picture_loss(OURS)
        .max_bitrate_request(&[cap]);
    let expected = [
        Event::MaxBitrate(150_000),
        Event::KeyFrameWanted(Cause::PictureLoss),
    ];
    assert_eq!(bench.input(packet), expected);
    let report = bench.report().unwrap();
    let confirmed = Message::MaxBitrateNotification {
        sender: OURS,
        entries: vec![TmmbEntry {
            ssrc: THEIRS,
            ..cap
        }],
    };
    assert_eq!(report.last(), Some(&confirmed));
    assert_eq!(bench.session.poll_timeout(), Some(bench.now + INTERVAL));
}

#[test]
fn silence_is_told_once_and_ends_with_the_next_packet() {
    let mut bench = Bench::started();
    bench.now += SILENCE;
    bench.session.handle_timeout(bench.now);
    assert_eq!(bench.events(), [Event::Silent { age: SILENCE }]);
    bench.now += SILENCE;
    bench.session.handle_timeout(bench.now);
    assert_eq!(bench.events(), []);
    bench.input(from_controller());
    bench.now += SILENCE;
    bench.session.handle_timeout(bench.now);
    assert_eq!(bench.events(), [Event::Silent { age: SILENCE }]);
}

#[test]
fn strangers_are_refused() {
    let mut bench = Bench::started();
    let packet = Writer::new(9).receiver_report(&[]).finish();
    let result = bench
        .session
        .handle_input(&packet, bench.now, NtpTime::default());
    let error = Error::Source {
        expected: THEIRS,
        actual: 9,
    };
    assert_eq!(result, Err(error));
    assert_eq!(bench.session.statistics().rtcp_received, 0);
    bench.session.set_remote_ssrc(None);
    assert_eq!(
        bench.input(Writer::new(9).receiver_report(&[])),
        [Event::FirstRtcp]
    );
}

#[test]
fn reports_about_us_are_kept_with_the_round_trip_time() {
    let mut bench = Bench::started();
    let block = ReportBlock {
        ssrc: OURS,
        fraction_lost: 12,
        last_sender_report: 1,
        ..ReportBlock::default()
    };
    let packet = Writer::new(THEIRS).receiver_report(&[block]).finish();
    let arrival = NtpTime::from_bits((1 + 0x8000) << 16);
    bench
        .session
        .handle_input(&packet, bench.now, arrival)
        .unwrap();
    let statistics = bench.session.statistics();
    assert_eq!(statistics.last_report, Some(block));
    assert_eq!(statistics.round_trip_time, Some(INTERVAL));
}

#[test]
fn the_farewell_is_the_last_packet() {
    let mut bench = Bench::started();
    let time = ReportTime {
        ntp: NtpTime::default(),
        rtp_timestamp: 0,
    };
    let packet = bench.session.bye(time);
    let messages = crate::parse(&packet).unwrap();
    let bye = Message::Bye {
        sources: vec![OURS],
    };
    assert_eq!(messages.last(), Some(&bye));
    assert_eq!(bench.session.poll_timeout(), None);
}
