//! The element around the stream: properties, signal, threads.

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::prelude::*;

use super::output::{self, Halt, WriteError};
use super::settings::{self, Settings};
use super::stream::{Stream, Unreadable};
use super::worker::{Interrupted, Worker};

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "hdssink",
        gst::DebugColorFlags::empty(),
        Some("Recordings to a HomeKit Data Stream"),
    )
});

#[derive(Default)]
pub struct HdsSink {
    settings: Mutex<Settings>,
    /// From PAUSED to READY.
    worker: Mutex<Option<Arc<Worker>>>,
}

#[glib::object_subclass]
impl ObjectSubclass for HdsSink {
    const NAME: &'static str = "GstHdsSink";
    type Type = super::HdsSink;
    type ParentType = gst_base::BaseSink;
}

impl ObjectImpl for HdsSink {
    fn properties() -> &'static [glib::ParamSpec] {
        settings::properties()
    }

    fn signals() -> &'static [glib::subclass::Signal] {
        static SIGNALS: LazyLock<Vec<glib::subclass::Signal>> = LazyLock::new(|| {
            vec![
                glib::subclass::Signal::builder("new-message")
                    .param_types([glib::Bytes::static_type()])
                    .return_type::<gst::FlowReturn>()
                    .run_last()
                    .accumulator(|_, _, value| {
                        match value.get() {
                            // Others want to hear it too.
                            Ok(gst::FlowReturn::Ok) => {
                                std::ops::ControlFlow::Continue(value.clone())
                            }
                            _ => std::ops::ControlFlow::Break(value.clone()),
                        }
                    })
                    .build(),
            ]
        });
        &SIGNALS
    }

    fn constructed(&self) {
        self.parent_constructed();
        let obj = self.obj();
        obj.set_sync(false);
        obj.set_async(false);
        // A fragment is large, and nobody looks at the last one.
        obj.set_property("enable-last-sample", false);
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        self.settings().set(pspec.name(), value);
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        match pspec.name() {
            "counter" => self.counter().to_value(),
            "stats" => self.stats().to_value(),
            name => self.settings().get(name),
        }
    }
}

impl GstObjectImpl for HdsSink {}

impl ElementImpl for HdsSink {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "HomeKit Data Stream sink",
                "Sink/Network",
                "Makes messages of a HomeKit Data Stream of a recording's fragments",
                "The gst-plugin-homekit authors",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let caps = gst::Caps::builder("video/quicktime")
                .field("variant", gst::List::new(["iso-fragmented", "cmaf"]))
                .build();
            let sink = gst::PadTemplate::new(
                "sink",
                gst::PadDirection::Sink,
                gst::PadPresence::Always,
                &caps,
            );
            vec![sink.expect("direction, presence and caps are valid")]
        });
        &TEMPLATES
    }
}

impl BaseSinkImpl for HdsSink {
    fn start(&self) -> Result<(), gst::ErrorMessage> {
        let (stream, fd) = self.new_stream()?;
        let sink = self.obj().downgrade();
        let deliver = move |message, halt: &Halt| match sink.upgrade() {
            Some(sink) => sink.imp().deliver(fd, message, halt),
            None => Err(gst::FlowError::Flushing),
        };
        let worker = Worker::start(stream, Box::new(deliver));
        let worker =
            worker.map_err(|error| gst::error_msg!(gst::ResourceError::Failed, ["{error}"]))?;
        *lock(&self.worker) = Some(worker.into());
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        let worker = lock(&self.worker).take();
        if let Some(worker) = worker {
            worker.stop();
            if let Some(counter) = worker.counter() {
                self.settings().counter = counter;
            }
        }
        Ok(())
    }

    fn unlock(&self) -> Result<(), gst::ErrorMessage> {
        if let Some(worker) = self.worker() {
            worker.interrupt(true);
        }
        Ok(())
    }

    fn unlock_stop(&self) -> Result<(), gst::ErrorMessage> {
        if let Some(worker) = self.worker() {
            worker.interrupt(false);
        }
        Ok(())
    }

    fn render(&self, buffer: &gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
        let worker = self.worker().ok_or(gst::FlowError::Flushing)?;
        if worker.has_ended() {
            return Err(gst::FlowError::Eos);
        }
        self.drain(&worker)?;
        let end_wait = self.settings().end_wait();
        worker.push(buffer, end_wait).map_err(|Unreadable| {
            gst::element_imp_error!(self, gst::ResourceError::Read, ["a buffer cannot be read"]);
            gst::FlowError::Error
        })?;
        self.drain(&worker)
    }

    fn event(&self, event: gst::Event) -> bool {
        match (event.view(), self.worker()) {
            (gst::EventView::Eos(_), Some(worker)) => {
                worker.end();
                // Interrupted or not, the thread sends it.
                if let Err(Interrupted::Failed(error)) = worker.drain() {
                    gst::warning!(
                        CAT,
                        imp = self,
                        "the end of the stream was not sent: {error}"
                    );
                }
            }
            (gst::EventView::FlushStop(_), Some(worker)) => worker.discard(),
            _ => {}
        }
        self.parent_event(event)
    }
}

impl HdsSink {
    fn settings(&self) -> MutexGuard<'_, Settings> {
        lock(&self.settings)
    }

    fn worker(&self) -> Option<Arc<Worker>> {
        lock(&self.worker).clone()
    }

    fn new_stream(&self) -> Result<(Stream, i32), gst::ErrorMessage> {
        let failed = |text: &str| gst::error_msg!(gst::ResourceError::Settings, ["{text}"]);
        let settings = self.settings();
        let sealer = settings.sealer().map_err(|error| failed(&error))?;
        if settings.fd >= 0 && sealer.is_none() {
            return Err(failed(
                "fd needs a key: nobody knows where a bare payload ends",
            ));
        }
        Ok((Stream::new(settings.stream_id, sealer), settings.fd))
    }

    fn counter(&self) -> u64 {
        let running = self.worker().and_then(|worker| worker.counter());
        running.unwrap_or_else(|| self.settings().counter)
    }

    fn stats(&self) -> gst::Structure {
        let worker = self.worker();
        let worker = worker.as_deref();
        let delivered = worker.map(Worker::delivered).unwrap_or_default();
        gst::Structure::builder("hdssink-stats")
            .field("messages", delivered.messages)
            .field("bytes", delivered.bytes)
            .field("fragments", worker.map_or(0, Worker::fragments))
            .field("ended", worker.is_some_and(Worker::has_ended))
            .build()
    }

    /// Waits until all is delivered that need not wait; through pauses.
    fn drain(&self, worker: &Worker) -> Result<gst::FlowSuccess, gst::FlowError> {
        loop {
            match worker.drain() {
                Ok(()) => return Ok(gst::FlowSuccess::Ok),
                Err(Interrupted::Failed(error)) => return Err(error),
                Err(Interrupted::Unlocked) => self.obj().wait_preroll()?,
            };
        }
    }

    /// Hands one message over: in the worker's thread, with nothing locked.
    fn deliver(&self, fd: i32, message: Vec<u8>, halt: &Halt) -> Result<(), gst::FlowError> {
        if fd >= 0 {
            self.write(fd, &message, halt)?;
        }
        let bytes = glib::Bytes::from_owned(message);
        let flow: gst::FlowReturn = self.obj().emit_by_name("new-message", &[&bytes]);
        flow.into_result().map(drop)
    }

    fn write(&self, fd: i32, message: &[u8], halt: &Halt) -> Result<(), gst::FlowError> {
        output::write_all(fd, message, halt).map_err(|error| match error {
            WriteError::Halted => gst::FlowError::Flushing,
            WriteError::Failed(error) => {
                gst::element_imp_error!(
                    self,
                    gst::ResourceError::Write,
                    ("Cannot write to the hub."),
                    ["{error}"]
                );
                gst::FlowError::Error
            }
        })
    }
}

/// A lock whose holder panicked is as good as any: all data behind it are plain values.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
