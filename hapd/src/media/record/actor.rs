//! The thread of one camera's recordings.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use super::super::camera::Shared;
use super::relay::Relay;
use super::run::{Input, Note, Run};
use super::stream::Stream;
use super::{Msg, RecordingEvent, RecordingParams, Tell};

/// How often streams and recordings are looked at.
const TICK: Duration = Duration::from_millis(250);
/// A camera that sends nothing for so long ends the recording with what there is.
const STARVED: Duration = Duration::from_secs(3);
/// How long a recording waits for a picture that is not there yet.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long a recording that was begun at a motion waits for its hub.
const UNCLAIMED: Duration = Duration::from_secs(10);

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
        recordings: Vec::new(),
        waiting: Vec::new(),
        next_number: 0,
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
    recordings: Vec<Recording>,
    waiting: Vec<Waiting>,
    next_number: u64,
    _alive: Arc<()>,
}

/// A recording that runs.
struct Recording {
    number: u64,
    /// `None`: begun at a motion, for the hub that is about to come.
    id: Option<u64>,
    params: RecordingParams,
    run: Run,
    relay: Arc<Relay>,
    begun: Instant,
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
            let idle =
                self.armed.is_none() && self.recordings.is_empty() && self.waiting.is_empty();
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
            Msg::Motion => self.motion(now),
            Msg::Start { id, params, tell } => {
                let waiting = Waiting {
                    id,
                    params,
                    tell,
                    until: now + PATIENCE,
                };
                self.start(waiting, now);
            }
            Msg::Finish(id) => self.finish(id),
            Msg::Stop(id) => self.stop(id),
            Msg::Changed => self.tick(now),
            Msg::Run(number, note) => self.note(number, note),
            Msg::End => {}
        }
    }

    fn arm(&mut self, params: Option<RecordingParams>) {
        let same = |stream: &Stream| Some(stream.params()) == params.as_ref();
        if !self.armed.as_ref().is_some_and(same) {
            self.recordings.retain(|recording| recording.id.is_some());
            // The new one first: what both keep is not forgotten in between.
            let stream = params.map(|params| Stream::new(self.shared.clone(), params));
            self.armed = stream;
        }
    }

    /// A hub will ask for a recording soon: begun now, its first fragment is there when it does.
    fn motion(&mut self, now: Instant) {
        let Some(stream) = &mut self.armed else {
            return;
        };
        stream.motion(now);
        let params = stream.params().clone();
        let input = input(stream, now).filter(|_| self.recordings.is_empty());
        if let Some(input) = input {
            if let Err(reason) = self.begin(None, params, input, now) {
                tracing::debug!(reason, "no recording begun at the motion");
            }
        }
    }

    fn tick(&mut self, now: Instant) {
        if let Some(stream) = &mut self.armed {
            stream.look(now);
        }
        for waiting in std::mem::take(&mut self.waiting) {
            self.start(waiting, now);
        }
        let unclaimed = |r: &Recording| r.id.is_none() && now >= r.begun + UNCLAIMED;
        self.recordings.retain(|recording| !unclaimed(recording));
        for recording in &mut self.recordings {
            if !recording.finishing && recording.run.is_starved(STARVED) {
                let camera = &self.shared.source.name;
                tracing::info!(%camera, "the camera sends no picture: the recording ends with what there is");
                recording.finish();
            }
        }
    }

    fn start(&mut self, waiting: Waiting, now: Instant) {
        if self.claim(&waiting) {
            return;
        }
        if self.armed.is_none() {
            self.arm(Some(waiting.params.clone()));
        }
        let Some(stream) = &mut self.armed else {
            return;
        };
        let Some(input) = input(stream, now) else {
            match stream.failure() {
                Some(reason) => fail(&waiting, reason),
                None if now >= waiting.until => fail(&waiting, "there is no picture".to_owned()),
                None => self.waiting.push(waiting),
            }
            return;
        };
        stream.started(now);
        match self.begin(Some(waiting.id), waiting.params.clone(), input, now) {
            Ok(relay) => relay.listen(waiting.id, waiting.tell),
            Err(reason) => fail(&waiting, reason),
        }
    }

    /// Takes the recording that was begun at the motion.
    fn claim(&mut self, waiting: &Waiting) -> bool {
        let suits =
            |r: &&mut Recording| r.id.is_none() && !r.finishing && r.params == waiting.params;
        let Some(recording) = self.recordings.iter_mut().find(suits) else {
            return false;
        };
        recording.id = Some(waiting.id);
        recording.relay.listen(waiting.id, waiting.tell.clone());
        true
    }

    fn begin(
        &mut self,
        id: Option<u64>,
        params: RecordingParams,
        input: Input,
        now: Instant,
    ) -> Result<Arc<Relay>, String> {
        let number = self.next_number;
        self.next_number += 1;
        let relay = Arc::<Relay>::default();
        let (told, sender) = (relay.clone(), self.sender.clone());
        let note = move |note| drop(sender.send(Msg::Run(number, note)));
        let run = Run::start(input, &params, move |event| told.say(event), note)?;
        self.recordings.push(Recording {
            number,
            id,
            params,
            run,
            relay: relay.clone(),
            begun: now,
            finishing: false,
        });
        Ok(relay)
    }

    fn finish(&mut self, id: u64) {
        let unborn = self.waiting.iter().position(|waiting| waiting.id == id);
        if let Some(place) = unborn {
            let waiting = self.waiting.swap_remove(place);
            (waiting.tell)(id, RecordingEvent::Ended);
        }
        let recording = self.recordings.iter_mut().find(|r| r.id == Some(id));
        if let Some(recording) = recording {
            recording.finish();
        }
    }

    fn stop(&mut self, id: u64) {
        self.waiting.retain(|waiting| waiting.id != id);
        if let Some(place) = self.recordings.iter().position(|r| r.id == Some(id)) {
            self.remove(place);
        }
    }

    fn note(&mut self, number: u64, note: Note) {
        let Some(place) = self.recordings.iter().position(|r| r.number == number) else {
            return;
        };
        match note {
            Note::Reshaped => self.recordings[place].finish(),
            Note::Done => drop(self.remove(place)),
            Note::Failed(reason) => self.remove(place).say(RecordingEvent::Failed(reason)),
        }
    }

    fn remove(&mut self, place: usize) -> Arc<Relay> {
        let recording = self.recordings.swap_remove(place);
        let lost = recording.run.lost();
        if lost > 0 {
            let camera = &self.shared.source.name;
            tracing::warn!(%camera, lost, "frames are missing in a recording: the machine was too slow");
        }
        recording.relay.clone()
    }
}

impl Recording {
    fn finish(&mut self) {
        if !std::mem::replace(&mut self.finishing, true) {
            self.run.finish();
        }
    }
}

/// What a recording that begins now is made from; `None` while there is no picture.
fn input(stream: &Stream, now: Instant) -> Option<Input> {
    let video = stream.video().filter(|ring| ring.key_frame().is_some())?;
    Some(Input {
        video,
        audio: stream.audio(),
        back: gst::ClockTime::try_from(stream.back(now)).unwrap_or_default(),
        request_key_unit: Box::new(stream.key_unit_request()),
    })
}

fn fail(waiting: &Waiting, reason: String) {
    (waiting.tell)(waiting.id, RecordingEvent::Failed(reason));
}
