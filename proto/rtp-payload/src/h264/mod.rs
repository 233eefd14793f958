//! H.264 in RTP (RFC 6184, `packetization-mode=1`).

mod avc;
mod depacketizer;
mod nal;
mod packetizer;
mod parameter_sets;

pub use avc::{Format, codec_data};
pub use depacketizer::{Depacketizer, ReceivedAccessUnit};
pub use packetizer::{AccessUnit, Packetizer, Payload, Payloads};

/// Largest access unit taken or assembled: far beyond what HomeKit's bitrates can mean.
pub const MAX_ACCESS_UNIT: usize = 4 << 20;

/// Most NAL units in one access unit.
pub const MAX_NAL_UNITS: usize = 4096;
