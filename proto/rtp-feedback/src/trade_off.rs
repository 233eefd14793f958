use rtcp_types::FciFeedbackPacketType;

use crate::entries::{Entries, Entry, LEN, Place};

/// One entry of a TSTR or TSTN (RFC 5104 §4.3.2.1).
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                              SSRC                             |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |  Seq nr.      |  Reserved                           | Index   |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TradeOffEntry {
    /// In a request the media sender that shall obey; in a notification the one who asked.
    pub ssrc: u32,
    /// Number of the request; a repetition has the same.
    pub sequence: u8,
    /// 0 (best spatial quality) to 31 (highest frame rate); of larger values the lower 5 bits
    /// are written.
    pub index: u8,
}

impl Entry for TradeOffEntry {
    fn from_bytes(bytes: &[u8; LEN]) -> Self {
        let [s0, s1, s2, s3, sequence, _, _, last] = *bytes;
        Self {
            ssrc: u32::from_be_bytes([s0, s1, s2, s3]),
            sequence,
            index: last & 0x1f,
        }
    }

    fn to_bytes(self) -> [u8; LEN] {
        let [s0, s1, s2, s3] = self.ssrc.to_be_bytes();
        [s0, s1, s2, s3, self.sequence, 0, 0, self.index & 0x1f]
    }
}

/// Where TSTR stand.
#[derive(Debug)]
pub(crate) struct Requests;

/// Where TSTN stand.
#[derive(Debug)]
pub(crate) struct Notifications;

impl Place for Requests {
    const PACKET_TYPE: FciFeedbackPacketType = FciFeedbackPacketType::PAYLOAD;
    const FORMAT: u8 = 5;
}

impl Place for Notifications {
    const PACKET_TYPE: FciFeedbackPacketType = FciFeedbackPacketType::PAYLOAD;
    const FORMAT: u8 = 6;
}

pub(crate) type Tstr = Entries<TradeOffEntry, Requests>;
pub(crate) type Tstn = Entries<TradeOffEntry, Notifications>;
