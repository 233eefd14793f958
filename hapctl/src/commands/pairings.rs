//! `hapctl pairings`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};

use crate::admin::Pairing;
use crate::cli::Global;
use crate::commands::Target;
use crate::failure::{Failure, Kind, Result};
use crate::hex;
use crate::output;
use crate::session::Session;
use crate::store::Store;

const EXAMPLES: &str = "\
Examples:
  hapctl pairings garden list
  hapctl pairings garden share /tmp/second --admin     # let the controller of that store in
  hapctl pairings garden add ID --public-key HEX       # ID and key from its `hapctl identity`
  hapctl pairings garden remove ID

Only administrators may do this. Removing the last administrator removes every pairing.";

/// List, add and remove the accessory's controllers.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Pairings {
    /// The accessory.
    #[command(flatten)]
    pub target: Target,
    /// What to do with them.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with the pairings.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Show them.
    List,
    /// Add a controller, or change whether it is an administrator.
    Add {
        /// Its pairing identifier.
        id: String,
        /// Its long-term public key, 32 bytes in hex.
        #[arg(long, value_name = "HEX", value_parser = public_key)]
        public_key: [u8; 32],
        /// It may manage pairings too.
        #[arg(long)]
        admin: bool,
    },
    /// Add the controller of another store, and tell that store about the accessory.
    Share {
        /// The other store's directory.
        #[arg(value_name = "DIR")]
        to: PathBuf,
        /// It may manage pairings too.
        #[arg(long)]
        admin: bool,
    },
    /// Remove a controller; its connections are closed.
    Remove {
        /// Its pairing identifier.
        id: String,
    },
}

fn public_key(text: &str) -> std::result::Result<[u8; 32], String> {
    let bytes = hex::decode(text).and_then(|b| b.try_into().ok());
    bytes.ok_or_else(|| "a public key is 64 hex digits".into())
}

impl Pairings {
    /// Runs it.
    ///
    /// # Errors
    /// When the accessory refuses.
    pub async fn run(self, global: &Global) -> Result<ExitCode> {
        let session = self.target.open(global).await?;
        match &self.action {
            Action::List => return list(&session, global).await,
            Action::Add {
                id,
                public_key,
                admin,
            } => {
                let pairing = Pairing {
                    id: id.clone(),
                    public_key: *public_key,
                    admin: *admin,
                };
                session.add_pairing(&pairing).await?;
            }
            Action::Share { to, admin } => self.share(&session, global, to, *admin).await?,
            Action::Remove { id } => session.remove_pairing(id).await?,
        }
        output::result(global.json, &json!({"ok": true}), || "ok".into());
        Ok(ExitCode::SUCCESS)
    }

    async fn share(
        &self,
        session: &Session,
        global: &Global,
        to: &std::path::Path,
        admin: bool,
    ) -> Result<()> {
        let record = self.target.record(global)?;
        let other = Store::open(to)?;
        let controller = other.controller()?;
        if controller.id == global.store()?.controller()?.id {
            return Err(Failure::new(Kind::Usage, "that is this very store"));
        }
        let pairing = Pairing {
            id: controller.id.clone(),
            public_key: controller.ltpk(),
            admin,
        };
        session.add_pairing(&pairing).await?;
        other.save(&record)
    }
}

async fn list(session: &Session, global: &Global) -> Result<ExitCode> {
    let own = global.store()?.controller()?.id;
    let pairings = session.pairings().await?;
    let json: Vec<Json> = pairings.iter().map(|p| to_json(p, &own)).collect();
    output::result(global.json, &json!({"pairings": json}), || {
        let rows: Vec<Vec<String>> = pairings.iter().map(|p| row(p, &own)).collect();
        output::table(&rows)
    });
    Ok(ExitCode::SUCCESS)
}

fn to_json(p: &Pairing, own: &str) -> Json {
    json!({
        "id": p.id, "public_key": hex::encode(&p.public_key), "admin": p.admin, "self": p.id == own,
    })
}

fn row(p: &Pairing, own: &str) -> Vec<String> {
    vec![
        p.id.clone(),
        if p.admin { "admin" } else { "user" }.into(),
        if p.id == own { "(this controller)" } else { "" }.into(),
        hex::encode(&p.public_key),
    ]
}
