//! The HomeKit Accessory Protocol over IP, accessory side, as a machine without IO.
//!
//! [`Server`] is everything between the TCP bytes of controllers and the characteristics of the
//! accessories: Pair Setup, Pair Verify, pairings, encrypted records, HTTP, the attribute database,
//! reads, writes, timed writes, events and snapshots. It opens no socket, reads no clock, draws no
//! random number and starts no thread. The program around it owns the sockets and passes in bytes,
//! the current time and a [`Host`], which answers reads and writes and stores pairings.
//!
//! # Order of calls
//!
//! 1. Accept a connection, choose a [`ConnId`], call [`Server::connected`].
//! 2. Bytes arrived: [`Server::input`]. The socket ended: [`Server::disconnected`]. The time of
//!    [`Server::poll_timeout`] has come: [`Server::timeout`]. A snapshot is ready:
//!    [`Server::resource_ready`]. A value changed: [`Server::notify`].
//! 3. After **every** such call, drain [`Server::poll_output`] until it returns `None`: write each
//!    [`Output::Send`] to its connection in that order; at [`Output::Close`] close the connection once
//!    everything before it is written. Then ask [`Server::poll_timeout`] again.
//!
//! Requests of one connection are answered in their order, and only a connection that waits for its
//! own snapshot waits. A peer that does not read is the program's to notice: stop calling
//! [`Server::input`] for a connection whose earlier output is not written yet, and close it when it
//! does not move.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod accessories;
mod characteristics;
mod connection;
mod core;
mod crypto;
pub mod database;
mod endpoints;
mod events;
mod host;
pub mod http;
mod identity;
mod limits;
mod pair_setup;
mod pair_verify;
mod pairing_tlv;
mod pairings;
pub mod record;
mod resource;
mod server;
mod session;
mod setup_code;
mod setup_payload;
mod srp;
mod status;
mod timed_write;
mod value;

pub use database::Database;
pub use host::{
    CharId, ConnContext, ConnId, Host, ResourceReply, ResourceRequest, StoreError, WriteContext,
};
pub use identity::{DeviceId, DeviceIdError, Identity};
pub use limits::Limits;
pub use pairings::{Pairing, PairingState};
pub use server::{Output, Server, ServerConfig};
pub use setup_code::{SetupCode, SetupCodeError};
pub use setup_payload::{SetupId, SetupIdError, setup_hash, setup_hash_text, setup_payload};
pub use srp::{SetupVerifier, SetupVerifierError};
pub use status::Status;
pub use value::{Format, Value};
