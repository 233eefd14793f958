//! How a running daemon learns that something moves, that somebody rings, is there, or wants privacy.
//!
//! ```text
//! hapd trigger ─┐
//! HTTP ─────────┤
//! standard input┼─► Cameras ─► Target ─► Inbox ─► the camera's task
//! MQTT ─────────┤
//! ONVIF ────────┘
//! ```

mod backoff;
pub(crate) mod cameras;
mod http;
mod inbox;
mod mqtt;
mod onvif;
mod quiet;
pub(crate) mod signal;
mod sources;
mod stdin;

pub use cameras::{Cameras, Refused, Target};
pub use inbox::Inbox;
pub use signal::{Change, Kind, Signal};
pub use sources::{Running, Sources};

/// What happened at a camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// Something moves, or has stopped moving.
    Motion(bool),
    /// Somebody pressed the doorbell.
    Ring,
    /// Somebody is there, or has left.
    Occupancy(bool),
    /// The camera's own privacy switch: on means that nothing may be seen.
    Privacy(bool),
}
