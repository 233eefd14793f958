//! Types, methods and errors of pairing messages (HAP R1 §4.16, where the method table is one too
//! high: Pair Setup is 0).

use hap_tlv8::Writer;

use crate::http::{ContentType, Response};

pub(crate) const METHOD: u8 = 0x00;
pub(crate) const IDENTIFIER: u8 = 0x01;
pub(crate) const SALT: u8 = 0x02;
pub(crate) const PUBLIC_KEY: u8 = 0x03;
pub(crate) const PROOF: u8 = 0x04;
pub(crate) const ENCRYPTED_DATA: u8 = 0x05;
pub(crate) const STATE: u8 = 0x06;
pub(crate) const ERROR: u8 = 0x07;
pub(crate) const SIGNATURE: u8 = 0x0A;
pub(crate) const PERMISSIONS: u8 = 0x0B;
pub(crate) const FLAGS: u8 = 0x13;

/// Methods.
pub(crate) mod method {
    pub(crate) const PAIR_SETUP: u64 = 0;
    pub(crate) const PAIR_SETUP_WITH_AUTH: u64 = 1;
    pub(crate) const PAIR_VERIFY: u64 = 2;
    pub(crate) const ADD_PAIRING: u64 = 3;
    pub(crate) const REMOVE_PAIRING: u64 = 4;
    pub(crate) const LIST_PAIRINGS: u64 = 5;
}

/// The longest pairing identifier: a UUID as text.
pub(crate) const MAX_IDENTIFIER: usize = 36;

/// Errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum PairingError {
    /// Something unexpected.
    Unknown = 1,
    /// Wrong setup code or signature, or not an admin.
    Authentication = 2,
    /// No room for another pairing.
    MaxPeers = 4,
    /// Too many wrong setup codes.
    MaxTries = 5,
    /// Paired already.
    Unavailable = 6,
    /// Another controller is in Pair Setup.
    Busy = 7,
}

/// A message that carries only its state.
pub(crate) fn message(state: u8) -> Writer {
    let mut writer = Writer::new();
    writer.u8(STATE, state);
    writer
}

/// A well-formed message that is answered; errors of the protocol are such answers, too.
pub(crate) fn reply(message: Writer) -> Response {
    Response::new(200, ContentType::Pairing, message.into_vec())
}

/// State and error.
pub(crate) fn refuse(state: u8, error: PairingError) -> Response {
    reply(error_message(state, error))
}

/// A message that is malformed or comes out of order: a bad request (HAP R1 §4.15, Table 4-2), which
/// carries the error for controllers that look there only.
pub(crate) fn malformed(state: u8) -> Response {
    let message = error_message(state, PairingError::Unknown);
    Response::new(400, ContentType::Pairing, message.into_vec())
}

fn error_message(state: u8, error: PairingError) -> Writer {
    let mut writer = message(state);
    writer.u8(ERROR, error as u8);
    writer
}

/// A pairing identifier: 1 to 36 bytes of UTF-8.
pub(crate) fn identifier(bytes: &[u8]) -> Option<&str> {
    let fits = (1..=MAX_IDENTIFIER).contains(&bytes.len());
    fits.then(|| std::str::from_utf8(bytes).ok()).flatten()
}
