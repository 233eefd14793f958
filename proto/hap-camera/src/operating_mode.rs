//! Camera Operating Mode: whether the camera may see and hear at all, and who may have snapshots.

use hap_proto::{Status, Value};

use crate::services::iid;
use crate::value::as_flag;

/// What outlives a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OperatingModeState {
    /// HomeKit Camera Active, 21B.
    pub camera_active: bool,
    /// Event Snapshots Active, 223.
    pub event_snapshots: bool,
    /// Periodic Snapshots Active, 225.
    pub periodic_snapshots: bool,
}

impl OperatingModeState {
    /// Everything allowed.
    const ON: Self = Self {
        camera_active: true,
        event_snapshots: true,
        periodic_snapshots: true,
    };
}

impl Default for OperatingModeState {
    fn default() -> Self {
        Self::ON
    }
}

/// The service. Where a camera does not have it, nobody could undo what was stored: it counts as on.
#[derive(Debug)]
pub(crate) struct OperatingMode {
    present: bool,
    stored: OperatingModeState,
    manually_disabled: bool,
}

impl OperatingMode {
    pub(crate) const fn new(present: bool, stored: OperatingModeState) -> Self {
        Self {
            present,
            stored,
            manually_disabled: false,
        }
    }

    pub(crate) const fn state(&self) -> &OperatingModeState {
        &self.stored
    }

    pub(crate) const fn manually_disabled(&self) -> bool {
        self.manually_disabled
    }

    pub(crate) const fn set_manually_disabled(&mut self, disabled: bool) {
        self.manually_disabled = disabled;
    }

    /// Whether the camera may see: neither switched off in Home nor by hand.
    pub(crate) const fn active(&self) -> bool {
        self.effective().camera_active && !self.manually_disabled
    }

    const fn effective(&self) -> OperatingModeState {
        if self.present {
            self.stored
        } else {
            OperatingModeState::ON
        }
    }

    /// Whether a snapshot may be taken for `reason`: 0 periodic, 1 an event. A request that does not say, or says
    /// something unknown, needs both to be allowed.
    pub(crate) const fn snapshot_allowed(&self, reason: Option<u8>) -> Result<(), Status> {
        let mode = self.effective();
        let allowed = match reason {
            _ if !self.active() => false,
            Some(0) => mode.periodic_snapshots,
            Some(1) => mode.event_snapshots,
            _ if mode.periodic_snapshots && mode.event_snapshots => true,
            _ => return Err(Status::InsufficientPrivileges),
        };
        if allowed {
            Ok(())
        } else {
            Err(Status::NotAllowedInCurrentState)
        }
    }

    pub(crate) const fn read(&self, which: u64) -> Result<Value, Status> {
        let flag = match which {
            iid::EVENT_SNAPSHOTS_ACTIVE => self.stored.event_snapshots,
            iid::CAMERA_ACTIVE => self.stored.camera_active,
            iid::PERIODIC_SNAPSHOTS_ACTIVE => self.stored.periodic_snapshots,
            _ => return Err(Status::NotFound),
        };
        Ok(Value::UInt(flag as u64))
    }

    /// Returns whether the value is another one now.
    pub(crate) fn write(&mut self, which: u64, value: &Value) -> Result<bool, Status> {
        let place = match which {
            iid::EVENT_SNAPSHOTS_ACTIVE => &mut self.stored.event_snapshots,
            iid::CAMERA_ACTIVE => &mut self.stored.camera_active,
            iid::PERIODIC_SNAPSHOTS_ACTIVE => &mut self.stored.periodic_snapshots,
            _ => return Err(Status::NotFound),
        };
        let flag = as_flag(value)?;
        Ok(std::mem::replace(place, flag) != flag)
    }
}
