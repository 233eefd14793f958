//! HTTP from both sides: the same messages, however the bytes are cut.
#![no_main]

use hap_proto::http::{HttpError, HttpLimits, Message, MessageParser, Request, RequestParser};

const LIMITS: HttpLimits = HttpLimits {
    head: 4096,
    body: 65536,
};

fn requests(pieces: &[&[u8]]) -> (Vec<Request>, Option<HttpError>) {
    let mut parser = RequestParser::new(LIMITS);
    let mut found = Vec::new();
    for piece in pieces {
        parser.push(piece);
        loop {
            match parser.poll_request() {
                Ok(Some(request)) => found.push(request),
                Ok(None) => break,
                Err(error) => return (found, Some(error)),
            }
        }
    }
    (found, None)
}

fn messages(pieces: &[&[u8]]) -> (Vec<Message>, Option<HttpError>) {
    let mut parser = MessageParser::new(LIMITS);
    let mut found = Vec::new();
    for piece in pieces {
        parser.push(piece);
        loop {
            match parser.poll_message() {
                Ok(Some(message)) => found.push(message),
                Ok(None) => break,
                Err(error) => return (found, Some(error)),
            }
        }
    }
    (found, None)
}

libfuzzer_sys::fuzz_target!(|input: (u16, &[u8])| {
    let (cut, bytes) = input;
    let (one, two) = bytes.split_at(usize::from(cut).min(bytes.len()));
    assert_eq!(requests(&[one, two]).0, requests(&[bytes]).0);
    assert_eq!(messages(&[one, two]).0, messages(&[bytes]).0);
});
