/// Sliding window over the newest 128 indices (RFC 3711 §3.3.2 asks for at least 64).
#[derive(Debug, Clone, Default)]
pub(crate) struct ReplayWindow {
    highest: u64,
    /// Bit n: index `highest - n` was accepted. Empty until the first packet.
    seen: u128,
}

const SIZE: u64 = 128;

impl ReplayWindow {
    /// Highest index accepted so far.
    pub(crate) fn highest(&self) -> Option<u64> {
        (self.seen != 0).then_some(self.highest)
    }

    /// Whether a packet with `index` may be accepted.
    pub(crate) fn is_new(&self, index: u64) -> bool {
        if self.seen == 0 || index > self.highest {
            return true;
        }
        let age = self.highest - index;
        age < SIZE && self.seen >> age & 1 == 0
    }

    /// Marks `index`, which authenticated and [is new](Self::is_new).
    pub(crate) fn accept(&mut self, index: u64) {
        if self.seen == 0 || index > self.highest {
            let advance = index.saturating_sub(self.highest);
            self.seen = if advance < SIZE {
                self.seen << advance
            } else {
                0
            };
            self.highest = index;
        }
        self.seen |= 1 << (self.highest - index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_index_is_accepted_once() {
        let mut window = ReplayWindow::default();
        for index in [5, 3, 4, 200, 100, 73] {
            assert!(window.is_new(index), "{index}");
            window.accept(index);
            assert!(!window.is_new(index), "{index}");
        }
        assert_eq!(window.highest(), Some(200));
    }

    #[test]
    fn older_than_the_window_is_refused() {
        let mut window = ReplayWindow::default();
        window.accept(1000);
        assert!(window.is_new(1000 - 127));
        assert!(!window.is_new(1000 - 128));
        assert!(!window.is_new(0));
    }

    #[test]
    fn index_zero_counts_as_seen() {
        let mut window = ReplayWindow::default();
        assert_eq!(window.highest(), None);
        window.accept(0);
        assert_eq!(window.highest(), Some(0));
        assert!(!window.is_new(0));
    }

    #[test]
    fn a_jump_past_the_window_forgets_it() {
        let mut window = ReplayWindow::default();
        window.accept(1);
        window.accept(1 + 128);
        assert!(!window.is_new(1));
        assert!(window.is_new(2));
    }
}
