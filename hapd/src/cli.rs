//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::events::{Change, Kind};

/// Any GStreamer pipeline becomes a HomeKit camera.
#[derive(Debug, Parser)]
#[command(
    name = "hapd",
    version,
    about,
    after_help = "Examples:\n  \
        hapd run                          a test picture with sound: pair with the code it prints\n  \
        hapd run --config my.toml         the cameras of a config file\n  \
        hapd check my.toml                every mistake in a config file, with its line\n  \
        hapd pairing-info                 setup code and QR code of every camera, again\n  \
        hapd trigger \"Front Door\" ring    somebody rings, as the running hapd sees it\n\n\
        A config file:\n  \
        [[camera]]\n  \
        name = \"Front Door\"\n  \
        source = \"rtsp://user:password@192.0.2.7/stream1\"\n\n\
        Logs go to standard error; HAPD_LOG=debug shows more."
)]
pub struct Cli {
    /// Directory for keys, pairings and setup codes, kept private
    /// [default: $STATE_DIRECTORY, $XDG_STATE_HOME/hapd or ~/.local/state/hapd].
    #[arg(long, global = true, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve cameras until stopped.
    Run {
        /// The cameras; without it, one test picture with sound.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Take lines such as "Front Door motion on" or "Front Door ring" from standard input.
        #[arg(long)]
        stdin_triggers: bool,
    },
    /// Explain every mistake in a config file.
    Check {
        /// The config file.
        file: PathBuf,
    },
    /// Show setup codes, QR codes and pairing state.
    PairingInfo {
        /// Print a JSON list of {name, device_id, port, category, setup_code, setup_uri, paired}.
        #[arg(long)]
        json: bool,
    },
    /// Tell the running hapd that something happened at a camera.
    Trigger {
        /// Name or id of the camera.
        camera: String,
        /// What happened.
        kind: Kind,
        /// How it changed; a ring needs none.
        change: Option<Change>,
    },
    /// Remove all pairings, so that a camera can be added to another home. Keeps its identity and setup code.
    Unpair {
        /// Name or id of one camera [default: all].
        camera: Option<String>,
    },
    /// Forget cameras: identity, setup code and pairings. The next run makes new ones.
    Reset {
        /// Name or id of one camera [default: all].
        camera: Option<String>,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}
