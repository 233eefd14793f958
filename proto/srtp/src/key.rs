use std::fmt;

use zeroize::Zeroizing;

use crate::KeyError;

/// Crypto suite: AES in counter mode with HMAC-SHA1 and an 80-bit tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Suite {
    /// `AES_CM_128_HMAC_SHA1_80` (RFC 3711).
    #[default]
    AesCm128HmacSha1_80,
    /// `AES_256_CM_HMAC_SHA1_80` (RFC 6188).
    AesCm256HmacSha1_80,
}

impl Suite {
    /// Length of the master key in bytes: 16 or 32.
    pub const fn key_len(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 => 16,
            Self::AesCm256HmacSha1_80 => 32,
        }
    }

    /// Length of the master salt in bytes: 14.
    pub const fn salt_len(self) -> usize {
        SALT_LEN
    }
}

pub(crate) const SALT_LEN: usize = 14;

/// Master key and master salt of one direction; wiped on drop, never printed.
#[derive(Clone)]
pub struct MasterKey {
    suite: Suite,
    key: Zeroizing<[u8; 32]>,
    salt: Zeroizing<[u8; SALT_LEN]>,
}

impl MasterKey {
    /// Takes a master key of 16 or 32 bytes (by `suite`) and a master salt of 14 bytes.
    ///
    /// # Errors
    /// [`KeyError`] if a length does not fit the suite.
    pub fn new(suite: Suite, key: &[u8], salt: &[u8]) -> Result<Self, KeyError> {
        check_lengths(suite, key.len(), salt.len())?;
        let mut this = Self {
            suite,
            key: Zeroizing::default(),
            salt: Zeroizing::default(),
        };
        this.key[..key.len()].copy_from_slice(key);
        this.salt.copy_from_slice(salt);
        Ok(this)
    }

    /// Takes key and salt in one string of 30 or 46 bytes, as SDP and GStreamer write them.
    ///
    /// # Errors
    /// [`KeyError`] if the length does not fit the suite.
    pub fn from_key_and_salt(suite: Suite, bytes: &[u8]) -> Result<Self, KeyError> {
        let (key, salt) = bytes.split_at(suite.key_len().min(bytes.len()));
        Self::new(suite, key, salt)
    }

    /// The suite this key is for.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    pub(crate) fn key(&self) -> &[u8] {
        &self.key[..self.suite.key_len()]
    }

    pub(crate) fn salt(&self) -> &[u8; SALT_LEN] {
        &self.salt
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey")
            .field("suite", &self.suite)
            .finish_non_exhaustive()
    }
}

fn check_lengths(suite: Suite, key: usize, salt: usize) -> Result<(), KeyError> {
    if key != suite.key_len() {
        return Err(KeyError::KeyLength {
            expected: suite.key_len(),
            actual: key,
        });
    }
    if salt != SALT_LEN {
        return Err(KeyError::SaltLength {
            expected: SALT_LEN,
            actual: salt,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_must_fit_the_suite() {
        let short_key = MasterKey::new(Suite::AesCm256HmacSha1_80, &[0; 16], &[0; 14]);
        assert_eq!(
            short_key.unwrap_err(),
            KeyError::KeyLength {
                expected: 32,
                actual: 16
            }
        );
        let long_salt = MasterKey::new(Suite::AesCm128HmacSha1_80, &[0; 16], &[0; 15]);
        assert_eq!(
            long_salt.unwrap_err(),
            KeyError::SaltLength {
                expected: 14,
                actual: 15
            }
        );
    }

    #[test]
    fn joined_key_and_salt_are_split_by_suite() {
        let joined: Vec<u8> = (0..30).collect();
        let key = MasterKey::from_key_and_salt(Suite::AesCm128HmacSha1_80, &joined).unwrap();
        assert_eq!(key.key(), &joined[..16]);
        assert_eq!(key.salt(), &joined[16..]);
        for len in [0, 15, 16, 29, 31, 46] {
            let bytes = vec![0; len];
            assert!(MasterKey::from_key_and_salt(Suite::AesCm128HmacSha1_80, &bytes).is_err());
        }
        assert!(MasterKey::from_key_and_salt(Suite::AesCm256HmacSha1_80, &[0; 46]).is_ok());
    }

    #[test]
    fn debug_prints_no_key() {
        let key = MasterKey::new(Suite::AesCm128HmacSha1_80, &[0xab; 16], &[0xcd; 14]).unwrap();
        let text = format!("{key:?}");
        assert_eq!(text, "MasterKey { suite: AesCm128HmacSha1_80, .. }");
    }
}
