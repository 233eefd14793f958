//! Still pictures, in time whatever the source does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use gst::prelude::*;
use pipelines::{Chain, Element};
use tokio::sync::watch;

use super::params::{MediaError, check_size};
use super::running::{BusEvent, Running};
use super::status::State;
use super::track::Codec;
use super::tracks::Tracks;
use super::{decoders, feed, placeholder};
use gsthomekit::ring::Frame;

/// Time for a picture of the source.
const BUDGET: Duration = Duration::from_millis(1500);
/// Time for the card that says there is none.
const CARD_BUDGET: Duration = Duration::from_millis(400);
/// A source that is starting is given this long for its first picture.
const PATIENCE: Duration = Duration::from_millis(1200);
/// A picture is not taken anew sooner.
const FRESH: Duration = Duration::from_secs(1);
/// A source that delivered nothing for so long hangs.
const HANGING: Duration = Duration::from_secs(3);
/// Sizes kept.
const CACHED: usize = 4;
/// Captures at once of one camera.
const MOST_CAPTURES: usize = 4;
/// Of this, for the picture of a moment: it may take the decoding of many frames, and then the last key frame has to do.
const MOMENT_BUDGET: Duration = Duration::from_millis(800);
/// For so long after something happened, pictures show that moment.
const MOMENT: Duration = Duration::from_secs(5);
const QUALITY: u32 = 85;

/// Where a snapshot's picture comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotKind {
    /// A picture of the running source.
    Live,
    /// The last picture before the source failed.
    Last,
    /// No picture: a card that says so.
    Placeholder,
}

/// A JPEG picture.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The file.
    pub jpeg: Arc<[u8]>,
    /// Where it comes from.
    pub kind: SnapshotKind,
}

type Size = (u16, u16);
/// What a capture ends with: `None` while it runs.
type Outcome = Option<Result<Arc<[u8]>, String>>;

/// The snapshots of one camera.
#[derive(Debug)]
pub(super) struct Snapshots {
    tracks: Arc<Tracks>,
    state: Arc<Mutex<Captures>>,
    name: String,
}

#[derive(Debug, Default)]
struct Captures {
    cache: Vec<Picture>,
    running: HashMap<Size, watch::Receiver<Outcome>>,
    /// The newest frame that could be decoded.
    good: Option<Frame>,
    cards: Option<(Size, String, Arc<[u8]>)>,
    moment: Option<Moment>,
}

/// What was to be seen when something happened.
#[derive(Clone, Debug)]
struct Moment {
    /// From a key frame to the newest frame then.
    frames: Arc<[Frame]>,
    at: Instant,
}

impl Moment {
    fn time(&self) -> gst::ClockTime {
        self.frames.last().map(Frame::time).unwrap_or_default()
    }

    /// For so long it is shown.
    fn left(&self) -> Duration {
        MOMENT.saturating_sub(self.at.elapsed())
    }

    fn is_fresh(&self) -> bool {
        !self.left().is_zero()
    }
}

impl Captures {
    /// What happened just now; what happened before is forgotten.
    fn moment(&mut self) -> Option<&Moment> {
        self.moment.take_if(|moment| !moment.is_fresh());
        self.moment.as_ref()
    }
}

#[derive(Debug)]
struct Picture {
    size: Size,
    jpeg: Arc<[u8]>,
    /// Of the frame it shows.
    time: gst::ClockTime,
    made: Instant,
}

impl Snapshots {
    pub(super) fn new(name: String, tracks: Arc<Tracks>) -> Self {
        Self {
            tracks,
            state: Arc::default(),
            name,
        }
    }

    /// Something happens: for some seconds pictures show this moment, and not the last key frame before it.
    pub(super) fn remember(&self) {
        let frames: Arc<[Frame]> = self.tracks.video.group().into();
        if frames.is_empty() {
            return;
        }
        let at = Instant::now();
        let before = lock(&self.state).moment.replace(Moment { frames, at });
        let runtime = tokio::runtime::Handle::try_current().ok();
        if let Some(runtime) = runtime.filter(|_| before.is_none()) {
            runtime.spawn(forget_moment(Arc::downgrade(&self.state)));
        }
    }

    /// A picture of exactly this size.
    pub(super) async fn take(&self, width: u16, height: u16) -> Result<Snapshot, MediaError> {
        check_size(width, height)?;
        let size = (width, height);
        if let Some(jpeg) = self.cached(size) {
            return Ok(Snapshot {
                jpeg,
                kind: self.kind(),
            });
        }
        let captured = match self.capture(size) {
            Some(outcome) => tokio::time::timeout(BUDGET, finished(outcome))
                .await
                .ok()
                .flatten(),
            None => None,
        };
        match captured {
            Some(Ok(jpeg)) => Ok(Snapshot {
                jpeg,
                kind: self.kind(),
            }),
            Some(Err(reason)) => {
                tracing::info!(camera = %self.name, %reason, "no snapshot");
                self.substitute(size).await
            }
            None => self.substitute(size).await,
        }
    }

    /// Whether pictures taken now show what is.
    fn kind(&self) -> SnapshotKind {
        let hangs = self
            .tracks
            .video
            .silent_for()
            .is_none_or(|silent| silent > HANGING);
        if self.tracks.is_running() && !hangs {
            SnapshotKind::Live
        } else {
            SnapshotKind::Last
        }
    }

    fn cached(&self, size: Size) -> Option<Arc<[u8]>> {
        let newest = self.tracks.video.key_frame()?;
        let mut state = lock(&self.state);
        let moment = state.moment().map(Moment::time);
        let picture = state.cache.iter().find(|picture| picture.size == size)?;
        if let Some(moment) = moment {
            return (picture.time == moment).then(|| picture.jpeg.clone());
        }
        let same = picture.time == newest.time();
        (same || picture.made.elapsed() < FRESH).then(|| picture.jpeg.clone())
    }

    /// Joins the capture of this size, or starts one. `None` if too many hang already.
    fn capture(&self, size: Size) -> Option<watch::Receiver<Outcome>> {
        let mut state = lock(&self.state);
        if let Some(running) = state.running.get(&size) {
            return Some(running.clone());
        }
        if state.running.len() >= MOST_CAPTURES {
            return None;
        }
        let (sender, outcome) = watch::channel(None);
        let job = Job {
            size,
            tracks: self.tracks.clone(),
            state: self.state.clone(),
            sender,
        };
        thread::Builder::new()
            .name("media-snapshot".into())
            .spawn(move || job.run())
            .ok()?;
        state.running.insert(size, outcome.clone());
        Some(outcome)
    }

    /// The last picture of this size, or a card.
    async fn substitute(&self, size: Size) -> Result<Snapshot, MediaError> {
        let last = lock(&self.state)
            .cache
            .iter()
            .find(|p| p.size == size)
            .map(|p| p.jpeg.clone());
        if let Some(jpeg) = last {
            return Ok(Snapshot {
                jpeg,
                kind: SnapshotKind::Last,
            });
        }
        let jpeg = self.card(size).await?;
        Ok(Snapshot {
            jpeg,
            kind: SnapshotKind::Placeholder,
        })
    }

    async fn card(&self, size: Size) -> Result<Arc<[u8]>, MediaError> {
        let reason = match self.tracks.status().state {
            State::Failed { reason, .. } => reason,
            State::Starting => "the camera is starting".to_owned(),
            State::Running => "the camera does not answer".to_owned(),
            State::Stopped => "the camera is off".to_owned(),
        };
        match &lock(&self.state).cards {
            Some((known, text, jpeg)) if (*known, text) == (size, &reason) => {
                return Ok(jpeg.clone());
            }
            _ => {}
        }
        let (sender, outcome) = watch::channel(None);
        let text = reason.clone();
        let drawing = thread::Builder::new()
            .name("media-card".into())
            .spawn(move || {
                let frame = placeholder::picture(size.0, size.1, &["no picture", &text]);
                let _ = sender.send(Some(
                    frame
                        .ok_or_else(|| "no memory".to_owned())
                        .and_then(|f| jpeg(&[f], size, BUDGET)),
                ));
            });
        drawing.map_err(|e| MediaError::Ports(format!("no thread: {e}")))?;
        match tokio::time::timeout(CARD_BUDGET, finished(outcome)).await {
            Ok(Some(Ok(jpeg))) => {
                lock(&self.state).cards = Some((size, reason, jpeg.clone()));
                Ok(jpeg)
            }
            Ok(Some(Err(reason))) => Err(MediaError::Invalid(format!("no JPEG: {reason}"))),
            _ => Err(MediaError::State("no JPEG in time")),
        }
    }
}

/// Lets go of the moment's frames when no picture shows them any more.
async fn forget_moment(state: Weak<Mutex<Captures>>) {
    let left = |state: &Weak<Mutex<Captures>>| Some(lock(&*state.upgrade()?).moment()?.left());
    while let Some(left) = left(&state) {
        tokio::time::sleep(left).await;
    }
}

/// Waits for the end of a capture.
async fn finished(mut outcome: watch::Receiver<Outcome>) -> Option<Result<Arc<[u8]>, String>> {
    outcome.wait_for(Option::is_some).await.ok()?.clone()
}

/// One capture, on a thread of its own.
struct Job {
    size: Size,
    tracks: Arc<Tracks>,
    state: Arc<Mutex<Captures>>,
    sender: watch::Sender<Outcome>,
}

impl Job {
    fn run(self) {
        let result = self.work();
        lock(&self.state).running.remove(&self.size);
        let _ = self.sender.send(Some(result));
    }

    fn work(&self) -> Result<Arc<[u8]>, String> {
        if let Some(jpeg) = self.moment() {
            return Ok(jpeg);
        }
        let frame = self
            .frame()
            .ok_or("the source has delivered no picture yet")?;
        let failed = match jpeg(std::slice::from_ref(&frame), self.size, BUDGET) {
            Ok(jpeg) => {
                self.keep(frame.time(), &jpeg);
                lock(&self.state).good = Some(frame);
                return Ok(jpeg);
            }
            Err(reason) => reason,
        };
        let good = lock(&self.state).good.clone();
        good.map_or(Err(failed), |frame| jpeg(&[frame], self.size, BUDGET))
    }

    /// The moment at which something happened, if that was just now.
    fn moment(&self) -> Option<Arc<[u8]>> {
        let moment = lock(&self.state).moment()?.clone();
        let jpeg = jpeg(&moment.frames, self.size, MOMENT_BUDGET)
            .inspect_err(|reason| tracing::debug!(%reason, "no picture of the moment"))
            .ok()?;
        self.keep(moment.time(), &jpeg);
        Some(jpeg)
    }

    fn frame(&self) -> Option<Frame> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(frame) = self.tracks.video.key_frame() {
                return Some(frame);
            }
            let starting = self.tracks.status().state == State::Starting;
            if !starting || Instant::now() >= until {
                return None;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn keep(&self, time: gst::ClockTime, jpeg: &Arc<[u8]>) {
        let mut state = lock(&self.state);
        state.cache.retain(|picture| picture.size != self.size);
        if state.cache.len() >= CACHED {
            state.cache.remove(0);
        }
        let picture = Picture {
            size: self.size,
            jpeg: jpeg.clone(),
            time,
            made: Instant::now(),
        };
        state.cache.push(picture);
    }
}

fn lock(state: &Mutex<Captures>) -> MutexGuard<'_, Captures> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Decodes frames from a key frame on and encodes the last as JPEG of `size`, with borders where the aspect ratio differs.
fn jpeg(frames: &[Frame], size: Size, budget: Duration) -> Result<Arc<[u8]>, String> {
    super::init().map_err(|e| e.to_string())?;
    let until = Instant::now() + budget;
    let Some(first) = frames.first() else {
        return Err("there is no frame".to_owned());
    };
    let decoders = match Codec::of(&first.caps) {
        Some(Codec::RawVideo) => vec![None],
        _ => decoders::of(&first.caps).into_iter().map(Some).collect(),
    };
    let mut result = Err("there is no decoder for it".to_owned());
    for decoder in decoders {
        result = jpeg_with(decoder, frames, size, until);
        if result.is_ok() || Instant::now() >= until {
            break;
        }
    }
    result
}

fn jpeg_with(
    decoder: Option<String>,
    frames: &[Frame],
    size: Size,
    until: Instant,
) -> Result<Arc<[u8]>, String> {
    let (sender, inbox) = mpsc::channel();
    let source = feed::source("in");
    source.set_is_live(false);
    source.set_caps(frames.first().map(|frame| &frame.caps));
    let pipeline = gst::Pipeline::new();
    let wanted = frames.last().map(Frame::time).unwrap_or_default();
    let decoder = decoder.map(|name| match frames.len() {
        1 => decoders::for_single_pictures(&name),
        _ => Element::new(name),
    });
    assemble(
        &pipeline,
        &source,
        decoder,
        size,
        &sink(sender.clone()),
        wanted,
    )
    .map_err(|e| e.to_string())?;
    let pipeline = Running::new(pipeline, Arc::default(), move |event| match event {
        BusEvent::Error { error, .. } => drop(sender.send(Err(error.message().to_owned()))),
        BusEvent::Eos => drop(sender.send(Err("the decoder made no picture of it".to_owned()))),
        BusEvent::Latency | BusEvent::Element(..) => {}
    });
    pipeline
        .set_state(gst::State::Playing)
        .map_err(|e| e.to_string())?;
    let mut buffers = frames.iter().map(|frame| frame.buffer.clone());
    let fed = buffers
        .try_for_each(|buffer| source.push_buffer(buffer).map(drop))
        .and_then(|()| source.end_of_stream().map(drop));
    fed.map_err(|e| e.to_string())?;
    let left = until.saturating_duration_since(Instant::now());
    inbox
        .recv_timeout(left)
        .unwrap_or_else(|_| Err("the decoder is too slow".to_owned()))
}

fn assemble(
    pipeline: &gst::Pipeline,
    source: &gst_app::AppSrc,
    decoder: Option<Element>,
    size: Size,
    sink: &gst_app::AppSink,
    wanted: gst::ClockTime,
) -> Result<(), gst::glib::Error> {
    let fit = pipelines::fit(size.0.into(), size.1.into()).to(pipelines::jpeg(QUALITY));
    let chain: Chain = decoder.into_iter().collect();
    let gate = Element::new("identity")
        .set("name", "gate")
        .set("silent", true);
    let bin = gst::parse::bin_from_description(&chain.to(gate).to(fit).to_string(), true)?;
    leave_out_before(&bin, wanted);
    let failed = |e: gst::glib::BoolError| gst::glib::Error::new(gst::CoreError::Pad, &e.message);
    pipeline
        .add_many([
            source.upcast_ref(),
            bin.upcast_ref(),
            sink.upcast_ref::<gst::Element>(),
        ])
        .map_err(failed)?;
    gst::Element::link_many([
        source.upcast_ref(),
        bin.upcast_ref(),
        sink.upcast_ref::<gst::Element>(),
    ])
    .map_err(failed)
}

/// What was decoded only because something later needs it is not scaled and encoded.
fn leave_out_before(bin: &gst::Bin, wanted: gst::ClockTime) {
    let Some(pad) = bin.by_name("gate").and_then(|gate| gate.static_pad("src")) else {
        return;
    };
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        match info.buffer().and_then(|buffer| buffer.pts()) {
            Some(time) if time < wanted => gst::PadProbeReturn::Drop,
            _ => gst::PadProbeReturn::Ok,
        }
    });
}

fn sink(sender: mpsc::Sender<Result<Arc<[u8]>, String>>) -> gst_app::AppSink {
    let sink = gst_app::AppSink::builder()
        .sync(false)
        .async_(false)
        .enable_last_sample(false)
        .build();
    let callbacks = gst_app::AppSinkCallbacks::builder().new_sample(move |sink| {
        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        let map = sample
            .buffer()
            .and_then(|buffer| buffer.map_readable().ok());
        if let Some(map) = map {
            let _ = sender.send(Ok(Arc::from(map.as_slice())));
        }
        Ok(gst::FlowSuccess::Ok)
    });
    sink.set_callbacks(callbacks.build());
    sink
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_frames_of_a_moment_go_when_it_is_over() {
        gst::init().unwrap();
        let frame = Frame {
            buffer: gst::Buffer::with_size(10).unwrap(),
            caps: gst::Caps::builder("video/x-h264").build(),
            key: true,
        };
        let frames: Arc<[Frame]> = [frame].into();
        let held = Arc::downgrade(&frames);
        let at = Instant::now() - (MOMENT - Duration::from_millis(300));
        let state = Arc::new(Mutex::new(Captures::default()));
        lock(&state).moment = Some(Moment { frames, at });
        forget_moment(Weak::new()).await;
        assert!(held.strong_count() == 1, "another camera's");
        forget_moment(Arc::downgrade(&state)).await;
        assert_eq!(held.strong_count(), 0);
        assert!(at.elapsed() >= MOMENT);
    }
}
