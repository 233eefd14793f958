//! One received medium: SRTP, RTP and RTCP of one port, without IO.
//!
//! Datagrams and the time go in; reports come out and what was learnt is in the [`TrackReport`].

mod outgoing;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rtp_feedback::{
    Message, NtpTime, ReceiverStatistics, ReportBlock, SenderInfo, TmmbEntry, TradeOffEntry,
    is_rtcp,
};
use rtp_payload::{Header, Ordered, Packet, Reorder};

use crate::audio::Audio;
use crate::delay::Delays;
use crate::feedback::Requests;
use crate::losses::Losses;
use crate::rates::Rates;
use crate::recovery::Recovery;
use crate::report::{AudioReport, TrackReport, VideoReport};
use crate::stream::Keys;
use crate::talk::Talk;
use crate::video::Video;

/// Packets that may overtake a late one before it counts as lost.
const REORDER_DEPTH: usize = 64;
/// How long a missing packet is waited for.
const REORDER_TIME: Duration = Duration::from_millis(20);
/// Bytes of IP and UDP.
const LOWER_LAYERS_V4: usize = 28;
const LOWER_LAYERS_V6: usize = 48;
/// Round trips that are kept.
const MAX_ROUND_TRIPS: usize = 10_000;
/// Our name in RTCP.
const CNAME: &str = "hapctl";

/// What was agreed for a track.
#[derive(Debug)]
pub struct Agreement {
    /// Name of the codec.
    pub codec: &'static str,
    /// Payload type asked for.
    pub payload_type: u8,
    /// The camera's source.
    pub ssrc: u32,
    /// This controller's source.
    pub own_ssrc: u32,
    /// RTP timestamps a second.
    pub clock_rate: u32,
    /// Time between two receiver reports.
    pub rtcp_interval: Duration,
    /// Address and port the camera announced.
    pub remote: SocketAddr,
    /// Keys of both directions.
    pub keys: Keys,
}

/// What the payloads are.
pub enum Media {
    /// H.264.
    Video(Video),
    /// Opus, or a codec that is not looked into.
    Audio(Audio),
}

/// What was seen on the way.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) payload_type: Option<u8>,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) first_packet: Option<Instant>,
    pub(crate) last_packet: Option<Instant>,
    pub(crate) longest_gap: Duration,
    pub(crate) largest: usize,
    pub(crate) sender_reports: u64,
    pub(crate) sender_info: Option<SenderInfo>,
    pub(crate) receiver_reports_sent: u64,
    pub(crate) sender_reports_sent: u64,
    pub(crate) dropped: u64,
    pub(crate) bye: bool,
    pub(crate) undecryptable: u64,
    pub(crate) repeated: u64,
    pub(crate) unexpected: u64,
    pub(crate) malformed: u64,
    pub(crate) source: Option<SocketAddr>,
}

/// A packet that waits for the ones before it.
struct Arrived {
    bytes: Vec<u8>,
    at: Instant,
}

/// The receiving end of one medium.
pub struct Track {
    agreement: Agreement,
    unprotect: Option<srtp::Receiver>,
    protect: Option<srtp::Sender>,
    statistics: ReceiverStatistics,
    reorder: Reorder<Arrived>,
    /// Since when a missing packet is waited for.
    gap_since: Option<Instant>,
    media: Media,
    seen: Seen,
    rates: Rates,
    delays: Delays,
    losses: Losses,
    requests: Requests,
    /// With PLI on loss.
    recovery: Option<Recovery>,
    talk: Option<Talk>,
    round_trips: Vec<f64>,
    epoch: Instant,
    /// Time of day at `epoch`, since 1970.
    unix_epoch: Duration,
    /// When the Start command was written.
    start: Option<Instant>,
    next_report: Option<Instant>,
    reports: bool,
    fir: u8,
    trade_off: u8,
    outbox: VecDeque<Vec<u8>>,
}

impl Track {
    /// Begins to receive what was agreed. With `reports` false no RTCP is ever sent.
    #[must_use]
    pub fn new(agreement: Agreement, media: Media, reports: bool, now: Instant) -> Self {
        Self {
            unprotect: agreement.keys.receive.as_ref().map(srtp::Receiver::new),
            protect: agreement.keys.send.as_ref().map(srtp::Sender::new),
            statistics: ReceiverStatistics::new(agreement.ssrc, agreement.clock_rate),
            delays: Delays::new(agreement.clock_rate),
            agreement,
            reorder: Reorder::new(REORDER_DEPTH),
            gap_since: None,
            media,
            seen: Seen::default(),
            rates: Rates::default(),
            losses: Losses::default(),
            requests: Requests::default(),
            recovery: None,
            talk: None,
            round_trips: Vec::new(),
            epoch: now,
            unix_epoch: Duration::ZERO,
            start: None,
            next_report: None,
            reports,
            fir: 0,
            trade_off: 0,
            outbox: VecDeque::new(),
        }
    }

    /// Drops packets that come, before anything looks at them.
    #[must_use]
    pub fn with_losses(mut self, losses: Losses) -> Self {
        self.losses = losses;
        self
    }

    /// Sends a PLI whenever packets are missing, until a whole key frame has come.
    #[must_use]
    pub fn with_pli_on_loss(mut self) -> Self {
        self.recovery = Some(Recovery::default());
        self
    }

    /// Sends `talk`; the time of day at [`Track::new`] was `unix`, since 1970.
    #[must_use]
    pub fn with_talk(mut self, talk: Talk, unix: Duration) -> Self {
        self.talk = Some(talk);
        self.unix_epoch = unix;
        self
    }

    /// The Start command goes out now: times count from here, and so do reports.
    pub fn started(&mut self, now: Instant) {
        self.start = Some(now);
        if let Some(talk) = &mut self.talk {
            talk.started(now);
        }
        self.next_report = self.reports.then_some(now);
    }

    /// Where reports go.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.agreement.remote
    }

    /// Takes a datagram, which is decrypted in place.
    pub fn datagram(&mut self, bytes: &mut [u8], from: SocketAddr, now: Instant) {
        if is_rtcp(bytes) {
            self.rtcp(bytes, now);
        } else if self.losses.hit(self.since_start(now)) {
            self.seen.dropped += 1;
        } else {
            self.rtp(bytes, from, now);
        }
    }

    fn since_start(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.start.unwrap_or(self.epoch))
    }

    fn rtp(&mut self, bytes: &mut [u8], from: SocketAddr, now: Instant) {
        self.seen.largest = self.seen.largest.max(bytes.len());
        let length = match &mut self.unprotect {
            Some(srtp) => srtp.unprotect_rtp(bytes),
            None => Ok(bytes.len()),
        };
        let Some(length) = self.accepted(length) else {
            return;
        };
        let Ok(packet) = Packet::parse(&bytes[..length]) else {
            self.seen.malformed += 1;
            return;
        };
        let header = packet.header;
        self.seen.payload_type.get_or_insert(header.payload_type);
        let agreed = (self.agreement.ssrc, self.agreement.payload_type);
        if (header.ssrc, header.payload_type) != agreed {
            self.seen.unexpected += 1;
            return;
        }
        self.seen.source.get_or_insert(from);
        self.rates
            .add(self.since_start(now), self.on_the_wire(bytes.len()));
        self.arrived(&header, &bytes[..length], now);
    }

    /// A datagram with the headers below it.
    fn on_the_wire(&self, datagram: usize) -> usize {
        datagram + self.lower_layers()
    }

    fn lower_layers(&self) -> usize {
        match self.agreement.remote {
            SocketAddr::V4(_) => LOWER_LAYERS_V4,
            SocketAddr::V6(_) => LOWER_LAYERS_V6,
        }
    }

    fn arrived(&mut self, header: &Header, packet: &[u8], now: Instant) {
        self.count(packet.len(), now);
        let at = now.saturating_duration_since(self.epoch);
        self.statistics
            .packet(header.sequence, header.timestamp, at);
        self.delays.packet(header.timestamp, at);
        let bytes = packet.to_vec();
        self.reorder
            .push(header.sequence, Arrived { bytes, at: now });
        self.deliver_ordered(now);
    }

    fn deliver_ordered(&mut self, now: Instant) {
        while let Some(ordered) = self.next_ordered(now) {
            self.deliver(ordered, now);
        }
        let since = self.reorder.is_waiting().then_some(now);
        self.gap_since = since.map(|now| self.gap_since.unwrap_or(now));
    }

    /// The next packet; a missing one only after it was waited for.
    fn next_ordered(&mut self, now: Instant) -> Option<Ordered<Arrived>> {
        let ordered = self.reorder.pop();
        let waited = self.gap_since.is_some_and(|t| now >= t + REORDER_TIME);
        if ordered.is_some() || !waited {
            return ordered;
        }
        self.gap_since = None;
        self.reorder.flush()
    }

    /// Counts what SRTP refuses.
    fn accepted(&mut self, length: Result<usize, srtp::Error>) -> Option<usize> {
        match &length {
            Ok(_) => {}
            Err(srtp::Error::Replayed { .. }) => self.seen.repeated += 1,
            Err(_) => self.seen.undecryptable += 1,
        }
        length.ok()
    }

    fn count(&mut self, length: usize, now: Instant) {
        let seen = &mut self.seen;
        seen.packets += 1;
        seen.bytes += length as u64;
        seen.first_packet.get_or_insert(now);
        if let Some(last) = seen.last_packet.replace(now) {
            let gap = now.saturating_duration_since(last);
            seen.longest_gap = seen.longest_gap.max(gap);
        }
    }

    /// The depacketizers see losses by the sequence numbers.
    fn deliver(&mut self, ordered: Ordered<Arrived>, now: Instant) {
        let arrived = match ordered {
            Ordered::Packet(arrived) => arrived,
            Ordered::Lost(_) => return self.lost(now),
        };
        let Ok(packet) = Packet::parse(&arrived.bytes) else {
            return;
        };
        match &mut self.media {
            Media::Video(video) => video.packet(&packet, arrived.at),
            Media::Audio(audio) => audio.packet(&packet),
        }
        self.note_key_frames(now);
    }

    fn note_key_frames(&mut self, now: Instant) {
        let Media::Video(video) = &mut self.media else {
            return;
        };
        for key in video.take_key_frames() {
            self.requests.key_frame(key.began, key.ended, key.whole);
            let recovery = self.recovery.as_mut();
            let again = recovery.and_then(|r| r.key_frame(key.began, key.ended, key.whole, now));
            self.ask(again, now);
        }
    }

    fn lost(&mut self, now: Instant) {
        let cause = self.recovery.as_mut().and_then(|r| r.lost(now));
        self.ask(cause, now);
    }

    fn rtcp(&mut self, bytes: &mut [u8], now: Instant) {
        let length = match &mut self.unprotect {
            Some(srtp) => srtp.unprotect_rtcp(bytes),
            None => Ok(bytes.len()),
        };
        let Some(length) = self.accepted(length) else {
            return;
        };
        match rtp_feedback::parse(&bytes[..length]) {
            Ok(messages) => messages.iter().for_each(|m| self.message(m, now)),
            Err(_) => self.seen.malformed += 1,
        }
    }

    fn message(&mut self, message: &Message, now: Instant) {
        let camera = self.agreement.ssrc;
        match message {
            Message::SenderReport { ssrc, info, blocks } if *ssrc == camera => {
                self.sender_report(info, now);
                self.report_blocks(blocks, now);
            }
            Message::ReceiverReport { ssrc, blocks } if *ssrc == camera => {
                self.report_blocks(blocks, now);
            }
            Message::MaxBitrateNotification { sender, entries } if *sender == camera => {
                self.limit_notified(entries, now);
            }
            Message::TradeOffNotification { sender, entries } if *sender == camera => {
                self.trade_off_notified(entries, now);
            }
            Message::Bye { sources } => self.seen.bye |= sources.contains(&camera),
            _ => {}
        }
    }

    fn sender_report(&mut self, info: &SenderInfo, now: Instant) {
        self.seen.sender_reports += 1;
        self.seen.sender_info = Some(*info);
        self.delays.sender_report(info);
        let arrival = now.saturating_duration_since(self.epoch);
        self.statistics.sender_report(info.ntp, arrival);
    }

    /// What the camera says of our sound has the round trip in it.
    fn report_blocks(&mut self, blocks: &[ReportBlock], now: Instant) {
        let now = self.ntp(now);
        let own = blocks.iter().find(|b| b.ssrc == self.agreement.own_ssrc);
        let trip = own.and_then(|block| block.round_trip_time(now));
        if self.round_trips.len() < MAX_ROUND_TRIPS {
            self.round_trips
                .extend(trip.map(|t| t.as_secs_f64() * 1000.0));
        }
    }

    fn limit_notified(&mut self, entries: &[TmmbEntry], now: Instant) {
        let own = entries.iter().find(|e| e.ssrc == self.agreement.own_ssrc);
        if let Some(entry) = own.or(entries.first()) {
            self.requests.limit_notified(entry.bitrate, now);
        }
    }

    fn trade_off_notified(&mut self, entries: &[TradeOffEntry], now: Instant) {
        let own = entries.iter().find(|e| e.ssrc == self.agreement.own_ssrc);
        if let Some(entry) = own.or(entries.first()) {
            self.requests.trade_off_notified(entry.index, now);
        }
    }

    fn ntp(&self, now: Instant) -> NtpTime {
        NtpTime::from_unix(self.unix_epoch + now.saturating_duration_since(self.epoch))
    }

    /// True once the camera said that it stopped.
    #[must_use]
    pub fn said_bye(&self) -> bool {
        self.seen.bye
    }

    /// Delivers what still waits for late packets and closes the file.
    ///
    /// # Errors
    /// The first failure to write the file.
    pub fn finish(&mut self, now: Instant) -> io::Result<()> {
        self.next_report = None;
        while let Some(ordered) = self.reorder.flush() {
            self.deliver(ordered, now);
        }
        match &mut self.media {
            Media::Video(video) => video.finish(now),
            Media::Audio(audio) => audio.finish(),
        }
    }

    /// What was learnt so far.
    #[must_use]
    pub fn summary(&self) -> TrackReport {
        let since = |at: Option<Instant>| Some(at?.saturating_duration_since(self.start?));
        let (video, audio) = match &self.media {
            Media::Video(v) => (Some(VideoReport::new(v, since)), None),
            Media::Audio(a) => (None, Some(AudioReport::new(a))),
        };
        TrackReport::new(
            &self.agreement,
            &self.seen,
            &self.statistics,
            since,
            video,
            audio,
        )
        .with_requests(
            self.requests
                .report(self.start.unwrap_or(self.epoch), &self.rates),
        )
        .with_recovery(self.recovery.as_ref().map(|r| r.times.clone()))
        .with_talk(self.talk.as_ref().map(Talk::sent), &self.round_trips)
    }

    /// Times from capture to arrival.
    #[must_use]
    pub fn delays(&self) -> &Delays {
        &self.delays
    }
}

#[cfg(test)]
mod tests;
