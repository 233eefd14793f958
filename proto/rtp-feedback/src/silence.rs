use std::time::{Duration, Instant};

/// Notices that nothing was heard for long.
///
/// HomeKit controllers report about twice a second; one that was silent for 30 s is gone.
#[derive(Debug)]
pub struct Silence {
    timeout: Option<Duration>,
    heard: Instant,
    told: bool,
}

impl Silence {
    /// Starts to listen at `now`; without `timeout` nothing is ever too long.
    pub fn new(timeout: Option<Duration>, now: Instant) -> Self {
        Self {
            timeout,
            heard: now,
            told: false,
        }
    }

    /// Changes the timeout.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout;
        self.told = false;
    }

    /// Something was heard.
    pub fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.told = false;
    }

    /// When the silence will have lasted too long; `None` if that was told already.
    pub fn deadline(&self) -> Option<Instant> {
        let timeout = self.timeout.filter(|_| !self.told)?;
        self.heard.checked_add(timeout)
    }

    /// How long it has been silent, once per silence that is too long.
    pub fn check(&mut self, now: Instant) -> Option<Duration> {
        if now < self.deadline()? {
            return None;
        }
        self.told = true;
        Some(now.saturating_duration_since(self.heard))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(30);

    #[test]
    fn each_silence_is_told_once() {
        let start = Instant::now();
        let mut silence = Silence::new(Some(TIMEOUT), start);
        assert_eq!(
            silence.check(start + TIMEOUT - Duration::from_nanos(1)),
            None
        );
        assert_eq!(silence.check(start + TIMEOUT), Some(TIMEOUT));
        assert_eq!(silence.check(start + 2 * TIMEOUT), None);
        assert_eq!(silence.deadline(), None);
        silence.heard(start + 3 * TIMEOUT);
        assert_eq!(silence.deadline(), Some(start + 4 * TIMEOUT));
        assert_eq!(silence.check(start + 5 * TIMEOUT), Some(2 * TIMEOUT));
    }

    #[test]
    fn without_timeout_silence_is_never_too_long() {
        let start = Instant::now();
        let mut silence = Silence::new(None, start);
        assert_eq!(silence.deadline(), None);
        assert_eq!(silence.check(start + 1000 * TIMEOUT), None);
    }
}
