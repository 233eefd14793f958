//! `hapctl get`.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value as Json, json};

use crate::cli::Global;
use crate::commands::{Target, outcome};
use crate::database::{CharId, Database};
use crate::failure::Result;
use crate::output;
use crate::selector;
use crate::session::{ReadFlags, Reply, Session};
use crate::status;
use crate::value;

const EXAMPLES: &str = "\
Examples:
  hapctl get garden 1.9 1.10
  hapctl get garden streaming-status                      # of every stream
  hapctl get garden 'camera-rtp-stream-management#2/streaming-status'
  hapctl get garden accessory-information --json          # a whole service
  hapctl get garden speaker/mute --meta --perms --ev

A name is a characteristic type, a service type, or SERVICE/CHARACTERISTIC, as `hapctl
accessories` writes them, or the type in hex; #2 means the second. The exit code is 5 when the
accessory refused one of them.";

/// Read characteristics.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Get {
    /// The accessory.
    #[command(flatten)]
    pub target: Target,
    /// AID.IID or names.
    #[arg(required = true, value_name = "ID")]
    pub ids: Vec<String>,
    /// Also format, unit and limits.
    #[arg(long)]
    pub meta: bool,
    /// Also permissions.
    #[arg(long)]
    pub perms: bool,
    /// Also the type.
    #[arg(long = "type")]
    pub kind: bool,
    /// Also whether this connection gets events.
    #[arg(long)]
    pub ev: bool,
}

impl Get {
    /// Runs it.
    ///
    /// # Errors
    /// When the accessory does not answer or a name means nothing.
    pub async fn run(self, global: &Global) -> Result<ExitCode> {
        let session = self.target.open(global).await?;
        let database = session.accessories().await?;
        let ids = self.select(&database)?;
        let replies = self.read(&session, &ids).await?;
        let list: Vec<Json> = replies.iter().map(|r| annotated(&database, r)).collect();
        output::result(global.json, &json!({"characteristics": list}), || {
            describe(&database, &replies)
        });
        outcome(replies)
    }

    fn select(&self, database: &Database) -> Result<Vec<CharId>> {
        let mut ids = Vec::new();
        for text in &self.ids {
            ids.extend(selector::select(database, text, "pr")?);
        }
        Ok(ids)
    }

    async fn read(&self, session: &Session, ids: &[CharId]) -> Result<Vec<Reply>> {
        let flags = ReadFlags {
            meta: self.meta,
            perms: self.perms,
            kind: self.kind,
            ev: self.ev,
        };
        session.read(ids, flags).await
    }
}

/// The entry as received, with names.
pub(super) fn annotated(database: &Database, reply: &Reply) -> Json {
    let mut entry = reply.raw.clone();
    if let Some(known) = database.find(reply.id) {
        entry["name"] = known.name().into();
        entry["service"] = known.service_name().into();
    }
    entry
}

/// One line per reply.
pub(super) fn describe(database: &Database, replies: &[Reply]) -> String {
    let rows: Vec<Vec<String>> = replies.iter().map(|r| row(database, r)).collect();
    output::table(&rows)
}

fn row(database: &Database, reply: &Reply) -> Vec<String> {
    let known = database.find(reply.id);
    let format = known.map_or("", |e| e.characteristic.format.as_str());
    let value = match (reply.status, &reply.value) {
        (0, Some(value)) => value::show(value, format),
        (0, None) => "ok".into(),
        (code, _) => format!("{} ({code})", status::meaning(code)),
    };
    let mut row = vec![
        reply.id.to_string(),
        known.map_or_else(|| "?".into(), |e| e.name()),
        value,
    ];
    row.extend(extras(&reply.raw));
    row
}

/// What was asked for beside the value.
fn extras(raw: &Json) -> Option<String> {
    const SHOWN: [&str; 9] = [
        "format", "unit", "minValue", "maxValue", "minStep", "maxLen", "perms", "type", "ev",
    ];
    let parts = SHOWN
        .iter()
        .filter_map(|key| Some(format!("{key}={}", raw.get(key)?)));
    let text = parts.collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then_some(text)
}
