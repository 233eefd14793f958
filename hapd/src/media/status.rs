//! What a camera tells about itself.

use std::time::Duration;

/// State of a camera's source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Connecting, no picture yet.
    Starting,
    /// Pictures come.
    Running,
    /// It failed and is tried again.
    Failed {
        /// What failed, without credentials.
        reason: String,
        /// Time from the failure to the next attempt.
        retry_in: Duration,
    },
    /// [`super::Camera::stop`] was called.
    Stopped,
}

/// The source's own video.
#[derive(Clone, Debug, PartialEq)]
pub struct VideoInfo {
    /// `h264`, `h265`, `raw`, `jpeg` or the media type.
    pub codec: String,
    /// As GStreamer names it, e.g. `constrained-baseline`.
    pub profile: Option<String>,
    /// E.g. `3.1`.
    pub level: Option<String>,
    /// Pixels; 0 = unknown.
    pub width: u32,
    /// Pixels; 0 = unknown.
    pub height: u32,
    /// Frames per second; 0 = unknown.
    pub fps: f64,
    /// Whether pictures are displayed in another order than sent.
    pub reordered: bool,
}

/// The source's own audio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioInfo {
    /// `opus`, `raw`, `aac` or the media type.
    pub codec: String,
    /// Hz; 0 = unknown.
    pub rate: u32,
    /// Channels; 0 = unknown.
    pub channels: u32,
}

/// State and media of a camera.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// State of the source.
    pub state: State,
    /// Its video, as far as known.
    pub video: Option<VideoInfo>,
    /// Its audio, if it has any.
    pub audio: Option<AudioInfo>,
}

impl Status {
    pub(super) fn starting() -> Self {
        Self {
            state: State::Starting,
            video: None,
            audio: None,
        }
    }
}
