//! What must hold for any bytes.

mod common;

use common::{World, events, keys, output};
use hds_proto::frame::{FrameReader, Opener, Sealer};
use hds_proto::message::{Kind, Message};
use hds_proto::{Connection, DataType, Event, Open, Pending, Status, Value};
use proptest::collection::vec;
use proptest::prelude::*;

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-200..200_i64).prop_map(Value::Int),
        (any::<i64>(), 0..63).prop_map(|(n, shift)| Value::Int(n >> shift)),
        any::<f64>().prop_map(Value::Float),
        ".{0,40}".prop_map(Value::Text),
        vec(any::<u8>(), 0..300).prop_map(Value::Data),
        any::<[u8; 16]>().prop_map(Value::Uuid),
        any::<f64>().prop_map(Value::Date),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 30, 20, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..20).prop_map(Value::Array),
            vec((inner.clone(), inner), 0..20).prop_map(Value::Dict),
        ]
    })
}

/// Bytes that come close to a value.
fn value_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => value().prop_map(|value| value.encode()),
        3 => (0xA0..=0xC4_u8).prop_map(|tag| vec![tag]),
        3 => (0xD0..=0xEF_u8).prop_map(|tag| vec![tag]),
        1 => Just(vec![0x03]),
        2 => vec(any::<u8>(), 0..12),
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn message_like() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![
        Just("control"),
        Just("dataSend"),
        Just("hello"),
        Just("open"),
        Just("data"),
        Just("ack"),
        Just("close"),
    ];
    let kind = prop_oneof![
        Just(Kind::Event),
        (0..5_i64).prop_map(|id| Kind::Request { id }),
        (0..5_i64, 0..9_i64).prop_map(|(id, status)| {
            let status = Status::from_code(status);
            Kind::Response { id, status }
        }),
    ];
    let field = prop_oneof![
        Just("streamId"),
        Just("type"),
        Just("target"),
        Just("packets"),
        Just("reason"),
        Just("status"),
        Just("endOfStream"),
    ];
    let content = prop_oneof![
        2 => (0..3_i64).prop_map(Value::Int),
        1 => Just(Value::from("controller")),
        1 => Just(Value::from("ipcamera.recording")),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => value(),
    ];
    let body = vec((field.prop_map(Value::from), content), 0..6).prop_map(Value::Dict);
    (name.clone(), name, kind, body).prop_map(|(protocol, topic, kind, body)| {
        let (protocol, topic) = (protocol.to_owned(), topic.to_owned());
        let message = Message {
            protocol,
            topic,
            kind,
            body,
        };
        message.encode().expect("names are short")
    })
}

fn sealed(sealer: &mut Sealer, payload: &[u8]) -> Vec<u8> {
    sealer
        .seal(payload.len(), |out| out.extend_from_slice(payload))
        .unwrap()
}

/// Feeds both ends of an open stream with payloads that were sealed with the right keys.
fn feed(payloads: &[Vec<u8>]) {
    let mut up = Sealer::from_counter(keys().controller_to_accessory(), 2);
    let mut down = Sealer::from_counter(keys().accessory_to_controller(), 2);
    let mut world = World::open(&Open::recording(1));
    for payload in payloads {
        let (up, down) = (sealed(&mut up, payload), sealed(&mut down, payload));
        let accessory = world.accessory.input(&up, world.now, &mut world.pending);
        let controller = world
            .controller
            .input(&down, world.now, &mut Pending::new());
        events(&mut world.accessory);
        events(&mut world.controller);
        if accessory.is_err() || controller.is_err() {
            return;
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_are_no_panic(bytes in vec(any::<u8>(), 0..400)) {
        let _ = Value::decode(&bytes);
        let _ = Message::decode(&bytes);
    }

    #[test]
    fn almost_right_bytes_are_no_panic(bytes in value_like()) {
        if let Ok((value, length)) = Value::decode(&bytes) {
            prop_assert!(length <= bytes.len());
            // Plain bytes come back the same; NaN is what makes values unequal to themselves.
            let plain = value.encode();
            let again = Value::decode_all(&plain).unwrap();
            prop_assert_eq!(again.encode(), plain);
        }
        let _ = Message::decode(&bytes);
    }

    #[test]
    fn values_come_back(value in value()) {
        let mut bytes = value.encode();
        let length = bytes.len();
        bytes.push(0xAA);
        prop_assert_eq!(Value::decode(&bytes), Ok((value, length)));
    }

    #[test]
    fn any_payload_is_no_panic(payloads in vec(prop_oneof![message_like(), value_like()], 0..8)) {
        feed(&payloads);
    }

    #[test]
    fn random_bytes_are_refused_by_an_accessory(bytes in vec(any::<u8>(), 0..400)) {
        let mut world = World::new();
        let _ = world.accessory.input(&bytes, world.now, &mut world.pending);
        prop_assert!(!world.accessory.is_ready());
        prop_assert_eq!(world.accessory.queued(), 0);
    }

    #[test]
    fn frames_may_be_cut_anywhere(
        payloads in vec(vec(any::<u8>(), 0..200), 1..5),
        cuts in vec(1..90_usize, 1..40),
    ) {
        let key = keys();
        let mut sealer = Sealer::new(key.controller_to_accessory());
        let bytes: Vec<u8> = payloads.iter().flat_map(|p| sealed(&mut sealer, p)).collect();
        let mut opener = Opener::new(key.controller_to_accessory());
        let (mut reader, mut opened) = (FrameReader::new(), Vec::new());
        let (mut rest, mut cuts) = (&bytes[..], cuts.iter().cycle());
        while !rest.is_empty() {
            let (mut piece, after) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
            while let Some(frame) = reader.next(&mut piece).unwrap() {
                opened.push(opener.open(frame).unwrap().to_vec());
            }
            prop_assert!(piece.is_empty());
            rest = after;
        }
        prop_assert_eq!(opened, payloads);
    }

    #[test]
    fn a_session_may_be_cut_anywhere(cuts in vec(1..70_usize, 1..40), length in 0..2000_usize) {
        let mut world = World::new();
        let mut told = Vec::new();
        let mut cuts = cuts.iter().cycle();
        loop {
            let up = output(&mut world.controller);
            let down = output(&mut world.accessory);
            if up.is_empty() && down.is_empty() {
                break;
            }
            let mut give = |to: &mut Connection, mut rest: &[u8], pending: &mut Pending| {
                while !rest.is_empty() {
                    let (piece, after) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                    to.input(piece, world.now, pending).unwrap();
                    rest = after;
                }
            };
            give(&mut world.accessory, &up, &mut world.pending);
            give(&mut world.controller, &down, &mut Pending::new());
            for event in events(&mut world.accessory) {
                if let Event::Open(request) = event {
                    world.accessory.accept(&request);
                    world.accessory.send_data(4, DataType::Fragment, 1, &vec![9; length], true);
                }
            }
            for event in events(&mut world.controller) {
                match event {
                    Event::Ready => world.controller.open(&Open::recording(4), world.now).unwrap(),
                    Event::Data(data) => told.push(data.packets[0].data.len()),
                    _ => {}
                }
            }
        }
        prop_assert_eq!(told, [length]);
    }

    #[test]
    fn any_damaged_byte_ends_the_connection(at in 0..1000_usize, bit in 0..8_u8) {
        let mut world = World::open(&Open::recording(1));
        world.accessory.send_data(1, DataType::Fragment, 2, &[5; 400], false);
        let mut bytes = output(&mut world.accessory);
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        let result = world.controller.input(&bytes, world.now, &mut Pending::new());
        // A header that claims more has the reader wait for it.
        let waits = (1..4).contains(&at) && result.is_ok();
        prop_assert!(result.is_err() || waits);
        prop_assert_eq!(events(&mut world.controller), []);
    }
}
