//! Responses and events, written.

use serde::Serialize;

use crate::accessories::to_vec;
use crate::status::Status;

/// The content types of HAP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentType {
    /// `application/hap+json`
    Json,
    /// `application/pairing+tlv8`
    Pairing,
    /// `image/jpeg`
    Jpeg,
}

impl ContentType {
    /// The name that goes into the header.
    pub const fn name(self) -> &'static str {
        match self {
            ContentType::Json => "application/hap+json",
            ContentType::Pairing => "application/pairing+tlv8",
            ContentType::Jpeg => "image/jpeg",
        }
    }
}

/// One response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status code.
    pub status: u16,
    /// The body and its type; `None` for 204.
    pub body: Option<(ContentType, Vec<u8>)>,
}

#[derive(Serialize)]
struct StatusBody {
    status: Status,
}

impl Response {
    /// 204 without a body.
    pub fn no_content() -> Self {
        Self {
            status: 204,
            body: None,
        }
    }

    /// A response with a body.
    pub fn new(status: u16, content_type: ContentType, body: Vec<u8>) -> Self {
        Self {
            status,
            body: Some((content_type, body)),
        }
    }

    /// `{"status":…}`, which every error has to carry (HAP R1 §5.7.1.4).
    pub fn status(http: u16, status: Status) -> Self {
        Self::new(http, ContentType::Json, to_vec(&StatusBody { status }))
    }

    /// A JSON body.
    pub(crate) fn json(http: u16, body: &impl Serialize) -> Self {
        Self::new(http, ContentType::Json, to_vec(body))
    }

    /// The bytes of the response.
    pub fn to_bytes(&self) -> Vec<u8> {
        let first = format!("HTTP/1.1 {} {}", self.status, reason(self.status));
        match &self.body {
            Some((content_type, body)) => message(&first, *content_type, body),
            None => format!("{first}\r\n\r\n").into_bytes(),
        }
    }
}

/// The bytes of an event message (HAP R1 §5.8.2).
pub(crate) fn event(body: &[u8]) -> Vec<u8> {
    message("EVENT/1.0 200 OK", ContentType::Json, body)
}

fn message(first: &str, content_type: ContentType, body: &[u8]) -> Vec<u8> {
    let (name, length) = (content_type.name(), body.len());
    let head = format!("{first}\r\nContent-Type: {name}\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        207 => "Multi-Status",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Content Too Large",
        422 => "Unprocessable Entity",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        470 => "Connection Authorization Required",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_content_has_neither_length_nor_type() {
        assert_eq!(
            Response::no_content().to_bytes(),
            b"HTTP/1.1 204 No Content\r\n\r\n"
        );
    }

    #[test]
    fn status_is_json() {
        let bytes = Response::status(470, Status::InsufficientAuthorization).to_bytes();
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "HTTP/1.1 470 Connection Authorization Required\r\n\
             Content-Type: application/hap+json\r\nContent-Length: 17\r\n\r\n{\"status\":-70411}"
        );
    }

    #[test]
    fn event_is_written_as_hap_r1_shows_it() {
        assert_eq!(
            event(b"{}"),
            b"EVENT/1.0 200 OK\r\nContent-Type: application/hap+json\r\nContent-Length: 2\r\n\r\n{}"
        );
    }
}
