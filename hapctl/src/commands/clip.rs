//! `hapctl clip`.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::Global;
use crate::clip::file;
use crate::clip::seal::{self, ClipKey};
use crate::failure::{Failure, Kind, Result};
use crate::new_file::NewFile;
use crate::output;
use zeroize::Zeroizing;

/// A key file holds 64 digits.
const MAX_KEY: u64 = 4096;

const EXAMPLES: &str = "\
Examples:
  hapctl clip open clips/garden-20261122T141503.250Z-0001.mp4.sealed
  hapctl clip open c.mp4.sealed --key elsewhere/c.key --out c.mp4
  hapctl clip check c.mp4                # every rule of a recording, for a file";

/// Open sealed clips, or check clips.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Clip {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with a clip.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Open a clip or picture that `hapctl hub --encrypt` sealed.
    Open(Open),
    /// Check a fragmented MP4 file against the rules of recordings, except those of time.
    Check(Check),
}

/// `hapctl clip open`.
#[derive(Debug, Args)]
pub struct Open {
    /// The sealed file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The file with its key [default: NAME.key beside it].
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Where to write [default: FILE without .sealed].
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Replace a file that is there.
    #[arg(long)]
    pub force: bool,
}

/// `hapctl clip check`.
#[derive(Debug, Args)]
pub struct Check {
    /// The clip.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// H.265 is a finding too.
    #[arg(long)]
    pub classic: bool,
}

impl Clip {
    /// Runs it.
    ///
    /// # Errors
    /// When the file cannot be read or opened.
    pub fn run(self, global: &Global) -> Result<ExitCode> {
        match self.action {
            Action::Open(open) => open.run(global),
            Action::Check(check) => check.run(global),
        }
    }
}

impl Open {
    fn run(self, global: &Global) -> Result<ExitCode> {
        let key = read_key(&self.key_file()?)?;
        let out = self.out_file()?;
        if out.exists() && !self.force {
            return Err(
                Failure::new(Kind::Usage, format!("{} is there already", out.display()))
                    .hint("name another with --out, or replace it with --force"),
            );
        }
        let sealed = File::open(&self.file).map_err(|e| at(&self.file, e))?;
        let mut file = NewFile::create(&out)?;
        seal::open(BufReader::new(sealed), &key, &mut file)
            .map_err(|e| e.context(self.file.display()))?;
        file.finish()?;
        let bytes = fs::metadata(&out).map_err(|e| at(&out, e))?.len();
        let found = json!({"file": out, "bytes": bytes});
        output::result(global.json, &found, || {
            format!("{}, {bytes} bytes", out.display())
        });
        Ok(ExitCode::SUCCESS)
    }

    fn plain_name(&self) -> Result<PathBuf> {
        if self.file.extension().is_some_and(|e| e == "sealed") {
            return Ok(self.file.with_extension(""));
        }
        Err(Failure::new(
            Kind::Usage,
            format!("{} does not end in .sealed", self.file.display()),
        )
        .hint("give both --key FILE and --out FILE for a file of another name"))
    }

    fn key_file(&self) -> Result<PathBuf> {
        match &self.key {
            Some(key) => Ok(key.clone()),
            None => Ok(self.plain_name()?.with_extension("key")),
        }
    }

    fn out_file(&self) -> Result<PathBuf> {
        match &self.out {
            Some(out) => Ok(out.clone()),
            None => self.plain_name(),
        }
    }
}

fn read_key(path: &Path) -> Result<ClipKey> {
    use std::io::Read as _;
    let mut text = Zeroizing::new(String::with_capacity(128));
    let file = File::open(path).map_err(|e| at(path, e))?;
    file.take(MAX_KEY)
        .read_to_string(&mut text)
        .map_err(|e| at(path, e))?;
    ClipKey::parse(text.trim()).map_err(|e| e.context(path.display()))
}

fn at(path: &Path, e: std::io::Error) -> Failure {
    let kind = match e.kind() {
        std::io::ErrorKind::NotFound => Kind::NotFound,
        _ => Kind::Other,
    };
    Failure::new(kind, format!("{}: {e}", path.display()))
}

impl Check {
    fn run(self, global: &Global) -> Result<ExitCode> {
        let file = File::open(&self.file).map_err(|e| at(&self.file, e))?;
        let summary = file::check(BufReader::new(file), self.classic)
            .map_err(|e| e.context(self.file.display()))?;
        let findings = summary.findings.lines();
        let found = json!({
            "file": self.file, "duration_ms": summary.duration_ms,
            "fragments": summary.fragments, "bytes": summary.bytes,
            "video_codec": summary.video_codec, "audio_codec": summary.audio_codec,
            "findings": findings,
        });
        output::result(global.json, &found, || {
            let lines: Vec<String> = findings.iter().map(|f| format!("\n  ! {f}")).collect();
            let seconds = summary.duration_ms as f64 / 1000.0;
            let fragments = summary.fragments;
            format!("{seconds:.1} s, {fragments} fragments{}", lines.concat())
        });
        Ok(ExitCode::from(u8::from(!findings.is_empty())))
    }
}
