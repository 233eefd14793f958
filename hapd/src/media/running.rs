//! Pipelines that end on a thread of their own.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use gst::prelude::*;

/// Pipelines made and not yet ended, of the process.
static LIVE: AtomicUsize = AtomicUsize::new(0);

/// Number of pipelines made and not yet ended.
pub fn live_pipelines() -> usize {
    LIVE.load(Ordering::Acquire)
}

/// What a pipeline's bus says, as far as its owner must act.
#[derive(Debug)]
pub(super) enum BusEvent {
    Error {
        error: gst::glib::Error,
        debug: Option<String>,
    },
    Eos,
    Latency,
    /// An element's own message, and the element's name.
    Element(String, gst::Structure),
}

/// A pipeline that is set to NULL when dropped: elsewhere, since that may block for as long as a camera or driver likes.
#[derive(Debug)]
pub(super) struct Running {
    pipeline: gst::Pipeline,
    /// Counts endings of one owner that have not come to an end.
    ending: Arc<AtomicUsize>,
}

impl Running {
    /// Takes a pipeline over and hands its bus messages to `on_event`, called from whatever thread posts them.
    pub(super) fn new(
        pipeline: gst::Pipeline,
        ending: Arc<AtomicUsize>,
        on_event: impl Fn(BusEvent) + Send + Sync + 'static,
    ) -> Self {
        LIVE.fetch_add(1, Ordering::AcqRel);
        if let Some(bus) = pipeline.bus() {
            bus.set_sync_handler(move |_, message| {
                if let Some(event) = bus_event(message) {
                    on_event(event);
                }
                gst::BusSyncReply::Drop
            });
        }
        Self { pipeline, ending }
    }
}

fn bus_event(message: &gst::Message) -> Option<BusEvent> {
    Some(match message.view() {
        gst::MessageView::Error(m) => BusEvent::Error {
            error: m.error(),
            debug: m.debug().map(Into::into),
        },
        gst::MessageView::Eos(_) => BusEvent::Eos,
        gst::MessageView::Latency(_) => BusEvent::Latency,
        gst::MessageView::Element(m) => {
            let name = message
                .src()
                .map(|src| src.name().to_string())
                .unwrap_or_default();
            BusEvent::Element(name, m.structure()?.to_owned())
        }
        _ => return None,
    })
}

impl Deref for Running {
    type Target = gst::Pipeline;

    fn deref(&self) -> &gst::Pipeline {
        &self.pipeline
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.ending.fetch_add(1, Ordering::AcqRel);
        let ending = Ending {
            pipeline: self.pipeline.clone(),
            ending: self.ending.clone(),
        };
        // Without a thread the ending happens here, when the closure is dropped unused.
        let _ = thread::Builder::new()
            .name("media-end".into())
            .spawn(move || drop(ending));
    }
}

struct Ending {
    pipeline: gst::Pipeline,
    ending: Arc<AtomicUsize>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
        if let Some(bus) = self.pipeline.bus() {
            bus.unset_sync_handler();
        }
        self.ending.fetch_sub(1, Ordering::AcqRel);
        LIVE.fetch_sub(1, Ordering::AcqRel);
    }
}
