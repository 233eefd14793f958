//! One viewer: two streams from memory into two `hapsrtpsink`.
//!
//! A session lives on a thread of its own. What is asked of it is sent there, so that neither the asker nor another
//! session ever waits for it.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use gst::prelude::*;
use gsthomekit::ring::Source;
use tokio::sync::mpsc as async_mpsc;

use super::camera::Shared;
use super::leg::{Feed, Leg};
use super::params::{
    AudioParams, MediaEndpoint, MediaError, SessionEndpoints, VideoChange, VideoParams,
};
use super::running::{BusEvent, Running};
use super::sound::{self, Origin, Sound};
use super::srtp_sink::{self, StreamStats};
use super::status::State;
use super::switch::{Switch, Turn};
use super::talkback::Voice;
use super::video::{Attached, Video};

/// How often the controller's reports are looked at.
const LOOK: Duration = Duration::from_secs(1);
const VIDEO: &str = "video";
const AUDIO: &str = "audio";

/// What a session tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionEvent {
    /// The first RTCP of the controller came.
    FirstRtcp,
    /// No RTCP came for 30 seconds.
    RtcpTimeout,
    /// The controller said goodbye.
    Bye,
    /// The session broke; nothing more is sent.
    Failed(String),
}

/// Counters of a session.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct SessionStats {
    /// Whether the source's own H.264 is sent; `None` before the first picture.
    pub passthrough: Option<bool>,
    /// Video.
    pub video: StreamStats,
    /// Audio.
    pub audio: StreamStats,
}

/// One viewer. Dropping it stops it.
#[derive(Debug)]
pub struct Session {
    actor: mpsc::Sender<Msg>,
    events: Mutex<Option<async_mpsc::UnboundedReceiver<SessionEvent>>>,
    started: AtomicBool,
    ports: [u16; 2],
    counted: Arc<Counted>,
    sinks: [gst::Element; 2],
}

/// What the session's thread counts.
#[derive(Debug, Default)]
struct Counted {
    passthrough: Mutex<Option<bool>>,
    dropped: [Arc<AtomicU64>; 2],
}

#[derive(Debug)]
enum Msg {
    Start(Box<VideoParams>, Option<AudioParams>),
    Change(VideoChange),
    Active(bool),
    Stop,
    /// The camera's status changed.
    Source,
    /// The controller, or the sink, wants a key frame.
    KeyUnit,
    /// The controller caps the bitrate.
    Cap(u32),
    /// A medium changes its stream.
    Turn(&'static str, Turn),
    /// A stream made for viewers cannot be made.
    StreamFailed,
    Bus(BusEvent),
}

impl Session {
    /// Opens the ports.
    pub(super) fn open(
        camera: Arc<Shared>,
        endpoints: &SessionEndpoints,
    ) -> Result<Self, MediaError> {
        let (sender, inbox) = mpsc::channel();
        let (events, receiver) = async_mpsc::unbounded_channel();
        let counted = Arc::<Counted>::default();
        let pipeline = new_pipeline(&sender);
        let voice = Arc::new(camera.talkback.voice());
        let leg =
            |name, endpoint| add_leg(&pipeline, name, endpoints.local, endpoint, &sender, &voice);
        let video = leg(VIDEO, &endpoints.video)?;
        let audio = leg(AUDIO, &endpoints.audio)?;
        open_ports(&pipeline, &inbox)?;
        let sinks = [video.1, audio.1];
        let ports = [
            srtp_sink::bound_port(&sinks[0])?,
            srtp_sink::bound_port(&sinks[1])?,
        ];
        let [video_dropped, audio_dropped] = counted.dropped.clone();
        let actor = Actor {
            camera: camera.clone(),
            pipeline,
            inbox,
            sender: sender.clone(),
            events,
            video: Video::new(camera, video.0, video_dropped, sinks[0].clone()),
            audio: Leg::new(audio.0, audio_dropped),
            sinks: sinks.clone(),
            started: None,
            active: true,
            heard: false,
            counted: counted.clone(),
            voice,
            alive: Arc::new(()),
        };
        let spawned = thread::Builder::new()
            .name("media-session".into())
            .spawn(move || actor.run());
        spawned.map_err(|e| MediaError::Ports(format!("no thread: {e}")))?;
        let events = Mutex::new(Some(receiver));
        Ok(Self {
            actor: sender,
            events,
            started: AtomicBool::new(false),
            ports,
            counted,
            sinks,
        })
    }

    /// The UDP port of our video.
    pub fn video_port(&self) -> u16 {
        self.ports[0]
    }

    /// The UDP port of our audio.
    pub fn audio_port(&self) -> u16 {
        self.ports[1]
    }

    /// Starts sending. Returns at once; later failures come as [`SessionEvent::Failed`].
    ///
    /// # Errors
    /// [`MediaError`] for parameters out of range and for a second start.
    pub fn start(&self, video: VideoParams, audio: Option<AudioParams>) -> Result<(), MediaError> {
        video.check()?;
        audio.as_ref().map_or(Ok(()), AudioParams::check)?;
        if self.started.swap(true, Ordering::AcqRel) {
            return Err(MediaError::State("the session has been started already"));
        }
        self.send(Msg::Start(Box::new(video), audio))
    }

    /// Changes size or bitrate; SSRC, sequence and time go on.
    ///
    /// # Errors
    /// [`MediaError`] for parameters out of range and before the start.
    pub fn reconfigure(&self, change: VideoChange) -> Result<(), MediaError> {
        change.check()?;
        if !self.started.load(Ordering::Acquire) {
            return Err(MediaError::State("the session has not been started"));
        }
        self.send(Msg::Change(change))
    }

    /// Sends nothing but RTCP until [`Session::resume`].
    pub fn suspend(&self) {
        let _ = self.send(Msg::Active(false));
    }

    /// Goes on with the next key frame.
    pub fn resume(&self) {
        let _ = self.send(Msg::Active(true));
    }

    /// Ends the session; returns at once.
    pub fn stop(self) {}

    /// What happens to the session; `None` when taken already.
    pub fn events(&self) -> Option<async_mpsc::UnboundedReceiver<SessionEvent>> {
        self.events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Counters now.
    pub fn stats(&self) -> SessionStats {
        let [video, audio] = [0, 1].map(|n| StreamStats {
            dropped: self.counted.dropped[n].load(Ordering::Relaxed),
            ..srtp_sink::stats(&self.sinks[n])
        });
        let passthrough = *self
            .counted
            .passthrough
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        SessionStats {
            passthrough,
            video,
            audio,
        }
    }

    fn send(&self, msg: Msg) -> Result<(), MediaError> {
        self.actor.send(msg).map_err(|_| MediaError::Stopped)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.actor.send(Msg::Stop);
    }
}

fn new_pipeline(sender: &mpsc::Sender<Msg>) -> Running {
    let pipeline = gst::Pipeline::new();
    super::clock::share(&pipeline);
    let sender = sender.clone();
    Running::new(pipeline, Arc::default(), move |event| {
        drop(sender.send(Msg::Bus(event)))
    })
}

/// Leads what the viewer says to the camera's loudspeaker.
fn lead_voice(pipeline: &Running, sink: &gst::Element, voice: &Arc<Voice>) {
    let (pipeline, voice) = (pipeline.downgrade(), Arc::downgrade(voice));
    sink.connect_pad_added(move |_, pad| {
        let Some(pipeline) = pipeline.upgrade() else {
            return;
        };
        let voice = voice.clone();
        let end = gst_app::AppSink::builder()
            .sync(false)
            .async_(false)
            .build();
        let callbacks = gst_app::AppSinkCallbacks::builder().new_sample(move |end| {
            let sample = end.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            if let Some(voice) = voice.upgrade() {
                voice.speak(&sample);
            }
            Ok(gst::FlowSuccess::Ok)
        });
        end.set_callbacks(callbacks.build());
        let linked = pipeline.add(&end).is_ok()
            && end.sync_state_with_parent().is_ok()
            && end
                .static_pad("sink")
                .is_some_and(|sink| pad.link(&sink).is_ok());
        if !linked {
            tracing::warn!("what a viewer says is not heard: the pipeline cannot take it");
        }
    });
}

/// Adds a ring source and its `hapsrtpsink`.
fn add_leg(
    pipeline: &Running,
    name: &'static str,
    local: IpAddr,
    endpoint: &MediaEndpoint,
    sender: &mpsc::Sender<Msg>,
    voice: &Arc<Voice>,
) -> Result<(Switch, gst::Element), MediaError> {
    let sink = srtp_sink::make(name, local, endpoint)?;
    let source = Source::new(&format!("{name}-in"));
    let linked = pipeline
        .add_many([source.upcast_ref(), &sink])
        .and_then(|()| source.link(&sink));
    linked.map_err(|e| MediaError::Ports(e.to_string()))?;
    if name == AUDIO {
        lead_voice(pipeline, &sink, voice);
    } else {
        watch_key_unit_requests(&source, sender.clone());
        watch_cap(&sink, sender.clone());
    }
    let sender = sender.clone();
    let switch = Switch::new(
        move |frame| source.push(frame),
        move |turn| drop(sender.send(Msg::Turn(name, turn))),
    );
    Ok((switch, sink))
}

fn watch_key_unit_requests(source: &Source, sender: mpsc::Sender<Msg>) {
    let Some(pad) = source.static_pad("src") else {
        return;
    };
    pad.add_probe(gst::PadProbeType::EVENT_UPSTREAM, move |_, info| {
        if info
            .event()
            .is_some_and(|event| gst_video::UpstreamForceKeyUnitEvent::parse(event).is_ok())
        {
            let _ = sender.send(Msg::KeyUnit);
        }
        gst::PadProbeReturn::Ok
    });
}

fn watch_cap(sink: &gst::Element, sender: mpsc::Sender<Msg>) {
    sink.connect_notify(Some("max-bitrate"), move |sink, _| {
        let _ = sender.send(Msg::Cap(sink.property("max-bitrate")));
    });
}

fn open_ports(pipeline: &Running, inbox: &mpsc::Receiver<Msg>) -> Result<(), MediaError> {
    if pipeline.set_state(gst::State::Ready).is_ok() {
        return Ok(());
    }
    let reason = inbox.try_iter().find_map(|msg| match msg {
        Msg::Bus(BusEvent::Error { error, .. }) => Some(error.message().to_owned()),
        _ => None,
    });
    Err(MediaError::Ports(
        reason.unwrap_or_else(|| "unknown reason".to_owned()),
    ))
}

/// Which sound the viewer hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hearing {
    Own,
    Made(u32),
}

struct Actor {
    camera: Arc<Shared>,
    pipeline: Running,
    inbox: mpsc::Receiver<Msg>,
    sender: mpsc::Sender<Msg>,
    events: async_mpsc::UnboundedSender<SessionEvent>,
    video: Video,
    audio: Leg<Hearing>,
    sinks: [gst::Element; 2],
    /// What the controller wants to hear; `None` before the start.
    started: Option<Option<AudioParams>>,
    active: bool,
    heard: bool,
    counted: Arc<Counted>,
    /// What the viewer says, as long as it is there.
    voice: Arc<Voice>,
    /// Listeners elsewhere live as long.
    alive: Arc<()>,
}

/// The session goes on, or is over, with the reason if it failed.
type Progress = Result<(), Option<String>>;

impl Actor {
    fn run(mut self) {
        loop {
            let progress = match self.next() {
                Ok(Some(msg)) => self.handle(msg),
                Ok(None) => {
                    self.look();
                    Ok(())
                }
                Err(_) => Err(None),
            };
            if let Err(reason) = progress {
                if let Some(reason) = reason {
                    tracing::warn!(camera = %self.camera.source.name, %reason, "session failed");
                    let _ = self.events.send(SessionEvent::Failed(reason));
                }
                break;
            }
        }
        self.video.detach();
        self.audio.detach();
    }

    /// The next message; `None` when it is time to look at the controller's reports.
    fn next(&self) -> Result<Option<Msg>, mpsc::RecvError> {
        if self.started.is_none() || !self.active {
            return self.inbox.recv().map(Some);
        }
        match self.inbox.recv_timeout(LOOK) {
            Ok(msg) => Ok(Some(msg)),
            Err(mpsc::RecvTimeoutError::Timeout) => Ok(None),
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(mpsc::RecvError),
        }
    }

    fn look(&mut self) {
        self.voice.look();
        if self.video.look(Instant::now()) {
            self.choose_video();
        }
    }

    fn handle(&mut self, msg: Msg) -> Progress {
        match msg {
            Msg::Start(video, audio) => return self.start(*video, audio),
            Msg::Change(change) => self.change(&change),
            Msg::Active(active) => self.set_active(active),
            Msg::Stop => return Err(None),
            Msg::Source => return self.source_changed(),
            Msg::KeyUnit => self.video.request_key_unit(),
            Msg::Cap(bitrate) => {
                self.video.cap(bitrate);
                self.choose_video();
            }
            Msg::Turn(VIDEO, Turn::TakenOver(number)) => self.video.taken_over(number),
            Msg::Turn(_, Turn::TakenOver(number)) => self.audio.taken_over(number),
            Msg::Turn(VIDEO, Turn::KeyWanted(_)) => self.video.request_key_unit(),
            Msg::Turn(..) => {}
            Msg::StreamFailed => return self.check_streams(),
            Msg::Bus(event) => return self.bus(event),
        }
        Ok(())
    }

    fn start(&mut self, video: VideoParams, audio: Option<AudioParams>) -> Progress {
        self.video.start(video);
        if let Some(audio) = &audio {
            srtp_sink::set_audio(&self.sinks[1], audio);
        }
        self.started = Some(audio);
        for tracks in self.camera.all_tracks() {
            let sender = self.sender.clone();
            tracks.listen(&self.alive, move || drop(sender.send(Msg::Source)));
        }
        if self.pipeline.set_state(gst::State::Playing).is_err() {
            // The reason follows on the bus.
            return Ok(());
        }
        self.source_changed()
    }

    fn change(&mut self, change: &VideoChange) {
        let changed = self.video.change(change);
        if !self.choose_video() && changed {
            self.video.request_key_unit();
        }
    }

    fn set_active(&mut self, active: bool) {
        if std::mem::replace(&mut self.active, active) == active {
            return;
        }
        for sink in &self.sinks {
            sink.set_property("active", active);
        }
        if active {
            self.choose_video();
            self.choose_audio();
        } else {
            self.video.detach();
            self.audio.detach();
        }
    }

    fn source_changed(&mut self) -> Progress {
        if self.camera.tracks.status().state == State::Stopped {
            return Err(Some("the camera was stopped".to_owned()));
        }
        self.choose_video();
        self.choose_audio();
        self.check_streams()
    }

    /// Takes the picture that suits the viewer best now. True if it is another than before.
    fn choose_video(&mut self) -> bool {
        if !self.active {
            return false;
        }
        let attached = self.video.choose(Instant::now());
        let passthrough = match &attached {
            Attached::Nothing => return false,
            Attached::Own => true,
            Attached::Made(derived) => {
                let sender = self.sender.clone();
                derived.on_failure(&self.alive, move || drop(sender.send(Msg::StreamFailed)));
                false
            }
        };
        let counted = &self.counted.passthrough;
        *counted.lock().unwrap_or_else(PoisonError::into_inner) = Some(passthrough);
        self.video.request_key_unit();
        true
    }

    fn choose_audio(&mut self) {
        let Some(Some(params)) = &self.started else {
            return;
        };
        let camera = &self.camera;
        let choice = match sound::origin(&camera.tracks) {
            Origin::Passthrough => Hearing::Own,
            Origin::Encoder => Hearing::Made(opus_kbps(params)),
        };
        if !self.active || self.audio.choice() == Some(&choice) {
            return;
        }
        let feed = match choice {
            Hearing::Own => Feed::Own(camera.tracks.audio.clone()),
            Hearing::Made(kbps) => {
                Feed::Made(camera.sounds.get(&kbps, &camera.tracks, |_| Sound {
                    tracks: camera.tracks.clone(),
                    kbps,
                }))
            }
        };
        self.audio.attach(choice, feed);
    }

    /// A viewer without a picture is not kept. Without sound it is.
    fn check_streams(&self) -> Progress {
        let reason = self.video.failure();
        reason.map_or(Ok(()), |reason| {
            Err(Some(format!("the picture cannot be transcoded: {reason}")))
        })
    }

    fn bus(&mut self, event: BusEvent) -> Progress {
        match event {
            BusEvent::Error {
                error,
                debug: detail,
            } => {
                tracing::debug!(detail, "session pipeline");
                Err(Some(error.message().to_owned()))
            }
            BusEvent::Element(sink, message) => {
                self.message(&sink, message.name());
                Ok(())
            }
            BusEvent::Latency | BusEvent::Eos => Ok(()),
        }
    }

    fn message(&mut self, sink: &str, name: &str) {
        let event = match name {
            "hapsrtpsink-first-rtcp" if !std::mem::replace(&mut self.heard, true) => {
                SessionEvent::FirstRtcp
            }
            "hapsrtpsink-rtcp-timeout" if self.is_silent() => SessionEvent::RtcpTimeout,
            "hapsrtpsink-bye" if sink == VIDEO => SessionEvent::Bye,
            _ => return,
        };
        let _ = self.events.send(event);
    }

    /// Controllers report video often and audio seldom; one of them is enough.
    fn is_silent(&self) -> bool {
        let silence = srtp_sink::RTCP_TIMEOUT.mul_f32(0.9);
        self.sinks.iter().all(|sink| {
            srtp_sink::stats(sink)
                .last_rtcp
                .is_none_or(|age| age >= silence)
        })
    }
}

/// In steps, so that viewers share an encoder.
fn opus_kbps(params: &AudioParams) -> u32 {
    match params.max_bitrate_kbps {
        0 | 24..48 => pipelines::OPUS_KBPS,
        1..24 => 16,
        _ => 48,
    }
}
