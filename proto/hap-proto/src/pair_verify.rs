//! Pair Verify, M1 to M4 (HAP R1 §4.8, where M2's public key is called an SRP proof by mistake).

use hap_tlv8::{Tlv, Writer};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use crate::core::{Core, Outcome, Then};
use crate::crypto::{Key, hkdf, is_signed, open, seal};
use crate::host::Host;
use crate::http::Response;
use crate::pairing_tlv::{self as tlv, PairingError, malformed, message, method, refuse, reply};
use crate::session::Session;

/// Where a connection stands in Pair Verify.
#[derive(Default)]
pub(crate) enum PairVerify {
    /// Not begun, or failed.
    #[default]
    ExpectM1,
    /// M2 was sent.
    ExpectM3(Box<ExpectM3>),
}

/// The secrets between M2 and M3.
pub(crate) struct ExpectM3 {
    shared_secret: Key,
    session_key: Key,
    accessory: [u8; 32],
    controller: [u8; 32],
}

/// The next state and the answer, or the answer that ends Pair Verify.
type Answer = Result<(PairVerify, Outcome), Response>;

impl PairVerify {
    /// Answers one message. M1 begins anew in any state. A failure leaves the connection open.
    pub(crate) fn handle(self, body: &[u8], core: &Core, host: &mut dyn Host) -> (Self, Outcome) {
        let message = Tlv::parse(body);
        let state = message.as_ref().ok().and_then(|m| m.uint(tlv::STATE).ok());
        let answer = match (state, self, message) {
            (Some(1), _, Ok(message)) => m1(&message, core, host),
            (Some(3), PairVerify::ExpectM3(state), Ok(message)) => m3(*state, &message, core),
            (Some(3), ..) => Err(malformed(4)),
            _ => Err(malformed(2)),
        };
        answer.unwrap_or_else(|refusal| (PairVerify::ExpectM1, refusal.into()))
    }
}

/// Over IP there is no resumption: Method is absent, or at most says Pair Verify.
fn m1(m1: &Tlv, core: &Core, host: &mut dyn Host) -> Answer {
    let method = m1.opt_uint(tlv::METHOD).map_err(|_| malformed(2))?;
    if !matches!(method, None | Some(method::PAIR_VERIFY)) {
        return Err(malformed(2));
    }
    let controller: [u8; 32] = m1.array(tlv::PUBLIC_KEY).map_err(|_| malformed(2))?;
    let state = agree(controller, host).ok_or_else(|| refuse(2, PairingError::Authentication))?;
    let m2 = m2(&state, core);
    Ok((PairVerify::ExpectM3(Box::new(state)), reply(m2).into()))
}

/// `None` if the controller's key is one of the few that give away the shared secret.
fn agree(controller: [u8; 32], host: &mut dyn Host) -> Option<ExpectM3> {
    let mut secret = Zeroizing::new([0; 32]);
    host.random(&mut *secret);
    let secret = StaticSecret::from(*secret);
    let shared = secret.diffie_hellman(&PublicKey::from(controller));
    let shared_secret = Zeroizing::new(shared.to_bytes());
    let session_key = hkdf(
        &*shared_secret,
        "Pair-Verify-Encrypt-Salt",
        "Pair-Verify-Encrypt-Info",
    );
    let accessory = PublicKey::from(&secret).to_bytes();
    shared.was_contributory().then_some(ExpectM3 {
        shared_secret,
        session_key,
        accessory,
        controller,
    })
}

fn m2(state: &ExpectM3, core: &Core) -> Writer {
    let identity = &core.config.identity;
    let id = identity.device_id().as_str();
    let signature = identity.sign(&[&state.accessory, id.as_bytes(), &state.controller]);
    let mut inner = Writer::new();
    inner
        .str(tlv::IDENTIFIER, id)
        .bytes(tlv::SIGNATURE, &signature);
    let sealed = seal(&state.session_key, b"PV-Msg02", inner.as_slice());
    let mut m2 = message(2);
    m2.bytes(tlv::PUBLIC_KEY, &state.accessory)
        .bytes(tlv::ENCRYPTED_DATA, &sealed);
    m2
}

fn m3(state: ExpectM3, m3: &Tlv, core: &Core) -> Answer {
    let sealed = m3.bytes(tlv::ENCRYPTED_DATA).map_err(|_| malformed(4))?;
    let id = identify(&state, sealed, core);
    let id = id.ok_or_else(|| refuse(4, PairingError::Authentication))?;
    let session = Session::verified(id, state.shared_secret);
    let response = Some(reply(message(4)));
    let then = Then::Secure(Box::new(session));
    Ok((PairVerify::ExpectM1, Outcome { response, then }))
}

/// The pairing identifier of the controller; `None` if it is not paired or did not sign.
fn identify(state: &ExpectM3, sealed: &[u8], core: &Core) -> Option<String> {
    let inner = Tlv::parse(&open(&state.session_key, b"PV-Msg03", sealed)?).ok()?;
    let id = tlv::identifier(inner.first(tlv::IDENTIFIER)?)?;
    let signature = inner.array(tlv::SIGNATURE).ok()?;
    let pairing = core.pairings.find(id)?;
    let signed = [&state.controller[..], id.as_bytes(), &state.accessory];
    is_signed(&pairing.ltpk, &signed, &signature).then(|| id.to_owned())
}
