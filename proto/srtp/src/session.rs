use zeroize::{Zeroize, Zeroizing};

use crate::cipher::Cipher;
use crate::kdf::{Label, derive};
use crate::key::SALT_LEN;
use crate::mac::{self, Mac};
use crate::{MasterKey, Suite};

/// Session keys of one direction and one protocol (RTP or RTCP).
pub(crate) struct Session {
    cipher: Cipher,
    pub(crate) mac: Mac,
    /// Session salt, shifted left by 16 bits as the initial vector wants it.
    salt: u128,
}

impl Session {
    pub(crate) fn rtp(master: &MasterKey) -> Self {
        use Label::{RtpAuthentication, RtpEncryption, RtpSalt};
        Self::new(master, RtpEncryption, RtpAuthentication, RtpSalt)
    }

    pub(crate) fn rtcp(master: &MasterKey) -> Self {
        use Label::{RtcpAuthentication, RtcpEncryption, RtcpSalt};
        Self::new(master, RtcpEncryption, RtcpAuthentication, RtcpSalt)
    }

    fn new(master: &MasterKey, encryption: Label, authentication: Label, salt: Label) -> Self {
        Self {
            cipher: cipher(master, encryption),
            mac: authenticator(master, authentication),
            salt: session_salt(master, salt),
        }
    }

    /// Encrypts or decrypts the part of a packet that is confidential.
    pub(crate) fn crypt(&self, ssrc: u32, index: u64, data: &mut [u8]) {
        self.cipher.apply(self.iv(ssrc, index), data);
    }

    /// `IV = (k_s * 2^16) XOR (SSRC * 2^64) XOR (i * 2^16)` (RFC 3711 §4.1.1).
    fn iv(&self, ssrc: u32, index: u64) -> u128 {
        self.salt ^ (u128::from(ssrc) << 64) ^ (u128::from(index) << 16)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.salt.zeroize();
    }
}

fn cipher(master: &MasterKey, label: Label) -> Cipher {
    let mut key = Zeroizing::new([0; 32]);
    let key = &mut key[..Suite::key_len(master.suite())];
    derive(master, label, key);
    Cipher::new(key)
}

fn authenticator(master: &MasterKey, label: Label) -> Mac {
    let mut key = Zeroizing::new([0; mac::KEY_LEN]);
    derive(master, label, &mut *key);
    Mac::new(&key)
}

fn session_salt(master: &MasterKey, label: Label) -> u128 {
    let mut salt = Zeroizing::new([0; 16]);
    derive(master, label, &mut salt[..SALT_LEN]);
    u128::from_be_bytes(*salt)
}
