//! Setup Data Stream Transport.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hap_camera::Requester;
use hap_camera::data_stream::*;
use hap_camera::services::iid;
use hap_proto::{ConnId, Status, Value};

use crate::bench::{Bench, description, id, phone};

fn b64(text: &str) -> Vec<u8> {
    STANDARD.decode(text).unwrap()
}

const WRITE: &str = "AQEAAgEAAyAAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHw==";
const RESPONSE: &str = "AQEAAgQBAjjHAyAgISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==";
/// As a hub wrote it.
const REAL: &str = "AQEAAgEAAyDwt0gBQ36yPXNqci7tagy2i1m1REZoTrNkGXty/kwV2w==";

fn counted(from: u8) -> [u8; 32] {
    std::array::from_fn(|n| from + u8::try_from(n).unwrap())
}

#[test]
fn request_and_response_bytes() {
    let request = DataStreamRequest {
        controller_salt: counted(0),
    };
    assert_eq!(STANDARD.encode(request.encode()), WRITE);
    assert_eq!(DataStreamRequest::decode(&b64(WRITE)), Ok(request));
    let response = DataStreamResponse::Session {
        port: 51000,
        accessory_salt: counted(0x20),
    };
    assert_eq!(STANDARD.encode(response.encode()), RESPONSE);
    assert_eq!(DataStreamResponse::decode(&b64(RESPONSE)), Ok(response));
    let real = DataStreamRequest::decode(&b64(REAL)).unwrap();
    assert_eq!(real.controller_salt[..4], [0xf0, 0xb7, 0x48, 0x01]);
    assert_eq!(real.encode(), b64(REAL));
}

#[test]
fn failures_are_a_status_alone() {
    for (error, bytes) in [
        (DataStreamError::Generic, [1, 1, 1]),
        (DataStreamError::Busy, [1, 1, 2]),
    ] {
        let failed = DataStreamResponse::Failed(error);
        assert_eq!(failed.encode(), bytes);
        assert_eq!(DataStreamResponse::decode(&bytes), Ok(failed));
    }
    assert!(DataStreamResponse::decode(&[1, 1, 3]).is_err());
    assert!(DataStreamResponse::decode(&[]).is_err());
}

fn write(b: &mut Bench, bytes: Vec<u8>, from: Requester<'_>) -> Result<Option<Value>, Status> {
    b.write(id(iid::SETUP_DATA_STREAM), Value::Tlv8(bytes), from)
}

fn plain_read(b: &Bench, conn: u64) -> Value {
    b.camera
        .read(id(iid::SETUP_DATA_STREAM), &phone(conn))
        .unwrap()
}

#[test]
fn a_session_takes_the_secret_of_its_connection_and_a_fresh_salt() {
    let mut b = Bench::armed();
    assert_eq!(plain_read(&b, 1), Value::Tlv8(vec![]));
    let answer = write(&mut b, b64(WRITE), phone(1)).unwrap();
    let expected = DataStreamResponse::Session {
        port: 51000,
        accessory_salt: [1; 32],
    };
    assert_eq!(answer, Some(Value::Tlv8(expected.encode())));
    assert_eq!(
        b.media.data_streams,
        [(ConnId(1), [7; 32], counted(0), [1; 32])]
    );
    write(&mut b, b64(WRITE), phone(2)).unwrap();
    assert_eq!(b.media.data_streams[1].3, [2; 32]);
    assert_eq!(plain_read(&b, 1), Value::Tlv8(expected.encode()));
    b.camera.connection_closed(ConnId(1), &mut b.media);
    assert_eq!(plain_read(&b, 1), Value::Tlv8(vec![]));
}

#[test]
fn malformed_requests_are_invalid_and_open_nothing() {
    let mut b = Bench::armed();
    let mut other_command = b64(WRITE);
    other_command[2] = 1;
    let mut other_transport = b64(WRITE);
    other_transport[5] = 1;
    let short_salt = [&b64(WRITE)[..7], &[31], &b64(WRITE)[8..39]].concat();
    let no_salt = b64(WRITE)[..6].to_vec();
    for bytes in [other_command, other_transport, short_salt, no_salt, vec![]] {
        assert_eq!(write(&mut b, bytes, phone(1)), Err(Status::InvalidValue));
    }
    let number = b.write(id(iid::SETUP_DATA_STREAM), Value::UInt(1), phone(1));
    assert_eq!(number, Err(Status::InvalidValue));
    assert!(b.media.data_streams.is_empty());
}

#[test]
fn only_verified_connections_have_sessions() {
    let mut b = Bench::armed();
    let unverified = Requester {
        shared_secret: None,
        ..phone(1)
    };
    assert_eq!(
        write(&mut b, b64(WRITE), unverified),
        Err(Status::InsufficientPrivileges)
    );
    let guest = Requester {
        admin: false,
        ..phone(1)
    };
    assert!(write(&mut b, b64(WRITE), guest).is_ok());
}

#[test]
fn no_port_is_an_error_in_the_response() {
    let mut b = Bench::armed();
    b.media.fail_data_stream = true;
    let failed = DataStreamResponse::Failed(DataStreamError::Generic);
    assert_eq!(
        write(&mut b, b64(WRITE), phone(1)),
        Ok(Some(Value::Tlv8(failed.encode())))
    );
}

#[test]
fn a_camera_that_does_not_record_has_none() {
    let mut b = Bench::of(&description());
    assert_eq!(write(&mut b, b64(WRITE), phone(1)), Err(Status::NotFound));
    assert_eq!(
        b.camera.read(id(iid::SETUP_DATA_STREAM), &phone(1)),
        Err(Status::NotFound)
    );
}

#[test]
fn requester_shows_no_secret() {
    let text = format!("{:?}", phone(1));
    assert!(!text.contains("[7") && !text.contains("secret"), "{text}");
}
