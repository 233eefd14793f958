//! Pair Setup, M1 to M6 (HAP R1 §4.7).

use std::time::Instant;

use hap_tlv8::{Tlv, Writer};

use crate::core::{Core, Outcome, Then};
use crate::crypto::{Key, hkdf, is_signed, open, seal};
use crate::host::{ConnId, Host};
use crate::http::Response;
use crate::pairing_tlv::{self as tlv, PairingError, malformed, message, method, refuse, reply};
use crate::pairings::Pairing;
use crate::session::Session;
use crate::srp::{Agreement, Refusal, SessionKey, SrpServer};

/// Wrong setup codes after which Pair Setup is closed until a reset (HAP R1 §4.7.2).
const MAX_FAILED_ATTEMPTS: u32 = 100;

/// Transient: only M1 to M4, to encrypt a session without pairing.
const TRANSIENT: u64 = 1 << 4;
/// Split: with Transient, a second Pair Setup may follow; alone, it is that second one.
const SPLIT: u64 = 1 << 24;

/// Where a connection stands in Pair Setup.
#[derive(Default)]
pub(crate) enum PairSetup {
    /// Not begun, finished or failed.
    #[default]
    ExpectM1,
    /// M2 was sent.
    ExpectM3(Box<ExpectM3>),
    /// M4 was sent.
    ExpectM5(ExpectM5),
}

/// The secrets between M2 and M3.
pub(crate) struct ExpectM3 {
    srp: SrpServer,
    kind: Kind,
}

/// The secrets between M4 and M5.
pub(crate) struct ExpectM5 {
    key: SessionKey,
}

/// What the flags of M1 ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Normal,
    Transient,
    TransientSplit,
    Split,
}

impl Kind {
    /// Flags are for Pair Setup without authentication chip only; unknown ones are ignored.
    fn of(method: u64, flags: u64) -> Self {
        match (flags & TRANSIENT != 0, flags & SPLIT != 0) {
            _ if method == method::PAIR_SETUP_WITH_AUTH => Kind::Normal,
            (false, false) => Kind::Normal,
            (true, false) => Kind::Transient,
            (true, true) => Kind::TransientSplit,
            (false, true) => Kind::Split,
        }
    }

    fn is_transient(self) -> bool {
        matches!(self, Kind::Transient | Kind::TransientSplit)
    }

    /// The flags that M2 repeats.
    fn echo(self) -> Option<u64> {
        match self {
            Kind::Normal | Kind::Transient => None,
            Kind::TransientSplit => Some(TRANSIENT | SPLIT),
            Kind::Split => Some(SPLIT),
        }
    }
}

/// One request to `/pair-setup` and what it needs.
pub(crate) struct Exchange<'a> {
    pub(crate) core: &'a mut Core,
    pub(crate) conn: ConnId,
    pub(crate) now: Instant,
    pub(crate) host: &'a mut dyn Host,
}

impl PairSetup {
    /// Whether a controller has begun.
    pub(crate) fn is_under_way(&self) -> bool {
        !matches!(self, PairSetup::ExpectM1)
    }

    /// Answers one message. M1 begins anew in any state, as iOS does; everything else that comes out
    /// of order, or after another connection took Pair Setup over, ends it.
    pub(crate) fn handle(self, body: &[u8], exchange: &mut Exchange<'_>) -> (Self, Outcome) {
        let message = Tlv::parse(body);
        let state = message.as_ref().ok().and_then(|m| m.uint(tlv::STATE).ok());
        let answer = match (state, self, message) {
            (Some(1), _, Ok(m1)) => exchange.m1(&m1),
            (Some(3), PairSetup::ExpectM3(state), Ok(m3)) if exchange.owns() => {
                exchange.m3(*state, &m3)
            }
            (Some(5), PairSetup::ExpectM5(state), Ok(m5)) if exchange.owns() => {
                exchange.m5(&state, &m5)
            }
            (state, ..) => Err(malformed(state.map_or(2, next_state))),
        };
        answer.unwrap_or_else(|refusal| {
            exchange.release();
            (PairSetup::ExpectM1, refusal.into())
        })
    }
}

/// The state of the answer to a message.
fn next_state(state: u64) -> u8 {
    u8::try_from(state).unwrap_or(1).saturating_add(1)
}

/// The next state and the answer, or the answer that ends Pair Setup.
type Answer = Result<(PairSetup, Outcome), Response>;

impl Exchange<'_> {
    fn owns(&self) -> bool {
        self.core.setup.is_owned_by(self.conn)
    }

    fn release(&mut self) {
        self.core.setup.release(self.conn);
    }

    fn m1(&mut self, m1: &Tlv) -> Answer {
        let method = m1.opt_uint(tlv::METHOD).map_err(|_| malformed(2))?;
        let method = method.unwrap_or(method::PAIR_SETUP);
        // Method 1 is Pair Setup, too: without an authentication chip M4 just lacks its proof, and
        // controllers built on the method table of HAP R1 mean 0 by it.
        if !matches!(method, method::PAIR_SETUP | method::PAIR_SETUP_WITH_AUTH) {
            return Err(refuse(2, PairingError::Unavailable));
        }
        let flags = m1.opt_uint(tlv::FLAGS).map_err(|_| malformed(2))?;
        let kind = Kind::of(method, flags.unwrap_or(0));
        self.check_availability(kind)
            .map_err(|error| refuse(2, error))?;
        let srp = SrpServer::generate(&self.core.config.verifier, |out| self.host.random(out));
        let m2 = m2(&srp, kind);
        let state = ExpectM3 { srp, kind };
        Ok((PairSetup::ExpectM3(Box::new(state)), reply(m2).into()))
    }

    fn check_availability(&mut self, kind: Kind) -> Result<(), PairingError> {
        let (core, conn, now) = (&mut *self.core, self.conn, self.now);
        if core.pairings.is_paired() {
            return Err(PairingError::Unavailable);
        }
        if core.pairings.failed_attempts >= MAX_FAILED_ATTEMPTS {
            return Err(PairingError::MaxTries);
        }
        if !core
            .setup
            .acquire(conn, now, core.config.limits.pair_setup_stall)
        {
            return Err(PairingError::Busy);
        }
        if kind == Kind::Split && !core.setup.split_allowed {
            return Err(PairingError::Authentication);
        }
        core.setup.split_allowed &= kind == Kind::Split;
        Ok(())
    }

    fn m3(&mut self, state: ExpectM3, m3: &Tlv) -> Answer {
        let a = m3.bytes(tlv::PUBLIC_KEY).map_err(|_| malformed(4))?;
        let proof = m3.bytes(tlv::PROOF).map_err(|_| malformed(4))?;
        match state.srp.verify(a, proof) {
            Ok(agreement) => Ok(self.m4(agreement, state.kind)),
            Err(refusal) => {
                self.count_failure(refusal);
                Err(refuse(4, PairingError::Authentication))
            }
        }
    }

    /// Every answer below is preceded by storing, so that no attempt is forgotten by cutting power.
    /// If it cannot be stored, it counts at least until then.
    fn count_failure(&mut self, refusal: Refusal) {
        self.core.setup.split_allowed = false;
        if refusal == Refusal::WrongProof {
            self.core.pairings.failed_attempts += 1;
            let _ = self.host.store(&self.core.pairings);
        }
    }

    fn m4(&mut self, agreement: Agreement, kind: Kind) -> (PairSetup, Outcome) {
        if self.core.pairings.failed_attempts > 0 {
            let reset = self
                .core
                .change_pairings(self.host, |state| state.failed_attempts = 0);
            // The count stays as it was then, which is the safe side.
            let _ = reset;
        }
        let mut m4 = message(4);
        m4.bytes(tlv::PROOF, &agreement.proof);
        let response = reply(m4);
        if kind.is_transient() {
            return self.finish_transient(&agreement.key, kind, response);
        }
        (
            PairSetup::ExpectM5(ExpectM5 { key: agreement.key }),
            response.into(),
        )
    }

    fn finish_transient(
        &mut self,
        key: &SessionKey,
        kind: Kind,
        response: Response,
    ) -> (PairSetup, Outcome) {
        self.core.setup.split_allowed = kind == Kind::TransientSplit;
        self.release();
        let then = Then::Secure(Box::new(Session::transient(key)));
        (
            PairSetup::ExpectM1,
            Outcome {
                response: Some(response),
                then,
            },
        )
    }

    fn m5(&mut self, state: &ExpectM5, m5: &Tlv) -> Answer {
        let keys = Keys::derive(&state.key);
        let sealed = m5.bytes(tlv::ENCRYPTED_DATA).map_err(|_| malformed(6))?;
        let pairing = keys
            .controller(sealed)
            .ok_or_else(|| refuse(6, PairingError::Authentication))?;
        if self.core.pairings.is_paired() {
            return Err(refuse(6, PairingError::Unavailable));
        }
        let stored = self
            .core
            .change_pairings(self.host, |state| state.pairings.push(pairing));
        stored.map_err(|_| refuse(6, PairingError::Unknown))?;
        self.core.setup.split_allowed = false;
        self.release();
        Ok((PairSetup::ExpectM1, reply(self.m6(&keys)).into()))
    }

    fn m6(&self, keys: &Keys) -> Writer {
        let identity = &self.core.config.identity;
        let (id, ltpk) = (identity.device_id().as_str(), identity.ltpk());
        let signature = identity.sign(&[&*keys.accessory_sign, id.as_bytes(), &ltpk]);
        let mut inner = Writer::new();
        inner
            .str(tlv::IDENTIFIER, id)
            .bytes(tlv::PUBLIC_KEY, &ltpk)
            .bytes(tlv::SIGNATURE, &signature);
        let mut m6 = message(6);
        m6.bytes(
            tlv::ENCRYPTED_DATA,
            &seal(&keys.encrypt, b"PS-Msg06", inner.as_slice()),
        );
        m6
    }
}

fn m2(srp: &SrpServer, kind: Kind) -> Writer {
    let mut m2 = message(2);
    m2.bytes(tlv::PUBLIC_KEY, srp.public_key())
        .bytes(tlv::SALT, srp.salt());
    if let Some(flags) = kind.echo() {
        m2.uint(tlv::FLAGS, flags);
    }
    m2
}

/// What M5 and M6 need of the session key K (not S, as HAP R1 §4.7.6 may be read).
struct Keys {
    encrypt: Key,
    controller_sign: Key,
    accessory_sign: Key,
}

impl Keys {
    fn derive(key: &SessionKey) -> Self {
        let key = |salt, info| hkdf(key.as_bytes(), salt, info);
        Self {
            encrypt: key("Pair-Setup-Encrypt-Salt", "Pair-Setup-Encrypt-Info"),
            controller_sign: key(
                "Pair-Setup-Controller-Sign-Salt",
                "Pair-Setup-Controller-Sign-Info",
            ),
            accessory_sign: key(
                "Pair-Setup-Accessory-Sign-Salt",
                "Pair-Setup-Accessory-Sign-Info",
            ),
        }
    }

    /// The controller that M5 introduces, which is an admin; `None` if anything about it is wrong.
    fn controller(&self, sealed: &[u8]) -> Option<Pairing> {
        let inner = Tlv::parse(&open(&self.encrypt, b"PS-Msg05", sealed)?).ok()?;
        let id = tlv::identifier(inner.first(tlv::IDENTIFIER)?)?;
        let ltpk = inner.array(tlv::PUBLIC_KEY).ok()?;
        let signature = inner.array(tlv::SIGNATURE).ok()?;
        let signed = [&*self.controller_sign, id.as_bytes(), &ltpk];
        is_signed(&ltpk, &signed, &signature).then(|| Pairing {
            id: id.to_owned(),
            ltpk,
            admin: true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srp::test_key;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// From the session key of HAP R1 §4.6.2.
    #[test]
    fn keys_of_m5_and_m6() {
        let keys = Keys::derive(&test_key());
        let expected = [
            (
                &keys.encrypt,
                "2a05883492dffdd216ca4a3c2aa472b67ddd49e2a061b86929539afcb6abfef4",
            ),
            (
                &keys.controller_sign,
                "e45baa0218c40756559b95d21736fccc641a2977b063b2c82be2de896aa779b3",
            ),
            (
                &keys.accessory_sign,
                "5a55453e44c7721cf44179f3f694eb722d887e264cd3586d0328419d43092e1c",
            ),
        ];
        for (key, text) in expected {
            assert_eq!(hex(&**key), text);
        }
    }

    #[test]
    fn flags_decide_the_kind() {
        assert_eq!(Kind::of(0, 0), Kind::Normal);
        assert_eq!(Kind::of(0, 1 << 3), Kind::Normal);
        assert_eq!(Kind::of(0, TRANSIENT), Kind::Transient);
        assert_eq!(Kind::of(0, 0x0100_0010), Kind::TransientSplit);
        assert_eq!(Kind::of(0, SPLIT), Kind::Split);
        assert_eq!(Kind::of(1, SPLIT | TRANSIENT), Kind::Normal);
    }
}
