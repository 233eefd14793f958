//! Events through the server.

mod common;

use std::time::Duration;

use common::client::{Client, paired};
use common::{World, iid};
use hap_proto::Value;
use serde_json::json;

const DELAY: Duration = Duration::from_millis(250);

fn subscribe(world: &mut World, client: &mut Client, iids: &[u64], on: bool) {
    let entries: Vec<_> = iids
        .iter()
        .map(|iid| json!({"aid":1,"iid":iid,"ev":on}))
        .collect();
    let (http, _) = client.put(
        world,
        "/characteristics",
        &json!({"characteristics":entries}),
    );
    assert_eq!(http, 204);
}

fn subscriber(iids: &[u64]) -> (World, Client, Client) {
    let (mut world, admin) = paired();
    let mut first = Client::verified(&mut world, &admin);
    let mut second = Client::verified(&mut world, &admin);
    subscribe(&mut world, &mut first, iids, true);
    subscribe(&mut world, &mut second, iids, true);
    (world, first, second)
}

fn pass(world: &mut World, client: &mut Client, time: Duration) {
    world.advance(time);
    client.receive(world);
}

#[test]
fn events_are_coalesced() {
    let (mut world, mut first, _) = subscriber(&[iid::ON, iid::LEVEL]);
    world.notify(iid::ON, Value::Bool(true), None);
    pass(&mut world, &mut first, DELAY - Duration::from_millis(1));
    assert!(first.events.is_empty());
    world.notify(iid::LEVEL, Value::UInt(30), None);
    pass(&mut world, &mut first, Duration::from_millis(1));
    let event = first.events.pop_front().unwrap();
    assert_eq!(
        event,
        json!([{"aid":1,"iid":10,"value":30},{"aid":1,"iid":9,"value":true}])
    );
    pass(&mut world, &mut first, Duration::from_secs(5));
    assert!(first.events.is_empty());
}

#[test]
fn newest_value_of_a_characteristic_stands_first() {
    let (mut world, mut first, _) = subscriber(&[iid::ON]);
    for on in [true, false, false, true] {
        world.notify(iid::ON, Value::Bool(on), None);
    }
    pass(&mut world, &mut first, DELAY);
    let values: Vec<_> = first.events[0]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["value"].clone())
        .collect();
    assert_eq!(values, [json!(true), json!(false), json!(true)]);
}

#[test]
fn writers_are_not_told() {
    let (mut world, mut first, mut second) = subscriber(&[iid::ON]);
    world.notify(iid::ON, Value::Bool(true), Some(first.conn));
    pass(&mut world, &mut first, DELAY);
    second.receive(&mut world);
    assert_eq!((first.events.len(), second.events.len()), (0, 1));
}

#[test]
fn button_presses_go_out_at_once_with_everything_else() {
    let (mut world, mut first, _) = subscriber(&[iid::ON, iid::BUTTON]);
    world.notify(iid::ON, Value::Bool(true), None);
    world.notify(iid::BUTTON, Value::UInt(0), None);
    world.notify(iid::BUTTON, Value::UInt(0), None);
    first.receive(&mut world);
    let button = json!({"aid":1,"iid":11,"value":0});
    assert_eq!(
        first.events,
        [
            json!([button, {"aid":1,"iid":9,"value":true}]),
            json!([button])
        ]
    );
}

#[test]
fn unsubscribing_takes_effect_at_once() {
    let (mut world, mut first, _) = subscriber(&[iid::ON, iid::LEVEL]);
    world.notify(iid::ON, Value::Bool(true), None);
    subscribe(&mut world, &mut first, &[iid::ON], false);
    world.notify(iid::ON, Value::Bool(false), None);
    pass(&mut world, &mut first, DELAY);
    assert!(first.events.is_empty());
    assert_eq!(
        world.host.subscriptions.last(),
        Some(&(first.conn, iid::ON, false))
    );
    assert_eq!(
        first.get(&mut world, "/characteristics?id=1.9&ev=1").1["characteristics"][0]["ev"],
        false
    );
    assert_eq!(
        first.get(&mut world, "/characteristics?id=1.10&ev=1").1["characteristics"][0]["ev"],
        true
    );
}

#[test]
fn subscriptions_are_per_connection_and_die_with_it() {
    let (mut world, admin) = paired();
    let mut first = Client::verified(&mut world, &admin);
    subscribe(&mut world, &mut first, &[iid::ON], true);
    world.disconnect(first.conn);
    let mut second = Client::verified(&mut world, &admin);
    world.notify(iid::ON, Value::Bool(true), None);
    pass(&mut world, &mut second, DELAY);
    assert!(second.events.is_empty());
}

#[test]
fn unknown_and_unsubscribed_characteristics_are_ignored() {
    let (mut world, mut first, _) = subscriber(&[iid::ON]);
    world.notify(999, Value::Bool(true), None);
    world.notify(iid::LEVEL, Value::UInt(50), None);
    pass(&mut world, &mut first, DELAY);
    assert!(first.events.is_empty());
}

#[test]
fn events_wait_for_the_end_of_a_request() {
    let (mut world, mut first, _) = subscriber(&[iid::ON, iid::BUTTON]);
    first.send(&mut world, b"GET /characteristics?id=1.9 HT");
    world.notify(iid::BUTTON, Value::UInt(0), None);
    world.notify(iid::ON, Value::Bool(true), None);
    pass(&mut world, &mut first, DELAY * 4);
    assert!(first.events.is_empty());
    first.send(&mut world, b"TP/1.1\r\n\r\n");
    assert_eq!((first.responses.len(), first.events.len()), (1, 1));
}

#[test]
fn events_wait_for_the_end_of_a_frame() {
    let (mut world, mut first, _) = subscriber(&[iid::BUTTON]);
    let frames = first.encode(b"GET /characteristics?id=1.9 HTTP/1.1\r\n\r\n");
    world.send(first.conn, &frames[..1]);
    world.notify(iid::BUTTON, Value::UInt(0), None);
    assert!(world.received(first.conn).is_empty());
    world.send(first.conn, &frames[1..]);
    first.receive(&mut world);
    assert_eq!((first.responses.len(), first.events.len()), (1, 1));
}

#[test]
fn events_wait_while_a_snapshot_is_outstanding() {
    let (mut world, mut first, _) = subscriber(&[iid::ON]);
    let body = r#"{"image-width":1,"image-height":1,"resource-type":"image"}"#;
    let request = format!(
        "POST /resource HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    first.send(&mut world, request.as_bytes());
    world.notify(iid::ON, Value::Bool(true), None);
    pass(&mut world, &mut first, Duration::from_secs(2));
    assert!(first.events.is_empty() && first.responses.is_empty());
    world.resource_ready(first.conn, Ok(vec![1]));
    first.receive(&mut world);
    assert_eq!((first.responses.len(), first.events.len()), (1, 1));
}

#[test]
fn an_event_and_a_response_never_mix() {
    let (mut world, mut first, _) = subscriber(&[iid::ON]);
    for round in 0..50u32 {
        world.notify(iid::ON, Value::Bool(round % 2 == 0), None);
        let request = b"GET /accessories HTTP/1.1\r\n\r\n";
        let (head, tail) = request.split_at(round as usize % request.len());
        first.send(&mut world, head);
        pass(&mut world, &mut first, DELAY / 3);
        first.send(&mut world, tail);
        assert_eq!(first.responses.pop_front().unwrap().status, 200);
    }
    pass(&mut world, &mut first, DELAY);
    assert!(first.events.len() > 10);
}

#[test]
fn bursts_are_bounded() {
    let (mut world, mut first, _) = subscriber(&[iid::ON, iid::LEVEL]);
    first.send(&mut world, b"GET /");
    for burst in 0..10_000u64 {
        world.notify(iid::LEVEL, Value::UInt(10 + burst % 90), None);
    }
    first.send(&mut world, b"accessories HTTP/1.1\r\n\r\n");
    pass(&mut world, &mut first, DELAY);
    let entries = first.events[0].as_array().unwrap();
    assert_eq!(entries.len(), 256);
    assert_eq!(entries[0]["value"], 10 + 9_999 % 90);
}
