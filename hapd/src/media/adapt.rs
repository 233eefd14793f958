//! How much a viewer's network takes: what it asked for, what it caps, and what it loses.

use std::time::{Duration, Instant};

/// Loss above which the bitrate goes down, and below which it comes back.
const MUCH: f64 = 0.10;
const LITTLE: f64 = 0.02;
/// Reports in a row that have to agree on much loss: one may be a hiccup.
const AGREEING: u32 = 2;
/// Time without loss before the bitrate comes back; doubled each time that proves too early.
const PATIENCE: Duration = Duration::from_secs(8);
const LONGEST_PATIENCE: Duration = Duration::from_secs(120);
/// A loss that soon after a rise was caused by it.
const TRIAL: Duration = Duration::from_secs(15);
/// Percent of a limit that is left for the encoder: the limit counts headers (RFC 5104 §4.2.1), and bitrates sway.
const PAYLOAD_SHARE: u64 = 85;
/// Below this there is no picture worth the name.
const LEAST: u64 = 60_000;

/// The limits on one viewer's video, in bits per second.
#[derive(Debug)]
pub(super) struct Adaptation {
    /// By Start or Reconfigure; `None`: no wish.
    requested: Option<u64>,
    /// By TMMBR.
    cap: Option<u64>,
    loss: Loss,
}

/// What the controller's reports of loss make of it.
#[derive(Debug)]
struct Loss {
    limit: Option<u64>,
    agreeing: u32,
    quiet_since: Option<Instant>,
    patience: Duration,
    raised: Option<Instant>,
}

impl Adaptation {
    /// Nothing known but the wish of the controller, in kbit/s; 0 = none.
    pub(super) fn new(requested_kbps: u32) -> Self {
        let mut this = Self {
            requested: None,
            cap: None,
            loss: Loss {
                limit: None,
                agreeing: 0,
                quiet_since: None,
                patience: PATIENCE,
                raised: None,
            },
        };
        this.request(requested_kbps);
        this
    }

    /// The controller's wish changes, in kbit/s; 0 = none. What its losses said is void, its cap is not.
    pub(super) fn request(&mut self, kbps: u32) {
        self.requested = (kbps != 0).then(|| u64::from(kbps) * 1000);
        self.loss.limit = None;
    }

    /// A TMMBR; 0 lifts it.
    pub(super) fn cap(&mut self, bits_per_second: u32) {
        self.cap = (bits_per_second != 0).then_some(bits_per_second.into());
    }

    /// A report of the controller: the share lost, of the `sending` bits per second.
    pub(super) fn report(&mut self, lost: f64, sending: u64, now: Instant) {
        self.loss.report(lost, sending, now);
        let ceiling = self.cap.or(self.requested);
        if ceiling.is_some_and(|ceiling| self.loss.limit.is_some_and(|limit| limit >= ceiling)) {
            self.loss.limit = None;
        }
    }

    /// What must not be exceeded, if the network has told.
    pub(super) fn hard(&self) -> Option<u64> {
        let limits = [self.cap, self.loss.limit];
        limits
            .into_iter()
            .flatten()
            .min()
            .map(|limit| limit.max(LEAST))
    }

    /// What the controller asked for.
    pub(super) fn requested(&self) -> Option<u64> {
        self.requested
    }

    /// What an encoder is set to, where `usual` would do without any limit.
    pub(super) fn target(&self, usual: u64) -> u64 {
        let wanted = self.requested.unwrap_or(usual);
        let allowed = self.hard().map(|hard| hard / 100 * PAYLOAD_SHARE);
        allowed.map_or(wanted, |allowed| allowed.min(wanted))
    }
}

impl Loss {
    fn report(&mut self, lost: f64, sending: u64, now: Instant) {
        if lost > MUCH {
            self.quiet_since = None;
            self.agreeing += 1;
            if self.agreeing >= AGREEING {
                self.agreeing = 0;
                self.lower(lost, sending, now);
            }
            return;
        }
        self.agreeing = 0;
        if lost > LITTLE {
            self.quiet_since = None;
            return;
        }
        let quiet = now.saturating_duration_since(*self.quiet_since.get_or_insert(now));
        if quiet >= self.patience {
            self.raise(now);
        }
    }

    fn lower(&mut self, lost: f64, sending: u64, now: Instant) {
        let soon = |at: Instant| now.saturating_duration_since(at) < TRIAL;
        self.patience = match self.raised.take().is_some_and(soon) {
            true => (self.patience * 2).min(LONGEST_PATIENCE),
            false => PATIENCE,
        };
        let base = self
            .limit
            .map_or(sending, |limit| limit.min(sending.max(LEAST)));
        // Half of what is lost, as the congestion control of WebRTC does.
        let kept = (base as f64 * (1.0 - lost.min(1.0) / 2.0)) as u64;
        self.limit = Some(kept.max(LEAST));
    }

    fn raise(&mut self, now: Instant) {
        self.quiet_since = Some(now);
        if let Some(limit) = self.limit {
            self.limit = Some(limit + limit / 2);
            self.raised = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Viewer {
        adaptation: Adaptation,
        now: Instant,
    }

    impl Viewer {
        fn new() -> Self {
            Self {
                adaptation: Adaptation::new(2000),
                now: Instant::now(),
            }
        }

        /// Two reports a second.
        fn reports(&mut self, lost: f64, seconds: u32) {
            for _ in 0..seconds * 2 {
                self.now += Duration::from_millis(500);
                let sending = self.adaptation.target(2_000_000);
                self.adaptation.report(lost, sending, self.now);
            }
        }

        fn target(&self) -> u64 {
            self.adaptation.target(0)
        }
    }

    #[test]
    fn a_cap_binds_until_it_is_lifted() {
        let mut adaptation = Adaptation::new(0);
        assert_eq!(
            (adaptation.target(1_000_000), adaptation.hard()),
            (1_000_000, None)
        );
        adaptation.cap(300_000);
        assert_eq!(adaptation.target(1_000_000), 255_000, "headers count");
        adaptation.cap(1);
        assert_eq!(adaptation.target(1_000_000), LEAST / 100 * 85);
        adaptation.cap(u32::MAX);
        assert_eq!(adaptation.target(1_000_000), 1_000_000);
        adaptation.cap(300_000);
        adaptation.request(800);
        assert_eq!(adaptation.hard(), Some(300_000));
        adaptation.cap(0);
        assert_eq!(adaptation.target(1_000_000), 800_000);
    }

    #[test]
    fn lasting_loss_lowers_the_bitrate_a_hiccup_does_not() {
        let mut viewer = Viewer::new();
        viewer.now += Duration::from_millis(500);
        viewer.adaptation.report(0.3, 2_000_000, viewer.now);
        viewer.reports(0.0, 1);
        assert_eq!(viewer.target(), 2_000_000);
        viewer.reports(0.2, 1);
        assert_eq!(viewer.adaptation.hard(), Some(1_800_000));
        viewer.reports(0.2, 10);
        assert!(viewer.target() < 700_000, "{}", viewer.target());
        viewer.reports(1.0, 60);
        assert_eq!(viewer.adaptation.hard(), Some(LEAST));
    }

    #[test]
    fn without_loss_it_comes_back_in_steps() {
        let mut viewer = Viewer::new();
        viewer.reports(0.3, 5);
        let low = viewer.adaptation.hard();
        viewer.reports(0.0, 7);
        assert_eq!(viewer.adaptation.hard(), low);
        viewer.reports(0.0, 2);
        assert_eq!(viewer.adaptation.hard(), low.map(|low| low + low / 2));
        viewer.reports(0.0, 60);
        assert_eq!(viewer.target(), 2_000_000);
        assert_eq!(viewer.adaptation.hard(), None);
    }

    #[test]
    fn a_rise_that_fails_is_tried_again_later() {
        let mut viewer = Viewer::new();
        viewer.reports(0.3, 5);
        viewer.reports(0.0, 9);
        let raised = viewer.target();
        viewer.reports(0.3, 1);
        let low = viewer.target();
        assert!(low < raised);
        viewer.reports(0.0, 15);
        assert_eq!(viewer.target(), low, "patience has doubled");
        viewer.reports(0.0, 3);
        assert!(viewer.target() > low);
    }
}
