//! What `hapctl view` asks the camera for.

use std::time::Duration;

use clap::{Args, ValueEnum};
use hap_camera::rtp::{H264Profile, SampleRate, SrtpSuite};

use super::actions::{self, Action, MaxBitrate, Reconfigure, Timeline, TradeOff};
use crate::cli::{seconds, size};
use crate::feedback::Feedback;
use crate::plan::Wishes;

/// What to ask for.
#[derive(Debug, Clone, Args)]
pub struct Request {
    /// Picture size [default: 1280x720, or the next smaller one offered].
    #[arg(long, value_name = "WxH", value_parser = size, help_heading = "Stream")]
    pub size: Option<(u16, u16)>,
    /// Frames per second [default: the most offered].
    #[arg(long, help_heading = "Stream")]
    pub fps: Option<u8>,
    /// Limit of the video in kbit/s [default: as an iPhone asks, 132 to 802 by size].
    #[arg(long, value_name = "KBPS", help_heading = "Stream")]
    pub bitrate: Option<u16>,
    /// H.264 profile [default: the highest offered].
    #[arg(long, value_enum, help_heading = "Stream")]
    pub profile: Option<Profile>,
    /// Largest UDP payload in bytes [default: 1378 over IPv4, 1228 over IPv6].
    #[arg(long, value_name = "BYTES", help_heading = "Stream")]
    pub mtu: Option<u16>,
    /// SRTP suite by key length [default: the first offered].
    #[arg(long, value_enum, help_heading = "Stream")]
    pub suite: Option<Suite>,
    /// Audio sample rate in kHz [default: 24 if offered].
    #[arg(long, value_name = "KHZ", value_parser = rate, help_heading = "Stream")]
    pub audio_rate: Option<SampleRate>,
    /// Sound per packet in ms: 20, 40 or 60 [default: 20].
    #[arg(long, value_name = "MS", value_parser = packet_time, help_heading = "Stream")]
    pub packet_time: Option<u8>,
    /// Ask for no sound.
    #[arg(long, conflicts_with = "audio", help_heading = "Stream")]
    pub no_audio: bool,
    /// Take the N-th stream service, available or not [default: the first available].
    #[arg(long, value_name = "N", help_heading = "Stream")]
    pub stream: Option<usize>,
    /// Ask even for what the camera does not offer.
    #[arg(long, help_heading = "Stream")]
    pub force: bool,
    /// Change the video after SECONDS; can be repeated.
    #[arg(long, value_name = "WxH@SECONDS[:KBPS]", value_parser = actions::reconfigure,
          help_heading = "While it runs")]
    pub reconfigure: Vec<Reconfigure>,
    /// Pause the media after SECONDS.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = "While it runs")]
    pub suspend: Vec<Duration>,
    /// Go on after a pause.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = "While it runs")]
    pub resume: Vec<Duration>,
    /// Send a Picture Loss Indication after SECONDS.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = "While it runs")]
    pub pli: Vec<Duration>,
    /// Send a Full Intra Request after SECONDS.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = "While it runs")]
    pub fir: Vec<Duration>,
    /// Limit the video to BITRATE bit/s, or 300k or 2M, by a TMMBR after SECONDS; can be repeated.
    #[arg(long, value_name = "BITRATE@SECONDS", value_parser = actions::max_bitrate,
          help_heading = "While it runs")]
    pub tmmbr: Vec<MaxBitrate>,
    /// Ask for a trade-off between the quality and the number of pictures by a TSTR after SECONDS:
    /// 0 for the best pictures to 31 for the most; can be repeated.
    #[arg(long, value_name = "INDEX@SECONDS", value_parser = actions::trade_off,
          help_heading = "While it runs")]
    pub tstr: Vec<TradeOff>,
    /// Send no RTCP at all.
    #[arg(long, help_heading = "While it runs")]
    pub no_rtcp: bool,
}

/// H.264 profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// Constrained Baseline.
    Baseline,
    /// Main.
    Main,
    /// High.
    High,
}

/// SRTP suite by key length in bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// AES_CM_128_HMAC_SHA1_80.
    #[value(name = "128")]
    Aes128,
    /// AES_256_CM_HMAC_SHA1_80.
    #[value(name = "256")]
    Aes256,
    /// No encryption.
    None,
}

impl Request {
    /// The same for choosing among what the camera offers.
    #[must_use]
    pub fn wishes(&self) -> Wishes {
        Wishes {
            size: self.size,
            fps: self.fps,
            video_kbps: self.bitrate,
            profile: self.profile.map(|p| match p {
                Profile::Baseline => H264Profile::ConstrainedBaseline,
                Profile::Main => H264Profile::Main,
                Profile::High => H264Profile::High,
            }),
            rate: self.audio_rate,
            packet_time_ms: self.packet_time,
            mtu: self.mtu,
            suite: self.suite.map(|s| match s {
                Suite::Aes128 => SrtpSuite::AesCm128HmacSha1_80,
                Suite::Aes256 => SrtpSuite::AesCm256HmacSha1_80,
                Suite::None => SrtpSuite::None,
            }),
            mute: self.no_audio,
            force: self.force,
        }
    }

    pub(super) fn timeline(&self) -> Timeline {
        let mut timeline = Timeline::default();
        timeline.add_changes(&self.reconfigure);
        timeline.add(&self.suspend, Action::Suspend);
        timeline.add(&self.resume, Action::Resume);
        // TMMBR goes before PLI (HAP R1 §11.4.1).
        for limit in &self.tmmbr {
            let feedback = Feedback::MaxBitrate(limit.bitrate);
            timeline.add(&[limit.at], Action::Ask(feedback));
        }
        for trade in &self.tstr {
            let feedback = Feedback::TradeOff(trade.index);
            timeline.add(&[trade.at], Action::Ask(feedback));
        }
        timeline.add(&self.pli, Action::Ask(Feedback::Pli));
        timeline.add(&self.fir, Action::Ask(Feedback::Fir));
        timeline
    }
}

fn rate(text: &str) -> Result<SampleRate, String> {
    match text {
        "8" => Ok(SampleRate::Khz8),
        "16" => Ok(SampleRate::Khz16),
        "24" => Ok(SampleRate::Khz24),
        _ => Err("8, 16 or 24".into()),
    }
}

fn packet_time(text: &str) -> Result<u8, String> {
    match text {
        "20" => Ok(20),
        "30" => Ok(30),
        "40" => Ok(40),
        "60" => Ok(60),
        _ => Err("20, 30 (AAC-ELD), 40 or 60".into()),
    }
}
