//! An encrypted session and what leads to one.

use crate::crypto::{Key, hkdf};
use crate::record::{Opener, Sealer};
use crate::srp::SessionKey;

/// Who is at the other end.
pub(crate) enum Peer {
    /// A controller that Pair Verify has identified.
    Controller {
        /// Its pairing identifier.
        id: String,
        /// The shared secret of Pair Verify.
        shared_secret: Key,
    },
    /// Somebody who knows the setup code, after a transient Pair Setup.
    Transient,
}

/// The encrypted part of a connection's life.
pub(crate) struct Session {
    /// Encrypts what the accessory sends.
    pub(crate) sealer: Sealer,
    /// Decrypts what the controller sends.
    pub(crate) opener: Opener,
    /// Who is at the other end.
    pub(crate) peer: Peer,
}

impl Session {
    /// The session after Pair Verify (HAP R1 §5.5.2).
    pub(crate) fn verified(id: String, shared_secret: Key) -> Self {
        let key = |info| hkdf(&*shared_secret, "Control-Salt", info);
        Self {
            sealer: Sealer::new(&key("Control-Read-Encryption-Key")),
            opener: Opener::new(&key("Control-Write-Encryption-Key")),
            peer: Peer::Controller { id, shared_secret },
        }
    }

    /// The session after a transient Pair Setup; the names of its keys are from HomeKitADK.
    pub(crate) fn transient(key: &SessionKey) -> Self {
        let (accessory, controller) = split_keys(key);
        Self {
            sealer: Sealer::new(&accessory),
            opener: Opener::new(&controller),
            peer: Peer::Transient,
        }
    }
}

/// Keys from accessory to controller and back.
fn split_keys(key: &SessionKey) -> (Key, Key) {
    let key = |info| hkdf(key.as_bytes(), "SplitSetupSalt", info);
    (
        key("AccessoryEncrypt-Control"),
        key("ControllerEncrypt-Control"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srp::test_key;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// From the session key of HAP R1 §4.6.2.
    #[test]
    fn split_setup_keys() {
        let (accessory, controller) = split_keys(&test_key());
        assert_eq!(
            (hex(&*accessory).as_str(), hex(&*controller).as_str()),
            (
                "a888e17b6a1a8f185cc57fb6a0527a244f564268920659d6fa290735d64bf5ad",
                "1f88cdf7404cebf83ff4b7b9afb68fcdb4a4481baafa0782d2aeb7df2fa67a2e"
            )
        );
    }
}
