//! Numbers in, GStreamer launch strings out.
//!
//! Every function is pure: it takes plain parameters and returns an [`Element`] or a [`Chain`], whose `Display` is text
//! for `gst-launch-1.0` or `gst_parse_launch`. Values are quoted as that syntax wants, so that no path, URL or name can
//! turn into pipeline. Nothing here depends on GStreamer; the tests do.

mod audio;
mod chain;
mod encoder;
mod presets;
mod source;
mod video;
mod viewer;

pub use audio::{OPUS_KBPS, opus_encoder, silence};
pub use chain::{Chain, Element};
pub use encoder::{
    EncoderSettings, H264_ENCODERS, H264Level, H264Profile, custom_encoder, h264_caps, h264_encoder,
};
pub use presets::{PRESETS, Preset};
pub use source::{file, rtsp, test_audio, test_video};
pub use video::{fit, jpeg};
pub use viewer::{SrtpSink, viewer};
