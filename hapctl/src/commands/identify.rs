//! `hapctl identify`.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::address;
use crate::cli::Global;
use crate::commands::Target;
use crate::failure::{Failure, Kind, Result};
use crate::output;
use crate::pairing;
use crate::selector;
use crate::session::{Write, all_ok};
use crate::status;

const EXAMPLES: &str = "\
Examples:
  hapctl identify garden
  hapctl identify --unpaired 192.168.1.20:51826   # before pairing

An accessory blinks, beeps or logs a line. An unpaired one is asked without encryption; once
paired, it refuses that.";

/// Ask the accessory to show which one it is.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Identify {
    /// Alias given when pairing.
    #[arg(value_name = "NAME", required_unless_present = "unpaired")]
    pub name: Option<String>,
    /// Address to use instead of the stored one.
    #[arg(long, value_name = "HOST:PORT")]
    pub address: Option<String>,
    /// Ask an accessory that is not paired, at this address.
    #[arg(long, value_name = "HOST:PORT", conflicts_with_all = ["name", "address"])]
    pub unpaired: Option<String>,
}

impl Identify {
    /// Runs it.
    ///
    /// # Errors
    /// When the accessory refuses.
    pub async fn run(self, global: &Global) -> Result<ExitCode> {
        match (&self.unpaired, &self.name) {
            (Some(address), _) => identify_unpaired(address, global).await?,
            (None, Some(name)) => {
                let target = Target {
                    name: name.clone(),
                    address: self.address.clone(),
                };
                identify_paired(&target, global).await?;
            }
            (None, None) => return Err(Failure::new(Kind::Usage, "which accessory?")),
        }
        output::result(global.json, &json!({"ok": true}), || "ok".into());
        Ok(ExitCode::SUCCESS)
    }
}

async fn identify_paired(target: &Target, global: &Global) -> Result<()> {
    let session = target.open(global).await?;
    let database = session.accessories().await?;
    let id = *selector::select(&database, "identify", "pw")?
        .first()
        .ok_or_else(|| Failure::new(Kind::NotFound, "it has no identify characteristic"))?;
    let write = Write {
        id,
        value: true.into(),
        response: false,
    };
    all_ok(session.write(&[write], None).await?)
}

/// `POST /identify`, for accessories without pairings only (HAP R1 §5.7.6).
async fn identify_unpaired(address: &str, global: &Global) -> Result<()> {
    let addresses = address::resolve(address).await?;
    let (mut connection, _) = pairing::connect(&addresses, global.timeout).await?;
    let kind = pairing::with_host("application/hap+json");
    let request = connection.request("POST", "/identify", &kind, b"");
    let reply = pairing::limited(global.timeout, request).await?;
    if matches!(reply.status, 200 | 204) {
        return Ok(());
    }
    let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    Err(match body["status"].as_i64() {
        Some(code @ (-70401 | -70411)) => {
            status::failure(code).hint("a paired accessory wants `hapctl identify NAME`")
        }
        Some(code) => status::failure(code),
        None => Failure::new(
            Kind::Refused,
            format!("/identify answered HTTP {}", reply.status),
        ),
    })
}
