//! The thread of one camera's recordings.

use std::collections::HashMap;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use super::super::camera::Shared;
use super::run::{Input, Note, Run};
use super::stream::Stream;
use super::{Msg, RecordingEvent, RecordingParams, Tell};

/// How often streams and recordings are looked at.
const TICK: Duration = Duration::from_millis(250);
/// A camera that sends nothing for so long ends the recording with what there is.
const STARVED: Duration = Duration::from_secs(3);
/// How long a recording waits for a picture that is not there yet.
const PATIENCE: Duration = Duration::from_secs(4);

/// Starts the thread; [`Msg::End`] ends it.
pub(super) fn spawn(shared: Arc<Shared>) -> mpsc::Sender<Msg> {
    let (sender, inbox) = mpsc::channel();
    let (alive, told) = (Arc::new(()), sender.clone());
    shared
        .tracks
        .listen(&alive, move || drop(told.send(Msg::Changed)));
    let actor = Actor {
        shared,
        sender: sender.clone(),
        armed: None,
        runs: HashMap::new(),
        waiting: Vec::new(),
        _alive: alive,
    };
    let spawned = thread::Builder::new()
        .name("media-record".into())
        .spawn(move || actor.run(&inbox));
    if let Err(error) = spawned {
        tracing::error!(%error, "no thread for recordings");
    }
    sender
}

struct Actor {
    shared: Arc<Shared>,
    sender: mpsc::Sender<Msg>,
    armed: Option<Stream>,
    runs: HashMap<u64, Recording>,
    waiting: Vec<Waiting>,
    _alive: Arc<()>,
}

struct Recording {
    run: Run,
    tell: Tell,
    finishing: bool,
}

/// A recording for which there is no picture yet.
struct Waiting {
    id: u64,
    params: RecordingParams,
    tell: Tell,
    until: Instant,
}

impl Actor {
    fn run(mut self, inbox: &mpsc::Receiver<Msg>) {
        loop {
            let idle = self.armed.is_none() && self.runs.is_empty() && self.waiting.is_empty();
            let patience = if idle {
                Duration::from_secs(3600)
            } else {
                TICK
            };
            match inbox.recv_timeout(patience) {
                Ok(Msg::End) | Err(mpsc::RecvTimeoutError::Disconnected) => return,
                Ok(msg) => self.handle(msg, Instant::now()),
                Err(mpsc::RecvTimeoutError::Timeout) => self.tick(Instant::now()),
            }
        }
    }

    fn handle(&mut self, msg: Msg, now: Instant) {
        match msg {
            Msg::Arm(params) => self.arm(params),
            Msg::Motion => {
                if let Some(stream) = &mut self.armed {
                    stream.motion(now);
                }
            }
            Msg::Start { id, params, tell } => {
                self.waiting.push(Waiting {
                    id,
                    params,
                    tell,
                    until: now + PATIENCE,
                });
                self.start_waiting(now);
            }
            Msg::Finish(id) => self.finish(id),
            Msg::Stop(id) => self.stop(id),
            Msg::Changed => self.tick(now),
            Msg::Run(id, note) => self.note(id, note),
            Msg::End => {}
        }
    }

    fn arm(&mut self, params: Option<RecordingParams>) {
        let same = |stream: &Stream| Some(stream.params()) == params.as_ref();
        if !self.armed.as_ref().is_some_and(same) {
            // The new one first: what both keep is not forgotten in between.
            let stream = params.map(|params| Stream::new(self.shared.clone(), params));
            self.armed = stream;
        }
    }

    fn tick(&mut self, now: Instant) {
        if let Some(stream) = &mut self.armed {
            stream.look(now);
        }
        self.start_waiting(now);
        let starved =
            |recording: &Recording| !recording.finishing && recording.run.is_starved(STARVED);
        let starved: Vec<_> = self
            .runs
            .iter()
            .filter(|(_, recording)| starved(recording))
            .map(|(id, _)| *id)
            .collect();
        for id in starved {
            let camera = &self.shared.source.name;
            tracing::info!(%camera, "the camera sends no picture: the recording ends with what there is");
            self.finish(id);
        }
    }

    fn start_waiting(&mut self, now: Instant) {
        for waiting in std::mem::take(&mut self.waiting) {
            self.try_start(waiting, now);
        }
    }

    fn try_start(&mut self, waiting: Waiting, now: Instant) {
        if self.armed.is_none() {
            self.arm(Some(waiting.params.clone()));
        }
        let Some(stream) = &mut self.armed else {
            return;
        };
        let ready = stream.video().filter(|ring| ring.key_frame().is_some());
        let Some(video) = ready else {
            match stream.failure() {
                Some(reason) => fail(&waiting, reason),
                None if now >= waiting.until => fail(&waiting, "there is no picture".to_owned()),
                None => self.waiting.push(waiting),
            }
            return;
        };
        let back = stream.back(now);
        let input = Input {
            video,
            audio: stream.audio(),
            back: gst::ClockTime::try_from(back).unwrap_or_default(),
            request_key_unit: Box::new(stream.key_unit_request()),
        };
        stream.started(now);
        self.start(waiting, input);
    }

    fn start(&mut self, waiting: Waiting, input: Input) {
        let Waiting {
            id, params, tell, ..
        } = waiting;
        let (told, sender) = (tell.clone(), self.sender.clone());
        let note = move |note| drop(sender.send(Msg::Run(id, note)));
        match Run::start(input, &params, move |event| told(id, event), note) {
            Ok(run) => {
                let recording = Recording {
                    run,
                    tell,
                    finishing: false,
                };
                self.runs.insert(id, recording);
            }
            Err(reason) => tell(id, RecordingEvent::Failed(reason)),
        }
    }

    fn finish(&mut self, id: u64) {
        let unborn = self.waiting.iter().position(|waiting| waiting.id == id);
        if let Some(place) = unborn {
            let waiting = self.waiting.swap_remove(place);
            (waiting.tell)(id, RecordingEvent::Ended);
        }
        if let Some(recording) = self.runs.get_mut(&id) {
            if !std::mem::replace(&mut recording.finishing, true) {
                recording.run.finish();
            }
        }
    }

    fn stop(&mut self, id: u64) {
        self.waiting.retain(|waiting| waiting.id != id);
        self.remove(id);
    }

    fn remove(&mut self, id: u64) -> Option<Tell> {
        let recording = self.runs.remove(&id)?;
        let lost = recording.run.lost();
        if lost > 0 {
            let camera = &self.shared.source.name;
            tracing::warn!(%camera, lost, "frames are missing in a recording: the machine was too slow");
        }
        Some(recording.tell.clone())
    }

    fn note(&mut self, id: u64, note: Note) {
        match note {
            Note::Reshaped => self.finish(id),
            Note::Done => drop(self.remove(id)),
            Note::Failed(reason) => {
                if let Some(tell) = self.remove(id) {
                    tell(id, RecordingEvent::Failed(reason));
                }
            }
        }
    }
}

fn fail(waiting: &Waiting, reason: String) {
    (waiting.tell)(waiting.id, RecordingEvent::Failed(reason));
}
