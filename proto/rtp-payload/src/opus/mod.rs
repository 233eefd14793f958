//! Opus in RTP (RFC 7587), with the packet durations and the clock that HomeKit negotiates.

mod depacketizer;
mod packet;
mod repacketizer;
mod toc;

pub use depacketizer::{Depacketizer, ReceivedPacket};
pub use packet::{MAX_FRAMES, Packet};
pub(crate) use repacketizer::MAX_GAP;
pub use repacketizer::{Repacketized, Repacketizer};
pub use toc::Toc;
