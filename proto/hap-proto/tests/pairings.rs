//! Add, Remove and List Pairings, and what becomes of the connections.

mod common;

use std::time::Duration;

use common::client::{Client, Controller, Refused, paired, tlv};
use common::{World, iid};
use hap_proto::Value;
use hap_proto::http::Method;
use serde_json::json;

fn refused(error: u64) -> Option<Refused> {
    Some(Refused {
        http: 200,
        state: 2,
        error,
    })
}

fn with_second(admin: bool) -> (World, Client, Controller, Controller) {
    let (mut world, first) = paired();
    let second = Controller::new(2);
    let mut client = Client::verified(&mut world, &first);
    client.add_pairing(&mut world, &second, admin).unwrap();
    (world, client, first, second)
}

#[test]
fn pairings_are_added_listed_and_removed() {
    let (mut world, mut client, first, second) = with_second(false);
    assert_eq!(world.host.stored.last(), Some(world.server.pairings()));
    let list = client.list_pairings(&mut world).unwrap();
    assert_eq!(list, [(first.id, true), (second.id.clone(), false)]);
    assert!(
        Client::connect(&mut world)
            .verify(&mut world, &second, [7; 32])
            .is_ok()
    );
    client.remove_pairing(&mut world, &second.id).unwrap();
    assert_eq!(world.server.pairings().pairings.len(), 1);
    assert_eq!(world.host.stored.last(), Some(world.server.pairings()));
    assert_eq!(
        world.host.paired,
        Vec::<bool>::new(),
        "paired before and after"
    );
}

#[test]
fn unverified_connections_are_told_so() {
    let (mut world, _) = paired();
    let mut client = Client::connect(&mut world);
    let answer = client.request(&mut world, Method::Post, "/pairings", &[6, 1, 1, 0, 1, 5]);
    assert_eq!(
        (answer.status, answer.body.as_slice()),
        (470, &br#"{"status":-70411}"#[..])
    );
}

#[test]
fn only_admins_may() {
    let (mut world, _, first, second) = with_second(false);
    let mut client = Client::verified(&mut world, &second);
    let third = Controller::new(3);
    assert_eq!(client.list_pairings(&mut world).err(), refused(2));
    assert_eq!(
        client.add_pairing(&mut world, &third, true).err(),
        refused(2)
    );
    assert_eq!(
        client.remove_pairing(&mut world, &first.id).err(),
        refused(2)
    );
    assert_eq!(
        client.remove_pairing(&mut world, &second.id).err(),
        refused(2)
    );
    assert_eq!(world.server.pairings().pairings.len(), 2);
}

#[test]
fn adding_again_changes_permissions_at_once_but_no_key() {
    let (mut world, mut client, first, second) = with_second(false);
    let mut other = Client::verified(&mut world, &second);
    client.add_pairing(&mut world, &second, true).unwrap();
    assert!(
        other.list_pairings(&mut world).is_ok(),
        "an admin now, on the same connection"
    );
    let impostor = Controller {
        id: second.id.clone(),
        ..Controller::new(9)
    };
    assert_eq!(
        client.add_pairing(&mut world, &impostor, true).err(),
        refused(1)
    );
    client.add_pairing(&mut world, &first, false).unwrap();
    assert_eq!(
        client.list_pairings(&mut world).err(),
        refused(2),
        "no admin any more"
    );
    assert_eq!(
        other.add_pairing(&mut world, &second, false).err(),
        refused(1),
        "the last admin stays one"
    );
}

#[test]
fn sixteen_pairings_fit_and_the_next_does_not() {
    let (mut world, first) = paired();
    let mut client = Client::verified(&mut world, &first);
    for number in 1..=15 {
        client
            .add_pairing(&mut world, &Controller::new(number), false)
            .unwrap();
    }
    assert_eq!(client.list_pairings(&mut world).unwrap().len(), 16);
    assert_eq!(
        client
            .add_pairing(&mut world, &Controller::new(99), false)
            .err(),
        refused(4)
    );
    assert!(
        client
            .add_pairing(&mut world, &Controller::new(15), true)
            .is_ok(),
        "no new one"
    );
}

#[test]
fn removing_an_unknown_pairing_succeeds_without_storing() {
    let (mut world, first) = paired();
    let mut client = Client::verified(&mut world, &first);
    client.remove_pairing(&mut world, "nobody").unwrap();
    client
        .remove_pairing(&mut world, &first.id.to_lowercase())
        .unwrap();
    assert!(world.host.stored.is_empty() && world.server.is_paired());
}

#[test]
fn what_cannot_be_stored_does_not_happen() {
    let (mut world, first) = paired();
    let mut client = Client::verified(&mut world, &first);
    world.host.store_fails = true;
    assert_eq!(
        client
            .add_pairing(&mut world, &Controller::new(2), false)
            .err(),
        refused(1)
    );
    assert_eq!(
        client.remove_pairing(&mut world, &first.id).err(),
        refused(1)
    );
    assert_eq!(world.server.pairings().pairings.len(), 1);
    world.advance(Duration::from_secs(1));
    assert!(!world.is_closed(client.conn));
    assert!(
        world
            .server
            .remove_all_pairings(world.now, &mut world.host)
            .is_err()
    );
    assert!(world.server.is_paired());
}

#[test]
fn connections_of_a_removed_controller_end_after_the_response() {
    let (mut world, mut client, first, second) = with_second(true);
    let mut gone = [
        Client::verified(&mut world, &second),
        Client::verified(&mut world, &second),
    ];
    let subscribe = json!({"characteristics":[{"aid":1,"iid":iid::ON,"ev":true}]});
    assert_eq!(
        gone[0].put(&mut world, "/characteristics", &subscribe).0,
        204
    );
    let other = Client::verified(&mut world, &first);
    client.remove_pairing(&mut world, &second.id).unwrap();

    assert_eq!(
        gone[1].get(&mut world, "/accessories"),
        (470, json!({"status":-70401}))
    );
    let write = json!({"characteristics":[{"aid":1,"iid":iid::ON,"value":true}]});
    assert_eq!(gone[0].put(&mut world, "/characteristics", &write).0, 470);
    assert!(world.host.writes.is_empty());
    world.notify(iid::ON, Value::Bool(true), None);
    world.advance(Duration::from_millis(9));
    assert!(!world.is_closed(gone[0].conn));
    world.advance(Duration::from_millis(1));
    for client in &gone {
        assert!(world.is_closed(client.conn) && world.host.closed.contains(&client.conn));
    }
    assert!(!world.is_closed(client.conn) && !world.is_closed(other.conn));
    gone[0].receive(&mut world);
    assert!(gone[0].events.is_empty());
}

#[test]
fn a_controller_may_remove_itself() {
    let (mut world, _, _, second) = with_second(true);
    let mut client = Client::verified(&mut world, &second);
    client.remove_pairing(&mut world, &second.id).unwrap();
    world.advance(Duration::from_millis(10));
    assert!(world.is_closed(client.conn));
    assert!(world.server.is_paired());
}

#[test]
fn removing_the_last_admin_removes_everybody() {
    let (mut world, mut client, first, second) = with_second(false);
    let other = Client::verified(&mut world, &second);
    let mut unverified = Client::connect(&mut world);
    client.remove_pairing(&mut world, &first.id).unwrap();
    assert!(!world.server.is_paired());
    assert_eq!(world.host.stored.last().unwrap().pairings, []);
    assert_eq!(world.host.paired, [false]);
    world.advance(Duration::from_millis(10));
    assert!(world.is_closed(client.conn) && world.is_closed(other.conn));
    assert!(
        unverified
            .pairing(&mut world, "/pair-setup", &[6, 1, 1, 0, 1, 0])
            .is_ok()
    );
}

#[test]
fn reset_ends_all_sessions() {
    let (mut world, client, ..) = with_second(false);
    world
        .server
        .remove_all_pairings(world.now, &mut world.host)
        .unwrap();
    world.advance(Duration::from_millis(10));
    assert!(world.is_closed(client.conn));
    assert_eq!(world.host.closed, [client.conn]);
}

#[test]
fn malformed_requests_are_bad_requests() {
    let (mut world, first) = paired();
    let mut client = Client::verified(&mut world, &first);
    let valid = |id: &str, key: usize| {
        tlv(|w| {
            w.u8(6, 1)
                .u8(0, 3)
                .str(1, id)
                .bytes(3, &vec![1; key])
                .u8(0x0B, 0);
        })
    };
    let without_permissions = tlv(|w| {
        w.u8(6, 1).u8(0, 3).str(1, "x").bytes(3, &[1; 32]);
    });
    let long = "x".repeat(37);
    for body in [
        vec![],
        vec![6, 1, 2, 0, 1, 5],
        vec![6, 1, 1],
        vec![6, 1, 1, 0, 1, 9],
        vec![6, 1, 1, 0, 1, 4],
        valid("x", 31),
        valid("", 32),
        valid(&long, 32),
        without_permissions,
    ] {
        let answer = client.pairing(&mut world, "/pairings", &body);
        assert_eq!(
            answer.err(),
            Some(Refused {
                http: 400,
                state: 2,
                error: 1
            }),
            "{body:?}"
        );
    }
    assert_eq!(world.host.stored.len(), 0);
}
