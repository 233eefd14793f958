//! The properties: what they are called, and what they say of themselves.

use gst::glib::{self, ParamSpec};
use gst::prelude::*;

use super::Role;
use super::settings::{DEFAULT_MIN_BITRATE, DEFAULT_REPORT_INTERVAL};

/// Begins a `ParamSpecUInt`, whose builder has no name outside of glib.
macro_rules! uint {
    ($name:expr, $nick:expr, $blurb:expr $(,)?) => {
        glib::ParamSpecUInt::builder($name)
            .nick($nick)
            .blurb($blurb)
    };
}

pub(crate) fn list() -> Vec<ParamSpec> {
    [place(), rules(), state()].concat()
}

fn place() -> Vec<ParamSpec> {
    vec![
        glib::ParamSpecEnum::builder::<Role>("role")
            .nick("Role")
            .blurb("What passes through this element; a stream has one of each")
            .mutable_ready()
            .build(),
        glib::ParamSpecString::builder("stream")
            .nick("Stream")
            .blurb("Name of the stream within its pipeline: elements with the same one belong together")
            .mutable_ready()
            .build(),
    ]
}

fn rules() -> Vec<ParamSpec> {
    vec![
        uint!(
            "ssrc",
            "SSRC",
            "Synchronisation source of the stream; 0 = that of the first sender report. Reads as \
             the one in use",
        )
        .mutable_ready()
        .build(),
        uint!(
            "min-bitrate",
            "Minimum bitrate",
            "Least bitrate that a TMMBR is taken for, in bit/s",
        )
        .minimum(1)
        .default_value(DEFAULT_MIN_BITRATE)
        .mutable_playing()
        .build(),
        uint!(
            "key-frame-interval",
            "Key frame interval",
            "Time after the last key frame when another is asked for, in ms; 0 = left to the encoder",
        )
        .mutable_playing()
        .build(),
        uint!(
            "rtcp-interval",
            "RTCP interval",
            "Time between two reports in ms: those that rtpbin is late with are made here",
        )
        .minimum(20)
        .default_value(DEFAULT_REPORT_INTERVAL.as_millis() as u32)
        .mutable_playing()
        .build(),
    ]
}

fn state() -> Vec<ParamSpec> {
    vec![
        uint!(
            "max-bitrate",
            "Maximum bitrate",
            "What the controller asked for by TMMBR, in bit/s; 0 = nothing",
        )
        .read_only()
        .build(),
        glib::ParamSpecBoxed::builder::<gst::Structure>("stats")
            .nick("Statistics")
            .blurb("Counters of this stream; see the documentation for its fields")
            .read_only()
            .build(),
    ]
}
