//! The hub from one recording to the next.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hap_camera::recording::SelectedRecording;
use hds_proto::Reason;
use tokio::sync::watch;
use tokio::time::Instant;

use super::arm::{self, Armed};
use super::chaos::{Chaos, Mischief};
use super::choice::{self, Choice};
use super::home::{Home, is_true};
use super::link::Link;
use super::pull::{Manner, Pull};
use super::recording::Recording;
use super::report::{ClipReport, Ending};
use super::services::Services;
use crate::cli::Global;
use crate::clip::clock::{Stamp, utc};
use crate::clip::keep::Files;
use crate::clip::rule::Rule;
use crate::commands::Target;
use crate::failure::{Failure, Kind, Result};
use crate::session::Session;
use crate::{output, signals};

/// Between attempts to reach a camera that is gone.
const PAUSES: [u64; 5] = [0, 1, 2, 5, 10];
/// A data stream and its HAP connection break within this.
const TOGETHER: Duration = Duration::from_millis(500);
/// Attempts to open a recording while the camera still ends one that was aborted.
const BUSY_ATTEMPTS: u32 = 5;
/// Between them.
const BUSY_PAUSE: Duration = Duration::from_millis(300);

/// What a hub is to do.
#[derive(Debug)]
pub struct Settings {
    /// Wishes for the selected configuration.
    pub choice: Choice,
    /// Accessory, for bridges.
    pub aid: Option<u64>,
    /// Write nothing, take the camera as it is.
    pub as_it_is: bool,
    /// H.265 is wrong.
    pub h264_only: bool,
    /// Directory of the clips.
    pub clips: Option<PathBuf>,
    /// Seal them.
    pub sealed: bool,
    /// Ask for a picture.
    pub poster: bool,
    /// Clips to record.
    pub count: Option<u64>,
    /// Do not wait for events.
    pub now: bool,
    /// A data stream for each recording.
    pub reconnect: bool,
    /// The hub closes recordings after this time.
    pub longest: Option<Duration>,
}

/// When to stop: a signal, or the end of the time.
#[derive(Debug, Clone)]
pub struct Stop {
    signal: watch::Receiver<bool>,
    end: Option<Instant>,
}

impl Stop {
    /// Listens for signals from now on.
    #[must_use]
    pub fn new(time: Option<Duration>) -> Self {
        let (told, signal) = watch::channel(false);
        tokio::spawn(async move {
            signals::interrupted().await;
            // Nobody listens any more when the program is about to end.
            let _ = told.send(true);
            told.closed().await;
        });
        let end = time.map(|time| Instant::now() + time);
        Self { signal, end }
    }

    /// Waits for it.
    pub async fn wait(&mut self) {
        let end = self.end;
        let time = async move {
            match end {
                Some(end) => tokio::time::sleep_until(end).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.signal.wait_for(|told| *told) => {}
            () = time => {}
        }
    }

    /// A signal came.
    #[must_use]
    pub fn interrupted(&self) -> bool {
        *self.signal.borrow()
    }

    fn reached(&self) -> bool {
        self.interrupted() || self.end.is_some_and(|end| end <= Instant::now())
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Recordings, aborted ones included.
    pub clips: u64,
    /// Those with findings.
    pub faulty: u64,
}

/// A hub at work.
pub struct Hub<'a> {
    target: &'a Target,
    global: &'a Global,
    settings: Settings,
    chaos: Chaos,
    stop: Stop,
    tally: Tally,
    /// Number of the next stream.
    stream_id: i64,
    /// What was selected on an earlier connection.
    before: Option<SelectedRecording>,
    /// Found between recordings; told with the next.
    found: Vec<(Rule, String)>,
    /// The last recording was aborted on purpose: the camera may still be busy with it.
    aborted: bool,
}

enum Turn {
    Done,
    Lost(String),
}

impl<'a> Hub<'a> {
    /// For the camera `target`.
    #[must_use]
    pub fn new(
        target: &'a Target,
        global: &'a Global,
        settings: Settings,
        chaos: Chaos,
        stop: Stop,
    ) -> Self {
        Self {
            target,
            global,
            settings,
            chaos,
            stop,
            tally: Tally::default(),
            stream_id: 1,
            before: None,
            found: Vec::new(),
            aborted: false,
        }
    }

    /// Records until there is enough.
    ///
    /// # Errors
    /// When the camera cannot be reached or armed at first, or clips cannot be written.
    pub async fn run(mut self) -> Result<Tally> {
        let mut home = self.connect().await?;
        loop {
            let why = match self.turn(&mut home).await? {
                Turn::Done => break,
                Turn::Lost(why) => why,
            };
            drop(home);
            self.warn(&format!("{why}; connecting again"));
            match self.connect_again().await? {
                Some(again) => home = again,
                None => break,
            }
        }
        Ok(self.tally)
    }

    fn say(&self, text: &str) {
        if self.global.json {
            tracing::info!("{text}");
        } else {
            output::note(text);
        }
    }

    fn warn(&self, text: &str) {
        if self.global.json {
            tracing::warn!("{text}");
        } else {
            output::note(text);
        }
    }

    fn enough(&self) -> bool {
        self.settings.count.is_some_and(|n| self.tally.clips >= n) || self.stop.reached()
    }

    async fn connect(&mut self) -> Result<Home> {
        let session = Arc::new(self.target.open(self.global).await?);
        let database = session.accessories().await?;
        let services = Services::find(&database, self.settings.aid)?;
        let events = session.events();
        let armed = self.arm(&session, &services).await?;
        session.subscribe(&services.watched, true).await?;
        let motion = database.find(services.motion);
        let motion = motion.and_then(|e| e.characteristic.value.as_ref());
        let motion = motion.is_some_and(is_true);
        let mut home = Home {
            session,
            services,
            armed,
            events,
            link: None,
            snapshots: true,
            motion,
            pending: motion.then(Stamp::now),
        };
        if !self.settings.reconnect {
            home.link = Some(self.link(&home).await?);
        }
        Ok(home)
    }

    async fn link(&self, home: &Home) -> Result<Link> {
        Link::open(&home.session, &home.services, self.global.timeout).await
    }

    async fn arm(&mut self, session: &Session, services: &Services) -> Result<Armed> {
        let settings = &self.settings;
        let armed = if settings.as_it_is {
            arm::as_it_is(session, services, settings.h264_only).await?
        } else {
            let (choice, before) = (&settings.choice, self.before.as_ref());
            arm::arm(session, services, choice, settings.h264_only, before).await?
        };
        if let Some(what) = &armed.forgotten {
            let what = format!("the camera forgot {what} between two connections");
            self.found.push((Rule::Settings, what));
        }
        self.say(&format!("armed: {}", choice::describe(&armed.selected)));
        self.before = Some(armed.selected.clone());
        Ok(armed)
    }

    async fn connect_again(&mut self) -> Result<Option<Home>> {
        for attempt in 0.. {
            let pause = PAUSES.get(attempt).or(PAUSES.last()).copied().unwrap_or(1);
            let mut stop = self.stop.clone();
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(pause)) => {}
                () = stop.wait() => return Ok(None),
            }
            match self.connect().await {
                Ok(home) => {
                    self.say("connected again");
                    return Ok(Some(home));
                }
                Err(e) if matches!(e.kind(), Kind::Unreachable | Kind::Refused) => {
                    self.say(&format!("still unreachable: {e}"));
                }
                Err(e) => return Err(e),
            }
        }
        Ok(None)
    }

    /// Recordings over one HAP connection.
    async fn turn(&mut self, home: &mut Home) -> Result<Turn> {
        if !self.settings.now {
            self.say("waiting for motion; Ctrl-C ends");
        }
        loop {
            if self.enough() {
                return Ok(Turn::Done);
            }
            let event = match self.wait(home).await {
                Ok(Some(event)) => event,
                Ok(None) => return Ok(Turn::Done),
                Err(lost) => return Ok(Turn::Lost(lost.to_string())),
            };
            match self.record(home, event).await? {
                Ending::Aborted(_) if home.link.is_none() && self.vanished() => {
                    return Ok(Turn::Lost("vanished on purpose".into()));
                }
                Ending::Interrupted => return Ok(Turn::Done),
                _ => {}
            }
        }
    }

    fn vanished(&self) -> bool {
        self.aborted && self.chaos.last() == Mischief::Vanish
    }

    /// Waits for an event; none when it is time to stop.
    ///
    /// # Errors
    /// When the HAP connection is gone.
    async fn wait(&mut self, home: &mut Home) -> Result<Option<Stamp>> {
        loop {
            if self.settings.now {
                return Ok(Some(Stamp::now()));
            }
            if let Some(event) = home.pending.take() {
                return Ok(Some(event));
            }
            let closed = || Failure::new(Kind::Unreachable, "the camera closed the HAP connection");
            tokio::select! {
                () = self.stop.wait() => return Ok(None),
                () = home.session.closed() => return Err(closed()),
                body = home.events.recv() => match body {
                    Ok(body) => home.note(&body),
                    Err(e) => tracing::warn!("events were missed: {e}"),
                },
                broke = idle(&mut home.link) => {
                    home.link = None;
                    // It goes with the HAP connection, whichever is noticed first.
                    tokio::select! {
                        () = home.session.closed() => return Err(closed()),
                        () = tokio::time::sleep(TOGETHER) => {}
                    }
                    let what = format!("an idle data stream broke: {broke}");
                    self.found.push((Rule::Framing, what));
                }
            }
        }
    }

    async fn record(&mut self, home: &mut Home, event: Stamp) -> Result<Ending> {
        let mischief = self.chaos.mischief();
        let mut attempt = 0;
        loop {
            attempt += 1;
            let (ending, report) = self.attempt(home, event, mischief).await?;
            let busy = ending == Ending::Refused(Reason::Busy);
            if busy && self.aborted && attempt < BUSY_ATTEMPTS {
                tokio::time::sleep(BUSY_PAUSE).await;
                continue;
            }
            self.aborted = matches!(ending, Ending::Aborted(_));
            self.print(&report);
            if matches!(ending, Ending::Refused(_) | Ending::Lost(_)) {
                // A camera that fails at once is not asked again at once.
                tokio::time::sleep(BUSY_PAUSE).await;
            }
            return Ok(ending);
        }
    }

    async fn attempt(
        &mut self,
        home: &mut Home,
        event: Stamp,
        mischief: Mischief,
    ) -> Result<(Ending, ClipReport)> {
        let mut recording = self.recording(home, event)?;
        let link = match home.link.take() {
            Some(link) => Ok(link),
            None => self.link(home).await,
        };
        let mut link = match link {
            Ok(link) => link,
            Err(e) => {
                let ending = Ending::Lost(e.to_string());
                let report = recording.finish(&ending, None)?;
                return Ok((ending, report));
            }
        };
        recording.started();
        let manner = Manner {
            mischief,
            longest: self.settings.longest,
            poster: self.settings.poster,
        };
        let mut stop = self.stop.clone();
        let pull = Pull::start(home, &mut link, recording, manner)?;
        let (ending, report) = pull.run(&mut stop).await?;
        if !self.settings.reconnect && keeps_link(&ending, mischief) {
            home.link = Some(link);
        }
        Ok((ending, report))
    }

    fn recording(&mut self, home: &Home, event: Stamp) -> Result<Recording> {
        let stream_id = self.stream_id;
        self.stream_id += 3;
        let number = self.tally.clips + 1;
        let name = format!(
            "{}-{}-{number:04}",
            self.target.name,
            utc(Stamp::now().wall)
        );
        let (dir, sealed) = (self.settings.clips.as_ref(), self.settings.sealed);
        let files = dir.map(|dir| Files::new(dir, name, sealed)).transpose()?;
        let wanted = home.armed.wanted.clone();
        let mut recording = Recording::new(stream_id, event, wanted, files);
        for (rule, what) in self.found.drain(..) {
            recording.findings().add(rule, what);
        }
        Ok(recording)
    }

    fn print(&mut self, report: &ClipReport) {
        self.tally.clips += 1;
        self.tally.faulty += u64::from(!report.findings.is_empty());
        if !self.global.json {
            output::line(&report.human(self.tally.clips));
            return;
        }
        match serde_json::to_string(report) {
            Ok(text) => output::line(&text),
            Err(e) => tracing::warn!("a report cannot be printed: {e}"),
        }
    }
}

/// Whether the data stream is of use for the next recording.
fn keeps_link(ending: &Ending, mischief: Mischief) -> bool {
    match ending {
        Ending::Lost(_) => false,
        Ending::Aborted(_) => matches!(mischief, Mischief::CloseAfter(..)),
        _ => true,
    }
}

/// Waits until an idle data stream breaks; says how.
async fn idle(link: &mut Option<Link>) -> Failure {
    let Some(link) = link else {
        return std::future::pending().await;
    };
    loop {
        match link.next().await {
            Ok(event) => tracing::debug!("{event:?}"),
            Err(e) => return e,
        }
    }
}
