/// Why input was not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input ends early.
    #[error("{actual} bytes, at least {expected} needed")]
    Truncated {
        /// Bytes that are needed.
        expected: usize,
        /// Bytes there are.
        actual: usize,
    },
    /// The version field of the RTP header is not 2.
    #[error("RTP version {version}, expected 2")]
    Version {
        /// The version found.
        version: u8,
    },
    /// The padding of an RTP packet is longer than its payload, or zero.
    #[error("{padding} bytes of padding in {available} bytes")]
    Padding {
        /// Padding the packet claims.
        padding: usize,
        /// Bytes behind the header.
        available: usize,
    },
    /// More than this crate is willing to hold.
    #[error("{actual} exceeds the limit of {limit}")]
    TooLarge {
        /// The limit.
        limit: usize,
        /// What was asked for.
        actual: usize,
    },
    /// The access unit holds no picture.
    #[error("access unit without a coded slice")]
    NoPicture,
    /// A key frame, but neither it nor the codec data brought the parameter sets.
    #[error("key frame without parameter sets")]
    NoParameterSets,
    /// The configuration record (`avcC`, `hvcC`) is not one.
    #[error("bad decoder configuration record")]
    CodecData,
    /// A packet type of RFC 6184 that `packetization-mode=1` does not have, or one of RFC 7798 that
    /// is not used.
    #[error("NAL unit type {kind} is not used in RTP here")]
    NalType {
        /// The type.
        kind: u8,
    },
    /// A fragment whose first part is missing.
    #[error("fragment without its beginning")]
    Fragment,
    /// The Opus packet breaks a rule of RFC 6716 §3.4.
    #[error("Opus packet breaks rule R{rule} of RFC 6716")]
    Opus {
        /// Number of the rule, 1 to 7.
        rule: u8,
    },
    /// The headers of AAC access units are none, empty or out of order (RFC 3640 §3.2.1).
    #[error("{bits} bits of AAC access unit headers that are not understood")]
    AuHeaders {
        /// Their length.
        bits: u16,
    },
    /// The AudioSpecificConfig is none, or not of AAC-ELD.
    #[error("no AudioSpecificConfig of AAC-ELD")]
    AudioConfig,
}

/// Fails unless `bytes` has at least `expected` bytes.
pub(crate) fn need(bytes: &[u8], expected: usize) -> Result<(), Error> {
    if bytes.len() < expected {
        return Err(Error::Truncated {
            expected,
            actual: bytes.len(),
        });
    }
    Ok(())
}
