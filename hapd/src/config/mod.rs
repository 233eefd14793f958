//! The config file: one TOML table per camera.

mod document;
mod events;
mod fields;
mod mistake;
mod motion;
mod name;
mod source;

use std::path::Path;
use std::time::Duration;

use crate::media::{CameraSource, MotionSettings};

pub use document::parse;
pub use events::{
    BrokerConfig, CameraEvents, EventsConfig, HttpConfig, Listen, OnvifConfig, TopicRule,
};
pub use mistake::{Mistake, Mistakes};
pub use name::slug;

/// Everything a config file says.
#[derive(Debug, Clone)]
pub struct Config {
    /// Interfaces to announce and accept on; empty means all.
    pub interfaces: Vec<String>,
    /// Where triggers may come from, for all cameras.
    pub events: EventsConfig,
    /// The cameras, in the order of the file.
    pub cameras: Vec<CameraConfig>,
}

/// One camera.
#[derive(Debug, Clone)]
pub struct CameraConfig {
    /// Names the camera's state; stays when `name` changes.
    pub id: String,
    /// Shown in Home.
    pub name: String,
    /// TCP port of HAP; 0 means "choose once and keep".
    pub port: u16,
    /// Concurrent streams.
    pub max_streams: u8,
    /// Most pixels offered to controllers.
    pub max_size: (u16, u16),
    /// Shown in Home.
    pub manufacturer: String,
    /// Shown in Home.
    pub model: String,
    /// Shown in Home; the device identifier when absent.
    pub serial_number: Option<String>,
    /// Where the media comes from.
    pub media: CameraSource,
    /// Home's view of it beyond live view.
    pub security: Security,
    /// How it is watched for motion; `None`: it is not.
    pub motion: Option<MotionSettings>,
    /// Where this camera's triggers may come from.
    pub events: CameraEvents,
}

/// What a camera offers beyond live view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Security {
    /// HomeKit Secure Video.
    pub recording: bool,
    /// How far into the past recordings reach.
    pub prebuffer: Duration,
    /// How long after the last movement recordings go on.
    pub motion_hold: Duration,
    /// It has a Motion Sensor: for recordings, or as something tells of motion.
    pub motion: bool,
    /// It has a bell: a doorbell, not a camera.
    pub doorbell: bool,
    /// Occupancy is told beside motion.
    pub occupancy: bool,
    /// It has a privacy switch of its own.
    pub privacy_switch: bool,
}

impl Config {
    /// What runs without a config file: a test picture with sound.
    #[must_use]
    pub fn test_pattern() -> Self {
        let text = "[[camera]]\nname = \"Test Camera\"\nsource = \"test\"\n";
        parse(text).expect("the built-in config is valid: a test parses it")
    }

    /// Reads a file.
    ///
    /// # Errors
    /// Every mistake in the file, with its line, or why it could not be read.
    pub fn read(path: &Path) -> Result<Self, Mistakes> {
        let text = std::fs::read_to_string(path).map_err(|e| Mistakes::unreadable(path, &e))?;
        parse(&text).map_err(|m| m.of_file(path))
    }
}
