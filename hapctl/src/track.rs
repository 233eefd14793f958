//! One received medium: SRTP, RTP and RTCP of one port, without IO.
//!
//! Datagrams and the time go in; reports come out and what was learnt is in the [`TrackReport`].

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rtp_feedback::{Message, ReceiverStatistics, SenderInfo, Writer, is_rtcp};
use rtp_payload::{Ordered, Packet, Reorder};

use crate::audio::Audio;
use crate::report::{AudioReport, TrackReport, VideoReport};
use crate::stream::Keys;
use crate::video::Video;

/// Packets that may overtake a late one before it counts as lost.
const REORDER_DEPTH: usize = 64;
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
    pub(crate) bye: bool,
    pub(crate) undecryptable: u64,
    pub(crate) repeated: u64,
    pub(crate) unexpected: u64,
    pub(crate) malformed: u64,
    pub(crate) source: Option<SocketAddr>,
}

/// Feedback to send at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feedback {
    /// Picture Loss Indication.
    Pli,
    /// Full Intra Request, a new one each time.
    Fir,
}

/// The receiving end of one medium.
pub struct Track {
    agreement: Agreement,
    unprotect: Option<srtp::Receiver>,
    protect: Option<srtp::Sender>,
    statistics: ReceiverStatistics,
    reorder: Reorder,
    media: Media,
    seen: Seen,
    epoch: Instant,
    /// When the Start command was written.
    start: Option<Instant>,
    next_report: Option<Instant>,
    reports: bool,
    fir: u8,
}

impl Track {
    /// Begins to receive what was agreed. With `reports` false no RTCP is ever sent.
    #[must_use]
    pub fn new(agreement: Agreement, media: Media, reports: bool, now: Instant) -> Self {
        Self {
            unprotect: agreement.keys.receive.as_ref().map(srtp::Receiver::new),
            protect: agreement.keys.send.as_ref().map(srtp::Sender::new),
            statistics: ReceiverStatistics::new(agreement.ssrc, agreement.clock_rate),
            agreement,
            reorder: Reorder::new(REORDER_DEPTH),
            media,
            seen: Seen::default(),
            epoch: now,
            start: None,
            next_report: None,
            reports,
            fir: 0,
        }
    }

    /// The Start command goes out now: times count from here, and so do reports.
    pub fn started(&mut self, now: Instant) {
        self.start = Some(now);
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
        } else {
            self.rtp(bytes, from, now);
        }
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
        self.count(length, now);
        let arrival = now.saturating_duration_since(self.epoch);
        self.statistics
            .packet(header.sequence, header.timestamp, arrival);
        self.reorder.push(header.sequence, bytes[..length].to_vec());
        while let Some(ordered) = self.reorder.pop() {
            self.deliver(ordered, now);
        }
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

    /// Losses need no handling: the depacketizers see the sequence numbers.
    fn deliver(&mut self, ordered: Ordered, now: Instant) {
        let Ordered::Packet(bytes) = ordered else {
            return;
        };
        let Ok(packet) = Packet::parse(&bytes) else {
            return;
        };
        match &mut self.media {
            Media::Video(video) => video.packet(&packet, now),
            Media::Audio(audio) => audio.packet(&packet),
        }
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
        match message {
            Message::SenderReport { ssrc, info, .. } if *ssrc == self.agreement.ssrc => {
                self.seen.sender_reports += 1;
                self.seen.sender_info = Some(*info);
                let arrival = now.saturating_duration_since(self.epoch);
                self.statistics.sender_report(info.ntp, arrival);
            }
            Message::Bye { sources } => {
                self.seen.bye |= sources.contains(&self.agreement.ssrc);
            }
            _ => {}
        }
    }

    /// When [`Track::report`] is due.
    #[must_use]
    pub fn next_report(&self) -> Option<Instant> {
        self.next_report
    }

    /// The receiver report that is due, protected; none when none is due.
    pub fn report(&mut self, now: Instant) -> Option<Vec<u8>> {
        let due = self.next_report?;
        if now < due {
            return None;
        }
        self.next_report = Some(now + self.agreement.rtcp_interval);
        self.seen.receiver_reports_sent += 1;
        let compound = self.compound(now);
        self.protected(compound)
    }

    /// A compound packet with `feedback`, protected.
    pub fn feedback(&mut self, feedback: Feedback, now: Instant) -> Option<Vec<u8>> {
        let ssrc = self.agreement.ssrc;
        let compound = self.compound(now);
        let compound = match feedback {
            Feedback::Pli => compound.picture_loss(ssrc),
            Feedback::Fir => {
                self.fir = self.fir.wrapping_add(1);
                compound.full_intra_request(ssrc, self.fir)
            }
        };
        self.protected(compound)
    }

    /// RR and SDES; the RR is empty until something came (RFC 3550 §6.4.2).
    fn compound(&mut self, now: Instant) -> Writer {
        let since = now.saturating_duration_since(self.epoch);
        let block = (self.statistics.expected() > 0).then(|| self.statistics.report_block(since));
        Writer::new(self.agreement.own_ssrc)
            .receiver_report(block.as_slice())
            .canonical_name(CNAME)
    }

    fn protected(&mut self, compound: Writer) -> Option<Vec<u8>> {
        let mut bytes = compound.finish();
        if let Some(srtp) = &mut self.protect {
            srtp.protect_rtcp(&mut bytes).ok()?;
        }
        Some(bytes)
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtp_feedback::NtpTime;
    use rtp_payload::Header;
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
        let empty = opened(track.report(start).unwrap());
        assert!(matches!(&empty[0],
            Message::ReceiverReport { ssrc: US, blocks } if blocks.is_empty()));
        assert_eq!(track.report(start + Duration::from_millis(499)), None);
        let mut sender = srtp::Sender::new(&key(2));
        track.datagram(&mut rtp(&mut sender, 1, CAMERA, 110), from(), start);
        let filled = opened(track.report(start + Duration::from_millis(500)).unwrap());
        assert!(matches!(&filled[0],
            Message::ReceiverReport { blocks, .. } if blocks[0].ssrc == CAMERA));
    }

    #[test]
    fn every_full_intra_request_is_a_new_one() {
        let now = Instant::now();
        let mut track = track(now);
        for expected in [1, 2] {
            let messages = opened(track.feedback(Feedback::Fir, now).unwrap());
            let entries = vec![(CAMERA, expected)];
            assert!(messages.contains(&Message::FullIntraRequest {
                sender: US,
                entries
            }));
        }
        let messages = opened(track.feedback(Feedback::Pli, now).unwrap());
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
        assert_eq!(track.next_report(), None);
        assert_eq!(track.report(now + Duration::from_secs(9)), None);
    }
}
