//! One camera on the network: its listening socket, its connections, and the task that owns its state.
//!
//! ```text
//!  socket ─► connection.rs ─ bytes ─► actor.rs ─► hap_proto::Server ─► host.rs ─► hap_camera::Camera
//!                 ▲                      │                                              │ MediaHost
//!                 └────── bytes ─────────┘                            streams.rs ◄──────┘
//! ```

mod actor;
mod connection;
mod host;
mod listener;
mod streams;

pub use actor::{Accessory, AccessoryHandle, Setup};
pub use listener::{Interfaces, bind};
