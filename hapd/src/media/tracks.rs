//! What a camera's source delivers, for everyone who uses it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use gst::prelude::*;
use tokio::sync::watch;

use super::status::{State, Status};
use gsthomekit::ring::{Limits, Ring};

/// Requests for a key frame that come sooner after the last are left out.
const KEY_UNIT_PAUSE: Duration = Duration::from_millis(500);

/// Streams and status of one camera.
#[derive(Debug)]
pub(super) struct Tracks {
    pub(super) video: Arc<Ring>,
    pub(super) audio: Arc<Ring>,
    status: watch::Sender<Status>,
    listeners: Listeners,
    message_listeners: Listeners<gst::StructureRef>,
    video_end: Mutex<VideoEnd>,
}

#[derive(Debug, Default)]
struct VideoEnd {
    sink: gst::glib::WeakRef<gst_app::AppSink>,
    asked: Option<Instant>,
}

impl Tracks {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            video: Ring::new(Limits::LIVE),
            audio: Ring::new(Limits::LIVE),
            status: watch::channel(Status::starting()).0,
            listeners: Listeners::default(),
            message_listeners: Listeners::default(),
            video_end: Mutex::default(),
        })
    }

    pub(super) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    pub(super) fn watch(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    pub(super) fn is_running(&self) -> bool {
        self.status.borrow().state == State::Running
    }

    /// Changes the status and tells everyone if it is another then.
    pub(super) fn update(&self, change: impl FnOnce(&mut Status)) {
        let changed = self.status.send_if_modified(|status| {
            let before = status.clone();
            change(status);
            *status != before
        });
        if changed {
            self.listeners.tell();
        }
    }

    /// Calls `listener` at every change of the status while `alive` lives.
    pub(super) fn listen(&self, alive: &Arc<()>, listener: impl Fn() + Send + 'static) {
        self.listeners.add(alive, listener);
    }

    /// Calls `listener` with every message that an element of the source posts, while `alive` lives.
    pub(super) fn listen_to_messages(
        &self,
        alive: &Arc<()>,
        listener: impl Fn(&gst::StructureRef) + Send + 'static,
    ) {
        self.message_listeners.add_to(alive, listener);
    }

    /// An element of the source posted a message.
    pub(super) fn tell_message(&self, message: &gst::StructureRef) {
        self.message_listeners.tell_all(message);
    }

    /// Tells everyone that something has changed which the status does not show.
    pub(super) fn tell(&self) {
        self.listeners.tell();
    }

    /// Where requests for key frames go from now on.
    pub(super) fn set_video_end(&self, sink: &gst_app::AppSink) {
        self.lock_end().sink = sink.downgrade();
    }

    /// Asks the source for a key frame. Most cameras do not listen.
    pub(super) fn request_key_unit(&self) {
        let mut end = self.lock_end();
        if end.asked.is_some_and(|at| at.elapsed() < KEY_UNIT_PAUSE) {
            return;
        }
        end.asked = Some(Instant::now());
        let sink = end.sink.upgrade();
        drop(end);
        if let Some(sink) = sink {
            send_key_unit_request(&sink);
        }
    }

    fn lock_end(&self) -> MutexGuard<'_, VideoEnd> {
        self.video_end
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends a force-key-unit event upstream.
pub(super) fn send_key_unit_request(sink: &gst_app::AppSink) {
    let event = gst_video::UpstreamForceKeyUnitEvent::builder()
        .all_headers(true)
        .build();
    if let Some(pad) = sink.static_pad("sink") {
        pad.push_event(event);
    }
}

/// Closures to call at a change.
pub(super) struct Listeners<T: ?Sized = ()>(Mutex<Vec<Listener<T>>>);

struct Listener<T: ?Sized> {
    alive: Weak<()>,
    tell: Box<dyn Fn(&T) + Send>,
}

impl<T: ?Sized> Default for Listeners<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl Listeners {
    /// Adds one that is called while `alive` lives.
    pub(super) fn add(&self, alive: &Arc<()>, tell: impl Fn() + Send + 'static) {
        self.add_to(alive, move |()| tell());
    }

    pub(super) fn tell(&self) {
        self.tell_all(&());
    }
}

impl<T: ?Sized> Listeners<T> {
    fn add_to(&self, alive: &Arc<()>, tell: impl Fn(&T) + Send + 'static) {
        let mut listeners = self.lock();
        listeners.retain(|listener| listener.alive.strong_count() > 0);
        listeners.push(Listener {
            alive: Arc::downgrade(alive),
            tell: Box::new(tell),
        });
    }

    fn tell_all(&self, news: &T) {
        for listener in self
            .lock()
            .iter()
            .filter(|listener| listener.alive.strong_count() > 0)
        {
            (listener.tell)(news);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Listener<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: ?Sized> std::fmt::Debug for Listeners<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Listeners")
    }
}
