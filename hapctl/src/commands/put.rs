//! `hapctl put`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value as Json, json};

use crate::cli::{Global, seconds};
use crate::commands::get::{annotated, describe};
use crate::commands::{Target, outcome};
use crate::database::{CharId, Database};
use crate::failure::{Failure, Kind, Result};
use crate::output;
use crate::selector;
use crate::session::{Session, Write};
use crate::value;

const EXAMPLES: &str = "\
Examples:
  hapctl put garden speaker/mute=true
  hapctl put garden 1.12=hex:0100 --response
  hapctl put garden 1.9=on 1.10=50                # one request
  hapctl put garden 1.9=on --timed                # PUT /prepare first
  hapctl put garden 1.9=json:[1,2]                # any JSON, to see it refused

Values: true/false, numbers, text as it is; for tlv8 and data base64, or hex: and hex digits.
The exit code is 5 when the accessory refused one of the writes.";

/// Write a characteristic.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Put {
    /// The accessory.
    #[command(flatten)]
    pub target: Target,
    /// AID.IID=VALUE or NAME=VALUE.
    #[arg(required = true, value_name = "ID=VALUE")]
    pub writes: Vec<String>,
    /// Write within a time limit: PUT /prepare first.
    #[arg(long)]
    pub timed: bool,
    /// The limit of a timed write.
    #[arg(long, default_value = "2.5", value_parser = seconds, requires = "timed")]
    pub ttl: Duration,
    /// Ask for the value after the write.
    #[arg(long)]
    pub response: bool,
}

impl Put {
    /// Runs it.
    ///
    /// # Errors
    /// When the accessory does not answer, or a name or value makes no sense.
    pub async fn run(self, global: &Global) -> Result<ExitCode> {
        let session = self.target.open(global).await?;
        let database = session.accessories().await?;
        let parsed = self.writes.iter().map(|text| self.parse(&database, text));
        let writes = parsed.collect::<Result<Vec<Write>>>()?;
        let replies = self.write(&session, &writes).await?;
        let list: Vec<Json> = replies.iter().map(|r| annotated(&database, r)).collect();
        let ok = replies.iter().all(|r| r.status == 0);
        let result = json!({"ok": ok, "characteristics": list});
        output::result(global.json, &result, || match replies.is_empty() {
            true => "ok".into(),
            false => describe(&database, &replies),
        });
        outcome(replies)
    }

    async fn write(
        &self,
        session: &Session,
        writes: &[Write],
    ) -> Result<Vec<crate::session::Reply>> {
        if self.timed {
            session.write_timed(writes, self.ttl).await
        } else {
            session.write(writes, None).await
        }
    }

    fn parse(&self, database: &Database, text: &str) -> Result<Write> {
        let (id, text) = text.split_once('=').ok_or_else(|| {
            Failure::new(Kind::Usage, format!("{text:?} has no value"))
                .hint("write ID=VALUE, for example 1.9=true")
        })?;
        let id = selector::select_one(database, id, "pw")?;
        let value = value::parse(text, format(database, id))?;
        Ok(Write {
            id,
            value,
            response: self.response,
        })
    }
}

fn format(database: &Database, id: CharId) -> &str {
    let known = database.find(id);
    known.map_or("", |e| e.characteristic.format.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::tests::camera;

    fn put() -> Put {
        Put {
            target: Target {
                name: "x".into(),
                address: None,
            },
            writes: Vec::new(),
            timed: false,
            ttl: Duration::from_secs(1),
            response: true,
        }
    }

    #[test]
    fn values_follow_the_format_of_the_database() {
        let write = put()
            .parse(&camera(), "setup-endpoints=hex:020102")
            .unwrap();
        assert_eq!(write.id.to_string(), "1.12");
        assert_eq!(write.value, json!("AgEC"));
        assert!(write.response);
        // A value may hold an equals sign.
        let write = put().parse(&camera(), "1.12=AQ==").unwrap();
        assert_eq!(write.value, json!("AQ=="));
        let unknown = put().parse(&camera(), "9.9=5").unwrap();
        assert_eq!(unknown.value, json!(5));
    }

    #[test]
    fn a_write_without_value_is_refused() {
        assert_eq!(
            put().parse(&camera(), "1.12").unwrap_err().kind(),
            Kind::Usage
        );
    }
}
