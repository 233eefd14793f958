use zeroize::Zeroizing;

use crate::MasterKey;
use crate::cipher::Cipher;

/// Labels of RFC 3711 §4.3.1: what a session key is for.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub(crate) enum Label {
    RtpEncryption = 0,
    RtpAuthentication = 1,
    RtpSalt = 2,
    RtcpEncryption = 3,
    RtcpAuthentication = 4,
    RtcpSalt = 5,
}

/// Derives `out.len()` bytes of session key with a key derivation rate of 0 (RFC 3711 §4.3.3; with
/// AES-256 RFC 6188 §3).
pub(crate) fn derive(master: &MasterKey, label: Label, out: &mut [u8]) {
    let mut salt = Zeroizing::new([0; 16]);
    salt[..14].copy_from_slice(master.salt());
    salt[7] ^= label as u8;
    out.fill(0);
    Cipher::new(master.key()).apply(u128::from_be_bytes(*salt), out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Suite;
    use crate::vectors::{hex, to_hex};

    fn derived(master: &MasterKey, label: Label, len: usize) -> String {
        let mut out = vec![0; len];
        derive(master, label, &mut out);
        to_hex(&out)
    }

    #[test]
    fn keys_of_rfc_3711_b3() {
        let master = crate::vectors::master_128();
        let key = derived(&master, Label::RtpEncryption, 16);
        assert_eq!(key, "c61e7a93744f39ee10734afe3ff7a087");
        let salt = derived(&master, Label::RtpSalt, 14);
        assert_eq!(salt, "30cbbc08863d8c85d49db34a9ae1");
        let auth = derived(&master, Label::RtpAuthentication, 94);
        assert_eq!(
            auth,
            "cebe321f6ff7716b6fd4ab49af256a156d38baa48f0a0acf3c34e2359e6cdbcee049646c43d9327ad1\
             75578ef72270986371c10c9a369ac2f94a8c5fbcdddc256d6e919a48b610ef17c2041e474035766b68\
             642c59bbfc2f34db60dbdfb2"
        );
    }

    #[test]
    fn rtcp_keys_of_the_same_master_key() {
        let master = crate::vectors::master_128();
        let key = derived(&master, Label::RtcpEncryption, 16);
        assert_eq!(key, "4c1aa45a81f73d61c800bbb00fbb1eaa");
        let auth = derived(&master, Label::RtcpAuthentication, 20);
        assert_eq!(auth, "8d54534feb49ae8e7993a6bd0b844fc323a93dfd");
        let salt = derived(&master, Label::RtcpSalt, 14);
        assert_eq!(salt, "9581c7ad87b3e530bf3e4454a8b3");
    }

    #[test]
    fn keys_of_rfc_6188_7_4() {
        let master = MasterKey::new(
            Suite::AesCm256HmacSha1_80,
            &hex("f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6"),
            &hex("3b04803de51ee7c96423ab5b78d2"),
        )
        .unwrap();
        let key = derived(&master, Label::RtpEncryption, 32);
        assert_eq!(
            key,
            "5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4"
        );
        let salt = derived(&master, Label::RtpSalt, 14);
        assert_eq!(salt, "fa31791685ca444a9e07c6c64e93");
        let auth = derived(&master, Label::RtpAuthentication, 20);
        assert_eq!(auth, "fd9c32d39ed5fbb5a9dc96b30818454d1313dc05");
    }
}
