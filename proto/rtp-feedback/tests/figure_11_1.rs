//! The six drawings of HAP R1 figure 11-1 and the rest of HAP R1 §11.4.1, by a clock of their own.
//!
//! A round trip takes 100 ms; the key frame interval is 5 s; reports are due every 500 ms; the
//! encoder answers within 10 ms.

use std::time::{Duration, Instant};

use rtp_feedback::{
    Cause, Event, Message, NtpTime, ReportBlock, ReportTime, SenderConfig, SenderSession,
    TmmbEntry, TradeOffEntry, Writer, parse,
};

const OURS: u32 = 0x1111_1111;
const THEIRS: u32 = 0x2222_2222;
const ROUND_TRIP: u64 = 100;
const KFI: u64 = 5000;
const REPORT_INTERVAL: u64 = 500;
const ENCODER: u64 = 10;

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A camera whose time is told in milliseconds.
struct Camera {
    session: SenderSession,
    start: Instant,
    now: u64,
    /// When the encoder will be done with the key frame it was asked for.
    encoded_at: Option<u64>,
    /// What happened, and when.
    log: Vec<(u64, Happened)>,
}

#[derive(Debug, Clone, PartialEq)]
enum Happened {
    Event(Event),
    KeyFrame,
    Report(Vec<Message>),
}

impl Camera {
    /// Has sent its first key frame at 0, and knows the round trip time.
    fn started() -> Self {
        let config = SenderConfig {
            ssrc: OURS,
            remote_ssrc: Some(THEIRS),
            canonical_name: "camera".into(),
            report_interval: ms(REPORT_INTERVAL),
            silence_timeout: None,
            key_frame_interval: Some(ms(KFI)),
        };
        let mut camera = Self {
            session: SenderSession::new(config),
            start: Instant::now(),
            now: 0,
            encoded_at: None,
            log: Vec::new(),
        };
        camera.receive(camera.reception_report());
        camera.log.clear();
        camera.send_key_frame();
        camera
    }

    /// A report of the controller, from which a round trip of 100 ms follows.
    fn reception_report(&self) -> Writer {
        let sent = ntp(self.now).compact();
        let block = ReportBlock {
            ssrc: OURS,
            last_sender_report: sent.wrapping_sub((ROUND_TRIP << 16) as u32 / 1000),
            ..ReportBlock::default()
        };
        Writer::new(THEIRS).receiver_report(&[block])
    }

    fn instant(&self) -> Instant {
        self.start + ms(self.now)
    }

    fn note(&mut self, happened: Happened) {
        self.log.push((self.now, happened));
    }

    fn send_key_frame(&mut self) {
        self.encoded_at = None;
        let now = self.instant();
        self.session.media_sent(10, 10_000, now);
        self.session.key_frame_sent(now);
        self.note(Happened::KeyFrame);
        self.drain();
    }

    fn receive(&mut self, packet: Writer) {
        let (packet, now) = (packet.finish(), self.instant());
        let taken = self.session.handle_input(&packet, now, ntp(self.now));
        taken.unwrap();
        self.drain();
    }

    fn pli(&mut self) {
        let packet = self.reception_report().picture_loss(OURS);
        self.receive(packet);
    }

    fn drain(&mut self) {
        while let Some(event) = self.session.poll_event() {
            if let Event::KeyFrameWanted(_) = event {
                assert_eq!(self.encoded_at, None, "asked for twice");
                self.encoded_at = Some(self.now + ENCODER);
            }
            self.note(Happened::Event(event));
        }
        let time = ReportTime {
            ntp: ntp(self.now),
            rtp_timestamp: 90 * self.now as u32,
        };
        if let Some(report) = self.session.poll_report(self.instant(), time) {
            self.note(Happened::Report(parse(&report).unwrap()));
        }
    }

    /// Lives until `end`, millisecond by millisecond, but only wakes when the session said so.
    fn until(&mut self, end: u64) {
        while self.now < end {
            self.now += 1;
            if self.encoded_at == Some(self.now) {
                self.send_key_frame();
            }
            let now = self.instant();
            if self.session.poll_timeout().is_some_and(|due| due <= now) {
                self.session.handle_timeout(now);
                self.drain();
            }
        }
    }

    fn key_frames(&self) -> Vec<u64> {
        let sent = |(at, what): &(u64, Happened)| (*what == Happened::KeyFrame).then_some(*at);
        self.log.iter().filter_map(sent).collect()
    }

    fn wanted(&self) -> Vec<(u64, Cause)> {
        let wanted = |(at, what): &(u64, Happened)| match what {
            Happened::Event(Event::KeyFrameWanted(cause)) => Some((*at, *cause)),
            _ => None,
        };
        self.log.iter().filter_map(wanted).collect()
    }

    fn reports(&self) -> Vec<(u64, &[Message])> {
        let mut reports = Vec::new();
        for (at, what) in &self.log {
            if let Happened::Report(messages) = what {
                reports.push((*at, messages.as_slice()));
            }
        }
        reports
    }
}

/// The camera's wall clock, 1000 s ahead of its start.
fn ntp(milliseconds: u64) -> NtpTime {
    NtpTime::from_unix(ms(1_000_000 + milliseconds))
}

fn cap(bitrate: u64) -> TmmbEntry {
    TmmbEntry {
        ssrc: OURS,
        bitrate,
        overhead: 40,
    }
}

fn confirmed(bitrate: u64) -> Message {
    Message::MaxBitrateNotification {
        sender: OURS,
        entries: vec![TmmbEntry {
            ssrc: THEIRS,
            ..cap(bitrate)
        }],
    }
}

fn trade_off(sequence: u8, index: u8) -> TradeOffEntry {
    TradeOffEntry {
        ssrc: OURS,
        sequence,
        index,
    }
}

#[test]
fn figure_11_1_drawing_1_key_frames_come_every_key_frame_interval() {
    let mut camera = Camera::started();
    camera.until(16_000);
    assert_eq!(camera.key_frames(), [0, 5010, 10_020, 15_030]);
    let periodic = |at| (at, Cause::Periodic);
    assert_eq!(camera.wanted(), [5000, 10_010, 15_020].map(periodic));
}

#[test]
fn figure_11_1_drawing_2_a_pli_is_answered_at_once_and_the_periodic_key_frames_shift() {
    let mut camera = Camera::started();
    camera.until(3000);
    camera.pli();
    camera.until(14_000);
    assert_eq!(camera.wanted()[0], (3000, Cause::PictureLoss));
    assert_eq!(camera.key_frames(), [0, 3010, 8020, 13_030]);
}

#[test]
fn figure_11_1_drawing_3_a_pli_within_twice_the_round_trip_is_ignored() {
    let mut camera = Camera::started();
    camera.until(5010 + 2 * ROUND_TRIP - 1);
    camera.pli();
    camera.until(11_000);
    let periodic = |at| (at, Cause::Periodic);
    assert_eq!(camera.wanted(), [5000, 10_010].map(periodic));
    assert_eq!(camera.key_frames(), [0, 5010, 10_020]);
    assert_eq!(camera.session.statistics().picture_losses_ignored, 1);
}

#[test]
fn a_pli_after_twice_the_round_trip_is_answered() {
    let mut camera = Camera::started();
    camera.until(5010 + 2 * ROUND_TRIP);
    camera.pli();
    camera.until(11_000);
    assert_eq!(camera.key_frames(), [0, 5010, 5220, 10_230]);
    assert_eq!(camera.session.statistics().picture_losses_ignored, 0);
}

#[test]
fn figure_11_1_drawing_4_a_second_pli_within_twice_the_round_trip_of_the_answer_is_ignored() {
    let mut camera = Camera::started();
    camera.until(3000);
    camera.pli();
    camera.until(3010 + ROUND_TRIP);
    camera.pli();
    camera.until(9000);
    assert_eq!(camera.key_frames(), [0, 3010, 8020]);
    assert_eq!(camera.session.statistics().picture_losses_ignored, 1);
}

#[test]
fn figure_11_1_drawing_5_a_second_pli_before_the_key_frame_has_left_is_ignored() {
    let mut camera = Camera::started();
    camera.until(3000);
    camera.pli();
    camera.until(3000 + ENCODER / 2);
    camera.pli();
    camera.until(9000);
    assert_eq!(camera.wanted()[0], (3000, Cause::PictureLoss));
    assert_eq!(camera.key_frames(), [0, 3010, 8020]);
    assert_eq!(camera.session.statistics().picture_losses_ignored, 1);
}

#[test]
fn figure_11_1_drawing_6_with_a_tmmbr_the_bitrate_changes_first_then_comes_the_key_frame() {
    let mut camera = Camera::started();
    camera.until(3100);
    camera.log.clear();
    // In the order of the members that invites the mistake.
    let compound = camera.reception_report().picture_loss(OURS);
    camera.receive(compound.max_bitrate_request(&[cap(150_000)]));
    camera.until(9000);
    let expected = [
        Happened::Event(Event::MaxBitrate(150_000)),
        Happened::Event(Event::KeyFrameWanted(Cause::PictureLoss)),
    ];
    let first: Vec<_> = camera.log.iter().map(|(_, what)| what.clone()).collect();
    assert_eq!(first[..2], expected);
    assert_eq!(camera.key_frames(), [3110, 8120]);
    // TMMBN at once, then a whole interval until the next regular report.
    let reports = camera.reports();
    assert_eq!(reports[0].0, 3100);
    assert_eq!(reports[0].1.last(), Some(&confirmed(150_000)));
    assert_eq!(reports[1].0, 3100 + REPORT_INTERVAL);
    assert!(!reports[1].1.contains(&confirmed(150_000)));
}

#[test]
fn without_a_known_round_trip_every_pli_is_answered() {
    let mut camera = Camera::started();
    camera.session = SenderSession::new(SenderConfig {
        ssrc: OURS,
        remote_ssrc: None,
        canonical_name: String::new(),
        report_interval: ms(REPORT_INTERVAL),
        silence_timeout: None,
        key_frame_interval: None,
    });
    camera.send_key_frame();
    camera.until(1);
    camera.receive(Writer::new(THEIRS).picture_loss(OURS));
    assert_eq!(camera.wanted(), [(1, Cause::PictureLoss)]);
}

#[test]
fn a_fir_is_obeyed_within_twice_the_round_trip_but_once_per_sequence_number() {
    let mut camera = Camera::started();
    camera.until(50);
    let fir = |camera: &mut Camera| {
        let packet = camera.reception_report().full_intra_request(OURS, 7);
        camera.receive(packet);
    };
    fir(&mut camera);
    camera.until(1000);
    fir(&mut camera);
    camera.until(2000);
    assert_eq!(camera.wanted(), [(50, Cause::FullIntraRequest)]);
    assert_eq!(camera.key_frames(), [0, 60]);
}

#[test]
fn a_tmmbr_outside_of_what_can_be_done_is_clamped_and_the_tmmbn_says_so() {
    let mut camera = Camera::started();
    camera.session.set_bitrate_range(64_000, Some(2_000_000));
    for (asked, done) in [(0, 64_000), (1 << 63, 2_000_000), (299_000, 299_000)] {
        camera.log.clear();
        let packet = camera.reception_report();
        camera.receive(packet.max_bitrate_request(&[cap(asked)]));
        let first = Happened::Event(Event::MaxBitrate(done));
        assert_eq!(camera.log[0], (camera.now, first));
        assert_eq!(camera.reports()[0].1.last(), Some(&confirmed(done)));
        assert_eq!(camera.session.statistics().max_bitrate, Some(done));
    }
}

#[test]
fn a_tmmbr_of_0_and_of_2_to_the_63_is_survived_without_a_range() {
    let mut camera = Camera::started();
    for (asked, done) in [(0, 1), (1 << 63, 1 << 63)] {
        camera.log.clear();
        let packet = camera.reception_report();
        camera.receive(packet.max_bitrate_request(&[cap(asked)]));
        assert_eq!(camera.log[0].1, Happened::Event(Event::MaxBitrate(done)));
        assert_eq!(camera.reports()[0].1.last(), Some(&confirmed(done)));
    }
}

#[test]
fn a_tstr_is_obeyed_once_and_confirmed_by_tstn_in_the_next_regular_report() {
    let mut camera = Camera::started();
    camera.until(600);
    camera.log.clear();
    let request = |camera: &mut Camera| {
        let packet = camera.reception_report();
        camera.receive(packet.trade_off_request(&[trade_off(9, 20)]));
    };
    request(&mut camera);
    request(&mut camera);
    camera.until(1400);
    let notification = Message::TradeOffNotification {
        sender: OURS,
        entries: vec![TradeOffEntry {
            ssrc: THEIRS,
            ..trade_off(9, 20)
        }],
    };
    assert_eq!(camera.log.len(), 2);
    assert_eq!(camera.log[0], (600, Happened::Event(Event::TradeOff(20))));
    let reports = camera.reports();
    assert_eq!(
        (reports[0].0, reports[0].1.last()),
        (1000, Some(&notification))
    );
}

#[test]
fn a_tmmbn_does_not_wait_for_a_tstn_nor_takes_it_along() {
    let mut camera = Camera::started();
    camera.until(600);
    camera.log.clear();
    let packet = camera.reception_report();
    let packet = packet.trade_off_request(&[trade_off(1, 0)]);
    camera.receive(packet.max_bitrate_request(&[cap(300_000)]));
    camera.until(1200);
    let tstn = |m: &Message| matches!(m, Message::TradeOffNotification { .. });
    let told: Vec<_> = camera
        .reports()
        .iter()
        .map(|(at, m)| (*at, m.iter().any(tstn)))
        .collect();
    assert_eq!(told, [(600, false), (1100, true)]);
}

#[test]
fn feedback_of_reduced_size_is_obeyed() {
    let mut camera = Camera::started();
    camera.until(1000);
    camera.receive(Writer::new(THEIRS).picture_loss(OURS));
    assert_eq!(camera.wanted(), [(1000, Cause::PictureLoss)]);
}

#[test]
fn reports_carry_what_is_received_from_the_controller() {
    let mut camera = Camera::started();
    let block = ReportBlock {
        ssrc: THEIRS,
        highest_sequence: 77,
        ..ReportBlock::default()
    };
    camera.session.set_reception(Some(block));
    camera.log.clear();
    camera.until(500);
    let (at, report) = camera.reports()[0];
    let Message::SenderReport { blocks, .. } = &report[0] else {
        panic!("{report:?}");
    };
    assert_eq!((at, blocks.as_slice()), (500, &[block][..]));
}

/// A session beside another part that reports.
fn beside_reporter() -> (Camera, rtp_feedback::SenderInfo) {
    let mut camera = Camera::started();
    camera.session = SenderSession::new(SenderConfig {
        ssrc: OURS,
        remote_ssrc: None,
        canonical_name: "camera".into(),
        report_interval: ms(REPORT_INTERVAL),
        silence_timeout: None,
        key_frame_interval: None,
    });
    camera.log.clear();
    let info = rtp_feedback::SenderInfo {
        packets: 1234,
        ..Default::default()
    };
    (camera, info)
}

#[test]
fn reports_of_another_part_take_the_tstn_along() {
    let (mut camera, info) = beside_reporter();
    let packet = camera.reception_report();
    camera.receive(packet.trade_off_request(&[trade_off(3, 31)]));
    let appendix = camera.session.report_passes(info, camera.instant());
    let expected = Message::TradeOffNotification {
        sender: OURS,
        entries: vec![TradeOffEntry {
            ssrc: THEIRS,
            ..trade_off(3, 31)
        }],
    };
    assert_eq!(parse(&appendix.unwrap()).unwrap(), [expected]);
    let later = camera.session.report_passes(info, camera.instant());
    assert_eq!(later, Some(vec![]));
}

#[test]
fn a_report_that_another_part_is_late_with_is_made_and_its_own_left_out() {
    let (mut camera, info) = beside_reporter();
    assert!(
        camera
            .session
            .report_passes(info, camera.instant())
            .is_some()
    );
    camera.until(300);
    assert!(
        camera
            .session
            .report_passes(info, camera.instant())
            .is_some()
    );
    camera.until(900);
    let times: Vec<_> = camera.reports().iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [800]);
    assert_eq!(camera.session.report_passes(info, camera.instant()), None);
    camera.until(1400);
    let times: Vec<_> = camera.reports().iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [800, 1300]);
}

#[test]
fn after_a_tmmbn_reports_of_another_part_wait_for_an_interval() {
    let (mut camera, info) = beside_reporter();
    let now = camera.instant();
    assert_eq!(camera.session.report_passes(info, now), Some(vec![]));
    let packet = camera.reception_report();
    camera.receive(packet.max_bitrate_request(&[cap(100_000)]));
    assert_eq!(camera.reports()[0].1.last(), Some(&confirmed(100_000)));
    camera.until(REPORT_INTERVAL - 1);
    let now = camera.instant();
    assert_eq!(camera.session.report_passes(info, now), None);
    camera.until(REPORT_INTERVAL);
    let (at, report) = camera.reports()[1];
    let Message::SenderReport { info: sent, .. } = &report[0] else {
        panic!("{report:?}");
    };
    assert_eq!((at, sent.packets), (REPORT_INTERVAL, 1234));
}
