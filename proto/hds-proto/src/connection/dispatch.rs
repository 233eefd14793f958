//! What a message means.

use super::{Connection, Role};
use crate::data_send::{self, DataEvent, OpenRequest};
use crate::message::{Kind, Message};
use crate::requests::Purpose;
use crate::{Error, Event, Reason, Request, Status, Value};

impl Connection {
    pub(super) fn handle(&mut self, message: Message) -> Result<(), Error> {
        if !self.is_ready() {
            return self.before_hello(message);
        }
        match message.kind {
            Kind::Event => self.on_event(message),
            Kind::Request { id } => self.on_request(id, message),
            Kind::Response { id, status } => {
                if let Some(purpose) = self.requests.answered(id) {
                    self.on_response(id, purpose, status, message.body)?;
                }
            }
        }
        Ok(())
    }

    fn before_hello(&mut self, message: Message) -> Result<(), Error> {
        let Message {
            protocol,
            topic,
            kind,
            body,
        } = message;
        let hello = (protocol.as_str(), topic.as_str()) == ("control", "hello");
        match kind {
            Kind::Request { id } if hello && self.role == Role::Accessory => self.on_hello(id),
            Kind::Response { id, status } if hello => match self.requests.answered(id) {
                Some(purpose) => self.on_response(id, purpose, status, body)?,
                None => return Err(Error::HelloExpected { protocol, topic }),
            },
            _ => return Err(Error::HelloExpected { protocol, topic }),
        }
        Ok(())
    }

    fn on_hello(&mut self, id: i64) {
        let status = Status::Success;
        let kind = Kind::Response { id, status };
        self.post("control", "hello", kind, &Value::EMPTY);
        if !self.is_ready() {
            self.ready();
        }
    }

    fn on_event(&mut self, message: Message) {
        let Message {
            protocol,
            topic,
            body,
            ..
        } = message;
        let unread = match (self.role, protocol.as_str(), topic.as_str()) {
            (_, data_send::PROTOCOL, "close") => self.on_close(body),
            (Role::Accessory, data_send::PROTOCOL, "ack") => self.on_ack(body),
            (Role::Controller, data_send::PROTOCOL, "data") => self.on_data(body),
            _ if self.serves(&protocol) => Err(body),
            _ => Ok(()),
        };
        if let Err(message) = unread {
            self.events.push_back(Event::Event {
                protocol,
                topic,
                message,
            });
        }
    }

    fn on_close(&mut self, message: Value) -> Result<(), Value> {
        let Some(stream_id) = message.get("streamId").and_then(Value::as_int) else {
            return Err(message);
        };
        let reason = data_send::reason(&message, "reason");
        let Some(stream) = self.streams.remove(stream_id) else {
            return Err(message);
        };
        if let (Role::Accessory, Some(request_id)) = (self.role, stream.unanswered()) {
            self.answer_open(request_id, Status::ProtocolError, Reason::Cancelled);
        }
        self.events.push_back(Event::Close { stream_id, reason });
        Ok(())
    }

    fn on_ack(&mut self, message: Value) -> Result<(), Value> {
        let stream_id = message.get("streamId").and_then(Value::as_int);
        let end_of_stream = data_send::flag(&message, "endOfStream");
        let (Some(stream_id), Some(end_of_stream)) = (stream_id, end_of_stream) else {
            return Err(message);
        };
        if !self.streams.acked(stream_id, end_of_stream) {
            return Err(message);
        }
        self.events.push_back(Event::Ack {
            stream_id,
            end_of_stream,
        });
        Ok(())
    }

    fn on_data(&mut self, message: Value) -> Result<(), Value> {
        let stream_id = message.get("streamId").and_then(Value::as_int);
        if !stream_id.is_some_and(|id| self.streams.is_open(id)) {
            return Err(message);
        }
        let data = DataEvent::of(message)?;
        self.events.push_back(Event::Data(data));
        Ok(())
    }

    fn on_request(&mut self, id: i64, message: Message) {
        let Message {
            protocol,
            topic,
            body,
            ..
        } = message;
        match (self.role, protocol.as_str(), topic.as_str()) {
            (Role::Accessory, "control", "hello") => self.on_hello(id),
            (Role::Accessory, data_send::PROTOCOL, "open") => self.on_open(id, &body),
            _ if self.serves(&protocol) => self.events.push_back(Event::Request(Request {
                id,
                protocol,
                topic,
                message: body,
            })),
            _ => self.not_served(id, &protocol, &topic),
        }
    }

    fn not_served(&mut self, id: i64, protocol: &str, topic: &str) {
        let status = match protocol {
            "control" | data_send::PROTOCOL => Status::HeaderError,
            _ => Status::MissingProtocol,
        };
        // A name so long that the header with it and a status is too long is not worth an answer.
        let _ = self.send(
            protocol,
            topic,
            Kind::Response { id, status },
            &Value::EMPTY,
        );
    }

    fn serves(&self, protocol: &str) -> bool {
        self.served.iter().any(|served| served == protocol)
    }

    fn on_open(&mut self, request_id: i64, message: &Value) {
        let request = OpenRequest::of(request_id, message);
        match request.and_then(|request| self.streams.asked(&request).map(|()| request)) {
            Ok(request) => self.events.push_back(Event::Open(request)),
            Err(reason) => self.answer_open(request_id, Status::ProtocolError, reason),
        }
    }

    fn on_response(
        &mut self,
        id: i64,
        purpose: Purpose,
        status: Status,
        message: Value,
    ) -> Result<(), Error> {
        match (purpose, status) {
            (Purpose::Hello, Status::Success) => self.ready(),
            (Purpose::Hello, status) => {
                let status = status.code();
                return Err(Error::HelloRefused { status });
            }
            (Purpose::Open { stream_id }, Status::Success) => self.on_opened(stream_id, id),
            (Purpose::Open { stream_id }, status) => {
                self.on_refused(stream_id, id, refusal(status, &message));
            }
            (Purpose::Other, _) => self.events.push_back(Event::Response {
                id,
                status,
                message,
            }),
        }
        Ok(())
    }

    fn on_opened(&mut self, stream_id: i64, id: i64) {
        if self.streams.opened(stream_id, id) {
            self.events.push_back(Event::Opened { stream_id });
        }
    }

    fn on_refused(&mut self, stream_id: i64, id: i64, reason: Reason) {
        if self.streams.refused(stream_id, id) {
            self.events.push_back(Event::Refused { stream_id, reason });
        }
    }

    /// Nobody answered in time. Should the accessory take the stream after all, it is told that
    /// nobody wants it any more.
    pub(super) fn unanswered(&mut self, id: i64, purpose: Purpose) -> Result<(), Error> {
        if let Purpose::Open { stream_id } = purpose {
            let reason = Reason::Timeout;
            if self.streams.refused(stream_id, id) {
                self.post_close(stream_id, reason);
                self.events.push_back(Event::Refused { stream_id, reason });
            }
            return Ok(());
        }
        self.on_response(id, purpose, Status::Timeout, Value::Null)
    }
}

fn refusal(status: Status, message: &Value) -> Reason {
    match status {
        Status::ProtocolError => data_send::reason(message, "status"),
        Status::Timeout => Reason::Timeout,
        Status::PayloadError => Reason::BadData,
        Status::HeaderError | Status::MissingProtocol => Reason::Unsupported,
        _ => Reason::UnexpectedFailure,
    }
}
