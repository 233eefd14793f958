//! What can go wrong.

use crate::frame::MAX_PAYLOAD;
use crate::value::{MAX_DEPTH, MAX_ITEMS};

/// The peer broke the rules or fell silent: the TCP connection has to be closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A frame of another type than 1, or not a data stream at all.
    #[error("frame of type {found:#04x}, expected 0x01")]
    FrameType {
        /// The first byte of the frame.
        found: u8,
    },
    /// A frame's header says that it is longer than allowed.
    #[error("frame of {length} bytes, at most {limit} are allowed here")]
    FrameTooLong {
        /// The length it claims.
        length: usize,
        /// The longest there may be.
        limit: usize,
    },
    /// A frame was forged, damaged, replayed or left out.
    #[error("frame {counter} does not decrypt")]
    BadTag {
        /// The number of the frame, from 0.
        counter: u64,
    },
    /// The first frame was made with the keys of none of the sessions that wait for one.
    #[error("the first frame belongs to no session that was set up")]
    UnknownSession,
    /// A frame's content is not well-formed.
    #[error("payload: {0}")]
    Payload(#[from] DecodeError),
    /// A message's header lacks a field or has one of the wrong type.
    #[error("message header without a right `{field}`")]
    Header {
        /// The field.
        field: &'static str,
    },
    /// Something else came before `hello`.
    #[error("{topic:?} of {protocol:?} before hello")]
    HelloExpected {
        /// The protocol of the message.
        protocol: String,
        /// Its topic.
        topic: String,
    },
    /// The accessory answered `hello` with an error.
    #[error("hello was refused with status {status}")]
    HelloRefused {
        /// The status.
        status: i64,
    },
    /// Nothing decrypted, or no `hello`, within [`HELLO_TIMEOUT`](crate::HELLO_TIMEOUT).
    #[error("no hello in time")]
    HelloTimeout,
}

/// Why bytes are not a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end within a value.
    #[error("ends at byte {offset}, {missing} more needed")]
    Truncated {
        /// Where they end.
        offset: usize,
        /// How many are missing at least.
        missing: usize,
    },
    /// A tag that stands for nothing, or not for a value.
    #[error("tag {tag:#04x} at byte {offset}")]
    Tag {
        /// The tag.
        tag: u8,
        /// Where it is.
        offset: usize,
    },
    /// Text that is not UTF-8.
    #[error("text at byte {offset} is not UTF-8")]
    Text {
        /// Where the text begins.
        offset: usize,
    },
    /// A back-reference to something that has not been there.
    #[error("back-reference {index} at byte {offset} to nothing")]
    Reference {
        /// The index.
        index: u64,
        /// Where it is.
        offset: usize,
    },
    /// Arrays and dictionaries within each other.
    #[error("nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// More values than any message has.
    #[error("more than {MAX_ITEMS} values")]
    TooManyItems,
    /// Back-references repeat more bytes than a frame could hold.
    #[error("back-references repeat too many bytes")]
    Inflated,
    /// Bytes are left after the value.
    #[error("{count} bytes after the value")]
    Trailing {
        /// How many.
        count: usize,
    },
}

/// Why nothing was sent (our own fault, or too early).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// `hello` has not been exchanged yet.
    #[error("before hello")]
    NotReady,
    /// The message does not fit a frame.
    #[error("message of {length} bytes, at most {MAX_PAYLOAD} fit")]
    TooLong {
        /// Bytes of the message.
        length: usize,
    },
    /// Protocol and topic do not fit a header.
    #[error("header of {length} bytes, at most 255 fit")]
    HeaderTooLong {
        /// Bytes of the header.
        length: usize,
    },
    /// A stream of this identifier is open or asked for already.
    #[error("stream {stream_id} is in use")]
    StreamInUse {
        /// The identifier.
        stream_id: i64,
    },
}
