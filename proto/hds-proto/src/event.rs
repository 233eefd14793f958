//! What a connection tells its program.

use crate::{DataEvent, OpenRequest, Reason, Status, Value};

/// Something happened on a [`Connection`](crate::Connection).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// `hello` was exchanged: the connection may be used, and may be silent as long as it likes.
    Ready,
    /// A controller wants a stream: [`accept`](crate::Connection::accept) it or
    /// [`refuse`](crate::Connection::refuse) it.
    Open(OpenRequest),
    /// The controller has what was sent. A snapshot is done with this; after a recording the
    /// controller closes the stream.
    Ack {
        /// The stream.
        stream_id: i64,
        /// Whether the end of the stream has arrived.
        end_of_stream: bool,
    },
    /// The peer ended a stream; nothing may be sent on it any more.
    Close {
        /// The stream.
        stream_id: i64,
        /// Why.
        reason: Reason,
    },
    /// The accessory takes a stream that was asked for.
    Opened {
        /// The stream.
        stream_id: i64,
    },
    /// The accessory does not take it, or did not answer in time.
    Refused {
        /// The stream.
        stream_id: i64,
        /// Why.
        reason: Reason,
    },
    /// Data came.
    Data(DataEvent),
    /// A request of a protocol that was [served](crate::Connection::serve):
    /// [`respond`](crate::Connection::respond) to it.
    Request(Request),
    /// An answer to [`request`](crate::Connection::request).
    Response {
        /// What `request` returned.
        id: i64,
        /// How it went; [`Status::Timeout`] also if no answer came.
        status: Status,
        /// The answer.
        message: Value,
    },
    /// An event of a protocol that was [served](crate::Connection::serve), or one of `dataSend` that
    /// is not as it has to be or belongs to no open stream.
    Event {
        /// Such as `dataSend`.
        protocol: String,
        /// Such as `data`.
        topic: String,
        /// What it carries.
        message: Value,
    },
}

/// A request of a protocol that this crate does not know.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Goes back in the response.
    pub id: i64,
    /// Its protocol.
    pub protocol: String,
    /// Its topic.
    pub topic: String,
    /// What it carries.
    pub message: Value,
}
