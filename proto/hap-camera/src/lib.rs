//! HomeKit camera services, TLVs and session state machines, without IO, clock, threads or randomness of its own.
//!
//! * [`rtp`]: the TLVs of classic RTP stream management, both ways.
//! * [`services`]: the accessory's services with their fixed instance identifiers.
//! * [`stream`]: one stream session from Setup Endpoints to its end.
//! * [`Camera`]: all of it together, behind the reads and writes of [`hap_proto::Host`].
//!
//! Calls take `now` and a [`MediaHost`], which opens sockets and moves media. After every call drain
//! [`Camera::poll_event`], then arm a timer for [`Camera::poll_timeout`].

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod camera;
pub mod rtp;
pub mod services;
pub mod stream;

pub use camera::{Camera, CameraState, Event, Requester};
pub use stream::{MediaHost, MediaUnavailable, Ports, StreamKey};
