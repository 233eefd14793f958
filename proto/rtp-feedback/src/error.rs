/// Why a packet was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A length field and the packet do not fit.
    #[error("RTCP packet of {actual} bytes, {expected} expected")]
    Truncated {
        /// Bytes that are needed.
        expected: usize,
        /// Bytes there are.
        actual: usize,
    },
    /// Longer than [`MAX_COMPOUND`](crate::MAX_COMPOUND).
    #[error("RTCP packet of {actual} bytes, at most {limit} are read")]
    TooLarge {
        /// The limit.
        limit: usize,
        /// Bytes there are.
        actual: usize,
    },
    /// The version field is not 2.
    #[error("RTCP version {version}, expected 2")]
    Version {
        /// The version found.
        version: u8,
    },
    /// It comes from another source than the peer's.
    #[error("RTCP from SSRC {actual:#010x}, {expected:#010x} expected")]
    Source {
        /// The peer's SSRC.
        expected: u32,
        /// The packet's SSRC.
        actual: u32,
    },
}
