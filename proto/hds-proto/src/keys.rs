//! The keys of one data stream.

use std::fmt;

use hkdf::Hkdf;
use sha2::Sha512;
use zeroize::Zeroizing;

/// One direction's ChaCha20-Poly1305 key, wiped when dropped.
pub type Key = Zeroizing<[u8; 32]>;

/// Both keys of one data stream; wiped when dropped, never printed.
#[derive(Clone)]
pub struct SessionKeys {
    accessory_to_controller: Key,
    controller_to_accessory: Key,
}

impl SessionKeys {
    /// HKDF-SHA-512 over the shared secret of Pair Verify of the HAP connection on which the data
    /// stream was set up; the salt is the controller's followed by the accessory's.
    pub fn derive(
        shared_secret: &[u8; 32],
        controller_salt: &[u8; 32],
        accessory_salt: &[u8; 32],
    ) -> Self {
        let salt = [*controller_salt, *accessory_salt].concat();
        let kdf = Hkdf::<Sha512>::new(Some(&salt), shared_secret);
        Self {
            accessory_to_controller: expand(&kdf, "HDS-Read-Encryption-Key"),
            controller_to_accessory: expand(&kdf, "HDS-Write-Encryption-Key"),
        }
    }

    /// The key of what the accessory sends.
    pub fn accessory_to_controller(&self) -> &Key {
        &self.accessory_to_controller
    }

    /// The key of what the controller sends.
    pub fn controller_to_accessory(&self) -> &Key {
        &self.controller_to_accessory
    }
}

impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionKeys").finish_non_exhaustive()
    }
}

fn expand(kdf: &Hkdf<Sha512>, info: &str) -> Key {
    let mut key = Zeroizing::new([0; 32]);
    kdf.expand(info.as_bytes(), &mut *key)
        .expect("32 bytes are less than the 255 hashes HKDF can give");
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_key() {
        let keys = SessionKeys::derive(&[1; 32], &[2; 32], &[3; 32]);
        assert_eq!(format!("{keys:?}"), "SessionKeys { .. }");
    }
}
