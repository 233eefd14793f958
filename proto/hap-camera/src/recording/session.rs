//! One recording, from a hub's `dataSend/open` to its end.
//!
//! ```text
//!        open            motion over, 3 min       last piece          ack
//!  Idle ──────► Running ──────────────► Finishing ──────────► Sent ─────────► Acknowledged
//!   ▲              │  controller closes, data stream │          │ 12 s, close,     │
//!   └──────────────┴─ lost, switched off, failure ◄──┴──────────┴─ lost      ◄─────┘
//! ```
//!
//! Media works in *Running* and *Finishing* only, and leaves them in exactly one way: its last piece came, it
//! failed, or it was told to stop.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::management::Armed;
use crate::Reason;
use crate::event::Event;
use crate::media::MediaHost;

/// The longest recording; hubs open the next one if there is still something to see.
pub const LONGEST: Duration = Duration::from_secs(180);

/// How long a recording goes on that a hub opened although nothing moves.
pub const UNPROMPTED: Duration = Duration::from_secs(10);

/// Hubs were seen to give up when nothing came for 5 s.
pub const STALL: Duration = Duration::from_millis(4_500);

/// Media that delivered nothing for this long has failed.
pub const GIVE_UP: Duration = Duration::from_secs(12);

/// How long the hub has to acknowledge or close what is complete.
pub const ACKNOWLEDGEMENT: Duration = Duration::from_secs(12);

/// A HomeKit Data Stream connection, numbered by the host; a number is never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HdsId(pub u64);

/// Names one recording for the media side; a number is never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordingKey(pub u64);

/// Where a piece of a recording goes, and as what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outgoing {
    /// The data stream.
    pub hds: HdsId,
    /// The transfer on it.
    pub stream_id: i64,
    /// `dataSequenceNumber`: 1 is the initialization segment.
    pub sequence: u64,
    /// The initialization segment; a fragment otherwise.
    pub initialization: bool,
    /// This is the last fragment.
    pub end_of_stream: bool,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Running {
        /// Ends then in any case.
        latest_end: Instant,
        /// Goes on until then in any case.
        earliest_end: Instant,
    },
    Finishing,
    Sent {
        expires: Instant,
    },
    Acknowledged {
        expires: Instant,
    },
}

#[derive(Debug)]
struct Recording {
    key: RecordingKey,
    hds: HdsId,
    stream_id: i64,
    phase: Phase,
    next_sequence: u64,
    /// When it was opened, or the last piece came.
    last_piece: Instant,
    /// Whether the host was told that nothing comes.
    stalled: bool,
}

impl Recording {
    const fn media_works(&self) -> bool {
        matches!(self.phase, Phase::Running { .. } | Phase::Finishing)
    }

    fn is(&self, hds: HdsId, stream_id: i64) -> bool {
        self.hds == hds && self.stream_id == stream_id
    }

    /// When media is next suspected, or given up.
    fn watchdog(&self) -> Instant {
        self.last_piece + if self.stalled { GIVE_UP } else { STALL }
    }

    fn deadline(&self, motion: bool) -> Instant {
        match self.phase {
            Phase::Running {
                latest_end,
                earliest_end,
            } => {
                let end = if motion { latest_end } else { earliest_end };
                end.min(latest_end).min(self.watchdog())
            }
            Phase::Finishing => self.watchdog(),
            Phase::Sent { expires } | Phase::Acknowledged { expires } => expires,
        }
    }

    fn is_over(&self, motion: bool, now: Instant) -> bool {
        match self.phase {
            Phase::Running {
                latest_end,
                earliest_end,
            } => now >= latest_end || (!motion && now >= earliest_end),
            _ => false,
        }
    }

    fn note_stall(&mut self, now: Instant) -> Option<Event> {
        let stalls = !self.stalled && now >= self.last_piece + STALL;
        self.stalled |= stalls;
        stalls.then_some(Event::RecordingStalled { key: self.key })
    }

    fn close(&self, reason: Reason) -> Event {
        Event::CloseRecording {
            hds: self.hds,
            stream_id: self.stream_id,
            reason,
        }
    }
}

/// The camera's one recording at a time.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    serial: u64,
    current: Option<Recording>,
    motion: bool,
}

impl Recorder {
    /// Whether a hub has a recording that it has not acknowledged.
    pub(crate) fn busy(&self) -> bool {
        let current = self.current.as_ref();
        current.is_some_and(|r| !matches!(r.phase, Phase::Acknowledged { .. }))
    }

    /// A hub opens a recording, which it may.
    pub(crate) fn open(
        &mut self,
        (hds, stream_id): (HdsId, i64),
        armed: &Armed,
        now: Instant,
        media: &mut dyn MediaHost,
        events: &mut VecDeque<Event>,
    ) -> Result<RecordingKey, Reason> {
        if self.busy() {
            return Err(Reason::Busy);
        }
        self.serial += 1;
        let key = RecordingKey(self.serial);
        media
            .start_recording(key, &armed.selected, armed.audio)
            .map_err(|_| Reason::UnexpectedFailure)?;
        if let Some(old) = self.current.take().filter(|r| !r.is(hds, stream_id)) {
            events.push_back(old.close(Reason::Normal));
        }
        let prompted = if self.motion {
            Duration::ZERO
        } else {
            UNPROMPTED
        };
        let phase = Phase::Running {
            latest_end: now + LONGEST,
            earliest_end: now + prompted,
        };
        self.current = Some(Recording {
            key,
            hds,
            stream_id,
            phase,
            next_sequence: 1,
            last_piece: now,
            stalled: false,
        });
        Ok(key)
    }

    /// Media made a piece: what to do with it. Nothing if the recording has ended meanwhile.
    pub(crate) fn data(
        &mut self,
        key: RecordingKey,
        last: bool,
        now: Instant,
        events: &mut VecDeque<Event>,
    ) -> Option<Outgoing> {
        let recording = self.working(key)?;
        let sequence = recording.next_sequence;
        if last && sequence == 1 {
            // A clip without a single fragment is none.
            self.failed(key, events);
            return None;
        }
        recording.next_sequence += 1;
        recording.last_piece = now;
        recording.stalled = false;
        if last {
            recording.phase = Phase::Sent {
                expires: now + ACKNOWLEDGEMENT,
            };
        }
        Some(Outgoing {
            hds: recording.hds,
            stream_id: recording.stream_id,
            sequence,
            initialization: sequence == 1,
            end_of_stream: last,
        })
    }

    /// Media failed, and has ended the recording on its side.
    pub(crate) fn failed(&mut self, key: RecordingKey, events: &mut VecDeque<Event>) {
        if self.working(key).is_some() {
            let failed = self.current.take();
            events.extend(failed.map(|r| r.close(Reason::UnexpectedFailure)));
        }
    }

    fn working(&mut self, key: RecordingKey) -> Option<&mut Recording> {
        let current = self.current.as_mut();
        current.filter(|r| r.key == key && r.media_works())
    }

    /// The hub has everything.
    pub(crate) fn acknowledged(&mut self, hds: HdsId, stream_id: i64) {
        if let Some(r) = self.current.as_mut().filter(|r| r.is(hds, stream_id)) {
            if let Phase::Sent { expires } = r.phase {
                r.phase = Phase::Acknowledged { expires };
            }
        }
    }

    /// The hub closed the transfer.
    pub(crate) fn closed(&mut self, hds: HdsId, stream_id: i64, media: &mut dyn MediaHost) {
        if self.current.as_ref().is_some_and(|r| r.is(hds, stream_id)) {
            self.end(media);
        }
    }

    /// The data stream is gone.
    pub(crate) fn lost(&mut self, hds: HdsId, media: &mut dyn MediaHost) {
        if self.current.as_ref().is_some_and(|r| r.hds == hds) {
            self.end(media);
        }
    }

    /// The camera closes the transfer, unless the hub has everything already.
    pub(crate) fn abort(
        &mut self,
        reason: Reason,
        media: &mut dyn MediaHost,
        events: &mut VecDeque<Event>,
    ) {
        if self.busy() {
            let aborted = self.end(media);
            events.extend(aborted.map(|r| r.close(reason)));
        }
    }

    fn end(&mut self, media: &mut dyn MediaHost) -> Option<Recording> {
        let ended = self.current.take()?;
        if ended.media_works() {
            media.stop_recording(ended.key);
        }
        Some(ended)
    }

    /// What Motion Detected reads; [`Recorder::advance`] acts upon it.
    pub(crate) const fn set_motion(&mut self, motion: bool) {
        self.motion = motion;
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let current = self.current.as_ref();
        current.map(|recording| recording.deadline(self.motion))
    }

    /// Does what is due.
    pub(crate) fn advance(
        &mut self,
        now: Instant,
        media: &mut dyn MediaHost,
        events: &mut VecDeque<Event>,
    ) {
        let motion = self.motion;
        let due = |r: &&mut Recording| r.deadline(motion) <= now;
        let Some(recording) = self.current.as_mut().filter(due) else {
            return;
        };
        if !recording.media_works() {
            let expired = self.current.take();
            events.extend(expired.map(|r| r.close(Reason::Cancelled)));
        } else if now >= recording.last_piece + GIVE_UP {
            self.abort(Reason::UnexpectedFailure, media, events);
        } else {
            events.extend(recording.note_stall(now));
            if recording.is_over(motion, now) {
                recording.phase = Phase::Finishing;
                media.finish_recording(recording.key);
            }
        }
    }
}
