//! The attribute database, reads, writes, timed writes, snapshots and the other URLs.

mod common;

use std::time::Duration;

use common::client::{Client, Controller, json, paired};
use common::{World, Write, iid};
use hap_proto::http::Method;
use hap_proto::{ResourceReply, ResourceRequest, Status, Value};
use serde_json::{Value as Json, json};

fn verified() -> (World, Client) {
    let (mut world, admin) = paired();
    let client = Client::verified(&mut world, &admin);
    (world, client)
}

fn write(client: &mut Client, world: &mut World, entry: Json) -> (u16, Json) {
    client.put(
        world,
        "/characteristics",
        &json!({"characteristics":[entry]}),
    )
}

/// The status of a write that is expected to be 207.
fn status(client: &mut Client, world: &mut World, entry: Json) -> i64 {
    let (http, body) = write(client, world, entry);
    assert_eq!(http, 207, "{body}");
    body["characteristics"][0]["status"].as_i64().unwrap()
}

#[test]
fn accessories_are_described_in_full() {
    let (mut world, mut client) = verified();
    let (http, body) = client.get(&mut world, "/accessories");
    assert_eq!(http, 200);
    let accessory = &body["accessories"][0];
    assert_eq!(
        (&accessory["aid"], &accessory["services"][0]["iid"]),
        (&json!(1), &json!(1))
    );
    let identify = &accessory["services"][0]["characteristics"][0];
    assert_eq!(
        *identify,
        json!({"iid":2,"type":"14","perms":["pw"],"format":"bool"})
    );
    let name = &accessory["services"][0]["characteristics"][3];
    assert_eq!(
        *name,
        json!({"iid":5,"type":"23","perms":["pr"],"format":"string","value":"Test"})
    );
    let service = &accessory["services"][1];
    assert_eq!(
        (&service["type"], &service["primary"], service.get("hidden")),
        (&json!("43"), &json!(true), None)
    );
    let level = &service["characteristics"][1];
    assert_eq!(
        *level,
        json!({"iid":10,"type":"8","perms":["pr","pw","ev"],"format":"uint8","unit":"percentage",
               "minValue":10,"maxValue":100,"minStep":1,"ev":false,"value":20})
    );
    let button = &service["characteristics"][2];
    assert_eq!(
        *button,
        json!({"iid":11,"type":"73","perms":["pr","ev"],"format":"uint8","valid-values":[0,1,2],
               "ev":false,"value":null})
    );
    let control = &service["characteristics"][3];
    assert_eq!(control["perms"], json!(["pr", "pw", "wr"]));
    assert_eq!(control["value"], "", "no value of a TLV8 is an empty one");
}

#[test]
fn values_that_cannot_be_read_are_null_in_accessories() {
    let (mut world, mut client) = verified();
    world
        .host
        .failing
        .insert(iid::ON, Status::UnableToCommunicate);
    let (http, body) = client.get(&mut world, "/accessories");
    assert_eq!(
        (
            http,
            &body["accessories"][0]["services"][1]["characteristics"][0]["value"]
        ),
        (200, &Json::Null)
    );
}

#[test]
fn reads_that_succeed_have_no_status() {
    let (mut world, mut client) = verified();
    let (http, body) = client.get(&mut world, "/characteristics?id=1.9,1.5,1.11");
    assert_eq!(http, 200);
    assert_eq!(
        body,
        json!({"characteristics":[
            {"aid":1,"iid":9,"value":false},
            {"aid":1,"iid":5,"value":"Test"},
            {"aid":1,"iid":11,"value":null}]})
    );
}

#[test]
fn one_failing_read_gives_every_entry_a_status() {
    let (mut world, mut client) = verified();
    world.host.failing.insert(iid::LEVEL, Status::Busy);
    let (http, body) = client.get(&mut world, "/characteristics?id=1.9,1.10,1.2,1.999,7.9,1.8");
    assert_eq!(http, 207);
    assert_eq!(
        body,
        json!({"characteristics":[
            {"aid":1,"iid":9,"value":false,"status":0},
            {"aid":1,"iid":10,"status":-70403},
            {"aid":1,"iid":2,"status":-70405},
            {"aid":1,"iid":999,"status":-70409},
            {"aid":7,"iid":9,"status":-70409},
            {"aid":1,"iid":8,"status":-70409}]})
    );
}

#[test]
fn flags_add_what_they_say() {
    let (mut world, mut client) = verified();
    let (_, body) = client.get(
        &mut world,
        "/characteristics?id=1.10&meta=1&perms=1&type=1&ev=1",
    );
    assert_eq!(
        body["characteristics"][0],
        json!({"aid":1,"iid":10,"type":"8","perms":["pr","pw","ev"],"ev":false,"format":"uint8",
               "unit":"percentage","minValue":10,"maxValue":100,"minStep":1,"value":20})
    );
    let (_, body) = client.get(&mut world, "/characteristics?id=1.16&meta=true&ev=true");
    let text = json!({"aid":1,"iid":16,"format":"string","maxLen":8,"value":"text"});
    assert_eq!(
        body["characteristics"][0], text,
        "it has no events, so no ev"
    );
}

#[test]
fn malformed_queries_are_bad_requests() {
    let (mut world, mut client) = verified();
    for query in ["", "?", "?id=", "?id=1", "?meta=1", "?id=1.9,", "?id=a.b"] {
        let (http, body) = client.get(&mut world, &format!("/characteristics{query}"));
        assert_eq!((http, body), (400, json!({"status":-70410})), "{query}");
    }
}

#[test]
fn writes_reach_the_host_and_answer_204() {
    let (mut world, mut client) = verified();
    let entry = json!({"aid":1,"iid":9,"value":1,"remote":true,"authData":"AQI="});
    assert_eq!(write(&mut client, &mut world, entry), (204, Json::Null));
    let expected = Write {
        iid: 9,
        value: Value::Bool(true),
        auth_data: Some(vec![1, 2]),
        remote: true,
        timed: false,
        response_wanted: false,
    };
    assert_eq!(world.host.writes, [expected]);
    assert_eq!(
        client.get(&mut world, "/characteristics?id=1.9").1["characteristics"][0]["value"],
        json!(true)
    );
}

#[test]
fn each_rule_of_a_write_has_its_status() {
    let (mut world, mut client) = verified();
    for (entry, expected) in [
        (json!({"aid":1,"iid":9}), -70410),
        (json!({"aid":1,"iid":9,"ev":null}), -70410),
        (json!({"aid":1,"iid":9,"value":null}), -70410),
        (json!({"aid":1,"iid":9,"value":"x"}), -70410),
        (json!({"aid":1,"iid":9,"ev":"x"}), -70410),
        (json!({"aid":1,"iid":10,"value":9}), -70410),
        (json!({"aid":1,"iid":10,"value":101}), -70410),
        (json!({"aid":1,"iid":10,"value":20.5}), -70410),
        (json!({"aid":1,"iid":16,"value":"123456789"}), -70410),
        (json!({"aid":1,"iid":12,"value":"*"}), -70410),
        (json!({"aid":1,"iid":16,"ev":true}), -70406),
        (json!({"aid":1,"iid":5,"value":"x"}), -70404),
        (json!({"aid":1,"iid":9,"value":true,"r":true}), -70405),
        (json!({"aid":1,"iid":999,"value":true}), -70409),
        (json!({"aid":2,"iid":9,"value":true}), -70409),
        (json!({"aid":1,"iid":1,"value":true}), -70409),
        (json!({"aid":1,"iid":13,"value":1}), -70411),
        (json!({"aid":1,"iid":13,"value":1,"authData":"*"}), -70411),
        (json!({"aid":1,"iid":14,"value":1}), -70410),
    ] {
        let text = entry.to_string();
        assert_eq!(status(&mut client, &mut world, entry), expected, "{text}");
    }
    assert!(world.host.writes.is_empty() && world.host.subscriptions.is_empty());
}

#[test]
fn the_host_says_why_it_refuses() {
    let (mut world, mut client) = verified();
    world
        .host
        .failing
        .insert(iid::ON, Status::NotAllowedInCurrentState);
    let entry = json!({"aid":1,"iid":9,"value":true,"ev":true});
    assert_eq!(status(&mut client, &mut world, entry), -70412);
    assert!(world.host.subscriptions.is_empty(), "half a write is none");
}

#[test]
fn one_failing_write_gives_every_entry_a_status() {
    let (mut world, mut client) = verified();
    let body = json!({"characteristics":[
        {"aid":1,"iid":9,"value":true},{"aid":1,"iid":5,"value":"x"},{"aid":1,"iid":10,"ev":true}]});
    let (http, body) = client.put(&mut world, "/characteristics", &body);
    assert_eq!(http, 207);
    assert_eq!(
        body,
        json!({"characteristics":[
            {"aid":1,"iid":9,"status":0},{"aid":1,"iid":5,"status":-70404},{"aid":1,"iid":10,"status":0}]})
    );
    assert_eq!(world.host.subscriptions, [(client.conn, 10, true)]);
}

#[test]
fn write_response_returns_the_hosts_value() {
    let (mut world, mut client) = verified();
    let entry = json!({"aid":1,"iid":12,"value":"AQEA","r":true});
    let expected = json!({"characteristics":[{"aid":1,"iid":12,"status":0,"value":"AgEA"}]});
    assert_eq!(write(&mut client, &mut world, entry), (207, expected));
    assert!(world.host.writes[0].response_wanted);
    assert_eq!(world.host.writes[0].value, Value::Tlv8(vec![1, 1, 0]));
    let entry = json!({"aid":1,"iid":12,"value":"AQEA"});
    assert_eq!(
        write(&mut client, &mut world, entry).0,
        204,
        "not asked for"
    );
}

#[test]
fn authorization_data_is_passed_on() {
    let (mut world, mut client) = verified();
    let entry = json!({"aid":1,"iid":13,"value":1,"authData":"AQI="});
    assert_eq!(write(&mut client, &mut world, entry).0, 204);
    assert_eq!(world.host.writes[0].auth_data, Some(vec![1, 2]));
}

#[test]
fn admin_only_characteristics_are_for_admins() {
    let (mut world, mut client) = verified();
    let guest = Controller::new(2);
    client.add_pairing(&mut world, &guest, false).unwrap();
    let mut other = Client::verified(&mut world, &guest);
    let entry = json!({"aid":1,"iid":15,"value":7});
    assert_eq!(status(&mut other, &mut world, entry.clone()), -70401);
    assert_eq!(write(&mut client, &mut world, entry).0, 204);
}

#[test]
fn duplicates_and_malformed_bodies_are_refused_as_a_whole() {
    let (mut world, mut client) = verified();
    let twice =
        json!({"characteristics":[{"aid":1,"iid":9,"value":true},{"aid":1,"iid":9,"ev":true}]});
    assert_eq!(
        client.put(&mut world, "/characteristics", &twice),
        (422, json!({"status":-70410}))
    );
    for body in [
        "",
        "{",
        "[]",
        "null",
        "{}",
        r#"{"characteristics":{}}"#,
        r#"{"characteristics":[1]}"#,
        r#"{"characteristics":[{"iid":9,"value":1}]}"#,
        r#"{"characteristics":[{"aid":-1,"iid":9}]}"#,
        r#"{"characteristics":[{"aid":"1","iid":9}]}"#,
        r#"{"characteristics":[],"pid":-1}"#,
        "\u{0}",
    ] {
        let answer = client.request(&mut world, Method::Put, "/characteristics", body.as_bytes());
        assert_eq!(json(&answer), (400, json!({"status":-70410})), "{body}");
    }
    let deep = "[".repeat(60_000);
    let answer = client.request(&mut world, Method::Put, "/characteristics", deep.as_bytes());
    assert_eq!(answer.status, 400);
    assert!(world.host.writes.is_empty());
}

#[test]
fn timed_writes_need_their_prepare_in_time() {
    let (mut world, mut client) = verified();
    let timed = |pid: u64| json!({"characteristics":[{"aid":1,"iid":14,"value":1}],"pid":pid});
    let refused = json!({"characteristics":[{"aid":1,"iid":14,"status":-70410}]});
    assert_eq!(
        client.put(&mut world, "/characteristics", &timed(1)),
        (207, refused.clone())
    );
    let prepare = json!({"ttl":2500,"pid":11122333});
    assert_eq!(
        client.put(&mut world, "/prepare", &prepare),
        (200, json!({"status":0}))
    );
    world.advance(Duration::from_millis(2500));
    assert_eq!(
        client
            .put(&mut world, "/characteristics", &timed(11122333))
            .0,
        204
    );
    assert!(world.host.writes[0].timed);
    assert_eq!(
        client.put(&mut world, "/characteristics", &timed(11122333)),
        (207, refused.clone()),
        "used up"
    );
    client.put(&mut world, "/prepare", &prepare);
    world.advance(Duration::from_millis(2501));
    assert_eq!(
        client.put(&mut world, "/characteristics", &timed(11122333)),
        (207, refused.clone()),
        "late"
    );
    client.put(&mut world, "/prepare", &prepare);
    client.put(&mut world, "/prepare", &json!({"ttl":2500,"pid":2}));
    assert_eq!(
        client.put(&mut world, "/characteristics", &timed(11122333)),
        (207, refused),
        "replaced"
    );
    assert_eq!(world.host.writes.len(), 1);
}

#[test]
fn a_wrong_pid_spoils_every_entry() {
    let (mut world, mut client) = verified();
    let body = json!({"characteristics":[{"aid":1,"iid":9,"value":true},{"aid":1,"iid":10,"ev":true}],"pid":5});
    let (http, body) = client.put(&mut world, "/characteristics", &body);
    assert_eq!(http, 207);
    assert_eq!(
        body,
        json!({"characteristics":[{"aid":1,"iid":9,"status":-70410},{"aid":1,"iid":10,"status":-70410}]})
    );
    assert!(world.host.writes.is_empty());
}

#[test]
fn prepares_are_per_connection() {
    let (mut world, admin) = paired();
    let mut first = Client::verified(&mut world, &admin);
    let mut second = Client::verified(&mut world, &admin);
    first.put(&mut world, "/prepare", &json!({"ttl":2500,"pid":1}));
    let body = json!({"characteristics":[{"aid":1,"iid":14,"value":1}],"pid":1});
    assert_eq!(second.put(&mut world, "/characteristics", &body).0, 207);
    assert_eq!(first.put(&mut world, "/characteristics", &body).0, 204);
}

#[test]
fn identify_is_for_unpaired_accessories() {
    let mut world = World::new();
    let mut client = Client::connect(&mut world);
    assert_eq!(
        client
            .request(&mut world, Method::Post, "/identify", b"")
            .status,
        204
    );
    assert_eq!(
        client
            .request(&mut world, Method::Get, "/identify", b"")
            .status,
        405
    );
    assert_eq!(world.host.identified, 1);
    let (mut world, mut client) = verified();
    let mut unverified = Client::connect(&mut world);
    let refusal = (400, json!({"status":-70401}));
    assert_eq!(
        json(&unverified.request(&mut world, Method::Post, "/identify", b"")),
        refusal
    );
    assert_eq!(
        json(&client.request(&mut world, Method::Post, "/identify", b"")),
        refusal
    );
    assert_eq!(world.host.identified, 0);
}

#[test]
fn unverified_connections_get_470_for_everything_else() {
    let (mut world, _) = paired();
    let mut client = Client::connect(&mut world);
    let refusal = (470, json!({"status":-70411}));
    for target in [
        "/accessories",
        "/characteristics?id=1.9",
        "/nothing",
        "/",
        "/prepare",
        "/resource",
    ] {
        assert_eq!(client.get(&mut world, target), refusal, "{target}");
    }
    assert_eq!(client.get(&mut world, "/pair-setup").0, 405);
    assert_eq!(client.put(&mut world, "/pair-verify", &json!({})).0, 405);
    assert!(!world.is_closed(client.conn));
}

#[test]
fn unknown_urls_and_wrong_methods() {
    let (mut world, mut client) = verified();
    for target in [
        "/nothing",
        "/",
        "/config",
        "/secure-message",
        "/accessories/1",
    ] {
        assert_eq!(
            client.get(&mut world, target),
            (404, json!({"status":-70409})),
            "{target}"
        );
    }
    for (method, target) in [
        (Method::Post, "/accessories"),
        (Method::Other, "/accessories"),
        (Method::Post, "/characteristics"),
        (Method::Get, "/pairings"),
        (Method::Post, "/prepare"),
        (Method::Get, "/resource"),
        (Method::Get, "/configured"),
    ] {
        assert_eq!(
            client.request(&mut world, method, target, b"").status,
            405,
            "{method:?} {target}"
        );
    }
    assert_eq!(
        client
            .request(&mut world, Method::Post, "/configured", b"")
            .status,
        204
    );
    assert_eq!(client.get(&mut world, "/ACCESSORIES").0, 200);
}

fn snapshot_request() -> Json {
    json!({"image-width":640,"image-height":360,"resource-type":"image","aid":1,"reason":1})
}

#[test]
fn snapshots_at_once() {
    let (mut world, mut client) = verified();
    world.host.resource = Some(ResourceReply::Image(vec![0xFF, 0xD8, 0xFF, 0xD9]));
    let answer = client.post(&mut world, "/resource", &snapshot_request());
    assert_eq!(
        (answer.status, answer.content_type.as_str()),
        (200, "image/jpeg")
    );
    assert_eq!(answer.body, [0xFF, 0xD8, 0xFF, 0xD9]);
    let expected = ResourceRequest {
        aid: 1,
        width: 640,
        height: 360,
        kind: "image".into(),
        reason: Some(1),
    };
    assert_eq!(world.host.resources, [(client.conn, expected)]);
    world.host.resource = Some(ResourceReply::Error(Status::NotAllowedInCurrentState));
    let answer = client.post(&mut world, "/resource", &snapshot_request());
    assert_eq!(json(&answer), (207, json!({"status":-70412})));
}

#[test]
fn snapshot_without_aid_and_reason() {
    let (mut world, mut client) = verified();
    world.host.resource = Some(ResourceReply::Image(vec![1]));
    let body = json!({"image-width":320,"image-height":240,"resource-type":"image"});
    assert_eq!(client.post(&mut world, "/resource", &body).status, 200);
    assert_eq!(
        (
            world.host.resources[0].1.aid,
            world.host.resources[0].1.reason
        ),
        (1, None)
    );
}

#[test]
fn snapshots_of_nothing() {
    let (mut world, mut client) = verified();
    let with = |key: &str, value: Json| {
        let mut body = snapshot_request();
        body[key] = value;
        body
    };
    for body in [with("aid", json!(2)), with("resource-type", json!("audio"))] {
        assert_eq!(
            json(&client.post(&mut world, "/resource", &body)),
            (404, json!({"status":-70409}))
        );
    }
    for body in [
        with("image-width", json!(0)),
        with("image-width", json!(70_000)),
        with("image-height", json!("360")),
        with("image-height", Json::Null),
        json!([]),
    ] {
        assert_eq!(
            client.post(&mut world, "/resource", &body).status,
            400,
            "{body}"
        );
    }
    assert!(world.host.resources.is_empty());
}

#[test]
fn a_late_snapshot_blocks_its_connection_only() {
    let (mut world, admin) = paired();
    let mut client = Client::verified(&mut world, &admin);
    let mut other = Client::verified(&mut world, &admin);
    let body = snapshot_request().to_string();
    let head = format!(
        "POST /resource HTTP/1.1\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let pipelined = format!("{head}{body}GET /characteristics?id=1.9 HTTP/1.1\r\n\r\n");
    client.send(&mut world, pipelined.as_bytes());
    assert!(client.responses.is_empty());
    assert_eq!(other.get(&mut world, "/characteristics?id=1.9").0, 200);
    world.advance(Duration::from_secs(2));
    world.resource_ready(client.conn, Ok(vec![9; 3000]));
    client.receive(&mut world);
    let first = client.responses.pop_front().unwrap();
    assert_eq!((first.status, first.body.len()), (200, 3000));
    assert_eq!(
        client.responses.pop_front().unwrap().status,
        200,
        "then the next request"
    );
    world.resource_ready(client.conn, Ok(vec![1]));
    client.receive(&mut world);
    assert!(client.responses.is_empty(), "nobody asked");
}

#[test]
fn a_snapshot_that_takes_too_long_is_answered_and_its_own_answer_ignored() {
    let (mut world, mut client) = verified();
    let body = snapshot_request().to_string();
    let request = format!(
        "POST /resource HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    client.send(&mut world, request.as_bytes());
    world.advance(Duration::from_secs(9));
    client.receive(&mut world);
    assert_eq!(
        json(&client.responses.pop_front().unwrap()),
        (207, json!({"status":-70408}))
    );
    client.send(&mut world, request.as_bytes());
    world.resource_ready(client.conn, Ok(vec![1]));
    client.receive(&mut world);
    assert!(
        client.responses.is_empty(),
        "that was the answer to the first request"
    );
    world.resource_ready(client.conn, Ok(vec![2]));
    client.receive(&mut world);
    assert_eq!(client.responses.pop_front().unwrap().body, [2]);
}

#[test]
fn snapshots_for_connections_that_are_gone_are_dropped() {
    let (mut world, mut client) = verified();
    let body = snapshot_request().to_string();
    let request = format!(
        "POST /resource HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    client.send(&mut world, request.as_bytes());
    world.disconnect(client.conn);
    world.resource_ready(client.conn, Ok(vec![1]));
    assert!(world.received(client.conn).is_empty());
    assert_eq!(world.server.poll_timeout(), None);
}

#[test]
fn connection_close_is_heeded() {
    let (mut world, mut client) = verified();
    client.send(
        &mut world,
        b"GET /characteristics?id=1.9 HTTP/1.1\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    );
    assert_eq!(client.responses.len(), 1);
    assert!(world.is_closed(client.conn));
    assert_eq!(world.host.closed, [client.conn]);
}
