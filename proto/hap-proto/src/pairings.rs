//! Who is paired.

/// One controller that is paired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pairing {
    /// The controller's pairing identifier, at most 36 bytes.
    pub id: String,
    /// The controller's long-term public key (Ed25519).
    pub ltpk: [u8; 32],
    /// Whether the controller may add, remove and list pairings.
    pub admin: bool,
}

/// What has to survive a restart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PairingState {
    /// The pairings, oldest first.
    pub pairings: Vec<Pairing>,
    /// Pair Setup attempts with a wrong setup code since the last right one.
    pub failed_attempts: u32,
}
