//! Events of one connection (HAP R1 §5.8).
//!
//! Events are collected for a moment and go out together. Controllers were seen applying the entries
//! of an event from the last to the first, so the newest stands first.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value as Json;

use crate::accessories::to_vec;
use crate::host::CharId;
use crate::http;

/// Subscriptions of a connection, and events that wait for it.
#[derive(Debug)]
pub(crate) struct Events {
    subscriptions: HashSet<CharId>,
    /// Newest first.
    waiting: VecDeque<Entry>,
    /// When the waiting events go out; `None` if there are none.
    due: Option<Instant>,
    limit: usize,
}

#[derive(Debug, Serialize)]
struct Entry {
    #[serde(flatten)]
    id: CharId,
    value: Json,
}

#[derive(Serialize)]
struct EventBody<'a> {
    characteristics: &'a VecDeque<Entry>,
}

impl Events {
    /// No subscriptions; at most `limit` events wait.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            subscriptions: HashSet::new(),
            waiting: VecDeque::new(),
            due: None,
            limit: limit.max(1),
        }
    }

    /// Whether the connection wants events of `id`.
    pub(crate) fn is_subscribed(&self, id: CharId) -> bool {
        self.subscriptions.contains(&id)
    }

    /// Subscribes or unsubscribes; what waits of an unsubscribed characteristic is dropped. Returns
    /// whether that changed anything.
    pub(crate) fn subscribe(&mut self, id: CharId, on: bool) -> bool {
        if on {
            return self.subscriptions.insert(id);
        }
        self.waiting.retain(|entry| entry.id != id);
        if self.waiting.is_empty() {
            self.due = None;
        }
        self.subscriptions.remove(&id)
    }

    /// Ends all subscriptions.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.limit);
    }

    /// Queues an event. A zero `delay` sends it, and all that wait, as soon as possible.
    ///
    /// A state that has not changed since the newest event is not repeated, but with a zero delay
    /// every event counts: two presses of a button are two.
    pub(crate) fn push(&mut self, id: CharId, value: Json, now: Instant, delay: Duration) {
        let newest = self.waiting.iter().find(|entry| entry.id == id);
        if !delay.is_zero() && newest.is_some_and(|entry| entry.value == value) {
            return;
        }
        if self.waiting.len() == self.limit {
            self.make_room(id);
        }
        self.waiting.push_front(Entry { id, value });
        let due = now + delay;
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
    }

    /// Drops the oldest event of the same characteristic, or of any if there is none.
    fn make_room(&mut self, id: CharId) {
        let same = self.waiting.iter().rposition(|entry| entry.id == id);
        self.waiting.remove(same.unwrap_or(self.waiting.len() - 1));
    }

    /// When the waiting events go out.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The event message that is due.
    pub(crate) fn take(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.due.filter(|&due| due <= now)?;
        let body = to_vec(&EventBody {
            characteristics: &self.waiting,
        });
        self.waiting.clear();
        self.due = None;
        Some(http::event(&body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const DELAY: Duration = Duration::from_millis(250);
    const ID: CharId = CharId { aid: 1, iid: 9 };
    const OTHER: CharId = CharId { aid: 1, iid: 10 };

    fn entries(message: &[u8]) -> Json {
        let text = std::str::from_utf8(message).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("EVENT/1.0 200 OK\r\n"), "{head}");
        let body: Json = serde_json::from_str(body).unwrap();
        body["characteristics"].clone()
    }

    #[test]
    fn events_go_out_together_newest_first() {
        let (mut events, now) = (Events::new(8), Instant::now());
        events.push(ID, json!(true), now, DELAY);
        events.push(OTHER, json!(1), now + DELAY / 2, DELAY);
        events.push(ID, json!(false), now + DELAY / 2, DELAY);
        assert_eq!(events.due(), Some(now + DELAY));
        assert_eq!(events.take(now + DELAY / 2), None);
        let message = events.take(now + DELAY).unwrap();
        assert_eq!(
            entries(&message),
            json!([{"aid":1,"iid":9,"value":false},{"aid":1,"iid":10,"value":1},{"aid":1,"iid":9,"value":true}])
        );
        assert_eq!((events.due(), events.take(now + DELAY)), (None, None));
    }

    #[test]
    fn urgent_events_take_the_others_along() {
        let (mut events, now) = (Events::new(8), Instant::now());
        events.push(ID, json!(true), now, DELAY);
        events.push(OTHER, json!(0), now, Duration::ZERO);
        events.push(OTHER, json!(0), now, Duration::ZERO);
        assert_eq!(
            entries(&events.take(now).unwrap())
                .as_array()
                .unwrap()
                .len(),
            3
        );
    }

    #[test]
    fn unchanged_states_are_not_repeated() {
        let (mut events, now) = (Events::new(8), Instant::now());
        events.push(ID, json!(1), now, DELAY);
        events.push(ID, json!(1), now, DELAY);
        assert_eq!(
            entries(&events.take(now + DELAY).unwrap())
                .as_array()
                .unwrap()
                .len(),
            1
        );
    }

    #[test]
    fn unsubscribing_drops_what_waits() {
        let (mut events, now) = (Events::new(8), Instant::now());
        assert!(events.subscribe(ID, true));
        assert!(!events.subscribe(ID, true));
        events.push(ID, json!(1), now, DELAY);
        assert!(events.subscribe(ID, false));
        assert_eq!(events.due(), None);
        assert!(!events.is_subscribed(ID));
    }

    #[test]
    fn oldest_values_go_when_the_queue_is_full() {
        let (mut events, now) = (Events::new(3), Instant::now());
        events.push(OTHER, json!("keep"), now, DELAY);
        for value in 0..10 {
            events.push(ID, json!(value), now, DELAY);
        }
        let message = events.take(now + DELAY).unwrap();
        let values: Vec<_> = entries(&message)
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["value"].clone())
            .collect();
        assert_eq!(values, [json!(9), json!(8), json!("keep")]);
    }
}
