//! Whether something moves before a camera.
//!
//! ```text
//!  lowest encoding's Ring ─► what is needed of it ─► decoder ─► hapmotion ─► message ─► tell(bool)
//!  pipeline of the source ─► element message of the configured name ──────────────────► tell(bool)
//! ```
//!
//! - `pick`: which encoding is watched, and which of its frames.
//! - `chain`: the pipeline of a detector.
//! - `messages`: what elements say about motion.
//! - `watch`: the thread that keeps it running.

mod chain;
mod messages;
mod pick;
mod watch;

use std::time::Duration;

pub use gsthomekit::hapmotion::zones::{ZoneError, Zones};
pub use watch::MotionWatch;

/// Who says that something moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detector {
    /// The element `hapmotion`.
    Hapmotion,
    /// The element `motioncells` of GStreamer's OpenCV plugin.
    Motioncells,
    /// Element messages of this name in the pipeline of the source.
    ///
    /// A boolean field `motion` says which; so do `motion_begin` and `motion_finished` of `motioncells`. A message with
    /// none of these is motion for the hold time.
    Message(String),
}

/// How a camera is watched.
#[derive(Clone, Debug, PartialEq)]
pub struct MotionSettings {
    /// By whom.
    pub detector: Detector,
    /// From 0 (large things of high contrast) to 1 (small and faint ones).
    pub sensitivity: f64,
    /// Where.
    pub zones: Zones,
    /// How long the detector goes on after it last saw something.
    pub hold: Duration,
    /// Whether also while Home wants neither recordings nor detection.
    pub always: bool,
    /// Which encoding: 0 is the camera's best, the others are its `streams`; the lowest when absent.
    pub stream: Option<usize>,
}

impl Default for MotionSettings {
    fn default() -> Self {
        Self {
            detector: Detector::Hapmotion,
            sensitivity: 0.5,
            zones: Zones::default(),
            hold: Duration::from_secs(2),
            always: false,
            stream: None,
        }
    }
}
