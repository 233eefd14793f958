//! What a recording says, kept until somebody listens.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{RecordingEvent, Tell};

/// Between a recording and whoever asked for it, which may be later than its beginning.
#[derive(Default)]
pub(super) struct Relay(Mutex<Listener>);

enum Listener {
    /// Nobody yet: what was said so far.
    Awaited(Vec<RecordingEvent>),
    Here(u64, Tell),
}

impl Default for Listener {
    fn default() -> Self {
        Self::Awaited(Vec::new())
    }
}

impl Relay {
    /// Says something to whoever listens, or will.
    pub(super) fn say(&self, event: RecordingEvent) {
        match &mut *self.lock() {
            Listener::Awaited(said) => said.push(event),
            Listener::Here(id, tell) => tell(*id, event),
        }
    }

    /// From now on `tell` listens, to the recording `id`; it hears at once what was said before.
    pub(super) fn listen(&self, id: u64, tell: Tell) {
        let mut listener = self.lock();
        if let Listener::Awaited(said) = &mut *listener {
            said.drain(..).for_each(|event| tell(id, event));
        }
        *listener = Listener::Here(id, tell);
    }

    fn lock(&self) -> MutexGuard<'_, Listener> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_late_listener_hears_everything_in_order() {
        let relay = Relay::default();
        relay.say(RecordingEvent::Failed("1".into()));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let told = heard.clone();
        let tell: Tell =
            Arc::new(move |id, event| told.lock().unwrap().push((id, format!("{event:?}"))));
        relay.listen(7, tell);
        relay.say(RecordingEvent::Failed("2".into()));
        let heard = heard.lock().unwrap();
        assert_eq!(
            *heard,
            [(7, "Failed(\"1\")".into()), (7, "Failed(\"2\")".into())]
        );
    }
}
