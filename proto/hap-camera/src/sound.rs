//! Microphone and Speaker (HAP R1 §9.22, §9.23): mute and volume.

use hap_proto::{Status, Value};

use crate::services::iid;
use crate::value::{as_flag, as_percent};

/// Mute and volume of a microphone or speaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sound {
    /// Muted.
    pub mute: bool,
    /// Volume in percent.
    pub volume: u8,
}

impl Default for Sound {
    fn default() -> Self {
        Self {
            mute: false,
            volume: 100,
        }
    }
}

/// Both services.
#[derive(Debug)]
pub(crate) struct Sounds {
    pub(crate) microphone: Sound,
    pub(crate) speaker: Sound,
}

impl Sounds {
    pub(crate) fn read(&self, which: u64) -> Result<Value, Status> {
        match which {
            iid::MICROPHONE_MUTE => Ok(Value::Bool(self.microphone.mute)),
            iid::MICROPHONE_VOLUME => Ok(Value::UInt(self.microphone.volume.into())),
            iid::SPEAKER_MUTE => Ok(Value::Bool(self.speaker.mute)),
            iid::SPEAKER_VOLUME => Ok(Value::UInt(self.speaker.volume.into())),
            _ => Err(Status::NotFound),
        }
    }

    /// Returns whether the value is another one now.
    pub(crate) fn write(&mut self, which: u64, value: &Value) -> Result<bool, Status> {
        let sound = match which {
            iid::MICROPHONE_MUTE | iid::MICROPHONE_VOLUME => &mut self.microphone,
            iid::SPEAKER_MUTE | iid::SPEAKER_VOLUME => &mut self.speaker,
            _ => return Err(Status::NotFound),
        };
        let before = *sound;
        match which {
            iid::MICROPHONE_MUTE | iid::SPEAKER_MUTE => sound.mute = as_flag(value)?,
            _ => sound.volume = as_percent(value)?,
        }
        Ok(*sound != before)
    }
}
