//! What was selected, as far as a recording can be held against it.

use std::time::Duration;

/// The selected configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// How much there must be from before the event.
    pub prebuffer: Option<Duration>,
    /// The longest fragment.
    pub fragment: Duration,
    /// The picture; none: any.
    pub video: Option<WantedVideo>,
    /// The sound; none: none is needed.
    pub audio: Option<WantedAudio>,
    /// H.265 is wrong too: hubs before 2026 take H.264 alone.
    pub h264_only: bool,
}

/// The selected picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WantedVideo {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Pictures a second.
    pub fps: u32,
    /// `profile_idc`: 66, 77 or 100.
    pub profile: u8,
    /// `level_idc`: 31, 32 or 40.
    pub level: u8,
    /// Bitrate in kbit/s.
    pub kbps: u32,
}

/// The selected sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WantedAudio {
    /// Samples a second.
    pub rate: u32,
    /// Channels.
    pub channels: u8,
}

impl Default for Wanted {
    /// What every recording must be like.
    fn default() -> Self {
        Self {
            prebuffer: None,
            fragment: Duration::from_secs(4),
            video: None,
            audio: None,
            h264_only: false,
        }
    }
}
