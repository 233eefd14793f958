//! One TCP connection.

use std::time::Instant;

use zeroize::Zeroizing;

use crate::events::Events;
use crate::host::{ConnContext, ConnId};
use crate::http::{HttpLimits, RequestParser};
use crate::limits::Limits;
use crate::pair_setup::PairSetup;
use crate::pair_verify::PairVerify;
use crate::pairings::PairingState;
use crate::record::RecordError;
use crate::session::{Peer, Session};
use crate::timed_write::TimedWrite;

/// A connection and all that ends with it.
pub(crate) struct Connection {
    pub(crate) id: ConnId,
    pub(crate) parser: RequestParser,
    pub(crate) pair_setup: PairSetup,
    pub(crate) pair_verify: PairVerify,
    pub(crate) session: Option<Session>,
    pub(crate) events: Events,
    pub(crate) timed_write: TimedWrite,
    /// The snapshot the connection waits for.
    pub(crate) snapshot: Snapshot,
    /// When bytes came last.
    pub(crate) last_active: Instant,
    /// Since when a request is incomplete.
    pub(crate) partial_since: Option<Instant>,
    /// The controller's pairing was removed: the connection ends then and serves nothing until then.
    pub(crate) revoked: Option<Instant>,
}

/// The snapshot a connection waits for.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    /// Until when it waits; `None` if it does not.
    pub(crate) deadline: Option<Instant>,
    /// The connection ends after the answer.
    pub(crate) close: bool,
    /// Answers the host still owes for snapshots that took too long.
    pub(crate) overdue: usize,
}

/// What a request may touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Not encrypted.
    Unverified,
    /// Encrypted, but not a paired controller.
    Transient,
    /// A paired controller.
    Verified,
    /// A controller whose pairing was removed.
    Revoked,
}

/// What a connection's time limits lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// The connection ends.
    Close,
    /// The host took too long for a snapshot.
    Snapshot,
    /// Events go out.
    Events,
}

impl Connection {
    /// A connection that was just accepted.
    pub(crate) fn new(id: ConnId, now: Instant, limits: &Limits) -> Self {
        let http = HttpLimits {
            head: limits.max_head,
            body: limits.max_body,
        };
        Self {
            id,
            parser: RequestParser::new(http),
            pair_setup: PairSetup::default(),
            pair_verify: PairVerify::default(),
            session: None,
            events: Events::new(limits.max_events),
            timed_write: TimedWrite::default(),
            snapshot: Snapshot::default(),
            last_active: now,
            partial_since: None,
            revoked: None,
        }
    }

    /// What the connection may do.
    pub(crate) fn access(&self) -> Access {
        match &self.session {
            _ if self.revoked.is_some() => Access::Revoked,
            None => Access::Unverified,
            Some(session) => match session.peer {
                Peer::Transient => Access::Transient,
                Peer::Controller { .. } => Access::Verified,
            },
        }
    }

    /// The pairing identifier of the controller.
    pub(crate) fn controller(&self) -> Option<&str> {
        match &self.session.as_ref()?.peer {
            Peer::Controller { id, .. } => Some(id),
            Peer::Transient => None,
        }
    }

    /// What the host is told of the connection.
    pub(crate) fn context<'a>(&'a self, pairings: &PairingState) -> ConnContext<'a> {
        context(self.id, self.session.as_ref(), pairings)
    }

    /// Takes one piece off the front of `input`: a frame of a session, or some plain bytes. False
    /// once nothing is left to take.
    ///
    /// # Errors
    /// The bytes are not from this session.
    pub(crate) fn absorb(&mut self, input: &mut &[u8]) -> Result<bool, RecordError> {
        const PIECE: usize = 4096;
        if let Some(session) = &mut self.session {
            let frame = session.opener.next(input)?.map(Zeroizing::new);
            frame
                .iter()
                .for_each(|plaintext| self.parser.push(plaintext));
            return Ok(frame.is_some());
        }
        let (piece, rest) = input.split_at(input.len().min(PIECE));
        self.parser.push(piece);
        *input = rest;
        Ok(!piece.is_empty())
    }

    /// The bytes to send for `message`.
    pub(crate) fn encode(&mut self, message: Vec<u8>) -> Vec<u8> {
        match &mut self.session {
            Some(session) => session.sealer.seal(&message),
            None => message,
        }
    }

    /// Whether the connection waits for a snapshot.
    pub(crate) fn is_waiting(&self) -> bool {
        self.snapshot.deadline.is_some()
    }

    /// Whether an event may go out: between messages only.
    pub(crate) fn is_between_messages(&self) -> bool {
        !self.is_waiting() && !self.is_receiving()
    }

    fn is_receiving(&self) -> bool {
        let frame = self
            .session
            .as_ref()
            .is_some_and(|session| session.opener.is_partial());
        frame || self.parser.is_partial()
    }

    /// Notes since when a request is incomplete. The time runs anew once a request was complete, and
    /// not while the connection waits for the host.
    pub(crate) fn update_partial(&mut self, now: Instant, progressed: bool) {
        let since = self.partial_since.filter(|_| !progressed).unwrap_or(now);
        let incomplete = self.is_receiving() && !self.is_waiting();
        self.partial_since = incomplete.then_some(since);
    }

    /// Everything that will happen if nothing else does.
    pub(crate) fn deadlines(&self, limits: &Limits) -> impl Iterator<Item = (Instant, Expiry)> {
        let close = |at| (at, Expiry::Close);
        let events = self.events.due().filter(|_| self.is_between_messages());
        [
            self.revoked.map(close),
            self.partial_since
                .map(|since| close(since + limits.request_timeout)),
            self.idle_deadline(limits).map(close),
            self.snapshot.deadline.map(|at| (at, Expiry::Snapshot)),
            events.map(|at| (at, Expiry::Events)),
        ]
        .into_iter()
        .flatten()
    }

    /// Verified connections may be silent for hours.
    fn idle_deadline(&self, limits: &Limits) -> Option<Instant> {
        let idle = match self.access() {
            Access::Verified | Access::Revoked => return None,
            _ if self.pair_setup.is_under_way() => limits.pair_setup_idle,
            _ => limits.unverified_idle,
        };
        Some(self.last_active + idle)
    }
}

/// [`Connection::context`], for when other parts of the connection are borrowed.
pub(crate) fn context<'a>(
    id: ConnId,
    session: Option<&'a Session>,
    pairings: &PairingState,
) -> ConnContext<'a> {
    let (controller, shared_secret) = match session.map(|session| &session.peer) {
        Some(Peer::Controller { id, shared_secret }) => (Some(id.as_str()), Some(&**shared_secret)),
        Some(Peer::Transient) | None => (None, None),
    };
    let admin = controller.is_some_and(|id| pairings.is_admin(id));
    ConnContext {
        id,
        controller,
        admin,
        shared_secret,
    }
}
