//! `hksvmux` makes what a HomeKit hub records: an init segment, then fragments of whole groups of
//! pictures with their sound.
//!
//! What comes out, one buffer each:
//!
//! - `ftyp` and `moov` with `avc1` or `hvc1` and, where the pad `audio` is used, `mp4a`; flag `HEADER`;
//! - per fragment `prft`, `moof` and `mdat`, with the running time of its first picture and its length.
//!   The first has the flag `DISCONT`.
//!
//! A fragment begins with a key frame and takes as many whole groups of pictures as fit into
//! `fragment-duration`, judging the next group by the last one. It goes out within the call that hands
//! over the key frame after it, or, where its sound comes later, the sound up to there; but after
//! `audio-wait` it goes without (what comes too late goes into the next one). Nothing waits for a clock, so a
//! burst from memory gives its fragments at once.
//!
//! Where key frames come too seldom, or it is not yet known how often, they are asked for in time by
//! upstream force-key-unit events with a running time. If that does not help, a warning message is posted
//! once, and fragments are as long as the groups of pictures.
//!
//! Both tracks begin at zero: the sound with the frame nearest to the first key frame, all before it is left
//! out. Times are those of the source as of then: jitter of sound within a frame is evened out, gaps stay. Decoding
//! times follow from presentation times, so there is no edit list, and sources with B-frames need not say them.
//!
//! `prft` says when the first picture of a fragment was taken: by `start-time`, or by reference timestamps
//! on the buffers (`timestamp/x-unix`, `timestamp/x-ntp`), or by the pipeline's clock where that makes the
//! picture at most ten minutes old, or by when it came.
//!
//! A change of resolution, codec, parameter sets or sound format that is not in the init segment ends the
//! recording, as do times that go back: the fragment under way goes out, then end of stream, and a warning message says
//! why.
//!
//! # Example
//!
//! ```text
//! gst-launch-1.0 -e videotestsrc num-buffers=300 ! video/x-raw,format=I420,width=640,height=360 ! \
//!   x264enc tune=zerolatency speed-preset=ultrafast key-int-max=60 ! hksvmux name=mux ! filesink location=clip.mp4 \
//!   audiotestsrc num-buffers=320 samplesperbuffer=1000 ! audio/x-raw,rate=32000,channels=1 ! avenc_aac bitrate=64000 ! mux.
//! ```
//!
//! writes ten seconds of three fragments.
//!
//! Since: 0.1

use gst::glib;
use gst::prelude::*;

mod access_unit;
mod boxes;
mod cut;
mod decode_times;
mod fragmenter;
mod imp;
mod inner;
mod muxer;
mod recording;
mod settings;
mod sound;
mod stats;
mod wall_clock;
mod writer;

glib::wrapper! {
    /// The element `hksvmux`.
    pub struct HksvMux(ObjectSubclass<imp::HksvMux>)
        @extends gst::Bin, gst::Element, gst::Object;
}

fn src_caps() -> gst::Caps {
    gst::Caps::builder("video/quicktime")
        .field("variant", "iso-fragmented")
        .build()
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "hksvmux",
        gst::Rank::NONE,
        HksvMux::static_type(),
    )
}
