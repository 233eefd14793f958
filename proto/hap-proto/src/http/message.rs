//! What a controller receives: responses and events.

use httparse::Status;

use super::HttpLimits;
use super::body::{Body, HttpError, MAX_HEADERS, head_error};

/// Whether a message answers a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// `HTTP/1.1`: the answer to the oldest request without one.
    Response,
    /// `EVENT/1.0`: unsolicited.
    Event,
}

/// One message from an accessory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Response or event.
    pub kind: MessageKind,
    /// The status code.
    pub status: u16,
    /// The content type; empty if there is none.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
}

/// Reads messages off a stream of bytes.
#[derive(Debug)]
pub struct MessageParser {
    limits: HttpLimits,
    buffer: Vec<u8>,
    current: Option<(Message, Body)>,
}

impl MessageParser {
    /// A parser at the beginning of a stream.
    pub fn new(limits: HttpLimits) -> Self {
        Self {
            limits,
            buffer: Vec::new(),
            current: None,
        }
    }

    /// Appends bytes; [`poll_message`](Self::poll_message) then returns the messages they complete.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete message; `None` if more bytes are needed.
    ///
    /// # Errors
    /// As [`HttpError`] says. The stream is of no use afterwards.
    pub fn poll_message(&mut self) -> Result<Option<Message>, HttpError> {
        let mut rest = self.buffer.as_slice();
        let result = advance(&mut self.current, &mut rest, self.limits);
        let consumed = self.buffer.len() - rest.len();
        self.buffer.drain(..consumed);
        result
    }

    /// Whether a message has begun to arrive.
    pub fn is_partial(&self) -> bool {
        self.current.is_some() || !self.buffer.is_empty()
    }

    /// Takes away the bytes after the last message: they are frames of the session it began.
    pub fn take_rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.buffer)
    }
}

fn advance(
    current: &mut Option<(Message, Body)>,
    input: &mut &[u8],
    limits: HttpLimits,
) -> Result<Option<Message>, HttpError> {
    let (mut message, mut body) = match current.take() {
        Some(started) => started,
        None => match head(input, limits)? {
            Some(started) => started,
            None => return Ok(None),
        },
    };
    if body.read(input, &mut message.body, limits)? {
        return Ok(Some(message));
    }
    *current = Some((message, body));
    Ok(None)
}

/// httparse knows no `EVENT/1.0`, so the first line is read here and the headers by it.
fn head(input: &mut &[u8], limits: HttpLimits) -> Result<Option<(Message, Body)>, HttpError> {
    let limit = limits.head;
    let window = &input[..input.len().min(limit)];
    let partial = || match window.len() == limit {
        true => Err(HttpError::HeadTooLarge { limit }),
        false => Ok(None),
    };
    let Some(end) = window.iter().position(|&byte| byte == b'\n') else {
        return partial();
    };
    let (kind, status) = status_line(&window[..end])?;
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let parsed = httparse::parse_headers(&window[end + 1..], &mut headers)
        .map_err(|error| head_error(error, limit))?;
    let Status::Complete((length, headers)) = parsed else {
        return partial();
    };
    let body = match status {
        100..=199 | 204 | 304 => Body::Done,
        _ => Body::of(headers, limits)?,
    };
    let content_type = content_type(headers);
    *input = &input[end + 1 + length..];
    Ok(Some((
        Message {
            kind,
            status,
            content_type,
            body: Vec::new(),
        },
        body,
    )))
}

fn status_line(line: &[u8]) -> Result<(MessageKind, u16), HttpError> {
    let line = std::str::from_utf8(line).map_err(|_| HttpError::Malformed)?;
    let mut words = line.split_ascii_whitespace();
    let kind = match words.next() {
        Some("HTTP/1.1" | "HTTP/1.0") => MessageKind::Response,
        Some("EVENT/1.0") => MessageKind::Event,
        _ => return Err(HttpError::Malformed),
    };
    let code = words.next().filter(|code| code.len() == 3);
    let status = code
        .and_then(|code| code.parse().ok())
        .ok_or(HttpError::Malformed)?;
    Ok((kind, status))
}

fn content_type(headers: &[httparse::Header<'_>]) -> String {
    let header = headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-type"));
    header.map_or_else(String::new, |header| {
        String::from_utf8_lossy(header.value).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::response::event;
    use crate::http::{ContentType, Response};

    const LIMITS: HttpLimits = HttpLimits {
        head: 1024,
        body: 1024,
    };

    #[test]
    fn responses_and_events_are_told_apart() {
        let mut parser = MessageParser::new(LIMITS);
        parser.push(&Response::no_content().to_bytes());
        parser.push(&event(b"{}"));
        parser.push(&Response::new(207, ContentType::Json, b"[]".to_vec()).to_bytes());
        let mut next = || parser.poll_message().unwrap().unwrap();
        let (first, second, third) = (next(), next(), next());
        assert_eq!((first.kind, first.status), (MessageKind::Response, 204));
        assert_eq!(
            (second.kind, second.body),
            (MessageKind::Event, b"{}".to_vec())
        );
        assert_eq!(
            (third.status, third.content_type.as_str()),
            (207, "application/hap+json")
        );
        assert!(!parser.is_partial());
    }

    #[test]
    fn chunked_bodies_are_joined() {
        let mut parser = MessageParser::new(LIMITS);
        parser.push(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
        );
        assert_eq!(parser.poll_message().unwrap().unwrap().body, b"abc");
    }

    #[test]
    fn other_protocols_are_refused() {
        for bytes in [
            &b"SIP/2.0 200 OK\r\n\r\n"[..],
            b"HTTP/1.1 20 OK\r\n\r\n",
            b"HTTP/1.1\r\n\r\n",
            b"\xFF\n",
        ] {
            let mut parser = MessageParser::new(LIMITS);
            parser.push(bytes);
            assert_eq!(parser.poll_message(), Err(HttpError::Malformed));
        }
    }
}
