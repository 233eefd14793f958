//! `hapctl accessories`.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value as Json;

use crate::cli::Global;
use crate::commands::Target;
use crate::database::{Accessory, Characteristic, Database, Service};
use crate::failure::{Failure, Kind, Result};
use crate::names;
use crate::output;
use crate::value;

const EXAMPLES: &str = "\
Examples:
  hapctl accessories garden
  hapctl accessories garden --json | jq '.accessories[0].services[].type'

The first column is what `get`, `put` and `watch` take. With --json the database is printed
exactly as the accessory sent it.";

/// Show services and characteristics.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Accessories {
    /// The accessory.
    #[command(flatten)]
    pub target: Target,
}

impl Accessories {
    /// Runs it.
    ///
    /// # Errors
    /// When the accessory does not answer or its database is malformed.
    pub async fn run(self, global: &Global) -> Result<ExitCode> {
        let session = self.target.open(global).await?;
        let body = session.accessories_body().await?;
        let database = Database::parse(&body)?;
        let json: Json = serde_json::from_slice(&body)
            .map_err(|e| Failure::new(Kind::Protocol, e.to_string()))?;
        output::result(global.json, &json, || describe(&database));
        Ok(ExitCode::SUCCESS)
    }
}

fn describe(database: &Database) -> String {
    let parts: Vec<String> = database.accessories.iter().map(accessory).collect();
    parts.join("\n\n")
}

fn accessory(accessory: &Accessory) -> String {
    let rows: Vec<Vec<String>> = accessory
        .services
        .iter()
        .flat_map(|s| {
            let own = s
                .characteristics
                .iter()
                .map(|c| characteristic(accessory.aid, c));
            std::iter::once(service(accessory.aid, s)).chain(own)
        })
        .collect();
    format!("accessory {}\n{}", accessory.aid, output::table(&rows))
}

fn service(aid: u64, s: &Service) -> Vec<String> {
    let mut notes = Vec::new();
    if s.primary {
        notes.push("primary".to_owned());
    }
    if s.hidden {
        notes.push("hidden".to_owned());
    }
    if !s.linked.is_empty() {
        notes.push(format!("linked {:?}", s.linked));
    }
    vec![
        format!("{aid}.{}", s.iid),
        format!("[{}]", names::service(&s.kind)),
        notes.join(" "),
    ]
}

fn characteristic(aid: u64, c: &Characteristic) -> Vec<String> {
    let value = c.value.as_ref().map(|v| value::show(v, &c.format));
    vec![
        format!("{aid}.{}", c.iid),
        format!("  {}", names::characteristic(&c.kind)),
        c.format.clone(),
        c.perms.join(","),
        shortened(value.unwrap_or_default()),
    ]
}

fn shortened(text: String) -> String {
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::tests::camera;

    #[test]
    fn services_stand_above_their_characteristics() {
        let text = describe(&camera());
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("accessory 1"));
        let stream = lines
            .iter()
            .position(|l| l.contains("primary linked [20]"))
            .unwrap();
        assert!(lines[stream].starts_with("1.10  [camera-rtp-stream-management]"));
        assert!(lines[stream + 1].contains("1.11    streaming-status"));
        assert!(lines[stream + 1].ends_with("AQEA (hex 010100)"));
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        assert_eq!(shortened("é".repeat(61)), format!("{}…", "é".repeat(60)));
    }
}
