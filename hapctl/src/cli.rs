//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::commands::{
    accessories, clip, discover, get, hub, identify, identity, pair, pairings, put, snapshot,
    unpair, view, watch,
};
use crate::failure::{Failure, Kind, Result};
use crate::store::Store;

const EXAMPLES: &str = "\
Examples:
  hapctl discover
  hapctl pair --address 192.168.1.20:51826 --code 123-45-678 --alias garden
  hapctl accessories garden
  hapctl get garden streaming-status
  hapctl snapshot garden --size 640x360 --output garden.jpg
  hapctl view garden --seconds 10 --video garden.h264 --audio garden.ogg
  hapctl hub garden --clips clips --count 1

Exit codes:
  0 done · 1 other failure · 2 wrong usage · 3 accessory does not answer · 4 not authenticated
  5 accessory refused · 6 nothing of that name · 7 no media came · 8 store · 9 protocol broken

With --json, results are JSON on standard output and a failure is one JSON object
{error, kind, exit_code, hint} on standard error.";

/// HomeKit controller for the command line: pairs with, watches and tests HomeKit cameras.
#[derive(Debug, Parser)]
#[command(name = "hapctl", version, about, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Directory with this controller's keys and pairings [default: $HAPCTL_STORE, else
    /// ~/.local/share/hapctl]. Each directory is a controller of its own.
    #[arg(long, global = true, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// Seconds to wait for a connection or an answer.
    #[arg(long, global = true, value_name = "SECONDS", default_value = "12", value_parser = seconds)]
    pub timeout: Duration,
    /// Say more on standard error; again for more.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

impl Global {
    /// Opens the store.
    ///
    /// # Errors
    /// [`Kind::Store`] when there is none and it cannot be made.
    pub fn store(&self) -> Result<Store> {
        let dir = self.store.clone().or_else(crate::default_store);
        let dir = dir.ok_or_else(|| {
            Failure::new(Kind::Store, "no home directory to keep keys in")
                .hint("choose one with --store DIR")
        })?;
        Store::open(&dir)
    }
}

/// Every command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the accessories announced on the network.
    Discover(discover::Discover),
    /// Pair with an accessory and keep the pairing under an alias.
    Pair(pair::Pair),
    /// Show services and characteristics.
    Accessories(accessories::Accessories),
    /// Read characteristics.
    Get(get::Get),
    /// Write a characteristic.
    Put(put::Put),
    /// Print events as they come.
    Watch(watch::Watch),
    /// Take a picture.
    Snapshot(snapshot::Snapshot),
    /// Watch live: receive, check and store video and sound.
    View(Box<view::View>),
    /// Play the home hub: arm a camera, pull recordings, check and keep them.
    Hub(Box<hub::Hub>),
    /// Open sealed clips, or check clips.
    Clip(clip::Clip),
    /// Ask the accessory to show which one it is.
    Identify(identify::Identify),
    /// List, add and remove the accessory's controllers.
    Pairings(pairings::Pairings),
    /// Show who this controller is.
    Identity(identity::Identity),
    /// Remove this controller from the accessory and forget it.
    Unpair(unpair::Unpair),
}

/// Reads a positive number of seconds, with fractions.
///
/// # Errors
/// A message for the command line.
pub fn seconds(text: &str) -> std::result::Result<Duration, String> {
    let number: f64 = text
        .parse()
        .map_err(|_| "not a number of seconds".to_owned())?;
    if number > 0.0 && number <= 1e7 {
        return Ok(Duration::from_secs_f64(number));
    }
    Err("must be above 0".into())
}

/// Reads `WIDTHxHEIGHT`.
///
/// # Errors
/// A message for the command line.
pub fn size(text: &str) -> std::result::Result<(u16, u16), String> {
    let wrong = || "write WIDTHxHEIGHT, for example 1280x720".to_owned();
    let (width, height) = text.split_once(['x', 'X']).ok_or_else(wrong)?;
    match (width.parse(), height.parse()) {
        (Ok(w), Ok(h)) if w > 0 && h > 0 => Ok((w, h)),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example() {
        for command in Cli::command().get_subcommands() {
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            let call = format!("hapctl {}", command.get_name());
            assert!(help.contains(&call), "{}", command.get_name());
        }
    }

    #[test]
    fn sizes_and_seconds() {
        assert_eq!(size("1280x720"), Ok((1280, 720)));
        for bad in ["", "x", "0x5", "1280", "1x2x3", "70000x2"] {
            assert!(size(bad).is_err(), "{bad}");
        }
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["", "0", "-1", "nan", "inf", "x"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
