//! Losses made on purpose: packets that are dropped although they came.

use std::time::Duration;

/// A share of the packets to drop, always or within a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drop {
    /// 0 to 1.
    pub share: f64,
    /// From and to, after Start.
    pub window: Option<(Duration, Duration)>,
}

impl Drop {
    fn covers(&self, at: Duration) -> bool {
        self.window
            .is_none_or(|(from, to)| (from..to).contains(&at))
    }
}

/// Decides packet by packet; the same seed decides the same.
#[derive(Debug, Clone, Default)]
pub struct Losses {
    drops: Vec<Drop>,
    state: u64,
}

impl Losses {
    /// The first of `drops` that covers a packet's time decides.
    #[must_use]
    pub fn new(drops: &[Drop], seed: u64) -> Self {
        Self {
            drops: drops.to_vec(),
            state: seed,
        }
    }

    /// Whether the packet that comes `at` this time after Start is dropped.
    pub fn hit(&mut self, at: Duration) -> bool {
        let Some(drop) = self.drops.iter().find(|d| d.covers(at)) else {
            return false;
        };
        let share = drop.share;
        self.uniform() < share
    }

    /// 0 up to, without, 1; SplitMix64 is enough for dice.
    fn uniform(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ z >> 31) as f64 / 2f64.powi(64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dropped(losses: &mut Losses, at: u64) -> usize {
        let at = Duration::from_secs(at);
        (0..10_000).filter(|_| losses.hit(at)).count()
    }

    #[test]
    fn the_share_is_kept_and_a_seed_repeats_itself() {
        let rule = Drop {
            share: 0.2,
            window: None,
        };
        let mut losses = Losses::new(&[rule], 7);
        let mut again = losses.clone();
        let count = dropped(&mut losses, 0);
        assert!((1800..2200).contains(&count), "{count}");
        assert_eq!(dropped(&mut again, 0), count);
        assert_ne!(dropped(&mut Losses::new(&[rule], 8), 0), count);
    }

    #[test]
    fn windows_begin_and_end() {
        let second = Duration::from_secs;
        let all = Drop {
            share: 1.0,
            window: Some((second(3), second(8))),
        };
        let mut losses = Losses::new(&[all], 1);
        let counts = [2, 3, 7, 8].map(|at| dropped(&mut losses, at));
        assert_eq!(counts, [0, 10_000, 10_000, 0]);
        assert_eq!(dropped(&mut Losses::default(), 3), 0);
    }
}
