//! Requests of this end that wait for their answer.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long the peer may take for an answer.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

/// What a request was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Hello,
    Open { stream_id: i64 },
    Other,
}

#[derive(Debug, Default)]
pub(crate) struct Requests {
    last_id: i64,
    /// Identifier, deadline and purpose, in order of the deadlines.
    waiting: VecDeque<(i64, Instant, Purpose)>,
}

impl Requests {
    /// A new request; returns its identifier.
    pub(crate) fn add(&mut self, purpose: Purpose, now: Instant) -> i64 {
        self.last_id += 1;
        let deadline = now + RESPONSE_TIMEOUT;
        self.waiting.push_back((self.last_id, deadline, purpose));
        self.last_id
    }

    /// The answer to request `id` came.
    pub(crate) fn answered(&mut self, id: i64) -> Option<Purpose> {
        let at = self.waiting.iter().position(|(i, ..)| *i == id)?;
        self.waiting.remove(at).map(|(.., purpose)| purpose)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.waiting.front().map(|(_, deadline, _)| *deadline)
    }

    /// The next request whose answer is late.
    pub(crate) fn late(&mut self, now: Instant) -> Option<(i64, Purpose)> {
        if self.poll_timeout()? > now {
            return None;
        }
        self.waiting.pop_front().map(|(id, _, what)| (id, what))
    }
}
