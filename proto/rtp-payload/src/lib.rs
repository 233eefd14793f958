//! RTP packets of H.264 and Opus as HomeKit wants them, and back.
//!
//! - [`h264::Packetizer`]: access units, as Annex B or AVC, to RTP payloads (RFC 6184):
//!   parameter sets in one STAP-A before each key frame, single NAL units and FU-A.
//! - [`opus::Repacketizer`]: Opus packets of any duration to packets of the duration that was
//!   negotiated, without encoding anything again (RFC 6716, RFC 7587).
//! - [`h264::Depacketizer`] and [`opus::Depacketizer`]: the way back, with loss detection;
//!   [`Reorder`] puts packets in order first.
//! - [`Header`] and [`Packet`]: the RTP packet itself (RFC 3550 §5.1).
//!
//! Nothing here does IO or knows the time; payloads are written straight into the caller's send
//! buffer.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod error;
pub mod h264;
pub mod opus;
mod packet;
mod reorder;
mod sequence;

pub use error::Error;
pub use packet::{HEADER_LEN, Header, Packet};
pub use reorder::{Ordered, Reorder};
pub use sequence::{Gap, Sequence};
