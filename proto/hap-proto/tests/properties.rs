//! Properties of the parsers and of the whole server, for any input.

mod common;

use std::time::Duration;

use common::client::{Client, paired};
use common::{World, iid};
use hap_proto::http::{
    ContentType, HttpError, HttpLimits, MessageParser, Method, Request, RequestParser, Response,
};
use hap_proto::record::{MAX_FRAME, Opener, Sealer};
use hap_proto::{Format, SetupCode, SetupId, Value};
use proptest::collection::vec;
use proptest::prelude::*;

const LIMITS: HttpLimits = HttpLimits {
    head: 512,
    body: 256,
};

/// Bytes that come close to HTTP.
fn http_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"GET ".to_vec()),
        Just(b"PUT /characteristics".to_vec()),
        Just(b" HTTP/1.1\r\n".to_vec()),
        Just(b"HTTP/1.1 200 OK\r\n".to_vec()),
        Just(b"EVENT/1.0 200 OK\r\n".to_vec()),
        Just(b"Content-Length: ".to_vec()),
        Just(b"Transfer-Encoding: chunked\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\r\n\r\n".to_vec()),
        "[0-9a-f]{1,4}".prop_map(String::into_bytes),
        vec(any::<u8>(), 0..40),
    ];
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// JSON that comes close to a body of `PUT /characteristics`.
fn json_like() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| format!("{n:e}")),
        "\"[ -~]{0,12}\"",
        Just("[{}]".to_owned()),
    ];
    let key = prop_oneof![
        Just("aid"),
        Just("iid"),
        Just("value"),
        Just("ev"),
        Just("r"),
        Just("authData"),
        Just("remote"),
        Just("ttl"),
        Just("pid"),
        Just("image-width"),
        Just("image-height"),
        Just("resource-type"),
        Just("x"),
    ];
    let member = (key, value).prop_map(|(key, value)| format!("\"{key}\":{value}"));
    let object = vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(",")));
    let body = vec(object.clone(), 0..4)
        .prop_map(|entries| format!("{{\"characteristics\":[{}],\"pid\":1}}", entries.join(",")));
    prop_oneof![object, body, "[ -~]{0,60}"]
}

/// TLV8 that comes close to pairing messages.
fn tlv_like() -> impl Strategy<Value = Vec<u8>> {
    let tag = prop_oneof![
        Just(0u8),
        Just(1),
        Just(3),
        Just(4),
        Just(5),
        Just(6),
        Just(0x0B),
        Just(0x13),
        any::<u8>()
    ];
    let value = prop_oneof![
        Just(vec![1]),
        Just(vec![3]),
        Just(vec![5]),
        vec(any::<u8>(), 0..40),
        vec(any::<u8>(), 255..=255)
    ];
    let item =
        (tag, value).prop_map(|(tag, value)| [&[tag, value.len() as u8], &value[..]].concat());
    prop_oneof![
        vec(item, 0..6).prop_map(|items| items.concat()),
        vec(any::<u8>(), 0..64),
    ]
}

fn requests(bytes: &[u8], cuts: &[usize]) -> Result<Vec<Request>, HttpError> {
    let mut parser = RequestParser::new(LIMITS);
    let mut requests = Vec::new();
    let mut rest = bytes;
    for cut in cuts.iter().chain([&usize::MAX]) {
        let (piece, after) = rest.split_at((*cut).min(rest.len()));
        rest = after;
        parser.push(piece);
        while let Some(request) = parser.poll_request()? {
            requests.push(request);
        }
        assert!(parser.buffered() <= LIMITS.head + LIMITS.body + piece.len());
    }
    Ok(requests)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_are_requests_or_refused(bytes in http_like()) {
        if let Ok(requests) = requests(&bytes, &[]) {
            prop_assert!(requests.iter().all(|request| request.body.len() <= LIMITS.body));
        }
    }

    #[test]
    fn where_segments_end_does_not_matter(bytes in http_like(), cuts in vec(1usize..40, 0..20)) {
        prop_assert_eq!(requests(&bytes, &cuts).ok(), requests(&bytes, &[]).ok());
    }

    #[test]
    fn any_bytes_are_messages_or_refused(bytes in http_like()) {
        let mut parser = MessageParser::new(LIMITS);
        parser.push(&bytes);
        while let Ok(Some(message)) = parser.poll_message() {
            prop_assert!(message.body.len() <= LIMITS.body);
        }
    }

    #[test]
    fn what_is_written_is_read(body in vec(any::<u8>(), 0..256), status in 200u16..600) {
        let request = Request::new(Method::Put, "/characteristics?a=b", body.clone());
        prop_assert_eq!(requests(&request.to_bytes("h", ContentType::Json), &[3, 5, 70]), Ok(vec![request]));
        let mut parser = MessageParser::new(LIMITS);
        parser.push(&Response::new(status, ContentType::Jpeg, body.clone()).to_bytes());
        let message = parser.poll_message().unwrap();
        let expected = if matches!(status, 204 | 304) { Vec::new() } else { body };
        prop_assert_eq!(message.map(|message| message.body), Some(expected));
    }

    #[test]
    fn records_carry_any_message_in_any_pieces(message in vec(any::<u8>(), 0..5000), cut in 1usize..3000) {
        let key = [9; 32];
        let sealed = Sealer::new(&key).seal(&message);
        let (mut opener, mut opened) = (Opener::new(&key), Vec::new());
        for mut piece in sealed.chunks(cut) {
            while let Some(plaintext) = opener.next(&mut piece).unwrap() {
                prop_assert!(plaintext.len() <= MAX_FRAME);
                opened.extend(plaintext);
            }
        }
        prop_assert_eq!(opened, message);
    }

    #[test]
    fn any_bytes_are_no_record(bytes in vec(any::<u8>(), 0..3000)) {
        let mut opener = Opener::new(&[9; 32]);
        prop_assert!(!matches!(opener.next(&mut &bytes[..]), Ok(Some(_))));
    }

    #[test]
    fn any_text_is_a_code_or_refused(text in "[0-9-]{0,12}") {
        if let Ok(code) = text.parse::<SetupCode>() {
            prop_assert_eq!(code.as_str(), text.as_str());
        }
        let _ = text.parse::<SetupId>();
    }

    #[test]
    fn values_survive_json(number in any::<u64>(), bytes in vec(any::<u8>(), 0..300), text in ".{0,40}") {
        for (format, value) in [
            (Format::UInt64, Value::UInt(number)),
            (Format::Int, Value::Int(number as i64)),
            (Format::Tlv8, Value::Tlv8(bytes.clone())),
            (Format::Data, Value::Data(bytes)),
            (Format::String, Value::String(text)),
            (Format::Bool, Value::Bool(number % 2 == 0)),
        ] {
            prop_assert_eq!(Value::from_json(format, &value.to_json(format)), Some(value));
        }
    }

    #[test]
    fn any_query_is_answered(query in "[a-z0-9.,=&%]{0,60}") {
        let (mut world, admin) = paired();
        let mut client = Client::verified(&mut world, &admin);
        let (http, _) = client.get(&mut world, &format!("/characteristics?{query}"));
        prop_assert!(matches!(http, 200 | 207 | 400));
    }

    #[test]
    fn any_json_body_is_answered(body in json_like()) {
        let (mut world, admin) = paired();
        let mut client = Client::verified(&mut world, &admin);
        for target in ["/characteristics", "/prepare"] {
            let answer = client.request(&mut world, Method::Put, target, body.as_bytes());
            prop_assert!(matches!(answer.status, 200 | 204 | 207 | 400 | 422));
        }
        world.host.resource = Some(hap_proto::ResourceReply::Image(vec![1]));
        let answer = client.request(&mut world, Method::Post, "/resource", body.as_bytes());
        prop_assert!(matches!(answer.status, 200 | 400 | 404));
        for write in &world.host.writes {
            prop_assert!(write.iid != iid::NAME && write.iid != iid::BUTTON && write.iid != iid::LOCK);
        }
    }

    #[test]
    fn any_bytes_to_an_accessory(pieces in vec(http_like(), 0..6), seconds in 0u64..100) {
        let (mut world, admin) = paired();
        let mut bystander = Client::verified(&mut world, &admin);
        let conn = world.connect();
        for piece in pieces {
            world.send(conn, &piece);
            world.advance(Duration::from_secs(seconds));
        }
        prop_assert!(world.host.writes.is_empty() && world.host.stored.is_empty());
        prop_assert_eq!(bystander.get(&mut world, "/characteristics?id=1.9").0, 200);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// No message pairs, stores or counts unless it proves to know the code.
    #[test]
    fn any_pairing_messages_in_any_order(bodies in vec((0..3usize, tlv_like()), 0..8)) {
        let mut world = World::new();
        let mut client = Client::connect(&mut world);
        for (target, body) in bodies {
            let target = ["/pair-setup", "/pair-verify", "/pairings"][target];
            let answer = client.pairing_message(&mut world, target, &body);
            prop_assert!(matches!(answer.status, 200 | 400 | 470));
        }
        prop_assert!(!world.server.is_paired());
    }

    /// The same from an admin: the accessory may lose its pairings, but not its mind.
    #[test]
    fn any_pairings_messages_of_an_admin(bodies in vec(tlv_like(), 0..8)) {
        let (mut world, admin) = paired();
        let mut client = Client::verified(&mut world, &admin);
        for body in bodies {
            let answer = client.pairing_message(&mut world, "/pairings", &body);
            prop_assert!(matches!(answer.status, 200 | 400 | 470));
        }
        let state = world.server.pairings();
        prop_assert!(state.pairings.is_empty() || state.pairings.iter().any(|pairing| pairing.admin));
        prop_assert!(world.host.stored.last().is_none_or(|stored| stored == state));
    }
}
