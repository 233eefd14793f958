//! Motion, occupancy, doorbell and privacy switch, as the host sees them.

use std::time::Instant;

use hap_proto::{CharId, Value};

use super::Camera;
use crate::event::Event;
use crate::media::MediaHost;
use crate::services::{AID, iid};

impl Camera {
    /// A source says whether something moves. Motion Detected turns true at once, and false when nothing moved for
    /// the time of the hold; a recording goes on until then. Nothing is told while the camera is switched off.
    pub fn motion(&mut self, detected: bool, now: Instant, media: &mut dyn MediaHost) {
        if let Some(motion) = &mut self.motion {
            motion.set(detected, now);
        }
        self.sensed(now, media);
    }

    /// A source says whether somebody is there; held like motion.
    pub fn occupancy(&mut self, detected: bool, now: Instant, media: &mut dyn MediaHost) {
        if let Some(occupancy) = &mut self.occupancy {
            occupancy.set(detected, now);
        }
        self.sensed(now, media);
    }

    /// The doorbell was pressed. Every press is told, even while the camera is switched off; otherwise Motion
    /// Detected reads true for the time of the hold, since hubs were seen not to record for the press alone.
    ///
    /// Returns whether there is a doorbell at all.
    pub fn ring(&mut self, now: Instant, media: &mut dyn MediaHost) -> bool {
        if !self.doorbell {
            return false;
        }
        self.events.push_back(Event::Changed {
            id: CharId {
                aid: AID,
                iid: iid::DOORBELL_EVENT,
            },
            value: Value::UInt(0),
            origin: None,
        });
        self.events.push_back(Event::Rang);
        if let Some(motion) = &mut self.motion {
            motion.pulse(now);
        }
        self.sensed(now, media);
        true
    }

    /// Something beside Home switches the camera off, or lets it go. What is stored does not change.
    pub fn set_manually_disabled(&mut self, disabled: bool, media: &mut dyn MediaHost) {
        self.mode.set_manually_disabled(disabled);
        self.settle(media);
    }

    fn sensed(&mut self, now: Instant, media: &mut dyn MediaHost) {
        self.settle(media);
        self.recorder.advance(now, media, &mut self.events);
    }
}
