//! Streams made from a camera's own: one pipeline each, shared by all viewers that want the same, ended a few seconds
//! after the last of them.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use gst::prelude::*;

use super::demand::Demands;
use super::intake::{self, Note, Pace};
use super::running::{BusEvent, Running};
use super::track::{Codec, same_shape};
use super::tracks::{Listeners, Tracks, send_key_unit_request};
use super::{clock, feed};
use gsthomekit::ring::{Backlog, Join, Limits, Ring, Subscription};

/// Kept this long without a viewer: phones come back.
const LINGER: Duration = Duration::from_secs(5);
/// An encoder that has made nothing for so long while it had input does not work.
const SILENT: Duration = Duration::from_secs(4);
/// How often the above are looked at.
const TICK: Duration = Duration::from_secs(1);
/// Key frames are at most this far apart, also where fewer frames come than announced.
const KEY_DISTANCE: Duration = Duration::from_secs(3);

/// How a stream is made.
pub(super) trait Recipe: Send {
    /// The stream it is made from; `None` if it needs none now.
    fn input(&self) -> Option<Arc<Ring>>;
    /// Frames that may wait in front of it.
    fn limit(&self, caps: &gst::Caps) -> Backlog;
    /// Launch description from `appsrc name=in` (or a source of its own) to the finished stream, for the `attempt`th
    /// try. `None` when there are no more ways to try.
    fn chain(&self, caps: Option<&gst::Caps>, attempt: usize) -> Option<String>;
    /// Last touches before the start.
    fn prepare(&self, bin: &gst::Bin, joined: Option<gst::ClockTime>);
    /// What it makes.
    fn codec(&self) -> Codec;
}

/// One derived stream.
pub(super) struct Derived {
    pub(super) stream: Arc<Ring>,
    pub(super) demands: Arc<Demands>,
    actor: mpsc::Sender<Msg>,
    failure: Arc<Failure>,
}

#[derive(Default)]
struct Failure {
    reason: Mutex<Option<String>>,
    listeners: Listeners,
}

impl Failure {
    fn set(&self, reason: String) {
        *lock(&self.reason) = Some(reason);
        self.listeners.tell();
    }

    fn clear(&self) {
        *lock(&self.reason) = None;
    }
}

impl Derived {
    /// Asks for a key frame.
    pub(super) fn request_key_unit(&self) {
        let _ = self.actor.send(Msg::KeyUnit);
    }

    /// Why the stream cannot be made.
    pub(super) fn failure(&self) -> Option<String> {
        lock(&self.failure.reason).clone()
    }

    /// Calls `listener` when it turns out that the stream cannot be made, while `alive` lives.
    pub(super) fn on_failure(&self, alive: &Arc<()>, listener: impl Fn() + Send + 'static) {
        self.failure.listeners.add(alive, listener);
    }
}

impl fmt::Debug for Derived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Derived")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

/// The derived streams of one camera.
#[derive(Debug)]
pub(super) struct Streams<K>(Arc<Mutex<HashMap<K, Arc<Derived>>>>);

impl<K> Default for Streams<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Hash + Eq + Clone + Send + fmt::Debug + 'static> Streams<K> {
    /// The stream of this key: the running one, or a new one made by `recipe`, which is given what its viewers demand.
    pub(super) fn get<R: Recipe + 'static>(
        &self,
        key: &K,
        tracks: &Arc<Tracks>,
        recipe: impl FnOnce(&Arc<Demands>) -> R,
    ) -> Arc<Derived> {
        let mut streams = lock(&self.0);
        if let Some(derived) = streams.get(key) {
            return derived.clone();
        }
        let derived = self.spawn(key, tracks, recipe);
        streams.insert(key.clone(), derived.clone());
        derived
    }

    /// The stream of this key, if it runs.
    pub(super) fn find(&self, key: &K) -> Option<Arc<Derived>> {
        lock(&self.0).get(key).cloned()
    }

    /// Number of streams that run.
    pub(super) fn len(&self) -> usize {
        lock(&self.0).len()
    }

    fn spawn<R: Recipe + 'static>(
        &self,
        key: &K,
        tracks: &Arc<Tracks>,
        recipe: impl FnOnce(&Arc<Demands>) -> R,
    ) -> Arc<Derived> {
        let (sender, inbox) = mpsc::channel();
        let told = sender.clone();
        let demands = Demands::new(move || drop(told.send(Msg::Demand)));
        let failure = Arc::<Failure>::default();
        let stream = Ring::new(Limits::LIVE);
        let derived = Arc::new(Derived {
            stream: stream.clone(),
            demands: demands.clone(),
            actor: sender.clone(),
            failure: failure.clone(),
        });
        let (alive, told) = (Arc::new(()), sender.clone());
        tracks.listen(&alive, move || drop(told.send(Msg::Changed)));
        let mut actor = Actor {
            recipe: recipe(&demands),
            demands,
            stream,
            sender,
            inbox,
            failure: failure.clone(),
            attempt: 0,
            run: 0,
            _alive: alive,
        };
        let unused = self.unused_check(key, &derived);
        let spawned = thread::Builder::new()
            .name("media-derived".into())
            .spawn(move || actor.run(&unused));
        if let Err(error) = spawned {
            failure.set(format!("no thread for a stream: {error}"));
        }
        derived
    }

    /// Whether nobody but the map holds the stream any more; if so it is taken out.
    fn unused_check(
        &self,
        key: &K,
        derived: &Arc<Derived>,
    ) -> impl Fn(bool) -> bool + Send + 'static {
        let (streams, key, derived) = (self.0.clone(), key.clone(), Arc::downgrade(derived));
        move |remove| {
            let mut streams = lock(&streams);
            let unused = derived.strong_count() <= 1;
            if unused && remove {
                tracing::debug!(?key, "derived stream ends");
                streams.remove(&key);
            }
            unused
        }
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
enum Msg {
    KeyUnit,
    /// The viewers want another bitrate.
    Demand,
    /// The camera's status changed.
    Changed,
    /// The input has another shape now; only the run with this number is concerned.
    Reshaped(u32),
    Bus(u32, BusEvent),
    Note(u32, Note),
}

struct Actor<R> {
    recipe: R,
    demands: Arc<Demands>,
    stream: Arc<Ring>,
    sender: mpsc::Sender<Msg>,
    inbox: mpsc::Receiver<Msg>,
    failure: Arc<Failure>,
    /// Which of the recipe's ways is tried.
    attempt: usize,
    run: u32,
    /// Listeners of the camera's status live as long.
    _alive: Arc<()>,
}

/// A pipeline and what belongs to it.
struct Run {
    // In this order: the queue ends before the pipeline.
    _input: Option<Subscription>,
    pipeline: Running,
    sink: gst_app::AppSink,
    encoder: Option<gst::Element>,
    built_for: Option<gst::Caps>,
    alive: Arc<AtomicBool>,
    started: Instant,
    delivered: bool,
}

impl Drop for Run {
    fn drop(&mut self) {
        self.alive
            .store(false, std::sync::atomic::Ordering::Release);
    }
}

/// Why a run is over.
enum Next {
    /// Nobody wants the stream.
    Done,
    /// Build it anew.
    Again,
    /// This way does not work.
    Failed(String),
}

impl<R: Recipe> Actor<R> {
    fn run(&mut self, unused: &impl Fn(bool) -> bool) {
        let mut unused_since = None;
        loop {
            let next = match self.start() {
                Ok(Some(run)) => self.supervise(run, unused, &mut unused_since),
                Ok(None) => self.pause(TICK, unused, &mut unused_since),
                Err(reason) => Next::Failed(reason),
            };
            self.stream.interrupt();
            match next {
                Next::Done => return,
                Next::Again => {}
                Next::Failed(reason) => {
                    if let Next::Done = self.next_way(reason, unused, &mut unused_since) {
                        return;
                    }
                }
            }
        }
    }

    fn next_way(
        &mut self,
        reason: String,
        unused: &impl Fn(bool) -> bool,
        since: &mut Option<Instant>,
    ) -> Next {
        tracing::warn!(%reason, "a stream cannot be made this way");
        self.attempt += 1;
        let caps = self.recipe.input().and_then(|input| input.caps());
        let all_tried = self.recipe.chain(caps.as_ref(), self.attempt).is_none();
        if all_tried {
            self.failure.set(reason);
            self.attempt = 0;
        }
        self.pause(
            if all_tried {
                Duration::from_secs(3)
            } else {
                Duration::ZERO
            },
            unused,
            since,
        )
    }

    /// `None` if the input has delivered nothing yet.
    fn start(&mut self) -> Result<Option<Run>, String> {
        let input = self.recipe.input();
        let caps = input.as_ref().and_then(|input| input.caps());
        if input.is_some() && caps.is_none() {
            return Ok(None);
        }
        self.run += 1;
        let chain = self
            .recipe
            .chain(caps.as_ref(), self.attempt)
            .ok_or("no way to make it")?;
        let bin =
            gst::parse::bin_from_description(&chain, true).map_err(|e| e.message().to_owned())?;
        let run = self
            .assemble(&bin, input, caps)
            .map_err(|e| e.to_string())?;
        Ok(Some(run))
    }

    fn assemble(
        &self,
        bin: &gst::Bin,
        input: Option<Arc<Ring>>,
        caps: Option<gst::Caps>,
    ) -> Result<Run, gst::glib::BoolError> {
        let alive = Arc::new(AtomicBool::new(true));
        let (run, sender) = (self.run, self.sender.clone());
        let note = move |note| drop(sender.send(Msg::Note(run, note)));
        let sink = intake::sink(
            self.recipe.codec(),
            self.stream.clone(),
            Pace::AsItComes,
            alive.clone(),
            note,
        );
        let pipeline = gst::Pipeline::new();
        clock::share(&pipeline);
        let sender = self.sender.clone();
        let pipeline = Running::new(pipeline, Arc::default(), move |event| {
            drop(sender.send(Msg::Bus(run, event)))
        });
        pipeline.add(bin)?;
        pipeline.add(&sink)?;
        bin.link(&sink)?;
        self.recipe
            .prepare(bin, input.as_ref().and_then(|input| input.newest()));
        let source = bin
            .by_name("in")
            .and_then(|e| e.downcast::<gst_app::AppSrc>().ok());
        source.iter().for_each(feed::set_up);
        if pipeline.set_state(gst::State::Playing).is_err() {
            // The reason follows on the bus.
            tracing::debug!("a derived stream does not start");
        }
        let input = match (input, source) {
            (Some(input), Some(source)) => Some(self.connect(&input, source, caps.as_ref())),
            _ => None,
        };
        let (started, delivered) = (Instant::now(), false);
        Ok(Run {
            _input: input,
            pipeline,
            sink,
            encoder: encoder(bin),
            built_for: caps,
            alive,
            started,
            delivered,
        })
    }

    fn connect(
        &self,
        input: &Arc<Ring>,
        source: gst_app::AppSrc,
        caps: Option<&gst::Caps>,
    ) -> Subscription {
        let (run, sender) = (self.run, self.sender.clone());
        let queue = feed::Fixed::new(source, move || drop(sender.send(Msg::Reshaped(run))));
        let limit = caps.map(|caps| self.recipe.limit(caps)).unwrap_or_default();
        input.subscribe(queue, Join::Group, limit, &Arc::default())
    }

    fn supervise(
        &mut self,
        mut run: Run,
        unused: &impl Fn(bool) -> bool,
        since: &mut Option<Instant>,
    ) -> Next {
        let mut tick = Instant::now() + TICK;
        loop {
            let left = tick.saturating_duration_since(Instant::now());
            let next = match self.inbox.recv_timeout(left) {
                Ok(msg) => self.handle(msg, &mut run),
                Err(_) => {
                    tick = Instant::now() + TICK;
                    if is_over(unused, since) {
                        return Next::Done;
                    }
                    self.look_after(&run)
                }
            };
            if let Some(next) = next {
                return next;
            }
        }
    }

    fn handle(&mut self, msg: Msg, run: &mut Run) -> Option<Next> {
        match msg {
            Msg::KeyUnit => send_key_unit_request(&run.sink),
            Msg::Demand => self.set_bitrate(run),
            Msg::Changed if self.input_changed(run) => return Some(Next::Again),
            Msg::Reshaped(number) if number == self.run => return Some(Next::Again),
            Msg::Note(number, Note::FirstKey) if number == self.run => {
                run.delivered = true;
                self.failure.clear();
            }
            Msg::Bus(number, event) if number == self.run => return self.bus(event, run),
            _ => {}
        }
        None
    }

    /// Sets the running encoder to what its viewers can take.
    fn set_bitrate(&self, run: &Run) {
        let (Some(encoder), Some(bitrate)) = (&run.encoder, self.demands.lowest()) else {
            return;
        };
        let bitrate = u32::try_from(bitrate).unwrap_or(u32::MAX);
        if !gsthomekit::encoder::set_bitrate(encoder, bitrate) {
            tracing::debug!(encoder = %encoder.name(), "its bitrate cannot be changed");
        }
    }

    fn bus(&self, event: BusEvent, run: &Run) -> Option<Next> {
        match event {
            BusEvent::Error { error, debug } => {
                let reason = format!("{} ({})", error.message(), debug.as_deref().unwrap_or(""));
                tracing::warn!(%reason, "derived stream");
                Some(if run.delivered {
                    Next::Again
                } else {
                    Next::Failed(error.message().to_owned())
                })
            }
            BusEvent::Latency => {
                let _ = run.pipeline.recalculate_latency();
                None
            }
            BusEvent::Eos => Some(Next::Again),
            BusEvent::Element(..) => None,
        }
    }

    fn input_changed(&self, run: &Run) -> bool {
        let caps = self.recipe.input().and_then(|input| input.caps());
        match (&run.built_for, &caps) {
            (Some(old), Some(new)) => !same_shape(old, new),
            (None, None) => false,
            _ => true,
        }
    }

    /// Looks whether it works, and asks for a key frame where the last one is too old.
    fn look_after(&self, run: &Run) -> Option<Next> {
        let fed = self
            .recipe
            .input()
            .is_none_or(|input| input.silent_for().is_some_and(|silent| silent < TICK));
        if fed && !run.delivered && run.started.elapsed() > SILENT {
            return Some(Next::Failed("it makes nothing of what it gets".to_owned()));
        }
        let key = self
            .stream
            .key_frame()
            .map(|frame| clock::since(frame.time()));
        if self.recipe.codec() == Codec::H264 && key.is_some_and(|age| age > KEY_DISTANCE) {
            send_key_unit_request(&run.sink);
        }
        None
    }

    /// Waits without a pipeline.
    fn pause(
        &self,
        time: Duration,
        unused: &impl Fn(bool) -> bool,
        since: &mut Option<Instant>,
    ) -> Next {
        let until = Instant::now() + time;
        while let Ok(msg) = self
            .inbox
            .recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            if matches!(msg, Msg::Changed) {
                break;
            }
        }
        if is_over(unused, since) {
            Next::Done
        } else {
            Next::Again
        }
    }
}

/// The video encoder of a chain.
fn encoder(bin: &gst::Bin) -> Option<gst::Element> {
    let is_encoder = |element: &gst::Element| {
        let kind = element.metadata(gst::ELEMENT_METADATA_KLASS);
        kind.is_some_and(|kind| kind.contains("Encoder") && kind.contains("Video"))
    };
    let children = bin.iterate_recurse().into_iter();
    children.filter_map(Result::ok).find(is_encoder)
}

/// Whether nobody has wanted the stream for a while. `since` remembers from when on.
fn is_over(unused: &impl Fn(bool) -> bool, since: &mut Option<Instant>) -> bool {
    if !unused(false) {
        *since = None;
        return false;
    }
    let since = *since.get_or_insert_with(Instant::now);
    since.elapsed() >= LINGER && unused(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gsthomekit::ring::Frame;

    /// Fails in its first way, works in its second.
    struct Twice(Arc<Ring>);

    impl Recipe for Twice {
        fn input(&self) -> Option<Arc<Ring>> {
            Some(self.0.clone())
        }

        fn limit(&self, _caps: &gst::Caps) -> Backlog {
            Backlog {
                frames: 100,
                bytes: 1 << 20,
            }
        }

        fn chain(&self, _caps: Option<&gst::Caps>, attempt: usize) -> Option<String> {
            let ways = ["identity error-after=1", "identity"];
            ways.get(attempt)
                .map(|way| format!("appsrc name=in ! {way}"))
        }

        fn prepare(&self, _bin: &gst::Bin, _joined: Option<gst::ClockTime>) {}

        fn codec(&self) -> Codec {
            Codec::RawAudio
        }
    }

    fn frame(ms: u64) -> Frame {
        let mut buffer = gst::Buffer::with_size(100).unwrap();
        buffer
            .get_mut()
            .unwrap()
            .set_pts(gst::ClockTime::from_mseconds(ms));
        let caps = gst::Caps::builder("audio/x-raw")
            .field("rate", 8000)
            .field("channels", 1);
        Frame {
            buffer,
            caps: caps.build(),
            key: true,
        }
    }

    /// Publishes until something comes out.
    fn until_made(source: &Ring, made: &Derived) -> bool {
        (0..300).any(|n| {
            source.publish(frame(n * 10));
            thread::sleep(Duration::from_millis(10));
            made.stream.key_frame().is_some()
        })
    }

    #[test]
    fn when_one_way_fails_the_next_is_tried() {
        crate::media::init().unwrap();
        let tracks = Tracks::new();
        let streams = Streams::default();
        let made = streams.get(&1, &tracks, |_| Twice(tracks.audio.clone()));
        assert!(until_made(&tracks.audio, &made));
        assert_eq!(made.failure(), None);
        let again = streams.get(&1, &tracks, |_| Twice(tracks.audio.clone()));
        assert!(Arc::ptr_eq(&made, &again), "one stream per key");
        assert_eq!(streams.len(), 1);
    }

    #[test]
    fn a_new_shape_of_the_source_is_followed() {
        crate::media::init().unwrap();
        let tracks = Tracks::new();
        let streams = Streams::default();
        let made = streams.get(&1, &tracks, |_| Twice(tracks.audio.clone()));
        assert!(until_made(&tracks.audio, &made));
        let rate = || {
            made.stream
                .caps()
                .and_then(|caps| caps.structure(0)?.get::<i32>("rate").ok())
        };
        let followed = (400..800).any(|n| {
            let mut other = frame(n * 10);
            other.caps.make_mut().set("rate", 16_000);
            tracks.audio.publish(other);
            thread::sleep(Duration::from_millis(10));
            rate() == Some(16_000)
        });
        assert!(followed);
    }
}
