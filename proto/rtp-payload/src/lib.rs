//! RTP packets of H.264, H.265, Opus and AAC-ELD as HomeKit wants them, and back.
//!
//! - [`h264::Packetizer`] and [`h265::Packetizer`]: access units, with start codes or lengths, to
//!   RTP payloads (RFC 6184, RFC 7798): parameter sets in one aggregation packet before each key
//!   frame, single NAL units and fragments. What they share is [`nal`].
//! - [`opus::Repacketizer`]: Opus packets of any duration to packets of the duration that was
//!   negotiated, without encoding anything again (RFC 6716, RFC 7587).
//! - [`aac::Packetizer`]: AAC-ELD access units to packets of that duration (RFC 3640).
//! - [`h264::Depacketizer`], [`h265::Depacketizer`], [`opus::Depacketizer`] and
//!   [`aac::Depacketizer`]: the way back, with loss detection; [`Reorder`] puts packets in order
//!   first.
//! - [`Header`], [`Packet`] and [`Extension`]: the RTP packet itself (RFC 3550 §5.1, RFC 8285);
//!   [`Orientation`] travels in an extension.
//!
//! Nothing here does IO or knows the time; payloads are written straight into the caller's send
//! buffer.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod aac;
mod error;
mod extension;
pub mod h264;
pub mod h265;
pub mod nal;
pub mod opus;
mod orientation;
mod packet;
mod reorder;
mod sequence;

pub use error::Error;
pub use extension::{Extension, Extensions};
pub use orientation::{Orientation, Rotation};
pub use packet::{HEADER_LEN, Header, Packet};
pub use reorder::{Ordered, Reorder};
pub use sequence::{Gap, Sequence};
