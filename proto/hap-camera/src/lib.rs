//! HomeKit camera services, TLVs and session state machines, without IO, clock, threads or randomness of its own.
//!
//! * [`rtp`]: the TLVs of classic RTP stream management, both ways.
//! * [`services`]: the accessory's services with their fixed instance identifiers.
//! * [`stream`]: one stream session from Setup Endpoints to its end.
//! * [`recording`]: the TLVs of recordings, both ways, and one recording from a hub's request to its end.
//! * [`data_stream`]: the TLVs that set up a HomeKit Data Stream, both ways.
//! * [`operating_mode`]: what Home's modes and a privacy switch allow.
//! * [`Camera`]: all of it together, behind the reads and writes of [`hap_proto::Host`].
//!
//! Calls take `now` and a [`MediaHost`], which opens sockets and moves media. After every call drain
//! [`Camera::poll_event`], then arm a timer for [`Camera::poll_timeout`].

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod camera;
pub mod data_stream;
pub mod event;
pub mod media;
pub mod operating_mode;
pub mod recording;
pub mod rtp;
mod sensor;
pub mod services;
mod sound;
mod state;
pub mod stream;
mod tlv;
mod value;

pub use camera::{Camera, CameraState, Requester, Sound};
pub use event::Event;
pub use hds_proto::Reason;
pub use media::{MediaHost, MediaUnavailable, Ports};
pub use recording::{HdsId, Outgoing, RecordingKey};
pub use stream::StreamKey;
