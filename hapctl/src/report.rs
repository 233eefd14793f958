//! What `hapctl view` found out, as JSON and as a table.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rtp_feedback::ReceiverStatistics;
use serde::Serialize;

use crate::audio::Audio;
use crate::feedback::FeedbackReport;
use crate::output;
use crate::spread::{Spread, tenths};
use crate::track::{Agreement, Seen};
use crate::video::Video;

/// One medium. Times in ms count from the Start command.
#[derive(Debug, Clone, Serialize)]
pub struct TrackReport {
    /// Codec.
    pub codec: &'static str,
    /// Of video.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub video: Option<VideoReport>,
    /// Of audio.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub audio: Option<AudioReport>,
    /// RTP packets received.
    pub packets: u64,
    /// Their bytes, with RTP header, without SRTP tag.
    pub bytes: u64,
    /// Packets missing, by sequence numbers.
    pub lost: i64,
    /// The camera's source.
    pub ssrc: u32,
    /// Payload type of the first packet.
    pub payload_type: Option<u8>,
    /// First packet.
    pub first_packet_ms: Option<u64>,
    /// Sender reports received.
    pub sender_reports: u64,
    /// Mean bitrate between the first and the last packet.
    pub bitrate_kbps: f64,
    /// Interarrival jitter.
    pub jitter_ms: f64,
    /// Longest time without a packet.
    pub longest_gap_ms: u64,
    /// Largest UDP payload.
    pub largest_datagram: usize,
    /// Packets sent so far, as the last sender report says.
    pub packets_sent: Option<u32>,
    /// Receiver reports sent.
    pub receiver_reports_sent: u64,
    /// Sender reports sent, while talking.
    pub sender_reports_sent: u64,
    /// Packets dropped on purpose, which count as lost.
    pub dropped: u64,
    /// What was asked of the camera, and what came of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<FeedbackReport>,
    /// With PLI on loss: from the PLI for a loss to the next whole key frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery_ms: Option<Spread>,
    /// Packets sent to the camera's speaker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub talked_packets: Option<usize>,
    /// Round trip of our sender reports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt_ms: Option<Spread>,
    /// The camera said BYE.
    pub bye: bool,
    /// Packets that came twice.
    pub repeated: u64,
    /// Packets whose SRTP tag is wrong, or that are no SRTP.
    pub undecryptable: u64,
    /// Packets of another source or payload type than agreed.
    pub unexpected: u64,
    /// Packets that are no RTP or RTCP.
    pub malformed: u64,
    /// Where the first packet came from.
    pub source: Option<SocketAddr>,
    /// It came from the address and port that were announced.
    pub source_as_announced: bool,
}

/// What only video has.
#[derive(Debug, Clone, Serialize)]
pub struct VideoReport {
    /// Width in the last parameter set received.
    pub width: Option<u32>,
    /// Height in the last parameter set received.
    pub height: Option<u32>,
    /// Pictures a decoder can start with.
    pub key_frames: u64,
    /// The first whole one.
    pub first_key_frame_ms: Option<u64>,
    /// Pictures.
    pub frames: u64,
    /// Pictures with a packet missing.
    pub damaged_frames: u64,
    /// Payloads that are no H.264.
    pub malformed_payloads: u64,
    /// Every picture size in turn.
    pub sizes: Vec<SizeReport>,
}

/// A picture size and since when it came.
#[derive(Debug, Clone, Serialize)]
pub struct SizeReport {
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
    /// `profile_idc`.
    pub profile: u8,
    /// `level_idc`.
    pub level: u8,
    /// Time of its first key frame.
    pub since_ms: Option<u64>,
}

/// What only audio has.
#[derive(Debug, Clone, Serialize)]
pub struct AudioReport {
    /// Duration of a packet, as the packets themselves say.
    pub packet_time_ms: Option<u32>,
    /// Sound received.
    pub sound_ms: u64,
    /// Packets whose timestamp does not follow from the one before.
    pub timestamp_errors: u64,
    /// Payloads that are no Opus.
    pub malformed_payloads: u64,
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl TrackReport {
    pub(crate) fn new(
        agreement: &Agreement,
        seen: &Seen,
        statistics: &ReceiverStatistics,
        since: impl Fn(Option<Instant>) -> Option<Duration>,
        video: Option<VideoReport>,
        audio: Option<AudioReport>,
    ) -> Self {
        let jitter = f64::from(statistics.jitter()) * 1000.0 / f64::from(agreement.clock_rate);
        Self {
            codec: agreement.codec,
            video,
            audio,
            packets: seen.packets,
            bytes: seen.bytes,
            lost: statistics.lost(),
            ssrc: agreement.ssrc,
            payload_type: seen.payload_type,
            first_packet_ms: since(seen.first_packet).map(ms),
            sender_reports: seen.sender_reports,
            bitrate_kbps: tenths(bitrate_kbps(seen)),
            jitter_ms: tenths(jitter),
            longest_gap_ms: ms(seen.longest_gap),
            largest_datagram: seen.largest,
            packets_sent: seen.sender_info.map(|i| i.packets),
            receiver_reports_sent: seen.receiver_reports_sent,
            sender_reports_sent: seen.sender_reports_sent,
            dropped: seen.dropped,
            requests: Vec::new(),
            recovery_ms: None,
            talked_packets: None,
            rtt_ms: None,
            bye: seen.bye,
            repeated: seen.repeated,
            undecryptable: seen.undecryptable,
            unexpected: seen.unexpected,
            malformed: seen.malformed,
            source: seen.source,
            source_as_announced: seen.source == Some(agreement.remote),
        }
    }

    pub(crate) fn with_requests(self, requests: Vec<FeedbackReport>) -> Self {
        Self { requests, ..self }
    }

    pub(crate) fn with_recovery(self, times: Option<Vec<f64>>) -> Self {
        let recovery_ms = times.and_then(Spread::of);
        Self {
            recovery_ms,
            ..self
        }
    }

    pub(crate) fn with_talk(self, packets: Option<usize>, round_trips: &[f64]) -> Self {
        Self {
            talked_packets: packets,
            rtt_ms: Spread::of(round_trips.to_vec()),
            ..self
        }
    }

    /// One line while it runs.
    #[must_use]
    pub fn progress(&self) -> String {
        let size = self
            .video
            .as_ref()
            .and_then(|v| Some((v.width?, v.height?)));
        let size = size.map_or(String::new(), |(w, h)| format!(" {w}x{h}"));
        format!(
            "{}{size} {:.0} kbit/s, {} packets, {} lost",
            self.codec, self.bitrate_kbps, self.packets, self.lost
        )
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let time = |t: Option<u64>| t.map_or("never".into(), |t| format!("{t} ms"));
        let mut rows = vec![
            ("codec", self.codec.to_owned()),
            ("packets", self.packets.to_string()),
            ("bytes", self.bytes.to_string()),
            ("bitrate", format!("{} kbit/s", self.bitrate_kbps)),
            ("lost", self.lost.to_string()),
            ("jitter", format!("{} ms", self.jitter_ms)),
            ("longest gap", format!("{} ms", self.longest_gap_ms)),
            ("first packet", time(self.first_packet_ms)),
            ("sender reports", self.sender_reports.to_string()),
        ];
        if let Some(v) = &self.video {
            rows.extend(v.rows());
        }
        if let Some(a) = &self.audio {
            rows.extend(a.rows());
        }
        rows.extend(self.experiments());
        rows.extend(self.oddities());
        rows
    }

    /// What was done on purpose.
    fn experiments(&self) -> Vec<(&'static str, String)> {
        let dropped = (self.dropped > 0).then(|| self.dropped.to_string());
        let cells = [
            ("dropped on purpose", dropped),
            ("recovery", self.recovery_ms.map(|s| s.to_string())),
            ("packets talked", self.talked_packets.map(|n| n.to_string())),
            ("round trip", self.rtt_ms.map(|s| s.to_string())),
        ];
        let done = cells.into_iter();
        done.filter_map(|(name, cell)| Some((name, cell?)))
            .collect()
    }

    /// Counts that should be zero, where they are not.
    fn oddities(&self) -> Vec<(&'static str, String)> {
        let counts = [
            ("repeated packets", self.repeated),
            ("undecryptable packets", self.undecryptable),
            ("unexpected packets", self.unexpected),
            ("malformed packets", self.malformed),
        ];
        let mut rows: Vec<(&'static str, String)> = counts
            .into_iter()
            .filter(|(_, n)| *n > 0)
            .map(|(name, n)| (name, n.to_string()))
            .collect();
        if let (Some(source), false) = (self.source, self.source_as_announced) {
            rows.push(("not from the announced port", source.to_string()));
        }
        rows
    }
}

fn bitrate_kbps(seen: &Seen) -> f64 {
    match (seen.first_packet, seen.last_packet) {
        (Some(first), Some(last)) if last > first => {
            seen.bytes as f64 * 8.0 / 1000.0 / (last - first).as_secs_f64()
        }
        _ => 0.0,
    }
}

impl VideoReport {
    pub(crate) fn new(video: &Video, since: impl Fn(Option<Instant>) -> Option<Duration>) -> Self {
        let last = video.sizes.last().map(|(sps, _)| sps);
        let size = |(sps, at): &(crate::sps::Sps, Instant)| SizeReport {
            width: sps.width,
            height: sps.height,
            profile: sps.profile,
            level: sps.level,
            since_ms: since(Some(*at)).map(ms),
        };
        Self {
            width: last.map(|s| s.width),
            height: last.map(|s| s.height),
            key_frames: video.key_frames,
            first_key_frame_ms: since(video.first_key_frame).map(ms),
            frames: video.frames,
            damaged_frames: video.damaged_frames,
            malformed_payloads: video.malformed,
            sizes: video.sizes.iter().map(size).collect(),
        }
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let sizes: Vec<String> = self
            .sizes
            .iter()
            .map(|s| format!("{}x{}", s.width, s.height))
            .collect();
        let first = self.first_key_frame_ms;
        vec![
            ("size", sizes.join(", then ")),
            (
                "frames",
                format!("{} ({} damaged)", self.frames, self.damaged_frames),
            ),
            ("key frames", self.key_frames.to_string()),
            (
                "first key frame",
                first.map_or("never".into(), |t| format!("{t} ms")),
            ),
        ]
    }
}

impl AudioReport {
    pub(crate) fn new(audio: &Audio) -> Self {
        Self {
            packet_time_ms: audio.packet_time_ms,
            sound_ms: audio.samples / 48,
            timestamp_errors: audio.timestamp_errors,
            malformed_payloads: audio.malformed,
        }
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let mut rows = vec![("sound", format!("{:.2} s", self.sound_ms as f64 / 1000.0))];
        if let Some(time) = self.packet_time_ms {
            rows.push(("packet time", format!("{time} ms")));
        }
        if self.timestamp_errors > 0 {
            rows.push(("wrong timestamps", self.timestamp_errors.to_string()));
        }
        rows
    }
}

/// The summary for people: a line per figure, a column per medium, then a line per request.
#[must_use]
pub fn summary(
    video: &TrackReport,
    audio: Option<&TrackReport>,
    av_offset: Option<Spread>,
) -> String {
    let mut parts = vec![table(video, audio)];
    parts.extend(av_offset.map(|s| format!("video after sound  {s}")));
    parts.extend(video.requests.iter().map(FeedbackReport::line));
    parts.join("\n")
}

fn table(video: &TrackReport, audio: Option<&TrackReport>) -> String {
    let (video, audio) = (
        video.rows(),
        audio.map(TrackReport::rows).unwrap_or_default(),
    );
    let mut names: Vec<&str> = video.iter().map(|(name, _)| *name).collect();
    names.extend(
        audio
            .iter()
            .map(|(name, _)| *name)
            .filter(|n| !video.iter().any(|v| v.0 == *n)),
    );
    let mut rows = vec![vec!["".into(), "video".into(), "audio".into()]];
    rows.extend(names.into_iter().map(|name| {
        let cell = |of: &[(&str, String)]| {
            let found = of.iter().find(|(n, _)| *n == name);
            found.map(|(_, v)| v.clone()).unwrap_or_default()
        };
        vec![name.to_owned(), cell(&video), cell(&audio)]
    }));
    output::table(&rows)
}
