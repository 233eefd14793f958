use std::time::{Duration, Instant};

use crate::Cause;

/// Decides which requests for a key frame reach the encoder (HAP R1 §11.4.1, figure 11-1).
///
/// - A picture loss within two round trips of the last key frame is one that key frame repairs: it
///   is dropped (drawings 3 and 4).
/// - While a key frame is on its way, further requests are dropped (drawing 5). A request that the
///   encoder never answers stands in the way for two seconds only.
/// - With an interval, key frames are asked for periodically, an interval after the last one,
///   whatever caused that (drawings 1 and 2).
#[derive(Debug, Default)]
pub struct KeyFrameGate {
    outstanding_since: Option<Instant>,
    last_sent: Option<Instant>,
    interval: Option<Duration>,
}

const PATIENCE: Duration = Duration::from_secs(2);

/// Shortest interval between periodic key frames: every frame of a fast camera.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

impl KeyFrameGate {
    /// Asks for periodic key frames, or with `None` leaves them to the encoder.
    pub fn set_interval(&mut self, interval: Option<Duration>) {
        self.interval = interval.map(|i| i.max(SHORTEST_INTERVAL));
    }

    /// Whether to ask the encoder for a key frame now.
    pub fn request(&mut self, cause: Cause, round_trip: Option<Duration>, now: Instant) -> bool {
        let repaired = cause == Cause::PictureLoss && self.is_fresh(round_trip, now);
        if repaired || self.is_waiting(now) {
            return false;
        }
        self.outstanding_since = Some(now);
        true
    }

    /// A key frame has left.
    pub fn key_frame_sent(&mut self, now: Instant) {
        self.outstanding_since = None;
        self.last_sent = Some(now);
    }

    /// No key frame is on its way any more; the periodic ones begin again after the next.
    pub fn reset(&mut self) {
        self.outstanding_since = None;
        self.last_sent = None;
    }

    /// When [`is_periodic_due`](Self::is_periodic_due) becomes true.
    pub fn deadline(&self) -> Option<Instant> {
        let due = self.last_sent?.checked_add(self.interval?)?;
        let patience = self.outstanding_since.map(|since| since + PATIENCE);
        Some(patience.map_or(due, |end| due.max(end)))
    }

    /// Whether a periodic key frame is to be requested.
    pub fn is_periodic_due(&self, now: Instant) -> bool {
        self.deadline().is_some_and(|due| due <= now)
    }

    /// Whether a loss that is told now happened before the last key frame arrived.
    fn is_fresh(&self, round_trip: Option<Duration>, now: Instant) -> bool {
        let age = self.last_sent.map(|at| now.saturating_duration_since(at));
        matches!((age, round_trip), (Some(age), Some(trip)) if age < 2 * trip)
    }

    fn is_waiting(&self, now: Instant) -> bool {
        self.outstanding_since
            .is_some_and(|since| now.saturating_duration_since(since) < PATIENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIP: Option<Duration> = Some(Duration::from_millis(100));

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_second_request_before_the_key_frame_is_dropped() {
        let start = Instant::now();
        let mut gate = KeyFrameGate::default();
        assert!(gate.request(Cause::PictureLoss, TRIP, start));
        assert!(!gate.request(Cause::PictureLoss, TRIP, start + ms(10)));
        assert!(!gate.request(Cause::FullIntraRequest, TRIP, start + ms(10)));
        gate.key_frame_sent(start + ms(20));
        assert!(gate.request(Cause::PictureLoss, TRIP, start + ms(220)));
    }

    #[test]
    fn an_encoder_that_does_not_answer_is_asked_again() {
        let start = Instant::now();
        let mut gate = KeyFrameGate::default();
        let mut pli = |at| gate.request(Cause::PictureLoss, TRIP, start + ms(at));
        assert!(pli(0));
        assert!(!pli(1999));
        assert!(pli(2000));
        assert!(!pli(3000));
    }

    #[test]
    fn only_picture_losses_are_repaired_by_the_last_key_frame() {
        let start = Instant::now();
        let mut gate = KeyFrameGate::default();
        gate.key_frame_sent(start);
        assert!(!gate.request(Cause::PictureLoss, TRIP, start + ms(199)));
        assert!(gate.request(Cause::FullIntraRequest, TRIP, start + ms(199)));
        gate.key_frame_sent(start);
        assert!(gate.request(Cause::PictureLoss, None, start + ms(1)));
    }

    #[test]
    fn periodic_requests_wait_for_the_first_key_frame_and_for_patience() {
        let start = Instant::now();
        let mut gate = KeyFrameGate::default();
        gate.set_interval(Some(ms(500)));
        assert_eq!(gate.deadline(), None);
        gate.key_frame_sent(start);
        assert_eq!(gate.deadline(), Some(start + ms(500)));
        assert!(!gate.is_periodic_due(start + ms(499)));
        assert!(gate.is_periodic_due(start + ms(500)));
        assert!(gate.request(Cause::Periodic, TRIP, start + ms(500)));
        assert_eq!(gate.deadline(), Some(start + ms(2500)));
        gate.reset();
        assert_eq!(gate.deadline(), None);
    }

    #[test]
    fn an_interval_of_nothing_is_no_busy_loop() {
        let start = Instant::now();
        let mut gate = KeyFrameGate::default();
        gate.set_interval(Some(Duration::ZERO));
        gate.key_frame_sent(start);
        assert!(gate.deadline().unwrap() > start);
    }
}
