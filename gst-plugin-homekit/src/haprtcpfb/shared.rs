//! What the elements of one stream have in common.

use std::collections::HashMap;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use gst::glib;
use gst::prelude::*;

use super::feedback::Feedback;
use super::{HapRtcpFb, Role};

/// The state of a stream, and its elements.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    feedback: Mutex<Feedback>,
    elements: Mutex<HashMap<Role, glib::WeakRef<HapRtcpFb>>>,
    pub(crate) max_bitrate: AtomicU32,
}

/// A stream's name within its pipeline. Two pipelines have the same address only one after the
/// other.
type Key = (usize, String);

static STREAMS: LazyLock<Mutex<HashMap<Key, Weak<Shared>>>> = LazyLock::new(Mutex::default);

impl Shared {
    /// The stream that `element` belongs to: elements of one pipeline with one name share it, for as
    /// long as any of them holds it.
    pub(crate) fn join(element: &HapRtcpFb, role: Role, name: &str) -> Arc<Self> {
        let key = (
            root(element.upcast_ref()).as_ptr() as usize,
            name.to_owned(),
        );
        let mut streams = lock(&STREAMS);
        streams.retain(|_, shared| shared.strong_count() > 0);
        let known = streams.get(&key).and_then(Weak::upgrade);
        let shared = known.unwrap_or_default();
        streams.insert(key, Arc::downgrade(&shared));
        lock(&shared.elements).insert(role, element.downgrade());
        shared
    }

    pub(crate) fn feedback(&self) -> MutexGuard<'_, Feedback> {
        lock(&self.feedback)
    }

    /// The element that does this part of the work.
    pub(crate) fn element(&self, role: Role) -> Option<HapRtcpFb> {
        lock(&self.elements).get(&role)?.upgrade()
    }
}

fn root(object: &gst::Object) -> gst::Object {
    let mut root = object.clone();
    while let Some(parent) = root.parent() {
        root = parent;
    }
    root
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
