//! Recording, as the host sees it.

use std::time::Instant;

use hap_proto::{Status, Value};

use super::Camera;
use crate::Reason;
use crate::event::Event;
use crate::media::MediaHost;
use crate::recording::{Armed, HdsId, Management, Outgoing, RecordingKey};

impl Camera {
    /// What to be ready to record: while there is something, a prebuffer has to be kept.
    #[must_use]
    pub fn armed(&self) -> Option<Armed> {
        let management = self.management.as_ref().ok()?;
        let armed = self.may_record().then(|| management.armed());
        armed.flatten()
    }

    /// Whether a prebuffer has to be kept.
    #[must_use]
    pub fn is_armed(&self) -> bool {
        let selected = self
            .management
            .as_ref()
            .is_ok_and(|m| m.selected().is_some());
        selected && self.may_record()
    }

    pub(super) fn may_record(&self) -> bool {
        self.mode.active() && self.management.as_ref().is_ok_and(Management::active)
    }

    pub(super) fn management(&self) -> Result<&Management, Status> {
        self.management.as_ref().map_err(|_| Status::NotFound)
    }

    pub(super) fn write_recording(&mut self, which: u64, value: &Value) -> Result<bool, Status> {
        let management = self.management.as_mut().map_err(|_| Status::NotFound)?;
        let result = management.write(which, value);
        let refused = management.take_refused();
        self.events.extend(refused.map(Event::SelectionRefused));
        result
    }

    /// A hub opens a recording.
    ///
    /// # Errors
    /// The reason to refuse it with.
    pub fn recording_open(
        &mut self,
        hds: HdsId,
        stream_id: i64,
        now: Instant,
        media: &mut dyn MediaHost,
    ) -> Result<RecordingKey, Reason> {
        let management = self.management.as_ref().map_err(|_| Reason::Unsupported)?;
        if !self.may_record() {
            return Err(Reason::NotAllowed);
        }
        if self.recorder.busy() {
            return Err(Reason::Busy);
        }
        let armed = management.armed().ok_or(Reason::InvalidConfiguration)?;
        self.recorder
            .open((hds, stream_id), &armed, now, media, &mut self.events)
    }

    /// Media made the next piece of a recording, the initialization segment first: where it goes. `None` if the
    /// recording has ended meanwhile and the piece goes nowhere.
    pub fn recording_data(
        &mut self,
        key: RecordingKey,
        last: bool,
        now: Instant,
    ) -> Option<Outgoing> {
        self.recorder.data(key, last, now, &mut self.events)
    }

    /// Media cannot go on with a recording, and has ended it.
    pub fn recording_failed(&mut self, key: RecordingKey) {
        self.recorder.failed(key, &mut self.events);
    }

    /// The hub acknowledged the end of a recording.
    pub fn recording_acked(&mut self, hds: HdsId, stream_id: i64) {
        self.recorder.acknowledged(hds, stream_id);
    }

    /// The hub closed a recording; it ends at once, whatever the reason.
    pub fn recording_closed(&mut self, hds: HdsId, stream_id: i64, media: &mut dyn MediaHost) {
        self.recorder.closed(hds, stream_id, media);
    }

    /// A data stream is gone, and what was recorded over it.
    pub fn data_stream_lost(&mut self, hds: HdsId, media: &mut dyn MediaHost) {
        self.recorder.lost(hds, media);
    }

    /// Whether a snapshot may go over a data stream for `reason`, the text of the hub's request.
    ///
    /// # Errors
    /// The reason to refuse it with.
    pub fn snapshot_stream_allowed(&self, reason: Option<&str>) -> Result<(), Reason> {
        let reason = match reason {
            Some("periodic") => Some(0),
            Some("event") => Some(1),
            _ => None,
        };
        self.snapshot_allowed(reason)
            .map_err(|_| Reason::NotAllowed)
    }
}
