//! Bounds on what a peer may take.

use std::time::Duration;

/// Bounds of a [`Server`](crate::Server).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time, at least 8 (HAP R1 §5.2.3). One more displaces another one.
    pub max_connections: usize,
    /// Pairings, at least 16 (HAP R1 §4.11.2).
    pub max_pairings: usize,
    /// Bytes of a request's body.
    pub max_body: usize,
    /// Bytes of a request's head.
    pub max_head: usize,
    /// Events that wait on one connection.
    pub max_events: usize,
    /// How long a request may take to arrive.
    pub request_timeout: Duration,
    /// How long a connection that is not verified may be silent.
    pub unverified_idle: Duration,
    /// How long a connection may be silent within Pair Setup: someone reads and types the code.
    pub pair_setup_idle: Duration,
    /// After what time another connection may take Pair Setup over.
    pub pair_setup_stall: Duration,
    /// How long the host may take for a snapshot; iOS gives up after about 10 s.
    pub resource_timeout: Duration,
    /// How long events are collected before they go out together.
    pub event_delay: Duration,
    /// How long the connections of a removed controller stay open for the response to arrive.
    pub teardown_delay: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 32,
            max_pairings: 16,
            max_body: 64 * 1024,
            max_head: 16 * 1024,
            max_events: 256,
            request_timeout: Duration::from_secs(30),
            unverified_idle: Duration::from_secs(60),
            pair_setup_idle: Duration::from_secs(600),
            pair_setup_stall: Duration::from_secs(30),
            resource_timeout: Duration::from_secs(9),
            event_delay: Duration::from_millis(250),
            teardown_delay: Duration::from_millis(10),
        }
    }
}
