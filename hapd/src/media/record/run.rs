//! One recording: a pipeline from memory through `hksvmux`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gst::prelude::*;

use super::super::running::{BusEvent, Running};
use super::super::track::Codec;
use super::super::{clock, decoders, drift, feed};
use super::{Piece, RecordingAudio, RecordingEvent, RecordingParams};
use gsthomekit::ring::{Backlog, Flow, Frame, Join, Queue, Ring, Subscription};

/// AAC-LC encoders, the best first.
const AAC_ENCODERS: [&str; 4] = ["fdkaacenc", "avenc_aac", "voaacenc", "faac"];
/// Frames that may wait for the muxer on top of the past.
const LIMIT: Backlog = Backlog {
    frames: 600,
    bytes: 32 << 20,
};

/// What a recording tells the thread that owns it.
#[derive(Clone, Debug)]
pub(super) enum Note {
    /// The picture has another shape from now on, or is no more.
    Reshaped,
    /// The pipeline broke.
    Failed(String),
    /// All has come out.
    Done,
}

/// A running recording; dropping it ends it at once.
pub(super) struct Run {
    // In this order: the queues end before the pipeline.
    _readers: Vec<Subscription>,
    _pipeline: Running,
    sources: Vec<gst_app::AppSrc>,
    output: Arc<Output>,
    video: Arc<Ring>,
    lost: Arc<AtomicU64>,
}

/// What a recording is made from.
pub(super) struct Input {
    pub(super) video: Arc<Ring>,
    pub(super) audio: Option<Arc<Ring>>,
    /// How far back it begins.
    pub(super) back: gst::ClockTime,
    /// Asks for a key frame of the picture.
    pub(super) request_key_unit: Box<dyn Fn() + Send + Sync>,
}

impl Run {
    /// Starts. Pieces go to `tell`, the rest to `note`; both are called from streaming threads.
    pub(super) fn start(
        input: Input,
        params: &RecordingParams,
        tell: impl Fn(RecordingEvent) + Send + Sync + 'static,
        note: impl Fn(Note) + Clone + Send + Sync + 'static,
    ) -> Result<Self, String> {
        let caps = input.video.caps().ok_or("the camera has sent no picture")?;
        let output = Arc::new(Output::new(tell));
        let pipeline = pipeline(note.clone());
        let mux = mux(params)?;
        let sink = sink(&output, note.clone());
        add_linked(&pipeline, &[&mux, sink.upcast_ref()])?;
        let video = feed::source("video");
        video.set_is_live(false);
        video.set_caps(Some(&caps));
        pass_key_unit_requests(&video, input.request_key_unit);
        pipeline.add(&video).map_err(text)?;
        video.link_pads(None, &mux, Some("video")).map_err(text)?;
        let sound = input.audio.zip(params.audio);
        let sound = sound.and_then(|(ring, audio)| add_sound(&pipeline, &mux, &ring, &audio));
        pipeline.set_state(gst::State::Playing).map_err(text)?;
        let lost = Arc::<AtomicU64>::default();
        let mut this = Self {
            _readers: Vec::new(),
            _pipeline: pipeline,
            sources: vec![video.clone()],
            output,
            video: input.video,
            lost,
        };
        let begins = this.follow_video(&video, input.back, note);
        if let Some((ring, source)) = sound {
            this.follow_audio(&ring, source, begins);
        }
        Ok(this)
    }

    /// Time of the first frame.
    fn follow_video(
        &mut self,
        source: &gst_app::AppSrc,
        back: gst::ClockTime,
        note: impl Fn(Note) + Send + 'static,
    ) -> gst::ClockTime {
        let begins = Arc::new(Mutex::new(None));
        let queue = Picture {
            inner: feed::Fixed::new(source.clone(), move || note(Note::Reshaped)),
            begins: begins.clone(),
        };
        let join = Join::Back(back);
        let reader = self.video.subscribe(queue, join, LIMIT, &self.lost);
        self._readers.push(reader);
        let begins = *lock(&begins);
        begins.unwrap_or_else(clock::now)
    }

    fn follow_audio(&mut self, ring: &Arc<Ring>, source: gst_app::AppSrc, begins: gst::ClockTime) {
        let newest = ring.newest().unwrap_or_default();
        // A little more, since packets of sound are short: what is before the picture is left out later.
        let back = newest.saturating_sub(begins) + gst::ClockTime::from_mseconds(200);
        // Another shape of sound ends the sound alone.
        let queue = feed::Fixed::new(source.clone(), {
            let source = source.clone();
            move || {
                let _ = source.end_of_stream();
            }
        });
        let reader = ring.subscribe(queue, Join::Back(back), LIMIT, &Arc::default());
        self._readers.push(reader);
        self.sources.push(source);
    }

    /// The fragment under way is the last.
    pub(super) fn finish(&mut self) {
        self.output.finish();
        self._readers.clear();
        for source in &self.sources {
            let _ = source.end_of_stream();
        }
    }

    /// Whether the picture has stopped to come.
    pub(super) fn is_starved(&self, patience: std::time::Duration) -> bool {
        self.video
            .silent_for()
            .is_none_or(|silent| silent > patience)
    }

    /// Frames that did not get into the recording because the muxer was too slow.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.output.silence();
    }
}

/// A reader of the picture that remembers where it began.
struct Picture {
    inner: feed::Fixed,
    begins: Arc<Mutex<Option<gst::ClockTime>>>,
}

impl Queue for Picture {
    fn backlog(&self) -> Backlog {
        self.inner.backlog()
    }

    fn push(&mut self, frame: &Frame) -> Flow {
        lock(&self.begins).get_or_insert(frame.time());
        if frame.buffer.dts().is_some() {
            return self.inner.push(frame);
        }
        self.inner.push(&decoded_in_order(frame))
    }
}

/// The frame with a decoding time: without one it is decoded when it is shown.
fn decoded_in_order(frame: &Frame) -> Frame {
    let mut frame = frame.clone();
    let time = frame.buffer.pts();
    frame.buffer.make_mut().set_dts(time);
    frame
}

/// What comes out, on its way to the hub.
struct Output {
    state: Mutex<State>,
    tell: Box<dyn Fn(RecordingEvent) + Send + Sync>,
}

#[derive(Default)]
struct State {
    begun: bool,
    finishing: bool,
    silent: bool,
    /// While finishing, the newest piece waits until it is known whether it is the last.
    held: Option<Piece>,
}

impl Output {
    fn new(tell: impl Fn(RecordingEvent) + Send + Sync + 'static) -> Self {
        Self {
            state: Mutex::default(),
            tell: Box::new(tell),
        }
    }

    fn take(&self, piece: Piece) {
        let mut state = lock(&self.state);
        if state.silent {
            return;
        }
        if !std::mem::replace(&mut state.begun, true) {
            return (self.tell)(RecordingEvent::Initialization(piece));
        }
        let ready = match state.finishing {
            true => state.held.replace(piece),
            false => Some(piece),
        };
        if let Some(piece) = ready {
            (self.tell)(RecordingEvent::Fragment { piece, last: false });
        }
    }

    fn finish(&self) {
        lock(&self.state).finishing = true;
    }

    fn end(&self) {
        let mut state = lock(&self.state);
        if std::mem::replace(&mut state.silent, true) {
            return;
        }
        let last = state.held.take();
        (self.tell)(match last {
            Some(piece) => RecordingEvent::Fragment { piece, last: true },
            None => RecordingEvent::Ended,
        });
    }

    fn silence(&self) {
        lock(&self.state).silent = true;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn pipeline(note: impl Fn(Note) + Send + Sync + 'static) -> Running {
    let pipeline = gst::Pipeline::new();
    clock::share(&pipeline);
    Running::new(pipeline, Arc::default(), move |event| match event {
        BusEvent::Error {
            error,
            debug: details,
        } => {
            tracing::debug!(%error, ?details, "recording");
            note(Note::Failed(error.message().to_owned()));
        }
        BusEvent::Element(from, message) => tracing::debug!(from, %message, "recording"),
        BusEvent::Eos | BusEvent::Latency => {}
    })
}

fn mux(params: &RecordingParams) -> Result<gst::Element, String> {
    let longest = u32::try_from(params.fragment.as_millis()).unwrap_or(u32::MAX);
    let mux = gst::ElementFactory::make("hksvmux").build().map_err(text)?;
    mux.set_property("fragment-duration", longest);
    Ok(mux)
}

fn sink(output: &Arc<Output>, note: impl Fn(Note) + Send + Sync + 'static) -> gst_app::AppSink {
    let sink = gst_app::AppSink::builder()
        .sync(false)
        .async_(false)
        .enable_last_sample(false)
        .build();
    let (pieces, end) = (output.clone(), output.clone());
    let callbacks = gst_app::AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let buffer = sample.buffer_owned().ok_or(gst::FlowError::Error)?;
            drop(sample);
            let piece = buffer
                .into_mapped_buffer_readable()
                .map_err(|_| gst::FlowError::Error)?;
            pieces.take(piece);
            Ok(gst::FlowSuccess::Ok)
        })
        .eos(move |_| {
            end.end();
            note(Note::Done);
        });
    sink.set_callbacks(callbacks.build());
    sink
}

fn add_linked(pipeline: &gst::Pipeline, elements: &[&gst::Element]) -> Result<(), String> {
    pipeline.add_many(elements).map_err(text)?;
    gst::Element::link_many(elements).map_err(text)
}

/// Hands requests for key frames that come from the muxer to whoever makes them.
fn pass_key_unit_requests(source: &gst_app::AppSrc, request: Box<dyn Fn() + Send + Sync>) {
    let Some(pad) = source.static_pad("src") else {
        return;
    };
    pad.add_probe(gst::PadProbeType::EVENT_UPSTREAM, move |_, info| {
        let asks = info
            .event()
            .is_some_and(|event| gst_video::ForceKeyUnitEvent::is(event));
        if asks {
            request();
        }
        gst::PadProbeReturn::Ok
    });
}

/// Adds the sound as AAC-LC. A camera without sound, or a system that cannot make AAC, gives a recording without.
fn add_sound(
    pipeline: &gst::Pipeline,
    mux: &gst::Element,
    ring: &Arc<Ring>,
    wanted: &RecordingAudio,
) -> Option<(Arc<Ring>, gst_app::AppSrc)> {
    let caps = ring.caps()?;
    let mut result = Err("no decoder, or no AAC encoder".to_owned());
    for chain in chains(&caps, wanted) {
        result = add_chain(pipeline, mux, &caps, &chain, wanted);
        if result.is_ok() {
            break;
        }
    }
    result
        .inspect_err(|reason| tracing::warn!(%caps, reason, "a recording goes without sound"))
        .ok()
        .map(|source| (ring.clone(), source))
}

/// Launch descriptions from the camera's sound to AAC-LC, the best first.
fn chains(caps: &gst::Caps, wanted: &RecordingAudio) -> Vec<String> {
    if is_wanted(caps, wanted) {
        return vec!["identity silent=true".to_owned()];
    }
    let decoders = match Codec::of(caps) {
        Some(Codec::RawAudio) => vec![String::new()],
        _ => decoders::of(caps)
            .iter()
            .map(|factory| format!("{factory} ! "))
            .collect(),
    };
    let encoder = AAC_ENCODERS
        .into_iter()
        .find(|name| gst::ElementFactory::find(name).is_some());
    let chain = |decoder: String| {
        let (rate, channels) = (wanted.rate, wanted.channels);
        encoder.map(|encoder| {
            format!(
                "{decoder}identity name=steady silent=true ! audioconvert ! audioresample \
                 ! audio/x-raw,rate={rate},channels={channels} ! {encoder} name=aac"
            )
        })
    };
    decoders.into_iter().filter_map(chain).collect()
}

/// Whether the camera's sound is what the hub wants.
fn is_wanted(caps: &gst::Caps, wanted: &RecordingAudio) -> bool {
    let Some(s) = caps.structure(0) else {
        return false;
    };
    let number = |field| s.get::<i32>(field).ok().and_then(|n| u32::try_from(n).ok());
    // The object type of AAC-LC is 2: the first five bits of its configuration (ISO 14496-3 §1.6.2.1).
    let is_lc = s
        .get::<gst::Buffer>("codec_data")
        .ok()
        .and_then(|config| Some(config.map_readable().ok()?.first()? >> 3 == 2));
    s.name() == "audio/mpeg"
        && number("mpegversion") == Some(4)
        && s.get::<&str>("stream-format").ok() == Some("raw")
        && number("rate") == Some(wanted.rate)
        && number("channels") == Some(wanted.channels.into())
        && is_lc == Some(true)
}

fn add_chain(
    pipeline: &gst::Pipeline,
    mux: &gst::Element,
    caps: &gst::Caps,
    chain: &str,
    wanted: &RecordingAudio,
) -> Result<gst_app::AppSrc, String> {
    let bin = gst::parse::bin_from_description(chain, true).map_err(text)?;
    if let Some(encoder) = bin.by_name("aac") {
        set_up(&encoder, wanted);
    }
    let steady = bin.by_name("steady");
    if let Some(pad) = steady.and_then(|steady| steady.static_pad("src")) {
        drift::watch(&pad);
    }
    let source = feed::source("audio");
    source.set_is_live(false);
    source.set_caps(Some(caps));
    add_linked(pipeline, &[source.upcast_ref(), bin.upcast_ref()])?;
    bin.link_pads(None, mux, Some("audio")).map_err(text)?;
    Ok(source)
}

/// Sets an encoder to what was selected, and to be quick: its sound is waited for.
fn set_up(encoder: &gst::Element, wanted: &RecordingAudio) {
    let bits_per_second = (wanted.kbps * 1000).clamp(16_000, 128_000).to_string();
    for (name, value) in [("bitrate", bits_per_second.as_str()), ("aac-coder", "fast")] {
        if encoder.has_property(name) {
            encoder.set_property_from_str(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece() -> Piece {
        let buffer = gst::Buffer::from_slice([1, 2, 3]);
        buffer.into_mapped_buffer_readable().unwrap()
    }

    fn names(events: &[RecordingEvent]) -> Vec<&'static str> {
        let name = |event: &RecordingEvent| match event {
            RecordingEvent::Initialization(_) => "init",
            RecordingEvent::Fragment { last: false, .. } => "fragment",
            RecordingEvent::Fragment { last: true, .. } => "last",
            RecordingEvent::Ended => "ended",
            RecordingEvent::Failed(_) => "failed",
        };
        events.iter().map(name).collect()
    }

    fn output() -> (Output, Arc<Mutex<Vec<RecordingEvent>>>) {
        gst::init().unwrap();
        let events = Arc::new(Mutex::new(Vec::new()));
        let told = events.clone();
        (Output::new(move |event| lock(&told).push(event)), events)
    }

    #[test]
    fn the_last_fragment_is_the_last_one_to_come_out() {
        let (output, events) = output();
        (0..2).for_each(|_| output.take(piece()));
        output.finish();
        (0..2).for_each(|_| output.take(piece()));
        output.end();
        output.end();
        assert_eq!(
            names(&lock(&events)),
            ["init", "fragment", "fragment", "last"]
        );
    }

    #[test]
    fn nothing_left_is_an_end_too() {
        let (output, events) = output();
        (0..2).for_each(|_| output.take(piece()));
        output.finish();
        output.end();
        assert_eq!(names(&lock(&events)), ["init", "fragment", "ended"]);
    }

    #[test]
    fn a_recording_that_was_stopped_is_silent() {
        let (output, events) = output();
        output.take(piece());
        output.silence();
        output.take(piece());
        output.end();
        assert_eq!(names(&lock(&events)), ["init"]);
    }

    #[test]
    fn only_aac_lc_as_selected_goes_as_it_is() {
        gst::init().unwrap();
        let caps = |config: u8| {
            gst::Caps::builder("audio/mpeg")
                .field("mpegversion", 4)
                .field("stream-format", "raw")
                .field("rate", 32_000)
                .field("channels", 1)
                .field("codec_data", gst::Buffer::from_slice([config, 0x88]))
                .build()
        };
        let wanted = |rate| RecordingAudio {
            rate,
            channels: 1,
            kbps: 64,
        };
        assert!(is_wanted(&caps(0x12), &wanted(32_000)));
        assert!(!is_wanted(&caps(0x12), &wanted(24_000)));
        assert!(!is_wanted(&caps(0x2b), &wanted(32_000)), "HE-AAC");
        let ways = chains(&caps(0x2b), &wanted(32_000));
        assert!(!ways.is_empty() && ways.iter().all(|way| way.contains("name=aac")));
    }
}
