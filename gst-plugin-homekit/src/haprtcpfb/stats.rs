//! The `stats` property.

use super::feedback::Feedback;

pub(crate) fn structure(feedback: &Feedback) -> gst::Structure {
    let counters = feedback.counters();
    let rtcp = feedback.statistics();
    let report = rtcp.last_report.unwrap_or_default();
    let trip = rtcp.round_trip_time.unwrap_or_default();
    gst::Structure::builder("application/x-haprtcpfb-stats")
        .field("ssrc", feedback.ssrc().unwrap_or(0))
        .field("key-frames", counters.key_frames)
        .field("sender-reports", rtcp.sender_reports)
        .field("reports-held", counters.reports_held)
        .field("rtcp-received", rtcp.rtcp_received)
        .field("rtcp-rejected", counters.rtcp_rejected)
        .field("pli-received", rtcp.picture_losses)
        .field("pli-ignored", rtcp.picture_losses_ignored)
        .field("fir-received", rtcp.full_intra_requests)
        .field("tmmbr-received", rtcp.max_bitrate_requests)
        .field("tstr-received", rtcp.trade_off_requests)
        .field("nack-received", rtcp.nacked_packets)
        .field("fraction-lost", f64::from(report.fraction_lost) / 256.0)
        .field("packets-lost", report.cumulative_lost)
        .field("jitter", report.jitter)
        .field("round-trip-time-us", trip.as_micros() as u64)
        .build()
}
