use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::message::{self, Message};
use crate::{
    Cause, Error, Event, KeyFrameGate, NtpTime, RepetitionFilter, ReportBlock, RoundTrip,
    SenderInfo, SenderStatistics, Silence, TmmbEntry, TradeOffEntry, Writer,
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
    /// Time between key frames the session asks for (`KFI` of HAP R1 figure 11-1), counted from the
    /// last one, whatever caused that; `None` leaves the rhythm to the encoder, which then should
    /// count so itself.
    pub key_frame_interval: Option<Duration>,
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
    /// The last report was ours, not one of another part of the program.
    last_was_ours: bool,
    silence: Option<Silence>,
    gate: KeyFrameGate,
    round_trip: RoundTrip,
    firs: RepetitionFilter,
    trade_offs: RepetitionFilter,
    /// Caps that can be obeyed, in bit/s.
    bitrates: (u64, u64),
    /// Limit to be confirmed by TMMBN in the next report.
    cap_to_confirm: Option<TmmbEntry>,
    /// Trade-off to be confirmed by TSTN in the next regular report.
    trade_off_to_confirm: Option<TradeOffEntry>,
    /// What we receive from the controller.
    reception: Option<ReportBlock>,
    events: VecDeque<Event>,
    statistics: SenderStatistics,
}

/// One instant, by the wall clock and by the media clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportTime {
    /// Wall clock, common to all streams of a session.
    pub ntp: NtpTime,
    /// The RTP timestamp a sample of this instant would have.
    pub rtp_timestamp: u32,
}

/// Shortest time between reports, whatever was negotiated.
const SHORTEST_REPORT_INTERVAL: Duration = Duration::from_millis(20);

impl SenderSession {
    /// A session that has sent nothing yet.
    pub fn new(config: SenderConfig) -> Self {
        let mut gate = KeyFrameGate::default();
        gate.set_interval(config.key_frame_interval);
        Self {
            config,
            next_report: None,
            last_was_ours: false,
            silence: None,
            gate,
            round_trip: RoundTrip::default(),
            firs: RepetitionFilter::default(),
            trade_offs: RepetitionFilter::default(),
            bitrates: (1, u64::MAX),
            cap_to_confirm: None,
            trade_off_to_confirm: None,
            reception: None,
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

    /// Changes our CNAME.
    pub fn set_canonical_name(&mut self, name: impl Into<String>) {
        self.config.canonical_name = name.into();
    }

    /// Changes how long a silence is too long.
    pub fn set_silence_timeout(&mut self, timeout: Option<Duration>) {
        self.config.silence_timeout = timeout;
        if let Some(silence) = &mut self.silence {
            silence.set_timeout(timeout);
        }
    }

    /// Changes the time between key frames the session asks for; `None` leaves them to the encoder.
    pub fn set_key_frame_interval(&mut self, interval: Option<Duration>) {
        self.config.key_frame_interval = interval;
        self.gate.set_interval(interval);
    }

    /// Tells what caps can be obeyed, in bit/s: others are taken as the nearest that can, and
    /// confirmed as such. At first 1 bit/s is the least, and there is no maximum.
    pub fn set_bitrate_range(&mut self, min: u64, max: Option<u64>) {
        self.bitrates = (min, max.unwrap_or(u64::MAX).max(min));
    }

    /// Tells what is received from the controller; the next reports carry it, until told otherwise.
    pub fn set_reception(&mut self, reception: Option<ReportBlock>) {
        self.reception = reception;
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
    pub fn key_frame_sent(&mut self, now: Instant) {
        self.gate.key_frame_sent(now);
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
        // What shapes the next key frame goes before a request for it (HAP R1 §11.4.1).
        let (shaping, others): (Vec<_>, Vec<_>) = messages.iter().partition(|m| shapes(m));
        for message in shaping.into_iter().chain(others) {
            self.handle_message(message, now, ntp);
        }
        Ok(())
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(age) = self.silence.as_mut().and_then(|s| s.check(now)) {
            self.events.push_back(Event::Silent { age });
        }
        if self.gate.is_periodic_due(now) {
            self.want_key_frame(Cause::Periodic, now);
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) and
    /// [`poll_report`](Self::poll_report) at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let silence = self.silence.as_ref().and_then(Silence::deadline);
        [self.next_report, silence, self.gate.deadline()]
            .into_iter()
            .flatten()
            .min()
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

    /// A compound packet to be sent, if one is due: SR and CNAME, TMMBN where a cap is to be
    /// confirmed, and TSTN in the regular ones. `time` is the present.
    #[must_use]
    pub fn poll_report(&mut self, now: Instant, time: ReportTime) -> Option<Vec<u8>> {
        if !self.is_report_due(now) {
            return None;
        }
        self.schedule_report(now);
        self.last_was_ours = true;
        let report = self.begin_report(time);
        let report = match self.cap_to_confirm.take() {
            Some(entry) => report.max_bitrate_notification(&[entry]),
            None => self.confirm_trade_off(report),
        };
        Some(report.finish())
    }

    /// Where another part of the program reports too: one of its reports is about to go out, whose
    /// counters hold from now on. Returns what has to be appended to it, which may be nothing; or
    /// `None` if it must not go out, since one of ours went less than an interval ago: one with
    /// TMMBN, or one that the other part was late with.
    pub fn report_passes(&mut self, info: SenderInfo, now: Instant) -> Option<Vec<u8>> {
        self.statistics.packets = info.packets.into();
        self.statistics.octets = info.octets.into();
        if self.last_was_ours && !self.is_report_due(now) {
            return None;
        }
        self.schedule_report(now);
        self.last_was_ours = false;
        self.statistics.sender_reports += 1;
        let mut appendix = Writer::new(self.config.ssrc);
        if let Some(entry) = self.cap_to_confirm.take() {
            appendix = appendix.max_bitrate_notification(&[entry]);
        }
        Some(self.confirm_trade_off(appendix).finish())
    }

    /// The farewell, with a last report; nothing more becomes due.
    pub fn bye(&mut self, time: ReportTime) -> Vec<u8> {
        self.next_report = None;
        self.silence = None;
        self.begin_report(time).bye().finish()
    }

    fn schedule_report(&mut self, now: Instant) {
        let interval = self.config.report_interval.max(SHORTEST_REPORT_INTERVAL);
        self.next_report = now.checked_add(interval);
    }

    /// Who has sent nothing sends no SR (RFC 3550 §6.4).
    fn begin_report(&mut self, time: ReportTime) -> Writer {
        let writer = Writer::new(self.config.ssrc);
        let blocks = self.reception.as_slice();
        let report = match self.statistics.packets {
            0 => writer.receiver_report(blocks),
            packets => {
                self.statistics.sender_reports += 1;
                let info = SenderInfo {
                    ntp: time.ntp,
                    rtp_timestamp: time.rtp_timestamp,
                    packets: packets as u32,
                    octets: self.statistics.octets as u32,
                };
                writer.sender_report(info, blocks)
            }
        };
        report.canonical_name(&self.config.canonical_name)
    }

    fn confirm_trade_off(&mut self, report: Writer) -> Writer {
        match self.trade_off_to_confirm.take() {
            Some(entry) => report.trade_off_notification(&[entry]),
            None => report,
        }
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
            Message::Bye { sources } => self.handle_bye(sources),
            Message::PictureLoss { media, .. } if *media == ours => self.handle_loss(now),
            Message::FullIntraRequest { sender, entries } => {
                let ours = entries.iter().filter(|(media, _)| *media == ours);
                ours.for_each(|(_, sequence)| self.handle_fir(*sender, *sequence, now));
            }
            Message::MaxBitrateRequest { sender, entries } => {
                if let Some(entry) = entries.iter().find(|entry| entry.ssrc == ours) {
                    self.handle_cap(*sender, *entry, now);
                }
            }
            Message::TradeOffRequest { sender, entries } => {
                if let Some(entry) = entries.iter().find(|entry| entry.ssrc == ours) {
                    self.handle_trade_off(*sender, *entry);
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
        if let Some(trip) = block.round_trip_time(ntp) {
            self.round_trip.measured(trip);
            self.statistics.round_trip_time = self.round_trip.last();
        }
    }

    fn handle_bye(&mut self, sources: &[u32]) {
        let remote = self.config.remote_ssrc;
        if remote.is_none_or(|remote| sources.contains(&remote)) {
            self.events.push_back(Event::Bye);
        }
    }

    fn handle_loss(&mut self, now: Instant) {
        self.statistics.picture_losses += 1;
        if !self.want_key_frame(Cause::PictureLoss, now) {
            self.statistics.picture_losses_ignored += 1;
        }
    }

    fn handle_fir(&mut self, sender: u32, sequence: u8, now: Instant) {
        self.statistics.full_intra_requests += 1;
        if self.firs.is_new(sender, sequence) {
            self.want_key_frame(Cause::FullIntraRequest, now);
        }
    }

    /// Obeys a cap and confirms it at once; the next regular report then follows after a whole
    /// interval (HAP R1 §11.4.1). What is confirmed is what is obeyed (RFC 5104 §4.2.2.2).
    fn handle_cap(&mut self, owner: u32, entry: TmmbEntry, now: Instant) {
        let (min, max) = self.bitrates;
        let bitrate = entry.bitrate.clamp(min, max);
        self.statistics.max_bitrate_requests += 1;
        self.statistics.max_bitrate = Some(bitrate);
        self.events.push_back(Event::MaxBitrate(bitrate));
        self.cap_to_confirm = Some(TmmbEntry {
            ssrc: owner,
            bitrate,
            ..entry
        });
        self.next_report = Some(now);
    }

    /// A repetition is confirmed again: the first confirmation may be lost (RFC 5104 §4.3.3.2).
    fn handle_trade_off(&mut self, owner: u32, entry: TradeOffEntry) {
        self.statistics.trade_off_requests += 1;
        if self.trade_offs.is_new(owner, entry.sequence) {
            self.events.push_back(Event::TradeOff(entry.index));
        }
        let ssrc = owner;
        self.trade_off_to_confirm = Some(TradeOffEntry { ssrc, ..entry });
    }

    fn want_key_frame(&mut self, cause: Cause, now: Instant) -> bool {
        let wanted = self.gate.request(cause, self.round_trip.estimate(), now);
        if wanted {
            self.events.push_back(Event::KeyFrameWanted(cause));
        }
        wanted
    }
}

/// Whether the message changes what the next key frame is like.
fn shapes(message: &Message) -> bool {
    use Message::{MaxBitrateRequest, TradeOffRequest};
    matches!(message, MaxBitrateRequest { .. } | TradeOffRequest { .. })
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
