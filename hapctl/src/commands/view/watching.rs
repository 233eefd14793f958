//! The time between Start and End.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use hap_camera::rtp::{StreamCommand, VideoAttributes, VideoChange};
use serde_json::Value as Json;
use tokio::sync::broadcast::{Receiver as Events, error::RecvError};
use tokio::time::sleep_until;

use super::actions::{Action, Reconfigure, Timeline};
use super::{Receivers, View};
use crate::camera::{Offer, status_value};
use crate::failure::Result;
use crate::plan::Plan;
use crate::session::event_entries;
use crate::signals;
use crate::stream::Stream;

/// How often the line on the terminal is written anew.
const TICK: Duration = Duration::from_millis(500);

/// Why the stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The time asked for is over.
    Time,
    /// Ctrl-C.
    Interrupted,
    /// The camera says that the stream is not in use any more.
    Camera,
    /// The HAP connection is gone.
    ConnectionLost,
    /// The camera refused something asked of the running stream.
    Refused,
}

impl Ending {
    /// The word in JSON.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Interrupted => "interrupted",
            Self::Camera => "camera",
            Self::ConnectionLost => "connection-lost",
            Self::Refused => "refused",
        }
    }
}

/// A stream about to be started.
pub(super) struct Watching<'a> {
    time: Duration,
    timeline: Timeline,
    stream: &'a Stream<'a>,
    plan: &'a Plan,
    offer: &'a Offer,
    receivers: &'a Receivers,
    events: Events<Json>,
}

impl<'a> Watching<'a> {
    pub(super) fn new(
        view: &View,
        stream: &'a Stream<'a>,
        plan: &'a Plan,
        offer: &'a Offer,
        receivers: &'a Receivers,
        events: Events<Json>,
    ) -> Self {
        Self {
            time: view.seconds,
            timeline: view.request.timeline(),
            stream,
            plan,
            offer,
            receivers,
            events,
        }
    }

    /// Starts the media and watches until something ends it: what, and a refusal if that was it.
    pub(super) async fn run(mut self, quiet: bool) -> Result<(Ending, Result<()>)> {
        let start = Instant::now();
        self.receivers.started(start);
        self.stream.start(self.plan).await?;
        let progress = Progress::new(quiet);
        let ending = self.watch(start, &progress).await;
        progress.end();
        Ok(match ending {
            Ok(ending) => (ending, Ok(())),
            Err(refusal) => (Ending::Refused, Err(refusal)),
        })
    }

    async fn watch(&mut self, start: Instant, progress: &Progress) -> Result<Ending> {
        let end = start + self.time;
        let interrupted = signals::interrupted();
        tokio::pin!(interrupted);
        loop {
            let due = self.timeline.next_at().map(|at| start + at);
            tokio::select! {
                () = sleep_until(end.into()) => return Ok(Ending::Time),
                () = &mut interrupted => return Ok(Ending::Interrupted),
                () = until(due) => self.act().await?,
                event = self.events.recv() => {
                    if let Some(ending) = self.ended_by(event).await {
                        return Ok(ending);
                    }
                }
                () = progress.tick() => progress.show(start.elapsed(), self.receivers),
            }
        }
    }

    async fn act(&mut self) -> Result<()> {
        match self.timeline.pop() {
            Some(Action::Reconfigure(change)) => self.stream.reconfigure(self.change(change)).await,
            Some(Action::Suspend) => self.stream.control(StreamCommand::Suspend).await,
            Some(Action::Resume) => self.stream.control(StreamCommand::Resume).await,
            Some(Action::Ask(feedback)) => {
                let mut together = vec![feedback];
                together.extend(self.timeline.pop_questions());
                self.receivers.video.send(together).await;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// As iOS writes it: size and bitrate, an RTCP interval of 0, nothing else.
    fn change(&self, change: Reconfigure) -> VideoChange {
        let (width, height) = change.size;
        let offered = self
            .offer
            .sizes
            .iter()
            .filter(|a| (a.width, a.height) == change.size);
        let fps = offered.map(|a| a.fps).max();
        let current = &self.plan.video;
        VideoChange {
            attributes: Some(VideoAttributes {
                width,
                height,
                fps: fps.unwrap_or(current.attributes.fps),
            }),
            max_bitrate_kbps: Some(change.kbps.unwrap_or(current.rtp.max_bitrate_kbps)),
            min_rtcp_interval_s: Some(0.0),
        }
    }

    /// An event that says "available" may be late news of an earlier stream, so the camera is
    /// asked.
    async fn ended_by(&self, event: std::result::Result<Json, RecvError>) -> Option<Ending> {
        let body = match event {
            Ok(body) => body,
            Err(RecvError::Lagged(_)) => return None,
            Err(RecvError::Closed) => return Some(Ending::ConnectionLost),
        };
        let status = self.stream.service().status;
        let news = event_entries(&body);
        let available = |value: &Json| status_value(Some(value)) == Some(0);
        if !news
            .iter()
            .any(|(id, value)| *id == status && available(value))
        {
            return None;
        }
        match self.stream.in_use().await {
            Ok(true) => None,
            Ok(false) => Some(Ending::Camera),
            Err(_) => Some(Ending::ConnectionLost),
        }
    }
}

impl Receivers {
    fn started(&self, now: Instant) {
        self.video.started(now);
        if let Some(audio) = &self.audio {
            audio.started(now);
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(at) => sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// One line on the terminal, written over and over; nothing when there is no terminal.
struct Progress {
    shown: bool,
}

impl Progress {
    fn new(quiet: bool) -> Self {
        Self {
            shown: !quiet && std::io::stderr().is_terminal(),
        }
    }

    async fn tick(&self) {
        if self.shown {
            tokio::time::sleep(TICK).await;
        } else {
            std::future::pending().await
        }
    }

    fn show(&self, elapsed: Duration, receivers: &Receivers) {
        let audio = receivers.audio.as_ref().map(|a| a.summary().progress());
        let video = receivers.video.summary().progress();
        let audio = audio.map_or(String::new(), |a| format!(" | {a}"));
        let seconds = elapsed.as_secs_f64();
        let _ = write!(std::io::stderr(), "\r\x1b[K{seconds:6.1} s  {video}{audio}");
    }

    fn end(&self) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
