//! How a running daemon learns that something moves, that somebody rings, is there, or wants privacy.

mod inbox;

pub use inbox::Inbox;

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
