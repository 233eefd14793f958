//! The controller's half of SRP-6a, in both conventions for numbers with leading zero bytes.
//!
//! Shares no code with the accessory's half.

#![allow(dead_code, reason = "each test uses another part of it")]
#![allow(unreachable_pub, reason = "included by the crate's own tests as well")]

use std::sync::Mutex;

use crypto_bigint::modular::{MontyForm, MontyParams};
use crypto_bigint::{Odd, U256, U512, U3072};
use sha2::{Digest, Sha512};

const N: &str = "\
FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74\
020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437\
4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05\
98DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB\
9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B\
E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF695581718\
3995497CEA956AE515D2261898FA051015728E5A8AAAC42DAD33170D04507A33\
A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7DB3970F85A6E1E4C7\
ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864\
D87602733EC86A64521F2B18177B200CBBE117577A615D6C770988C0BAD946E2\
08E24FA074E5AB3143DB5BFCE0FD108E4B82D120A93AD2CAFFFFFFFFFFFFFFFF";

/// How a controller hashes S, A and B.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Convention {
    /// Without leading zeros, as HomeKitADK does; A is sent that way, too.
    Stripped,
    /// With leading zeros to 384 bytes, as aiohomekit and HAP-NodeJS do.
    Padded,
}

impl Convention {
    pub fn encode(self, number: &[u8; 384]) -> Vec<u8> {
        match self {
            Convention::Padded => number.to_vec(),
            Convention::Stripped => {
                let start = number.iter().position(|&byte| byte != 0).unwrap_or(384);
                number[start..].to_vec()
            }
        }
    }
}

/// The controller before M2.
pub struct SrpController {
    a: U256,
    public: [u8; 384],
    convention: Convention,
}

/// What the controller knows after M2.
pub struct Proofs {
    pub premaster: [u8; 384],
    pub key: [u8; 64],
    pub m1: [u8; 64],
    pub m2: [u8; 64],
}

type Number = MontyForm<{ U3072::LIMBS }>;

fn number(bytes: &[u8]) -> Number {
    let n: Option<Odd<U3072>> = Odd::new(U3072::from_be_hex(N)).into();
    let mut padded = [0; 384];
    padded[384 - bytes.len()..].copy_from_slice(bytes);
    MontyForm::new(
        &U3072::from_be_slice(&padded),
        MontyParams::new_vartime(n.unwrap()),
    )
}

fn bytes(number: &Number) -> [u8; 384] {
    let words = number.retrieve().to_words();
    let bytes: Vec<u8> = words
        .iter()
        .rev()
        .flat_map(|word| word.to_be_bytes())
        .collect();
    bytes.try_into().unwrap()
}

/// g^x, which stays the same as long as salt and password do.
fn power_of_g(x: &U512) -> Number {
    static LAST: Mutex<Option<(U512, Number)>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap();
    match *last {
        Some((known, power)) if known == *x => power,
        _ => last.insert((*x, number(&[5]).pow(x))).1,
    }
}

fn hash(parts: &[&[u8]]) -> [u8; 64] {
    Sha512::digest(parts.concat()).into()
}

impl SrpController {
    pub fn new(a: &[u8; 32], convention: Convention) -> Self {
        let a = U256::from_be_slice(a);
        let public = bytes(&number(&[5]).pow(&a));
        Self {
            a,
            public,
            convention,
        }
    }

    /// A, padded.
    pub fn public(&self) -> &[u8; 384] {
        &self.public
    }

    /// A as this controller sends it.
    pub fn sent(&self) -> Vec<u8> {
        self.convention.encode(&self.public)
    }

    /// S = (B − k·g^x)^(a + u·x).
    pub fn respond(&self, username: &[u8], password: &[u8], salt: &[u8], b: &[u8]) -> Proofs {
        let b: [u8; 384] = bytes(&number(b));
        let modulus = hex(N);
        let mut padded_g = [0; 384];
        padded_g[383] = 5;
        let k = number(&hash(&[&modulus, &padded_g]));
        let inner = hash(&[username, b":", password]);
        let x = U512::from_be_slice(&hash(&[salt, &inner]));
        let u = U512::from_be_slice(&hash(&[&self.public, &b]));
        let base = number(&b).sub(&k.mul(&power_of_g(&x)));
        let premaster = bytes(&base.pow(&self.a).mul(&base.pow(&u).pow(&x)));
        let key = hash(&[&self.convention.encode(&premaster)]);
        let mut group = hash(&[&modulus]);
        group
            .iter_mut()
            .zip(hash(&[&[5]]))
            .for_each(|(n, g)| *n ^= g);
        let a_hashed = self.convention.encode(&self.public);
        let b_hashed = self.convention.encode(&b);
        let user = hash(&[username]);
        let m1 = hash(&[&group, &user, salt, &a_hashed, &b_hashed, &key]);
        let m2 = hash(&[&self.public, &m1, &key]);
        Proofs {
            premaster,
            key,
            m1,
            m2,
        }
    }
}

pub fn hex(text: &str) -> Vec<u8> {
    let digit = |c: u8| char::from(c).to_digit(16).unwrap() as u8;
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}
