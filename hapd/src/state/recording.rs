//! Home's modes and recordings, as they stand in the state file.

use hap_camera::operating_mode::OperatingModeState;
use hap_camera::recording::{KeptSelection, RecordingState};
use serde::{Deserialize, Serialize};

use super::hex::{hex, unhex};

/// Camera Operating Mode; everything is on in a file that does not know of it.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OperatingModeRecord {
    camera_active: bool,
    event_snapshots: bool,
    periodic_snapshots: bool,
}

impl Default for OperatingModeRecord {
    fn default() -> Self {
        OperatingModeState::default().into()
    }
}

impl From<OperatingModeState> for OperatingModeRecord {
    fn from(state: OperatingModeState) -> Self {
        Self {
            camera_active: state.camera_active,
            event_snapshots: state.event_snapshots,
            periodic_snapshots: state.periodic_snapshots,
        }
    }
}

impl From<OperatingModeRecord> for OperatingModeState {
    fn from(record: OperatingModeRecord) -> Self {
        Self {
            camera_active: record.camera_active,
            event_snapshots: record.event_snapshots,
            periodic_snapshots: record.periodic_snapshots,
        }
    }
}

/// What the source's picture was when it was last seen: recordings are offered for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Picture {
    /// Pixels.
    pub width: u16,
    /// Pixels.
    pub height: u16,
    /// Frames per second; 0 = unknown.
    pub fps: u8,
}

/// Camera Event Recording Management.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordingRecord {
    active: bool,
    audio: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    selected: Option<SelectionRecord>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SelectionRecord {
    selected: String,
    offered: String,
}

impl From<&RecordingState> for RecordingRecord {
    fn from(state: &RecordingState) -> Self {
        let selection = |kept: &KeptSelection| SelectionRecord {
            selected: hex(&kept.selected),
            offered: hex(&kept.offered),
        };
        Self {
            active: state.active,
            audio: state.audio,
            selected: state.selected.as_ref().map(selection),
        }
    }
}

impl TryFrom<&RecordingRecord> for RecordingState {
    type Error = String;

    fn try_from(record: &RecordingRecord) -> Result<Self, String> {
        let selection = |kept: &SelectionRecord| {
            Ok::<_, String>(KeptSelection {
                selected: unhex("recording.selected", &kept.selected)?.to_vec(),
                offered: unhex("recording.offered", &kept.offered)?.to_vec(),
            })
        };
        Ok(Self {
            active: record.active,
            audio: record.audio,
            selected: record.selected.as_ref().map(selection).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;

    use super::*;
    use crate::state::CameraRecord;

    fn record() -> CameraRecord {
        let mut next = 0;
        let random = |out: &mut [u8]| {
            next += 1;
            out.fill(next);
        };
        CameraRecord::generate("Door", 18, random).0
    }

    fn json(record: &CameraRecord) -> Json {
        serde_json::from_slice(&record.to_json()).unwrap()
    }

    fn load(json: &Json) -> Result<CameraRecord, String> {
        CameraRecord::from_json(json.to_string().as_bytes())
    }

    #[test]
    fn modes_and_selection_come_back() {
        let mut before = record();
        before.camera.operating_mode.camera_active = false;
        before.camera.operating_mode.periodic_snapshots = false;
        before.camera.recording = RecordingState {
            active: true,
            audio: true,
            selected: Some(KeptSelection {
                selected: vec![1, 2, 0xAB],
                offered: vec![4; 200],
            }),
        };
        let after = load(&json(&before)).unwrap();
        assert_eq!(after.camera, before.camera);
    }

    #[test]
    fn files_from_before_recordings_still_load() {
        let mut old = json(&record());
        let fields = old.as_object_mut().unwrap();
        fields.insert("version".into(), 1.into());
        assert!(fields.remove("operating_mode").is_some());
        assert!(fields.remove("recording").is_some());
        let loaded = load(&old).unwrap();
        assert_eq!(loaded.camera.operating_mode, OperatingModeState::default());
        assert_eq!(loaded.camera.recording, RecordingState::default());
        assert_eq!(json(&loaded)["version"], 2);
    }

    #[test]
    fn newer_and_damaged_files_do_not() {
        let mut newer = json(&record());
        newer["version"] = 3.into();
        assert!(load(&newer).unwrap_err().contains("version 3"));
        let mut damaged = json(&record());
        damaged["recording"]["selected"] = serde_json::json!({"selected": "0g", "offered": ""});
        assert!(load(&damaged).unwrap_err().contains("recording.selected"));
    }
}
