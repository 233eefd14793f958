//! `haprtcpfb` gives an application's own `rtpbin` the feedback rules of a HomeKit camera
//! (HAP R1 §11.4.1).
//!
//! It stands at three places of the pipeline, with another `role` at each. The three work as one:
//! they find each other by being in one pipeline, and, where that holds several streams, by the
//! name `stream`. (One element with three pairs of pads would make a loop with `rtpbin`, which
//! `GstBin` cannot put in order.)
//!
//! | `role` | between | what happens |
//! |---|---|---|
//! | `media` | encoder and payloader, or payloader and `rtpbin` | key frames are seen; upstream events begin here |
//! | `rtcp-in` | decryption and `rtpbin.recv_rtcp_sink_N` | PLI, FIR, TMMBR and TSTR for the stream are obeyed and taken out; all else passes |
//! | `rtcp-out` | `rtpbin.send_rtcp_src_N` and encryption | sender reports are read for the round trip time; TMMBN and TSTN are put in |
//!
//! - **PLI** becomes an upstream force-key-unit event, unless it comes within two round trips of the
//!   last key frame, or while a key frame is on its way. **FIR** does once per sequence number.
//! - **TMMBR** becomes `max-bitrate` and the upstream event `hap-max-bitrate` (field `bitrate`, uint,
//!   bit/s), never below `min-bitrate`, and is confirmed by TMMBN at once; the next regular report
//!   follows after `rtcp-interval`.
//! - **TSTR** becomes the upstream event `hap-trade-off` (field `index`, uint, 0 to 31), and is
//!   confirmed by TSTN in the next report.
//! - With `key-frame-interval` key frames are asked for periodically, an interval after the last
//!   one, whatever caused that; the encoder's own interval then should be longer.
//!
//! - **Reports** go out every `rtcp-interval`, as HomeKit wants them: those that `rtpbin` is late with,
//!   whose default interval is five seconds, are made here from its clocks, and its own are then left
//!   out. This needs media that flow. Counters are exact where `media` carries RTP.
//!
//! All properties but `role` and `stream` are those of the stream: set them at the element of role
//! `media`. `max-bitrate`, `ssrc` and `stats` read the same at each; `notify::max-bitrate` comes
//! from `media`.
//!
//! The stream is that of `ssrc`; if that is 0, of the caps where `media` carries RTP, or else of the
//! first sender report. Until it is known everything passes, and `rtpbin` acts as it always does. A
//! session with several streams that are sent needs `ssrc`.
//!
//! # Messages
//!
//! Element messages on the bus, of the element `media`, from the thread that brought the feedback:
//!
//! | structure | fields | |
//! |---|---|---|
//! | `haprtcpfb-max-bitrate` | `bitrate`: uint | the controller caps the bitrate, in bit/s |
//! | `haprtcpfb-trade-off` | `index`: uint | it wants another trade-off |
//!
//! `notify::max-bitrate` comes from the same thread.
//!
//! # Statistics
//!
//! Fields of `stats`, counted since PAUSED:
//!
//! | field | type | |
//! |---|---|---|
//! | `ssrc` | uint | of the stream, 0 = not yet known |
//! | `key-frames` | uint64 | that passed |
//! | `sender-reports` | uint64 | of `rtpbin` and our own |
//! | `reports-held` | uint64 | of `rtpbin`, left out since one of ours had gone |
//! | `rtcp-received` | uint64 | packets of the controller |
//! | `rtcp-rejected` | uint64 | malformed ones |
//! | `pli-received`, `fir-received`, `tmmbr-received`, `tstr-received` | uint64 | |
//! | `pli-ignored` | uint64 | of the PLI those that a key frame repaired |
//! | `nack-received` | uint64 | packets that generic NACKs asked for |
//! | `fraction-lost` | double | 0 to 1, of the last report |
//! | `packets-lost` | int | of the last report |
//! | `jitter` | uint | of the last report, in units of the media clock |
//! | `round-trip-time-us` | uint64 | 0 = unknown |
//!
//! # Example
//!
//! A test picture through `rtpbin` and `srtpenc` to a receiver on this machine at port 50000, whose
//! RTCP comes to port 50001, with the keys of the two directions:
//!
//! ```text
//! gst-launch-1.0 rtpbin name=rtp rtp-profile=avpf \
//!   videotestsrc is-live=true ! video/x-raw,width=1280,height=720,framerate=30/1 ! \
//!   x264enc tune=zerolatency speed-preset=superfast bitrate=1000 key-int-max=3000 aud=false ! \
//!   video/x-h264,profile=main ! rtph264pay pt=99 ssrc=1 mtu=1368 config-interval=-1 \
//!   aggregate-mode=zero-latency ! haprtcpfb key-frame-interval=4000 ! rtp.send_rtp_sink_0 \
//!   rtp.send_rtp_src_0 ! enc.rtp_sink_0 \
//!   rtp.send_rtcp_src_0 ! haprtcpfb role=rtcp-out ! enc.rtcp_sink_0 \
//!   srtpenc name=enc key=000000000000000000000000000000000000000000000000000000000000 \
//!   funnel name=both ! udpsink host=127.0.0.1 port=50000 sync=false async=false \
//!   enc.rtp_src_0 ! both. enc.rtcp_src_0 ! both. \
//!   udpsrc port=50001 caps="application/x-srtcp,ssrc=(uint)2,\
//! srtp-key=(buffer)000000000000000000000000000000000000000000000000000000000000,\
//! srtp-cipher=aes-128-icm,srtp-auth=hmac-sha1-80,srtcp-cipher=aes-128-icm,\
//! srtcp-auth=hmac-sha1-80" ! srtpdec name=dec dec.rtcp_src ! haprtcpfb role=rtcp-in ! \
//!   rtp.recv_rtcp_sink_0
//! ```
//!
//! Since: 0.1

use gst::glib;
use gst::prelude::*;

mod dispatch;
mod feedback;
mod imp;
mod properties;
mod settings;
mod shared;
mod stats;

glib::wrapper! {
    /// The element `haprtcpfb`.
    pub struct HapRtcpFb(ObjectSubclass<imp::HapRtcpFb>) @extends gst::Element, gst::Object;
}

/// Which part of the work an element does.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, glib::Enum)]
#[enum_type(name = "GstHapRtcpFbRole")]
pub enum Role {
    /// The media pass through it, encoded or in RTP.
    #[default]
    #[enum_value(name = "Media, encoded or in RTP", nick = "media")]
    Media,
    /// The controller's RTCP passes through it, on its way to rtpbin.
    #[enum_value(name = "RTCP from the controller to rtpbin", nick = "rtcp-in")]
    RtcpIn,
    /// rtpbin's RTCP passes through it, on its way to the controller.
    #[enum_value(name = "RTCP from rtpbin to the controller", nick = "rtcp-out")]
    RtcpOut,
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "haprtcpfb",
        gst::Rank::NONE,
        HapRtcpFb::static_type(),
    )
}
