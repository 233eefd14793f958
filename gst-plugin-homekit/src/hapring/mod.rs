//! `hapring` keeps the newest groups of pictures of one encoding in memory, and hands them to any number of readers.
//!
//! A reader, that is a source pad, begins with the newest key frame, or `start-offset` back, and then follows the
//! stream. A reader that is too slow loses everything up to the next key frame; neither the source nor another reader
//! waits for it. Memory is bounded by `history`, `max-group` and `max-bytes`.
//!
//! Timestamps go on whatever the source does: those that step back or jump, as those of RTSP cameras do when they correct
//! their clock, are mended by the time the frames came. New caps are followed from their first key frame on.
//!
//! With `fast-forward` a reader that begins at the newest key frame gets what lies between it and the present in fast
//! motion, stamped a millisecond apart: it shows the present as soon as that is decoded, in time with the sound. Readers
//! that begin further back get the times as they were.
//!
//! Events from downstream, such as requests for a key frame, go to the source; the ring answers none of them itself.
//!
//! # Statistics
//!
//! | field of `stats` | type | |
//! |---|---|---|
//! | `frames`, `bytes` | uint64 | held now |
//! | `time-ms` | uint64 | between the oldest frame held and the newest |
//! | `bitrate` | uint64 | bits per second of the last seconds, 0 = unknown |
//! | `jumps` | uint64 | times the source left its time line |
//! | `readers` | uint | |
//! | `dropped` | uint64 | frames that readers were too slow for, all together; each has a property of its own |
//!
//! # Example
//!
//! One camera, seen by two viewers that come and go by themselves, and five seconds of the past in a file:
//!
//! ```text
//! gst-launch-1.0 videotestsrc is-live=true ! x264enc tune=zerolatency key-int-max=30 ! h264parse config-interval=-1 ! \
//!   hapring name=ring history=5000 \
//!   ring. ! decodebin ! autovideosink \
//!   ring. ! decodebin ! fakesink sync=true
//! ```
//!
//! Since: 0.2

use gst::glib;
use gst::prelude::*;

mod imp;
mod pad;
mod queue;

pub use pad::HapRingPad;

glib::wrapper! {
    /// The element `hapring`.
    pub struct HapRing(ObjectSubclass<imp::HapRing>) @extends gst::Element, gst::Object, @implements gst::ChildProxy;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "hapring",
        gst::Rank::NONE,
        HapRing::static_type(),
    )
}

#[cfg(test)]
mod tests;
