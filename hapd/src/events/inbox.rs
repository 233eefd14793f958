//! The way from the sources of triggers to the task that owns a camera. Putting something in never waits, and however
//! many come while that task is busy, they take the same few bytes: what is left is the latest state of each kind, that
//! it was on in between, and a few presses of the bell.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::Trigger;

/// Presses kept while the camera's task is busy; a finger makes fewer, a flood is cut off here.
const MAX_RINGS: u8 = 4;

/// Triggers on their way to one camera.
#[derive(Debug, Default)]
pub struct Inbox {
    waiting: Mutex<Waiting>,
    filled: Notify,
}

/// What waits, one slot per kind.
#[derive(Debug, Default)]
struct Waiting {
    privacy: Slot,
    occupancy: Slot,
    motion: Slot,
    rings: u8,
}

/// A switch: where it stands, and whether it was on since it was looked at. Off and on again in between is dropped.
#[derive(Debug, Default)]
struct Slot {
    latest: Option<bool>,
    was_on: bool,
}

impl Slot {
    fn set(&mut self, on: bool) {
        self.latest = Some(on);
        self.was_on |= on;
    }

    fn take(&mut self, kind: fn(bool) -> Trigger, out: &mut Vec<Trigger>) {
        if std::mem::take(&mut self.was_on) {
            out.push(kind(true));
        }
        if self.latest.take() == Some(false) {
            out.push(kind(false));
        }
    }
}

impl Inbox {
    /// Leaves a trigger for the camera. Never waits.
    pub fn put(&self, trigger: Trigger) {
        let mut waiting = self.waiting();
        match trigger {
            Trigger::Motion(on) => waiting.motion.set(on),
            Trigger::Occupancy(on) => waiting.occupancy.set(on),
            Trigger::Privacy(on) => waiting.privacy.set(on),
            Trigger::Ring => waiting.rings = waiting.rings.saturating_add(1).min(MAX_RINGS),
        }
        drop(waiting);
        self.filled.notify_one();
    }

    /// Waits until there is something and takes all of it: privacy first, since it decides what the others may do. Safe
    /// to drop while it waits.
    pub async fn take(&self) -> Vec<Trigger> {
        loop {
            self.filled.notified().await;
            let triggers = self.take_now();
            if !triggers.is_empty() {
                return triggers;
            }
        }
    }

    pub(super) fn take_now(&self) -> Vec<Trigger> {
        let mut waiting = self.waiting();
        let mut out = Vec::new();
        waiting.privacy.take(Trigger::Privacy, &mut out);
        waiting.occupancy.take(Trigger::Occupancy, &mut out);
        waiting.motion.take(Trigger::Motion, &mut out);
        let rings = std::mem::take(&mut waiting.rings);
        out.extend(std::iter::repeat_n(Trigger::Ring, rings.into()));
        out
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(triggers: &[Trigger]) -> Vec<Trigger> {
        let inbox = Inbox::default();
        triggers.iter().for_each(|t| inbox.put(*t));
        inbox.take_now()
    }

    #[test]
    fn a_pulse_shorter_than_a_wake_up_is_kept() {
        use Trigger::Motion;
        assert_eq!(
            after(&[Motion(true), Motion(false)]),
            [Motion(true), Motion(false)]
        );
        assert_eq!(after(&[Motion(false), Motion(true)]), [Motion(true)]);
        assert_eq!(after(&[Motion(false)]), [Motion(false)]);
    }

    #[test]
    fn privacy_comes_first_whatever_came_first() {
        let all = [
            Trigger::Ring,
            Trigger::Motion(true),
            Trigger::Occupancy(true),
            Trigger::Privacy(true),
        ];
        let sorted = [
            Trigger::Privacy(true),
            Trigger::Occupancy(true),
            Trigger::Motion(true),
            Trigger::Ring,
        ];
        assert_eq!(after(&all), sorted);
    }

    #[test]
    fn a_flood_takes_no_more_room() {
        let flood: Vec<_> = (0..10_000)
            .flat_map(|i| [Trigger::Motion(i % 2 == 0), Trigger::Ring])
            .collect();
        let left = after(&flood);
        assert_eq!(left[..2], [Trigger::Motion(true), Trigger::Motion(false)]);
        assert_eq!(left.len(), 2 + usize::from(MAX_RINGS));
    }

    #[tokio::test]
    async fn what_was_put_before_anybody_waits_is_not_lost() {
        let inbox = Inbox::default();
        inbox.put(Trigger::Ring);
        assert_eq!(inbox.take().await, [Trigger::Ring]);
        let waiting = tokio::time::timeout(std::time::Duration::from_millis(20), inbox.take());
        assert!(waiting.await.is_err(), "nothing is there twice");
    }
}
