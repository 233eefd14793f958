use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::message::{self, Message};
use crate::{
    Error, FirFilter, KeyFrameGate, NtpTime, ReportBlock, SenderInfo, Silence, TmmbEntry, Writer,
};

/// What a [`SenderSession`] has to know.
#[derive(Debug, Clone)]
pub struct SenderConfig {
    /// Our source.
    pub ssrc: u32,
    /// The controller's source; `None` accepts any.
    pub remote_ssrc: Option<u32>,
    /// Our CNAME.
    pub canonical_name: String,
    /// Time between two sender reports: the negotiated minimum RTCP interval.
    pub report_interval: Duration,
    /// Silence that is too long; `None`: none is.
    pub silence_timeout: Option<Duration>,
}

/// The RTCP side of one stream that is sent.
///
/// Tell it what was sent ([`media_sent`](Self::media_sent),
/// [`key_frame_sent`](Self::key_frame_sent)) and what came ([`handle_input`](Self::handle_input),
/// authenticated and decrypted). After each call, and at [`poll_timeout`](Self::poll_timeout)
/// after [`handle_timeout`](Self::handle_timeout), drain [`poll_event`](Self::poll_event) first,
/// so that a new bitrate holds for the key frame asked for, then send what
/// [`poll_report`](Self::poll_report) gives.
#[derive(Debug)]
pub struct SenderSession {
    config: SenderConfig,
    next_report: Option<Instant>,
    silence: Option<Silence>,
    gate: KeyFrameGate,
    firs: FirFilter,
    /// Limit to be confirmed by TMMBN in the next report.
    to_confirm: Option<TmmbEntry>,
    events: VecDeque<Event>,
    statistics: SenderStatistics,
}

/// Something the application has to do or to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The first packet of the controller has come.
    FirstRtcp,
    /// Nothing has come for too long.
    Silent {
        /// Since when.
        age: Duration,
    },
    /// The controller left.
    Bye,
    /// The controller caps the bitrate, in bit/s; the sender confirms it by itself.
    MaxBitrate(u64),
    /// The encoder is to be asked for a key frame.
    KeyFrameWanted(Cause),
}

/// Why a key frame is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// A picture loss indication.
    PictureLoss,
    /// A full intra request.
    FullIntraRequest,
    /// The application said so: start, resume.
    Application,
}

/// One instant, by the wall clock and by the media clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportTime {
    /// Wall clock, common to all streams of a session.
    pub ntp: NtpTime,
    /// The RTP timestamp a sample of this instant would have.
    pub rtp_timestamp: u32,
}

/// What was sent and heard so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SenderStatistics {
    /// RTP packets sent.
    pub packets: u64,
    /// Payload octets sent, without RTP headers.
    pub octets: u64,
    /// Sender reports written.
    pub sender_reports: u64,
    /// Compound packets of the controller.
    pub rtcp_received: u64,
    /// Picture loss indications for this stream.
    pub picture_losses: u64,
    /// Full intra requests for this stream, repetitions included.
    pub full_intra_requests: u64,
    /// Requests to cap the bitrate of this stream.
    pub max_bitrate_requests: u64,
    /// Packets that generic NACKs asked for.
    pub nacked_packets: u64,
    /// The last report block about this stream.
    pub last_report: Option<ReportBlock>,
    /// The last round trip time.
    pub round_trip_time: Option<Duration>,
    /// When the controller was last heard.
    pub last_heard: Option<Instant>,
}

impl SenderSession {
    /// A session that has sent nothing yet.
    pub fn new(config: SenderConfig) -> Self {
        Self {
            config,
            next_report: None,
            silence: None,
            gate: KeyFrameGate::default(),
            firs: FirFilter::default(),
            to_confirm: None,
            events: VecDeque::new(),
            statistics: SenderStatistics::default(),
        }
    }

    /// What was sent and heard so far.
    pub fn statistics(&self) -> &SenderStatistics {
        &self.statistics
    }

    /// Our source.
    pub fn ssrc(&self) -> u32 {
        self.config.ssrc
    }

    /// Changes the controller's source; `None` accepts any.
    pub fn set_remote_ssrc(&mut self, ssrc: Option<u32>) {
        self.config.remote_ssrc = ssrc;
    }

    /// Changes the time between reports, from the next one on.
    pub fn set_report_interval(&mut self, interval: Duration) {
        self.config.report_interval = interval;
    }

    /// Changes how long a silence is too long.
    pub fn set_silence_timeout(&mut self, timeout: Option<Duration>) {
        self.config.silence_timeout = timeout;
        if let Some(silence) = &mut self.silence {
            silence.set_timeout(timeout);
        }
    }

    /// `packets` were sent, with `octets` of payload. The first ones make a report due at once and
    /// begin to measure silence.
    pub fn media_sent(&mut self, packets: u64, octets: u64, now: Instant) {
        self.statistics.packets += packets;
        self.statistics.octets += octets;
        self.next_report.get_or_insert(now);
        let timeout = self.config.silence_timeout;
        self.silence
            .get_or_insert_with(|| Silence::new(timeout, now));
    }

    /// The last packet of a key frame was sent.
    pub fn key_frame_sent(&mut self) {
        self.gate.key_frame_sent();
    }

    /// A key frame that was asked for will not be sent: the stream was suspended, or flushed.
    pub fn key_frame_missed(&mut self) {
        self.gate.reset();
    }

    /// The application wants a key frame; becomes [`Event::KeyFrameWanted`] unless one is on its
    /// way.
    pub fn request_key_frame(&mut self, now: Instant) {
        self.want_key_frame(Cause::Application, now);
    }

    /// Takes a compound packet that came at `now`, which is `ntp` by the clock of our reports.
    ///
    /// # Errors
    /// The packet is malformed or not from the controller; it then has no effect.
    pub fn handle_input(
        &mut self,
        compound: &[u8],
        now: Instant,
        ntp: NtpTime,
    ) -> Result<(), Error> {
        let messages = message::parse(compound)?;
        self.check_source(compound)?;
        self.heard(now);
        // A cap on the bitrate goes before a request for a key frame (HAP R1 §11.4.1).
        let caps = |m: &&Message| matches!(m, Message::MaxBitrateRequest { .. });
        messages
            .iter()
            .filter(caps)
            .for_each(|m| self.handle_message(m, now, ntp));
        messages
            .iter()
            .filter(|m| !caps(m))
            .for_each(|m| self.handle_message(m, now, ntp));
        Ok(())
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(age) = self.silence.as_mut().and_then(|s| s.check(now)) {
            self.events.push_back(Event::Silent { age });
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) and
    /// [`poll_report`](Self::poll_report) at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let silence = self.silence.as_ref().and_then(Silence::deadline);
        [self.next_report, silence].into_iter().flatten().min()
    }

    /// The next event.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether [`poll_report`](Self::poll_report) has one to send at `now`.
    #[must_use]
    pub fn is_report_due(&self, now: Instant) -> bool {
        self.next_report.is_some_and(|due| due <= now)
    }

    /// A compound packet to be sent, if one is due: SR and CNAME, and TMMBN where a cap is to be
    /// confirmed. `time` is the present.
    #[must_use]
    pub fn poll_report(&mut self, now: Instant, time: ReportTime) -> Option<Vec<u8>> {
        if !self.is_report_due(now) {
            return None;
        }
        self.next_report = now.checked_add(self.config.report_interval);
        let mut report = self.begin_report(time);
        if let Some(entry) = self.to_confirm.take() {
            report = report.max_bitrate_notification(&[entry]);
        }
        Some(report.finish())
    }

    /// The farewell, with a last report; nothing more becomes due.
    pub fn bye(&mut self, time: ReportTime) -> Vec<u8> {
        self.next_report = None;
        self.silence = None;
        self.begin_report(time).bye().finish()
    }

    fn begin_report(&mut self, time: ReportTime) -> Writer {
        self.statistics.sender_reports += 1;
        let info = SenderInfo {
            ntp: time.ntp,
            rtp_timestamp: time.rtp_timestamp,
            packets: self.statistics.packets as u32,
            octets: self.statistics.octets as u32,
        };
        Writer::new(self.config.ssrc)
            .sender_report(info, &[])
            .canonical_name(&self.config.canonical_name)
    }

    fn check_source(&self, compound: &[u8]) -> Result<(), Error> {
        let actual = message::source(compound).unwrap_or(0);
        match self.config.remote_ssrc {
            Some(expected) if expected != actual => Err(Error::Source { expected, actual }),
            _ => Ok(()),
        }
    }

    fn heard(&mut self, now: Instant) {
        self.statistics.rtcp_received += 1;
        if self.statistics.last_heard.replace(now).is_none() {
            self.events.push_back(Event::FirstRtcp);
        }
        if let Some(silence) = &mut self.silence {
            silence.heard(now);
        }
    }

    fn handle_message(&mut self, message: &Message, now: Instant, ntp: NtpTime) {
        let ours = self.config.ssrc;
        match message {
            Message::SenderReport { blocks, .. } | Message::ReceiverReport { blocks, .. } => {
                self.handle_blocks(blocks, ntp);
            }
            Message::Bye { .. } => self.events.push_back(Event::Bye),
            Message::PictureLoss { media, .. } if *media == ours => {
                self.statistics.picture_losses += 1;
                self.want_key_frame(Cause::PictureLoss, now);
            }
            Message::FullIntraRequest { sender, entries } => {
                let ours = entries.iter().filter(|(media, _)| *media == ours);
                ours.for_each(|(_, sequence)| self.handle_fir(*sender, *sequence, now));
            }
            Message::MaxBitrateRequest { sender, entries } => {
                if let Some(entry) = entries.iter().find(|entry| entry.ssrc == ours) {
                    self.handle_cap(*sender, *entry, now);
                }
            }
            Message::Nack { media, packets, .. } if *media == ours => {
                self.statistics.nacked_packets += *packets as u64;
            }
            _ => {}
        }
    }

    fn handle_blocks(&mut self, blocks: &[ReportBlock], ntp: NtpTime) {
        let Some(block) = blocks.iter().find(|b| b.ssrc == self.config.ssrc) else {
            return;
        };
        self.statistics.last_report = Some(*block);
        let trip = block.round_trip_time(ntp);
        self.statistics.round_trip_time = trip.or(self.statistics.round_trip_time);
    }

    fn handle_fir(&mut self, sender: u32, sequence: u8, now: Instant) {
        self.statistics.full_intra_requests += 1;
        if self.firs.is_new(sender, sequence) {
            self.want_key_frame(Cause::FullIntraRequest, now);
        }
    }

    /// Obeys a cap and confirms it at once; the next regular report then follows after a whole
    /// interval (HAP R1 §11.4.1).
    fn handle_cap(&mut self, owner: u32, entry: TmmbEntry, now: Instant) {
        self.statistics.max_bitrate_requests += 1;
        self.events.push_back(Event::MaxBitrate(entry.bitrate));
        let ssrc = owner;
        self.to_confirm = Some(TmmbEntry { ssrc, ..entry });
        self.next_report = Some(now);
    }

    fn want_key_frame(&mut self, cause: Cause, now: Instant) {
        if self.gate.request(now) {
            self.events.push_back(Event::KeyFrameWanted(cause));
        }
    }
}

#[cfg(test)]
mod tests {
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
        bench.session.key_frame_sent();
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
        bench.session.key_frame_sent();
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
}
