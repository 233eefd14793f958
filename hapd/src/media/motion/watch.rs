//! The thread that keeps a camera watched.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use gst::prelude::*;
use gsthomekit::ring::{Join, Subscription};

use super::super::camera::Shared;
use super::super::running::{BusEvent, Running};
use super::super::source::Backoff;
use super::super::track::same_shape;
use super::super::{clock, feed};
use super::messages::{Said, said};
use super::pick::{self, Frames, Picked, Sparse};
use super::{Detector, MotionSettings, chain};

/// How often it is looked at whether all is well.
const TICK: Duration = Duration::from_secs(1);
/// A decoder that has made nothing of its input for so long does not work.
const SILENT: Duration = Duration::from_secs(10);
/// An encoding without pictures for so long shows nothing that moves.
const STILL: Duration = Duration::from_secs(5);

/// A camera that is watched, until this is dropped.
#[derive(Debug)]
pub struct MotionWatch {
    actor: mpsc::Sender<Msg>,
}

impl MotionWatch {
    /// Watches a camera; `tell` hears when motion begins and ends, in turn, from a thread of its own, and last of all that it
    /// ends. Neither this nor dropping the watch blocks.
    pub(in super::super) fn start(
        shared: &Arc<Shared>,
        settings: MotionSettings,
        tell: impl Fn(bool) + Send + 'static,
    ) -> Self {
        let (sender, inbox) = mpsc::channel();
        let alive = Arc::new(());
        for tracks in shared.all_tracks() {
            let changed = sender.clone();
            tracks.listen(&alive, move || drop(changed.send(Msg::Changed)));
        }
        if let Detector::Message(name) = &settings.detector {
            listen(shared, name.clone(), &alive, &sender);
        }
        let mut actor = Actor {
            shared: shared.clone(),
            settings,
            sender: sender.clone(),
            inbox,
            teller: Teller {
                tell: Box::new(tell),
                motion: false,
            },
            run: 0,
            attempt: 0,
            keys: false,
            warned: String::new(),
            hinted: false,
            pulse: None,
            _alive: alive,
        };
        let spawned = thread::Builder::new()
            .name("media-motion".into())
            .spawn(move || actor.run());
        if let Err(error) = spawned {
            tracing::error!(%error, "no thread to watch for motion");
        }
        Self { actor: sender }
    }
}

impl Drop for MotionWatch {
    fn drop(&mut self) {
        let _ = self.actor.send(Msg::Stop);
    }
}

/// Hears the messages of the source's pipelines.
fn listen(shared: &Shared, name: String, alive: &Arc<()>, actor: &mpsc::Sender<Msg>) {
    for tracks in shared.all_tracks() {
        let (name, actor) = (name.clone(), actor.clone());
        tracks.listen_to_messages(alive, move |message| {
            if let Some(said) = said(message, &name) {
                let _ = actor.send(Msg::Said(said));
            }
        });
    }
}

/// To the actor. The numbers say which run speaks: earlier ones are not listened to.
#[derive(Debug)]
enum Msg {
    Stop,
    /// A status changed.
    Changed,
    /// The encoding has another shape now.
    Reshaped(u32),
    Bus(u32, BusEvent),
    /// An element of the source's pipeline said something.
    Said(Said),
}

/// Tells every change once.
struct Teller {
    tell: Box<dyn Fn(bool) + Send>,
    motion: bool,
}

impl Teller {
    fn tell(&mut self, motion: bool) {
        if std::mem::replace(&mut self.motion, motion) != motion {
            (self.tell)(motion);
        }
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.tell(false);
    }
}

struct Actor {
    shared: Arc<Shared>,
    settings: MotionSettings,
    sender: mpsc::Sender<Msg>,
    inbox: mpsc::Receiver<Msg>,
    teller: Teller,
    run: u32,
    /// Which decoder is tried.
    attempt: usize,
    /// Only key frames were decoded last.
    keys: bool,
    /// What was complained about last.
    warned: String,
    hinted: bool,
    /// Until when a message without an end means motion.
    pulse: Option<Instant>,
    /// Listeners live as long.
    _alive: Arc<()>,
}

/// A pipeline and what belongs to it.
struct Run {
    // In this order: the queue ends before the pipeline.
    _input: Subscription,
    pipeline: Running,
    picked: Picked,
    started: Instant,
    pictures: Arc<AtomicU64>,
    seen: u64,
    seen_at: Instant,
}

/// Why a run, or a pause, is over.
enum Next {
    Stop,
    Again,
    Failed(String),
}

impl Actor {
    fn run(&mut self) {
        let mut backoff = Backoff::default();
        loop {
            let begun = Instant::now();
            let next = match self.start() {
                Ok(Some(run)) => self.supervise(run),
                Ok(None) => self.pause(None),
                Err(reason) => Next::Failed(reason),
            };
            if !self.listens() {
                self.teller.tell(false);
            }
            let next = match next {
                Next::Failed(reason) => {
                    self.complain(reason);
                    self.attempt += 1;
                    self.pause(Some(backoff.after(begun.elapsed())))
                }
                next => next,
            };
            if let Next::Stop = next {
                return;
            }
        }
    }

    fn complain(&mut self, reason: String) {
        if self.warned != reason {
            tracing::warn!(camera = %self.shared.source.name, %reason, "motion cannot be watched for");
            self.warned = reason;
        }
    }

    /// Whether messages of the source are listened to, and nothing is decoded.
    fn listens(&self) -> bool {
        matches!(self.settings.detector, Detector::Message(_))
    }

    /// `None` if there is nothing to watch, or nothing to do for it.
    fn start(&mut self) -> Result<Option<Run>, String> {
        if self.listens() {
            return Ok(None);
        }
        let Some(picked) = pick::pick(&self.shared, self.settings.stream, self.keys) else {
            return Ok(None);
        };
        super::super::init().map_err(|e| e.to_string())?;
        self.keys = picked.frames == Frames::Keys;
        self.run += 1;
        let text = chain::description(&self.settings, &picked.caps, self.attempt)?;
        tracing::debug!(camera = %self.shared.source.name, %text, frames = ?picked.frames, "watching for motion");
        self.hint(&picked);
        let parsed = gst::parse::launch(&text).map_err(|e| e.message().to_owned())?;
        let pipeline = parsed.downcast::<gst::Pipeline>();
        let pipeline = pipeline.map_err(|_| "it is no pipeline".to_owned())?;
        Ok(Some(self.assemble(pipeline, picked)?))
    }

    /// What can be changed at the camera to save the processor work.
    fn hint(&mut self, picked: &Picked) {
        if picked.frames == Frames::Keys || pick::is_small(&picked.caps) {
            return;
        }
        let hint = "large pictures are decoded to see what moves: name a smaller encoding of the camera in streams, or \
                    have it send a key frame every second";
        if !std::mem::replace(&mut self.hinted, true) {
            tracing::info!(camera = %self.shared.source.name, "{hint}");
        }
    }

    fn assemble(&self, pipeline: gst::Pipeline, picked: Picked) -> Result<Run, String> {
        clock::share(&pipeline);
        let (run, sender) = (self.run, self.sender.clone());
        let pipeline = Running::new(pipeline, Arc::default(), move |event| {
            drop(sender.send(Msg::Bus(run, event)))
        });
        let source = pipeline
            .by_name("in")
            .and_then(|element| element.downcast::<gst_app::AppSrc>().ok())
            .ok_or("there is no appsrc")?;
        feed::set_up(&source);
        source.set_caps(Some(&picked.caps));
        let pictures = self.count(&pipeline)?;
        // Why it does not start is said on the bus.
        let _ = pipeline.set_state(gst::State::Playing);
        let sender = self.sender.clone();
        let fixed = feed::Fixed::new(source, move || drop(sender.send(Msg::Reshaped(run))));
        let join = match picked.frames {
            Frames::All => Join::Group,
            Frames::Keys => Join::Still,
        };
        let queue = Sparse::new(fixed, picked.frames);
        let backlog = pick::backlog(&picked.caps);
        Ok(Run {
            _input: picked.ring.subscribe(queue, join, backlog, &Arc::default()),
            pipeline,
            picked,
            started: Instant::now(),
            pictures,
            seen: 0,
            seen_at: Instant::now(),
        })
    }

    /// Counts the pictures that reach the detector.
    fn count(&self, pipeline: &gst::Pipeline) -> Result<Arc<AtomicU64>, String> {
        let pictures = Arc::<AtomicU64>::default();
        let counted = pictures.clone();
        let element = pipeline.by_name(chain::DETECTOR);
        let pad = element.and_then(|element| element.static_pad("sink"));
        pad.ok_or("there is no detector")?
            .add_probe(gst::PadProbeType::BUFFER, move |_, _| {
                counted.fetch_add(1, Ordering::Relaxed);
                gst::PadProbeReturn::Ok
            });
        Ok(pictures)
    }

    fn supervise(&mut self, mut run: Run) -> Next {
        let mut tick = Instant::now() + TICK;
        loop {
            let left = tick.saturating_duration_since(Instant::now());
            let next = match self.inbox.recv_timeout(left) {
                Ok(msg) => self.handle(msg, &run),
                Err(_) => {
                    tick = Instant::now() + TICK;
                    self.look_after(&mut run)
                }
            };
            if let Some(next) = next {
                return next;
            }
        }
    }

    fn handle(&mut self, msg: Msg, run: &Run) -> Option<Next> {
        match msg {
            Msg::Stop => Some(Next::Stop),
            Msg::Reshaped(number) if number == self.run => Some(Next::Again),
            Msg::Changed if self.is_other(run) => Some(Next::Again),
            Msg::Bus(number, event) if number == self.run => self.bus(event, run),
            _ => None,
        }
    }

    /// Whether another encoding, or other frames of it, ought to be watched.
    fn is_other(&self, run: &Run) -> bool {
        let now = pick::pick(&self.shared, self.settings.stream, self.keys);
        now.is_none_or(|now| {
            !Arc::ptr_eq(&now.ring, &run.picked.ring)
                || now.frames != run.picked.frames
                || !same_shape(&now.caps, &run.picked.caps)
        })
    }

    fn bus(&mut self, event: BusEvent, run: &Run) -> Option<Next> {
        match event {
            BusEvent::Error { error, .. } => Some(Next::Failed(error.message().to_owned())),
            BusEvent::Eos => Some(Next::Again),
            BusEvent::Latency => {
                let _ = run.pipeline.recalculate_latency();
                None
            }
            BusEvent::Element(_, structure) => {
                let name = match self.settings.detector {
                    Detector::Motioncells => "motion",
                    _ => "hapmotion",
                };
                if let Some(Said::Motion(motion)) = said(&structure, name) {
                    self.teller.tell(motion);
                }
                None
            }
        }
    }

    fn look_after(&mut self, run: &mut Run) -> Option<Next> {
        let fed = run.picked.ring.silent_for();
        if fed.is_none_or(|silent| silent > STILL) {
            // The detector sees nothing, not even that motion ended; and it is not its fault.
            self.teller.tell(false);
            run.seen_at = Instant::now();
        }
        let pictures = run.pictures.load(Ordering::Relaxed);
        if pictures != run.seen {
            (run.seen, run.seen_at) = (pictures, Instant::now());
        }
        if run.seen_at.elapsed() > SILENT {
            return Some(Next::Failed(
                "the decoder makes no pictures of it".to_owned(),
            ));
        }
        if run.seen > 0 && run.started.elapsed() > SILENT {
            self.warned.clear();
        }
        self.is_other(run).then_some(Next::Again)
    }

    /// Without a pipeline: until something changes, or for so long.
    fn pause(&mut self, time: Option<Duration>) -> Next {
        let until = time.map(|time| Instant::now() + time);
        loop {
            let ends = [until, self.pulse].into_iter().flatten().min();
            let msg = match ends {
                Some(end) => {
                    let left = end.saturating_duration_since(Instant::now());
                    self.inbox.recv_timeout(left).ok()
                }
                None => self.inbox.recv().ok(),
            };
            match msg {
                Some(Msg::Stop) => return Next::Stop,
                Some(Msg::Said(said)) => self.said(said),
                Some(Msg::Changed) if until.is_none() => {
                    self.source_changed();
                    if !self.listens() {
                        return Next::Again;
                    }
                }
                Some(_) => {}
                None => self.end_pulse(),
            }
            if until.is_some_and(|until| until <= Instant::now()) {
                return Next::Again;
            }
        }
    }

    fn said(&mut self, said: Said) {
        self.pulse = None;
        match said {
            Said::Motion(motion) => self.teller.tell(motion),
            Said::Pulse => {
                self.pulse = Some(Instant::now() + self.settings.hold);
                self.teller.tell(true);
            }
        }
    }

    fn end_pulse(&mut self) {
        if self.pulse.is_some_and(|end| end <= Instant::now()) {
            self.pulse = None;
            self.teller.tell(false);
        }
    }

    /// A source that is gone says no more that motion ended.
    fn source_changed(&mut self) {
        let runs = self.shared.all_tracks().any(|tracks| tracks.is_running());
        if !runs {
            self.pulse = None;
            self.teller.tell(false);
        }
    }
}
