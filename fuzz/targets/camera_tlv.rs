//! What controllers and hubs write to a camera's characteristics.
#![no_main]

use hap_camera::recording::{SelectedRecording, SupportedRecording};
use hap_camera::{data_stream, rtp};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = rtp::SetupEndpointsRequest::decode(bytes);
    let _ = rtp::SetupEndpointsRequest::decode_session_id(bytes);
    let _ = rtp::SetupEndpointsResponse::decode(bytes);
    let _ = rtp::SelectedStreamConfiguration::decode(bytes);
    let _ = SelectedRecording::decode(bytes);
    let _ = SupportedRecording::decode(bytes, bytes, bytes);
    let _ = data_stream::DataStreamRequest::decode(bytes);
    let _ = data_stream::DataStreamResponse::decode(bytes);
});
