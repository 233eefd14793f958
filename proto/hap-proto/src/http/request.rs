//! Requests.

use std::fmt;

use httparse::Status;
use zeroize::Zeroize;

use super::body::{Body, HttpError, MAX_HEADERS, head_error};
use super::{ContentType, HttpLimits};

/// The methods HAP uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `PUT`
    Put,
    /// `POST`
    Post,
    /// Any other.
    Other,
}

impl Method {
    fn of(name: &str) -> Self {
        match name {
            "GET" => Method::Get,
            "PUT" => Method::Put,
            "POST" => Method::Post,
            _ => Method::Other,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Put => "PUT",
            Method::Post => "POST",
            Method::Other => "OPTIONS",
        }
    }
}

/// One request. Its body may carry keys of streams: it is wiped on drop and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path in lower case, without the query.
    pub path: String,
    /// The query without its `?`; empty if there is none.
    pub query: String,
    /// The body.
    pub body: Vec<u8>,
    /// The connection ends after the response.
    pub close: bool,
}

impl Request {
    /// A request to be sent; `target` is path and query.
    pub fn new(method: Method, target: &str, body: Vec<u8>) -> Self {
        let (path, query) = split_target(target);
        Self {
            method,
            path,
            query,
            body,
            close: false,
        }
    }

    /// The bytes of the request.
    pub fn to_bytes(&self, host: &str, content_type: ContentType) -> Vec<u8> {
        let Self {
            method,
            path,
            query,
            body,
            ..
        } = self;
        let (mark, length) = (if query.is_empty() { "" } else { "?" }, body.len());
        let mut head = format!(
            "{} {path}{mark}{query} HTTP/1.1\r\nHost: {host}\r\n",
            method.name()
        );
        if *method != Method::Get {
            head += &format!(
                "Content-Type: {}\r\nContent-Length: {length}\r\n",
                content_type.name()
            );
        }
        [head.as_bytes(), b"\r\n", body].concat()
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.body.zeroize();
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            method,
            path,
            query,
            body,
            close: _,
        } = self;
        write!(f, "{method:?} {path}?{query} ({} bytes)", body.len())
    }
}

/// Reads requests off a stream of bytes.
pub struct RequestParser {
    limits: HttpLimits,
    /// Bytes that belong to no complete request yet.
    buffer: Vec<u8>,
    /// The request whose body is arriving.
    current: Option<(Request, Body)>,
}

impl RequestParser {
    /// A parser at the beginning of a stream.
    pub fn new(limits: HttpLimits) -> Self {
        Self {
            limits,
            buffer: Vec::new(),
            current: None,
        }
    }

    /// Appends bytes; [`poll_request`](Self::poll_request) then returns the requests they complete.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete request; `None` if more bytes are needed.
    ///
    /// # Errors
    /// As [`HttpError`] says. The stream is of no use afterwards.
    pub fn poll_request(&mut self) -> Result<Option<Request>, HttpError> {
        let mut rest = self.buffer.as_slice();
        let result = advance(&mut self.current, &mut rest, self.limits);
        let consumed = self.buffer.len() - rest.len();
        self.buffer.drain(..consumed);
        result
    }

    /// Whether a request has begun to arrive, or waits.
    pub fn is_partial(&self) -> bool {
        self.current.is_some() || !self.buffer.is_empty()
    }

    /// Bytes that are held.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
            + self
                .current
                .as_ref()
                .map_or(0, |(request, _)| request.body.len())
    }

    /// Takes away the bytes after the last request: they are frames of the session it began.
    pub(crate) fn take_rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.buffer)
    }
}

impl Drop for RequestParser {
    fn drop(&mut self) {
        self.buffer.zeroize();
    }
}

impl fmt::Debug for RequestParser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestParser({} bytes held)", self.buffered())
    }
}

fn advance(
    current: &mut Option<(Request, Body)>,
    input: &mut &[u8],
    limits: HttpLimits,
) -> Result<Option<Request>, HttpError> {
    let (mut request, mut body) = match current.take() {
        Some(started) => started,
        None => match head(input, limits)? {
            Some(started) => started,
            None => return Ok(None),
        },
    };
    if body.read(input, &mut request.body, limits)? {
        return Ok(Some(request));
    }
    *current = Some((request, body));
    Ok(None)
}

fn head(input: &mut &[u8], limits: HttpLimits) -> Result<Option<(Request, Body)>, HttpError> {
    let limit = limits.head;
    skip_empty_lines(input);
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let window = &input[..input.len().min(limit)];
    let status = parsed
        .parse(window)
        .map_err(|error| head_error(error, limit))?;
    let Status::Complete(length) = status else {
        let full = window.len() == limit;
        return if full {
            Err(HttpError::HeadTooLarge { limit })
        } else {
            Ok(None)
        };
    };
    let body = Body::of(parsed.headers, limits)?;
    let request = request(&parsed);
    *input = &input[length..];
    Ok(Some((request, body)))
}

/// Line ends before a request are no part of it (RFC 9112 §2.2).
fn skip_empty_lines(input: &mut &[u8]) {
    while let [b'\r', b'\n', rest @ ..] | [b'\n', rest @ ..] = *input {
        *input = rest;
    }
}

fn request(parsed: &httparse::Request<'_, '_>) -> Request {
    let (path, query) = split_target(parsed.path.unwrap_or_default());
    Request {
        method: Method::of(parsed.method.unwrap_or_default()),
        path,
        query,
        body: Vec::new(),
        close: wants_close(parsed),
    }
}

/// HTTP/1.1 connections persist unless told otherwise, HTTP/1.0 ones the other way round.
fn wants_close(parsed: &httparse::Request<'_, '_>) -> bool {
    let connection = parsed
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("connection"));
    let says =
        |word: &[u8]| connection.is_some_and(|header| header.value.eq_ignore_ascii_case(word));
    match parsed.version {
        Some(0) => !says(b"keep-alive"),
        _ => says(b"close"),
    }
}

/// Path in lower case, and query, of a target in origin or absolute form (RFC 9112 §3.2).
fn split_target(target: &str) -> (String, String) {
    let origin = match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => {
            rest.find('/').map_or("/", |at| &rest[at..])
        }
        _ => target,
    };
    let (path, query) = origin.split_once('?').unwrap_or((origin, ""));
    (path.to_ascii_lowercase(), query.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HttpLimits = HttpLimits {
        head: 1024,
        body: 64,
    };

    fn parse(bytes: &[u8]) -> Result<Vec<Request>, HttpError> {
        let mut parser = RequestParser::new(LIMITS);
        parser.push(bytes);
        let mut requests = Vec::new();
        while let Some(request) = parser.poll_request()? {
            requests.push(request);
        }
        Ok(requests)
    }

    fn only(bytes: &[u8]) -> Request {
        let mut requests = parse(bytes).expect("well-formed");
        assert_eq!(requests.len(), 1);
        requests.remove(0)
    }

    #[test]
    fn request_as_ios_sends_it() {
        let request = only(
            b"PUT /characteristics HTTP/1.1\r\nHost: Camera\\032A._hap._tcp.local\r\n\
              Content-Length: 2\r\nContent-Type: application/hap+json\r\n\r\n{}",
        );
        assert_eq!(request.method, Method::Put);
        assert_eq!(
            (request.path.as_str(), request.query.as_str()),
            ("/characteristics", "")
        );
        assert_eq!(request.body, b"{}");
        assert!(!request.close);
    }

    #[test]
    fn host_and_case_do_not_matter() {
        let request = only(b"GET /Characteristics?id=1.9&EV=1 HTTP/1.1\r\n\r\n");
        assert_eq!(
            (request.path.as_str(), request.query.as_str()),
            ("/characteristics", "id=1.9&EV=1")
        );
        let request = only(b"POST /PAIRINGS HTTP/1.1\r\ncontent-LENGTH: 1\r\n\r\nx");
        assert_eq!(request.body, b"x");
    }

    #[test]
    fn absolute_targets_are_understood() {
        assert_eq!(
            only(b"GET http://camera.local:51826/accessories HTTP/1.1\r\n\r\n").path,
            "/accessories"
        );
        assert_eq!(only(b"GET http://camera.local HTTP/1.1\r\n\r\n").path, "/");
        assert_eq!(only(b"GET /x?y=a://b HTTP/1.1\r\n\r\n").query, "y=a://b");
    }

    #[test]
    fn pipelined_requests_come_in_order() {
        let requests = parse(
            b"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\n\r\nGET /c HTTP/1.1\r\n\r\n",
        )
        .unwrap();
        let paths: Vec<_> = requests
            .iter()
            .map(|request| request.path.as_str())
            .collect();
        assert_eq!(paths, ["/a", "/b", "/c"]);
    }

    #[test]
    fn bytes_may_come_one_by_one() {
        let bytes = b"\r\nPUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: r\r\n\r\n";
        let mut parser = RequestParser::new(LIMITS);
        for byte in &bytes[..bytes.len() - 1] {
            parser.push(&[*byte]);
            assert_eq!(parser.poll_request(), Ok(None));
        }
        parser.push(b"\n");
        assert_eq!(parser.poll_request().unwrap().unwrap().body, b"abcde");
        assert!(!parser.is_partial());
    }

    #[test]
    fn line_ends_between_requests_are_skipped() {
        let mut parser = RequestParser::new(LIMITS);
        parser.push(b"GET /a HTTP/1.1\r\n\r\n\r\n\n");
        assert_eq!(parser.poll_request().unwrap().unwrap().path, "/a");
        assert_eq!(parser.poll_request(), Ok(None));
        assert!(!parser.is_partial());
    }

    #[test]
    fn malformed_requests_are_refused() {
        for bytes in [
            &b"\x16\x03\x01\x02\x00"[..],
            b"GET /\r\n\r\n",
            b"GET / HTTP/2.0\r\n\r\n",
            b"PUT / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            b"PUT / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
            b"PUT / HTTP/1.1\r\nContent-Length: \r\n\r\n",
            b"PUT / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n",
            b"PUT / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            b"PUT / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"PUT / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
            b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
        ] {
            let text = String::from_utf8_lossy(bytes);
            assert_eq!(parse(bytes), Err(HttpError::Malformed), "{text}");
        }
    }

    #[test]
    fn limits_hold_before_the_bytes_arrive() {
        let large = Err(HttpError::BodyTooLarge { limit: 64 });
        assert_eq!(
            parse(b"PUT / HTTP/1.1\r\nContent-Length: 65\r\n\r\n"),
            large
        );
        assert_eq!(
            parse(b"PUT / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n"),
            large
        );
        assert_eq!(
            parse(b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n"),
            Ok(vec![])
        );
        assert_eq!(
            parse(b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n41\r\n"),
            large
        );
    }

    #[test]
    fn long_heads_are_refused() {
        let large = Err(HttpError::HeadTooLarge { limit: 1024 });
        let endless = [&b"GET /"[..], &[b'a'; 2000]].concat();
        assert_eq!(parse(&endless), large);
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(65));
        assert_eq!(parse(many.as_bytes()), large);
    }

    #[test]
    fn connection_header_is_heeded() {
        assert!(only(b"GET / HTTP/1.1\r\nConnection: Close\r\n\r\n").close);
        assert!(only(b"GET / HTTP/1.0\r\n\r\n").close);
        assert!(!only(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").close);
    }

    #[test]
    fn written_requests_are_read() {
        let request = Request::new(Method::Put, "/characteristics?x=1", b"{}".to_vec());
        assert_eq!(
            only(&request.to_bytes("camera.local", ContentType::Json)),
            request
        );
        let request = Request::new(Method::Get, "/accessories", vec![]);
        let bytes = request.to_bytes("camera.local", ContentType::Json);
        assert_eq!(
            bytes,
            b"GET /accessories HTTP/1.1\r\nHost: camera.local\r\n\r\n"
        );
    }
}
