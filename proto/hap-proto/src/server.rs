//! The accessory server.

use std::collections::VecDeque;
use std::time::Instant;

use crate::database::Database;
use crate::host::{CharId, ConnId, Host, StoreError};
use crate::identity::Identity;
use crate::limits::Limits;
use crate::pairings::PairingState;
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
    config: ServerConfig,
    pairings: PairingState,
    database: Database,
    output: VecDeque<Output>,
}

impl Server {
    /// A server without connections.
    pub fn new(config: ServerConfig, pairings: PairingState, database: Database) -> Self {
        Self {
            config,
            pairings,
            database,
            output: VecDeque::new(),
        }
    }

    /// A connection was accepted. It may displace the least recently active one.
    pub fn connected(&mut self, conn: ConnId, now: Instant, host: &mut dyn Host) {
        let _ = (conn, now, host, &self.config, &self.database);
    }

    /// Bytes arrived.
    pub fn input(&mut self, conn: ConnId, bytes: &[u8], now: Instant, host: &mut dyn Host) {
        let _ = (conn, bytes, now, host);
    }

    /// The socket went away. Does nothing if the server closed the connection itself.
    pub fn disconnected(&mut self, conn: ConnId, now: Instant, host: &mut dyn Host) {
        let _ = (conn, now, host);
    }

    /// The time of [`Server::poll_timeout`] has come.
    pub fn timeout(&mut self, now: Instant, host: &mut dyn Host) {
        let _ = (now, host);
    }

    /// When [`Server::timeout`] has to be called next; changes with every other call.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
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
        let _ = (conn, result, now, host);
    }

    /// A value changed: tells every subscriber but `origin`, the connection that wrote it.
    pub fn notify(&mut self, id: CharId, value: Value, origin: Option<ConnId>, now: Instant) {
        let _ = (id, value, origin, now);
    }

    /// Removes all pairings and closes all sessions, as a reset does.
    ///
    /// # Errors
    /// The empty state was not stored; nothing has changed.
    pub fn remove_all_pairings(
        &mut self,
        now: Instant,
        host: &mut dyn Host,
    ) -> Result<(), StoreError> {
        let _ = (now, host);
        Ok(())
    }

    /// Whether a controller is paired.
    pub fn is_paired(&self) -> bool {
        !self.pairings.pairings.is_empty()
    }

    /// The pairings.
    pub fn pairings(&self) -> &PairingState {
        &self.pairings
    }
}
