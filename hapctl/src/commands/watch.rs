//! `hapctl watch`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value as Json, json};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::time::Instant;

use crate::cli::{Global, seconds};
use crate::commands::Target;
use crate::database::{CharId, Database};
use crate::failure::{Failure, Kind, Result};
use crate::output;
use crate::selector;
use crate::session::event_entries;
use crate::signals;
use crate::value;

const EXAMPLES: &str = "\
Examples:
  hapctl watch garden                              # everything that has events
  hapctl watch garden streaming-status --seconds 30
  hapctl watch garden 1.9 --count 1 --json         # end after the first event

With --json each event is one line: {ms, message, aid, iid, name, service, value}; `message`
counts the EVENT messages, so values that came together share it. Ctrl-C ends it.";

/// Print events as they come.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Watch {
    /// The accessory.
    #[command(flatten)]
    pub target: Target,
    /// AID.IID or names [default: all that have events].
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// End after this time [default: never].
    #[arg(long, value_parser = seconds)]
    pub seconds: Option<Duration>,
    /// End after this many events; fail when the time is up before.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
}

impl Watch {
    /// Runs it.
    ///
    /// # Errors
    /// When the accessory refuses, or closes the connection.
    pub async fn run(self, global: &Global) -> Result<ExitCode> {
        let session = self.target.open(global).await?;
        let database = session.accessories().await?;
        let ids = self.select(&database)?;
        let mut events = session.events();
        session.subscribe(&ids, true).await?;
        if !global.json {
            output::note(&format!("Watching {}; Ctrl-C ends.", list(&database, &ids)));
        }
        let watching = self.print(&mut events, &database, global.json);
        let seen = tokio::select! {
            biased;
            seen = watching => seen?,
            () = session.closed() => return Err(closed()),
            () = signals::interrupted() => None,
        };
        session.subscribe(&ids, false).await?;
        self.verdict(seen)
    }

    fn select(&self, database: &Database) -> Result<Vec<CharId>> {
        if self.ids.is_empty() {
            let all = database.entries().filter(|e| e.characteristic.allows("ev"));
            return Ok(all.map(|e| e.id()).collect());
        }
        let mut ids = Vec::new();
        for text in &self.ids {
            ids.extend(selector::select(database, text, "ev")?);
        }
        Ok(ids)
    }

    /// Prints events until time or count is reached; gives how many there were.
    async fn print(
        &self,
        events: &mut Receiver<Json>,
        database: &Database,
        json: bool,
    ) -> Result<Option<u64>> {
        let start = Instant::now();
        let (mut messages, mut seen) = (0, 0);
        while let Some(body) = self.next(events, start).await? {
            messages += 1;
            for (id, value) in event_entries(&body) {
                seen += 1;
                print(database, id, &value, json, messages, start.elapsed());
            }
            if self.count.is_some_and(|n| seen >= n) {
                break;
            }
        }
        Ok(Some(seen))
    }

    async fn next(&self, events: &mut Receiver<Json>, start: Instant) -> Result<Option<Json>> {
        let end = self.seconds.map(|s| start + s);
        loop {
            let received = match end {
                None => Ok(events.recv().await),
                Some(end) => tokio::time::timeout_at(end, events.recv()).await,
            };
            match received {
                Err(_elapsed) => return Ok(None),
                Ok(Ok(body)) => return Ok(Some(body)),
                Ok(Err(RecvError::Lagged(n))) => tracing::warn!("{n} event messages were dropped"),
                Ok(Err(RecvError::Closed)) => return Err(closed()),
            }
        }
    }

    fn verdict(&self, seen: Option<u64>) -> Result<ExitCode> {
        match (self.count, seen) {
            (Some(wanted), Some(seen)) if seen < wanted => Err(Failure::new(
                Kind::Refused,
                format!("{seen} of {wanted} events came"),
            )),
            _ => Ok(ExitCode::SUCCESS),
        }
    }
}

fn closed() -> Failure {
    Failure::new(Kind::Unreachable, "the accessory closed the connection")
}

fn list(database: &Database, ids: &[CharId]) -> String {
    let names: Vec<String> = ids.iter().map(|id| label(database, *id)).collect();
    names.join(", ")
}

fn label(database: &Database, id: CharId) -> String {
    match database.find(id) {
        Some(entry) => format!("{id} {}", entry.name()),
        None => id.to_string(),
    }
}

fn print(
    database: &Database,
    id: CharId,
    value: &Json,
    json: bool,
    message: u64,
    elapsed: Duration,
) {
    let known = database.find(id);
    if json {
        let event = json!({
            "ms": u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX), "message": message,
            "aid": id.aid, "iid": id.iid, "name": known.map(|e| e.name()),
            "service": known.map(|e| e.service_name()), "value": value,
        });
        output::line(&event.to_string());
        return;
    }
    let format = known.map_or("", |e| e.characteristic.format.as_str());
    let seconds = elapsed.as_secs_f64();
    let (label, shown) = (label(database, id), value::show(value, format));
    output::line(&format!("{seconds:9.3}  {label}  {shown}"));
}
