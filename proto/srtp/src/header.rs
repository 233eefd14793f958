//! As much of the two headers as the transform needs.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |V=2|P|X|  CC   |M|     PT      |       sequence number         |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                           timestamp                           |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |           synchronization source (SSRC) identifier            |
//! +=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
//! |   CC contributing sources, then with X: profile | length | …  |
//! ```
use crate::Error;

/// What the transform reads from an RTP header (RFC 3550 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RtpHeader {
    pub(crate) sequence: u16,
    pub(crate) ssrc: u32,
    /// Bytes up to the payload: fixed header, contributing sources and header extension.
    pub(crate) len: usize,
}

const RTP_FIXED: usize = 12;

/// The part of an RTCP packet that stays in clear: first word and SSRC (RFC 3711 §3.4).
pub(crate) const RTCP_CLEAR: usize = 8;

impl RtpHeader {
    pub(crate) fn parse(packet: &[u8]) -> Result<Self, Error> {
        need(packet, RTP_FIXED)?;
        check_version(packet[0])?;
        Ok(Self {
            sequence: u16::from_be_bytes([packet[2], packet[3]]),
            ssrc: u32_at(packet, 8),
            len: header_len(packet)?,
        })
    }
}

/// SSRC of the first packet of a compound RTCP packet.
pub(crate) fn rtcp_ssrc(packet: &[u8]) -> Result<u32, Error> {
    need(packet, RTCP_CLEAR)?;
    check_version(packet[0])?;
    Ok(u32_at(packet, 4))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

pub(crate) fn need(packet: &[u8], expected: usize) -> Result<(), Error> {
    if packet.len() < expected {
        return Err(Error::Truncated {
            expected,
            actual: packet.len(),
        });
    }
    Ok(())
}

fn header_len(packet: &[u8]) -> Result<usize, Error> {
    let fixed = RTP_FIXED + 4 * usize::from(packet[0] & 0x0f);
    if packet[0] & 0x10 == 0 {
        need(packet, fixed)?;
        return Ok(fixed);
    }
    need(packet, fixed + 4)?;
    let words = u16::from_be_bytes([packet[fixed + 2], packet[fixed + 3]]);
    let len = fixed + 4 + 4 * usize::from(words);
    need(packet, len)?;
    Ok(len)
}

fn check_version(first: u8) -> Result<(), Error> {
    match first >> 6 {
        2 => Ok(()),
        version => Err(Error::Version { version }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::hex;

    #[test]
    fn contributing_sources_and_extension_belong_to_the_header() {
        let packet = hex("91e0123400000000deadbeef cccccccc bede0001 10aa0000 0102");
        let header = RtpHeader::parse(&packet).unwrap();
        let expected = RtpHeader {
            sequence: 0x1234,
            ssrc: 0xdeadbeef,
            len: 24,
        };
        assert_eq!(header, expected);
        for len in 0..24 {
            let error = RtpHeader::parse(&packet[..len]).unwrap_err();
            assert!(matches!(error, Error::Truncated { actual, .. } if actual == len));
        }
    }

    #[test]
    fn other_versions_are_refused() {
        let mut packet = [0; 12];
        packet[0] = 0x40;
        assert_eq!(
            RtpHeader::parse(&packet),
            Err(Error::Version { version: 1 })
        );
        assert_eq!(rtcp_ssrc(&packet), Err(Error::Version { version: 1 }));
    }
}
