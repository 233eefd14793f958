//! The properties: what they are called, and what they say of themselves.

use gst::glib::{self, ParamSpec};
use gst::prelude::*;

use super::SrtpSuite;
use super::settings::{DEFAULT_MTU, DEFAULT_PACING, DEFAULT_RTCP_INTERVAL, DEFAULT_RTCP_TIMEOUT};

const MIN_MTU: u32 = 128;
const MAX_MTU: u32 = 65_507;

/// Begins a `ParamSpecUInt`, whose builder has no name outside of glib.
macro_rules! uint {
    ($name:expr, $nick:expr, $blurb:expr $(,)?) => {
        glib::ParamSpecUInt::builder($name)
            .nick($nick)
            .blurb($blurb)
    };
}

pub(crate) fn list() -> Vec<ParamSpec> {
    [address(), stream(), protection(), rate(), feedback()].concat()
}

fn address() -> Vec<ParamSpec> {
    vec![
        glib::ParamSpecString::builder("host")
            .nick("Host")
            .blurb("Address of the controller, IPv4 or IPv6 (with a zone: fe80::1%eth0)")
            .mutable_playing()
            .build(),
        uint!("port", "Port", "UDP port of the controller, RTP and RTCP")
            .maximum(65_535)
            .mutable_playing()
            .build(),
        glib::ParamSpecString::builder("bind-address")
            .nick("Bind address")
            .blurb("Local address; empty or :: = all of IPv6 and IPv4, 0.0.0.0 = all of IPv4")
            .build(),
        uint!(
            "bind-port",
            "Bind port",
            "Local UDP port, RTP and RTCP; 0 = let the system choose. From READY on it reads as \
             the port in use, which is notified",
        )
        .maximum(65_535)
        .build(),
    ]
}

fn stream() -> Vec<ParamSpec> {
    vec![
        uint!(
            "ssrc",
            "SSRC",
            "Synchronisation source of what is sent; 0 = random. From PAUSED on it reads as the \
             one in use",
        )
        .mutable_ready()
        .build(),
        uint!(
            "remote-ssrc",
            "Remote SSRC",
            "Synchronisation source of the controller; RTCP of others is rejected; 0 = any",
        )
        .mutable_playing()
        .build(),
        uint!(
            "payload-type",
            "Payload type",
            "RTP payload type; 0 = by media: 99 for video, 110 for audio",
        )
        .maximum(127)
        .mutable_ready()
        .build(),
        uint!(
            "mtu",
            "MTU",
            "Largest UDP payload in bytes, RTP header and SRTP tag included",
        )
        .minimum(MIN_MTU)
        .maximum(MAX_MTU)
        .default_value(DEFAULT_MTU)
        .mutable_playing()
        .build(),
        uint!(
            "clock-rate",
            "Clock rate",
            "RTP clock of audio in Hz: the negotiated sample rate; 0 = 48000 for Opus, that of the \
             caps for AAC-ELD",
        )
        .maximum(192_000)
        .mutable_ready()
        .build(),
        uint!(
            "packet-time",
            "Packet time",
            "Duration of an audio packet in ms; 0 = as the packets come",
        )
        .maximum(120)
        .mutable_ready()
        .build(),
        uint!(
            "cvo-id",
            "CVO id",
            "Negotiated id of the header extension for the orientation of video; 0 = none",
        )
        .maximum(14)
        .mutable_playing()
        .build(),
        uint!(
            "video-orientation",
            "Video orientation",
            "How a receiver has to turn pictures, where cvo-id is set: 0 to 3 quarter turns \
             clockwise, + 4 to mirror them, + 8 for the back camera (3GPP TS 26.114)",
        )
        .maximum(15)
        .mutable_playing()
        .build(),
        glib::ParamSpecBoolean::builder("active")
            .nick("Active")
            .blurb(
                "false = suspended: nothing but RTCP is sent; true again = a key frame is asked \
                 for, and the stream goes on with it",
            )
            .default_value(true)
            .mutable_playing()
            .build(),
    ]
}

fn protection() -> Vec<ParamSpec> {
    vec![
        glib::ParamSpecEnum::builder::<SrtpSuite>("srtp-suite")
            .nick("SRTP suite")
            .blurb("Crypto suite of both directions")
            .mutable_ready()
            .build(),
        glib::ParamSpecBoxed::builder::<gst::Buffer>("srtp-key")
            .nick("SRTP key")
            .blurb("Master key and master salt, joined, of what is sent: 30 or 46 bytes")
            .write_only()
            .mutable_ready()
            .build(),
        glib::ParamSpecBoxed::builder::<gst::Buffer>("srtp-remote-key")
            .nick("SRTP remote key")
            .blurb(
                "Master key and master salt, joined, of what is received: 30 or 46 bytes; unset = \
                 those of srtp-key",
            )
            .write_only()
            .mutable_ready()
            .build(),
    ]
}

fn rate() -> Vec<ParamSpec> {
    vec![
        glib::ParamSpecDouble::builder("pacing")
            .nick("Pacing")
            .blurb(
                "Multiple of the bitrate at which a key frame or a burst leaves; 0 = all at once. \
                 Nothing is held back for more than 250 ms",
            )
            .minimum(0.0)
            .maximum(1000.0)
            .default_value(DEFAULT_PACING)
            .mutable_playing()
            .build(),
        glib::ParamSpecBoolean::builder("blocking")
            .nick("Blocking")
            .blurb(
                "Where a frame waits for its pace or for room in the socket: in the streaming \
                 thread; false = in a thread of the sink, or not at all, for sources that serve \
                 several sinks from one thread",
            )
            .default_value(true)
            .mutable_ready()
            .build(),
        uint!(
            "target-bitrate",
            "Target bitrate",
            "Bitrate that pacing multiplies, in bit/s, unless max-bitrate is known or more is \
             measured; 0 = measured",
        )
        .mutable_playing()
        .build(),
        uint!(
            "min-bitrate",
            "Minimum bitrate",
            "Least bitrate that can be done, in bit/s: a TMMBR for less is answered with this",
        )
        .mutable_playing()
        .build(),
        uint!(
            "max-bitrate",
            "Maximum bitrate",
            "What the controller asked for by TMMBR, in bit/s; 0 = nothing",
        )
        .read_only()
        .build(),
        uint!(
            "key-frame-interval",
            "Key frame interval",
            "Longest time between key frames in ms, counted anew from each; 0 = the encoder's own",
        )
        .mutable_playing()
        .build(),
    ]
}

fn feedback() -> Vec<ParamSpec> {
    vec![
        uint!(
            "rtcp-interval",
            "RTCP interval",
            "Time between two sender reports in ms",
        )
        .minimum(10)
        .default_value(DEFAULT_RTCP_INTERVAL)
        .mutable_playing()
        .build(),
        uint!(
            "rtcp-timeout",
            "RTCP timeout",
            "Silence of the controller in ms after which hapsrtpsink-rtcp-timeout is posted; 0 = \
             never",
        )
        .default_value(DEFAULT_RTCP_TIMEOUT)
        .mutable_playing()
        .build(),
        glib::ParamSpecString::builder("cname")
            .nick("CNAME")
            .blurb(
                "Canonical name in RTCP, the same for audio and video of one camera; empty = one \
                 that is random and common to all sinks of the process",
            )
            .mutable_ready()
            .build(),
        glib::ParamSpecBoxed::builder::<gst::Structure>("stats")
            .nick("Statistics")
            .blurb("Counters of this stream; see the documentation for its fields")
            .read_only()
            .build(),
    ]
}
