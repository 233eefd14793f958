//! HomeKit Data Stream (HDS), the protocol that carries recordings and snapshots from a camera to a
//! home hub, as a machine without IO; both ends of it.
//!
//! A controller sets a data stream up over HAP: it writes its salt, the accessory answers with its
//! own and a TCP port. From these and the shared secret of that HAP connection come the
//! [`SessionKeys`]. The accessory puts them into [`Pending`], the controller connects, and from there
//! on each end has a [`Connection`], which eats the bytes of the socket and gives bytes for it and
//! events. It opens no socket, reads no clock and draws no random number.
//!
//! # An accessory
//!
//! 1. A session was set up: [`Pending::add`]. Its HAP connection has gone: [`Pending::remove`], and
//!    close the TCP connection whose [`Connection::token`] it is.
//! 2. A TCP connection was accepted: [`Connection::accessory`].
//! 3. Bytes arrived: [`Connection::input`]. A deadline has come: [`Connection::timeout`],
//!    [`Pending::timeout`].
//! 4. After every call drain [`Connection::poll_event`] and [`Connection::poll_output`]. An error
//!    means: close.
//!
//! [`Event::Open`] asks for a stream; [`accept`](Connection::accept) or
//! [`refuse`](Connection::refuse) it, [`send_data`](Connection::send_data) until the piece with
//! `end_of_stream`, and wait for [`Event::Ack`] and [`Event::Close`].
//!
//! # A controller
//!
//! [`Connection::controller`] says hello at once. After [`Event::Ready`],
//! [`open`](Connection::open) a stream, take [`Event::Data`], [`ack`](Connection::ack) the end and
//! [`close_stream`](Connection::close_stream).
//!
//! A peer that does not read is the program's to notice: see [`Connection::queued`].

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod connection;
pub mod data_send;
mod error;
mod event;
pub mod frame;
mod keys;
pub mod message;
mod pending;
mod requests;
mod status;
pub mod value;

pub use connection::{Connection, HELLO_TIMEOUT, MAX_FIRST_PAYLOAD, MAX_STREAMS};
pub use data_send::{CHUNK, DataEvent, DataType, Open, OpenRequest, Packet, Piece, StreamKind};
pub use error::{DecodeError, Error, SendError};
pub use event::{Event, Request};
pub use keys::{Key, SessionKeys};
pub use pending::{CONNECT_TIMEOUT, MAX_PENDING, Pending};
pub use requests::RESPONSE_TIMEOUT;
pub use status::{Reason, Status};
pub use value::Value;
