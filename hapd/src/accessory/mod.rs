//! One camera on the network: its listening socket, its connections, and the task that owns its state.
//!
//! ```text
//!  socket ─► connection.rs ─ bytes ─► actor.rs ─► hap_proto::Server ─► host.rs ─► hap_camera::Camera
//!                 ▲                      │                                              │ MediaHost
//!                 └────── bytes ─────────┘                            streams.rs ◄──────┘
//! ```
//!
//! `data_streams.rs` has the HomeKit Data Stream connections over which recordings and some snapshots go, each a task of
//! its own (`data_stream.rs`).

mod actor;
mod connection;
mod data_stream;
mod data_streams;
mod host;
mod hub;
mod listener;
mod recordings;
mod sensing;
mod streams;

pub use actor::{Accessory, AccessoryHandle, Setup};
pub use listener::{Interfaces, bind};
