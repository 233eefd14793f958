use hmac::{Hmac, Mac as _};
use sha1::Sha1;
use subtle::ConstantTimeEq;

use crate::TAG_LEN;

/// HMAC-SHA1 with the key's two blocks hashed once; the tag is cut to 80 bits (RFC 3711 §4.2.1).
pub(crate) struct Mac {
    keyed: Hmac<Sha1>,
}

pub(crate) const KEY_LEN: usize = 20;

impl Mac {
    pub(crate) fn new(key: &[u8; KEY_LEN]) -> Self {
        Self { keyed: keyed(key) }
    }

    /// Tag over `parts`, one after the other.
    pub(crate) fn tag(&self, parts: [&[u8]; 2]) -> [u8; TAG_LEN] {
        let mut mac = self.keyed.clone();
        parts.iter().for_each(|part| mac.update(part));
        let mut tag = [0; TAG_LEN];
        tag.copy_from_slice(&mac.finalize().into_bytes()[..TAG_LEN]);
        tag
    }

    /// Compares in constant time.
    pub(crate) fn verify(&self, parts: [&[u8]; 2], tag: &[u8]) -> bool {
        self.tag(parts).ct_eq(tag).into()
    }
}

impl Drop for Mac {
    fn drop(&mut self) {
        // `hmac` does not wipe its state, which is as good as the key: write over it, and let
        // nobody optimise that away.
        self.keyed = keyed(&[0; KEY_LEN]);
        std::hint::black_box(&self.keyed);
    }
}

fn keyed(key: &[u8; KEY_LEN]) -> Hmac<Sha1> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}
