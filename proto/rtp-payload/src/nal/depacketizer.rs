use std::collections::VecDeque;
use std::marker::PhantomData;

use super::{Codec, MAX_ACCESS_UNIT, Shape};
use crate::error::need;
use crate::{Error, Gap, Packet, Sequence};

/// Puts access units together again: of single NAL units, aggregation packets and fragments.
///
/// Feed the packets of one source in order (see [`Reorder`](crate::Reorder)) with
/// [`push`](Self::push), then take what is complete with [`poll`](Self::poll).
#[derive(Debug, Default)]
pub struct Depacketizer<C: Codec> {
    sequence: Sequence,
    current: Option<ReceivedAccessUnit>,
    /// A fragmented NAL unit is being put together at the end of `current`.
    in_fragment: bool,
    /// Packets were lost and nothing has come since.
    after_loss: bool,
    ready: VecDeque<ReceivedAccessUnit>,
    codec: PhantomData<C>,
}

/// An access unit from the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedAccessUnit {
    /// RTP timestamp, in 1/90000 s.
    pub timestamp: u32,
    /// NAL units, each behind a start code of four bytes.
    pub annex_b: Vec<u8>,
    /// It holds a picture a decoder can start with: IDR, or IRAP with H.265.
    pub is_key: bool,
    /// No packet of it, or right before it, is missing.
    pub complete: bool,
    /// Packets it came in.
    pub packets: u32,
}

const START_CODE: [u8; 4] = [0, 0, 0, 1];

impl<C: Codec> Depacketizer<C> {
    /// Starts with any packet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next packet; a late or repeated one is ignored.
    ///
    /// # Errors
    /// The payload is malformed or exceeds [`MAX_ACCESS_UNIT`]; its access unit is then marked
    /// incomplete and the next packet can be pushed.
    pub fn push(&mut self, packet: &Packet<'_>) -> Result<(), Error> {
        match self.sequence.push(packet.header.sequence) {
            Gap::Old => return Ok(()),
            Gap::Lost(_) => self.note_loss(),
            Gap::None => {}
        }
        self.begin(packet.header.timestamp);
        let result = self.append(packet.payload);
        if let (Err(_), Some(current)) = (&result, &mut self.current) {
            current.complete = false;
        }
        if packet.header.marker {
            self.finish();
        }
        result
    }

    /// The next access unit that ended, by its marker or by the timestamp of another.
    pub fn poll(&mut self) -> Option<ReceivedAccessUnit> {
        self.ready.pop_front()
    }

    /// Ends the access unit at hand; to be called at the end of the stream.
    pub fn finish(&mut self) {
        let unfinished_fragment = std::mem::take(&mut self.in_fragment);
        if let Some(mut current) = self.current.take() {
            current.complete &= !unfinished_fragment;
            if !current.annex_b.is_empty() {
                self.ready.push_back(current);
            }
        }
    }

    /// Packets that did not come.
    pub fn lost(&self) -> u64 {
        self.sequence.lost()
    }

    fn note_loss(&mut self) {
        self.drop_fragment();
        self.after_loss = true;
        if let Some(current) = &mut self.current {
            current.complete = false;
        }
    }

    fn begin(&mut self, timestamp: u32) {
        if self
            .current
            .as_ref()
            .is_some_and(|c| c.timestamp != timestamp)
        {
            self.finish();
        }
        let complete = !std::mem::take(&mut self.after_loss);
        let current = self.current.get_or_insert_with(|| ReceivedAccessUnit {
            timestamp,
            annex_b: Vec::new(),
            is_key: false,
            complete,
            packets: 0,
        });
        current.packets += 1;
    }

    fn append(&mut self, payload: &[u8]) -> Result<(), Error> {
        need(payload, C::HEADER_LEN)?;
        let shape = C::shape(payload[0]);
        if shape == Ok(Shape::Fragment) {
            return self.append_fragment(payload);
        }
        self.drop_fragment();
        match shape? {
            Shape::Aggregate => self.append_aggregate(&payload[C::HEADER_LEN..]),
            _ => self.append_nal(payload, &[]),
        }
    }

    fn append_aggregate(&mut self, mut rest: &[u8]) -> Result<(), Error> {
        while !rest.is_empty() {
            need(rest, 2)?;
            let end = 2 + usize::from(u16::from_be_bytes([rest[0], rest[1]]));
            let shortest = 2 + C::HEADER_LEN;
            need(rest, end.max(shortest))?;
            if end < shortest {
                return Err(Error::Truncated {
                    expected: shortest,
                    actual: end,
                });
            }
            self.append_nal(&rest[2..end], &[])?;
            rest = &rest[end..];
        }
        Ok(())
    }

    fn append_fragment(&mut self, payload: &[u8]) -> Result<(), Error> {
        need(payload, C::HEADER_LEN + 1)?;
        let (header, body) = payload.split_at(C::HEADER_LEN + 1);
        let flags = header[C::HEADER_LEN];
        if flags & 0x80 != 0 {
            self.drop_fragment();
            self.append_nal(&C::whole_header(header)[..C::HEADER_LEN], body)?;
            self.in_fragment = true;
        } else if self.in_fragment {
            self.append_bytes(body)?;
        } else {
            return Err(Error::Fragment);
        }
        if flags & 0x40 != 0 {
            self.in_fragment = false;
        }
        Ok(())
    }

    /// Appends a NAL unit that comes in two parts; the first holds its header.
    fn append_nal(&mut self, begin: &[u8], rest: &[u8]) -> Result<(), Error> {
        if let Some(current) = &mut self.current {
            current.is_key |= C::is_key(begin[0]);
        }
        self.append_bytes(&START_CODE)?;
        self.append_bytes(begin)?;
        self.append_bytes(rest)
    }

    fn append_bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let Some(current) = &mut self.current else {
            return Ok(());
        };
        let actual = current.annex_b.len() + bytes.len();
        if actual > MAX_ACCESS_UNIT {
            return Err(Error::TooLarge {
                limit: MAX_ACCESS_UNIT,
                actual,
            });
        }
        current.annex_b.extend_from_slice(bytes);
        Ok(())
    }

    /// A fragmented NAL unit lost its end: the access unit is damaged; what there is of it stays,
    /// since decoders can use it.
    fn drop_fragment(&mut self) {
        if std::mem::take(&mut self.in_fragment) {
            if let Some(current) = &mut self.current {
                current.complete = false;
            }
        }
    }
}
