//! Pair Setup and Pair Verify over an address (HAP R1 §4.7, §4.8).
//!
//! `hap_pairing::pair` runs both in one call and keeps the new pairing to itself if Pair Verify
//! then fails: the accessory would be paired with a controller that forgot it. The state machines
//! of `hap-crypto` are driven here instead, and the pairing is handed out after M6.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use hap_crypto::{
    AccessoryPairing, ControllerKeypair, PairSetupClient, PairSetupStep, PairVerifyClient,
    PairVerifyStep,
};
use hap_transport::{HapConnection, HapResponse, SessionKeys, TransportError};
use zeroize::Zeroizing;

use crate::failure::{Failure, Kind, Result};
use crate::setup_code::SetupCode;

pub(crate) const PAIRING_TLV8: &str = "application/pairing+tlv8";
/// HAP R1 table 4-5 (TLV types): the error item.
const TLV_ERROR: u8 = 0x07;
/// As above: the public key.
const TLV_PUBLIC_KEY: u8 = 0x03;

/// The secret both ends of a verified connection share.
pub(crate) type SharedSecret = Zeroizing<[u8; 32]>;

/// Connects to the first of `addresses` that answers within `timeout`.
///
/// # Errors
/// [`Kind::Unreachable`] with the last reason when none does.
pub async fn connect(
    addresses: &[SocketAddr],
    timeout: Duration,
) -> Result<(HapConnection, SocketAddr)> {
    let mut last = Failure::new(Kind::Unreachable, "no address to try");
    for address in addresses {
        match limited(timeout, HapConnection::connect(*address)).await {
            Ok(connection) => return Ok((connection, *address)),
            Err(e) => last = e.context(address),
        }
    }
    Err(last.hint(
        "is the accessory running, and is the port right? `hapctl discover` lists what answers",
    ))
}

/// Runs `operation` for at most `timeout`.
///
/// # Errors
/// What the operation gives, or [`Kind::Unreachable`] when the time is up.
pub async fn limited<T>(
    timeout: Duration,
    operation: impl Future<Output = std::result::Result<T, TransportError>>,
) -> Result<T> {
    match tokio::time::timeout(timeout, operation).await {
        Ok(result) => result.map_err(Failure::from),
        Err(_) => Err(Failure::new(
            Kind::Unreachable,
            format!("no answer within {} s", timeout.as_secs_f32()),
        )),
    }
}

/// Pair Setup M1–M6.
///
/// # Errors
/// [`Kind::Authentication`] for a wrong code, [`Kind::Refused`] when the accessory will not pair
/// now, [`Kind::Protocol`] when it breaks the protocol.
pub async fn pair_setup(
    connection: &mut HapConnection,
    code: &SetupCode,
    controller: &ControllerKeypair,
    timeout: Duration,
) -> Result<AccessoryPairing> {
    let mut client = PairSetupClient::new(code.as_str(), controller.clone())?;
    let mut request = client.start();
    loop {
        let reply = post(connection, "/pair-setup", &request, timeout).await?;
        match client.handle(&reply)? {
            PairSetupStep::Send(next) => request = next,
            PairSetupStep::Done(pairing) => return Ok(pairing),
        }
    }
}

/// Pair Verify M1–M4; also gives the shared secret, of which data streams make their keys.
///
/// `hap-crypto` keeps the secret to itself, so our half of the key agreement is made here.
///
/// # Errors
/// [`Kind::Authentication`] when the accessory does not know this controller, or is not the one
/// that was paired.
pub async fn pair_verify(
    connection: &mut HapConnection,
    pairing: &AccessoryPairing,
    controller: &ControllerKeypair,
    timeout: Duration,
) -> Result<(SessionKeys, SharedSecret)> {
    let mut ours = Zeroizing::new([0; 32]);
    crate::random(ours.as_mut_slice())?;
    let mut client = PairVerifyClient::new_with_ephemeral(controller, pairing, *ours);
    let mut request = client.start();
    let mut shared = Zeroizing::new([0; 32]);
    loop {
        let reply = post(connection, "/pair-verify", &request, timeout).await?;
        if let Some(theirs) = public_key(&reply) {
            *shared = hap_crypto::x25519_shared(&ours, &theirs);
        }
        match client.handle(&reply).map_err(unverified)? {
            PairVerifyStep::Send(next) => request = next,
            PairVerifyStep::Done(keys) => return Ok((keys, shared)),
        }
    }
}

fn public_key(reply: &[u8]) -> Option<[u8; 32]> {
    let map = controller_tlv8::Tlv8Map::parse(reply).ok()?;
    map.get(TLV_PUBLIC_KEY)?.try_into().ok()
}

fn unverified(e: hap_crypto::CryptoError) -> Failure {
    Failure::new(
        Kind::Authentication,
        format!("the accessory is not the one that was paired: {e}"),
    )
    .hint("if it was reset, run `hapctl unpair NAME --forget` and pair again")
}

/// The content type `kind` with a `Host` header behind it.
///
/// `hap-transport` writes none, though HTTP/1.1 demands one (RFC 9112 §3.2) and accessories built
/// on HAP-python close the connection without. The content type is all it lets through.
#[must_use]
pub fn with_host(kind: &str) -> String {
    format!("{kind}\r\nHost: accessory.local")
}

async fn post(
    connection: &mut HapConnection,
    path: &str,
    body: &[u8],
    timeout: Duration,
) -> Result<Vec<u8>> {
    let kind = with_host(PAIRING_TLV8);
    let request = connection.request("POST", path, &kind, body);
    let reply = limited(timeout, request)
        .await
        .map_err(|e| e.context(path))?;
    check(path, reply)
}

/// Takes the error item first, since some accessories send it with a status other than 200.
fn check(path: &str, reply: HapResponse) -> Result<Vec<u8>> {
    if let Some(code) = error_code(&reply.body) {
        return Err(refusal_at(path, code));
    }
    if reply.status != 200 {
        return Err(Failure::new(
            Kind::Refused,
            format!("{path} answered HTTP {}", reply.status),
        ));
    }
    Ok(reply.body)
}

/// The value of the error item in a pairing message.
fn error_code(body: &[u8]) -> Option<u8> {
    let mut rest = body;
    while let [kind, length, tail @ ..] = rest {
        let value = tail.get(..usize::from(*length))?;
        if *kind == TLV_ERROR {
            return value.first().copied();
        }
        rest = &tail[value.len()..];
    }
    None
}

fn refusal_at(path: &str, code: u8) -> Failure {
    match (path, code) {
        ("/pair-setup", 2) => Failure::new(Kind::Authentication, "the setup code is wrong")
            .hint("read it again from the label, the QR code, or `hapd pairing-info`"),
        ("/pair-verify", _) => refusal(code).hint(
            "the accessory does not know this controller: pair again after \
             `hapctl unpair NAME --forget`",
        ),
        _ => refusal(code),
    }
}

/// The failure for a pairing error code (HAP R1 table 4-5).
#[must_use]
pub fn refusal(code: u8) -> Failure {
    let (kind, message, hint) = match code {
        2 => (
            Kind::Authentication,
            "the accessory refused: authentication (2)",
            "only an administrator may do this; list them with `hapctl pairings NAME list`",
        ),
        3 => (
            Kind::Refused,
            "the accessory asks to wait (3, back off)",
            "try again in a minute",
        ),
        4 => (
            Kind::Refused,
            "the accessory has no room for another pairing (4)",
            "remove one with `hapctl pairings NAME remove ID`",
        ),
        5 => (
            Kind::Refused,
            "the accessory counted too many failed attempts (5)",
            "reset it: it accepts no further Pair Setup until then",
        ),
        6 => (
            Kind::Refused,
            "the accessory is already paired (6, unavailable)",
            "its first controller must add this one (`hapctl pairings NAME share DIR`) or unpair it",
        ),
        7 => (
            Kind::Refused,
            "the accessory is busy pairing with somebody else (7)",
            "try again in half a minute",
        ),
        _ => (
            Kind::Refused,
            "the accessory reported an unknown error",
            "see its log",
        ),
    };
    Failure::new(kind, message).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requests_name_a_host() {
        assert_eq!(with_host("a/b"), "a/b\r\nHost: accessory.local");
    }

    #[test]
    fn the_error_item_is_found_wherever_it_stands() {
        assert_eq!(error_code(&[6, 1, 2, 7, 1, 6]), Some(6));
        assert_eq!(error_code(&[7, 1, 2, 6, 1, 4]), Some(2));
        assert_eq!(error_code(&[6, 1, 2]), None);
        assert_eq!(error_code(&[7]), None);
        assert_eq!(error_code(&[7, 0]), None);
        assert_eq!(error_code(&[6, 200, 7, 1, 2]), None);
    }

    #[test]
    fn a_wrong_code_and_a_full_accessory_differ() {
        assert_eq!(refusal_at("/pair-setup", 2).kind(), Kind::Authentication);
        assert_eq!(refusal_at("/pair-setup", 4).kind(), Kind::Refused);
        assert_eq!(refusal_at("/pair-verify", 2).kind(), Kind::Authentication);
        for code in 0..=8 {
            assert!(refusal(code).advice().is_some());
        }
    }

    #[tokio::test]
    async fn nobody_there_is_unreachable_and_says_what_to_try() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let e = connect(&[address], Duration::from_secs(2))
            .await
            .err()
            .unwrap();
        assert_eq!(e.kind(), Kind::Unreachable);
        assert!(e.advice().unwrap().contains("discover"));
    }

    #[tokio::test]
    async fn a_silent_accessory_costs_no_more_than_the_timeout() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap();
        let (mut connection, _) = connect(&[address], Duration::from_secs(2)).await.unwrap();
        let keys = ControllerKeypair::from_seed("test".into(), [1; 32]);
        let code = SetupCode::parse("518-08-582").unwrap();
        let e = pair_setup(&mut connection, &code, &keys, Duration::from_millis(50))
            .await
            .unwrap_err();
        assert_eq!(e.kind(), Kind::Unreachable);
    }

    proptest! {
        #[test]
        fn any_bytes_are_searched(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = error_code(&bytes);
        }
    }
}
