//! A camera's source: one pipeline that ends in memory, supervised.
//!
//! Whatever ends it - an error, its end, silence - is told in the camera's status, and it is built again after 0.5 s, 1 s,
//! 2 s and so on up to 30 s, for ever.
//!
//! # `launch:` sources
//!
//! The description is what `gst-launch-1.0` takes, without sinks: the first open end with pictures and the first with
//! sound are the camera. An end is a source pad that nothing is linked to, also one that appears later (`rtspsrc`,
//! `decodebin`). It may carry raw video or audio, H.264, Opus, anything GStreamer can decode, a container, or RTP.
//!
//! ```text
//! launch:videotestsrc is-live=true ! x264enc tune=zerolatency key-int-max=60 ! video/x-h264,profile=main
//! launch:v4l2src device=/dev/video2 ! videoflip method=clockwise   alsasrc device=hw:1
//! ```
//!
//! Live sources set the pace themselves; others are played in real time.

mod actor;
mod backoff;
mod build;
mod device;
mod open_caps;
mod plug;
mod reason;
mod url;

pub(super) use actor::{Handle, spawn};
pub(super) use backoff::Backoff;
pub(crate) use url::{RtspUrl, authority, unescaped};
