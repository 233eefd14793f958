//! `hapencctl` makes an encoder obey the controller: put behind it, it changes nothing of what
//! passes, but takes what `hapsrtpsink` or `haprtcpfb` say upstream.
//!
//! - `hap-max-bitrate`: the nearest encoder upstream, through parsers and capsfilters, gets `share`
//!   of that bitrate by [`encoder::set_bitrate`](crate::encoder::set_bitrate), but never more than
//!   `max-bitrate`, or than it had before the first cap. The share leaves room for packet headers
//!   and for what the encoder overshoots.
//! - `hap-trade-off`: a `videorate` upstream of the encoder gets its `max-rate`, from half of the
//!   frame rate (index 0: sharp pictures) to all of it (index 31: many pictures).
//!
//! An event that nobody here can obey travels on upstream.
//!
//! # Example
//!
//! ```text
//! gst-launch-1.0 videotestsrc is-live=true ! videorate ! video/x-raw,width=640,height=360,framerate=30/1 ! \
//!   x264enc tune=zerolatency speed-preset=ultrafast key-int-max=60 bitrate=800 ! hapencctl ! \
//!   hapsrtpsink host=127.0.0.1 port=5004 ssrc=305419896 \
//!   srtp-key=000000000000000000000000000000000000000000000000000000000000
//! ```
//!
//! With `x264enc`, `tune=zerolatency` and a small `vbv-buf-capacity` make it follow within a few
//! frames; `rc-lookahead` would delay it. `openh264enc` needs `rate-control=bitrate`.
//!
//! Since: 0.1

use gst::glib;
use gst::prelude::*;

mod chain;
mod imp;

glib::wrapper! {
    /// The element `hapencctl`.
    pub struct HapEncCtl(ObjectSubclass<imp::HapEncCtl>)
        @extends gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "hapencctl",
        gst::Rank::NONE,
        HapEncCtl::static_type(),
    )
}
