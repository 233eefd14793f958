//! Who the accessory is: device ID and long-term key.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signer, SigningKey};
use zeroize::Zeroizing;

/// The device ID, which is also the accessory's pairing identifier (HAP R1 §4.5): six bytes as
/// upper-case hexadecimal digits with colons, e.g. `C8:D8:58:C6:63:F5`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeviceId(String);

/// A text is no device ID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a device ID of the form XX:XX:XX:XX:XX:XX")]
pub struct DeviceIdError;

impl DeviceId {
    /// The device ID with these bytes.
    pub fn from_bytes(bytes: [u8; 6]) -> Self {
        Self(bytes.map(|byte| format!("{byte:02X}")).join(":"))
    }

    /// A random device ID; `random` fills a slice from a secure generator.
    pub fn generate(mut random: impl FnMut(&mut [u8])) -> Self {
        let mut bytes = [0; 6];
        random(&mut bytes);
        Self::from_bytes(bytes)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DeviceId {
    type Err = DeviceIdError;

    /// Reads upper or lower case.
    fn from_str(text: &str) -> Result<Self, DeviceIdError> {
        let parts: Vec<&str> = text.split(':').collect();
        let byte = |part: &&str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
        if parts.len() != 6 || !parts.iter().all(byte) {
            return Err(DeviceIdError);
        }
        Ok(Self(text.to_ascii_uppercase()))
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Device ID and long-term secret key (LTSK) of the accessory. Both stay the same until the
/// accessory is reset.
#[derive(Clone)]
pub struct Identity {
    device_id: DeviceId,
    key: SigningKey,
}

impl Identity {
    /// An identity from its stored parts; `ltsk` is the Ed25519 seed.
    pub fn new(device_id: DeviceId, ltsk: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(ltsk);
        Self { device_id, key }
    }

    /// A new identity; `random` fills a slice from a secure generator.
    pub fn generate(mut random: impl FnMut(&mut [u8])) -> Self {
        let mut ltsk = Zeroizing::new([0; 32]);
        random(&mut *ltsk);
        Self::new(DeviceId::generate(random), &ltsk)
    }

    /// The device ID.
    pub fn device_id(&self) -> &DeviceId {
        &self.device_id
    }

    /// The Ed25519 seed, to be stored.
    pub fn ltsk(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes())
    }

    /// The long-term public key.
    pub fn ltpk(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    /// Signs `parts`, put together.
    pub(crate) fn sign(&self, parts: &[&[u8]]) -> [u8; 64] {
        let message = Zeroizing::new(parts.concat());
        self.key.sign(&message).to_bytes()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.device_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_ids_are_upper_case() {
        let id = DeviceId::from_bytes([0xC8, 0xD8, 0x58, 0xC6, 0x63, 0x05]);
        assert_eq!(id.as_str(), "C8:D8:58:C6:63:05");
        assert_eq!("c8:d8:58:c6:63:05".parse(), Ok(id));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "C8:D8:58:C6:63",
            "C8:D8:58:C6:63:F5:00",
            "C8:D8:58:C6:6:3F5",
            "G8:D8:58:C6:63:F5",
        ] {
            assert_eq!(text.parse::<DeviceId>(), Err(DeviceIdError), "{text}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let identity = Identity::new(DeviceId::from_bytes([0; 6]), &[0x33; 32]);
        assert_eq!(format!("{identity:?}"), "Identity(00:00:00:00:00:00)");
    }
}
