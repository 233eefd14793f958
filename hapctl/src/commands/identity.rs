//! `hapctl identity`.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::cli::Global;
use crate::failure::Result;
use crate::hex;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  hapctl identity
  hapctl --store second identity --json

What an administrator needs to let this controller in:
  hapctl pairings NAME add ID --public-key HEX
The secret key is never printed.";

/// Show who this controller is.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Identity {}

impl Identity {
    /// Runs it.
    ///
    /// # Errors
    /// When the store is damaged.
    pub fn run(self, global: &Global) -> Result<ExitCode> {
        let store = global.store()?;
        let controller = store.controller()?;
        let (id, key) = (&controller.id, hex::encode(&controller.ltpk()));
        let aliases = store.aliases()?;
        let found = json!({"id": id, "public_key": key, "pairings": aliases});
        output::result(global.json, &found, || {
            format!(
                "id          {id}\npublic key  {key}\npairings    {}",
                aliases.join(" ")
            )
        });
        Ok(ExitCode::SUCCESS)
    }
}
