//! Timed writes: `PUT /prepare`, then `PUT /characteristics` with the same `pid` in time.

use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::http::Response;
use crate::status::Status;

/// Nobody needs longer; keeps the addition to the clock from overflowing.
const MAX_TTL: Duration = Duration::from_secs(3600);

/// The body of `PUT /prepare`.
#[derive(Deserialize)]
struct Prepare {
    /// Milliseconds.
    ttl: u64,
    pid: u64,
}

/// The one timed write a connection may have prepared.
#[derive(Debug, Default)]
pub(crate) struct TimedWrite {
    prepared: Option<(u64, Instant)>,
}

impl TimedWrite {
    /// Answers `PUT /prepare`; a second one replaces the first.
    pub(crate) fn prepare(&mut self, body: &[u8], now: Instant) -> Response {
        let Ok(Prepare { ttl, pid }) = serde_json::from_slice(body) else {
            return Response::status(400, Status::InvalidValue);
        };
        let ttl = Duration::from_millis(ttl).min(MAX_TTL);
        self.prepared = Some((pid, now + ttl));
        Response::status(200, Status::Success)
    }

    /// Whether a write with this `pid` is the prepared one and in time. Uses the preparation up.
    pub(crate) fn take(&mut self, pid: u64, now: Instant) -> bool {
        let prepared = self.prepared.take();
        prepared.is_some_and(|(expected, deadline)| pid == expected && now <= deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(body: &[u8], now: Instant) -> TimedWrite {
        let mut write = TimedWrite::default();
        assert_eq!(
            write.prepare(body, now),
            Response::status(200, Status::Success)
        );
        write
    }

    #[test]
    fn right_pid_in_time_once() {
        let now = Instant::now();
        let body = br#"{"ttl":2500,"pid":18446744073709551615}"#;
        let late = now + Duration::from_millis(2501);
        assert!(!prepared(body, now).take(u64::MAX, late));
        assert!(!prepared(body, now).take(1, now));
        let mut write = prepared(body, now);
        assert!(write.take(u64::MAX, now + Duration::from_millis(2500)));
        assert!(!write.take(u64::MAX, now));
    }

    #[test]
    fn malformed_and_extreme_bodies() {
        let now = Instant::now();
        let bad = Response::status(400, Status::InvalidValue);
        for body in [
            &b""[..],
            b"{}",
            b"{\"ttl\":1}",
            b"{\"ttl\":-1,\"pid\":1}",
            b"[1,2",
            b"{\"ttl\":1,\"pid\":1.5}",
        ] {
            assert_eq!(TimedWrite::default().prepare(body, now), bad);
        }
        assert!(prepared(br#"{"ttl":18446744073709551615,"pid":1}"#, now).take(1, now));
    }
}
