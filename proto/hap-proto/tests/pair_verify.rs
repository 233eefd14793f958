//! Pair Verify through the server.

mod common;

use common::client::{Client, Controller, Refused, paired};
use common::srp_controller::hex;
use common::{World, iid};
use hap_proto::http::{ContentType, Method, Request};
use hap_proto::{Limits, Pairing, PairingState, Value};
use serde_json::json;

/// Ephemeral secrets 32 × 11 and 32 × 22, long-term seeds 32 × 33 and 32 × 44.
mod transcript {
    pub(super) const CONTROLLER_LTPK: &str =
        "17cb79fb2b4120f2b1ec65e4198d6e08b28e813feb01e4a400839b85e18080ce";
    pub(super) const ACCESSORY_LTPK: &str =
        "d759793bbc13a2819a827c76adb6fba8a49aee007f49f2d0992d99b825ad2c48";
    pub(super) const M1: &str = "0601010320\
        7b4e909bbe7ffe44c465a220037d608ee35897d31ef972f07f74892cb0f73f13";
    pub(super) const M2: &str = "0601020320\
        0faa684ed28867b97f4a6a2dee5df8ce974e76b7018e3f22a1c4cf2678570f20\
        0565551cd11b787adb837bce4b44f8311b01d5c1480edecf9aef4d37a9cefb79dda3dba99d15d6a4eb6679610f6a43b9f2\
        7dc109122b31dab854e10007d2700a1658cd195507cdb4618e48fd306aa2dd10dca20c56b33a9547df3c4a39506b50261e\
        fdd7fb9537";
    pub(super) const M3: &str = "060103\
        057870b4b1067981dfb9a3833125f4c23e07adfbd612816377e3dac54179402cdea913b3d4fb9bc0683847cdb54d9cf23d\
        b84a5364030cf8cde6c19907a1d5dc0eebd846b11d1c8b72ee2c585053cee9f1554c3155d10bc2ecf7c65ec9036d8f2d66\
        f31f7fb620816184080a477eb7aeae311557e30a41985a26";
    pub(super) const M4: &str = "060104";
    pub(super) const SHARED_SECRET: &str =
        "9e004098efc091d4ec2663b4e9f5cfd4d7064571690b4bea97ab146ab9f35056";
    pub(super) const FIRST_FRAME: &str = "1b00c49bc171c9921f288a637959ef0482a3f09d0e0e02bf3b5592ef3b853198cf632f\
        265b55dc21a27e776b82";
}

fn post(body: &[u8]) -> Vec<u8> {
    let request = Request::new(Method::Post, "/pair-verify", body.to_vec());
    request.to_bytes("camera.local", ContentType::Pairing)
}

fn response(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/pairing+tlv8\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn refused(http: u16, state: u64, error: u64) -> Option<Refused> {
    Some(Refused { http, state, error })
}

fn transcript_world() -> World {
    let pairing = Pairing {
        id: "11223344-5566-7788-99AA-BBCCDDEEFF00".into(),
        ltpk: hex(transcript::CONTROLLER_LTPK).try_into().unwrap(),
        admin: true,
    };
    let state = PairingState {
        pairings: vec![pairing],
        failed_attempts: 0,
    };
    let mut world = World::with(Limits::default(), state);
    world.host.random.push_back(vec![0x22; 32]);
    world
}

#[test]
fn transcript_byte_for_byte() {
    use transcript::*;
    assert_eq!(common::identity().ltpk().to_vec(), hex(ACCESSORY_LTPK));
    let mut world = transcript_world();
    let mut client = Client::connect(&mut world);
    world.send(client.conn, &post(&hex(M1)));
    assert_eq!(world.received(client.conn), response(&hex(M2)));
    world.send(client.conn, &post(&hex(M3)));
    assert_eq!(world.received(client.conn), response(&hex(M4)));

    // The first frame each way: a write that is answered with 204, and the host's view of it.
    client.secure(&hex(SHARED_SECRET).try_into().unwrap());
    let body = json!({"characteristics":[{"aid":1,"iid":9,"value":true}]}).to_string();
    let request = Request::new(Method::Put, "/characteristics", body.into_bytes());
    let frames = client.encode(&request.to_bytes("camera.local", ContentType::Json));
    world.send(client.conn, &frames);
    assert_eq!(world.received(client.conn), hex(FIRST_FRAME));
    assert_eq!(world.host.values[&iid::ON], Value::Bool(true));
    let shared: [u8; 32] = hex(SHARED_SECRET).try_into().unwrap();
    let controller = "11223344-5566-7788-99AA-BBCCDDEEFF00".to_owned();
    assert_eq!(
        world.host.contexts,
        [(Some(controller), true, Some(shared))]
    );
}

#[test]
fn frames_in_the_same_segment_as_m3_are_decrypted() {
    let (mut world, admin) = paired();
    let mut client = Client::connect(&mut world);
    let (m3, shared) = client.verify_start(&mut world, &admin, [7; 32]).unwrap();
    client.secure(&shared);
    let frames = client.encode(b"GET /characteristics?id=1.9 HTTP/1.1\r\n\r\n");
    world.send(client.conn, &[post(&m3), frames].concat());
    let received = world.received(client.conn);
    let m4 = response(&[6, 1, 4]);
    assert_eq!(received[..m4.len()], m4);
    assert!(received.len() > m4.len(), "the request was answered");
    assert!(!world.is_closed(client.conn));
}

#[test]
fn failures_leave_the_connection_open() {
    let (mut world, admin) = paired();
    let mut client = Client::connect(&mut world);
    let stranger = Controller::new(0x55);
    assert_eq!(
        client.verify(&mut world, &stranger, [7; 32]).err(),
        refused(200, 4, 2)
    );
    let impostor = Controller {
        id: admin.id.clone(),
        ..stranger
    };
    assert_eq!(
        client.verify(&mut world, &impostor, [7; 32]).err(),
        refused(200, 4, 2)
    );
    let (mut m3, _) = client.verify_start(&mut world, &admin, [7; 32]).unwrap();
    *m3.last_mut().unwrap() ^= 1;
    assert_eq!(
        client.pairing(&mut world, "/pair-verify", &m3).err(),
        refused(200, 4, 2)
    );
    assert_eq!(client.get(&mut world, "/accessories").0, 470);
    assert!(client.verify(&mut world, &admin, [7; 32]).is_ok());
}

#[test]
fn replayed_m3_is_out_of_order() {
    let (mut world, admin) = paired();
    let mut first = Client::connect(&mut world);
    let (m3, _) = first.verify_start(&mut world, &admin, [7; 32]).unwrap();
    first.pairing(&mut world, "/pair-verify", &m3).unwrap();
    let mut second = Client::connect(&mut world);
    assert_eq!(
        second.pairing(&mut world, "/pair-verify", &m3).err(),
        refused(400, 4, 1)
    );
    second.verify_start(&mut world, &admin, [7; 32]).unwrap();
    assert_eq!(
        second.pairing(&mut world, "/pair-verify", &m3).err(),
        refused(200, 4, 2)
    );
}

#[test]
fn malformed_messages_and_resumption_are_bad_requests() {
    let (mut world, _) = paired();
    let mut client = Client::connect(&mut world);
    let with_key =
        |head: &[u8], length: usize| [head, &[3, length as u8], &vec![9; length]].concat();
    for (body, state) in [
        (vec![], 2),
        (vec![6, 1, 1], 2),
        (with_key(&[6, 1, 1], 31), 2),
        (with_key(&[6, 1, 1], 33), 2),
        (with_key(&[6, 1, 1, 0, 1, 6], 32), 2),
        (with_key(&[6, 1, 1, 0, 1, 0], 32), 2),
        (with_key(&[6, 1, 2], 32), 2),
        (vec![6, 1, 3], 4),
    ] {
        let answer = client.pairing(&mut world, "/pair-verify", &body);
        assert_eq!(answer.err(), refused(400, state, 1), "{body:?}");
    }
    assert!(
        client
            .pairing(
                &mut world,
                "/pair-verify",
                &with_key(&[6, 1, 1, 0, 1, 2], 32)
            )
            .is_ok()
    );
    assert_eq!(
        client.pairing(&mut world, "/pair-verify", &[6, 1, 3]).err(),
        refused(400, 4, 1)
    );
}

#[test]
fn keys_that_give_the_secret_away_are_refused() {
    let (mut world, _) = paired();
    let mut client = Client::connect(&mut world);
    for first in [0, 1] {
        let mut key = [0; 32];
        key[0] = first;
        let m1 = [&[6, 1, 1, 3, 32][..], &key].concat();
        assert_eq!(
            client.pairing(&mut world, "/pair-verify", &m1).err(),
            refused(200, 2, 2)
        );
    }
}

#[test]
fn unpaired_accessory_verifies_nobody() {
    let mut world = World::new();
    let mut client = Client::connect(&mut world);
    let answer = client.verify(&mut world, &Controller::new(1), [7; 32]);
    assert_eq!(answer.err(), refused(200, 4, 2));
}

#[test]
fn secured_connections_do_not_pair_again() {
    let (mut world, admin) = paired();
    let mut client = Client::verified(&mut world, &admin);
    for target in ["/pair-setup", "/pair-verify"] {
        assert_eq!(
            client
                .request(&mut world, Method::Post, target, &[6, 1, 1])
                .status,
            400
        );
    }
    assert_eq!(client.get(&mut world, "/characteristics?id=1.9").0, 200);
}
