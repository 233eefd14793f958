//! Time between attempts to reach a peer.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);

/// Doubles from 1 s to a longest time.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    pub(super) const fn up_to(longest: Duration) -> Self {
        Self {
            next: FIRST,
            longest,
        }
    }

    /// Time to wait after a failure, between half of it and all of it: many cameras that lost one peer do not come back
    /// in step.
    pub(super) fn after_failure(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(self.longest);
        let mut byte = [0];
        crate::random::fill(&mut byte);
        wait / 2 + wait / 2 * u32::from(byte[0]) / 255
    }

    pub(super) const fn success(&mut self) {
        self.next = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_to_its_limit_and_starts_over() {
        let mut backoff = Backoff::up_to(Duration::from_secs(30));
        for longest in [1, 2, 4, 8, 16, 30, 30] {
            let longest = Duration::from_secs(longest);
            let wait = backoff.after_failure();
            assert!(
                wait <= longest && wait >= longest / 2,
                "{wait:?} {longest:?}"
            );
        }
        backoff.success();
        assert!(backoff.after_failure() <= FIRST);
    }
}
