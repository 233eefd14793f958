//! `hapctl hub`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::cli::{Global, seconds};
use crate::commands::{Target, snapshot::Reason};
use crate::failure::{Failure, Kind, Result};
use crate::hub::chaos::{Abort, Chaos};
use crate::hub::choice::Choice;
use crate::hub::link::Link;
use crate::hub::run::{Hub as Runner, Settings, Stop, Tally};
use crate::hub::services::Services;
use crate::hub::snapshot;
use crate::jpeg;
use crate::new_file::NewFile;
use crate::output;

/// Size of a picture when none is asked for.
const PICTURE: (u16, u16) = (640, 360);

const EXAMPLES: &str = "\
Plays the home hub of HomeKit Secure Video: switches recording on (it writes 21B, 110.B0, 223, 225,
209, 226 and 204.B0 as a hub does), stays connected, opens a HomeKit Data Stream, and at each motion
or ring pulls a recording, checks every rule of it and keeps it. The camera stays armed when it ends.

Examples:
  hapctl hub garden --clips clips                      # until Ctrl-C
  hapctl hub garden --clips clips --count 3 --json     # three recordings, then the exit code
  hapctl hub garden --clips clips --now --clip-seconds 10   # at once, without any motion
  hapctl hub garden --clips clips --encrypt && hapctl clip open clips/garden-*.mp4.sealed
  hapctl hub garden --size 1280x720 --fps 15 --kbps 1000 --prebuffer 4 --no-audio
  hapctl hub garden --count 500 --now --clip-seconds 5 --chaos 7    # a hub that misbehaves
  hapctl hub garden --snapshot now.jpg                 # a picture over the data stream

With --json each clip is one line: {file, poster, duration_ms, prebuffer_ms, open_to_init_ms,
open_to_first_fragment_ms, fragments, bytes, video_codec, audio_codec, ended, findings}. A finding
is a sentence with the source of its rule in brackets; a clip without any is as a hub wants it.
prebuffer_ms is what the clip shows from before the event (before the request, with --now), by the
clock in the clip; both clocks must be right. What a clip is held against:
  data stream   numbers of fragments and chunks, sizes, one initialization first, endOfStream
  init segment  ftyp and moov; avc1 or hvc1, AAC-LC, defaults, no samples; size, profile, level
  fragments     prft, moof, mdat; clocks; decode times from 0 without gaps; key frame first, flags,
                offsets, NAL units; never longer than selected; picture and sound together
  time          first fragment and every next within 5 s, the prebuffer as selected, no silence

Exit codes: 0 when there were clips (--count of them, if given) and none had findings, else 1.
Failures before the first clip have the codes of every command.";

/// Play the home hub: arm a camera, pull recordings, check and keep them.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Hub {
    /// The accessory.
    #[command(flatten)]
    pub target: Target,
    /// Directory for the clips, made when it is not there [default: clips are checked, not kept].
    #[arg(long, value_name = "DIR")]
    pub clips: Option<PathBuf>,
    /// End after this many recordings.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// End after this time.
    #[arg(long, value_parser = seconds)]
    pub seconds: Option<Duration>,
    /// Open a recording at once, and the next when it has ended, whether anything moves or not.
    #[arg(long)]
    pub now: bool,
    /// Close each recording after this time [default: the camera ends it].
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub clip_seconds: Option<Duration>,
    /// Seal clip and picture with AES-256-GCM, one random key for each clip, in NAME.key.
    #[arg(long, requires = "clips")]
    pub encrypt: bool,
    /// Ask for no picture of the moment.
    #[arg(long)]
    pub no_poster: bool,
    /// A new data stream for each recording, instead of one that is kept.
    #[arg(long)]
    pub reconnect: bool,
    /// Write nothing: record with what another hub, or this one, has written before.
    #[arg(long)]
    pub no_arm: bool,
    /// H.265 is a finding too: hubs before 2026 take H.264 alone.
    #[arg(long)]
    pub classic: bool,
    /// Accessory instance ID, for bridges [default: the first camera that records].
    #[arg(long)]
    pub aid: Option<u64>,
    /// What to select of what the camera offers.
    #[command(flatten)]
    pub choice: Choice,
    /// Misbehave like this in each recording.
    #[arg(long, value_enum, value_name = "HOW", help_heading = "Misbehaviour")]
    pub abort: Option<Abort>,
    /// Misbehave at random in half of the recordings; the same seed does the same again.
    #[arg(
        long,
        value_name = "SEED",
        conflicts_with = "abort",
        help_heading = "Misbehaviour"
    )]
    pub chaos: Option<u64>,
    /// Only fetch a picture over the data stream (ipcamera.snapshot); with --size and --reason.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["clips", "count", "now"])]
    pub snapshot: Option<PathBuf>,
    /// Why the picture is wanted.
    #[arg(long, value_enum, requires = "snapshot")]
    pub reason: Option<Reason>,
}

impl Hub {
    /// Runs it.
    ///
    /// # Errors
    /// When the camera cannot be reached, refuses to be armed, or clips cannot be kept.
    pub async fn run(self, global: &Global) -> Result<ExitCode> {
        if self.snapshot.is_some() {
            return self.picture(global).await;
        }
        if let Some(dir) = &self.clips {
            make_dir(dir)?;
        }
        let (chaos, stop) = (self.misbehaviour()?, Stop::new(self.seconds));
        let settings = Settings {
            poster: self.clips.is_some() && !self.no_poster,
            choice: self.choice,
            aid: self.aid,
            as_it_is: self.no_arm,
            h264_only: self.classic,
            clips: self.clips,
            sealed: self.encrypt,
            count: self.count,
            now: self.now,
            reconnect: self.reconnect,
            longest: self.clip_seconds,
        };
        let hub = Runner::new(&self.target, global, settings, chaos, stop);
        let tally = hub.run().await?;
        Ok(verdict(tally, self.count))
    }

    fn misbehaviour(&self) -> Result<Chaos> {
        if let Some(seed) = self.chaos {
            return Ok(Chaos::new(Some(Abort::Random), seed));
        }
        let mut seed = [0; 8];
        crate::random(&mut seed)?;
        let seed = u64::from_le_bytes(seed) >> 40;
        if self.abort == Some(Abort::Random) {
            tracing::warn!("the seed is {seed}");
        }
        Ok(Chaos::new(self.abort, seed))
    }

    async fn picture(&self, global: &Global) -> Result<ExitCode> {
        let session = self.target.open(global).await?;
        let services = Services::find(&session.accessories().await?, self.aid)?;
        let mut link = Link::open(&session, &services, global.timeout).await?;
        let size = self.choice.size.unwrap_or(PICTURE);
        let reason = self.reason.map(|r| match r {
            Reason::Periodic => "periodic",
            Reason::Event => "event",
        });
        let taking = tokio::time::timeout(global.timeout, snapshot::take(&mut link, size, reason));
        let taken = taking
            .await
            .map_err(|_| Failure::new(Kind::Unreachable, "the picture did not come in time"))??;
        let (width, height) = jpeg::size(&taken.jpeg)
            .ok_or_else(|| Failure::new(Kind::Protocol, "the camera sent no JPEG picture"))?;
        if let Some(path) = &self.snapshot {
            NewFile::write(path, &taken.jpeg)?;
        }
        let (ms, findings) = (taken.took.as_millis(), taken.findings.lines());
        let found = json!({
            "file": self.snapshot, "bytes": taken.jpeg.len(), "width": width, "height": height,
            "ms": u64::try_from(ms).unwrap_or(u64::MAX), "findings": findings,
        });
        output::result(global.json, &found, || {
            let lines: Vec<String> = findings.iter().map(|f| format!("\n  ! {f}")).collect();
            format!(
                "{width}x{height}, {} bytes, {ms} ms{}",
                taken.jpeg.len(),
                lines.concat()
            )
        });
        Ok(ExitCode::from(u8::from(!findings.is_empty())))
    }
}

fn make_dir(dir: &std::path::Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir);
    made.map_err(|e| Failure::from(e).context(dir.display()))
}

fn verdict(tally: Tally, count: Option<u64>) -> ExitCode {
    let enough = tally.clips >= count.unwrap_or(1);
    ExitCode::from(u8::from(tally.faulty > 0 || !enough))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_good_clips_and_enough_of_them_are_success() {
        let code = |clips, faulty, count| {
            let code = verdict(Tally { clips, faulty }, count);
            format!("{code:?}") == format!("{:?}", ExitCode::SUCCESS)
        };
        assert!(code(1, 0, None) && code(3, 0, Some(3)));
        assert!(!code(0, 0, None) && !code(3, 1, Some(3)) && !code(2, 0, Some(3)));
    }
}
