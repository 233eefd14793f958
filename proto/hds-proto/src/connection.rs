//! One TCP connection.

mod dispatch;
mod streams;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::frame::{Frame, FrameReader, Opener, Payload, Sealer};
use crate::message::{Kind, Message, header};
use crate::requests::{Purpose, Requests};
use crate::{Error, Event, Pending, Request, SendError, SessionKeys, Status, Value};

pub use streams::MAX_STREAMS;
use streams::Streams;

/// How long a connection may exist before `hello` has been exchanged.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest payload of a connection's first frame.
pub const MAX_FIRST_PAYLOAD: usize = 1024;

/// A data stream, accessory's or controller's end.
///
/// Bytes and times go in by [`input`](Self::input) and [`timeout`](Self::timeout). After every call
/// of any method, drain [`poll_event`](Self::poll_event) and [`poll_output`](Self::poll_output) and
/// ask [`poll_timeout`](Self::poll_timeout) again. Any [`Error`] means: close the TCP connection and
/// drop this.
#[derive(Debug)]
pub struct Connection {
    role: Role,
    reader: FrameReader,
    /// Known from the first frame on.
    ciphers: Option<(Sealer, Opener)>,
    token: Option<u64>,
    /// Until `hello` was exchanged.
    hello_deadline: Option<Instant>,
    requests: Requests,
    streams: Streams,
    served: Vec<String>,
    output: VecDeque<Vec<u8>>,
    queued: usize,
    events: VecDeque<Event>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Accessory,
    Controller,
}

impl Connection {
    /// A connection that an accessory accepted; its first frame tells whose it is.
    pub fn accessory(now: Instant) -> Self {
        let reader = FrameReader::guarded(MAX_FIRST_PAYLOAD);
        Self::new(Role::Accessory, reader, None, now)
    }

    /// A connection that a controller made; `hello` is sent at once.
    pub fn controller(keys: &SessionKeys, now: Instant) -> Self {
        let sealer = Sealer::new(keys.controller_to_accessory());
        let opener = Opener::new(keys.accessory_to_controller());
        let ciphers = Some((sealer, opener));
        let mut connection = Self::new(Role::Controller, FrameReader::new(), ciphers, now);
        let id = connection.requests.add(Purpose::Hello, now);
        connection.post("control", "hello", Kind::Request { id }, &Value::EMPTY);
        connection
    }

    fn new(
        role: Role,
        reader: FrameReader,
        ciphers: Option<(Sealer, Opener)>,
        now: Instant,
    ) -> Self {
        Self {
            role,
            reader,
            ciphers,
            token: None,
            hello_deadline: Some(now + HELLO_TIMEOUT),
            requests: Requests::default(),
            streams: Streams::default(),
            served: Vec::new(),
            output: VecDeque::new(),
            queued: 0,
            events: VecDeque::new(),
        }
    }

    /// Has requests and events of `protocol` come out as [`Event::Request`] and [`Event::Event`].
    /// Without it requests are answered with [`Status::MissingProtocol`] and events are ignored.
    pub fn serve(&mut self, protocol: &str) {
        self.served.push(protocol.to_owned());
    }

    /// Which session of [`Pending`] an accessory's connection belongs to; known from its first frame
    /// on.
    pub fn token(&self) -> Option<u64> {
        self.token
    }

    /// Whether `hello` was exchanged.
    pub fn is_ready(&self) -> bool {
        self.hello_deadline.is_none()
    }

    /// Takes bytes that arrived. An accessory finds the connection's session in `pending`; a
    /// controller needs none of it and passes an empty one.
    ///
    /// # Errors
    /// As [`Error`] says; the connection has to be closed.
    pub fn input(
        &mut self,
        mut bytes: &[u8],
        now: Instant,
        pending: &mut Pending,
    ) -> Result<(), Error> {
        while let Some(frame) = self.reader.next(&mut bytes)? {
            let payload = self.open_frame(frame, now, pending)?;
            let message = Message::decode(&payload)?;
            drop(payload);
            self.handle(message)?;
        }
        Ok(())
    }

    /// The next bytes to write, in this order: a whole frame.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Vec<u8>> {
        let frame = self.output.pop_front()?;
        self.queued -= frame.len();
        Some(frame)
    }

    /// How many bytes wait in [`poll_output`](Self::poll_output).
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// What happened next.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`timeout`](Self::timeout) has to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let deadlines = [self.hello_deadline, self.requests.poll_timeout()];
        deadlines.into_iter().flatten().min()
    }

    /// Time has passed.
    ///
    /// # Errors
    /// [`Error::HelloTimeout`]; the connection has to be closed.
    pub fn timeout(&mut self, now: Instant) -> Result<(), Error> {
        if self.hello_deadline.is_some_and(|deadline| deadline <= now) {
            return Err(Error::HelloTimeout);
        }
        while let Some((id, purpose)) = self.requests.late(now) {
            self.unanswered(id, purpose)?;
        }
        Ok(())
    }

    /// Asks the peer; the answer comes as [`Event::Response`] with the returned identifier.
    ///
    /// # Errors
    /// As [`SendError`] says; nothing was sent then.
    pub fn request(
        &mut self,
        protocol: &str,
        topic: &str,
        message: &Value,
        now: Instant,
    ) -> Result<i64, SendError> {
        let id = self.requests.add(Purpose::Other, now);
        let sent = self.send(protocol, topic, Kind::Request { id }, message);
        if sent.is_err() {
            self.requests.answered(id);
        }
        sent.map(|()| id)
    }

    /// Answers a request of the peer.
    ///
    /// # Errors
    /// As [`SendError`] says; nothing was sent then.
    pub fn respond(
        &mut self,
        request: &Request,
        status: Status,
        message: &Value,
    ) -> Result<(), SendError> {
        let id = request.id;
        let kind = Kind::Response { id, status };
        self.send(&request.protocol, &request.topic, kind, message)
    }

    /// Tells the peer something.
    ///
    /// # Errors
    /// As [`SendError`] says; nothing was sent then.
    pub fn event(&mut self, protocol: &str, topic: &str, message: &Value) -> Result<(), SendError> {
        self.send(protocol, topic, Kind::Event, message)
    }

    fn send(
        &mut self,
        protocol: &str,
        topic: &str,
        kind: Kind,
        message: &Value,
    ) -> Result<(), SendError> {
        if !self.is_ready() {
            return Err(SendError::NotReady);
        }
        let header = header(protocol, topic, kind)?;
        self.seal(256, |out| {
            out.extend_from_slice(&header);
            message.encode_into(out);
        })
    }

    /// Sends a message of this crate's own.
    fn post(&mut self, protocol: &str, topic: &str, kind: Kind, message: &Value) {
        let header = header(protocol, topic, kind).expect("our topics are short");
        self.seal(64, |out| {
            out.extend_from_slice(&header);
            message.encode_into(out);
        })
        .expect("there are keys before anything is said, and our messages are short");
    }

    /// Seals a payload and queues it; without keys there is nobody to send to.
    fn seal(&mut self, capacity: usize, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), SendError> {
        let (sealer, _) = self.ciphers.as_mut().ok_or(SendError::NotReady)?;
        let frame = sealer.seal(capacity, write)?;
        self.queued += frame.len();
        self.output.push_back(frame);
        Ok(())
    }

    fn open_frame(
        &mut self,
        frame: Frame,
        now: Instant,
        pending: &mut Pending,
    ) -> Result<Payload, Error> {
        if let Some((_, opener)) = &mut self.ciphers {
            return opener.open(frame);
        }
        let claimed = pending.claim(frame, now).ok_or(Error::UnknownSession)?;
        let sealer = Sealer::new(claimed.keys.accessory_to_controller());
        self.ciphers = Some((sealer, claimed.opener));
        self.token = Some(claimed.token);
        self.reader = FrameReader::new();
        Ok(claimed.payload)
    }

    fn ready(&mut self) {
        self.hello_deadline = None;
        self.events.push_back(Event::Ready);
    }
}
