//! Two ends talk.

mod common;

use std::time::Duration;

use common::{TOKEN, World, bytes, events, other_keys, output};
use hds_proto::frame::Sealer;
use hds_proto::{
    CHUNK, CONNECT_TIMEOUT, Connection, DataType, Error, Event, HELLO_TIMEOUT, MAX_PENDING,
    MAX_STREAMS, Open, Pending, Piece, RESPONSE_TIMEOUT, Reason, SendError, Status, StreamKind,
    Value,
};

/// What came for the only stream there is, piece by piece, and whether it has ended.
fn received(world: &mut World) -> (Vec<Vec<u8>>, bool) {
    let (mut pieces, mut ended) = (Vec::new(), false);
    for event in events(&mut world.controller) {
        let Event::Data(data) = event else {
            panic!("{event:?} instead of data")
        };
        assert!(!ended, "something follows the end");
        for packet in data.packets {
            if packet.chunk == 1 {
                pieces.push(Vec::new());
            }
            assert_eq!(packet.sequence, pieces.len() as u64);
            assert_eq!(packet.total_size.is_some(), packet.chunk == 1);
            pieces.last_mut().unwrap().extend(packet.data);
        }
        ended = data.end_of_stream;
    }
    (pieces, ended)
}

fn media(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 7 / 5) as u8).collect()
}

#[test]
fn hello_makes_both_ends_ready() {
    let mut world = World::new();
    assert!(!world.accessory.is_ready() && !world.controller.is_ready());
    assert_eq!(world.accessory.token(), None);
    world.exchange().unwrap();
    assert_eq!(world.accessory.token(), Some(TOKEN));
    assert!(world.pending.is_empty());
    assert_eq!(events(&mut world.accessory), [Event::Ready]);
    assert_eq!(events(&mut world.controller), [Event::Ready]);
    assert_eq!(world.accessory.poll_timeout(), None);
    assert_eq!(world.controller.poll_timeout(), None);
}

#[test]
fn a_recording_from_open_to_close() {
    let mut world = World::ready();
    let request = world.ask(&Open::recording(3));
    assert_eq!(request.kind, StreamKind::Recording);
    assert_eq!(request.reason.as_deref(), Some("record"));
    assert_eq!(request.size, None);
    assert!(
        !world
            .accessory
            .send_data(3, DataType::Initialization, 1, b"early", false)
    );
    assert!(world.accessory.accept(&request));
    assert!(!world.accessory.accept(&request));
    world.exchange().unwrap();
    let stream_id = 3;
    assert_eq!(events(&mut world.controller), [Event::Opened { stream_id }]);

    let sent = [
        media(700),
        media(500_000),
        media(2 * CHUNK),
        media(CHUNK + 1),
    ];
    for (index, piece) in sent.iter().enumerate() {
        let sequence = index as u64 + 1;
        let data_type = match index {
            0 => DataType::Initialization,
            _ => DataType::Fragment,
        };
        let last = index + 1 == sent.len();
        assert!(
            world
                .accessory
                .send_data(3, data_type, sequence, piece, last)
        );
    }
    assert!(
        !world
            .accessory
            .send_data(3, DataType::Fragment, 5, b"more", false)
    );
    world.exchange().unwrap();
    assert_eq!(received(&mut world), (sent.to_vec(), true));

    assert!(world.controller.ack(3));
    assert!(world.controller.close_stream(3, Reason::Normal));
    assert!(!world.controller.close_stream(3, Reason::Normal));
    world.exchange().unwrap();
    let ack = Event::Ack {
        stream_id,
        end_of_stream: true,
    };
    let reason = Reason::Normal;
    let close = Event::Close { stream_id, reason };
    assert_eq!(events(&mut world.accessory), [ack, close]);
    assert!(!world.accessory.close_stream(3, Reason::Normal));
}

#[test]
fn a_snapshot_is_over_when_it_has_arrived() {
    let mut world = World::ready();
    let request = world.ask(&Open::snapshot(5, (640, 360), Some("event")));
    assert_eq!(request.kind, StreamKind::Snapshot);
    assert_eq!(request.size, Some((640, 360)));
    assert_eq!(request.reason.as_deref(), Some("event"));
    assert!(world.accessory.accept(&request));
    let image = media(300_000);
    assert!(
        world
            .accessory
            .send_data(5, DataType::Image, 1, &image, true)
    );
    world.exchange().unwrap();
    let opened = Event::Opened { stream_id: 5 };
    assert_eq!(world.controller.poll_event(), Some(opened));
    assert_eq!(received(&mut world), (vec![image], true));
    assert!(world.controller.ack(5));
    world.exchange().unwrap();
    let ack = Event::Ack {
        stream_id: 5,
        end_of_stream: true,
    };
    assert_eq!(events(&mut world.accessory), [ack]);
    assert!(!world.accessory.close_stream(5, Reason::Normal));
    assert!(world.controller.close_stream(5, Reason::Normal));
    world.exchange().unwrap();
    let late = events(&mut world.accessory);
    assert!(matches!(&late[..], [Event::Event { topic, .. }] if topic == "close"));
}

#[test]
fn parts_are_sent_as_if_they_lay_together() {
    let whole = media(CHUNK * 2 + 77);
    let (first, rest) = whole.split_at(100);
    let (second, third) = rest.split_at(CHUNK);
    let mut world = World::open(&Open::recording(1));
    let sent = world.accessory.send_piece(Piece {
        stream_id: 1,
        data_type: DataType::Fragment,
        sequence: 1,
        parts: &[first, &[], second, third],
        end_of_stream: false,
    });
    assert!(sent);
    world.exchange().unwrap();
    assert_eq!(received(&mut world), (vec![whole], false));
}

#[test]
fn every_refusal_arrives() {
    for code in 1..10 {
        let reason = Reason::from_code(code).unwrap();
        let mut world = World::ready();
        let request = world.ask(&Open::recording(1));
        world.accessory.refuse(&request, reason);
        world.exchange().unwrap();
        let refused = Event::Refused {
            stream_id: 1,
            reason,
        };
        assert_eq!(events(&mut world.controller), [refused]);
        assert!(!world.accessory.accept(&request));
        // The same identifier may be used again.
        let request = world.ask(&Open::recording(1));
        assert!(world.accessory.accept(&request));
    }
}

#[test]
fn one_identifier_one_stream() {
    let mut world = World::open(&Open::recording(1));
    let again = world.controller.open(&Open::recording(1), world.now);
    assert_eq!(again, Err(SendError::StreamInUse { stream_id: 1 }));
    // Even if a controller does it all the same.
    let message = Open::recording(1);
    let body = Value::dict([
        ("streamId", 1.into()),
        ("type", message.kind.name().into()),
        ("target", "controller".into()),
    ]);
    let id = world
        .controller
        .request("dataSend", "open", &body, world.now)
        .unwrap();
    world.exchange().unwrap();
    assert_eq!(events(&mut world.accessory), []);
    let response = Event::Response {
        id,
        status: Status::ProtocolError,
        message: Value::dict([("status", Reason::Busy.code().into())]),
    };
    assert_eq!(events(&mut world.controller), [response]);
}

#[test]
fn a_controller_cannot_have_any_number_of_streams() {
    let mut world = World::ready();
    for stream_id in 0..MAX_STREAMS as i64 {
        let request = world.ask(&Open::recording(stream_id));
        assert!(world.accessory.accept(&request));
    }
    world.exchange().unwrap();
    events(&mut world.controller);
    world
        .controller
        .open(&Open::recording(99), world.now)
        .unwrap();
    world.exchange().unwrap();
    let refused = Event::Refused {
        stream_id: 99,
        reason: Reason::Busy,
    };
    assert_eq!(events(&mut world.controller), [refused]);
}

#[test]
fn wrong_open_requests_are_refused() {
    let body = |id: Value, kind: Value, target: Value| {
        Value::dict([("streamId", id), ("type", kind), ("target", target)])
    };
    let recording = || "ipcamera.recording".into();
    for wrong in [
        body("1".into(), recording(), "controller".into()),
        body(1.into(), 1.into(), "controller".into()),
        body(1.into(), recording(), "elsewhere".into()),
        body(1.into(), recording(), Value::Null),
        Value::EMPTY,
        Value::Null,
    ] {
        let mut world = World::ready();
        let id = world
            .controller
            .request("dataSend", "open", &wrong, world.now)
            .unwrap();
        world.exchange().unwrap();
        assert_eq!(events(&mut world.accessory), []);
        let response = Event::Response {
            id,
            status: Status::ProtocolError,
            message: Value::dict([("status", Reason::UnexpectedFailure.code().into())]),
        };
        assert_eq!(events(&mut world.controller), [response]);
    }
}

#[test]
fn a_controller_may_close_in_the_middle_of_a_fragment() {
    let mut world = World::open(&Open::recording(1));
    let fragment = media(600_000);
    assert!(
        world
            .accessory
            .send_data(1, DataType::Fragment, 2, &fragment, false)
    );
    let first = world.accessory.poll_output().unwrap();
    let (now, none) = (world.now, &mut Pending::new());
    world.controller.input(&first[..1000], now, none).unwrap();
    assert!(world.controller.close_stream(1, Reason::Normal));
    let close = output(&mut world.controller);
    world.accessory.input(&close, now, none).unwrap();
    let closed = Event::Close {
        stream_id: 1,
        reason: Reason::Normal,
    };
    assert_eq!(events(&mut world.accessory), [closed]);
    assert!(
        !world
            .accessory
            .send_data(1, DataType::Fragment, 3, &fragment, false)
    );
    // What was under way arrives, belongs to nothing, and the next stream works.
    world.controller.input(&first[1000..], now, none).unwrap();
    world.exchange().unwrap();
    for event in events(&mut world.controller) {
        assert!(matches!(event, Event::Event { topic, .. } if topic == "data"));
    }
    let request = world.ask(&Open::recording(2));
    assert!(world.accessory.accept(&request));
}

#[test]
fn an_accessory_closes_with_a_reason() {
    let mut world = World::open(&Open::recording(1));
    let reason = Reason::NotAllowed;
    assert!(world.accessory.close_stream(1, reason));
    world.exchange().unwrap();
    let close = Event::Close {
        stream_id: 1,
        reason,
    };
    assert_eq!(events(&mut world.controller), [close]);
    assert!(!world.controller.ack(1));
}

#[test]
fn closed_before_it_was_answered() {
    let mut world = World::ready();
    let request = world.ask(&Open::recording(1));
    assert!(world.controller.close_stream(1, Reason::Cancelled));
    world
        .controller
        .open(&Open::recording(1), world.now)
        .unwrap();
    world.exchange().unwrap();
    assert!(!world.accessory.accept(&request));
    let all = events(&mut world.accessory);
    let [Event::Close { stream_id: 1, .. }, Event::Open(second)] = &all[..] else {
        panic!("{all:?}")
    };
    // The refusal of the first one is not taken for the second's.
    assert_eq!(events(&mut world.controller), []);
    assert!(world.accessory.accept(second));
    world.exchange().unwrap();
    let opened = Event::Opened { stream_id: 1 };
    assert_eq!(events(&mut world.controller), [opened]);
}

#[test]
fn an_accessory_that_does_not_answer() {
    let mut world = World::ready();
    let request = world.ask(&Open::recording(1));
    assert_eq!(
        world.controller.poll_timeout(),
        Some(world.now + RESPONSE_TIMEOUT)
    );
    world.pass(RESPONSE_TIMEOUT);
    world.controller.timeout(world.now).unwrap();
    let refused = Event::Refused {
        stream_id: 1,
        reason: Reason::Timeout,
    };
    assert_eq!(events(&mut world.controller), [refused]);
    world.exchange().unwrap();
    let closed = Event::Close {
        stream_id: 1,
        reason: Reason::Timeout,
    };
    assert_eq!(events(&mut world.accessory), [closed]);
    assert!(!world.accessory.accept(&request));
}

#[test]
fn protocols_of_the_program() {
    let mut world = World::ready();
    let body = Value::dict([("volume", 11.into())]);
    world.accessory.serve("sound");
    let controller = &mut world.controller;
    let id = controller
        .request("sound", "set", &body, world.now)
        .unwrap();
    controller.event("sound", "heard", &body).unwrap();
    world.exchange().unwrap();
    let asked = events(&mut world.accessory);
    let [Event::Request(request), Event::Event { topic, message, .. }] = &asked[..] else {
        panic!("{asked:?}")
    };
    assert_eq!((request.topic.as_str(), &request.message), ("set", &body));
    assert_eq!((topic.as_str(), message), ("heard", &body));
    let status = Status::Other(12);
    world.accessory.respond(request, status, &body).unwrap();
    world.exchange().unwrap();
    let response = Event::Response {
        id,
        status,
        message: body,
    };
    assert_eq!(events(&mut world.controller), [response]);
}

#[test]
fn what_nobody_knows_is_answered_or_ignored() {
    let mut world = World::ready();
    for (protocol, topic, expected) in [
        ("sound", "set", Status::MissingProtocol),
        ("dataSend", "shut", Status::HeaderError),
        ("dataSend", "data", Status::HeaderError),
        ("control", "goodbye", Status::HeaderError),
        ("control", "hello", Status::Success),
    ] {
        let (message, now) = (Value::EMPTY, world.now);
        world.controller.event(protocol, topic, &message).unwrap();
        let id = world.controller.request(protocol, topic, &message, now);
        let id = id.unwrap();
        world.exchange().unwrap();
        assert_eq!(events(&mut world.accessory), []);
        let response = Event::Response {
            id,
            status: expected,
            message,
        };
        assert_eq!(events(&mut world.controller), [response]);
    }
}

#[test]
fn requests_end_after_ten_seconds() {
    let mut world = World::ready();
    world.accessory.serve("sound");
    let id = world
        .controller
        .request("sound", "set", &Value::EMPTY, world.now)
        .unwrap();
    world.exchange().unwrap();
    world.pass(RESPONSE_TIMEOUT - Duration::from_millis(1));
    world.controller.timeout(world.now).unwrap();
    assert_eq!(world.controller.poll_event(), None);
    world.pass(Duration::from_millis(1));
    world.controller.timeout(world.now).unwrap();
    let response = Event::Response {
        id,
        status: Status::Timeout,
        message: Value::Null,
    };
    assert_eq!(events(&mut world.controller), [response]);
    assert_eq!(world.controller.poll_timeout(), None);
    // The answer comes after all.
    let Some(Event::Request(request)) = world.accessory.poll_event() else {
        panic!("no request")
    };
    world
        .accessory
        .respond(&request, Status::Success, &Value::EMPTY)
        .unwrap();
    world.exchange().unwrap();
    assert_eq!(world.controller.poll_event(), None);
}

#[test]
fn nothing_is_sent_before_hello_or_beyond_a_frame() {
    let mut world = World::new();
    let (controller, now) = (&mut world.controller, world.now);
    let not_ready = Err(SendError::NotReady);
    assert_eq!(controller.open(&Open::recording(1), now), not_ready);
    assert_eq!(controller.event("a", "b", &Value::EMPTY), not_ready);
    assert!(controller.request("a", "b", &Value::EMPTY, now).is_err());
    let mut world = World::ready();
    let long = Value::Data(vec![0; 0x10_0000]);
    let refused = world.controller.request("a", "b", &long, world.now);
    assert!(matches!(refused, Err(SendError::TooLong { .. })));
    assert_eq!(world.controller.poll_timeout(), None);
    assert_eq!(output(&mut world.controller), []);
    world.exchange().unwrap();
}

#[test]
fn connections_find_their_session_among_several() {
    let mut world = World::new();
    let now = world.now;
    for token in 100..110 {
        world.pending.add(token, other_keys(token as u8), now);
    }
    let mut late = Connection::controller(&other_keys(105), now);
    let hello = output(&mut late);
    let mut accessory = Connection::accessory(now);
    accessory.input(&hello, now, &mut world.pending).unwrap();
    assert_eq!(accessory.token(), Some(105));
    world.exchange().unwrap();
    assert_eq!(world.accessory.token(), Some(TOKEN));
    assert_eq!(world.pending.len(), 9);
    // A session has one connection: the same hello again belongs to nothing.
    let again = Connection::accessory(now).input(&hello, now, &mut world.pending);
    assert_eq!(again, Err(Error::UnknownSession));
}

#[test]
fn sessions_wait_ten_seconds() {
    let mut world = World::new();
    let second = world.now + Duration::from_secs(1);
    world.pending.add(8, other_keys(8), second);
    assert_eq!(
        world.pending.poll_timeout(),
        Some(world.now + CONNECT_TIMEOUT)
    );
    world.pass(CONNECT_TIMEOUT);
    // Even if the program has not looked at its clock yet.
    let hello = output(&mut world.controller);
    let mut accessory = Connection::accessory(world.now);
    let result = accessory.input(&hello, world.now, &mut world.pending);
    assert_eq!(result, Err(Error::UnknownSession));
    assert_eq!(world.pending.timeout(world.now), [TOKEN]);
    assert!(world.pending.remove(8));
    assert!(!world.pending.remove(8));
    assert_eq!(world.pending.poll_timeout(), None);
}

#[test]
fn no_more_than_so_many_sessions_wait() {
    let mut pending = Pending::new();
    let now = std::time::Instant::now();
    for token in 0..MAX_PENDING as u64 {
        assert_eq!(pending.add(token, other_keys(1), now), None);
    }
    assert_eq!(pending.add(99, other_keys(1), now), Some(0));
    assert_eq!(pending.len(), MAX_PENDING);
}

#[test]
fn connections_without_hello_end_after_ten_seconds() {
    let mut world = World::new();
    for connection in [&mut world.accessory, &mut world.controller] {
        assert_eq!(connection.poll_timeout(), Some(world.now + HELLO_TIMEOUT));
        let almost = world.now + HELLO_TIMEOUT - Duration::from_millis(1);
        assert_eq!(connection.timeout(almost), Ok(()));
        let late = connection.timeout(world.now + HELLO_TIMEOUT);
        assert_eq!(late, Err(Error::HelloTimeout));
    }
}

#[test]
fn a_stranger_and_a_replay_are_thrown_out() {
    let mut world = World::new();
    let now = world.now;
    let mut stranger = Connection::controller(&other_keys(1), now);
    let hello = output(&mut stranger);
    let result = Connection::accessory(now).input(&hello, now, &mut world.pending);
    assert_eq!(result, Err(Error::UnknownSession));

    let hello = output(&mut world.controller);
    world
        .accessory
        .input(&hello, now, &mut world.pending)
        .unwrap();
    let replay = world.accessory.input(&hello, now, &mut world.pending);
    assert_eq!(replay, Err(Error::BadTag { counter: 1 }));
}

#[test]
fn something_else_before_hello_ends_the_connection() {
    for (topic, kind) in [("hello", "event"), ("open", "request")] {
        let mut world = World::new();
        let header = Value::dict([
            ("protocol", "control".into()),
            (kind, topic.into()),
            ("id", 1.into()),
        ]);
        let header = header.encode();
        let mut sealer = Sealer::new(common::keys().controller_to_accessory());
        let frame = sealer.seal(0, |out| {
            out.push(header.len() as u8);
            out.extend_from_slice(&header);
            out.push(0xE0);
        });
        let frame = frame.unwrap();
        let result = world.accessory.input(&frame, world.now, &mut world.pending);
        let error = Error::HelloExpected {
            protocol: "control".to_owned(),
            topic: topic.to_owned(),
        };
        assert_eq!(result, Err(error));
        assert_eq!(output(&mut world.accessory), []);
    }
}

#[test]
fn a_first_frame_is_short_and_well_formed() {
    let mut world = World::new();
    let (now, pending) = (world.now, &mut world.pending);
    let long = Connection::accessory(now).input(&bytes("01000401"), now, pending);
    let error = Error::FrameTooLong {
        length: 1025,
        limit: 1024,
    };
    assert_eq!(long, Err(error));
    let http = Connection::accessory(now).input(b"GET / HTTP/1.1", now, pending);
    assert_eq!(http, Err(Error::FrameType { found: b'G' }));
    let huge = world.accessory.input(&bytes("01ffffff"), now, pending);
    assert!(matches!(huge, Err(Error::FrameTooLong { .. })));
}

#[test]
fn a_hello_that_is_refused() {
    let mut world = World::new();
    let message = hds_proto::message::Message {
        protocol: "control".to_owned(),
        topic: "hello".to_owned(),
        kind: hds_proto::message::Kind::Response {
            id: 1,
            status: Status::OutOfMemory,
        },
        body: Value::EMPTY,
    };
    let mut sealer = Sealer::new(common::keys().accessory_to_controller());
    let payload = message.encode().unwrap();
    let frame = sealer.seal(0, |out| out.extend(payload)).unwrap();
    let result = world
        .controller
        .input(&frame, world.now, &mut Pending::new());
    assert_eq!(result, Err(Error::HelloRefused { status: 1 }));
}
