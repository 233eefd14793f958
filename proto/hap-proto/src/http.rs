//! HTTP/1.1 as HAP uses it (HAP R1 §5.2.4), and the EVENT/1.0 messages that look like it.
//!
//! Both directions are here: [`RequestParser`] and [`Response`] for the accessory, [`Request::to_bytes`] and
//! [`MessageParser`] for a controller. Parsers take bytes as they come, in pieces of any size, and
//! hold no more than their limits allow.

mod body;
mod message;
mod request;
mod response;

pub use body::HttpError;
pub use message::{Message, MessageKind, MessageParser};
pub use request::{Method, Request, RequestParser};
pub(crate) use response::event;
pub use response::{ContentType, Response};

/// Bounds of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpLimits {
    /// Bytes of the first line and the headers together.
    pub head: usize,
    /// Bytes of the body.
    pub body: usize,
}
