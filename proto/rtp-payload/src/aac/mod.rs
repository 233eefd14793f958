//! AAC-ELD in RTP (RFC 3640, `mode=AAC-hbr; sizeLength=13; indexLength=3; indexDeltaLength=3`).
//!
//! ```text
//! | AU-headers-length in bits (16) | size (13) | index (3) | ... | access unit | ... |
//! ```

mod config;
mod depacketizer;
mod packetizer;

pub use config::Config;
pub use depacketizer::{AccessUnits, Depacketizer, ReceivedPacket};
pub use packetizer::Packetizer;

/// Longest access unit: its size has 13 bits.
pub const MAX_ACCESS_UNIT: usize = 0x1fff;

/// Most access units in one packet, as with Opus.
pub const MAX_ACCESS_UNITS: usize = 48;
