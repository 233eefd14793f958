use std::time::{Duration, Instant};

use crate::ReportBlock;

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
    /// Of these, those that the last key frame repaired or the next one was to.
    pub picture_losses_ignored: u64,
    /// Full intra requests for this stream, repetitions included.
    pub full_intra_requests: u64,
    /// Requests to cap the bitrate of this stream.
    pub max_bitrate_requests: u64,
    /// Requests for another trade-off, repetitions included.
    pub trade_off_requests: u64,
    /// Packets that generic NACKs asked for.
    pub nacked_packets: u64,
    /// The last report block about this stream.
    pub last_report: Option<ReportBlock>,
    /// The last round trip time.
    pub round_trip_time: Option<Duration>,
    /// The cap obeyed, in bit/s; `None` before the first request.
    pub max_bitrate: Option<u64>,
    /// When the controller was last heard.
    pub last_heard: Option<Instant>,
}
