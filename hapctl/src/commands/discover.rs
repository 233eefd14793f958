//! `hapctl discover`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value as Json, json};

use crate::cli::{Global, seconds};
use crate::discovery::{self, Announced};
use crate::failure::{Failure, Kind, Result};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  hapctl discover
  hapctl discover --unpaired --seconds 5
  hapctl discover --wait \"Garden cam\" --json     # ends when it is there

The accessory must be in the same network; mDNS does not pass routers. If nothing shows up,
pair by address: hapctl pair --address HOST:PORT …";

/// List the accessories announced on the network.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Discover {
    /// How long to listen.
    #[arg(long, default_value = "3", value_parser = seconds)]
    pub seconds: Duration,
    /// Only accessories that accept a first controller.
    #[arg(long)]
    pub unpaired: bool,
    /// End as soon as this accessory (name or device ID) is heard; fail when it is not.
    #[arg(long, value_name = "NAME|ID")]
    pub wait: Option<String>,
}

impl Discover {
    /// Runs it.
    ///
    /// # Errors
    /// When mDNS cannot be used, or the accessory waited for does not come.
    pub async fn run(self, global: &Global) -> Result<ExitCode> {
        let found = match &self.wait {
            Some(text) => vec![self.wait_for(text).await?],
            None => discovery::all(self.seconds).await?,
        };
        let shown: Vec<&Announced> = found.iter().filter(|a| self.wants(a)).collect();
        let list: Vec<Json> = shown.iter().map(|a| a.to_json()).collect();
        output::result(global.json, &json!(list), || describe(&shown));
        Ok(ExitCode::SUCCESS)
    }

    fn wants(&self, accessory: &Announced) -> bool {
        !(self.unpaired && accessory.paired())
    }

    async fn wait_for(&self, text: &str) -> Result<Announced> {
        let wanted = |a: &Announced| a.is(text) && self.wants(a);
        let found = discovery::find(wanted, self.seconds).await?;
        found.ok_or_else(|| not_heard(text))
    }
}

/// The failure for an accessory that is not announced.
pub(super) fn not_heard(text: &str) -> Failure {
    Failure::new(
        Kind::NotFound,
        format!("no accessory announces itself as {text:?}"),
    )
    .hint("`hapctl discover` lists what is heard; or give --address HOST:PORT")
}

fn describe(found: &[&Announced]) -> String {
    if found.is_empty() {
        return "No accessory heard. `hapctl discover --help` says what to check.".into();
    }
    let header = ["NAME", "ID", "ADDRESS", "CATEGORY", "PAIRED", "C#"];
    let mut rows = vec![header.map(String::from).to_vec()];
    rows.extend(found.iter().map(|a| row(a)));
    output::table(&rows)
}

fn row(a: &Announced) -> Vec<String> {
    let address = a.addresses().first().map(ToString::to_string);
    vec![
        a.name.clone(),
        a.id.clone(),
        address.unwrap_or_else(|| "?".into()),
        discovery::category_name(a.category()).into(),
        if a.paired() { "yes" } else { "no" }.into(),
        a.txt.get("c#").cloned().unwrap_or_default(),
    ]
}
