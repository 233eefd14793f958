//! What the viewers of a shared encoder want of it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The bitrates that the viewers of one encoder want, in bits per second. The encoder makes the lowest.
pub(super) struct Demands {
    state: Mutex<State>,
    changed: Box<dyn Fn() + Send + Sync>,
}

#[derive(Debug, Default)]
struct State {
    wanted: HashMap<u64, u64>,
    last_id: u64,
}

/// One viewer's; dropping it withdraws it.
#[derive(Debug)]
pub(super) struct Demand {
    demands: Arc<Demands>,
    id: u64,
}

impl Demands {
    /// Calls `changed` when the lowest demand may be another.
    pub(super) fn new(changed: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            changed: Box::new(changed),
        })
    }

    /// The lowest; `None` without viewers.
    pub(super) fn lowest(&self) -> Option<u64> {
        self.lock().wanted.values().min().copied()
    }

    /// Whether a viewer with this demand suits the others: nobody gets less than half of what it could, or more than
    /// twice of what it can take. `own` is the viewer's present demand, if it has one here.
    pub(super) fn suits(self: &Arc<Self>, bits_per_second: u64, own: Option<&Demand>) -> bool {
        let own = own
            .filter(|own| Arc::ptr_eq(&own.demands, self))
            .map(|own| own.id);
        let state = self.lock();
        let mut others = state.wanted.iter().filter(|(id, _)| Some(**id) != own);
        others.all(|(_, other)| {
            let (low, high) = (bits_per_second.min(*other), bits_per_second.max(*other));
            high <= low.saturating_mul(2)
        })
    }

    /// Adds a viewer.
    pub(super) fn add(self: &Arc<Self>, bits_per_second: u64) -> Demand {
        let mut state = self.lock();
        state.last_id += 1;
        let id = state.last_id;
        state.wanted.insert(id, bits_per_second);
        drop(state);
        (self.changed)();
        Demand {
            demands: self.clone(),
            id,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Demand {
    /// Changes it.
    pub(super) fn set(&self, bits_per_second: u64) {
        let before = self.demands.lock().wanted.insert(self.id, bits_per_second);
        if before != Some(bits_per_second) {
            (self.demands.changed)();
        }
    }
}

impl Drop for Demand {
    fn drop(&mut self) {
        self.demands.lock().wanted.remove(&self.id);
        (self.demands.changed)();
    }
}

impl fmt::Debug for Demands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Demands").field(&self.lock().wanted).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn the_encoder_makes_the_lowest() {
        let changes = Arc::new(AtomicU32::new(0));
        let count = changes.clone();
        let demands = Demands::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(demands.lowest(), None);
        let first = demands.add(800_000);
        let second = demands.add(500_000);
        assert_eq!(demands.lowest(), Some(500_000));
        second.set(900_000);
        second.set(900_000);
        assert_eq!(demands.lowest(), Some(800_000));
        drop(first);
        assert_eq!(demands.lowest(), Some(900_000));
        assert_eq!(changes.load(Ordering::Relaxed), 4);
    }

    #[test]
    fn viewers_of_very_different_networks_do_not_share() {
        let demands = Demands::new(|| {});
        assert!(demands.suits(1, None));
        let first = demands.add(800_000);
        assert!(demands.suits(400_000, None) && demands.suits(1_600_000, None));
        assert!(!demands.suits(300_000, None) && !demands.suits(2_000_000, None));
        assert!(
            demands.suits(100_000, Some(&first)),
            "alone it may want anything"
        );
    }
}
