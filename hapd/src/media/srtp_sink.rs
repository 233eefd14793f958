//! The element `hapsrtpsink` as a session sees it: its properties and counters.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use gst::prelude::*;

use super::params::{AudioParams, MediaEndpoint, MediaError, SrtpSuite, VideoParams};

/// Silence of the controller after which the session is over.
pub(super) const RTCP_TIMEOUT: Duration = Duration::from_secs(30);
/// Counters of one medium.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct StreamStats {
    /// RTP packets sent.
    pub packets: u64,
    /// Bytes of UDP payload sent.
    pub bytes: u64,
    /// Access units or Opus packets sent.
    pub frames: u64,
    /// Key frames sent.
    pub key_frames: u64,
    /// Sender reports sent.
    pub sender_reports: u64,
    /// RTCP packets of the controller.
    pub rtcp_received: u64,
    /// Packets the system did not take.
    pub send_errors: u64,
    /// Packets the controller misses, by its own account.
    pub packets_lost: i32,
    /// Share of the packets the controller misses of late, by its last report: 0 to 1.
    pub fraction_lost: f64,
    /// Time since the controller's last RTCP.
    pub last_rtcp: Option<Duration>,
    /// Frames left out because the viewer was too slow.
    pub dropped: u64,
}

/// Makes a sink for one medium.
pub(super) fn make(
    name: &str,
    local: IpAddr,
    endpoint: &MediaEndpoint,
) -> Result<gst::Element, MediaError> {
    let missing = |_| MediaError::MissingElement("hapsrtpsink".into());
    let sink = gst::ElementFactory::make("hapsrtpsink")
        .name(name)
        .build()
        .map_err(missing)?;
    set_endpoint(&sink, local, endpoint);
    Ok(sink)
}

fn set_endpoint(sink: &gst::Element, local: IpAddr, endpoint: &MediaEndpoint) {
    sink.set_property("host", host_text(endpoint.remote));
    sink.set_property("port", u32::from(endpoint.remote.port()));
    sink.set_property("bind-address", bind_text(local));
    sink.set_property("ssrc", endpoint.ssrc);
    let suite = match endpoint.key.suite() {
        SrtpSuite::Aes128 => "aes-cm-128-hmac-sha1-80",
        SrtpSuite::Aes256 => "aes-cm-256-hmac-sha1-80",
    };
    sink.set_property_from_str("srtp-suite", suite);
    sink.set_property("srtp-key", gst::Buffer::from_slice(endpoint.key.bytes()));
    sink.set_property(
        "srtp-remote-key",
        gst::Buffer::from_slice(endpoint.remote_key.bytes()),
    );
    sink.set_property("rtcp-timeout", RTCP_TIMEOUT.as_millis() as u32);
    // Frames come in the thread that serves all viewers: nothing may wait in it.
    sink.set_property("blocking", false);
    // What comes from memory has been in time already.
    sink.set_property("sync", false);
}

fn host_text(remote: SocketAddr) -> String {
    match remote {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
        other => other.ip().to_string(),
    }
}

/// A link-local address cannot be bound without naming its interface.
fn bind_text(local: IpAddr) -> String {
    match local {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => "::".to_owned(),
        other => other.to_string(),
    }
}

/// The port it has opened.
pub(super) fn bound_port(sink: &gst::Element) -> Result<u16, MediaError> {
    u16::try_from(sink.property::<u32>("bind-port"))
        .ok()
        .filter(|port| *port != 0)
        .ok_or_else(|| MediaError::Ports("the system chose none".to_owned()))
}

/// What was settled for video.
pub(super) fn set_video(sink: &gst::Element, video: &VideoParams) {
    sink.set_property("payload-type", u32::from(video.payload_type));
    sink.set_property("remote-ssrc", video.remote_ssrc);
    if let Some(mtu) = video.mtu {
        sink.set_property("mtu", u32::from(mtu));
    }
    if let Some(interval) = video.rtcp_interval {
        set_rtcp_interval(sink, interval);
    }
}

/// What was settled for audio.
pub(super) fn set_audio(sink: &gst::Element, audio: &AudioParams) {
    sink.set_property("payload-type", u32::from(audio.payload_type));
    sink.set_property("remote-ssrc", audio.remote_ssrc);
    sink.set_property("clock-rate", audio.sample_rate);
    sink.set_property("packet-time", u32::from(audio.packet_time_ms));
    if let Some(interval) = audio.rtcp_interval {
        set_rtcp_interval(sink, interval);
    }
}

/// Time between sender reports.
pub(super) fn set_rtcp_interval(sink: &gst::Element, interval: Duration) {
    sink.set_property(
        "rtcp-interval",
        interval.as_millis().clamp(100, 60_000) as u32,
    );
}

/// Counters now.
pub(super) fn stats(sink: &gst::Element) -> StreamStats {
    let Some(stats) = sink.property::<Option<gst::Structure>>("stats") else {
        return StreamStats::default();
    };
    let count = |field| stats.get::<u64>(field).unwrap_or(0);
    StreamStats {
        packets: count("packets-sent"),
        bytes: count("bytes-sent"),
        frames: count("frames-sent"),
        key_frames: count("key-frames-sent"),
        sender_reports: count("sender-reports"),
        rtcp_received: count("rtcp-received"),
        send_errors: count("send-errors"),
        packets_lost: stats.get("packets-lost").unwrap_or(0),
        fraction_lost: stats.get("fraction-lost").unwrap_or(0.0),
        last_rtcp: Some(count("last-rtcp-age-ms"))
            .filter(|ms| *ms != u64::MAX)
            .map(Duration::from_millis),
        dropped: 0,
    }
}
