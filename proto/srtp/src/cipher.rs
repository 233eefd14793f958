use aes::cipher::{BlockEncrypt, BlockSizeUser, InnerIvInit, KeyInit, StreamCipher};
use aes::cipher::{StreamCipherCoreWrapper, consts::U16};
use aes::{Aes128, Aes256};
use ctr::{CtrCore, flavors::Ctr32BE};

/// AES with an expanded key; the expansion is wiped on drop by `aes` itself.
#[expect(
    clippy::large_enum_variant,
    reason = "a few per stream, used for every packet: 256 bytes are cheaper than a pointer"
)]
pub(crate) enum Cipher {
    Aes128(Aes128),
    Aes256(Aes256),
}

impl Cipher {
    /// Expands a key of 16 or 32 bytes.
    pub(crate) fn new(key: &[u8]) -> Self {
        match key.len() {
            16 => Self::Aes128(Aes128::new(key.into())),
            32 => Self::Aes256(Aes256::new(key.into())),
            _ => unreachable!("MasterKey and the key derivation know 16 and 32 bytes only"),
        }
    }

    /// Adds the key stream of `iv` to `data` (RFC 3711 §4.1.1).
    pub(crate) fn apply(&self, iv: u128, data: &mut [u8]) {
        match self {
            Self::Aes128(aes) => counter_mode(aes, iv, data),
            Self::Aes256(aes) => counter_mode(aes, iv, data),
        }
    }
}

/// Counter mode over an AES key that is already expanded.
///
/// The block counter is the lowest 16 bits of `iv`, zero at the start, so a 32-bit counter never
/// carries within a packet.
fn counter_mode<A>(aes: &A, iv: u128, data: &mut [u8])
where
    A: BlockEncrypt + BlockSizeUser<BlockSize = U16> + aes::cipher::BlockCipher,
{
    let core = CtrCore::<&A, Ctr32BE>::inner_iv_init(aes, &iv.to_be_bytes().into());
    StreamCipherCoreWrapper::from_core(core).apply_keystream(data);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::{block, hex};

    /// RFC 3711 §B.2 and RFC 6188 §7.1 use the same counters.
    const OFFSET: u128 = 0xf0f1f2f3f4f5f6f7f8f9fafbfcfd0000;

    #[test]
    fn aes_128_key_stream_is_that_of_rfc_3711() {
        let stream = key_stream(&hex("2b7e151628aed2a6abf7158809cf4f3c"));
        assert_eq!(block(&stream, 0), "e03ead0935c95e80e166b16dd92b4eb4");
        assert_eq!(block(&stream, 1), "d23513162b02d0f72a43a2fe4a5f97ab");
        assert_eq!(block(&stream, 2), "41e95b3bb0a2e8dd477901e4fca894c0");
        assert_eq!(block(&stream, 0xfeff), "ec8cdf7398607cb0f2d21675ea9ea1e4");
        assert_eq!(block(&stream, 0xff00), "362b7c3c6773516318a077d7fc5073ae");
        assert_eq!(block(&stream, 0xff01), "6a2cc3787889374fbeb4c81b17ba6c44");
    }

    #[test]
    fn aes_256_key_stream_is_that_of_rfc_6188() {
        let stream = key_stream(&hex(
            "57f82fe3613fd170a85ec93c40b1f0922ec4cb0dc025b58272147cc438944a98",
        ));
        assert_eq!(block(&stream, 0), "92bdd28a93c3f52511c677d08b5515a4");
        assert_eq!(block(&stream, 1), "9da71b2378a854f67050756ded165bac");
        assert_eq!(block(&stream, 2), "63c4868b7096d88421b563b8c94c9a31");
        assert_eq!(block(&stream, 0xfeff), "cea518c90fd91ced9cbb18c078a54711");
        assert_eq!(block(&stream, 0xff00), "3dbc4814f4da5f00a08772b63c6a046d");
        assert_eq!(block(&stream, 0xff01), "6eb246913062a16891433e97dd01a57f");
    }

    fn key_stream(key: &[u8]) -> Vec<u8> {
        let mut stream = vec![0; 65282 * 16];
        Cipher::new(key).apply(OFFSET, &mut stream);
        stream
    }
}
