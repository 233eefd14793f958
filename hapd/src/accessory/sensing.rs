//! What happens at a camera, and what becomes of it.

use std::time::Instant;

use hap_camera::Event;
use hap_camera::services::iid;
use hap_proto::Value;
use tracing::{info, warn};

use super::actor::Actor;
use crate::events::Trigger;
use crate::media::motion::MotionSettings;

impl Actor {
    /// Something happened at the camera.
    pub(super) fn trigger(&mut self, trigger: Trigger, now: Instant) {
        let (camera, streams) = (&mut self.host.camera, &mut self.host.streams);
        match trigger {
            Trigger::Motion(on) => camera.motion(on, now, streams),
            Trigger::Occupancy(on) => camera.occupancy(on, now, streams),
            Trigger::Privacy(on) => self.host.set_privacy(on),
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
            Event::ActiveChanged(active) => {
                info!(camera = name, active, "camera switched");
                self.apply_watch();
            }
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

    /// Watches for motion as long as anybody wants to know: Home detects or records, or the config says so.
    pub(super) fn apply_watch(&mut self) {
        let camera = &self.host.camera;
        let detects = !camera.offers_streams();
        let wanted = |settings: &&MotionSettings| {
            camera.is_active() && (settings.always || camera.is_armed() || detects)
        };
        match (self.motion.as_ref().filter(wanted), &self.watch) {
            (None, _) => self.watch = None,
            (Some(_), Some(_)) => {}
            (Some(settings), None) => {
                let inbox = self.triggers.clone();
                let tell = move |on| inbox.put(Trigger::Motion(on));
                self.watch = Some(
                    self.host
                        .streams
                        .camera()
                        .watch_motion(settings.clone(), tell),
                );
            }
        }
    }

    /// A characteristic is about to be told: what is seen now is what it is about.
    pub(super) fn note_changed(&self, iid: u64, value: &Value) {
        if iid == iid::MOTION_DETECTED && *value == Value::Bool(true) {
            self.host.streams.camera().motion();
        }
    }
}
