//! What a viewer says, played by the camera.
//!
//! One viewer at a time has the floor: who speaks first keeps it until a second of silence.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use gst::prelude::*;

use super::params;
use super::redact;
use super::running::{BusEvent, Running};

/// Sinks of the sound system, the best first.
const SINKS: [&str; 3] = ["pipewiresink", "pulsesink", "alsasink"];
/// Who has said nothing for so long has lost the floor.
const FLOOR: Duration = Duration::from_secs(1);
/// The sound device is given back after this.
const IDLE: Duration = Duration::from_secs(10);
/// After a failure nothing is tried for so long.
const RETRY: Duration = Duration::from_secs(10);
/// What a sink may take to finish, such as a file's header.
const FINISH: Duration = Duration::from_secs(1);

/// Mute and volume of the speaker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loudness {
    /// Nothing is heard.
    pub mute: bool,
    /// Percent.
    pub volume: u8,
}

impl Default for Loudness {
    fn default() -> Self {
        Self {
            mute: false,
            volume: 100,
        }
    }
}

/// The loudspeaker of one camera.
#[derive(Debug)]
pub(super) struct Talkback {
    camera: String,
    /// Description of what plays raw audio; `None`: nothing does.
    sink: Option<params::Secret>,
    /// Apart from the state, which is locked while a device opens: who sets it does not wait for that.
    loudness: Mutex<Loudness>,
    voices: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    playing: Option<Playing>,
    floor: Option<(u64, Instant)>,
    failed: Option<Instant>,
}

#[derive(Debug)]
struct Playing {
    /// Taken away when dropped.
    pipeline: Option<Running>,
    source: gst_app::AppSrc,
    volume: gst::Element,
    loudness: Loudness,
    events: mpsc::Receiver<BusEvent>,
    caps: gst::Caps,
}

impl Talkback {
    /// The loudspeaker that `choice` names. Looks for one where that is left to us, which may take a moment.
    pub(super) fn new(camera: &str, choice: &params::Talkback) -> Arc<Self> {
        let sink = match choice {
            params::Talkback::Off => None,
            params::Talkback::Launch(text) => Some(text.clone()),
            params::Talkback::Auto => sound_system().map(params::Secret::new),
        };
        Arc::new(Self {
            camera: camera.to_owned(),
            sink,
            loudness: Mutex::default(),
            voices: AtomicU64::new(0),
            state: Mutex::default(),
        })
    }

    /// Whether there is a loudspeaker.
    pub(super) fn is_there(&self) -> bool {
        self.sink.is_some()
    }

    /// Sets mute and volume, from the next packet on.
    pub(super) fn set_loudness(&self, loudness: Loudness) {
        *self.lock_loudness() = loudness;
    }

    /// A viewer's way to speak.
    pub(super) fn voice(self: &Arc<Self>) -> Voice {
        Voice {
            talkback: self.clone(),
            number: self.voices.fetch_add(1, Ordering::Relaxed),
        }
    }

    fn speak(&self, voice: u64, sample: &gst::Sample) {
        let (Some(sink), Some(buffer), Some(caps)) =
            (&self.sink, sample.buffer_owned(), sample.caps_owned())
        else {
            return;
        };
        let mut state = self.lock();
        if !state.takes_floor(voice) || !self.is_ready(&mut state, sink, &caps) {
            return;
        }
        let failure = state
            .playing
            .as_mut()
            .and_then(|playing| playing.push(buffer, *self.lock_loudness()));
        if let Some(reason) = failure {
            self.fail(&mut state, &reason);
        }
    }

    /// Sees to a pipeline for what comes.
    fn is_ready(&self, state: &mut State, sink: &params::Secret, caps: &gst::Caps) -> bool {
        if state.failed.is_some_and(|at| at.elapsed() < RETRY) {
            return false;
        }
        if state
            .playing
            .as_ref()
            .is_some_and(|playing| playing.caps == *caps)
        {
            return true;
        }
        state.playing = None;
        match Playing::start(sink.expose(), caps) {
            Ok(playing) => {
                tracing::info!(camera = %self.camera, "a viewer speaks");
                state.playing = Some(playing);
                state.failed = None;
                true
            }
            Err(reason) => {
                self.fail(state, &reason);
                false
            }
        }
    }

    fn fail(&self, state: &mut State, reason: &str) {
        tracing::warn!(camera = %self.camera, reason, "what a viewer says cannot be played; see `talkback` in the config");
        state.failed = Some(Instant::now());
        state.playing = None;
    }

    /// The viewer says no more.
    fn leave(&self, voice: u64) {
        let mut state = self.lock();
        if state.has_floor(voice) {
            state.floor = None;
            state.playing = None;
        }
    }

    fn look(&self) {
        // Locked: somebody speaks.
        let Ok(mut state) = self.state.try_lock() else {
            return;
        };
        if state.floor.is_some_and(|(_, at)| at.elapsed() > IDLE) {
            state.floor = None;
            state.playing = None;
        }
    }

    fn lock_loudness(&self) -> MutexGuard<'_, Loudness> {
        let loudness = self.loudness.lock();
        loudness.unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_floor(&self, voice: u64) -> bool {
        self.floor.is_some_and(|(number, _)| number == voice)
    }

    fn takes_floor(&mut self, voice: u64) -> bool {
        let taken = self
            .floor
            .is_some_and(|(number, at)| number != voice && at.elapsed() < FLOOR);
        if !taken {
            self.floor = Some((voice, Instant::now()));
        }
        !taken
    }
}

/// One viewer's way to speak; dropping it ends what it says.
#[derive(Debug)]
pub(super) struct Voice {
    talkback: Arc<Talkback>,
    number: u64,
}

impl Voice {
    /// Plays what came: RTP.
    pub(super) fn speak(&self, sample: &gst::Sample) {
        self.talkback.speak(self.number, sample);
    }

    /// Gives the sound device back where nobody speaks any more.
    pub(super) fn look(&self) {
        self.talkback.look();
    }
}

impl Drop for Voice {
    fn drop(&mut self) {
        self.talkback.leave(self.number);
    }
}

impl Playing {
    fn start(sink: &str, caps: &gst::Caps) -> Result<Self, String> {
        let decoder = decoder(caps).ok_or("its codec is unknown")?;
        // HomeKit counts Opus at the rate that was settled. Timing is done when the depayloader gets it, which knows
        // 48000 only.
        let text = format!(
            "appsrc name=in format=time is-live=true do-timestamp=true max-buffers=100 leaky-type=downstream \
             ! rtpjitterbuffer latency=60 ! {decoder} ! audioconvert ! audioresample ! volume name=volume \
             ! audioconvert ! audioresample ! {sink}"
        );
        let bin = gst::parse::launch(&text).map_err(|e| redact::text(e.message()))?;
        let pipeline = bin.downcast::<gst::Pipeline>().map_err(|_| "no pipeline")?;
        let named = |name| pipeline.by_name(name).ok_or("an element is missing");
        let volume = named("volume")?;
        let source = named("in")?.downcast::<gst_app::AppSrc>();
        let source = source.map_err(|_| "an element is missing")?;
        source.set_caps(Some(caps));
        let (sender, events) = mpsc::channel();
        let sender = Mutex::new(sender);
        let tell = move |event| {
            let sender = sender.lock().unwrap_or_else(PoisonError::into_inner);
            drop(sender.send(event));
        };
        let playing = Self {
            pipeline: Some(Running::new(pipeline.clone(), Arc::default(), tell)),
            source,
            volume,
            loudness: Loudness::default(),
            events,
            caps: caps.clone(),
        };
        let started = pipeline.set_state(gst::State::Playing);
        started.map_err(|_| {
            playing
                .failure()
                .unwrap_or_else(|| "it does not start".to_owned())
        })?;
        Ok(playing)
    }

    fn set_loudness(&mut self, loudness: Loudness) {
        if std::mem::replace(&mut self.loudness, loudness) == loudness {
            return;
        }
        self.volume.set_property("mute", loudness.mute);
        self.volume
            .set_property("volume", f64::from(loudness.volume) / 100.0);
    }

    /// Why it does not work, if so.
    fn push(&mut self, mut buffer: gst::Buffer, loudness: Loudness) -> Option<String> {
        self.set_loudness(loudness);
        let buffer_ref = buffer.make_mut();
        buffer_ref.set_pts(gst::ClockTime::NONE);
        buffer_ref.set_dts(gst::ClockTime::NONE);
        let pushed = self.source.push_buffer(buffer);
        let failure = self.failure();
        failure.or(pushed.err().map(|error| error.to_string()))
    }

    fn failure(&self) -> Option<String> {
        self.events.try_iter().find_map(|event| match event {
            BusEvent::Error { error, .. } => Some(redact::text(error.message())),
            _ => None,
        })
    }
}

impl Drop for Playing {
    /// Lets a file be finished, elsewhere.
    fn drop(&mut self) {
        let (pipeline, source) = (self.pipeline.take(), self.source.clone());
        let (_, none) = mpsc::channel();
        let events = std::mem::replace(&mut self.events, none);
        let finish = move || {
            let _ = source.end_of_stream();
            let until = Instant::now() + FINISH;
            while let Ok(event) =
                events.recv_timeout(until.saturating_duration_since(Instant::now()))
            {
                if matches!(event, BusEvent::Eos | BusEvent::Error { .. }) {
                    break;
                }
            }
            drop(pipeline);
        };
        // Without a thread it is cut off.
        let _ = thread::Builder::new()
            .name("talkback-end".into())
            .spawn(finish);
    }
}

/// From RTP to raw audio.
fn decoder(caps: &gst::Caps) -> Option<&'static str> {
    let name = caps.structure(0)?.get::<&str>("encoding-name").ok()?;
    match name {
        "OPUS" => Some(
            "capssetter caps=application/x-rtp,clock-rate=48000 ! rtpopusdepay ! opusdec plc=true",
        ),
        "MPEG4-GENERIC" => Some("rtpmp4gdepay ! avdec_aac"),
        _ => None,
    }
}

/// The first sink of the sound system that opens its device.
fn sound_system() -> Option<&'static str> {
    super::init().ok()?;
    SINKS.into_iter().find(|name| {
        let Ok(sink) = gst::ElementFactory::make(name).build() else {
            return false;
        };
        let opened = sink.set_state(gst::State::Ready).is_ok();
        let _ = sink.set_state(gst::State::Null);
        opened
    })
}
