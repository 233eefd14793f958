//! Fragments become messages.

use gst::memory::{MappedMemory, Readable};
use hds_proto::data_send::{Chunk, PROTOCOL};
use hds_proto::frame::Sealer;
use hds_proto::message::{Kind, Message};
use hds_proto::{DataType, Piece, Value};

/// One stream from its beginning to its end. Has no `Debug`: it holds a key.
pub(super) struct Stream {
    id: i64,
    sealer: Option<Sealer>,
    sequence: u64,
    fragments: u64,
    /// Its last chunk has not been sent.
    held: Option<Segment>,
    ended: bool,
}

/// The bytes of a buffer, and what they are.
struct Segment {
    memories: Vec<MappedMemory<Readable>>,
    data_type: DataType,
    sequence: u64,
}

/// A buffer's memory cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

impl Stream {
    /// Messages are frames with a `sealer`, else payloads.
    pub(super) fn new(id: i64, sealer: Option<Sealer>) -> Self {
        Self {
            id,
            sealer,
            sequence: 0,
            fragments: 0,
            held: None,
            ended: false,
        }
    }

    /// Takes a buffer: returns the messages before its last chunk, which is held; that of an init
    /// segment is not.
    pub(super) fn push(&mut self, buffer: &gst::BufferRef) -> Result<Vec<Vec<u8>>, Unreadable> {
        let is_init = buffer.flags().contains(gst::BufferFlags::HEADER);
        let memories = buffer.iter_memories_owned();
        let maps = memories.map(|memory| memory.into_mapped_memory_readable());
        let memories = maps.collect::<Result<_, _>>().map_err(|_| Unreadable)?;
        let mut messages: Vec<_> = self.release().into_iter().collect();
        self.sequence += 1;
        self.fragments += u64::from(!is_init);
        let segment = Segment {
            memories,
            data_type: match is_init {
                true => DataType::Initialization,
                false => DataType::Fragment,
            },
            sequence: self.sequence,
        };
        segment.chunks(self.id, false, |chunks| {
            let last = chunks.next_back().filter(|_| is_init);
            messages.extend(chunks.chain(last).map(|chunk| self.message(chunk)));
        });
        self.held = Some(segment).filter(|_| !is_init);
        Ok(messages)
    }

    /// The chunk that is held, now that more comes or it has waited enough.
    pub(super) fn release(&mut self) -> Option<Vec<u8>> {
        self.last_chunk(false)
    }

    /// The message that ends the stream; `None` if it has ended.
    pub(super) fn end(&mut self) -> Option<Vec<u8>> {
        if std::mem::replace(&mut self.ended, true) {
            return None;
        }
        self.last_chunk(true).or_else(|| self.end_alone())
    }

    /// Nothing of what is held will be sent.
    pub(super) fn discard(&mut self) {
        self.held = None;
    }

    /// Whether a chunk is held.
    pub(super) fn holds(&self) -> bool {
        self.held.is_some()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    pub(super) fn fragments(&self) -> u64 {
        self.fragments
    }

    /// The number of the next frame; `None` without a key.
    pub(super) fn counter(&self) -> Option<u64> {
        self.sealer.as_ref().map(Sealer::counter)
    }

    fn last_chunk(&mut self, ends: bool) -> Option<Vec<u8>> {
        let segment = self.held.take()?;
        segment.chunks(self.id, ends, |chunks| {
            chunks.next_back().map(|chunk| self.message(chunk))
        })
    }

    fn end_alone(&mut self) -> Option<Vec<u8>> {
        let body = Value::dict([
            ("streamId", self.id.into()),
            ("packets", Value::Array(Vec::new())),
            ("endOfStream", true.into()),
        ]);
        let message = Message {
            protocol: PROTOCOL.to_owned(),
            topic: "data".to_owned(),
            kind: Kind::Event,
            body,
        };
        let payload = message.encode().ok()?;
        Some(self.seal(payload.len(), |out| out.extend_from_slice(&payload)))
    }

    fn message(&mut self, chunk: Chunk<'_>) -> Vec<u8> {
        self.seal(chunk.capacity(), |out| chunk.write(out))
    }

    fn seal(&mut self, capacity: usize, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let Some(sealer) = &mut self.sealer else {
            let mut payload = Vec::with_capacity(capacity);
            write(&mut payload);
            return payload;
        };
        let frame = sealer.seal(capacity, write);
        frame.expect("a chunk is far shorter than a frame")
    }
}

impl Segment {
    fn chunks<T>(
        &self,
        stream_id: i64,
        end_of_stream: bool,
        visit: impl FnOnce(&mut dyn DoubleEndedIterator<Item = Chunk<'_>>) -> T,
    ) -> T {
        let parts: Vec<&[u8]> = self.memories.iter().map(|map| map.as_slice()).collect();
        let piece = Piece {
            stream_id,
            data_type: self.data_type,
            sequence: self.sequence,
            parts: &parts,
            end_of_stream,
        };
        visit(&mut piece.chunks())
    }
}
