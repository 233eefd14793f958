//! What a QR code and mDNS carry for setup: setup ID, setup payload and setup hash.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use sha2::{Digest, Sha512};

use crate::identity::DeviceId;
use crate::setup_code::SetupCode;
use crate::value::BASE64;

const ALPHABET: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// The payload's bit that says "works over IP".
const IP: u64 = 1 << 28;
/// The payload's bit that says "paired already".
const PAIRED: u64 = 1 << 27;

/// The setup ID: four of `0-9A-Z`, which let a controller recognise the accessory whose QR code it
/// has read. It must stay the same until the accessory is reset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupId(String);

/// A text is no setup ID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a setup ID has four characters of 0-9 and A-Z")]
pub struct SetupIdError;

impl SetupId {
    /// A random setup ID; `random` fills a slice from a secure generator.
    pub fn generate(mut random: impl FnMut(&mut [u8])) -> Self {
        let mut text = String::new();
        while text.len() < 4 {
            let mut byte = [0];
            random(&mut byte);
            // Six bits, of which 36 values are used: every character is as likely.
            if let Some(&character) = ALPHABET.get(usize::from(byte[0] >> 2)) {
                text.push(char::from(character));
            }
        }
        Self(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SetupId {
    type Err = SetupIdError;

    fn from_str(text: &str) -> Result<Self, SetupIdError> {
        let valid = text.len() == 4 && text.bytes().all(|byte| ALPHABET.contains(&byte));
        valid.then(|| Self(text.to_owned())).ok_or(SetupIdError)
    }
}

impl fmt::Display for SetupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The setup payload `X-HM://…`, the text of the QR code, for an accessory that pairs over IP.
///
/// ```text
/// bits 45-43 version 0 · 42-39 reserved · 38-31 category · 30 reserved · 29 BLE · 28 IP
///      27 paired · 26-0 setup code as one number            -> 9 characters in base 36, then the setup ID
/// ```
pub fn setup_payload(code: &SetupCode, id: &SetupId, category: u8, paired: bool) -> String {
    let flags = IP | if paired { PAIRED } else { 0 };
    let mut bits = (u64::from(category) << 31) | flags | u64::from(code.digits());
    let mut digits = [b'0'; 9];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(bits % 36) as usize];
        bits /= 36;
    }
    let digits: String = digits.into_iter().map(char::from).collect();
    format!("X-HM://{digits}{id}")
}

/// The setup hash: the first four bytes of SHA-512 over setup ID and device ID.
pub fn setup_hash(id: &SetupId, device: &DeviceId) -> [u8; 4] {
    let digest = Sha512::new()
        .chain_update(id.as_str())
        .chain_update(device.as_str())
        .finalize();
    [digest[0], digest[1], digest[2], digest[3]]
}

/// The setup hash as mDNS carries it under `sh`: base64.
pub fn setup_hash_text(id: &SetupId, device: &DeviceId) -> String {
    BASE64.encode(setup_hash(id, device))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(category: u8) -> String {
        let code = "518-08-582".parse().unwrap();
        setup_payload(&code, &"7OSX".parse().unwrap(), category, false)
    }

    /// Category 7 is the vector of HomeKitADK (HAPAccessorySetupGetSetupPayloadTest).
    #[test]
    fn payload_vectors() {
        assert_eq!(payload(7), "X-HM://0071WK4SM7OSX");
        assert_eq!(payload(17), "X-HM://00GX24EO67OSX");
        assert_eq!(payload(18), "X-HM://00HWKOFNQ7OSX");
    }

    #[test]
    fn paired_sets_bit_27() {
        let code = "518-08-582".parse().unwrap();
        let payload = setup_payload(&code, &"7OSX".parse().unwrap(), 7, true);
        let bits = u64::from_str_radix(&payload[7..16], 36).unwrap();
        assert_eq!(bits, (7 << 31) | (1 << 28) | (1 << 27) | 51_808_582);
    }

    /// Vectors of HomeKitADK (HAPAccessorySetupGetSetupHashTest).
    #[test]
    fn hash_vectors() {
        let id: SetupId = "7OSX".parse().unwrap();
        let first: DeviceId = "E1:91:1A:70:85:AA".parse().unwrap();
        let second: DeviceId = "C8:D8:58:C6:63:F5".parse().unwrap();
        assert_eq!(setup_hash(&id, &first), [0xc9, 0xfe, 0x1b, 0xcf]);
        assert_eq!(setup_hash_text(&id, &first), "yf4bzw==");
        assert_eq!(setup_hash(&id, &second), [0xef, 0x5d, 0x8e, 0x9b]);
        assert_eq!(setup_hash_text(&id, &second), "712Omw==");
    }

    #[test]
    fn setup_ids_have_four_characters() {
        for text in ["", "7OS", "7OSXX", "7osx", "7OS-"] {
            assert_eq!(text.parse::<SetupId>(), Err(SetupIdError), "{text}");
        }
        let mut next = 0u8;
        let id = SetupId::generate(|out| {
            out[0] = next;
            next = next.wrapping_add(0x8D);
        });
        assert_eq!(id.as_str().parse(), Ok(id));
    }
}
