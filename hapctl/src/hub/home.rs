//! A verified connection to an armed camera, and what is known of it.

use std::sync::Arc;

use hap_camera::recording::{SelectedRecording, Triggers};
use serde_json::Value as Json;
use tokio::sync::broadcast;

use super::arm::Armed;
use super::link::Link;
use super::services::Services;
use crate::clip::clock::Stamp;
use crate::session::{Session, event_entries};

/// A camera under watch.
pub struct Home {
    /// The HAP connection.
    pub session: Arc<Session>,
    /// Where everything is.
    pub services: Services,
    /// What was selected.
    pub armed: Armed,
    /// Its events.
    pub events: broadcast::Receiver<Json>,
    /// The data stream, kept from recording to recording.
    pub link: Option<Link>,
    /// Snapshots may be had over the data stream, as far as is known.
    pub snapshots: bool,
    /// Motion Detected.
    pub motion: bool,
    /// Something happened that nothing was recorded of yet.
    pub pending: Option<Stamp>,
}

impl Home {
    /// The selected configuration.
    #[must_use]
    pub fn selected(&self) -> &SelectedRecording {
        &self.armed.selected
    }

    /// Takes an event message: motion or a ring makes something pending.
    pub fn note(&mut self, body: &Json) {
        for (id, value) in event_entries(body) {
            tracing::debug!("{id} is {value}");
            if id == self.services.motion {
                self.moved(is_true(&value));
            } else if Some(id) == self.services.doorbell && !value.is_null() {
                self.rang();
            }
        }
    }

    fn moved(&mut self, motion: bool) {
        if motion && !self.motion {
            self.pending = Some(Stamp::now());
        }
        if !motion {
            self.pending = None;
        }
        self.motion = motion;
    }

    fn rang(&mut self) {
        if self.selected().triggers.contains(Triggers::DOORBELL) {
            self.pending = Some(Stamp::now());
        }
    }
}

/// A boolean, which some accessories write as a number.
#[must_use]
pub fn is_true(value: &Json) -> bool {
    value.as_bool().unwrap_or_else(|| value.as_u64() == Some(1))
}
