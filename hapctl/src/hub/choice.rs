//! What a hub selects of what a camera offers to record.

use std::time::Duration;

use clap::{Args, ValueEnum};
use hap_camera::recording::{
    RecordingAudioCodec, SelectedAudio, SelectedRecording, SelectedVideo, SupportedRecording,
};
use hap_camera::rtp::{H264Level, H264Profile, VideoAttributes};

use crate::cli::{seconds, size};
use crate::clip::wanted::{Wanted, WantedAudio, WantedVideo};
use crate::failure::{Failure, Kind, Result};

/// Pixels of 1920x1080: hubs select no more.
const MOST_PIXELS: u32 = 1920 * 1080;
/// Pictures a second: hubs select no more.
const MOST_FPS: u8 = 30;

/// Wishes for the selected configuration.
#[derive(Debug, Clone, Default, Args)]
pub struct Choice {
    /// Seconds before the event that a recording has to start [default: what the camera offers].
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = "Selected configuration")]
    pub prebuffer: Option<Duration>,
    /// Picture size [default: the largest offered up to 1920x1080].
    #[arg(long, value_name = "WxH", value_parser = size, help_heading = "Selected configuration")]
    pub size: Option<(u16, u16)>,
    /// Pictures a second [default: the most offered up to 30].
    #[arg(long, value_name = "N", help_heading = "Selected configuration")]
    pub fps: Option<u8>,
    /// Video bitrate in kbit/s [default: 2000 for 1080p, 1000 for 720p, else 500].
    #[arg(long, value_name = "KBPS", help_heading = "Selected configuration",
          value_parser = clap::value_parser!(u32).range(1..=25_000))]
    pub kbps: Option<u32>,
    /// H.264 profile [default: the highest offered].
    #[arg(long, value_enum, help_heading = "Selected configuration")]
    pub profile: Option<Profile>,
    /// Sample rate of the sound in Hz [default: the highest offered].
    #[arg(long, value_name = "HZ", help_heading = "Selected configuration")]
    pub audio_rate: Option<u32>,
    /// Record without sound: Recording Audio Active (226) is written 0.
    #[arg(long, help_heading = "Selected configuration")]
    pub no_audio: bool,
}

/// H.264 profiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// Constrained baseline.
    Baseline,
    /// Main.
    Main,
    /// High.
    High,
}

impl Choice {
    /// Selects of `offer`.
    ///
    /// # Errors
    /// [`Kind::Usage`] for a wish that is not offered, [`Kind::Protocol`] for an offer without
    /// anything to select.
    pub fn select(&self, offer: &SupportedRecording) -> Result<SelectedRecording> {
        let attributes = self.attributes(&offer.video.attributes)?;
        let selected = SelectedRecording {
            prebuffer: self.prebuffer.unwrap_or(offer.prebuffer),
            triggers: offer.triggers,
            fragment: offer.fragment,
            video: SelectedVideo {
                profile: self.profile(&offer.video.profiles)?,
                level: highest(&offer.video.levels, level_idc, "level")?,
                kbps: self.kbps.unwrap_or(kbps(attributes)),
                i_frame_interval: offer.fragment,
                attributes,
            },
            audio: self.audio(offer)?,
        };
        Ok(selected)
    }

    fn attributes(&self, offered: &[VideoAttributes]) -> Result<VideoAttributes> {
        let fits = |a: &&VideoAttributes| {
            let size = self
                .size
                .map_or(pixels(a) <= MOST_PIXELS, |s| s == (a.width, a.height));
            let fps = self.fps.map_or(a.fps <= MOST_FPS, |fps| fps == a.fps);
            size && fps
        };
        let best = offered
            .iter()
            .filter(fits)
            .max_by_key(|a| (pixels(a), a.fps));
        best.copied().ok_or_else(|| {
            let list: Vec<String> = offered.iter().map(show).collect();
            Failure::new(
                Kind::Usage,
                "the camera offers no recording of that size and rate",
            )
            .hint(format!("it offers {}", list.join(", ")))
        })
    }

    fn profile(&self, offered: &[H264Profile]) -> Result<H264Profile> {
        let Some(wish) = self.profile else {
            return highest(offered, profile_idc, "profile");
        };
        let wish = match wish {
            Profile::Baseline => 66,
            Profile::Main => 77,
            Profile::High => 100,
        };
        let found = offered.iter().find(|p| profile_idc(**p) == wish);
        found
            .copied()
            .ok_or_else(|| Failure::new(Kind::Usage, "the camera does not offer that profile"))
    }

    fn audio(&self, offer: &SupportedRecording) -> Result<SelectedAudio> {
        let rates = &offer.audio.sample_rates;
        let fits = rates
            .iter()
            .filter(|r| self.audio_rate.is_none_or(|hz| r.hz() == hz));
        let rate = fits.max_by_key(|r| r.hz()).ok_or_else(|| {
            let list: Vec<String> = rates.iter().map(|r| r.hz().to_string()).collect();
            Failure::new(Kind::Usage, "the camera does not offer that sample rate")
                .hint(format!("it offers {}", list.join(", ")))
        })?;
        Ok(SelectedAudio {
            codec: offer.audio.codec,
            channels: offer.audio.channels,
            bitrate_mode: offer.audio.bitrate_mode,
            sample_rate: *rate,
            kbps: if rate.hz() > 24_000 { 64 } else { 32 },
        })
    }
}

/// What a recording of `selected` is held against.
#[must_use]
pub fn wanted(selected: &SelectedRecording, audio: bool, h264_only: bool) -> Wanted {
    let video = &selected.video;
    let sound = audio && selected.audio.codec == RecordingAudioCodec::AacLc;
    Wanted {
        prebuffer: Some(selected.prebuffer),
        fragment: selected.fragment,
        video: Some(WantedVideo {
            width: video.attributes.width.into(),
            height: video.attributes.height.into(),
            fps: video.attributes.fps.into(),
            profile: profile_idc(video.profile),
            level: level_idc(video.level),
            kbps: video.kbps,
        }),
        audio: sound.then(|| WantedAudio {
            rate: selected.audio.sample_rate.hz(),
            channels: selected.audio.channels,
        }),
        h264_only,
    }
}

/// The configuration in one line.
#[must_use]
pub fn describe(selected: &SelectedRecording) -> String {
    let (video, audio) = (&selected.video, &selected.audio);
    format!(
        "{} H.264 profile {} level {} at {} kbit/s, AAC {} Hz, prebuffer {} ms, fragments of {} ms",
        show(&video.attributes),
        profile_idc(video.profile),
        level_idc(video.level),
        video.kbps,
        audio.sample_rate.hz(),
        selected.prebuffer.as_millis(),
        selected.fragment.as_millis(),
    )
}

fn show(a: &VideoAttributes) -> String {
    format!("{}x{}@{}", a.width, a.height, a.fps)
}

fn pixels(a: &VideoAttributes) -> u32 {
    u32::from(a.width) * u32::from(a.height)
}

fn kbps(a: VideoAttributes) -> u32 {
    match pixels(&a) {
        p if p > 1280 * 720 => 2000,
        p if p > 640 * 480 => 1000,
        _ => 500,
    }
}

fn profile_idc(profile: H264Profile) -> u8 {
    match profile {
        H264Profile::Main => 77,
        H264Profile::High => 100,
        _ => 66,
    }
}

fn level_idc(level: H264Level) -> u8 {
    match level {
        H264Level::L3_2 => 32,
        H264Level::L4_0 => 40,
        _ => 31,
    }
}

fn highest<T: Copy>(offered: &[T], rank: impl Fn(T) -> u8, what: &str) -> Result<T> {
    let best = offered.iter().copied().max_by_key(|t| rank(*t));
    best.ok_or_else(|| Failure::new(Kind::Protocol, format!("the camera offers no H.264 {what}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hap_camera::recording::Triggers;

    fn offer() -> SupportedRecording {
        let prebuffer = Duration::from_secs(4);
        SupportedRecording::for_source(1920, 1080, 30, prebuffer, Triggers::MOTION_AND_DOORBELL)
    }

    #[test]
    fn the_best_is_selected_and_offered() {
        let (offer, choice) = (offer(), Choice::default());
        let selected = choice.select(&offer).unwrap();
        offer.check(&selected).unwrap();
        assert_eq!(show(&selected.video.attributes), "1920x1080@30");
        assert_eq!((selected.video.kbps, selected.triggers.bits()), (2000, 3));
        let decoded = SelectedRecording::decode(&selected.encode()).unwrap();
        assert_eq!(decoded, selected);
        assert!(describe(&selected).contains("profile 100 level 40"));
    }

    #[test]
    fn wishes_are_taken_if_they_are_offered() {
        let choice = Choice {
            size: Some((1280, 720)),
            fps: Some(15),
            profile: Some(Profile::Main),
            audio_rate: Some(16_000),
            kbps: Some(700),
            ..Choice::default()
        };
        let selected = choice.select(&offer()).unwrap();
        offer().check(&selected).unwrap();
        let wanted = wanted(&selected, true, false);
        let video = wanted.video.unwrap();
        assert_eq!((video.width, video.height, video.fps), (1280, 720, 15));
        assert_eq!((video.profile, video.level, video.kbps), (77, 40, 700));
        assert_eq!(wanted.audio.unwrap().rate, 16_000);
        for choice in [
            Choice {
                size: Some((123, 45)),
                ..Choice::default()
            },
            Choice {
                fps: Some(99),
                ..Choice::default()
            },
            Choice {
                profile: Some(Profile::Baseline),
                ..Choice::default()
            },
            Choice {
                audio_rate: Some(1),
                ..Choice::default()
            },
        ] {
            assert_eq!(choice.select(&offer()).unwrap_err().kind(), Kind::Usage);
        }
    }

    #[test]
    fn without_sound_none_is_wanted() {
        let selected = Choice::default().select(&offer()).unwrap();
        assert_eq!(wanted(&selected, false, true).audio, None);
    }
}
