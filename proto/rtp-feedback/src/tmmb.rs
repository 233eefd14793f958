use rtcp_types::FciFeedbackPacketType;

use crate::entries::{Entries, Entry, LEN, Place};

/// One entry of a TMMBR or TMMBN (RFC 5104 §4.2.1.1).
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                              SSRC                             |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// | MxTBR Exp |  MxTBR Mantissa                 |Measured Overhead|
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TmmbEntry {
    /// In a request the media sender that shall obey; in a notification the owner of the limit.
    pub ssrc: u32,
    /// Total media bitrate in bit/s. On the wire rounded down to 17 significant bits; a value
    /// beyond 64 bits is read as `u64::MAX`.
    pub bitrate: u64,
    /// Overhead the requester measured, in bytes per packet, 0 to 511.
    pub overhead: u16,
}

impl Entry for TmmbEntry {
    fn from_bytes(bytes: &[u8; LEN]) -> Self {
        let [s0, s1, s2, s3, w0, w1, w2, w3] = *bytes;
        let word = u32::from_be_bytes([w0, w1, w2, w3]);
        let (exponent, mantissa) = (word >> 26, u64::from(word >> 9 & 0x1_ffff));
        Self {
            ssrc: u32::from_be_bytes([s0, s1, s2, s3]),
            bitrate: saturating_shift(mantissa, exponent),
            overhead: (word & 0x1ff) as u16,
        }
    }

    fn to_bytes(self) -> [u8; LEN] {
        let significant = 64 - self.bitrate.leading_zeros();
        let exponent = significant.saturating_sub(17);
        let mantissa = (self.bitrate >> exponent) as u32;
        let word = exponent << 26 | mantissa << 9 | u32::from(self.overhead.min(511));
        let mut out = [0; LEN];
        out[..4].copy_from_slice(&self.ssrc.to_be_bytes());
        out[4..].copy_from_slice(&word.to_be_bytes());
        out
    }
}

fn saturating_shift(mantissa: u64, exponent: u32) -> u64 {
    match mantissa {
        0 => 0,
        _ if exponent <= mantissa.leading_zeros() => mantissa << exponent,
        _ => u64::MAX,
    }
}

/// Where TMMBR stand.
#[derive(Debug)]
pub(crate) struct Requests;

/// Where TMMBN stand.
#[derive(Debug)]
pub(crate) struct Notifications;

impl Place for Requests {
    const PACKET_TYPE: FciFeedbackPacketType = FciFeedbackPacketType::TRANSPORT;
    const FORMAT: u8 = 3;
}

impl Place for Notifications {
    const PACKET_TYPE: FciFeedbackPacketType = FciFeedbackPacketType::TRANSPORT;
    const FORMAT: u8 = 4;
}

pub(crate) type Tmmbr = Entries<TmmbEntry, Requests>;
pub(crate) type Tmmbn = Entries<TmmbEntry, Notifications>;

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(bitrate: u64) -> TmmbEntry {
        TmmbEntry {
            ssrc: 0x0102_0304,
            bitrate,
            overhead: 40,
        }
    }

    #[test]
    fn exponent_mantissa_and_overhead() {
        // 299000 = 74750 * 2^2: exponent 2, mantissa 0x123fe.
        let expected = [1, 2, 3, 4, 0x0a, 0x47, 0xfc, 0x28];
        assert_eq!(entry(299_000).to_bytes(), expected);
        assert_eq!(TmmbEntry::from_bytes(&expected), entry(299_000));
    }

    #[test]
    fn bitrates_are_rounded_down_to_17_bits() {
        for (bitrate, read) in [
            (0, 0),
            (1, 1),
            (0x1_ffff, 0x1_ffff),
            (0x2_0001, 0x2_0000),
            (1 << 63, 1 << 63),
            (u64::MAX, 0x1_ffff << 47),
        ] {
            let bytes = entry(bitrate).to_bytes();
            assert_eq!(TmmbEntry::from_bytes(&bytes).bitrate, read);
        }
    }

    #[test]
    fn bitrates_beyond_64_bits_are_the_largest() {
        let largest = [0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(TmmbEntry::from_bytes(&largest).bitrate, u64::MAX);
        let zero = [0, 0, 0, 0, 0xfc, 0, 0, 0];
        assert_eq!(TmmbEntry::from_bytes(&zero).bitrate, 0);
    }
}
