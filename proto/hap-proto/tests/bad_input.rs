//! Peers that are slow, broken, hostile or many.

mod common;

use std::time::Duration;

use common::client::{Client, Controller, paired};
use common::srp_controller::Convention;
use common::{World, iid};
use hap_proto::{ConnId, Limits, PairingState, Value};
use serde_json::json;

/// The HTTP status of what a plain connection received, if anything.
fn status(world: &mut World, conn: ConnId) -> Option<u16> {
    let bytes = world.received(conn);
    let text = String::from_utf8_lossy(&bytes);
    text.strip_prefix("HTTP/1.1 ")
        .map(|rest| rest[..3].parse().unwrap())
}

fn refused(bytes: &[u8]) -> Option<u16> {
    let (mut world, admin) = paired();
    let mut bystander = Client::verified(&mut world, &admin);
    let conn = world.connect();
    world.send(conn, bytes);
    assert!(world.is_closed(conn));
    assert_eq!(world.host.closed, [conn]);
    assert_eq!(bystander.get(&mut world, "/characteristics?id=1.9").0, 200);
    status(&mut world, conn)
}

#[test]
fn bodies_of_10_megabytes_are_refused_by_their_length() {
    assert_eq!(
        refused(b"POST /pair-setup HTTP/1.1\r\nContent-Length: 10000000\r\n\r\n"),
        Some(413)
    );
}

#[test]
fn chunked_bodies_of_10_megabytes_are_refused_when_they_exceed_the_limit() {
    let chunk = [&b"2000\r\n"[..], &[b'x'; 0x2000], b"\r\n"].concat();
    let head = &b"PUT /characteristics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"[..];
    let mut world = World::new();
    let conn = world.connect();
    world.send(conn, head);
    let mut chunks = 0;
    while !world.is_closed(conn) {
        world.send(conn, &chunk);
        chunks += 1;
        assert!(chunks < 100, "memory grows without bounds");
    }
    assert_eq!(chunks, 9, "64 KiB are eight of them");
    assert_eq!(status(&mut world, conn), Some(413));
}

#[test]
fn endless_heads_are_refused() {
    assert_eq!(
        refused(&[&b"GET /"[..], &[b'a'; 10_000_000]].concat()),
        Some(431)
    );
    let headers = "A: b\r\n".repeat(100_000);
    assert_eq!(
        refused(format!("GET / HTTP/1.1\r\n{headers}").as_bytes()),
        Some(431)
    );
}

#[test]
fn what_is_no_http_is_refused() {
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"GET / HTTP/3\r\n\r\n",
        &[0; 64],
        b"PUT / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    ] {
        assert_eq!(refused(bytes), Some(400));
    }
}

#[test]
fn nothing_after_a_malformed_request_is_served() {
    let mut world = World::new();
    let conn = world.connect();
    world.send(conn, b"\x00\r\n\r\nPOST /identify HTTP/1.1\r\n\r\n");
    world.send(conn, b"POST /identify HTTP/1.1\r\n\r\n");
    assert_eq!(
        (status(&mut world, conn), world.host.identified),
        (Some(400), 0)
    );
}

#[test]
fn malformed_requests_within_a_session_are_refused_encrypted() {
    let (mut world, admin) = paired();
    let mut client = Client::verified(&mut world, &admin);
    client.send(&mut world, b"\x00\r\n\r\n");
    assert_eq!(client.responses.pop_front().unwrap().status, 400);
    assert!(world.is_closed(client.conn));
    let mut client = Client::verified(&mut world, &admin);
    client.send(
        &mut world,
        b"PUT /characteristics HTTP/1.1\r\nContent-Length: 10000000\r\n\r\n",
    );
    assert_eq!(client.responses.pop_front().unwrap().status, 413);
    assert!(world.is_closed(client.conn));
}

#[test]
fn everything_may_come_byte_by_byte() {
    let (mut world, admin) = paired();
    let mut client = Client::connect(&mut world);
    let (m3, shared) = client.verify_start(&mut world, &admin, [7; 32]).unwrap();
    let head = format!(
        "POST /pair-verify HTTP/1.1\r\nContent-Length: {}\r\n\r\n",
        m3.len()
    );
    let m3 = [head.as_bytes(), &m3].concat();
    let trickle = |world: &mut World, bytes: &[u8]| {
        for byte in bytes {
            world.send(client.conn, &[*byte]);
            world.advance(Duration::from_millis(10));
        }
    };
    trickle(&mut world, &m3);
    client.receive(&mut world);
    assert_eq!(client.responses.pop_front().unwrap().body, [6, 1, 4]);
    client.secure(&shared);
    let frames = client.encode(b"GET /characteristics?id=1.9 HTTP/1.1\r\n\r\n");
    for byte in frames {
        world.send(client.conn, &[byte]);
    }
    client.receive(&mut world);
    assert_eq!(client.responses.pop_front().unwrap().status, 200);
}

#[test]
fn one_byte_a_second_ends_after_30_seconds() {
    let (mut world, admin) = paired();
    let mut bystander = Client::verified(&mut world, &admin);
    let mut slow = Client::verified(&mut world, &admin);
    let frames = slow.encode(b"GET /characteristics?id=1.9 HTTP/1.1\r\n\r\n");
    let plain = world.connect();
    let request = b"POST /pair-verify HTTP/1.1\r\nContent-Length: 37\r\n\r\n";
    for second in 0..29 {
        world.send(slow.conn, &frames[second..=second]);
        world.send(plain, &request[second..=second]);
        world.advance(Duration::from_secs(1));
        assert_eq!(bystander.get(&mut world, "/characteristics?id=1.9").0, 200);
    }
    assert!(!world.is_closed(slow.conn) && !world.is_closed(plain));
    world.advance(Duration::from_secs(1));
    assert!(world.is_closed(slow.conn) && world.is_closed(plain));
    assert!(!world.is_closed(bystander.conn));
}

#[test]
fn the_time_of_a_request_starts_with_its_first_byte() {
    let (mut world, admin) = paired();
    let mut client = Client::verified(&mut world, &admin);
    world.advance(Duration::from_secs(3600));
    for _ in 0..10 {
        client.send(&mut world, b"GET /characteristics?id=1.9");
        world.advance(Duration::from_secs(20));
        client.send(&mut world, b" HTTP/1.1\r\n\r\n");
        assert_eq!(client.responses.pop_front().unwrap().status, 200);
        world.advance(Duration::from_secs(20));
    }
    assert!(!world.is_closed(client.conn));
}

#[test]
fn verified_connections_may_be_silent_for_hours_and_others_may_not() {
    let (mut world, admin) = paired();
    let mut client = Client::verified(&mut world, &admin);
    let unverified = world.connect();
    world.advance(Duration::from_secs(59));
    assert!(!world.is_closed(unverified));
    world.advance(Duration::from_secs(1));
    assert!(world.is_closed(unverified));
    world.advance(Duration::from_secs(24 * 3600));
    assert_eq!(client.get(&mut world, "/characteristics?id=1.9").0, 200);
    assert_eq!(world.server.poll_timeout(), None);
}

#[test]
fn replayed_and_damaged_frames_end_the_connection_without_a_word() {
    let (mut world, admin) = paired();
    let mut bystander = Client::verified(&mut world, &admin);
    let request = b"GET /characteristics?id=1.9 HTTP/1.1\r\n\r\n";

    let mut replayed = Client::verified(&mut world, &admin);
    let frames = replayed.encode(request);
    world.send(replayed.conn, &frames);
    replayed.receive(&mut world);
    world.send(replayed.conn, &frames);

    let mut damaged = Client::verified(&mut world, &admin);
    let mut frames = damaged.encode(request);
    *frames.last_mut().unwrap() ^= 1;
    world.send(damaged.conn, &frames);

    let long = Client::verified(&mut world, &admin);
    world.send(long.conn, &[0x01, 0x04]);

    let plain = Client::verified(&mut world, &admin);
    world.send(plain.conn, request);

    for client in [&replayed, &damaged, &long, &plain] {
        assert!(world.is_closed(client.conn) && world.received(client.conn).is_empty());
        assert!(world.host.closed.contains(&client.conn));
    }
    assert_eq!(bystander.get(&mut world, "/characteristics?id=1.9").0, 200);
}

#[test]
fn keys_of_one_session_open_no_other() {
    let (mut world, admin) = paired();
    let mut first = Client::verified(&mut world, &admin);
    let second = Client::verified(&mut world, &admin);
    let frames = first.encode(b"GET /characteristics?id=1.9 HTTP/1.1\r\n\r\n");
    world.send(second.conn, &frames);
    assert!(world.is_closed(second.conn));
}

#[test]
fn a_thousand_connections_opened_and_left_disturb_nobody() {
    let (mut world, admin) = paired();
    let mut clients: Vec<Client> = (0..8)
        .map(|_| Client::verified(&mut world, &admin))
        .collect();
    for index in 0..1000 {
        let conn = world.connect();
        if index % 2 == 0 {
            world.send(conn, b"GET /characteristics?id=1.9 HT");
        }
        if index % 3 == 0 {
            world.disconnect(conn);
        }
    }
    assert!(world.closed.len() > 600, "{}", world.closed.len());
    for client in &mut clients {
        assert_eq!(client.get(&mut world, "/characteristics?id=1.9").0, 200);
    }
    world.advance(Duration::from_secs(61));
    assert_eq!(world.host.closed.len(), 1000);
    for client in &mut clients {
        assert_eq!(client.get(&mut world, "/characteristics?id=1.9").0, 200);
    }
}

#[test]
fn at_capacity_the_least_recently_active_connection_makes_room() {
    let (mut world, admin) = paired();
    let mut clients: Vec<Client> = (0..32)
        .map(|_| Client::verified(&mut world, &admin))
        .collect();
    for client in clients.iter_mut().rev() {
        world.now += Duration::from_secs(1);
        assert_eq!(client.get(&mut world, "/characteristics?id=1.9").0, 200);
    }
    world.connect();
    assert_eq!(world.closed, [clients[31].conn]);
    let second = world.connect();
    assert_eq!(
        world.closed.len(),
        2,
        "the connection that is not verified goes first"
    );
    assert!(!world.closed.contains(&clients[30].conn));
    assert!(!world.closed.contains(&second));
    assert_eq!(world.host.closed, world.closed);
}

#[test]
fn who_types_the_setup_code_is_not_displaced_by_idlers() {
    let limits = Limits {
        max_connections: 8,
        ..Limits::default()
    };
    let mut world = World::with(limits, PairingState::default());
    let mut client = Client::connect(&mut world);
    client
        .pairing(&mut world, "/pair-setup", &[6, 1, 1, 0, 1, 0])
        .unwrap();
    for _ in 0..100 {
        world.now += Duration::from_millis(1);
        world.connect();
    }
    assert!(!world.is_closed(client.conn));
    let done = client.set_up(&mut world, &Controller::new(1), Convention::Padded, [9; 32]);
    assert!(done.is_ok());
}

#[test]
fn requests_behind_a_snapshot_are_bounded() {
    let (mut world, admin) = paired();
    let mut client = Client::verified(&mut world, &admin);
    let body = r#"{"image-width":1,"image-height":1,"resource-type":"image"}"#;
    let request = format!(
        "POST /resource HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    client.send(&mut world, request.as_bytes());
    let mut sent = 0;
    while !world.is_closed(client.conn) {
        client.send(&mut world, &[b'\n'; 1000]);
        sent += 1000;
        assert!(sent < 200_000, "memory grows without bounds");
    }
    assert!(sent > 64 * 1024);
    world.resource_ready(client.conn, Ok(vec![1]));
    assert!(world.received(client.conn).is_empty());
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let (mut world, admin) = paired();
    let mut client = Client::verified(&mut world, &admin);
    let put = |value: bool| {
        let body = json!({"characteristics":[{"aid":1,"iid":iid::ON,"value":value}]}).to_string();
        format!(
            "PUT /characteristics HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let get = "GET /characteristics?id=1.9 HTTP/1.1\r\n\r\n";
    let all = [
        put(true),
        get.into(),
        put(false),
        get.into(),
        "GET /x HTTP/1.1\r\n\r\n".into(),
    ]
    .concat();
    client.send(&mut world, all.as_bytes());
    let statuses: Vec<u16> = client
        .responses
        .iter()
        .map(|response| response.status)
        .collect();
    assert_eq!(statuses, [204, 200, 204, 200, 404]);
    assert!(client.responses[1].body.ends_with(b"true}]}"));
    assert!(client.responses[3].body.ends_with(b"false}]}"));
    let values: Vec<_> = world
        .host
        .writes
        .iter()
        .map(|write| write.value.clone())
        .collect();
    assert_eq!(values, [Value::Bool(true), Value::Bool(false)]);
}

#[test]
fn closed_and_unknown_connections_are_ignored() {
    let mut world = World::new();
    let conn = world.connect();
    world.disconnect(conn);
    world.disconnect(conn);
    world.send(conn, b"POST /identify HTTP/1.1\r\n\r\n");
    world.send(ConnId(99), b"POST /identify HTTP/1.1\r\n\r\n");
    world.resource_ready(ConnId(99), Ok(vec![]));
    assert_eq!((world.host.identified, world.host.closed.len()), (0, 1));
}
