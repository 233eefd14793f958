//! The TLVs of classic camera RTP stream management (HAP R1 §8.72–§8.76), with the tags that controllers
//! really use where they differ from the printed tables.
//!
//! Everything here decodes and encodes both ways, so that an accessory and a controller can share it.
//! Unknown tags are ignored, tag order never matters, and integers are taken in any width.

mod selected;
mod setup_endpoints;
mod supported;
mod types;

pub use crate::tlv::DecodeError;
pub use selected::{SelectedStreamConfiguration, VideoChange};
pub use setup_endpoints::{
    Endpoint, SetupEndpointsAnswer, SetupEndpointsRequest, SetupEndpointsResponse, SetupStatus,
};
pub use supported::{SupportedAudio, SupportedRtp, SupportedVideo};
pub use types::{
    AudioCodec, AudioSelection, H264Level, H264Profile, RtpParameters, SampleRate, SessionId,
    SrtpParameters, SrtpSuite, StreamCommand, StreamingStatus, VideoAttributes, VideoSelection,
};
