//! One stream: media and RTCP in, SRTP and events out. No sockets, no clock, no pipeline.
//!
//! What is to be sent is taken out ([`Stream::take`], [`Stream::take_report`]) and sent with nothing
//! locked; afterwards the stream is told ([`Stream::sent`], [`Stream::frame_left`]).

use std::time::{Duration, Instant};

use rtp_feedback::{Event, ReportTime, SenderConfig, SenderSession, is_rtcp};
use rtp_payload::{HEADER_LEN, Orientation, Packet};
use srtp::{MasterKey, RTP_OVERHEAD, Receiver};

use super::media::{Codec, Input};
use super::moment::Moment;
use super::outgoing::Outgoing;
use super::pacer::Pace;
use super::payloader::{ConfigureError, Payloaded, Payloader};
use super::reception::{Reception, talkback_clock_rate};
use super::send_buffer::SendBuffer;
use super::timeline::Timeline;

/// What a stream has to know before it starts.
#[derive(Debug, Clone)]
pub(crate) struct StreamConfig {
    pub(crate) remote_ssrc: Option<u32>,
    /// `None`: by the kind of media.
    pub(crate) payload_type: Option<u8>,
    /// Largest UDP payload.
    pub(crate) mtu: usize,
    /// RTP clock of audio; `None`: that of the codec.
    pub(crate) audio_clock_rate: Option<u32>,
    /// Duration of an audio packet; `None`: as they come.
    pub(crate) packet_time: Option<Duration>,
    pub(crate) canonical_name: String,
    pub(crate) report_interval: Duration,
    pub(crate) silence_timeout: Option<Duration>,
    /// Whether media go out; RTCP always does.
    pub(crate) active: bool,
    pub(crate) pace: Pace,
    /// Least bitrate that can be done, in bit/s.
    pub(crate) min_bitrate: u32,
    /// `None`: the encoder's own.
    pub(crate) key_frame_interval: Option<Duration>,
    pub(crate) orientation: Turned,
}

/// How a receiver has to turn the pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Turned {
    /// Negotiated id of the header extension; 0: none was.
    pub(crate) id: u8,
    pub(crate) orientation: Orientation,
}

/// What a datagram was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// Nothing that anybody else has to see.
    Done,
    /// Sound of the controller: an RTP packet of this length, decrypted in place.
    Talkback { len: usize },
}

/// What the controller's sound is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Talkback {
    pub(crate) codec: Codec,
    pub(crate) payload_type: u8,
    pub(crate) clock_rate: u32,
    /// Configuration of AAC-ELD.
    pub(crate) config: Option<rtp_payload::aac::Config>,
}

/// Media that were taken to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) payload_octets: u64,
    pub(crate) key_frame: bool,
}

/// A part of what was taken, after it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sent {
    pub(crate) packets: u64,
    pub(crate) payload_octets: u64,
    pub(crate) bytes: u64,
    /// Packets the network did not take.
    pub(crate) errors: u64,
}

/// Numbers that are drawn by lot (RFC 3550 §5.1).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lots {
    pub(crate) ssrc: u32,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
}

/// One stream to one controller.
#[derive(Debug)]
pub(crate) struct Stream {
    config: StreamConfig,
    session: SenderSession,
    outgoing: Outgoing,
    unprotect: Receiver,
    media: Option<Media>,
    reception: Option<Reception>,
    timestamp_offset: u32,
    /// A key frame waits in `outgoing`.
    key_frame_queued: bool,
    /// The newest buffer: when it came, and its running time.
    newest: Option<(Instant, Duration)>,
    counters: Counters,
}

#[derive(Debug)]
struct Media {
    payloader: Payloader,
    timeline: Timeline,
    aac_config: Option<rtp_payload::aac::Config>,
}

/// What happened, beside what the session counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counters {
    pub(crate) bytes: u64,
    pub(crate) frames: u64,
    pub(crate) key_frames: u64,
    pub(crate) dropped_before_key: u64,
    pub(crate) dropped_inactive: u64,
    pub(crate) dropped_invalid: u64,
    pub(crate) send_errors: u64,
    /// Packets given up because the pipeline was stopped or flushed while they waited.
    pub(crate) packets_flushed: u64,
    /// Frames that did not leave in one go, and how long they took.
    pub(crate) paced_frames: u64,
    pub(crate) paced: Duration,
    /// Frames whose pace was raised, lest they be late.
    pub(crate) pace_raised: u64,
    pub(crate) rtcp_rejected: u64,
    /// RTP of the controller that is forged, replayed, malformed or from another SSRC.
    pub(crate) rtp_rejected: u64,
    /// RTP on a video stream, and datagrams that are neither RTP nor RTCP.
    pub(crate) rtp_ignored: u64,
    pub(crate) talkback_packets: u64,
}

/// RTP clock of video (RFC 6184 §8.2.1).
const VIDEO_CLOCK_RATE: u32 = 90_000;

/// RTP clock of Opus (RFC 7587 §4.1), unless another is negotiated.
const OPUS_CLOCK_RATE: u32 = 48_000;

impl Stream {
    pub(crate) fn new(
        config: StreamConfig,
        key: &MasterKey,
        remote_key: &MasterKey,
        lots: Lots,
    ) -> Self {
        Self {
            session: session(&config, lots.ssrc),
            outgoing: Outgoing::new(lots.ssrc, lots.sequence, key),
            unprotect: Receiver::new(remote_key),
            config,
            media: None,
            reception: None,
            timestamp_offset: lots.timestamp,
            key_frame_queued: false,
            newest: None,
            counters: Counters::default(),
        }
    }

    /// Begins again under the same keys: statistics and media anew, but SSRC, sequence numbers and
    /// the state of SRTP go on.
    pub(crate) fn restart(&mut self, config: StreamConfig, timestamp_offset: u32) {
        self.session = session(&config, self.outgoing.ssrc);
        self.config = config;
        self.outgoing.take(&mut SendBuffer::default());
        self.media = None;
        self.reception = None;
        self.timestamp_offset = timestamp_offset;
        self.key_frame_queued = false;
        self.newest = None;
        self.counters = Counters::default();
    }

    pub(crate) fn ssrc(&self) -> u32 {
        self.outgoing.ssrc
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(crate) fn session(&self) -> &SenderSession {
        &self.session
    }

    pub(crate) fn session_mut(&mut self) -> &mut SenderSession {
        &mut self.session
    }

    /// Takes caps, the first or new ones.
    pub(crate) fn configure(&mut self, input: &Input) -> Result<(), ConfigureError> {
        if let Some(media) = &mut self.media {
            media.aac_config = aac_config(input);
            return media.payloader.configure(input);
        }
        let codec = input.codec();
        let payload_limit = self.payload_limit();
        let mut payloader = Payloader::new(input, payload_limit, self.config.packet_time)?;
        let Turned { id, orientation } = self.config.orientation;
        payloader.set_orientation(id, orientation);
        let timeline = Timeline::new(self.clock_rate_of(input), self.timestamp_offset);
        let payload_type = self.config.payload_type;
        self.outgoing.payload_type = payload_type.unwrap_or(codec.default_payload_type());
        self.media = Some(Media {
            payloader,
            timeline,
            aac_config: aac_config(input),
        });
        Ok(())
    }

    fn clock_rate_of(&self, input: &Input) -> u32 {
        let negotiated = self.config.audio_clock_rate;
        match input {
            Input::H264(_) | Input::H265(_) => VIDEO_CLOCK_RATE,
            Input::Opus { .. } => negotiated.unwrap_or(OPUS_CLOCK_RATE),
            Input::AacEld { config, .. } => negotiated.unwrap_or(config.sample_rate),
        }
    }

    /// Changes the largest UDP payload from the next buffer on.
    pub(crate) fn set_mtu(&mut self, mtu: usize) {
        self.config.mtu = mtu;
        self.apply_payload_limit();
    }

    /// Changes how a receiver has to turn the pictures, from the next one on.
    pub(crate) fn set_orientation(&mut self, turned: Turned) {
        self.config.orientation = turned;
        if let Some(media) = &mut self.media {
            media
                .payloader
                .set_orientation(turned.id, turned.orientation);
        }
        self.apply_payload_limit();
    }

    fn apply_payload_limit(&mut self) {
        let limit = self.payload_limit();
        if let Some(media) = &mut self.media {
            media.payloader.set_payload_limit(limit);
        }
    }

    /// Bytes that are left for the payload of a packet.
    fn payload_limit(&self) -> usize {
        let Turned { id, orientation } = self.config.orientation;
        let extension = orientation.extension(id).map_or(0, |e| e.len());
        let overhead = HEADER_LEN + RTP_OVERHEAD + extension;
        self.config.mtu.saturating_sub(overhead)
    }

    /// Suspends or resumes the media; they go on with a key frame, which is asked for.
    pub(crate) fn set_active(&mut self, active: bool, now: Instant) {
        if active == self.config.active {
            return;
        }
        self.config.active = active;
        self.begin_anew();
        if active && self.is_video() {
            self.session.request_key_frame(now);
        }
    }

    /// Goes on with a key frame after a seek or a flush.
    pub(crate) fn begin_anew(&mut self) {
        self.session.key_frame_missed();
        if let Some(media) = &mut self.media {
            media.payloader.restart();
        }
    }

    /// Takes one buffer of media that is presented at running time `time`.
    pub(crate) fn push(&mut self, data: &[u8], time: Duration, moment: &Moment) -> Payloaded {
        self.newest = Some((moment.now, time));
        let Some(media) = &mut self.media else {
            return Payloaded::default();
        };
        if !self.config.active {
            self.counters.dropped_inactive += 1;
            return Payloaded::default();
        }
        let Media {
            payloader,
            timeline,
            ..
        } = media;
        let done = payloader.push(data, time, timeline, &mut self.outgoing);
        if done.before_key > 0 {
            self.session.request_key_frame(moment.now);
        }
        self.count(done);
        done
    }

    /// The input ends: takes what is left over.
    pub(crate) fn finish(&mut self) {
        if let Some(media) = self.media.as_mut().filter(|_| self.config.active) {
            let Media {
                payloader,
                timeline,
                ..
            } = media;
            let done = payloader.finish(timeline, &mut self.outgoing);
            self.count(done);
        }
    }

    /// Moves the packets of all that was pushed into `packets`, in place of what that held. `None`
    /// if there are none.
    pub(crate) fn take(&mut self, packets: &mut SendBuffer) -> Option<Taken> {
        if self.outgoing.is_empty() {
            return None;
        }
        Some(Taken {
            payload_octets: self.outgoing.take(packets),
            key_frame: std::mem::take(&mut self.key_frame_queued),
        })
    }

    /// A part of what was taken has left.
    pub(crate) fn sent(&mut self, sent: Sent, now: Instant) {
        self.counters.send_errors += sent.errors;
        self.counters.bytes += sent.bytes;
        let Sent {
            packets,
            payload_octets,
            ..
        } = sent;
        self.session.media_sent(packets, payload_octets, now);
    }

    /// All that was taken has left; it took as long as `paced`. Returns whether a report is due:
    /// the first follows the first packets.
    pub(crate) fn frame_left(&mut self, taken: Taken, paced: Duration, now: Instant) -> bool {
        if taken.key_frame {
            self.session.key_frame_sent(now);
        }
        self.counters.paced_frames += u64::from(!paced.is_zero());
        self.counters.paced += paced;
        self.session.is_report_due(now)
    }

    /// `packets` of what was taken were given up.
    pub(crate) fn frame_flushed(&mut self, taken: Taken, packets: u64) {
        self.counters.packets_flushed += packets;
        if taken.key_frame {
            self.session.key_frame_missed();
        }
    }

    /// Puts a report into `packets`, in place of what that held, if one is due.
    pub(crate) fn take_report(&mut self, packets: &mut SendBuffer, moment: &Moment) -> bool {
        if !self.session.is_report_due(moment.now) {
            return false;
        }
        self.tell_reception(moment.now);
        let time = self.report_time(moment);
        let report = self.session.poll_report(moment.now, time);
        report.is_some_and(|report| self.take_rtcp(&report, packets))
    }

    /// A block is true for the moment it is sent: it says how long ago the last sender report came.
    fn tell_reception(&mut self, now: Instant) {
        let block = self.reception.as_mut().map(|r| r.report_block(now));
        self.session.set_reception(block);
    }

    /// Puts the farewell into `packets`, if anything was sent at all.
    pub(crate) fn take_bye(&mut self, packets: &mut SendBuffer, moment: &Moment) -> bool {
        if self.session.statistics().packets == 0 {
            return false;
        }
        self.tell_reception(moment.now);
        let time = self.report_time(moment);
        let bye = self.session.bye(time);
        self.take_rtcp(&bye, packets)
    }

    /// RTCP was not taken by the network.
    pub(crate) fn report_failed(&mut self) {
        self.counters.send_errors += 1;
    }

    /// The pace of large frames.
    pub(crate) fn pace(&self) -> Pace {
        self.config.pace
    }

    pub(crate) fn set_pace(&mut self, pace: Pace) {
        self.config.pace = pace;
    }

    /// The pace of a frame had to be raised.
    pub(crate) fn pace_raised(&mut self) {
        self.counters.pace_raised += 1;
    }

    /// Takes a datagram from the controller, and decrypts it in place.
    pub(crate) fn handle_datagram(&mut self, datagram: &mut [u8], moment: &Moment) -> Incoming {
        if !is_rtcp(datagram) {
            return self.handle_rtp(datagram, moment.now);
        }
        let accepted = match self.unprotect.unprotect_rtcp(datagram) {
            Ok(len) => self.handle_rtcp(&datagram[..len], moment),
            Err(_) => false,
        };
        self.counters.rtcp_rejected += u64::from(!accepted);
        Incoming::Done
    }

    fn handle_rtcp(&mut self, compound: &[u8], moment: &Moment) -> bool {
        let taken = self.session.handle_input(compound, moment.now, moment.ntp);
        if let Some(reception) = self.reception.as_mut().filter(|_| taken.is_ok()) {
            let messages = rtp_feedback::parse(compound).unwrap_or_default();
            reception.heard(&messages, moment.now);
        }
        taken.is_ok()
    }

    /// Takes sound of the controller. Only an audio stream has a use for RTP.
    fn handle_rtp(&mut self, datagram: &mut [u8], now: Instant) -> Incoming {
        let talkback = self.talkback();
        let Some(talkback) = talkback.filter(|t| is_rtp(datagram, t.payload_type)) else {
            self.counters.rtp_ignored += 1;
            return Incoming::Done;
        };
        match self.accept_rtp(datagram, &talkback, now) {
            Some(len) => {
                self.counters.talkback_packets += 1;
                Incoming::Talkback { len }
            }
            None => {
                self.counters.rtp_rejected += 1;
                Incoming::Done
            }
        }
    }

    /// Authenticates and decrypts an RTP packet, and sets its timestamp to the clock of the pad.
    fn accept_rtp(
        &mut self,
        datagram: &mut [u8],
        talkback: &Talkback,
        now: Instant,
    ) -> Option<usize> {
        let len = self.unprotect.unprotect_rtp(datagram).ok()?;
        let header = Packet::parse(&datagram[..len]).ok()?.header;
        if self
            .config
            .remote_ssrc
            .is_some_and(|ssrc| ssrc != header.ssrc)
        {
            return None;
        }
        let clock_rate = self.clock_rate()?;
        let reception = self.reception.take();
        let mut reception = reception
            .filter(|r| r.ssrc() == header.ssrc)
            .unwrap_or_else(|| Reception::new(header.ssrc, talkback.codec, clock_rate, now));
        let timestamp = reception.packet(&header, now);
        datagram[4..8].copy_from_slice(&timestamp.to_be_bytes());
        self.reception = Some(reception);
        Some(len)
    }

    /// What the controller's sound is, if there can be any: the same as ours.
    pub(crate) fn talkback(&self) -> Option<Talkback> {
        let media = self.media.as_ref()?;
        let codec = media.payloader.codec();
        (!codec.is_video()).then(|| Talkback {
            codec,
            payload_type: self.outgoing.payload_type,
            clock_rate: talkback_clock_rate(codec, media.timeline.clock_rate()),
            config: media.aac_config,
        })
    }

    /// What was received of the controller's sound.
    pub(crate) fn reception(&self) -> Option<&Reception> {
        self.reception.as_ref()
    }

    /// Changes the controller's source; `None` accepts any.
    pub(crate) fn set_remote_ssrc(&mut self, ssrc: Option<u32>) {
        self.config.remote_ssrc = ssrc;
        self.session.set_remote_ssrc(ssrc);
    }

    /// Lets time pass.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.session.handle_timeout(now);
    }

    /// When something is to be done, though nothing comes.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.session.poll_timeout()
    }

    /// The next event for the element.
    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.session.poll_event()
    }

    /// Clock rate of the media, once they are known.
    pub(crate) fn clock_rate(&self) -> Option<u32> {
        self.media.as_ref().map(|m| m.timeline.clock_rate())
    }

    fn is_video(&self) -> bool {
        let codec = self.media.as_ref().map(|media| media.payloader.codec());
        codec.is_some_and(Codec::is_video)
    }

    fn count(&mut self, done: Payloaded) {
        self.counters.frames += done.frames;
        self.counters.key_frames += done.key_frames;
        self.counters.dropped_before_key += done.before_key;
        self.counters.dropped_invalid += done.invalid;
        self.key_frame_queued |= done.key_frames > 0;
    }

    fn take_rtcp(&mut self, compound: &[u8], packets: &mut SendBuffer) -> bool {
        packets.clear();
        // The index of SRTCP ends after 2^31 reports, some 30 years.
        let protected = self.outgoing.protect_rtcp(compound, packets).is_ok();
        self.counters.bytes += packets.byte_len() as u64;
        protected
    }

    /// The present by the wall clock and by the media clock. Without a pipeline clock the running
    /// time is that of the newest buffer, and what passed since it came.
    fn report_time(&self, moment: &Moment) -> ReportTime {
        let elapsed =
            |(at, time): (Instant, Duration)| time + moment.now.saturating_duration_since(at);
        let running_time = moment.running_time.or(self.newest.map(elapsed));
        let timeline = self.media.as_ref().map(|media| &media.timeline);
        ReportTime {
            ntp: moment.ntp,
            rtp_timestamp: timeline.map_or(0, |t| t.at(running_time.unwrap_or_default())),
        }
    }
}

fn session(config: &StreamConfig, ssrc: u32) -> SenderSession {
    let mut session = SenderSession::new(SenderConfig {
        ssrc,
        remote_ssrc: config.remote_ssrc,
        canonical_name: config.canonical_name.clone(),
        report_interval: config.report_interval,
        silence_timeout: config.silence_timeout,
        key_frame_interval: config.key_frame_interval,
    });
    session.set_bitrate_range(u64::from(config.min_bitrate.max(1)), None);
    session
}

/// Whether the datagram is RTP of this payload type.
fn is_rtp(datagram: &[u8], payload_type: u8) -> bool {
    let second = datagram.get(1).map(|byte| byte & 0x7f);
    datagram.len() > HEADER_LEN && datagram[0] >> 6 == 2 && second == Some(payload_type)
}

fn aac_config(input: &Input) -> Option<rtp_payload::aac::Config> {
    match input {
        Input::AacEld { config, .. } => Some(*config),
        _ => None,
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
