//! Characteristics that follow from the rest, and events about what became of them.

use hap_proto::{CharId, Value};

use super::Camera;
use crate::event::Event;
use crate::recording::RecordingState;
use crate::sensor::Sensor;
use crate::services::{AID, StreamCharacteristic, iid};

impl Camera {
    /// Everything that controllers can be told about but never write.
    fn derive(&self) -> Vec<(CharId, Value)> {
        let of = |iid, value| (CharId { aid: AID, iid }, value);
        let streams = self.streams.iter().enumerate();
        let mut values: Vec<_> = streams
            .map(|(slot, stream)| {
                let id = StreamCharacteristic::StreamingStatus.id(slot);
                (id, Value::Tlv8(stream.status().encode()))
            })
            .collect();
        let active = Value::Bool(self.mode.active());
        if self.privacy_switch {
            let disabled = Value::Bool(self.mode.manually_disabled());
            values.push(of(iid::MANUALLY_DISABLED, disabled));
        }
        if let Some(motion) = &self.motion {
            values.push(of(iid::MOTION_STATUS_ACTIVE, active.clone()));
            values.push(of(iid::MOTION_DETECTED, Value::Bool(motion.reported())));
        }
        if let Some(occupancy) = &self.occupancy {
            let detected = Value::UInt(Sensor::reported(occupancy).into());
            values.push(of(iid::OCCUPANCY_STATUS_ACTIVE, active));
            values.push(of(iid::OCCUPANCY_DETECTED, detected));
        }
        values
    }

    pub(super) fn derived(&self, wanted: CharId) -> Option<Value> {
        let mut values = self.derive().into_iter();
        values.find(|(id, _)| *id == wanted).map(|(_, value)| value)
    }

    /// Nothing is told of what a camera starts with, save that it has dropped a selection that was kept.
    pub(super) fn remember_start(&mut self, kept: &RecordingState) {
        let active = self.mode.active();
        self.streams.iter_mut().for_each(|s| s.allow(active));
        for sensor in [&mut self.motion, &mut self.occupancy]
            .into_iter()
            .flatten()
        {
            sensor.set_enabled(active);
        }
        self.announced = self.derive();
        self.was_active = active;
        self.was_armed = self.armed();
        if self.state().recording != *kept {
            self.events.push_back(Event::Persist);
        }
    }

    /// Tells what is no longer as it was told last.
    pub(super) fn announce(&mut self) {
        let derived = self.derive();
        for ((id, value), (_, before)) in derived.iter().zip(&self.announced) {
            if value != before {
                self.events.push_back(Event::Changed {
                    id: *id,
                    value: value.clone(),
                    origin: None,
                });
            }
        }
        self.announced = derived;
        let active = self.mode.active();
        if std::mem::replace(&mut self.was_active, active) != active {
            self.events.push_back(Event::ActiveChanged(active));
        }
        let armed = self.armed();
        if self.was_armed != armed {
            self.was_armed = armed;
            self.events.push_back(Event::ArmedChanged);
        }
    }
}
