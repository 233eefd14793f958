//! What happens at a camera, and what becomes of it.

use std::time::Instant;

use hap_camera::Event;
use hap_camera::services::iid;
use hap_proto::Value;
use tracing::{debug, info, warn};

use super::actor::Actor;
use crate::events::Trigger;

impl Actor {
    /// Something happened at the camera.
    pub(super) fn trigger(&mut self, trigger: Trigger, now: Instant) {
        debug!(camera = self.host.record.name, ?trigger, "triggered");
        let (camera, streams) = (&mut self.host.camera, &mut self.host.streams);
        match trigger {
            Trigger::Motion(on) => camera.motion(on, now, streams),
            Trigger::Occupancy(on) => camera.occupancy(on, now, streams),
            Trigger::Privacy(on) => camera.set_manually_disabled(on, streams),
            Trigger::Ring => {
                if !camera.ring(now, streams) {
                    warn!(
                        camera = self.host.record.name,
                        "somebody rings, but this is no doorbell: set doorbell = true"
                    );
                }
            }
        }
    }

    /// The camera's protocol state has something to say beyond changed characteristics.
    pub(super) fn camera_event(&mut self, event: Event) {
        let name = &self.host.record.name;
        match event {
            Event::ArmedChanged => self.apply_armed(),
            Event::ActiveChanged(active) => info!(camera = name, active, "camera switched"),
            Event::Rang => {
                info!(camera = name, "somebody rings");
                self.host.streams.camera().motion();
            }
            Event::CloseRecording {
                hds,
                stream_id,
                reason,
            } => self.close_recording(hds, stream_id, reason),
            Event::SelectionRefused(error) => {
                warn!(camera = name, %error, "the hub selected what cannot be recorded");
            }
            Event::RecordingStalled { key } => {
                warn!(
                    camera = name,
                    recording = key.0,
                    "nothing to send for a recording"
                );
            }
            _ => {}
        }
    }

    /// A characteristic is about to be told: what is seen now is what it is about.
    pub(super) fn note_changed(&self, iid: u64, value: &Value) {
        if iid == iid::MOTION_DETECTED && *value == Value::Bool(true) {
            self.host.streams.camera().motion();
        }
    }
}
