//! What the application sets.

use std::time::Duration;

use gst::glib::Value;
use gst::prelude::*;

use super::Role;

pub(crate) const DEFAULT_MIN_BITRATE: u32 = 10_000;
pub(crate) const DEFAULT_REPORT_INTERVAL: Duration = Duration::from_millis(500);

/// The properties of one element.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) role: Role,
    pub(crate) stream: String,
    pub(crate) rules: Rules,
}

/// What holds for a stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Source of the media; `None` = that of the first sender report.
    pub(crate) ssrc: Option<u32>,
    /// Least cap that is obeyed, in bit/s.
    pub(crate) min_bitrate: u32,
    pub(crate) key_frame_interval: Option<Duration>,
    pub(crate) report_interval: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            ssrc: None,
            min_bitrate: DEFAULT_MIN_BITRATE,
            key_frame_interval: None,
            report_interval: DEFAULT_REPORT_INTERVAL,
        }
    }
}

impl Settings {
    pub(crate) fn set(&mut self, name: &str, value: &Value) {
        match name {
            "role" => self.role = value.get().expect("GObject checks types"),
            "stream" => {
                let name: Option<String> = value.get().expect("GObject checks types");
                self.stream = name.unwrap_or_default();
            }
            name => self
                .rules
                .set(name, value.get().expect("GObject checks types")),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Value {
        match name {
            "role" => self.role.to_value(),
            "stream" => self.stream.to_value(),
            name => self.rules.get(name).to_value(),
        }
    }
}

impl Rules {
    fn set(&mut self, name: &str, value: u32) {
        let millis = Duration::from_millis(value.into());
        match name {
            "ssrc" => self.ssrc = (value != 0).then_some(value),
            "min-bitrate" => self.min_bitrate = value,
            "key-frame-interval" => self.key_frame_interval = (value != 0).then_some(millis),
            "rtcp-interval" => self.report_interval = millis,
            _ => unreachable!("{name} is not writable"),
        }
    }

    fn get(&self, name: &str) -> u32 {
        let millis = |time: Duration| time.as_millis() as u32;
        match name {
            "ssrc" => self.ssrc.unwrap_or(0),
            "min-bitrate" => self.min_bitrate,
            "key-frame-interval" => self.key_frame_interval.map_or(0, millis),
            "rtcp-interval" => millis(self.report_interval),
            _ => unreachable!("{name} is no setting"),
        }
    }
}
