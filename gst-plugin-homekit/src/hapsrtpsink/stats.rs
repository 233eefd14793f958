//! The `stats` property.

use std::time::Instant;

use super::stream::Stream;

/// Statistics of `stream`, or all zero where there is none.
pub(crate) fn structure(
    stream: Option<&Stream>,
    talkback_dropped: u64,
    now: Instant,
) -> gst::Structure {
    let counters = stream.map(|s| *s.counters()).unwrap_or_default();
    let rtcp = stream
        .map(|s| *s.session().statistics())
        .unwrap_or_default();
    let received = stream.and_then(Stream::reception).map(|r| r.statistics());
    let report = rtcp.last_report.unwrap_or_default();
    let trip = rtcp.round_trip_time.unwrap_or_default();
    let age = rtcp
        .last_heard
        .map(|heard| now.saturating_duration_since(heard).as_millis() as u64);
    gst::Structure::builder("application/x-hapsrtpsink-stats")
        .field("packets-sent", rtcp.packets)
        .field("bytes-sent", counters.bytes)
        .field("octets-sent", rtcp.octets)
        .field("frames-sent", counters.frames)
        .field("key-frames-sent", counters.key_frames)
        .field("dropped-before-key", counters.dropped_before_key)
        .field("dropped-inactive", counters.dropped_inactive)
        .field("dropped-invalid", counters.dropped_invalid)
        .field("sender-reports", rtcp.sender_reports)
        .field("send-errors", counters.send_errors)
        .field("packets-flushed", counters.packets_flushed)
        .field("paced-frames", counters.paced_frames)
        .field("paced-us", counters.paced.as_micros() as u64)
        .field("pace-raised", counters.pace_raised)
        .field("rtcp-received", rtcp.rtcp_received)
        .field("rtcp-rejected", counters.rtcp_rejected)
        .field("rtp-rejected", counters.rtp_rejected)
        .field("rtp-ignored", counters.rtp_ignored)
        .field("talkback-packets", counters.talkback_packets)
        .field("talkback-lost", received.map_or(0, |r| r.lost()))
        .field("talkback-jitter", received.map_or(0, |r| r.jitter()))
        .field("talkback-dropped", talkback_dropped)
        .field("pli-received", rtcp.picture_losses)
        .field("pli-ignored", rtcp.picture_losses_ignored)
        .field("fir-received", rtcp.full_intra_requests)
        .field("tmmbr-received", rtcp.max_bitrate_requests)
        .field("tstr-received", rtcp.trade_off_requests)
        .field("nack-received", rtcp.nacked_packets)
        .field("fraction-lost", f64::from(report.fraction_lost) / 256.0)
        .field("packets-lost", report.cumulative_lost)
        .field("jitter", report.jitter)
        .field(
            "clock-rate",
            stream.and_then(Stream::clock_rate).unwrap_or(0),
        )
        .field("round-trip-time-us", trip.as_micros() as u64)
        .field("last-rtcp-age-ms", age.unwrap_or(u64::MAX))
        .build()
}
