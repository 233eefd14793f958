//! The session of the test vectors.

use crate::SessionKeys;

/// Bytes written in hex.
pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    assert_eq!(hex.len() % 2, 0);
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

/// Both salts count up, from 0 and from 32.
pub(crate) fn keys() -> SessionKeys {
    let shared = bytes("9e004098efc091d4ec2663b4e9f5cfd4d7064571690b4bea97ab146ab9f35056");
    let salt = |first: u8| std::array::from_fn(|i| first + i as u8);
    SessionKeys::derive(&shared.try_into().unwrap(), &salt(0), &salt(32))
}
