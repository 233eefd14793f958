//! A HomeKit controller for the command line: pairs with, reads, watches and tests any HomeKit
//! camera, with no Apple device at hand.
//!
//! Pairing, sessions and the record layer come from crates written elsewhere (`hap-crypto`,
//! `hap-transport`, `hap-model`), so that a test of an accessory of this project
//! never has one misreading on both ends.

use std::path::PathBuf;
use std::process::ExitCode;

pub mod address;
pub mod admin;
pub mod audio;
mod bits;
pub mod camera;
pub mod cli;
pub mod clip;
pub mod commands;
pub mod database;
pub mod delay;
pub mod discovery;
pub mod failure;
pub mod feedback;
pub mod hex;
pub mod hub;
pub mod jpeg;
pub mod losses;
pub mod names;
pub mod new_file;
pub mod ogg;
pub mod output;
pub mod pairing;
pub mod plan;
pub mod rates;
pub mod receiver;
pub mod recovery;
pub mod report;
pub mod selector;
pub mod session;
pub mod setup_code;
mod signals;
pub mod spread;
pub mod sps;
pub mod status;
pub mod store;
pub mod stream;
pub mod talk;
pub mod track;
pub mod value;
pub mod video;

use failure::{Failure, Kind, Result};

/// Fills `out` from the system's random number generator.
///
/// # Errors
/// [`Kind::Other`] when the system has none.
pub fn random(out: &mut [u8]) -> Result<()> {
    getrandom::fill(out).map_err(|e| Failure::new(Kind::Other, format!("no random numbers: {e}")))
}

/// Where the store is when `--store` is not given: `$HAPCTL_STORE`, else `hapctl` in the user's
/// data directory.
#[must_use]
pub fn default_store() -> Option<PathBuf> {
    let path = |name: &str| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    path("HAPCTL_STORE")
        .or_else(|| path("XDG_DATA_HOME").map(|d| d.join("hapctl")))
        .or_else(|| path("HOME").map(|d| d.join(".local/share/hapctl")))
}

/// Runs one command line and prints what came of it.
pub async fn run(cli: cli::Cli) -> ExitCode {
    let json = cli.global.json;
    match commands::run(cli).await {
        Ok(code) => code,
        Err(failure) => {
            output::failure(&failure, json);
            failure.exit_code()
        }
    }
}
