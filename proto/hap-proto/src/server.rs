//! The accessory server.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::connection::{Access, Connection, Expiry};
use crate::core::{Core, Outcome, SetupLock, Then};
use crate::database::{Database, PROGRAMMABLE_SWITCH_EVENT};
use crate::endpoints::Call;
use crate::host::{CharId, ConnId, Host, StoreError};
use crate::http::{HttpError, Request, Response};
use crate::identity::Identity;
use crate::limits::Limits;
use crate::pairings::PairingState;
use crate::resource;
use crate::srp::SetupVerifier;
use crate::status::Status;
use crate::value::Value;

/// What a [`Server`] is made of.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Device ID and long-term key.
    pub identity: Identity,
    /// Verifier of the setup code.
    pub verifier: SetupVerifier,
    /// Bounds on what peers may take.
    pub limits: Limits,
}

/// What the program around the server has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Write `bytes` to the connection.
    Send {
        /// The connection.
        conn: ConnId,
        /// What to write.
        bytes: Vec<u8>,
    },
    /// Close the connection once everything sent before is written. The server has forgotten it.
    Close {
        /// The connection.
        conn: ConnId,
    },
}

/// The accessory server; the crate's documentation says in which order to call it.
pub struct Server {
    core: Core,
    connections: BTreeMap<ConnId, Connection>,
    output: VecDeque<Output>,
}

/// Whether a connection goes on.
#[derive(PartialEq, Eq)]
enum Served {
    /// More bytes are needed, or the host's answer.
    Waiting,
    /// A session has begun; what follows the request are its frames.
    Secured(Vec<u8>),
    /// The connection has ended.
    Closed,
}

impl Server {
    /// A server without connections.
    pub fn new(config: ServerConfig, pairings: PairingState, database: Database) -> Self {
        let core = Core {
            config,
            pairings,
            database,
            setup: SetupLock::default(),
        };
        Self {
            core,
            connections: BTreeMap::new(),
            output: VecDeque::new(),
        }
    }

    /// A connection was accepted. If there are too many, it displaces another one: the least
    /// recently active of those that are not verified, or of all if all are.
    pub fn connected(&mut self, conn: ConnId, now: Instant, host: &mut dyn Host) {
        let limits = &self.core.config.limits;
        let connection = Connection::new(conn, now, limits);
        if self.connections.len() >= limits.max_connections.max(1) {
            if let Some(displaced) = self.least_needed() {
                self.close(displaced, host);
            }
        }
        self.connections.insert(conn, connection);
    }

    /// Bytes arrived.
    pub fn input(&mut self, conn: ConnId, bytes: &[u8], now: Instant, host: &mut dyn Host) {
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.last_active = now;
            self.absorb(conn, bytes, now, host);
        }
    }

    /// The socket went away. Does nothing if the server closed the connection itself.
    pub fn disconnected(&mut self, conn: ConnId, _now: Instant, host: &mut dyn Host) {
        if self.connections.contains_key(&conn) {
            self.forget(conn, host);
        }
    }

    /// The time of [`Server::poll_timeout`] has come.
    pub fn timeout(&mut self, now: Instant, host: &mut dyn Host) {
        let conns: Vec<ConnId> = self.connections.keys().copied().collect();
        for conn in conns {
            while let Some(expiry) = self.expired(conn, now) {
                self.expire(conn, expiry, now, host);
            }
        }
    }

    /// When [`Server::timeout`] has to be called next; may change with every other call.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let limits = &self.core.config.limits;
        let deadlines = self
            .connections
            .values()
            .flat_map(|connection| connection.deadlines(limits));
        deadlines.map(|(at, _)| at).min()
    }

    /// The next thing to do; drain after every call.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.output.pop_front()
    }

    /// Answers the outstanding snapshot request of a connection with a JPEG picture or a status,
    /// then goes on with the connection's next request.
    pub fn resource_ready(
        &mut self,
        conn: ConnId,
        result: Result<Vec<u8>, Status>,
        now: Instant,
        host: &mut dyn Host,
    ) {
        let Some(connection) = self.connections.get_mut(&conn) else {
            return;
        };
        match connection.snapshot.overdue.checked_sub(1) {
            Some(fewer) => connection.snapshot.overdue = fewer,
            None => self.answer_snapshot(conn, result, now, host),
        }
    }

    /// A value changed: tells every subscriber but `origin`, the connection that wrote it.
    pub fn notify(&mut self, id: CharId, value: Value, origin: Option<ConnId>, now: Instant) {
        let Some(characteristic) = self.core.database.characteristic(id) else {
            return;
        };
        let urgent = characteristic.kind == PROGRAMMABLE_SWITCH_EVENT;
        let delay = if urgent {
            Duration::ZERO
        } else {
            self.core.config.limits.event_delay
        };
        let json = value.to_json(characteristic.format);
        for connection in self.connections.values_mut() {
            if Some(connection.id) != origin && connection.events.is_subscribed(id) {
                connection.events.push(id, json.clone(), now, delay);
                self.output.extend(events(connection, now));
            }
        }
    }

    /// Removes all pairings, forgets failed attempts and closes all sessions, as a reset does.
    ///
    /// # Errors
    /// The empty state was not stored; nothing has changed.
    pub fn remove_all_pairings(
        &mut self,
        now: Instant,
        host: &mut dyn Host,
    ) -> Result<(), StoreError> {
        let pairings = self.core.pairings.pairings.iter();
        let removed: Vec<String> = pairings.map(|pairing| pairing.id.clone()).collect();
        self.core
            .change_pairings(host, |state| *state = PairingState::default())?;
        self.revoke(&removed, now);
        Ok(())
    }

    /// Whether a controller is paired.
    pub fn is_paired(&self) -> bool {
        self.core.pairings.is_paired()
    }

    /// The pairings.
    pub fn pairings(&self) -> &PairingState {
        &self.core.pairings
    }

    /// The database.
    pub fn database(&self) -> &Database {
        &self.core.database
    }

    /// Whoever floods the server with connections displaces his own ones, not the controllers'.
    fn least_needed(&self) -> Option<ConnId> {
        let rank = |connection: &Connection| match connection.access() {
            Access::Revoked => 0,
            Access::Unverified if !self.core.setup.is_owned_by(connection.id) => 1,
            Access::Unverified | Access::Transient => 2,
            Access::Verified => 3,
        };
        let connections = self.connections.values();
        let least = connections.min_by_key(|connection| (rank(connection), connection.last_active));
        least.map(|connection| connection.id)
    }

    /// Takes in `bytes` piece by piece, so that no more is held than one request and one piece.
    fn absorb(&mut self, conn: ConnId, bytes: &[u8], now: Instant, host: &mut dyn Host) {
        let mut rest = bytes;
        while let Some(connection) = self.connections.get_mut(&conn) {
            match connection.absorb(&mut rest) {
                Ok(true) => {}
                Ok(false) => return self.rest(conn, now),
                Err(_) => return self.close(conn, host),
            }
            match self.serve(conn, now, host) {
                Served::Waiting => {}
                Served::Closed => return,
                Served::Secured(frames) => {
                    let frames = [&frames, rest].concat();
                    return self.absorb(conn, &frames, now, host);
                }
            }
        }
    }

    /// All bytes are taken in.
    fn rest(&mut self, conn: ConnId, now: Instant) {
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.update_partial(now, false);
        }
    }

    /// Answers the requests that are complete.
    fn serve(&mut self, conn: ConnId, now: Instant, host: &mut dyn Host) -> Served {
        while let Some(connection) = self.connections.get_mut(&conn) {
            if connection.is_waiting() {
                return self.bound_waiting(conn, host);
            }
            let request = match connection.parser.poll_request() {
                Ok(Some(request)) => request,
                Ok(None) => {
                    self.output.extend(events(connection, now));
                    return Served::Waiting;
                }
                Err(error) => {
                    self.refuse(conn, error, host);
                    return Served::Closed;
                }
            };
            connection.update_partial(now, true);
            if let Some(frames) = self.answer(conn, &request, now, host) {
                return Served::Secured(frames);
            }
        }
        Served::Closed
    }

    /// Requests that wait for a snapshot wait within bounds.
    fn bound_waiting(&mut self, conn: ConnId, host: &mut dyn Host) -> Served {
        let limits = &self.core.config.limits;
        let bound = limits.max_head + limits.max_body;
        let buffered = self
            .connections
            .get(&conn)
            .map_or(0, |connection| connection.parser.buffered());
        if buffered <= bound {
            return Served::Waiting;
        }
        self.close(conn, host);
        Served::Closed
    }

    /// Answers one request; returns the frames after it if it began a session.
    fn answer(
        &mut self,
        conn: ConnId,
        request: &Request,
        now: Instant,
        host: &mut dyn Host,
    ) -> Option<Vec<u8>> {
        let connection = self.connections.get_mut(&conn)?;
        let core = &mut self.core;
        let Outcome { response, then } = Call {
            core,
            connection: &mut *connection,
            request,
            now,
            host: &mut *host,
        }
        .answer();
        match response {
            Some(response) => self.respond(conn, &response),
            None => {
                connection.snapshot.deadline = Some(now + self.core.config.limits.resource_timeout);
                connection.snapshot.close = request.close;
            }
        }
        if request.close && !self.is_waiting(conn) {
            self.close(conn, host);
        }
        match then {
            Then::GoOn => None,
            Then::Revoke(ids) => {
                self.revoke(&ids, now);
                None
            }
            Then::Secure(session) => {
                let connection = self.connections.get_mut(&conn)?;
                connection.session = Some(*session);
                Some(connection.parser.take_rest())
            }
        }
    }

    fn is_waiting(&self, conn: ConnId) -> bool {
        self.connections
            .get(&conn)
            .is_some_and(Connection::is_waiting)
    }

    fn respond(&mut self, conn: ConnId, response: &Response) {
        if let Some(connection) = self.connections.get_mut(&conn) {
            let bytes = connection.encode(response.to_bytes());
            self.output.push_back(Output::Send { conn, bytes });
        }
    }

    /// What follows a malformed request cannot be read, so the connection ends.
    fn refuse(&mut self, conn: ConnId, error: HttpError, host: &mut dyn Host) {
        let (http, status) = match error {
            HttpError::HeadTooLarge { .. } => (431, Status::OutOfResources),
            HttpError::BodyTooLarge { .. } => (413, Status::OutOfResources),
            HttpError::Malformed => (400, Status::InvalidValue),
        };
        self.respond(conn, &Response::status(http, status));
        self.close(conn, host);
    }

    fn answer_snapshot(
        &mut self,
        conn: ConnId,
        result: Result<Vec<u8>, Status>,
        now: Instant,
        host: &mut dyn Host,
    ) {
        let Some(connection) = self.connections.get_mut(&conn) else {
            return;
        };
        if connection.snapshot.deadline.take().is_none() {
            return;
        }
        let close = connection.snapshot.close;
        self.respond(conn, &resource::response(result));
        if close {
            return self.close(conn, host);
        }
        self.serve(conn, now, host);
        self.rest(conn, now);
    }

    /// Ends the sessions of these controllers a moment later, so that the response arrives.
    fn revoke(&mut self, ids: &[String], now: Instant) {
        let at = now + self.core.config.limits.teardown_delay;
        for connection in self.connections.values_mut() {
            let removed = connection
                .controller()
                .is_some_and(|id| ids.iter().any(|gone| gone == id));
            if removed && connection.revoked.is_none() {
                connection.revoked = Some(at);
                connection.events.clear();
            }
        }
    }

    fn expired(&self, conn: ConnId, now: Instant) -> Option<Expiry> {
        let connection = self.connections.get(&conn)?;
        let deadlines = connection.deadlines(&self.core.config.limits);
        let first = deadlines.min_by_key(|(at, _)| *at)?;
        (first.0 <= now).then_some(first.1)
    }

    fn expire(&mut self, conn: ConnId, expiry: Expiry, now: Instant, host: &mut dyn Host) {
        let Some(connection) = self.connections.get_mut(&conn) else {
            return;
        };
        match expiry {
            Expiry::Close => self.close(conn, host),
            Expiry::Events => self.output.extend(events(connection, now)),
            Expiry::Snapshot => {
                connection.snapshot.overdue += 1;
                self.answer_snapshot(conn, Err(Status::Timeout), now, host);
            }
        }
    }

    fn close(&mut self, conn: ConnId, host: &mut dyn Host) {
        self.output.push_back(Output::Close { conn });
        self.forget(conn, host);
    }

    fn forget(&mut self, conn: ConnId, host: &mut dyn Host) {
        self.connections.remove(&conn);
        self.core.setup.release(conn);
        host.connection_closed(conn);
    }
}

/// The events of a connection that are due and may go out.
fn events(connection: &mut Connection, now: Instant) -> Option<Output> {
    if !connection.is_between_messages() {
        return None;
    }
    let message = connection.events.take(now)?;
    let (conn, bytes) = (connection.id, connection.encode(message));
    Some(Output::Send { conn, bytes })
}
