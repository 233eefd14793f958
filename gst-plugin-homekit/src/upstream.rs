//! What a controller wants, as events that travel upstream to the encoder.

use gst::prelude::*;

/// Asks for a key frame; `false` if nobody heard.
pub(crate) fn key_frame(sink_pad: &gst::Pad) -> bool {
    let event = gst_video::UpstreamForceKeyUnitEvent::builder()
        .all_headers(true)
        .build();
    sink_pad.push_event(event)
}

/// Says `hap-max-bitrate`: what the encoder may make, in bit/s.
pub(crate) fn max_bitrate(sink_pad: &gst::Pad, bitrate: u32) -> bool {
    custom(sink_pad, "hap-max-bitrate", "bitrate", bitrate)
}

/// Says `hap-trade-off`: 0 = sharp pictures, to 31 = many of them (RFC 5104 §4.3.2).
pub(crate) fn trade_off(sink_pad: &gst::Pad, index: u32) -> bool {
    custom(sink_pad, "hap-trade-off", "index", index)
}

fn custom(sink_pad: &gst::Pad, name: &str, field: &str, value: u32) -> bool {
    let structure = gst::Structure::builder(name).field(field, value).build();
    sink_pad.push_event(gst::event::CustomUpstream::new(structure))
}
