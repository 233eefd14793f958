//! HTTP from both sides: the same messages, however the bytes are cut.
#![no_main]

use hap_proto::http::{HttpError, HttpLimits, MessageParser, RequestParser};

const LIMITS: HttpLimits = HttpLimits {
    head: 4096,
    body: 65536,
};

/// What comes of `pieces`, up to the first error.
fn read<P, T>(
    mut parser: P,
    pieces: &[&[u8]],
    push: fn(&mut P, &[u8]),
    poll: fn(&mut P) -> Result<Option<T>, HttpError>,
) -> Vec<T> {
    let mut found = Vec::new();
    for piece in pieces {
        push(&mut parser, piece);
        loop {
            match poll(&mut parser) {
                Ok(Some(message)) => found.push(message),
                Ok(None) => break,
                Err(_) => return found,
            }
        }
    }
    found
}

libfuzzer_sys::fuzz_target!(|input: (u16, &[u8])| {
    let (cut, bytes) = input;
    let (one, two) = bytes.split_at(usize::from(cut).min(bytes.len()));
    let requests = |pieces: &[&[u8]]| {
        let parser = RequestParser::new(LIMITS);
        read(
            parser,
            pieces,
            RequestParser::push,
            RequestParser::poll_request,
        )
    };
    let messages = |pieces: &[&[u8]]| {
        let parser = MessageParser::new(LIMITS);
        read(
            parser,
            pieces,
            MessageParser::push,
            MessageParser::poll_message,
        )
    };
    assert_eq!(requests(&[one, two]), requests(&[bytes]));
    assert_eq!(messages(&[one, two]), messages(&[bytes]));
});
