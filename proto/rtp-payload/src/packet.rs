//! The RTP packet (RFC 3550 §5.1).
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
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
use crate::error::need;
use crate::{Error, Extension, Extensions};

/// Length of the fixed header: no contributing sources, no extension.
pub const HEADER_LEN: usize = 12;

/// The fields of an RTP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Marker bit: last packet of an access unit.
    pub marker: bool,
    /// Payload type, 7 bits.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp in units of the media clock.
    pub timestamp: u32,
    /// Source of the packet.
    pub ssrc: u32,
}

impl Header {
    /// The header as it goes on the wire: version 2, no padding, no extension.
    pub fn to_bytes(self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        out[0] = 0x80;
        out[1] = u8::from(self.marker) << 7 | self.payload_type & 0x7f;
        out[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        out[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        out[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        out
    }

    /// Appends the header as it goes on the wire, with an extension where there is one.
    pub fn write_to(self, extension: Option<&Extension>, out: &mut Vec<u8>) {
        let mut fixed = self.to_bytes();
        fixed[0] |= u8::from(extension.is_some()) << 4;
        out.extend(fixed);
        if let Some(extension) = extension {
            extension.write_to(out);
        }
    }

    fn from_bytes(bytes: &[u8; HEADER_LEN]) -> Self {
        let [_, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3] = *bytes;
        Self {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7f,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([c0, c1, c2, c3]),
        }
    }
}

/// An RTP packet that was received, decrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Its fixed header.
    pub header: Header,
    /// Its payload, without contributing sources, header extension and padding.
    pub payload: &'a [u8],
    /// Its header extension; empty if there is none.
    pub extensions: Extensions<'a>,
}

impl<'a> Packet<'a> {
    /// A packet without extension.
    pub fn new(header: Header, payload: &'a [u8]) -> Self {
        Self {
            header,
            payload,
            extensions: Extensions::default(),
        }
    }

    /// The element of the header extension with this id (RFC 8285).
    pub fn extension(&self, id: u8) -> Option<&'a [u8]> {
        self.extensions.find(id)
    }

    /// Reads a packet.
    ///
    /// # Errors
    /// [`Error::Truncated`], [`Error::Version`] or [`Error::Padding`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let Some((fixed, _)) = bytes.split_first_chunk::<HEADER_LEN>() else {
            return Err(Error::Truncated {
                expected: HEADER_LEN,
                actual: bytes.len(),
            });
        };
        let version = fixed[0] >> 6;
        if version != 2 {
            return Err(Error::Version { version });
        }
        let (start, extensions) = payload_start(bytes)?;
        let end = bytes.len() - padding(fixed[0], &bytes[start..])?;
        Ok(Self {
            header: Header::from_bytes(fixed),
            payload: &bytes[start..end],
            extensions,
        })
    }
}

/// Where the payload begins, and the extension before it.
fn payload_start(bytes: &[u8]) -> Result<(usize, Extensions<'_>), Error> {
    let sources = HEADER_LEN + 4 * usize::from(bytes[0] & 0x0f);
    need(bytes, sources)?;
    if bytes[0] & 0x10 == 0 {
        return Ok((sources, Extensions::default()));
    }
    let begin = sources + 4;
    need(bytes, begin)?;
    let word = |at| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let start = begin + 4 * usize::from(word(sources + 2));
    need(bytes, start)?;
    let extensions = Extensions::new(word(sources), &bytes[begin..start]);
    Ok((start, extensions))
}

fn padding(first: u8, rest: &[u8]) -> Result<usize, Error> {
    if first & 0x20 == 0 {
        return Ok(0);
    }
    let padding = rest.last().copied().unwrap_or(0).into();
    if padding == 0 || padding > rest.len() {
        return Err(Error::Padding {
            padding,
            available: rest.len(),
        });
    }
    Ok(padding)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header {
        marker: true,
        payload_type: 99,
        sequence: 0x0102,
        timestamp: 0x03040506,
        ssrc: 0x0708090a,
    };

    #[test]
    fn header_bytes() {
        let expected = [0x80, 0xe3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
        assert_eq!(HEADER.to_bytes(), expected);
        let packet = Packet::parse(&expected).unwrap();
        assert_eq!(packet.header, HEADER);
        assert_eq!(packet.payload, b"");
    }

    #[test]
    fn sources_extension_and_padding_are_no_payload() {
        let mut bytes = HEADER.to_bytes().to_vec();
        bytes[0] = 0xb1;
        bytes.extend([0xcc; 4]);
        bytes.extend([0xbe, 0xde, 0, 1, 1, 2, 3, 4]);
        bytes.extend(b"payload");
        bytes.extend([0, 0, 3]);
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!(packet.payload, b"payload");
        assert_eq!(packet.extension(0), None);
    }

    #[test]
    fn a_header_with_extension() {
        let extension = Extension::new(3, &[5]).unwrap();
        let mut bytes = Vec::new();
        HEADER.write_to(Some(&extension), &mut bytes);
        bytes.extend(b"payload");
        assert_eq!(bytes[..2], [0x90, 0xe3]);
        assert_eq!(bytes[12..20], [0xbe, 0xde, 0, 1, 0x30, 5, 0, 0]);
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!(packet.header, HEADER);
        assert_eq!(packet.payload, b"payload");
        assert_eq!(packet.extension(3), Some(&[5][..]));
        bytes.clear();
        HEADER.write_to(None, &mut bytes);
        assert_eq!(bytes, HEADER.to_bytes());
    }

    #[test]
    fn bad_packets_are_refused() {
        let bytes = HEADER.to_bytes();
        for len in 0..HEADER_LEN {
            let error = Packet::parse(&bytes[..len]).unwrap_err();
            assert_eq!(
                error,
                Error::Truncated {
                    expected: 12,
                    actual: len
                }
            );
        }
        let with_first = |first: u8| {
            let mut bytes = bytes;
            bytes[0] = first;
            bytes
        };
        let error = Packet::parse(&with_first(0x40)).unwrap_err();
        assert_eq!(error, Error::Version { version: 1 });
        assert!(Packet::parse(&with_first(0x81)).is_err());
        assert!(Packet::parse(&with_first(0x90)).is_err());
        let error = Packet::parse(&with_first(0xa0)).unwrap_err();
        assert_eq!(
            error,
            Error::Padding {
                padding: 0,
                available: 0
            }
        );
    }
}
