//! Messages: the payload of a frame.
//!
//! ```text
//! +----------------+--------------+--------------+
//! | header's bytes | header, dict | message, dict|
//! | 1 byte         |              |              |
//! +----------------+--------------+--------------+
//! ```

use crate::{DecodeError, Error, SendError, Status, Value};

/// What a message is, and what belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Wants no answer.
    Event,
    /// Wants a response with the same `id`.
    Request {
        /// Chosen by who asks.
        id: i64,
    },
    /// The answer to a request.
    Response {
        /// The request's.
        id: i64,
        /// How it went.
        status: Status,
    },
}

/// The content of a frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Such as `dataSend`.
    pub protocol: String,
    /// Such as `open`.
    pub topic: String,
    /// Event, request or response.
    pub kind: Kind,
    /// A dictionary.
    pub body: Value,
}

impl Message {
    /// Reads the payload of a frame.
    ///
    /// # Errors
    /// [`Error::Payload`] and [`Error::Header`].
    pub fn decode(payload: &[u8]) -> Result<Self, Error> {
        let missing = |missing| DecodeError::Truncated {
            offset: payload.len(),
            missing,
        };
        let (&length, rest) = payload.split_first().ok_or(missing(1))?;
        let length = usize::from(length);
        let lacking = missing(length.saturating_sub(rest.len()));
        let (header, body) = rest.split_at_checked(length).ok_or(lacking)?;
        let header = Value::decode_all(header)?;
        let body = Value::decode_all(body)?;
        Self::of(header, body)
    }

    fn of(mut header: Value, body: Value) -> Result<Self, Error> {
        let protocol = text(&mut header, "protocol")?;
        let (topic, kind) = if header.get("event").is_some() {
            (text(&mut header, "event")?, Kind::Event)
        } else if header.get("request").is_some() {
            let id = int(&header, "id")?;
            (text(&mut header, "request")?, Kind::Request { id })
        } else {
            let topic = text(&mut header, "response")?;
            let id = int(&header, "id")?;
            let status = Status::from_code(int(&header, "status")?);
            (topic, Kind::Response { id, status })
        };
        let message = Self {
            protocol,
            topic,
            kind,
            body,
        };
        Ok(message)
    }

    /// The payload of a frame.
    ///
    /// # Errors
    /// [`SendError::HeaderTooLong`]; whether all of it fits is checked when it is sealed.
    pub fn encode(&self) -> Result<Vec<u8>, SendError> {
        let mut out = header(&self.protocol, &self.topic, self.kind)?;
        self.body.encode_into(&mut out);
        Ok(out)
    }
}

/// What is before the message: the header and its length.
pub(crate) fn header(protocol: &str, topic: &str, kind: Kind) -> Result<Vec<u8>, SendError> {
    let protocol = ("protocol", Value::from(protocol));
    let topic = |name| (name, Value::from(topic));
    let id = |id| ("id", Value::Int(id));
    let header = match kind {
        Kind::Event => Value::dict([protocol, topic("event")]),
        Kind::Request { id: n } => Value::dict([topic("request"), protocol, id(n)]),
        Kind::Response { id: n, status } => {
            let status = ("status", Value::Int(status.code()));
            Value::dict([topic("response"), protocol, id(n), status])
        }
    };
    let mut out = vec![0];
    header.encode_into(&mut out);
    let length = out.len() - 1;
    out[0] = u8::try_from(length).map_err(|_| SendError::HeaderTooLong { length })?;
    Ok(out)
}

fn text(header: &mut Value, field: &'static str) -> Result<String, Error> {
    match header.take(field) {
        Some(Value::Text(text)) => Ok(text),
        _ => Err(Error::Header { field }),
    }
}

fn int(header: &Value, field: &'static str) -> Result<i64, Error> {
    let value = header.get(field).and_then(Value::as_int);
    value.ok_or(Error::Header { field })
}
