//! `hapctl snapshot`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use serde_json::json;

use crate::cli::{Global, size};
use crate::commands::Target;
use crate::failure::{Failure, Kind, Result};
use crate::jpeg;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  hapctl snapshot garden --output garden.jpg
  hapctl snapshot garden --size 1920x1080 --output big.jpg --json
  hapctl snapshot garden --reason event          # as for a notification

Prints the size found in the picture itself, so that a camera that ignores the request shows.";

/// Take a picture.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Snapshot {
    /// The accessory.
    #[command(flatten)]
    pub target: Target,
    /// Size to ask for.
    #[arg(long, default_value = "640x360", value_parser = size, value_name = "WxH")]
    pub size: (u16, u16),
    /// File to write [default: none, only measure].
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Why: a periodic refresh of a tile, or an event.
    #[arg(long, value_enum)]
    pub reason: Option<Reason>,
    /// Accessory instance ID, for bridges.
    #[arg(long, default_value_t = 1)]
    pub aid: u64,
}

/// Why a picture is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Reason {
    /// A tile is refreshed.
    Periodic,
    /// Something happened.
    Event,
}

impl Snapshot {
    /// Runs it.
    ///
    /// # Errors
    /// When the camera makes no picture, or what it sends is none.
    pub async fn run(self, global: &Global) -> Result<ExitCode> {
        let session = self.target.open(global).await?;
        let start = Instant::now();
        let reason = self.reason.map(|r| r as u8);
        let picture = session.snapshot(self.aid, self.size, reason).await?;
        let ms = start.elapsed().as_millis();
        let (width, height) = jpeg::size(&picture.jpeg)
            .ok_or_else(|| Failure::new(Kind::Protocol, "the camera sent no JPEG picture"))?;
        if let Some(path) = &self.output {
            std::fs::write(path, &picture.jpeg)
                .map_err(|e| Failure::from(e).context(path.display()))?;
        }
        let found = json!({
            "file": self.output, "bytes": picture.jpeg.len(), "width": width, "height": height,
            "ms": u64::try_from(ms).unwrap_or(u64::MAX),
        });
        output::result(global.json, &found, || {
            format!("{width}x{height}, {} bytes, {ms} ms", picture.jpeg.len())
        });
        Ok(ExitCode::SUCCESS)
    }
}
