//! SRP-6a, accessory side: 3072-bit group of RFC 5054, SHA-512 (HAP R1 §4.6).
//!
//! Controllers disagree on what a number with leading zero bytes looks like when it is hashed. One
//! school hashes S, A and B without leading zeros, the other one padded to 384 bytes; both pad A
//! and B for u, and A for M2. The two agree unless one of the numbers begins with a zero byte, so
//! an accessory that knows one convention only fails about one pairing in a hundred with the other
//! half of the world. M1 tells which convention the controller has: it is compared with what every
//! combination gives, and the exchange goes on with the session key that matched.
//!
//! For B there is a third school: aiohomekit hashes the bytes of B as they arrive, for u as well. An
//! accessory that sends B without its leading zeros never agrees with it, and one that sends them
//! may not with others. So the accessory draws b until B has no leading zero.
//!
//! All arithmetic on secrets is constant time; exponents are kept short (512-bit u, 256-bit b).

use std::fmt;
use std::sync::OnceLock;

use crypto_bigint::modular::{MontyForm, MontyParams};
use crypto_bigint::{NonZero, Odd, U256, U512, U3072};
use sha2::{Digest, Sha512};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::setup_code::SetupCode;

/// Bytes of a number of the group.
pub(crate) const NUMBER: usize = 384;

/// Bytes of a hash, and so of a proof and the session key.
const HASH: usize = 64;

/// The user name of Pair Setup (HAP R1 §4.7.2).
const USERNAME: &[u8] = b"Pair-Setup";

/// The generator, as the one byte that is hashed for M1.
const GENERATOR: [u8; 1] = [5];

/// How often b is drawn again for a B without a leading zero byte.
const DRAWS: usize = 16;

/// The modulus N: RFC 5054 appendix A, 3072-bit group.
const MODULUS: U3072 = U3072::from_be_hex(concat!(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74",
    "020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437",
    "4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED",
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05",
    "98DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB",
    "9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B",
    "E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF695581718",
    "3995497CEA956AE515D2261898FA051015728E5A8AAAC42DAD33170D04507A33",
    "A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7DB3970F85A6E1E4C7",
    "ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864",
    "D87602733EC86A64521F2B18177B200CBBE117577A615D6C770988C0BAD946E2",
    "08E24FA074E5AB3143DB5BFCE0FD108E4B82D120A93AD2CAFFFFFFFFFFFFFFFF",
));

type Number = MontyForm<{ U3072::LIMBS }>;
type Params = MontyParams<{ U3072::LIMBS }>;

/// Salt and verifier of the setup code: all the accessory needs to know of it.
///
/// The verifier gives the code away to anybody who tries all of them, so it is as secret.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SetupVerifier {
    salt: [u8; 16],
    verifier: Vec<u8>,
}

/// Stored bytes are no verifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an SRP verifier has {NUMBER} bytes and is between 0 and the modulus")]
pub struct SetupVerifierError;

impl SetupVerifier {
    /// Derives the verifier; `salt` should come from [`SetupVerifier::random_salt`].
    pub fn derive(code: &SetupCode, salt: [u8; 16]) -> Self {
        Self::derive_for(USERNAME, code.as_str().as_bytes(), salt)
    }

    /// A salt; `random` fills a slice from a secure generator.
    ///
    /// It never begins with a zero byte, since some controllers read it as a number and drop one.
    pub fn random_salt(mut random: impl FnMut(&mut [u8])) -> [u8; 16] {
        let mut salt = [0; 16];
        while salt[0] == 0 {
            random(&mut salt);
        }
        salt
    }

    /// A verifier from its stored parts.
    ///
    /// # Errors
    /// `verifier` does not have 384 bytes, is zero or is not below the modulus.
    pub fn from_parts(salt: [u8; 16], verifier: Vec<u8>) -> Result<Self, SetupVerifierError> {
        let parts = Self { salt, verifier };
        if parts.verifier.len() != NUMBER {
            return Err(SetupVerifierError);
        }
        let number = U3072::from_be_slice(&parts.verifier);
        let valid = number != U3072::ZERO && number < MODULUS;
        valid.then_some(parts).ok_or(SetupVerifierError)
    }

    /// The salt, to be stored.
    pub fn salt(&self) -> &[u8; 16] {
        &self.salt
    }

    /// The verifier, 384 bytes big endian, to be stored.
    pub fn verifier(&self) -> &[u8] {
        &self.verifier
    }

    /// v = g^x, x = H(s | H(I ":" P)).
    fn derive_for(username: &[u8], password: &[u8], salt: [u8; 16]) -> Self {
        let inner = Zeroizing::new(hash(&[username, b":", password]));
        let x = Zeroizing::new(U512::from_be_slice(&*Zeroizing::new(hash(&[
            &salt, &*inner,
        ]))));
        let verifier = bytes(&generator().pow(&x)).to_vec();
        Self { salt, verifier }
    }

    fn number(&self) -> Number {
        number(&U3072::from_be_slice(&self.verifier))
    }
}

impl fmt::Debug for SetupVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SetupVerifier(***)")
    }
}

/// The SRP session key K, from which Pair Setup derives its keys.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct SessionKey([u8; HASH]);

impl SessionKey {
    /// The bytes HKDF takes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What a right M1 leads to.
pub(crate) struct Agreement {
    /// K.
    pub(crate) key: SessionKey,
    /// M2.
    pub(crate) proof: [u8; HASH],
}

/// Why M1 is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A is too long or zero, or M1 has not 64 bytes.
    Malformed,
    /// The controller does not know the setup code.
    WrongProof,
}

/// The accessory between M2 and M3.
pub(crate) struct SrpServer {
    username: &'static [u8],
    salt: [u8; 16],
    verifier: SetupVerifier,
    b: Zeroizing<[u8; 32]>,
    public_key: [u8; NUMBER],
}

impl SrpServer {
    /// Draws b.
    ///
    /// One B in 256 begins with a zero byte, and controllers disagree on what to do with it. B is
    /// ours to choose, so such a b is drawn again.
    pub(crate) fn generate(verifier: &SetupVerifier, mut random: impl FnMut(&mut [u8])) -> Self {
        let mut draw = || {
            let mut b = Zeroizing::new([0; 32]);
            random(&mut *b);
            Self::new(USERNAME, verifier, &b)
        };
        let mut server = draw();
        for _ in 1..DRAWS {
            if server.public_key[0] != 0 {
                break;
            }
            server = draw();
        }
        server
    }

    /// B = k·v + g^b, k = H(N | PAD(g)).
    fn new(username: &'static [u8], verifier: &SetupVerifier, b: &[u8; 32]) -> Self {
        let exponent = Zeroizing::new(U256::from_be_slice(b));
        let public = multiplier()
            .mul(&verifier.number())
            .add(&generator().pow(&*exponent));
        Self {
            username,
            salt: verifier.salt,
            verifier: verifier.clone(),
            b: Zeroizing::new(*b),
            public_key: bytes(&public),
        }
    }

    /// B as it is sent, without leading zeros.
    pub(crate) fn public_key(&self) -> &[u8] {
        stripped(&self.public_key)
    }

    /// The salt.
    pub(crate) fn salt(&self) -> &[u8; 16] {
        &self.salt
    }

    /// Checks the controller's `proof` M1 and makes M2.
    ///
    /// # Errors
    /// As [`Refusal`] says.
    pub(crate) fn verify(&self, a: &[u8], proof: &[u8]) -> Result<Agreement, Refusal> {
        let a = padded(a).ok_or(Refusal::Malformed)?;
        let proof: &[u8; HASH] = proof.try_into().map_err(|_| Refusal::Malformed)?;
        let premaster = self.premaster(&a).ok_or(Refusal::Malformed)?;
        let key = self.matching_key(&a, &premaster, proof)?;
        let proof = hash(&[&a, proof, &key.0]);
        Ok(Agreement { key, proof })
    }

    /// S = (A·v^u)^b, u = H(PAD(A) | PAD(B)); `None` if A mod N is zero.
    fn premaster(&self, a: &[u8; NUMBER]) -> Option<Zeroizing<[u8; NUMBER]>> {
        let public = reduced(&U3072::from_be_slice(a));
        if public == U3072::ZERO {
            return None;
        }
        let u = U512::from_be_slice(&hash(&[a, &self.public_key]));
        let exponent = Zeroizing::new(U256::from_be_slice(&*self.b));
        let mut base = self.verifier.number().pow(&u).mul(&number(&public));
        let mut premaster = base.pow(&*exponent);
        let result = Zeroizing::new(bytes(&premaster));
        base.as_montgomery_mut().zeroize();
        premaster.as_montgomery_mut().zeroize();
        Some(result)
    }

    /// The session key of the convention that `proof` was made with. All conventions are tried
    /// whatever comes out, so that time tells nothing.
    fn matching_key(
        &self,
        a: &[u8; NUMBER],
        premaster: &[u8; NUMBER],
        proof: &[u8; HASH],
    ) -> Result<SessionKey, Refusal> {
        let mut key = SessionKey([0; HASH]);
        let mut matched = Choice::from(0);
        for s in [stripped(premaster), premaster] {
            let candidate = Zeroizing::new(hash(&[s]));
            for a in [stripped(a), a] {
                for b in [stripped(&self.public_key), &self.public_key] {
                    let equal = self.proof(a, b, &candidate).ct_eq(proof);
                    key.0.conditional_assign_all(&candidate, equal);
                    matched |= equal;
                }
            }
        }
        bool::from(matched)
            .then_some(key)
            .ok_or(Refusal::WrongProof)
    }

    /// M1 = H(H(N) ⊕ H(g) | H(I) | s | A | B | K).
    fn proof(&self, a: &[u8], b: &[u8], key: &[u8; HASH]) -> [u8; HASH] {
        let mut group = hash(&[&MODULUS.to_be_bytes()]);
        let generator = hash(&[&GENERATOR]);
        group.iter_mut().zip(generator).for_each(|(n, g)| *n ^= g);
        hash(&[&group, &hash(&[self.username]), &self.salt, a, b, key])
    }
}

/// Constant-time assignment of whole hashes.
trait ConditionalAssignAll {
    fn conditional_assign_all(&mut self, other: &Self, choice: Choice);
}

impl ConditionalAssignAll for [u8; HASH] {
    fn conditional_assign_all(&mut self, other: &Self, choice: Choice) {
        for (mine, theirs) in self.iter_mut().zip(other) {
            mine.conditional_assign(theirs, choice);
        }
    }
}

fn params() -> Params {
    static PARAMS: OnceLock<Params> = OnceLock::new();
    *PARAMS.get_or_init(|| {
        let modulus: Option<Odd<U3072>> = Odd::new(MODULUS).into();
        MontyParams::new_vartime(modulus.expect("the modulus is an odd constant"))
    })
}

/// k, which is the same for every accessory.
fn multiplier() -> Number {
    let mut generator = [0; NUMBER];
    generator[NUMBER - 1] = GENERATOR[0];
    let k = U512::from_be_slice(&hash(&[&MODULUS.to_be_bytes(), &generator]));
    number(&k.resize())
}

fn generator() -> Number {
    number(&U3072::from_u8(GENERATOR[0]))
}

fn number(value: &U3072) -> Number {
    MontyForm::new(value, params())
}

fn bytes(number: &Number) -> [u8; NUMBER] {
    number.retrieve().to_be_bytes()
}

fn reduced(value: &U3072) -> U3072 {
    let modulus: Option<NonZero<U3072>> = NonZero::new(MODULUS).into();
    value.rem_vartime(&modulus.expect("the modulus is a constant above zero"))
}

/// `a` with leading zeros to 384 bytes; `None` if it is longer.
fn padded(a: &[u8]) -> Option<[u8; NUMBER]> {
    let mut padded = [0; NUMBER];
    let start = NUMBER.checked_sub(a.len())?;
    padded[start..].copy_from_slice(a);
    Some(padded)
}

/// `number` without its leading zeros.
fn stripped(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|&&byte| byte == 0).count();
    &number[zeros..]
}

fn hash(parts: &[&[u8]]) -> [u8; HASH] {
    let mut hasher = Sha512::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().into()
}

#[cfg(test)]
mod tests;

/// The session key of HAP R1 §4.6.2, for the tests of what is derived from it.
#[cfg(test)]
pub(crate) fn test_key() -> SessionKey {
    tests::vector_key()
}
