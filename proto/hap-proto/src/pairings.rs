//! Who is paired, and `/pairings`: Add, Remove and List Pairings (HAP R1 §4.11 to §4.13).

use hap_tlv8::{SEPARATOR_PAIRING, Tlv};

use crate::core::{Core, Outcome, Then};
use crate::host::Host;
use crate::http::Response;
use crate::pairing_tlv::{self as tlv, PairingError, malformed, message, method, refuse, reply};

/// The bit of the permissions that makes an admin.
const ADMIN: u64 = 1;

/// One controller that is paired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pairing {
    /// The controller's pairing identifier, at most 36 bytes.
    pub id: String,
    /// The controller's long-term public key (Ed25519).
    pub ltpk: [u8; 32],
    /// Whether the controller may add, remove and list pairings.
    pub admin: bool,
}

/// What has to survive a restart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PairingState {
    /// The pairings, oldest first.
    pub pairings: Vec<Pairing>,
    /// Pair Setup attempts with a wrong setup code since the last right one.
    pub failed_attempts: u32,
}

impl PairingState {
    /// Whether a controller is paired.
    pub fn is_paired(&self) -> bool {
        !self.pairings.is_empty()
    }

    /// The pairing with this identifier; upper and lower case differ.
    pub fn find(&self, id: &str) -> Option<&Pairing> {
        self.pairings.iter().find(|pairing| pairing.id == id)
    }

    /// Whether this controller is an admin.
    pub fn is_admin(&self, id: &str) -> bool {
        self.find(id).is_some_and(|pairing| pairing.admin)
    }

    fn has_admin(&self) -> bool {
        self.pairings.iter().any(|pairing| pairing.admin)
    }

    fn put(&mut self, pairing: Pairing) {
        match self
            .pairings
            .iter_mut()
            .find(|known| known.id == pairing.id)
        {
            Some(known) => *known = pairing,
            None => self.pairings.push(pairing),
        }
    }

    /// Removes a pairing, and all others with the last admin's.
    fn remove(&mut self, id: &str) {
        self.pairings.retain(|pairing| pairing.id != id);
        if !self.has_admin() {
            self.pairings.clear();
        }
    }
}

/// Answers a request of the verified controller `caller`.
pub(crate) fn handle(body: &[u8], caller: &str, core: &mut Core, host: &mut dyn Host) -> Outcome {
    request(body, caller, core, host).unwrap_or_else(Outcome::from)
}

fn request(
    body: &[u8],
    caller: &str,
    core: &mut Core,
    host: &mut dyn Host,
) -> Result<Outcome, Response> {
    let request = Tlv::parse(body).map_err(|_| malformed(2))?;
    if request.uint(tlv::STATE) != Ok(1) {
        return Err(malformed(2));
    }
    if !core.pairings.is_admin(caller) {
        return Err(refuse(2, PairingError::Authentication));
    }
    match request.uint(tlv::METHOD) {
        Ok(method::ADD_PAIRING) => add(&request, core, host),
        Ok(method::REMOVE_PAIRING) => remove(&request, core, host),
        Ok(method::LIST_PAIRINGS) => Ok(list(&core.pairings).into()),
        _ => Err(malformed(2)),
    }
}

fn add(request: &Tlv, core: &mut Core, host: &mut dyn Host) -> Result<Outcome, Response> {
    let pairing = added(request).ok_or_else(|| malformed(2))?;
    match core.pairings.find(&pairing.id) {
        Some(known) if known.ltpk != pairing.ltpk => return Err(refuse(2, PairingError::Unknown)),
        None if core.pairings.pairings.len() >= core.config.limits.max_pairings => {
            return Err(refuse(2, PairingError::MaxPeers));
        }
        _ => {}
    }
    let mut after = core.pairings.clone();
    after.put(pairing);
    // An accessory without an admin could only be reset.
    if !after.has_admin() {
        return Err(refuse(2, PairingError::Unknown));
    }
    store(core, host, after)?;
    Ok(reply(message(2)).into())
}

fn added(request: &Tlv) -> Option<Pairing> {
    let id = tlv::identifier(request.first(tlv::IDENTIFIER)?)?.to_owned();
    let ltpk = request.array(tlv::PUBLIC_KEY).ok()?;
    let permissions = request.uint(tlv::PERMISSIONS).ok()?;
    Some(Pairing {
        id,
        ltpk,
        admin: permissions & ADMIN != 0,
    })
}

fn remove(request: &Tlv, core: &mut Core, host: &mut dyn Host) -> Result<Outcome, Response> {
    let id = request.first(tlv::IDENTIFIER).and_then(tlv::identifier);
    let id = id.ok_or_else(|| malformed(2))?;
    let response = Some(reply(message(2)));
    if core.pairings.find(id).is_none() {
        return Ok(Outcome {
            response,
            then: Then::GoOn,
        });
    }
    let mut after = core.pairings.clone();
    after.remove(id);
    let gone = core
        .pairings
        .pairings
        .iter()
        .filter(|pairing| after.find(&pairing.id).is_none());
    let gone = gone.map(|pairing| pairing.id.clone()).collect();
    store(core, host, after)?;
    Ok(Outcome {
        response,
        then: Then::Revoke(gone),
    })
}

fn store(core: &mut Core, host: &mut dyn Host, after: PairingState) -> Result<(), Response> {
    let stored = core.change_pairings(host, |state| *state = after);
    stored.map_err(|_| refuse(2, PairingError::Unknown))
}

fn list(state: &PairingState) -> Response {
    let mut list = message(2);
    for (index, pairing) in state.pairings.iter().enumerate() {
        if index > 0 {
            list.separator(SEPARATOR_PAIRING);
        }
        list.str(tlv::IDENTIFIER, &pairing.id)
            .bytes(tlv::PUBLIC_KEY, &pairing.ltpk)
            .u8(tlv::PERMISSIONS, u8::from(pairing.admin));
    }
    reply(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairing(id: &str, admin: bool) -> Pairing {
        Pairing {
            id: id.into(),
            ltpk: [id.as_bytes()[0]; 32],
            admin,
        }
    }

    #[test]
    fn list_is_separated_by_ff_00() {
        let pairings = vec![pairing("a", true), pairing("b", false)];
        let (_, body) = list(&PairingState {
            pairings,
            failed_attempts: 0,
        })
        .body
        .unwrap();
        let expected = [
            &[6, 1, 2, 1, 1, b'a', 3, 32][..],
            &[b'a'; 32],
            &[0x0B, 1, 1, 0xFF, 0, 1, 1, b'b', 3, 32],
            &[b'b'; 32],
            &[0x0B, 1, 0],
        ];
        assert_eq!(body, expected.concat());
    }

    #[test]
    fn last_admin_takes_everybody_along() {
        let pairings = vec![pairing("a", true), pairing("b", true), pairing("c", false)];
        let mut state = PairingState {
            pairings,
            failed_attempts: 0,
        };
        state.remove("a");
        assert_eq!(state.pairings.len(), 2);
        state.remove("b");
        assert!(!state.is_paired());
    }
}
