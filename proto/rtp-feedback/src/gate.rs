use std::time::{Duration, Instant};

/// Lets one key frame request through at a time: further ones are dropped until a key frame has
/// left (HAP R1 §11.4.1, figure 11-1, drawing 5).
///
/// A request that the encoder never answers stands in the way for two seconds only.
#[derive(Debug, Default)]
pub struct KeyFrameGate {
    outstanding_since: Option<Instant>,
}

const PATIENCE: Duration = Duration::from_secs(2);

impl KeyFrameGate {
    /// Whether to ask the encoder for a key frame now.
    pub fn request(&mut self, now: Instant) -> bool {
        let waiting = self
            .outstanding_since
            .is_some_and(|since| now.saturating_duration_since(since) < PATIENCE);
        if !waiting {
            self.outstanding_since = Some(now);
        }
        !waiting
    }

    /// A key frame has left.
    pub fn key_frame_sent(&mut self) {
        self.reset();
    }

    /// No key frame is on its way any more.
    pub fn reset(&mut self) {
        self.outstanding_since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_request_before_the_key_frame_is_dropped() {
        let start = Instant::now();
        let mut gate = KeyFrameGate::default();
        assert!(gate.request(start));
        assert!(!gate.request(start + Duration::from_millis(10)));
        gate.key_frame_sent();
        assert!(gate.request(start + Duration::from_millis(20)));
    }

    #[test]
    fn an_encoder_that_does_not_answer_is_asked_again() {
        let start = Instant::now();
        let mut gate = KeyFrameGate::default();
        assert!(gate.request(start));
        assert!(!gate.request(start + Duration::from_millis(1999)));
        assert!(gate.request(start + Duration::from_secs(2)));
        assert!(!gate.request(start + Duration::from_secs(3)));
    }
}
