//! Published numbers, and the numbers with leading zeros that nobody has published.

use sha2::Sha256;

use super::*;
use controller::{Convention, SrpController, hex};
use vector::*;

#[path = "../../tests/common/srp_controller.rs"]
mod controller;
mod vector;

const CODE: &[u8] = b"518-08-582";
const BOTH: [Convention; 2] = [Convention::Stripped, Convention::Padded];

pub(super) fn vector_key() -> SessionKey {
    SessionKey(hex(SESSION_KEY).try_into().unwrap())
}

fn alice() -> SrpServer {
    let salt = hex(SALT).try_into().unwrap();
    let verifier = SetupVerifier::derive_for(b"alice", b"password123", salt);
    SrpServer::new(
        b"alice",
        &verifier,
        &hex(ACCESSORY_SECRET).try_into().unwrap(),
    )
}

/// A fixed supply of ephemeral secrets, whose numbers with leading zeros were searched for once.
fn secret(side: &[u8], index: u32) -> [u8; 32] {
    Sha256::new()
        .chain_update(side)
        .chain_update(index.to_be_bytes())
        .finalize()
        .into()
}

fn accessory(index: u32) -> SrpServer {
    let salt = std::array::from_fn(|i| 0x10 + i as u8);
    let verifier = SetupVerifier::derive(&"518-08-582".parse().unwrap(), salt);
    SrpServer::new(USERNAME, &verifier, &secret(b"b", index))
}

/// Pairs in `convention` with A as `sent`, and returns A, B and S.
fn agree(a: u32, b: u32, convention: Convention) -> [[u8; NUMBER]; 3] {
    let server = accessory(b);
    let controller = SrpController::new(&secret(b"a", a), convention);
    let proofs = controller.respond(USERNAME, CODE, server.salt(), server.public_key());
    let agreed = agreement(&server, &controller.sent(), &proofs.m1);
    assert_eq!(agreed.key.as_bytes(), proofs.key);
    assert_eq!(agreed.proof, proofs.m2);
    let padded_a = agreement(&server, controller.public(), &proofs.m1);
    assert_eq!(padded_a.key.as_bytes(), proofs.key);
    [*controller.public(), server.public_key, proofs.premaster]
}

#[test]
fn verifier_and_public_key_of_the_vector() {
    let server = alice();
    assert_eq!(server.verifier.verifier(), hex(VERIFIER));
    assert_eq!(server.public_key(), hex(ACCESSORY_PUBLIC));
    let controller = SrpController::new(
        &hex(CONTROLLER_SECRET).try_into().unwrap(),
        Convention::Padded,
    );
    assert_eq!(controller.sent(), hex(CONTROLLER_PUBLIC));
}

#[test]
fn scrambler_premaster_and_key_of_the_vector() {
    let server = alice();
    let a = padded(&hex(CONTROLLER_PUBLIC)).unwrap();
    assert_eq!(hash(&[&a, &server.public_key]).to_vec(), hex(SCRAMBLER));
    let premaster = server.premaster(&a).unwrap();
    assert_eq!(premaster.to_vec(), hex(PREMASTER));
    assert_eq!(hash(&[&*premaster]).to_vec(), hex(SESSION_KEY));
}

#[test]
fn proofs_of_the_vector() {
    let agreed = agreement(&alice(), &hex(CONTROLLER_PUBLIC), &hex(M1));
    assert_eq!(agreed.key.as_bytes(), hex(SESSION_KEY));
    assert_eq!(agreed.proof.to_vec(), hex(M2));
}

#[test]
fn leading_zero_of_a_in_both_conventions() {
    for (index, convention) in [18, 165]
        .into_iter()
        .zip(BOTH)
        .chain([(165, BOTH[0]), (18, BOTH[1])])
    {
        assert_eq!(agree(index, 0, convention)[0][0], 0);
    }
}

#[test]
fn leading_zero_of_b_in_both_conventions() {
    for index in [45, 340] {
        for convention in BOTH {
            assert_eq!(agree(0, index, convention)[1][0], 0);
        }
    }
}

#[test]
fn leading_zero_of_s_in_both_conventions() {
    for index in [496, 527] {
        for convention in BOTH {
            assert_eq!(agree(index, 0, convention)[2][0], 0);
        }
    }
}

#[test]
fn leading_zeros_of_two_numbers_in_both_conventions() {
    for convention in BOTH {
        let [_, b, s] = agree(11, 45, convention);
        assert_eq!((b[0], s[0]), (0, 0));
        let [a, _, s] = agree(18, 62, convention);
        assert_eq!((a[0], s[0]), (0, 0));
        let [a, b, _] = agree(18, 45, convention);
        assert_eq!((a[0], b[0]), (0, 0));
    }
}

#[test]
fn b_with_a_leading_zero_is_drawn_again() {
    let verifier = accessory(0).verifier.clone();
    let mut draws = [45, 340, 1].into_iter();
    let server = SrpServer::generate(&verifier, |out| {
        out.copy_from_slice(&secret(b"b", draws.next().unwrap()));
    });
    assert_eq!(*server.b, secret(b"b", 1));
    assert_eq!(server.public_key().len(), NUMBER);
    let stuck = SrpServer::generate(&verifier, |out| out.copy_from_slice(&secret(b"b", 45)));
    assert_eq!(stuck.public_key().len(), NUMBER - 1);
}

#[test]
fn wrong_code_is_refused() {
    let server = accessory(0);
    let controller = SrpController::new(&secret(b"a", 0), Convention::Padded);
    let proofs = controller.respond(USERNAME, b"518-08-583", server.salt(), server.public_key());
    assert_eq!(
        refusal(&server, &controller.sent(), &proofs.m1),
        Refusal::WrongProof
    );
}

#[test]
fn zero_modulus_long_and_malformed_inputs_are_refused() {
    let server = accessory(0);
    let n = MODULUS.to_be_bytes();
    let long = [0; NUMBER + 1];
    for a in [&[][..], &[0], &[0; NUMBER], &n, &long] {
        assert_eq!(
            refusal(&server, a, &[0; HASH]),
            Refusal::Malformed,
            "{} bytes",
            a.len()
        );
    }
    for length in [0, HASH - 1, HASH + 1] {
        let proof = vec![0; length];
        assert_eq!(refusal(&server, &[7], &proof), Refusal::Malformed);
    }
}

#[test]
fn a_beyond_the_modulus_counts_as_its_remainder() {
    let server = accessory(0);
    let beyond = MODULUS.wrapping_add(&U3072::from_u8(7)).to_be_bytes();
    assert_eq!(refusal(&server, &beyond, &[1; HASH]), Refusal::WrongProof);
}

fn agreement(server: &SrpServer, a: &[u8], proof: &[u8]) -> Agreement {
    let agreed = server.verify(a, proof);
    agreed.unwrap_or_else(|refusal| panic!("{refusal:?}"))
}

fn refusal(server: &SrpServer, a: &[u8], proof: &[u8]) -> Refusal {
    server.verify(a, proof).err().expect("must be refused")
}

#[test]
fn stored_verifiers_are_checked() {
    let salt = [1; 16];
    let verifier = accessory(0).verifier.verifier().to_vec();
    assert!(SetupVerifier::from_parts(salt, verifier.clone()).is_ok());
    let n = MODULUS.to_be_bytes().to_vec();
    for bytes in [vec![], verifier[1..].to_vec(), vec![0; NUMBER], n] {
        let result = SetupVerifier::from_parts(salt, bytes);
        assert_eq!(result.err(), Some(SetupVerifierError));
    }
}

#[test]
fn salts_do_not_begin_with_zero() {
    let mut first = 0;
    let salt = SetupVerifier::random_salt(|out| {
        out.fill(first);
        first += 1;
    });
    assert_eq!(salt, [1; 16]);
}

#[test]
fn debug_shows_no_verifier() {
    assert_eq!(format!("{:?}", accessory(0).verifier), "SetupVerifier(***)");
}
