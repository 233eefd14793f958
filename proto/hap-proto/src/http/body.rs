//! What requests and responses share: headers that say how long a body is, and the body.

use httparse::{Header, Status};

use super::HttpLimits;

/// Most headers of a message.
pub(super) const MAX_HEADERS: usize = 64;

/// Bytes of chunk sizes and trailers that may stand around a chunk.
const MAX_CHUNK_LINE: usize = 256;

/// A message that breaks the rules of HTTP/1.1 or its limits. What comes after it cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// Not HTTP, or the length of the body is missing, malformed or contradictory.
    #[error("malformed HTTP message")]
    Malformed,
    /// The head is longer than its limit or has too many headers.
    #[error("HTTP head longer than {limit} bytes or {MAX_HEADERS} headers")]
    HeadTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The body is longer than its limit.
    #[error("HTTP body longer than {limit} bytes")]
    BodyTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
}

/// Begins with an error of httparse.
pub(super) fn head_error(error: httparse::Error, limit: usize) -> HttpError {
    match error {
        httparse::Error::TooManyHeaders => HttpError::HeadTooLarge { limit },
        _ => HttpError::Malformed,
    }
}

/// A body that is arriving.
#[derive(Debug)]
pub(super) enum Body {
    /// This many bytes are missing.
    Length(usize),
    /// Chunks, of which the present one misses this many bytes.
    Chunk(usize),
    /// The size of the next chunk is missing.
    ChunkSize,
    /// The line end after a chunk is missing.
    ChunkEnd,
    /// Trailers, of which this many bytes were read.
    Trailers(usize),
    /// Complete.
    Done,
}

impl Body {
    /// Reads the headers (RFC 9112 §6.3). A request without either header has no body.
    pub(super) fn of(headers: &[Header<'_>], limits: HttpLimits) -> Result<Self, HttpError> {
        let lengths = values(headers, "content-length");
        let encodings = values(headers, "transfer-encoding");
        match (lengths.as_slice(), encodings.as_slice()) {
            ([], []) => Ok(Body::Done),
            ([], [encoding]) if encoding.eq_ignore_ascii_case("chunked") => Ok(Body::ChunkSize),
            ([first, rest @ ..], []) if rest.iter().all(|other| other == first) => {
                let length = content_length(first)?;
                within(length, limits)?;
                Ok(if length == 0 {
                    Body::Done
                } else {
                    Body::Length(length)
                })
            }
            _ => Err(HttpError::Malformed),
        }
    }

    /// Takes bytes off the front of `input` and appends the body's to `out`. True once complete.
    pub(super) fn read(
        &mut self,
        input: &mut &[u8],
        out: &mut Vec<u8>,
        limits: HttpLimits,
    ) -> Result<bool, HttpError> {
        loop {
            let progress = match self {
                Body::Done => return Ok(true),
                Body::Length(missing) => {
                    *missing -= take(*missing, input, out);
                    (*missing == 0).then_some(Body::Done)
                }
                Body::Chunk(missing) => {
                    *missing -= take(*missing, input, out);
                    (*missing == 0).then_some(Body::ChunkEnd)
                }
                Body::ChunkSize => chunk_size(input, out.len(), limits)?,
                Body::ChunkEnd => line(input)?
                    .map(|line| {
                        if line.is_empty() {
                            Ok(Body::ChunkSize)
                        } else {
                            Err(HttpError::Malformed)
                        }
                    })
                    .transpose()?,
                Body::Trailers(read) => trailer(input, *read)?,
            };
            match progress {
                Some(next) => *self = next,
                None => return Ok(false),
            }
        }
    }
}

fn values<'a>(headers: &[Header<'a>], name: &str) -> Vec<&'a str> {
    let named = headers
        .iter()
        .filter(|header| header.name.eq_ignore_ascii_case(name));
    // What is not UTF-8 is no number and no encoding either.
    named
        .map(|header| std::str::from_utf8(header.value).unwrap_or("?").trim())
        .collect()
}

/// Digits only: `parse` would allow a sign.
fn content_length(text: &str) -> Result<usize, HttpError> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits {
        return Err(HttpError::Malformed);
    }
    // A number too large for usize is too large for any limit.
    Ok(text.parse().unwrap_or(usize::MAX))
}

fn within(length: usize, limits: HttpLimits) -> Result<(), HttpError> {
    let limit = limits.body;
    (length <= limit)
        .then_some(())
        .ok_or(HttpError::BodyTooLarge { limit })
}

fn take(missing: usize, input: &mut &[u8], out: &mut Vec<u8>) -> usize {
    let (taken, rest) = input.split_at(missing.min(input.len()));
    out.extend_from_slice(taken);
    *input = rest;
    taken.len()
}

fn chunk_size(
    input: &mut &[u8],
    so_far: usize,
    limits: HttpLimits,
) -> Result<Option<Body>, HttpError> {
    match httparse::parse_chunk_size(input).map_err(|_| HttpError::Malformed)? {
        Status::Partial if input.len() > MAX_CHUNK_LINE => Err(HttpError::Malformed),
        Status::Partial => Ok(None),
        Status::Complete((consumed, size)) => {
            *input = &input[consumed..];
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            within(so_far.saturating_add(size), limits)?;
            Ok(Some(if size == 0 {
                Body::Trailers(0)
            } else {
                Body::Chunk(size)
            }))
        }
    }
}

fn trailer(input: &mut &[u8], read: usize) -> Result<Option<Body>, HttpError> {
    let Some(line) = line(input)? else {
        return Ok(None);
    };
    let read = read + line.len();
    match line.is_empty() {
        true => Ok(Some(Body::Done)),
        false if read > MAX_CHUNK_LINE => Err(HttpError::Malformed),
        false => Ok(Some(Body::Trailers(read))),
    }
}

/// Takes one line without its end.
fn line<'a>(input: &mut &'a [u8]) -> Result<Option<&'a [u8]>, HttpError> {
    let Some(end) = input.iter().position(|&byte| byte == b'\n') else {
        let endless = input.len() > MAX_CHUNK_LINE;
        return if endless {
            Err(HttpError::Malformed)
        } else {
            Ok(None)
        };
    };
    let line = &input[..end];
    *input = &input[end + 1..];
    Ok(Some(line.strip_suffix(b"\r").unwrap_or(line)))
}
