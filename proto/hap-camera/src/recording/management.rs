//! Camera Event Recording Management: whether, and what, to record.

use hap_proto::{Status, Value};

use super::selected::SelectedRecording;
use super::supported::SupportedRecording;
use crate::rtp::DecodeError;
use crate::services::iid;
use crate::value::as_flag;

/// More than any selection takes; the bytes are kept as they were written.
const MOST_BYTES: usize = 1024;

/// What outlives a restart. A camera that forgets it is disarmed, and nobody is told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordingState {
    /// Active, B0.
    pub active: bool,
    /// Recording Audio Active, 226.
    pub audio: bool,
    /// Selected Camera Recording Configuration, 209.
    pub selected: Option<KeptSelection>,
}

/// A selection, and what it was chosen from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSelection {
    /// 209, as the hub wrote it.
    pub selected: Vec<u8>,
    /// 205, 206 and 207 as they were then, one after the other.
    pub offered: Vec<u8>,
}

/// What a camera that is armed has to be ready to record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Armed {
    /// What the hub selected.
    pub selected: SelectedRecording,
    /// With sound.
    pub audio: bool,
}

/// The service.
#[derive(Debug)]
pub(crate) struct Management {
    supported: SupportedRecording,
    state: RecordingState,
    /// What `state.selected` says.
    selected: Option<SelectedRecording>,
    /// Why the last selection was refused; and the same until it is told.
    refused: Option<DecodeError>,
    untold: Option<DecodeError>,
}

impl Management {
    /// In the state that was kept; a selection from another offer is dropped.
    pub(crate) fn new(supported: SupportedRecording, mut state: RecordingState) -> Self {
        let offered = offered(&supported);
        state.selected = state.selected.filter(|kept| kept.offered == offered);
        let decoded = state.selected.as_ref();
        let selected = decoded.and_then(|kept| decode(&supported, &kept.selected).ok());
        if selected.is_none() {
            state.selected = None;
        }
        Self {
            supported,
            state,
            selected,
            refused: None,
            untold: None,
        }
    }

    pub(crate) const fn state(&self) -> &RecordingState {
        &self.state
    }

    pub(crate) const fn active(&self) -> bool {
        self.state.active
    }

    pub(crate) const fn selected(&self) -> Option<&SelectedRecording> {
        self.selected.as_ref()
    }

    /// What to record, with what sound; whether that is allowed is not asked here.
    pub(crate) fn armed(&self) -> Option<Armed> {
        self.selected.clone().map(|selected| Armed {
            selected,
            audio: self.state.audio,
        })
    }

    pub(crate) fn read(&self, which: u64) -> Result<Value, Status> {
        match which {
            iid::RECORDING_ACTIVE => Ok(Value::UInt(self.state.active.into())),
            iid::RECORDING_AUDIO_ACTIVE => Ok(Value::UInt(self.state.audio.into())),
            iid::SELECTED_RECORDING => match &self.state.selected {
                Some(kept) => Ok(Value::Tlv8(kept.selected.clone())),
                None => Err(Status::UnableToCommunicate),
            },
            _ => Err(Status::NotFound),
        }
    }

    /// Returns whether the value is another one now.
    pub(crate) fn write(&mut self, which: u64, value: &Value) -> Result<bool, Status> {
        match (which, value) {
            (iid::RECORDING_ACTIVE, value) => Ok(set(&mut self.state.active, as_flag(value)?)),
            (iid::RECORDING_AUDIO_ACTIVE, value) => Ok(set(&mut self.state.audio, as_flag(value)?)),
            (iid::SELECTED_RECORDING, Value::Tlv8(bytes)) => self.select(bytes),
            (iid::SELECTED_RECORDING, _) => Err(Status::InvalidValue),
            _ => Err(Status::NotFound),
        }
    }

    fn select(&mut self, bytes: &[u8]) -> Result<bool, Status> {
        match decode(&self.supported, bytes) {
            Ok(selected) => {
                let kept = KeptSelection {
                    selected: bytes.to_vec(),
                    offered: offered(&self.supported),
                };
                self.selected = Some(selected);
                self.refused = None;
                Ok(set(&mut self.state.selected, Some(kept)))
            }
            Err(error) => {
                if self.refused.as_ref() != Some(&error) {
                    self.untold = Some(error.clone());
                    self.refused = Some(error);
                }
                Err(Status::InvalidValue)
            }
        }
    }

    /// Why the selection that was just written was refused, unless the one before was for the same reason.
    pub(crate) const fn take_refused(&mut self) -> Option<DecodeError> {
        self.untold.take()
    }
}

fn set<T: PartialEq>(place: &mut T, value: T) -> bool {
    let changed = *place != value;
    *place = value;
    changed
}

fn decode(supported: &SupportedRecording, bytes: &[u8]) -> Result<SelectedRecording, DecodeError> {
    if bytes.len() > MOST_BYTES {
        return Err(DecodeError::OutOfRange {
            field: "length of the selected recording configuration",
            value: bytes.len() as u64,
        });
    }
    let selected = SelectedRecording::decode(bytes)?;
    supported.check(&selected)?;
    Ok(selected)
}

fn offered(supported: &SupportedRecording) -> Vec<u8> {
    [
        supported.encode_general(),
        supported.video.encode(),
        supported.audio.encode(),
    ]
    .concat()
}
