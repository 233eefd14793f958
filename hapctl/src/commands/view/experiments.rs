//! What `hapctl view` does to a stream beside watching it: losses and talking back.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::Args;
use hap_camera::rtp::{AudioCodec, AudioSelection};

use crate::cli::seconds;
use crate::failure::{Failure, Kind, Result};
use crate::losses::{Drop, Losses};
use crate::ogg;
use crate::talk::{Talk, Voice};
use crate::track::Track;

/// Longest file that is read to talk.
const MAX_TALK: u64 = 64 << 20;

/// Losses and talking back.
#[derive(Debug, Clone, Args)]
pub struct Experiments {
    /// Drop this share of the media packets that come, at random, always or from FROM to TO
    /// seconds; can be repeated, the first that covers a time counts.
    #[arg(long, value_name = "[@FROM-TO:]PERCENT%", value_parser = drop,
          help_heading = "Experiments")]
    pub drop: Vec<Drop>,
    /// Seed of --drop: the same one drops the same packets.
    #[arg(
        long,
        value_name = "N",
        default_value = "1",
        help_heading = "Experiments"
    )]
    pub seed: u64,
    /// Send a PLI when a video packet is missing, and again until a whole key frame has come.
    #[arg(long, conflicts_with = "no_rtcp", help_heading = "Experiments")]
    pub pli_on_loss: bool,
    /// Talk back: send this Ogg Opus file to the camera's speaker, once.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["no_audio", "no_rtcp"],
          help_heading = "Experiments")]
    pub talk: Option<PathBuf>,
    /// Begin to talk after SECONDS [default: at once].
    #[arg(long, value_name = "SECONDS", value_parser = seconds, requires = "talk",
          help_heading = "Experiments")]
    pub talk_at: Option<Duration>,
}

impl Experiments {
    /// The Opus packets of the file to talk.
    ///
    /// # Errors
    /// When it cannot be read, or is no Ogg Opus.
    pub(super) fn recording(&self) -> Result<Option<Vec<Vec<u8>>>> {
        let Some(path) = &self.talk else {
            return Ok(None);
        };
        let packets = read(path).map_err(|e| Failure::from(e).context(path.display()))?;
        Ok(Some(packets))
    }

    /// Does to the video what was asked for.
    pub(super) fn on_video(&self, track: Track) -> Track {
        let track = track.with_losses(Losses::new(&self.drop, self.seed));
        match self.pli_on_loss {
            true => track.with_pli_on_loss(),
            false => track,
        }
    }

    /// Does to the audio what was asked for; it loses other packets than the video.
    ///
    /// # Errors
    /// When `recording` cannot be sent as `selection` says.
    pub(super) fn on_audio(
        &self,
        track: Track,
        recording: Option<&[Vec<u8>]>,
        selection: &AudioSelection,
    ) -> Result<Track> {
        let track = track.with_losses(Losses::new(&self.drop, !self.seed));
        let Some(packets) = recording else {
            return Ok(track);
        };
        let talk = Talk::new(packets, self.voice(selection)?)?;
        Ok(track.with_talk(talk, time_of_day()))
    }

    fn voice(&self, selection: &AudioSelection) -> Result<Voice> {
        if selection.codec != AudioCodec::Opus {
            let why = "the camera takes AAC-ELD only; a file to talk is Opus";
            return Err(Failure::new(Kind::Usage, why));
        }
        Ok(Voice {
            ssrc: selection.rtp.ssrc,
            payload_type: selection.rtp.payload_type,
            clock_rate: selection.sample_rate.hz(),
            packet_time: Duration::from_millis(selection.packet_time_ms.into()),
            begin: self.talk_at.unwrap_or_default(),
        })
    }
}

fn read(path: &Path) -> std::io::Result<Vec<Vec<u8>>> {
    if std::fs::metadata(path)?.len() > MAX_TALK {
        return Err(std::io::Error::other("longer than 64 MiB"));
    }
    ogg::opus_packets(&std::fs::read(path)?)
}

fn time_of_day() -> Duration {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default()
}

/// Reads `20%` or `@3-8:20%`.
///
/// # Errors
/// A message for the command line.
fn drop(text: &str) -> std::result::Result<Drop, String> {
    let wrong = || "write PERCENT% or @FROM-TO:PERCENT%, for example 20% or @3-8:100%".to_owned();
    let (window, share) = match text.strip_prefix('@') {
        None => (None, text),
        Some(rest) => {
            let (window, share) = rest.split_once(':').ok_or_else(wrong)?;
            (Some(window), share)
        }
    };
    let percent = share.strip_suffix('%').and_then(|n| n.parse::<f64>().ok());
    let percent = percent.filter(|p| (0.0..=100.0).contains(p));
    Ok(Drop {
        share: percent.ok_or_else(wrong)? / 100.0,
        window: match window {
            None => None,
            Some(window) => Some(times(window).ok_or_else(wrong)?),
        },
    })
}

fn times(text: &str) -> Option<(Duration, Duration)> {
    let (from, to) = text.split_once('-')?;
    let from = match from {
        "0" => Duration::ZERO,
        _ => seconds(from).ok()?,
    };
    let to = seconds(to).ok()?;
    (from < to).then_some((from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_read() {
        let ms = Duration::from_millis;
        assert_eq!(
            drop("20%"),
            Ok(Drop {
                share: 0.2,
                window: None
            })
        );
        assert_eq!(
            drop("@0-2.5:100%"),
            Ok(Drop {
                share: 1.0,
                window: Some((ms(0), ms(2500)))
            })
        );
        for bad in [
            "", "20", "120%", "-1%", "nan%", "@3-8", "@8-3:20%", "@3:20%", "@3-8:x%",
        ] {
            assert!(drop(bad).is_err(), "{bad}");
        }
    }
}
