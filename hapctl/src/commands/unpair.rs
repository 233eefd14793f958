//! `hapctl unpair`.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::cli::Global;
use crate::commands::Target;
use crate::failure::{Failure, Kind, Result};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  hapctl unpair garden
  hapctl unpair garden --forget     # the accessory is gone or was reset

If this controller is the last administrator, the accessory forgets every other one too and can
be paired anew.";

/// Remove this controller from the accessory and forget it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Unpair {
    /// The accessory.
    #[command(flatten)]
    pub target: Target,
    /// Forget the pairing here without asking the accessory.
    #[arg(long)]
    pub forget: bool,
}

impl Unpair {
    /// Runs it.
    ///
    /// # Errors
    /// When the accessory does not answer or refuses; the pairing is kept then.
    pub async fn run(self, global: &Global) -> Result<ExitCode> {
        let store = global.store()?;
        let record = store.load(&self.target.name)?;
        if !self.forget {
            self.remove(global).await.map_err(advise)?;
        }
        store.remove(&record.alias)?;
        let found = json!({
            "alias": record.alias, "device_id": record.pairing.pairing_id,
            "asked_accessory": !self.forget,
        });
        output::result(global.json, &found, || {
            format!("{} is forgotten.", record.alias)
        });
        Ok(ExitCode::SUCCESS)
    }

    async fn remove(&self, global: &Global) -> Result<()> {
        let id = global.store()?.controller()?.id;
        self.target.open(global).await?.remove_pairing(&id).await
    }
}

fn advise(e: Failure) -> Failure {
    match e.kind() {
        Kind::Unreachable | Kind::Authentication => {
            e.hint("if the accessory is gone or was reset, add --forget")
        }
        _ => e,
    }
}
