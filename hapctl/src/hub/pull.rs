//! One recording, from `open` to its end.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hds_proto::{DataEvent, Event, Open, Reason, Value};
use tokio::sync::mpsc;

use super::chaos::Mischief;
use super::home::Home;
use super::link::Link;
use super::poster::{self, Incoming};
use super::recording::{Recording, packet_of};
use super::report::{ClipReport, Ending};
use super::run::Stop;
use crate::clip::rule::Rule;
use crate::failure::Result;
use crate::session::Session;

/// Size of the picture of the moment.
const POSTER: (u16, u16) = (640, 360);
/// `reason` of a picture for a notification (HAP R1 has none; hubs send it).
const BECAUSE_OF_EVENT: u8 = 1;
/// After the end this long is listened for more.
const LINGER: Duration = Duration::from_millis(250);
/// A camera closes what nobody acknowledges within this.
const UNACKNOWLEDGED: Duration = Duration::from_secs(15);
/// The picture may come this much later than the clip.
const LATE_POSTER: Duration = Duration::from_secs(5);

/// How a recording is pulled.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// What the hub does wrong.
    pub mischief: Mischief,
    /// Close after this time.
    pub longest: Option<Duration>,
    /// Ask for the picture of the moment.
    pub poster: bool,
}

/// A recording that is pulled.
pub struct Pull<'a> {
    link: &'a mut Link,
    home: &'a mut Home,
    recording: Recording,
    manner: Manner,
    /// Number of the stream of the picture, or of a second recording.
    snapshot: i64,
    second: i64,
    incoming: Option<Incoming>,
    picture: Option<Vec<u8>>,
    /// Pictures from `/resource`.
    ask: mpsc::Sender<Result<Vec<u8>>>,
    pictures: mpsc::Receiver<Result<Vec<u8>>>,
    asked: bool,
    /// Streams that are closed, of which something may still be on its way.
    closed: HashSet<i64>,
    /// When it is over, once the end has come.
    over: Option<Instant>,
}

impl<'a> Pull<'a> {
    /// Asks for the recording.
    ///
    /// # Errors
    /// When its number is taken.
    pub fn start(
        home: &'a mut Home,
        link: &'a mut Link,
        recording: Recording,
        manner: Manner,
    ) -> Result<Self> {
        let stream_id = recording.stream_id();
        link.open_stream(&Open::recording(stream_id))?;
        if let Mischief::CutAfter(bytes) = manner.mischief {
            link.cut_after(bytes);
        }
        let (ask, pictures) = mpsc::channel(1);
        Ok(Self {
            link,
            home,
            recording,
            manner,
            snapshot: stream_id + 1,
            second: stream_id + 2,
            incoming: None,
            picture: None,
            ask,
            pictures,
            asked: false,
            closed: HashSet::new(),
            over: None,
        })
    }

    /// Pulls to the end.
    ///
    /// # Errors
    /// When the clip cannot be written.
    pub async fn run(mut self, stop: &mut Stop) -> Result<(Ending, ClipReport)> {
        let ending = self.until_end(stop).await?;
        self.link.flush(Duration::from_millis(500)).await;
        let judged = !matches!(ending, Ending::Aborted(_) | Ending::Interrupted);
        if judged && self.asked {
            self.late_picture().await;
        }
        let picture = self.picture.take();
        let report = self.recording.finish(&ending, picture.as_deref())?;
        Ok((ending, report))
    }

    async fn until_end(&mut self, stop: &mut Stop) -> Result<Ending> {
        loop {
            let deadline = self.deadline();
            let happened = tokio::select! {
                happened = self.link.next() => Happened::Link(happened),
                body = self.home.events.recv() => {
                    // The next recording starts with it.
                    if let Ok(body) = body {
                        self.home.note(&body);
                    }
                    continue;
                }
                () = self.home.session.closed() => Happened::Gone,
                () = tokio::time::sleep_until(deadline.into()) => Happened::Late,
                () = stop.wait() => Happened::Stop,
                Some(picture) = self.pictures.recv() => {
                    self.take_picture(picture);
                    continue;
                }
            };
            let ending = match happened {
                Happened::Link(Ok(event)) => self.event(event)?,
                Happened::Link(Err(e)) => Some(self.lost(&e.to_string())),
                Happened::Gone => Some(self.lost("the camera closed the HAP connection")),
                Happened::Late => self.late(),
                Happened::Stop => Some(self.stopped(stop)),
            };
            if let Some(ending) = ending {
                return Ok(ending);
            }
        }
    }

    fn deadline(&self) -> Instant {
        if let Some(over) = self.over {
            return over;
        }
        let opened = self.recording.opened();
        let stall = match self.manner.mischief {
            Mischief::Stall(time) => Some(opened + time),
            _ => None,
        };
        let longest = self.manner.longest.map(|time| opened + time);
        let silence = stall.unwrap_or(self.recording.deadline());
        longest.map_or(silence, |longest| longest.min(silence))
    }

    fn lost(&self, why: &str) -> Ending {
        match self.manner.mischief {
            Mischief::CutAfter(_) => aborted(self.manner.mischief),
            _ if self.recording.ended() => Ending::EndOfStream,
            _ => Ending::Lost(why.to_owned()),
        }
    }

    fn stopped(&mut self, stop: &Stop) -> Ending {
        self.close(Reason::Normal);
        if stop.interrupted() {
            Ending::Interrupted
        } else {
            Ending::ClosedByHub
        }
    }

    fn late(&mut self) -> Option<Ending> {
        if self.over.is_some() {
            if self.manner.mischief == Mischief::NoAck {
                self.find(
                    Rule::CloseReason,
                    "the camera never closed what nobody acknowledged",
                );
            }
            self.close(Reason::Normal);
            return Some(Ending::EndOfStream);
        }
        if matches!(self.manner.mischief, Mischief::Stall(_)) {
            return Some(aborted(self.manner.mischief));
        }
        if Instant::now() < self.recording.deadline() {
            self.close(Reason::Normal);
            return Some(Ending::ClosedByHub);
        }
        self.close(Reason::Timeout);
        Some(Ending::Silence)
    }

    fn find(&mut self, rule: Rule, what: &str) {
        self.recording.findings().add(rule, what);
    }

    fn close(&mut self, reason: Reason) {
        let stream_id = self.recording.stream_id();
        self.link.close_stream(stream_id, reason);
        self.closed.insert(stream_id);
    }

    fn event(&mut self, event: Event) -> Result<Option<Ending>> {
        let ours = self.recording.stream_id();
        match event {
            Event::Opened { stream_id } if stream_id == ours => self.opened()?,
            Event::Refused { stream_id, reason } if stream_id == ours => {
                return Ok(Some(Ending::Refused(reason)));
            }
            Event::Opened { stream_id } if stream_id == self.second => {
                self.find(
                    Rule::OneRecording,
                    "a second recording was opened beside the first",
                );
                self.link.close_stream(stream_id, Reason::Normal);
                self.closed.insert(stream_id);
            }
            Event::Refused { stream_id, reason } if stream_id == self.second => {
                if reason != Reason::Busy {
                    let what =
                        format!("a second recording was refused as {reason} instead of busy");
                    self.find(Rule::OneRecording, &what);
                }
            }
            Event::Refused { stream_id, .. } if stream_id == self.snapshot => {
                self.home.snapshots = false;
                self.ask_resource();
            }
            Event::Data(data) if data.stream_id == ours => return self.data(&data),
            Event::Data(data) if data.stream_id == self.snapshot => self.snapshot_data(&data),
            Event::Close { stream_id, reason } if stream_id == ours => {
                return Ok(Some(self.closed_by_camera(reason)));
            }
            Event::Event { topic, message, .. } => self.strange(&topic, &message),
            other => tracing::debug!("{other:?}"),
        }
        Ok(None)
    }

    fn opened(&mut self) -> Result<()> {
        match self.manner.mischief {
            Mischief::Stall(_) => self.link.stop_reading(),
            Mischief::Twice => self.link.open_stream(&Open::recording(self.second))?,
            _ => {}
        }
        if !self.manner.poster || self.manner.mischief.name().is_some() {
            return Ok(());
        }
        self.asked = true;
        if !self.home.snapshots {
            self.ask_resource();
            return Ok(());
        }
        let size = (u32::from(POSTER.0), u32::from(POSTER.1));
        self.incoming = Some(Incoming::default());
        self.link
            .open_stream(&Open::snapshot(self.snapshot, size, Some("event")))
    }

    fn ask_resource(&mut self) {
        self.incoming = None;
        let (session, aid) = (Arc::clone(&self.home.session), self.home.services.aid);
        let pictures = self.ask.clone();
        tokio::spawn(async move {
            let picture = resource(&session, aid).await;
            // Nobody waits for it any more when the clip is over.
            let _ = pictures.send(picture).await;
        });
    }

    fn take_picture(&mut self, picture: Result<Vec<u8>>) {
        match picture {
            Ok(jpeg) => {
                poster::check(&jpeg, self.recording.findings());
                self.picture = Some(jpeg);
            }
            Err(e) => self.find(Rule::Poster, &format!("no picture of the moment: {e}")),
        }
        self.asked = false;
    }

    async fn late_picture(&mut self) {
        let waiting = async {
            while self.incoming.is_some() {
                match self.link.next().await {
                    Ok(event) => drop(self.event(event)),
                    Err(_) => return None,
                }
            }
            match self.picture {
                Some(_) => None,
                None => self.pictures.recv().await,
            }
        };
        if let Ok(Some(picture)) = tokio::time::timeout(LATE_POSTER, waiting).await {
            self.take_picture(picture);
        } else if self.picture.is_none() {
            self.find(Rule::Poster, "no picture of the moment came");
        }
    }

    fn snapshot_data(&mut self, data: &DataEvent) {
        let Some(incoming) = &mut self.incoming else {
            return;
        };
        let last = data.packets.len().wrapping_sub(1);
        for (n, packet) in data.packets.iter().enumerate() {
            let packet = packet_of(packet, data.end_of_stream && n == last);
            incoming.packet(&packet, self.recording.findings());
        }
        if incoming.ended() || data.end_of_stream {
            self.picture = incoming.take();
            self.incoming = None;
            self.asked = self.picture.is_none();
            self.link.ack(self.snapshot);
            self.link.close_stream(self.snapshot, Reason::Normal);
            self.closed.insert(self.snapshot);
        }
    }

    fn data(&mut self, data: &DataEvent) -> Result<Option<Ending>> {
        self.recording
            .data(data, crate::clip::clock::Stamp::now())?;
        let pieces = self.recording.pieces();
        match self.manner.mischief {
            Mischief::CloseAfter(enough, reason) if pieces >= enough => {
                self.close(reason);
                return Ok(Some(aborted(self.manner.mischief)));
            }
            Mischief::Vanish if pieces > 0 => return Ok(Some(aborted(Mischief::Vanish))),
            _ => {}
        }
        if self.recording.overflown() {
            self.close(Reason::BadData);
            return Ok(Some(Ending::ClosedByHub));
        }
        if self.recording.ended() && self.over.is_none() {
            self.acknowledge();
        }
        Ok(None)
    }

    fn acknowledge(&mut self) {
        if self.manner.mischief == Mischief::NoAck {
            self.over = Some(Instant::now() + UNACKNOWLEDGED);
            return;
        }
        self.link.ack(self.recording.stream_id());
        self.over = Some(Instant::now() + LINGER);
    }

    fn closed_by_camera(&self, reason: Reason) -> Ending {
        let expected = match self.manner.mischief {
            Mischief::NoAck => Reason::Cancelled,
            _ => Reason::Normal,
        };
        if self.recording.ended() && (reason == expected || reason == Reason::Normal) {
            return Ending::EndOfStream;
        }
        Ending::ClosedByCamera(reason)
    }

    /// A message of `dataSend` that is malformed, or belongs to no open stream.
    fn strange(&mut self, topic: &str, message: &Value) {
        let stream_id = message.get("streamId").and_then(Value::as_int);
        // Numbers rise: what is left of an earlier recording was on its way when it was closed.
        let ours = self.recording.stream_id();
        if stream_id.is_some_and(|id| id < ours || self.closed.contains(&id)) {
            return;
        }
        let what = match stream_id {
            Some(id) => {
                format!("dataSend/{topic} of stream {id} is malformed or of no open stream")
            }
            None => format!("dataSend/{topic} has no streamId"),
        };
        self.find(Rule::PacketKind, &what);
    }
}

enum Happened {
    Link(Result<Event>),
    Gone,
    Late,
    Stop,
}

fn aborted(mischief: Mischief) -> Ending {
    Ending::Aborted(mischief.name().unwrap_or("for no reason"))
}

async fn resource(session: &Session, aid: u64) -> Result<Vec<u8>> {
    let picture = session.snapshot(aid, POSTER, Some(BECAUSE_OF_EVENT));
    Ok(picture.await?.jpeg)
}
