//! `hdssink` turns a recording, as `hksvmux` makes it, into the messages of one stream of a HomeKit Data Stream: for
//! applications that have the connection to the hub themselves.
//!
//! The application sets the data stream up, says hello and accepts the hub's `open`, with the Rust crate `hds-proto` or code
//! of its own. What comes in from then on (the init segment with the flag `HEADER`, then a buffer per fragment) goes out as
//! `dataSend` events in chunks of 256 KiB, numbered from 1:
//!
//! - **Without `key`** each message is the plain payload of a frame; the application frames, encrypts and sends it.
//! - **With `key`**, the 32 bytes of what the accessory sends, each message is a ready frame; `counter` is the number of
//!   the first. Nobody else may send on the connection meanwhile; afterwards `counter` says which number is next.
//!
//! Messages go to the signal `new-message` and, with a key, to the file descriptor `fd`.
//!
//! End of stream ends the recording: the last chunk carries `endOfStream`. To have one to carry it, the last
//! chunk of each fragment waits until the next fragment or the end comes, at most `end-wait`; all before
//! it, and the init segment, leave at once. If the end comes later than that, a message without packets says it. The
//! hub acknowledges the end and closes the stream. To stop without an end sends nothing: close the stream with a
//! reason then. What is just being written to `fd` is cut off, so that the connection cannot be used any more.
//!
//! `sync` and `async` are **false**, other than usual: what has happened before the recording began leaves at once.
//!
//! # Signals
//!
//! `new-message` (`GBytes` message) → `GstFlowReturn`: from a thread of the element's own, one message at a time. A slow
//! handler holds the stream up, as does a full `fd`. Return `GST_FLOW_EOS` when the hub has closed the stream,
//! `GST_FLOW_ERROR` when the connection is lost: nothing more comes then.
//!
//! # Statistics
//!
//! Fields of `stats`, counted since PAUSED: `messages`, `bytes` (of messages), `fragments` (begun, without the init
//! segment), all uint64, and `ended`, boolean: the end was sent.
//!
//! # Example
//!
//! Ten seconds into a file, as they would go over the wire, under a key of zeros:
//!
//! ```text
//! gst-launch-1.0 -q videotestsrc num-buffers=300 ! video/x-raw,format=I420,width=640,height=360 ! \
//!   x264enc tune=zerolatency speed-preset=ultrafast key-int-max=60 ! hksvmux ! hdssink stream-id=1 fd=1 \
//!   key=0000000000000000000000000000000000000000000000000000000000000000 > recording.hds
//! ```
//!
//! Since: 0.1

use gst::glib;
use gst::prelude::*;

mod imp;
mod output;
mod settings;
mod stream;
mod worker;

glib::wrapper! {
    /// The element `hdssink`.
    pub struct HdsSink(ObjectSubclass<imp::HdsSink>)
        @extends gst_base::BaseSink, gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "hdssink",
        gst::Rank::NONE,
        HdsSink::static_type(),
    )
}
