use super::MAX_ACCESS_UNITS;
use crate::error::need;
use crate::{Error, Sequence};

/// Takes AAC access units out of RTP and says what is missing.
#[derive(Debug, Default)]
pub struct Depacketizer {
    sequence: Sequence,
}

/// An RTP packet, read.
#[derive(Debug, Clone)]
pub struct ReceivedPacket<'a> {
    /// RTP timestamp of the first access unit, in units of the negotiated clock.
    pub timestamp: u32,
    /// RTP packets missing right before this one.
    pub lost_before: u16,
    /// What it holds.
    pub access_units: AccessUnits<'a>,
}

/// Iterator over the access units of a packet, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessUnits<'a> {
    headers: &'a [u8],
    data: &'a [u8],
}

impl Depacketizer {
    /// Starts with any packet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next RTP packet; `None` for a late or repeated one.
    ///
    /// # Errors
    /// The payload is malformed, interleaved or fragmented.
    pub fn push<'a>(
        &mut self,
        rtp: &crate::Packet<'a>,
    ) -> Result<Option<ReceivedPacket<'a>>, Error> {
        let Some(lost_before) = self.sequence.lost_before(rtp.header.sequence) else {
            return Ok(None);
        };
        Ok(Some(ReceivedPacket {
            timestamp: rtp.header.timestamp,
            lost_before,
            access_units: AccessUnits::parse(rtp.payload)?,
        }))
    }

    /// Packets that did not come.
    pub fn lost(&self) -> u64 {
        self.sequence.lost()
    }
}

impl<'a> AccessUnits<'a> {
    /// Reads a payload.
    ///
    /// # Errors
    /// [`Error::Truncated`], [`Error::AuHeaders`] or [`Error::TooLarge`].
    pub fn parse(payload: &'a [u8]) -> Result<Self, Error> {
        need(payload, 2)?;
        let bits = u16::from_be_bytes([payload[0], payload[1]]);
        let count = usize::from(bits) / 16;
        if bits % 16 != 0 || count == 0 {
            return Err(Error::AuHeaders { bits });
        }
        if count > MAX_ACCESS_UNITS {
            return Err(Error::TooLarge {
                limit: MAX_ACCESS_UNITS,
                actual: count,
            });
        }
        let begin = 2 + 2 * count;
        need(payload, begin)?;
        let (headers, data) = (&payload[2..begin], &payload[begin..]);
        let mut total = begin;
        for header in headers.chunks_exact(2) {
            total += size(header).ok_or(Error::AuHeaders { bits })?;
        }
        need(payload, total)?;
        Ok(Self { headers, data })
    }
}

/// Size of an access unit; `None` if it is empty or out of order.
fn size(header: &[u8]) -> Option<usize> {
    let header = u16::from_be_bytes([header[0], header[1]]);
    let (size, index) = (header >> 3, header & 7);
    (size > 0 && index == 0).then_some(size.into())
}

impl<'a> Iterator for AccessUnits<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (header, headers) = self.headers.split_at_checked(2)?;
        let (access_unit, data) = self.data.split_at_checked(size(header)?)?;
        (self.headers, self.data) = (headers, data);
        Some(access_unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Header, Packet};

    fn rtp(sequence: u16, payload: &[u8]) -> Packet<'_> {
        let header = Header {
            marker: true,
            payload_type: 110,
            sequence,
            timestamp: 480,
            ssrc: 1,
        };
        Packet::new(header, payload)
    }

    #[test]
    fn access_units_and_losses() {
        let mut depacketizer = Depacketizer::new();
        let payload = [0, 32, 0, 16, 0, 8, 1, 2, 3];
        let packet = depacketizer.push(&rtp(5, &payload)).unwrap().unwrap();
        assert_eq!((packet.timestamp, packet.lost_before), (480, 0));
        let units: Vec<_> = packet.access_units.collect();
        assert_eq!(units, [&[1, 2][..], &[3]]);
        assert!(depacketizer.push(&rtp(5, &payload)).unwrap().is_none());
        let packet = depacketizer.push(&rtp(8, &payload)).unwrap().unwrap();
        assert_eq!(packet.lost_before, 2);
        assert_eq!(depacketizer.lost(), 2);
    }

    #[test]
    fn malformed_payloads_are_refused() {
        for payload in [
            &[][..],
            &[0, 0],
            &[0, 16],
            &[0, 15, 0, 8, 1],
            &[0, 16, 0, 0],
            &[0, 16, 0, 16, 1],
            &[0, 16, 0, 9, 1],
            &[0xff, 0xf0, 0, 8, 1],
        ] {
            assert!(AccessUnits::parse(payload).is_err(), "{payload:x?}");
        }
        let many = [&[3, 16][..], &[0, 8].repeat(49), &[1; 49]].concat();
        let error = AccessUnits::parse(&many).unwrap_err();
        assert!(matches!(error, Error::TooLarge { actual: 49, .. }));
    }
}
