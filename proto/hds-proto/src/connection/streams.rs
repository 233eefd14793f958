//! The streams of `dataSend` on a connection.

use std::time::Instant;

use super::Connection;
use crate::data_send::{self, Open, OpenRequest, PROTOCOL, Piece, StreamKind};
use crate::message::Kind;
use crate::requests::Purpose;
use crate::{DataType, Reason, SendError, Status};

/// How many streams there may be on one connection.
pub const MAX_STREAMS: usize = 16;

impl Connection {
    /// Takes a stream; data may be sent from now on. Returns false if the controller has closed it
    /// in the meantime.
    pub fn accept(&mut self, request: &OpenRequest) -> bool {
        let accepted = self.streams.opened(request.stream_id, request.request_id);
        if accepted {
            self.answer_open(request.request_id, Status::Success, Reason::Normal);
        }
        accepted
    }

    /// Does not take a stream.
    pub fn refuse(&mut self, request: &OpenRequest, reason: Reason) {
        if self.streams.refused(request.stream_id, request.request_id) {
            self.answer_open(request.request_id, Status::ProtocolError, reason);
        }
    }

    /// Sends a piece of data, numbered from 1, in chunks of [`CHUNK`](crate::CHUNK) bytes. Returns
    /// false, having sent nothing, if the stream is not open or its end was sent already: a
    /// controller may close a stream at any time.
    pub fn send_data(
        &mut self,
        stream_id: i64,
        data_type: DataType,
        sequence: u64,
        bytes: &[u8],
        end_of_stream: bool,
    ) -> bool {
        self.send_piece(Piece {
            stream_id,
            data_type,
            sequence,
            parts: &[bytes],
            end_of_stream,
        })
    }

    /// As [`send_data`](Self::send_data), for bytes that lie in several places.
    pub fn send_piece(&mut self, piece: Piece<'_>) -> bool {
        if !self.streams.sends(piece.stream_id, piece.end_of_stream) {
            return false;
        }
        for chunk in piece.chunks() {
            self.seal(chunk.capacity(), |out| chunk.write(out))
                .expect("an open stream has keys, and a chunk is far shorter than a frame");
        }
        true
    }

    /// Ends a stream: what was sent is to be thrown away unless `reason` is normal. Returns false,
    /// having sent nothing, if there is no such stream any more.
    pub fn close_stream(&mut self, stream_id: i64, reason: Reason) -> bool {
        let known = self.streams.remove(stream_id).is_some();
        if known {
            self.post_close(stream_id, reason);
        }
        known
    }

    pub(super) fn post_close(&mut self, stream_id: i64, reason: Reason) {
        let message = data_send::close(stream_id, reason);
        self.post(PROTOCOL, "close", Kind::Event, &message);
    }

    /// Asks the accessory for a stream; [`Event::Opened`](crate::Event::Opened) or
    /// [`Event::Refused`](crate::Event::Refused) is the answer.
    ///
    /// # Errors
    /// [`SendError::NotReady`] and [`SendError::StreamInUse`].
    pub fn open(&mut self, open: &Open, now: Instant) -> Result<(), SendError> {
        let stream_id = open.stream_id;
        if !self.is_ready() {
            return Err(SendError::NotReady);
        }
        if self.streams.find(stream_id).is_some() {
            return Err(SendError::StreamInUse { stream_id });
        }
        let id = self.requests.add(Purpose::Open { stream_id }, now);
        self.streams.add(stream_id, open.kind.clone(), id);
        self.send(PROTOCOL, "open", Kind::Request { id }, &open.message())
    }

    /// Tells the accessory that the end of a stream has arrived. Returns false, having sent nothing,
    /// if the stream is not open.
    pub fn ack(&mut self, stream_id: i64) -> bool {
        let open = self.streams.is_open(stream_id);
        if open {
            let message = data_send::ack(stream_id);
            self.post(PROTOCOL, "ack", Kind::Event, &message);
        }
        open
    }

    pub(super) fn answer_open(&mut self, id: i64, status: Status, reason: Reason) {
        let kind = Kind::Response { id, status };
        self.post(PROTOCOL, "open", kind, &data_send::opened(reason));
    }
}

#[derive(Debug, Default)]
pub(super) struct Streams(Vec<Stream>);

#[derive(Debug)]
pub(super) struct Stream {
    id: i64,
    kind: StreamKind,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The request that asked for it, which an accessory has not answered yet.
    Asked(i64),
    Open,
    /// The end was sent.
    Ended,
}

impl Stream {
    /// The request an accessory has not answered yet.
    pub(super) fn unanswered(&self) -> Option<i64> {
        match self.phase {
            Phase::Asked(request_id) => Some(request_id),
            _ => None,
        }
    }
}

impl Streams {
    /// A controller asked for a stream.
    pub(super) fn asked(&mut self, request: &OpenRequest) -> Result<(), Reason> {
        if self.find(request.stream_id).is_some() || self.0.len() == MAX_STREAMS {
            return Err(Reason::Busy);
        }
        self.add(request.stream_id, request.kind.clone(), request.request_id);
        Ok(())
    }

    fn add(&mut self, id: i64, kind: StreamKind, request_id: i64) {
        let phase = Phase::Asked(request_id);
        self.0.push(Stream { id, kind, phase });
    }

    /// The answer to the request is yes. False if the stream was closed before.
    pub(super) fn opened(&mut self, id: i64, request_id: i64) -> bool {
        let Some(stream) = self.find(id) else {
            return false;
        };
        let asked = stream.unanswered() == Some(request_id);
        if asked {
            stream.phase = Phase::Open;
        }
        asked
    }

    /// The answer to the request is no. False if the stream was closed before.
    pub(super) fn refused(&mut self, id: i64, request_id: i64) -> bool {
        let before = self.0.len();
        let asked = Phase::Asked(request_id);
        self.0.retain(|s| s.id != id || s.phase != asked);
        self.0.len() < before
    }

    /// The end of what was sent has arrived; a snapshot is over with that. False if nothing can
    /// have arrived.
    pub(super) fn acked(&mut self, id: i64, end_of_stream: bool) -> bool {
        let known = self.find(id).is_some_and(|s| s.unanswered().is_none());
        if known && end_of_stream {
            let done = |s: &Stream| s.kind == StreamKind::Snapshot && s.phase == Phase::Ended;
            self.0.retain(|s| s.id != id || !done(s));
        }
        known
    }

    pub(super) fn is_open(&mut self, id: i64) -> bool {
        self.find(id).is_some_and(|s| s.phase == Phase::Open)
    }

    /// Whether data may be sent, and whether these are the last.
    fn sends(&mut self, id: i64, end_of_stream: bool) -> bool {
        let Some(stream) = self.find(id) else {
            return false;
        };
        let open = stream.phase == Phase::Open;
        if open && end_of_stream {
            stream.phase = Phase::Ended;
        }
        open
    }

    pub(super) fn remove(&mut self, id: i64) -> Option<Stream> {
        let at = self.0.iter().position(|s| s.id == id)?;
        Some(self.0.swap_remove(at))
    }

    fn find(&mut self, id: i64) -> Option<&mut Stream> {
        self.0.iter_mut().find(|s| s.id == id)
    }
}
