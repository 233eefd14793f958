//! Pair Setup through the server.

mod common;

use std::time::Duration;

use common::client::{Client, Controller, Refused, hkdf, paired, tlv};
use common::srp_controller::Convention;
use common::{CODE, World, iid};
use hap_proto::http::Method;
use hap_proto::{Limits, PairingState};
use hap_tlv8::Tlv;
use sha2::{Digest, Sha256};

const TRANSIENT: u32 = 1 << 4;
const SPLIT: u32 = 1 << 24;

fn secret(side: &[u8], index: u32) -> [u8; 32] {
    Sha256::new()
        .chain_update(side)
        .chain_update(index.to_be_bytes())
        .finalize()
        .into()
}

fn refused(state: u64, error: u64) -> Refused {
    Refused {
        http: 200,
        state,
        error,
    }
}

fn m1() -> Vec<u8> {
    vec![6, 1, 1, 0, 1, 0]
}

fn start(world: &mut World, client: &mut Client) -> Result<Tlv, Refused> {
    client.pairing(world, "/pair-setup", &m1())
}

/// M3 with a proof that cannot be right.
fn wrong_proof(world: &mut World, client: &mut Client) -> Result<Tlv, Refused> {
    let m3 = tlv(|w| {
        w.u8(6, 3).bytes(3, &[7; 384]).bytes(4, &[7; 64]);
    });
    client.pairing(world, "/pair-setup", &m3)
}

#[test]
fn first_controller_becomes_admin_once_stored() {
    let mut world = World::new();
    let mut client = Client::connect(&mut world);
    let controller = Controller::new(1);
    let ltpk = client.set_up(&mut world, &controller, Convention::Stripped, [9; 32]);
    assert_eq!(ltpk, Ok(common::identity().ltpk()));
    let state = world.server.pairings();
    assert_eq!(state.pairings.len(), 1);
    let pairing = &state.pairings[0];
    assert_eq!(
        (&pairing.id, pairing.ltpk, pairing.admin),
        (&controller.id, controller.ltpk(), true)
    );
    assert_eq!(world.host.stored.last(), Some(world.server.pairings()));
    assert_eq!(world.host.paired, [true]);
    client.verify(&mut world, &controller, [3; 32]).unwrap();
    assert_eq!(client.get(&mut world, "/characteristics?id=1.9").0, 200);
}

/// Through the whole exchange, for numbers with leading zeros found by search; B never has one.
#[test]
fn numbers_with_leading_zeros_in_both_conventions() {
    for convention in [Convention::Stripped, Convention::Padded] {
        for (a, b) in [
            (18, 0),
            (165, 0),
            (496, 0),
            (527, 0),
            (18, 62),
            (0, 45),
            (11, 45),
        ] {
            let mut world = World::new();
            world.host.random.push_back(secret(b"b", b).to_vec());
            let mut client = Client::connect(&mut world);
            let done = client.set_up(&mut world, &Controller::new(1), convention, secret(b"a", a));
            assert!(done.is_ok(), "{convention:?} {a} {b}");
        }
    }
}

#[test]
fn m2_has_state_key_and_salt() {
    let mut world = World::new();
    let mut client = Client::connect(&mut world);
    let m2 = start(&mut world, &mut client).unwrap();
    let tags: Vec<u8> = m2.items().iter().map(|item| item.tag).collect();
    assert_eq!(tags, [6, 3, 2]);
    assert_eq!(m2.bytes(3).unwrap().len(), 384);
    assert_eq!(m2.bytes(2).unwrap(), common::verifier().salt());
}

#[test]
fn wrong_code_counts_and_is_stored_before_the_answer() {
    let mut world = World::new();
    let mut client = Client::connect(&mut world);
    let answer = client.agree(&mut world, "518-08-583", Convention::Padded, [9; 32], None);
    assert_eq!(answer, Err(refused(4, 2)));
    assert_eq!(world.host.stored.len(), 1);
    assert_eq!(world.host.stored[0].failed_attempts, 1);
    // The right code on the same connection sets the count back, again by storing it.
    client
        .set_up(&mut world, &Controller::new(1), Convention::Padded, [9; 32])
        .unwrap();
    let counts: Vec<u32> = world
        .host
        .stored
        .iter()
        .map(|state| state.failed_attempts)
        .collect();
    assert_eq!(counts, [1, 0, 0]);
}

#[test]
fn after_100_failures_nobody_may_try_even_after_a_restart() {
    let mut world = World::new();
    let mut client = Client::connect(&mut world);
    for attempt in 1..=100 {
        start(&mut world, &mut client).unwrap();
        assert_eq!(
            wrong_proof(&mut world, &mut client).err(),
            Some(refused(4, 2))
        );
        assert_eq!(world.host.stored.last().unwrap().failed_attempts, attempt);
    }
    assert_eq!(start(&mut world, &mut client).err(), Some(refused(2, 5)));
    let stored = world.host.stored.pop().unwrap();
    let mut world = World::with(Limits::default(), stored);
    let mut client = Client::connect(&mut world);
    assert_eq!(start(&mut world, &mut client).err(), Some(refused(2, 5)));
    world
        .server
        .remove_all_pairings(world.now, &mut world.host)
        .unwrap();
    assert!(start(&mut world, &mut client).is_ok());
}

#[test]
fn paired_accessory_is_unavailable_before_anything_else() {
    let (mut world, _) = paired();
    let mut client = Client::connect(&mut world);
    assert_eq!(start(&mut world, &mut client).err(), Some(refused(2, 6)));
}

#[test]
fn second_controller_is_told_busy_and_may_take_over_after_30_seconds() {
    let mut world = World::new();
    let (mut first, mut second) = (Client::connect(&mut world), Client::connect(&mut world));
    start(&mut world, &mut first).unwrap();
    assert_eq!(start(&mut world, &mut second).err(), Some(refused(2, 7)));
    world.advance(Duration::from_millis(29_999));
    assert_eq!(start(&mut world, &mut second).err(), Some(refused(2, 7)));
    world.advance(Duration::from_millis(1));
    assert!(start(&mut world, &mut second).is_ok());
    let displaced = wrong_proof(&mut world, &mut first).err();
    assert_eq!(
        displaced,
        Some(Refused {
            http: 400,
            state: 4,
            error: 1
        })
    );
    assert_eq!(world.server.pairings().failed_attempts, 0);
}

#[test]
fn other_connections_may_start_once_the_first_is_gone() {
    let mut world = World::new();
    let (mut first, mut second) = (Client::connect(&mut world), Client::connect(&mut world));
    start(&mut world, &mut first).unwrap();
    world.disconnect(first.conn);
    assert!(start(&mut world, &mut second).is_ok());
    let failed = wrong_proof(&mut world, &mut second);
    assert_eq!(failed.err(), Some(refused(4, 2)));
    let mut third = Client::connect(&mut world);
    assert!(
        start(&mut world, &mut third).is_ok(),
        "a failure frees Pair Setup"
    );
}

#[test]
fn m1_again_restarts() {
    let mut world = World::new();
    let mut client = Client::connect(&mut world);
    let first = start(&mut world, &mut client).unwrap();
    let second = start(&mut world, &mut client).unwrap();
    assert_ne!(first.bytes(3), second.bytes(3));
    assert!(
        client
            .set_up(&mut world, &Controller::new(1), Convention::Padded, [9; 32])
            .is_ok()
    );
}

#[test]
fn typing_the_code_may_take_minutes() {
    let mut world = World::new();
    let mut client = Client::connect(&mut world);
    start(&mut world, &mut client).unwrap();
    world.advance(Duration::from_secs(590));
    assert!(!world.is_closed(client.conn));
    world.advance(Duration::from_secs(11));
    assert!(world.is_closed(client.conn));
}

#[test]
fn method_1_is_pair_setup_without_flags() {
    let mut world = World::new();
    let mut client = Client::connect(&mut world);
    let m1 = tlv(|w| {
        w.u8(6, 1).u8(0, 1).u32(0x13, SPLIT);
    });
    let m2 = client.pairing(&mut world, "/pair-setup", &m1).unwrap();
    assert!(m2.first(0x13).is_none() && m2.first(3).is_some());
}

#[test]
fn method_may_be_missing_or_wide_and_unknown_types_and_flags_are_ignored() {
    let mut world = World::new();
    let mut client = Client::connect(&mut world);
    for m1 in [
        vec![6, 1, 1],
        vec![0, 4, 0, 0, 0, 0, 6, 2, 1, 0],
        vec![0xEE, 2, 1, 2, 6, 1, 1, 0, 1, 0, 0x13, 1, 0x08, 0x55, 0],
    ] {
        assert!(
            client.pairing(&mut world, "/pair-setup", &m1).is_ok(),
            "{m1:?}"
        );
    }
}

#[test]
fn other_methods_are_unavailable() {
    let mut world = World::new();
    let mut client = Client::connect(&mut world);
    let answer = client.pairing(&mut world, "/pair-setup", &[6, 1, 1, 0, 1, 3]);
    assert_eq!(answer.err(), Some(refused(2, 6)));
}

#[test]
fn malformed_and_misplaced_messages_are_bad_requests() {
    let mut world = World::new();
    let mut client = Client::connect(&mut world);
    let bad = |state| {
        Some(Refused {
            http: 400,
            state,
            error: 1,
        })
    };
    for (body, state) in [
        (&[][..], 2),
        (&[6], 2),
        (&[6, 5, 1], 2),
        (&[0, 1, 0], 2),
        (&[6, 0], 2),
        (&[6, 1, 0], 1),
        (&[6, 1, 2], 3),
        (&[6, 1, 3], 4),
        (&[6, 1, 5], 6),
        (&[6, 1, 0xFF], 0xFF),
        (&[6, 1, 1, 0, 1, 0, 0x13, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0], 2),
    ] {
        let answer = client.pairing(&mut world, "/pair-setup", body);
        assert_eq!(answer.err(), bad(state), "{body:?}");
    }
    start(&mut world, &mut client).unwrap();
    let without_proof = tlv(|w| {
        w.u8(6, 3).bytes(3, &[7; 384]);
    });
    assert_eq!(
        client
            .pairing(&mut world, "/pair-setup", &without_proof)
            .err(),
        bad(4)
    );
    assert_eq!(
        wrong_proof(&mut world, &mut client).err(),
        bad(4),
        "M3 needs a new M1"
    );
    assert!(world.host.stored.is_empty());
}

#[test]
fn zero_and_overlong_keys_and_short_proofs_are_refused_without_counting() {
    let mut world = World::new();
    let mut client = Client::connect(&mut world);
    for (a, proof) in [
        (vec![0; 384], 64),
        (vec![], 64),
        (vec![1; 385], 64),
        (vec![1; 384], 63),
        (vec![1; 384], 0),
    ] {
        start(&mut world, &mut client).unwrap();
        let m3 = tlv(|w| {
            w.u8(6, 3).bytes(3, &a).bytes(4, &vec![1; proof]);
        });
        let answer = client.pairing(&mut world, "/pair-setup", &m3);
        assert_eq!(answer.err(), Some(refused(4, 2)), "{} {proof}", a.len());
    }
    assert_eq!(world.server.pairings().failed_attempts, 0);
}

#[test]
fn m5_that_is_not_the_controllers_is_refused() {
    let controller = Controller::new(1);
    let forgeries: [fn(&mut Vec<u8>); 2] = [|m5| *m5.last_mut().unwrap() ^= 1, |m5| m5.truncate(5)];
    for forge in forgeries {
        let mut world = World::new();
        let mut client = Client::connect(&mut world);
        let key = client
            .agree(&mut world, CODE, Convention::Padded, [9; 32], None)
            .unwrap();
        let mut m5 = client.m5(&key, &controller.id, &controller.ltpk(), &[1; 64]);
        forge(&mut m5);
        assert!(client.pairing(&mut world, "/pair-setup", &m5).is_err());
        assert!(!world.server.is_paired());
    }
    let long = "x".repeat(37);
    for (id, ltpk, signature) in [
        (
            controller.id.as_str(),
            controller.ltpk().to_vec(),
            vec![1; 64],
        ),
        (&controller.id, controller.ltpk().to_vec(), vec![1; 63]),
        (&controller.id, vec![1; 31], vec![1; 64]),
        (&controller.id, vec![0xFF; 32], vec![1; 64]),
        ("", controller.ltpk().to_vec(), vec![1; 64]),
        (&long, controller.ltpk().to_vec(), vec![1; 64]),
    ] {
        let mut world = World::new();
        let mut client = Client::connect(&mut world);
        let key = client
            .agree(&mut world, CODE, Convention::Padded, [9; 32], None)
            .unwrap();
        let m5 = client.m5(&key, id, &ltpk, &signature);
        let answer = client.pairing(&mut world, "/pair-setup", &m5);
        assert_eq!(answer.err(), Some(refused(6, 2)), "{id}");
        assert!(!world.server.is_paired());
        assert!(world.host.stored.is_empty());
    }
}

#[test]
fn nothing_is_paired_if_it_cannot_be_stored() {
    let mut world = World::new();
    let mut client = Client::connect(&mut world);
    let key = client
        .agree(&mut world, CODE, Convention::Padded, [9; 32], None)
        .unwrap();
    world.host.store_fails = true;
    let answer = client.exchange(&mut world, &Controller::new(1), &key);
    assert_eq!(answer, Err(refused(6, 1)));
    assert!(!world.server.is_paired());
    assert!(world.host.paired.is_empty());
    world.host.store_fails = false;
    assert!(
        client
            .set_up(&mut world, &Controller::new(1), Convention::Padded, [9; 32])
            .is_ok()
    );
}

#[test]
fn transient_pair_setup_encrypts_but_does_not_pair() {
    let mut world = World::new();
    let mut client = Client::connect(&mut world);
    let key = client
        .agree(
            &mut world,
            CODE,
            Convention::Stripped,
            [9; 32],
            Some(TRANSIENT),
        )
        .unwrap();
    assert!(!world.server.is_paired());
    let derived = |info| hkdf(&key, "SplitSetupSalt", info);
    client.secure_with(
        &derived("ControllerEncrypt-Control"),
        &derived("AccessoryEncrypt-Control"),
    );
    assert_eq!(client.get(&mut world, "/accessories").0, 400);
    assert_eq!(client.get(&mut world, "/characteristics?id=1.9").0, 400);
    assert_eq!(
        client
            .request(&mut world, Method::Post, "/pair-setup", &m1())
            .status,
        400
    );
    assert_eq!(
        client
            .request(&mut world, Method::Post, "/identify", b"")
            .status,
        204
    );
    assert_eq!(world.host.identified, 1);
    assert_eq!(world.host.values.get(&iid::IDENTIFY), None);
}

#[test]
fn split_pair_setup_needs_a_transient_one_before_it() {
    let mut world = World::new();
    let mut client = Client::connect(&mut world);
    let split = client.agree(&mut world, CODE, Convention::Padded, [9; 32], Some(SPLIT));
    assert_eq!(split, Err(refused(2, 2)));

    let m1 = tlv(|w| {
        w.u8(6, 1).u8(0, 0).u32(0x13, TRANSIENT | SPLIT);
    });
    assert_eq!(m1[6..], [0x13, 4, 0x10, 0, 0, 1]);
    let m2 = client.pairing(&mut world, "/pair-setup", &m1).unwrap();
    assert_eq!(
        m2.bytes(0x13),
        Ok(&[0x10, 0, 0, 1][..]),
        "M2 repeats the flags"
    );
    client
        .agree(
            &mut world,
            CODE,
            Convention::Padded,
            [9; 32],
            Some(TRANSIENT | SPLIT),
        )
        .unwrap();

    let mut second = Client::connect(&mut world);
    let m1 = tlv(|w| {
        w.u8(6, 1).u8(0, 0).u32(0x13, SPLIT);
    });
    let m2 = second.pairing(&mut world, "/pair-setup", &m1).unwrap();
    assert_eq!(m2.bytes(0x13), Ok(&[0, 0, 0, 1][..]));
    let key = second
        .agree(&mut world, CODE, Convention::Padded, [9; 32], Some(SPLIT))
        .unwrap();
    assert!(
        second
            .exchange(&mut world, &Controller::new(1), &key)
            .is_ok()
    );
    assert!(world.server.is_paired());
}

#[test]
fn split_pair_setup_is_forgotten_by_any_other() {
    let mut world = World::new();
    let mut first = Client::connect(&mut world);
    first
        .agree(
            &mut world,
            CODE,
            Convention::Padded,
            [9; 32],
            Some(TRANSIENT | SPLIT),
        )
        .unwrap();
    let mut second = Client::connect(&mut world);
    start(&mut world, &mut second).unwrap();
    let split = second.agree(&mut world, CODE, Convention::Padded, [9; 32], Some(SPLIT));
    assert_eq!(split, Err(refused(2, 2)));
}

#[test]
fn pair_setup_stays_possible_after_the_pairing_is_gone() {
    let mut world = World::with(Limits::default(), PairingState::default());
    let mut client = Client::connect(&mut world);
    client
        .set_up(&mut world, &Controller::new(1), Convention::Padded, [9; 32])
        .unwrap();
    assert_eq!(start(&mut world, &mut client).err(), Some(refused(2, 6)));
    world
        .server
        .remove_all_pairings(world.now, &mut world.host)
        .unwrap();
    client
        .set_up(
            &mut world,
            &Controller::new(2),
            Convention::Stripped,
            [8; 32],
        )
        .unwrap();
    assert_eq!(world.host.paired, [true, false, true]);
}
