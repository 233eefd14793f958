//! What the camera has to say after a call.

use hap_proto::{CharId, ConnId, Value};

use crate::Reason;
use crate::recording::{HdsId, RecordingKey};
use crate::rtp::DecodeError;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A characteristic changed; `origin` wrote it itself and is not to be told.
    Changed {
        /// Which characteristic.
        id: CharId,
        /// Its new value.
        value: Value,
        /// The connection that caused it by writing this very characteristic.
        origin: Option<ConnId>,
    },
    /// [`Camera::state`](crate::Camera::state) changed and is to be kept across restarts.
    Persist,
    /// [`Camera::is_active`](crate::Camera::is_active) changed: switched off in Home or by hand, or on again. What
    /// runs was ended already; snapshots under way are the host's to drop.
    ActiveChanged(bool),
    /// [`Camera::armed`](crate::Camera::armed) changed: a prebuffer is wanted, another one, or none.
    ArmedChanged,
    /// A hub's selection was refused, and the one before stays; said once for each reason in a row.
    SelectionRefused(DecodeError),
    /// Media has delivered nothing for so long that hubs give up; said once for each such gap.
    RecordingStalled {
        /// The recording.
        key: RecordingKey,
    },
    /// Close this transfer for this reason. Data of it that still waits is not to be sent, unless the reason is
    /// [`Reason::Normal`].
    CloseRecording {
        /// The data stream.
        hds: HdsId,
        /// The transfer on it.
        stream_id: i64,
        /// Why.
        reason: Reason,
    },
    /// The doorbell was pressed: whoever is told asks for a snapshot next.
    Rang,
}
