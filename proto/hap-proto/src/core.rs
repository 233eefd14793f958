//! What all connections share.

use std::time::{Duration, Instant};

use crate::database::Database;
use crate::host::{ConnId, Host, StoreError};
use crate::http::Response;
use crate::pairings::PairingState;
use crate::server::ServerConfig;
use crate::session::Session;

/// The server without its connections.
pub(crate) struct Core {
    pub(crate) config: ServerConfig,
    pub(crate) pairings: PairingState,
    pub(crate) database: Database,
    pub(crate) setup: SetupLock,
}

impl Core {
    /// Changes the pairings: stores the new state first and takes it over only if that succeeds.
    ///
    /// # Errors
    /// The host could not store it.
    pub(crate) fn change_pairings(
        &mut self,
        host: &mut dyn Host,
        change: impl FnOnce(&mut PairingState),
    ) -> Result<(), StoreError> {
        let mut state = self.pairings.clone();
        change(&mut state);
        host.store(&state)?;
        let (before, after) = (self.pairings.is_paired(), state.is_paired());
        self.pairings = state;
        if before != after {
            host.pairing_changed(after);
        }
        Ok(())
    }
}

/// Pair Setup is for one connection at a time.
#[derive(Debug, Default)]
pub(crate) struct SetupLock {
    owner: Option<(ConnId, Instant)>,
    /// A transient and split Pair Setup succeeded, so that one with the flag Split may follow.
    pub(crate) split_allowed: bool,
}

impl SetupLock {
    /// Gives Pair Setup to `conn` unless another connection began less than `stall` ago.
    pub(crate) fn acquire(&mut self, conn: ConnId, now: Instant, stall: Duration) -> bool {
        let busy = self.owner.is_some_and(|(owner, started)| {
            owner != conn && now.saturating_duration_since(started) < stall
        });
        if !busy {
            self.owner = Some((conn, now));
        }
        !busy
    }

    /// Whether `conn` has Pair Setup.
    pub(crate) fn is_owned_by(&self, conn: ConnId) -> bool {
        self.owner.is_some_and(|(owner, _)| owner == conn)
    }

    /// Ends the Pair Setup of `conn`.
    pub(crate) fn release(&mut self, conn: ConnId) {
        if self.is_owned_by(conn) {
            self.owner = None;
        }
    }
}

/// What a request leads to.
pub(crate) struct Outcome {
    /// The response; `None` if it comes later.
    pub(crate) response: Option<Response>,
    /// What happens once the response is on its way.
    pub(crate) then: Then,
}

/// What happens after a response.
pub(crate) enum Then {
    /// Nothing.
    GoOn,
    /// The session begins.
    Secure(Box<Session>),
    /// The sessions of these controllers end.
    Revoke(Vec<String>),
}

impl From<Response> for Outcome {
    fn from(response: Response) -> Self {
        Self {
            response: Some(response),
            then: Then::GoOn,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALL: Duration = Duration::from_secs(30);

    #[test]
    fn stalled_pair_setup_is_displaced_after_30_seconds() {
        let (mut lock, start) = (SetupLock::default(), Instant::now());
        assert!(lock.acquire(ConnId(1), start, STALL));
        assert!(!lock.acquire(ConnId(2), start + STALL - Duration::from_millis(1), STALL));
        assert!(lock.is_owned_by(ConnId(1)));
        assert!(lock.acquire(ConnId(2), start + STALL, STALL));
        assert!(!lock.is_owned_by(ConnId(1)));
        lock.release(ConnId(1));
        assert!(lock.is_owned_by(ConnId(2)));
    }

    #[test]
    fn restart_on_the_same_connection_starts_the_time_again() {
        let (mut lock, start) = (SetupLock::default(), Instant::now());
        assert!(lock.acquire(ConnId(1), start, STALL));
        assert!(lock.acquire(ConnId(1), start + STALL, STALL));
        assert!(!lock.acquire(ConnId(2), start + STALL, STALL));
    }
}
