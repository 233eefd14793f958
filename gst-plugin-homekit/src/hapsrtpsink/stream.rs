//! One stream: media and RTCP in, SRTP and events out. No sockets, no clock, no pipeline.
//!
//! What is to be sent is taken out ([`Stream::take`], [`Stream::take_report`]) and sent with nothing
//! locked; afterwards the stream is told ([`Stream::sent`], [`Stream::frame_left`]).

use std::time::{Duration, Instant};

use rtp_feedback::{Event, ReportTime, SenderConfig, SenderSession, is_rtcp};
use rtp_payload::HEADER_LEN;
use srtp::{MasterKey, RTP_OVERHEAD, Receiver};

use super::media::{Input, Kind};
use super::moment::Moment;
use super::outgoing::Outgoing;
use super::pacer::Pace;
use super::payloader::{ConfigureError, Payloaded, Payloader};
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
    /// RTP clock of Opus.
    pub(crate) opus_clock_rate: u32,
    /// Duration of an Opus packet; `None`: as they come.
    pub(crate) packet_time: Option<Duration>,
    pub(crate) canonical_name: String,
    pub(crate) report_interval: Duration,
    pub(crate) silence_timeout: Option<Duration>,
    /// Whether media go out; RTCP always does.
    pub(crate) active: bool,
    pub(crate) pace: Pace,
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
    pub(crate) rtp_ignored: u64,
}

/// RTP clock of video (RFC 6184 §8.2.1).
const VIDEO_CLOCK_RATE: u32 = 90_000;

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
            return media.payloader.configure(input);
        }
        let kind = input.kind();
        let payload_limit = payload_limit(self.config.mtu);
        let payloader = Payloader::new(input, payload_limit, self.config.packet_time)?;
        let clock_rate = match kind {
            Kind::Video => VIDEO_CLOCK_RATE,
            Kind::Audio => self.config.opus_clock_rate,
        };
        let timeline = Timeline::new(clock_rate, self.timestamp_offset);
        let payload_type = self.config.payload_type;
        self.outgoing.payload_type = payload_type.unwrap_or(kind.default_payload_type());
        self.media = Some(Media {
            payloader,
            timeline,
        });
        Ok(())
    }

    /// Changes the largest UDP payload from the next buffer on.
    pub(crate) fn set_mtu(&mut self, mtu: usize) {
        self.config.mtu = mtu;
        if let Some(media) = &mut self.media {
            media.payloader.set_payload_limit(payload_limit(mtu));
        }
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
        let time = self.report_time(moment);
        let report = self.session.poll_report(moment.now, time);
        report.is_some_and(|report| self.take_rtcp(&report, packets))
    }

    /// Puts the farewell into `packets`, if anything was sent at all.
    pub(crate) fn take_bye(&mut self, packets: &mut SendBuffer, moment: &Moment) -> bool {
        if self.session.statistics().packets == 0 {
            return false;
        }
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
    pub(crate) fn handle_datagram(&mut self, datagram: &mut [u8], moment: &Moment) {
        if !is_rtcp(datagram) {
            self.counters.rtp_ignored += 1;
            return;
        }
        let accepted = match self.unprotect.unprotect_rtcp(datagram) {
            Ok(len) => {
                let compound = &datagram[..len];
                let taken = self.session.handle_input(compound, moment.now, moment.ntp);
                taken.is_ok()
            }
            Err(_) => false,
        };
        self.counters.rtcp_rejected += u64::from(!accepted);
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
        let kind = self.media.as_ref().map(|media| media.payloader.kind());
        kind == Some(Kind::Video)
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
    SenderSession::new(SenderConfig {
        ssrc,
        remote_ssrc: config.remote_ssrc,
        canonical_name: config.canonical_name.clone(),
        report_interval: config.report_interval,
        silence_timeout: config.silence_timeout,
        key_frame_interval: None,
    })
}

/// Bytes that are left for the payload of a packet.
fn payload_limit(mtu: usize) -> usize {
    mtu.saturating_sub(HEADER_LEN + RTP_OVERHEAD)
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
