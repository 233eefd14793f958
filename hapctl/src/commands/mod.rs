//! One file per command.

pub mod accessories;
pub mod clip;
pub mod discover;
pub mod get;
pub mod hub;
pub mod identify;
pub mod identity;
pub mod pair;
pub mod pairings;
pub mod put;
pub mod snapshot;
pub mod unpair;
pub mod view;
pub mod watch;

use std::process::ExitCode;

use clap::Args;

use crate::address;
use crate::cli::{Cli, Command, Global};
use crate::failure::Result;
use crate::session::{self, Reply, Session};
use crate::store::Record;

/// Runs the command of `cli`.
///
/// # Errors
/// What the command fails with.
pub async fn run(cli: Cli) -> Result<ExitCode> {
    let global = &cli.global;
    match cli.command {
        Command::Discover(c) => c.run(global).await,
        Command::Pair(c) => c.run(global).await,
        Command::Accessories(c) => c.run(global).await,
        Command::Get(c) => c.run(global).await,
        Command::Put(c) => c.run(global).await,
        Command::Watch(c) => c.run(global).await,
        Command::Snapshot(c) => c.run(global).await,
        Command::View(c) => c.run(global).await,
        Command::Hub(c) => c.run(global).await,
        Command::Clip(c) => c.run(global),
        Command::Identify(c) => c.run(global).await,
        Command::Pairings(c) => c.run(global).await,
        Command::Identity(c) => c.run(global),
        Command::Unpair(c) => c.run(global).await,
    }
}

/// The accessory a command is about.
#[derive(Debug, Clone, Args)]
pub struct Target {
    /// Alias given when pairing.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Address to use instead of the stored one.
    #[arg(long, value_name = "HOST:PORT")]
    pub address: Option<String>,
}

impl Target {
    /// The stored pairing.
    ///
    /// # Errors
    /// [`crate::failure::Kind::NotFound`] when there is none.
    pub fn record(&self, global: &Global) -> Result<Record> {
        global.store()?.load(&self.name)
    }

    /// A verified session with it.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub async fn open(&self, global: &Global) -> Result<Session> {
        let store = global.store()?;
        let record = store.load(&self.name)?;
        match &self.address {
            None => Session::open(&store, &record, global.timeout).await,
            Some(text) => {
                let addresses = address::resolve(text).await?;
                let controller = store.controller()?;
                Session::open_at(&addresses, &record, &controller, global.timeout).await
            }
        }
    }
}

/// Success, or the first refusal; the replies themselves are printed by then.
fn outcome(replies: Vec<Reply>) -> Result<ExitCode> {
    session::all_ok(replies).map(|()| ExitCode::SUCCESS)
}
