//! The primitives pairing and sessions share: HKDF-SHA-512, ChaCha20-Poly1305, Ed25519.

use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use ed25519_dalek::{Signature, VerifyingKey};
use hkdf::Hkdf;
use sha2::Sha512;
use zeroize::Zeroizing;

/// A symmetric key, wiped when dropped.
pub(crate) type Key = Zeroizing<[u8; 32]>;

/// HKDF-SHA-512 with 32 bytes of output.
pub(crate) fn hkdf(secret: &[u8], salt: &str, info: &str) -> Key {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha512>::new(Some(salt.as_bytes()), secret)
        .expand(info.as_bytes(), &mut *key)
        .expect("32 bytes are less than the 255 hashes HKDF can give");
    key
}

/// Encrypts a sub-TLV of a pairing message; the tag is at the end. The nonce is four zeros and
/// `label` (HAP R1 §4.10).
pub(crate) fn seal(key: &Key, label: &[u8; 8], plaintext: &[u8]) -> Vec<u8> {
    ChaCha20Poly1305::new((&**key).into())
        .encrypt(&nonce(*label), plaintext)
        .expect("a sub-TLV is far shorter than what ChaCha20 can encrypt")
}

/// Decrypts a sub-TLV of a pairing message; `None` if it was not made with `key`.
pub(crate) fn open(key: &Key, label: &[u8; 8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    ChaCha20Poly1305::new((&**key).into())
        .decrypt(&nonce(*label), sealed)
        .map(Zeroizing::new)
        .ok()
}

/// Four zeros and eight bytes: the nonce of pairing messages and of records.
pub(crate) fn nonce(tail: [u8; 8]) -> Nonce {
    let mut nonce = Nonce::default();
    nonce[4..].copy_from_slice(&tail);
    nonce
}

/// Whether `signature` over `parts`, put together, was made with the key `ltpk`.
pub(crate) fn is_signed(ltpk: &[u8; 32], parts: &[&[u8]], signature: &[u8; 64]) -> bool {
    let message = Zeroizing::new(parts.concat());
    let signature = Signature::from_bytes(signature);
    VerifyingKey::from_bytes(ltpk).is_ok_and(|key| key.verify_strict(&message, &signature).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// aiohomekit, tests/test_crypto_hkdf.py.
    #[test]
    fn hkdf_vector_of_pair_verify() {
        let key = hkdf(
            &[b'1'; 32],
            "Pair-Verify-Encrypt-Salt",
            "Pair-Verify-Encrypt-Info",
        );
        assert_eq!(
            *key,
            [
                0x8f, 0x43, 0x31, 0x76, 0xe3, 0x4e, 0x8c, 0xa2, 0x9c, 0x94, 0xaa, 0x61, 0xce, 0xf5,
                0x22, 0x94, 0x24, 0x37, 0x2f, 0x78, 0x71, 0xbf, 0x8c, 0x3b, 0x4d, 0xe9, 0xe2, 0xa5,
                0x4e, 0xf9, 0xe5, 0x08
            ]
        );
    }

    /// HAP-NodeJS, src/lib/util/hapCrypto.spec.ts.
    #[test]
    fn hkdf_vector_without_info() {
        let salt: String = (0..=0x0Cu8).map(char::from).collect();
        let key = hkdf(&[0x0B; 22], &salt, "");
        assert_eq!(
            *key,
            [
                0xf8, 0x1b, 0x87, 0x48, 0x1a, 0x18, 0xb6, 0x64, 0x93, 0x6d, 0xae, 0xb2, 0x22, 0xf5,
                0x8c, 0xba, 0x0e, 0xbc, 0x55, 0xf5, 0xc8, 0x59, 0x96, 0xb9, 0xf1, 0xcb, 0x39, 0x6c,
                0x32, 0x7b, 0x70, 0xbb
            ]
        );
    }

    #[test]
    fn other_keys_labels_and_bytes_do_not_open() {
        let key = Zeroizing::new([7; 32]);
        let mut sealed = seal(&key, b"PS-Msg05", b"text");
        assert_eq!(sealed.len(), 4 + 16);
        assert_eq!(
            open(&key, b"PS-Msg05", &sealed).unwrap().as_slice(),
            b"text"
        );
        assert!(open(&key, b"PS-Msg06", &sealed).is_none());
        assert!(open(&Zeroizing::new([8; 32]), b"PS-Msg05", &sealed).is_none());
        sealed[0] ^= 1;
        assert!(open(&key, b"PS-Msg05", &sealed).is_none());
        assert!(open(&key, b"PS-Msg05", &[]).is_none());
    }
}
