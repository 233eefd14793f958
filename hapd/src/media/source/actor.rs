//! Keeps one camera's pipeline running.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use gst::prelude::*;

use super::super::clock;
use super::super::intake::{Note, Once};
use super::super::params::{CameraSource, RtspTransport, Source};
use super::super::running::{BusEvent, Running};
use super::super::status::State;
use super::super::track::{Medium, audio_info, video_info};
use super::super::tracks::Tracks;
use super::backoff::Backoff;
use super::build::{self, Transport};
use super::plug::Plug;
use super::reason;
use super::url::RtspUrl;

/// Old pipelines that may be ending while a new one is tried.
const MOST_ENDING: usize = 3;
/// A source may need this long for its first picture, on top of the stall time.
const START_EXTRA: Duration = Duration::from_secs(5);

/// To the actor. The numbers say which attempt speaks: earlier ones are not listened to.
#[derive(Debug)]
pub(super) enum Msg {
    Note(u32, Medium, Note),
    Bus(u32, BusEvent),
    Broken(u32, String),
    NoMoreStreams(u32),
    Stop,
}

/// A running source.
#[derive(Debug)]
pub(in super::super) struct Handle {
    actor: mpsc::Sender<Msg>,
}

impl Handle {
    /// Ends the source; returns at once.
    pub(in super::super) fn stop(&self) {
        let _ = self.actor.send(Msg::Stop);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Starts a source that publishes to `tracks`.
pub(in super::super) fn spawn(camera: CameraSource, tracks: Arc<Tracks>) -> Handle {
    let (sender, inbox) = mpsc::channel();
    let handle = Handle {
        actor: sender.clone(),
    };
    let thread_name: String = format!("cam-{}", camera.name)
        .chars()
        .filter(|c| *c != '\0')
        .take(15)
        .collect();
    let mut actor = Actor::new(camera, tracks.clone(), sender, inbox);
    let spawned = thread::Builder::new()
        .name(thread_name)
        .spawn(move || actor.run());
    if let Err(error) = spawned {
        let reason = format!("no thread for the camera: {error}");
        tracks.update(|s| {
            s.state = State::Failed {
                reason,
                retry_in: Duration::MAX,
            }
        });
    }
    handle
}

/// How an attempt ended.
enum End {
    Stopped,
    Failed(String),
}

struct Actor {
    camera: CameraSource,
    tracks: Arc<Tracks>,
    sender: mpsc::Sender<Msg>,
    inbox: mpsc::Receiver<Msg>,
    secrets: Vec<String>,
    transport: Transport,
    backoff: Backoff,
    attempt: u32,
    ending: Arc<AtomicUsize>,
    delivering_since: Option<Instant>,
}

impl Actor {
    fn new(
        camera: CameraSource,
        tracks: Arc<Tracks>,
        sender: mpsc::Sender<Msg>,
        inbox: mpsc::Receiver<Msg>,
    ) -> Self {
        let wanted = match &camera.source {
            Source::Rtsp { transport, .. } => *transport,
            _ => RtspTransport::Auto,
        };
        Self {
            secrets: build::secrets(&camera.source),
            transport: Transport::first(wanted),
            camera,
            tracks,
            sender,
            inbox,
            backoff: Backoff::default(),
            attempt: 0,
            ending: Arc::default(),
            delivering_since: None,
        }
    }

    fn run(&mut self) {
        while let End::Failed(reason) = self.try_once() {
            if self.wait(reason).is_none() {
                break;
            }
        }
        self.tracks.update(|s| s.state = State::Stopped);
    }

    /// Tells the failure and waits before the next attempt; `None` when stopped meanwhile.
    fn wait(&mut self, reason: String) -> Option<()> {
        let ran = self
            .delivering_since
            .take()
            .map_or(Duration::ZERO, |since| since.elapsed());
        let retry_in = self.backoff.after(ran);
        self.tracks.update(|s| {
            s.state = State::Failed { reason, retry_in };
            s.audio = None;
        });
        self.choose_transport(ran);
        let until = Instant::now() + retry_in;
        loop {
            let enough = self.ending.load(Ordering::Acquire) < MOST_ENDING;
            let left = until.saturating_duration_since(Instant::now());
            match self
                .inbox
                .recv_timeout(left.max(Duration::from_millis(if enough { 0 } else { 200 })))
            {
                Ok(Msg::Stop) | Err(mpsc::RecvTimeoutError::Disconnected) => return None,
                Err(mpsc::RecvTimeoutError::Timeout) if enough => return Some(()),
                Ok(_) | Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// An RTSP camera that did not deliver by one transport may by the other.
    fn choose_transport(&mut self, ran: Duration) {
        let auto = matches!(
            self.camera.source,
            Source::Rtsp {
                transport: RtspTransport::Auto,
                ..
            }
        );
        let unreachable = matches!(&self.tracks.status().state, State::Failed { reason, .. } if is_unreachable(reason));
        if auto && ran.is_zero() && !unreachable {
            self.transport = self.transport.other();
        }
    }

    fn try_once(&mut self) -> End {
        self.attempt += 1;
        let alive = Arc::new(AtomicBool::new(true));
        let end = match self.start(&alive) {
            Ok((pipeline, plug)) => self.supervise(&pipeline, &plug),
            Err(reason) if reason.is_empty() => self.reason_on_bus("cannot be started"),
            Err(reason) => End::Failed(reason),
        };
        alive.store(false, Ordering::Release);
        self.tracks.video.interrupt();
        self.tracks.audio.interrupt();
        end
    }

    /// An empty reason says that the bus tells it.
    fn start(&self, alive: &Arc<AtomicBool>) -> Result<(Running, Arc<Plug>), String> {
        super::super::init().map_err(|e| e.to_string())?;
        let pipeline = build::pipeline(&self.camera.source)?;
        clock::follow(&pipeline);
        let (run, sender) = (self.attempt, self.sender.clone());
        let plug = Arc::new(Plug {
            pipeline: pipeline.downgrade(),
            tracks: self.tracks.clone(),
            pace: build::pace(&self.camera.source),
            want_audio: self.camera.audio,
            run,
            actor: sender.clone(),
            alive: alive.clone(),
            offered_video: Once::default(),
            video: Once::default(),
            audio: Once::default(),
        });
        let pipeline = Running::new(pipeline, self.ending.clone(), move |event| {
            let _ = sender.send(Msg::Bus(run, event));
        });
        build::fill(&pipeline, &self.camera, self.transport, &plug)?;
        pipeline
            .set_state(gst::State::Playing)
            .map_err(|_| String::new())?;
        Ok((pipeline, plug))
    }

    fn reason_on_bus(&self, otherwise: &str) -> End {
        let until = Instant::now() + Duration::from_millis(200);
        while let Ok(msg) = self
            .inbox
            .recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            match msg {
                Msg::Stop => return End::Stopped,
                Msg::Bus(run, BusEvent::Error { error, debug }) if run == self.attempt => {
                    return End::Failed(self.explain(&error, debug.as_deref()));
                }
                _ => {}
            }
        }
        End::Failed(otherwise.to_owned())
    }

    fn explain(&self, error: &gst::glib::Error, debug: Option<&str>) -> String {
        let reason = reason::explain(error, debug, &self.secrets);
        match &self.camera.source {
            Source::Rtsp { url, .. } if reason::is_connection_failure(&reason) => {
                let why = RtspUrl::split(url.expose()).connection_failure();
                why.map_or(reason, str::to_owned)
            }
            _ => reason,
        }
    }

    fn supervise(&mut self, pipeline: &Running, plug: &Plug) -> End {
        let started = Instant::now();
        loop {
            let Some(left) = self.time_left(started) else {
                return End::Failed(self.silence_reason(plug));
            };
            let msg = match self.inbox.recv_timeout(left) {
                Ok(msg) => msg,
                Err(mpsc::RecvTimeoutError::Timeout) => continue,
                Err(mpsc::RecvTimeoutError::Disconnected) => return End::Stopped,
            };
            if let Some(end) = self.handle(msg, pipeline, plug) {
                return end;
            }
        }
    }

    /// Time until the source counts as stalled; `None` when it does.
    fn time_left(&self, started: Instant) -> Option<Duration> {
        let (silent, allowed) = match (self.delivering_since, self.tracks.video.silent_for()) {
            (Some(_), Some(silent)) => (silent, self.camera.stall_timeout),
            _ => (started.elapsed(), self.camera.stall_timeout + START_EXTRA),
        };
        let left = allowed.saturating_sub(silent);
        (!left.is_zero()).then_some(left)
    }

    fn silence_reason(&self, plug: &Plug) -> String {
        match (self.delivering_since, plug.video.was_first()) {
            (Some(_), _) => format!("no picture for {:?}", self.camera.stall_timeout),
            (None, true) => "its video has no key frame".to_owned(),
            (None, false) => "it delivers no video".to_owned(),
        }
    }

    fn handle(&mut self, msg: Msg, pipeline: &Running, plug: &Plug) -> Option<End> {
        match msg {
            Msg::Stop => return Some(End::Stopped),
            Msg::Note(run, medium, note) if run == self.attempt => self.note(medium, note),
            Msg::Bus(run, event) if run == self.attempt => return self.bus(event, pipeline),
            Msg::Broken(run, reason) if run == self.attempt => return Some(End::Failed(reason)),
            Msg::NoMoreStreams(run) if run == self.attempt && !plug.offered_video.was_first() => {
                return Some(End::Failed("the camera offers no video".to_owned()));
            }
            _ => {}
        }
        None
    }

    fn note(&mut self, medium: Medium, note: Note) {
        match (medium, note) {
            (Medium::Video, Note::Caps(caps)) => {
                tracing::info!(camera = %self.camera.name, %caps, "video");
                self.tracks.update(|s| s.video = video_info(&caps, false));
            }
            (Medium::Audio, Note::Caps(caps)) => {
                tracing::info!(camera = %self.camera.name, %caps, "audio");
                self.tracks.update(|s| s.audio = audio_info(&caps));
            }
            (Medium::Video, Note::Reordered) => self.tracks.update(|s| {
                if let Some(video) = &mut s.video {
                    video.reordered = true;
                }
            }),
            (Medium::Video, Note::FirstKey) => {
                self.delivering_since = Some(Instant::now());
                self.tracks.update(|s| s.state = State::Running);
            }
            // Only now the first packet can be looked at.
            (Medium::Audio, Note::FirstKey) => self.tracks.tell(),
            (Medium::Audio, Note::Reordered) => {}
            // A clock that never holds still is not worth a line each time.
            (_, Note::Jumped(count)) if count.is_power_of_two() => {
                tracing::warn!(camera = %self.camera.name, ?medium, count, "timestamps jumped");
            }
            (_, Note::Jumped(_)) => {}
        }
    }

    fn bus(&mut self, event: BusEvent, pipeline: &Running) -> Option<End> {
        match event {
            BusEvent::Error { error, debug } => {
                Some(End::Failed(self.explain(&error, debug.as_deref())))
            }
            BusEvent::Eos => self.at_end(pipeline),
            BusEvent::Latency => {
                let _ = pipeline.recalculate_latency();
                None
            }
            BusEvent::Element(_, message) => {
                self.tracks.tell_message(&message);
                None
            }
        }
    }

    /// Files start over; everything else has failed.
    fn at_end(&mut self, pipeline: &Running) -> Option<End> {
        if !matches!(self.camera.source, Source::File(_)) {
            return Some(End::Failed("the source ended".to_owned()));
        }
        if self.delivering_since.is_none() {
            return Some(End::Failed(
                "the file holds no video that can be used".to_owned(),
            ));
        }
        let again = pipeline.seek_simple(
            gst::SeekFlags::FLUSH | gst::SeekFlags::KEY_UNIT,
            gst::ClockTime::ZERO,
        );
        again
            .is_err()
            .then(|| End::Failed("the file cannot be played again".to_owned()))
    }
}

fn is_unreachable(reason: &str) -> bool {
    ["refused", "reachable", "unknown", "authorised"]
        .iter()
        .any(|text| reason.contains(text))
}
