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
