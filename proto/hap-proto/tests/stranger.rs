//! Pairing with a controller nobody here wrote: the clients of the crate `hap-crypto`.
//!
//! Its Pair Setup hashes S, A and B with leading zeros.

mod common;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use common::client::Client;
use common::{CODE, DEVICE, World};
use hap_crypto::{
    AccessoryPairing, ControllerKeypair, PairSetupClient, PairSetupStep, PairVerifyClient,
    PairVerifyStep, SessionKeys,
};
use sha2::{Digest, Sha256};

fn keypair() -> ControllerKeypair {
    ControllerKeypair::from_seed("11223344-5566-7788-99AA-BBCCDDEEFF00".into(), [5; 32])
}

fn set_up(
    world: &mut World,
    client: &mut Client,
    mut stranger: PairSetupClient,
) -> AccessoryPairing {
    let mut message = stranger.start();
    loop {
        let answer = client.pairing_message(world, "/pair-setup", &message);
        assert_eq!(answer.status, 200);
        match stranger.handle(&answer.body).expect("the stranger agrees") {
            PairSetupStep::Send(next) => message = next,
            PairSetupStep::Done(pairing) => return pairing,
        }
    }
}

fn verify(world: &mut World, client: &mut Client, pairing: &AccessoryPairing) -> SessionKeys {
    let mut stranger = PairVerifyClient::new(&keypair(), pairing);
    let mut message = stranger.start();
    loop {
        let answer = client.pairing_message(world, "/pair-verify", &message);
        match stranger.handle(&answer.body).expect("the stranger agrees") {
            PairVerifyStep::Send(next) => message = next,
            PairVerifyStep::Done(keys) => return keys,
        }
    }
}

#[test]
fn stranger_pairs_verifies_and_reads() {
    let mut world = World::new();
    let mut client = Client::connect(&mut world);
    let stranger = PairSetupClient::new(CODE, keypair()).unwrap();
    let pairing = set_up(&mut world, &mut client, stranger);
    assert_eq!(
        (pairing.pairing_id.as_str(), pairing.ltpk),
        (DEVICE, common::identity().ltpk())
    );
    assert_eq!(world.server.pairings().pairings[0].ltpk, keypair().ltpk());
    let keys = verify(&mut world, &mut client, &pairing);

    let request = b"GET /characteristics?id=1.9 HTTP/1.1\r\n\r\n";
    let length = (request.len() as u16).to_le_bytes();
    let payload = Payload {
        msg: request,
        aad: &length,
    };
    let seal = ChaCha20Poly1305::new((&keys.write_key).into());
    let sealed = seal.encrypt(&Nonce::default(), payload).unwrap();
    world.send(client.conn, &[&length[..], &sealed].concat());
    let answer = world.received(client.conn);
    let payload = Payload {
        msg: &answer[2..],
        aad: &answer[..2],
    };
    let open = ChaCha20Poly1305::new((&keys.read_key).into());
    let text = String::from_utf8(open.decrypt(&Nonce::default(), payload).unwrap()).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    assert!(
        text.ends_with(r#"{"characteristics":[{"aid":1,"iid":9,"value":false}]}"#),
        "{text}"
    );
}

/// The ephemeral secrets give numbers with leading zeros: A; and S (found by search).
#[test]
fn stranger_pairs_when_numbers_begin_with_zero() {
    let secret = |side: &[u8], index: u32| -> [u8; 32] {
        Sha256::new()
            .chain_update(side)
            .chain_update(index.to_be_bytes())
            .finalize()
            .into()
    };
    for (a, b) in [(18, 0), (165, 0), (496, 0), (527, 0), (18, 62)] {
        let mut world = World::new();
        world.host.random.push_back(secret(b"b", b).to_vec());
        let mut client = Client::connect(&mut world);
        let a = secret(b"a", a);
        let stranger = PairSetupClient::new_with_private(CODE, keypair(), &a).unwrap();
        set_up(&mut world, &mut client, stranger);
        assert!(world.server.is_paired());
    }
}

#[test]
fn stranger_with_a_wrong_code_is_told_so() {
    let mut world = World::new();
    let mut client = Client::connect(&mut world);
    let mut stranger = PairSetupClient::new("518-08-583", keypair()).unwrap();
    let m2 = client.pairing_message(&mut world, "/pair-setup", &stranger.start());
    let Ok(PairSetupStep::Send(m3)) = stranger.handle(&m2.body) else {
        panic!("M2 is right");
    };
    let m4 = client.pairing_message(&mut world, "/pair-setup", &m3);
    assert_eq!(
        (m4.status, m4.body.as_slice()),
        (200, &[6, 1, 4, 7, 1, 2][..])
    );
    assert!(stranger.handle(&m4.body).is_err());
    assert_eq!(world.server.pairings().failed_attempts, 1);
}
