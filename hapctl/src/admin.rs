//! Add, Remove and List Pairings (HAP R1 §4.11 to §4.13).
//!
//! `hap_pairing::PairingsAdmin` does this too, but its requests carry no `Host` (see
//! [`crate::session`]), so the messages are made here, over the TLV8 of the same authors.

use controller_tlv8::{SEPARATOR, Tlv8Error, Tlv8Reader, Tlv8Writer};

use crate::failure::{Failure, Kind, Result};
use crate::pairing;

/// Where the messages are posted.
pub(crate) const PATH: &str = "/pairings";

/// Item types (HAP R1 table 4-6).
const METHOD: u8 = 0x00;
const IDENTIFIER: u8 = 0x01;
const PUBLIC_KEY: u8 = 0x03;
const STATE: u8 = 0x06;
const ERROR: u8 = 0x07;
const PERMISSIONS: u8 = 0x0B;

/// A controller the accessory knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pairing {
    /// Pairing identifier.
    pub id: String,
    /// Long-term public key.
    pub public_key: [u8; 32],
    /// It may manage pairings.
    pub admin: bool,
}

/// The request that adds a pairing or changes its permission.
pub(crate) fn add(pairing: &Pairing) -> Vec<u8> {
    request(3, |w| {
        w.push(IDENTIFIER, pairing.id.as_bytes());
        w.push(PUBLIC_KEY, &pairing.public_key);
        w.push_u8(PERMISSIONS, pairing.admin.into());
    })
}

/// The request that removes a pairing.
pub(crate) fn remove(id: &str) -> Vec<u8> {
    request(4, |w| w.push(IDENTIFIER, id.as_bytes()))
}

/// The request for all pairings.
pub(crate) fn list() -> Vec<u8> {
    request(5, |_| {})
}

fn request(method: u8, items: impl FnOnce(&mut Tlv8Writer<'_>)) -> Vec<u8> {
    let mut body = Vec::new();
    let mut w = Tlv8Writer::new(&mut body);
    w.push_u8(STATE, 1);
    w.push_u8(METHOD, method);
    items(&mut w);
    body
}

/// Checks the answer to an addition or removal.
///
/// # Errors
/// What the accessory refused with, or [`Kind::Protocol`].
pub(crate) fn done(body: &[u8]) -> Result<()> {
    answer(body).map(drop)
}

/// Reads the answer to a list request.
///
/// # Errors
/// What the accessory refused with, or [`Kind::Protocol`].
pub(crate) fn listed(body: &[u8]) -> Result<Vec<Pairing>> {
    let items = answer(body)?;
    items
        .split(|(kind, _)| *kind == SEPARATOR)
        .filter(|group| group.iter().any(|(kind, _)| *kind == IDENTIFIER))
        .map(|group| entry(group).ok_or_else(|| malformed("an incomplete pairing")))
        .collect()
}

fn answer(body: &[u8]) -> Result<Vec<(u8, Vec<u8>)>> {
    let items = Tlv8Reader::parse(body).map_err(|e: Tlv8Error| malformed(e))?;
    if let Some([code, ..]) = value(&items, ERROR) {
        return Err(pairing::refusal(*code).context(PATH));
    }
    match value(&items, STATE) {
        Some([2]) => Ok(items),
        _ => Err(malformed("no state M2")),
    }
}

fn entry(items: &[(u8, Vec<u8>)]) -> Option<Pairing> {
    Some(Pairing {
        id: String::from_utf8(value(items, IDENTIFIER)?.to_vec()).ok()?,
        public_key: value(items, PUBLIC_KEY)?.try_into().ok()?,
        admin: value(items, PERMISSIONS)?.first()? & 1 == 1,
    })
}

fn value(items: &[(u8, Vec<u8>)], kind: u8) -> Option<&[u8]> {
    let item = items.iter().find(|(k, _)| *k == kind);
    item.map(|(_, value)| value.as_slice())
}

fn malformed(why: impl std::fmt::Display) -> Failure {
    Failure::new(Kind::Protocol, format!("{PATH}: malformed answer: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requests_byte_by_byte() {
        assert_eq!(list(), [6, 1, 1, 0, 1, 5]);
        assert_eq!(remove("ab"), [6, 1, 1, 0, 1, 4, 1, 2, b'a', b'b']);
        let pairing = Pairing {
            id: "a".into(),
            public_key: [7; 32],
            admin: true,
        };
        let mut expected = vec![6, 1, 1, 0, 1, 3, 1, 1, b'a', 3, 32];
        expected.extend([7; 32]);
        expected.extend([0x0B, 1, 1]);
        assert_eq!(add(&pairing), expected);
    }

    fn answer_of_two() -> Vec<u8> {
        let mut body = vec![6, 1, 2, 1, 1, b'a', 3, 32];
        body.extend([1; 32]);
        body.extend([0x0B, 1, 1, 0xFF, 0, 1, 1, b'b', 3, 32]);
        body.extend([2; 32]);
        body.extend([0x0B, 1, 0]);
        body
    }

    #[test]
    fn a_list_of_two_is_read() {
        let pairings = listed(&answer_of_two()).unwrap();
        let shown: Vec<_> = pairings.iter().map(|p| (p.id.as_str(), p.admin)).collect();
        assert_eq!(shown, [("a", true), ("b", false)]);
        assert_eq!(pairings[1].public_key, [2; 32]);
    }

    #[test]
    fn refusals_and_broken_answers_differ() {
        assert_eq!(done(&[6, 1, 2]).unwrap(), ());
        let refused = done(&[6, 1, 2, 7, 1, 2]).unwrap_err();
        assert_eq!(refused.kind(), Kind::Authentication);
        for broken in [&b""[..], &[6, 1, 3], &[6], &answer_of_two()[..41]] {
            assert_eq!(listed(broken).unwrap_err().kind(), Kind::Protocol);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = listed(&bytes);
        }
    }
}
