//! Sessions that were set up over HAP and wait for their TCP connection.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::SessionKeys;
use crate::frame::{Frame, Opener, Payload};

/// How long a session waits for its connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How many sessions wait at a time.
pub const MAX_PENDING: usize = 32;

/// The sessions of an accessory that wait for a connection.
///
/// A TCP connection does not say which session it belongs to: its first frame decrypts with the keys
/// of just one. The `token` is the program's own name for a session.
#[derive(Debug, Default)]
pub struct Pending {
    /// In order of their deadlines.
    sessions: VecDeque<Session>,
}

#[derive(Debug)]
struct Session {
    token: u64,
    keys: SessionKeys,
    deadline: Instant,
}

/// What the first frame of a connection tells.
pub(crate) struct Claimed {
    pub(crate) token: u64,
    pub(crate) keys: SessionKeys,
    pub(crate) opener: Opener,
    pub(crate) payload: Payload,
}

impl Pending {
    /// No sessions; this allocates nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// A session was set up. The oldest one gives way if [`MAX_PENDING`] wait already; its token is
    /// returned.
    pub fn add(&mut self, token: u64, keys: SessionKeys, now: Instant) -> Option<u64> {
        let displaced = if self.sessions.len() < MAX_PENDING {
            None
        } else {
            self.sessions.pop_front()
        };
        self.sessions.push_back(Session {
            token,
            keys,
            deadline: now + CONNECT_TIMEOUT,
        });
        displaced.map(|session| session.token)
    }

    /// A session is no longer wanted: the HAP connection that set it up has gone. Returns whether it
    /// waited.
    pub fn remove(&mut self, token: u64) -> bool {
        let before = self.sessions.len();
        self.sessions.retain(|session| session.token != token);
        self.sessions.len() < before
    }

    /// How many sessions wait.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// When [`timeout`](Self::timeout) has to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.sessions.front().map(|session| session.deadline)
    }

    /// Forgets the sessions for which no connection came in time, and returns their tokens.
    #[must_use]
    pub fn timeout(&mut self, now: Instant) -> Vec<u64> {
        let late = self.sessions.iter().take_while(|s| s.deadline <= now);
        let count = late.count();
        self.sessions.drain(..count).map(|s| s.token).collect()
    }

    /// Finds the session with whose keys `frame` was made; it waits no longer.
    pub(crate) fn claim(&mut self, mut frame: Frame, now: Instant) -> Option<Claimed> {
        for at in 0..self.sessions.len() {
            let session = &self.sessions[at];
            if session.deadline <= now {
                continue;
            }
            let mut opener = Opener::new(session.keys.controller_to_accessory());
            match opener.try_open(frame) {
                Ok(payload) => return self.claimed(at, opener, payload),
                Err(unchanged) => frame = unchanged,
            }
        }
        None
    }

    fn claimed(&mut self, at: usize, opener: Opener, payload: Payload) -> Option<Claimed> {
        let Session { token, keys, .. } = self.sessions.remove(at)?;
        Some(Claimed {
            token,
            keys,
            opener,
            payload,
        })
    }
}
