/// Why a packet was not protected or not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The packet ends before its header, or before its authentication tag.
    #[error("packet of {actual} bytes, at least {expected} needed")]
    Truncated {
        /// Bytes that are needed.
        expected: usize,
        /// Bytes there are.
        actual: usize,
    },
    /// The version field is not 2.
    #[error("RTP version {version}, expected 2")]
    Version {
        /// The version found.
        version: u8,
    },
    /// The buffer has no room for the authentication tag (API misuse).
    #[error("buffer of {available} bytes, {needed} needed")]
    NoRoom {
        /// Bytes that are needed.
        needed: usize,
        /// Bytes the buffer has.
        available: usize,
    },
    /// The tag does not fit the packet: forged, damaged, or protected with another key.
    #[error("authentication failed")]
    Authentication,
    /// The packet was accepted before, or is older than the replay window.
    #[error("index {index} of SSRC {ssrc:#010x} replayed or too old")]
    Replayed {
        /// Source of the packet.
        ssrc: u32,
        /// Packet index: ROC and sequence number, or the SRTCP index.
        index: u64,
    },
    /// The sender was given a sequence number that is not newer than its last (API misuse): the
    /// key stream would be used twice.
    #[error("sequence number {sequence} of SSRC {ssrc:#010x} was used already")]
    SequenceReused {
        /// Source of the packet.
        ssrc: u32,
        /// The sequence number.
        sequence: u16,
    },
    /// All indices of this key are used (RFC 3711 §9.2).
    #[error("key exhausted for SSRC {ssrc:#010x}")]
    KeyExhausted {
        /// Source of the packet.
        ssrc: u32,
    },
    /// State for [`MAX_SOURCES`](crate::MAX_SOURCES) sources is kept already.
    #[error("more than {limit} sources")]
    TooManySources {
        /// The limit.
        limit: usize,
    },
}

/// Why bytes are not a master key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The key has not the length of the suite.
    #[error("master key of {actual} bytes, {expected} expected")]
    KeyLength {
        /// Length the suite asks for.
        expected: usize,
        /// Length given.
        actual: usize,
    },
    /// The salt is not 14 bytes long.
    #[error("master salt of {actual} bytes, {expected} expected")]
    SaltLength {
        /// Length the suite asks for.
        expected: usize,
        /// Length given.
        actual: usize,
    },
}
