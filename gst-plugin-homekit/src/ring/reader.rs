//! One reader's place.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::frame::{Backlog, Flow, Frame, Queue};
use super::store::Past;

pub(super) struct Reader {
    pub(super) id: u64,
    queue: Box<dyn Queue>,
    limit: Backlog,
    /// On top of the limit until the first frames have been read.
    allowance: Backlog,
    phase: Phase,
    dropped: Arc<AtomicU64>,
}

/// What a reader gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Every frame.
    Following,
    /// Nothing before the next key frame: it, or the stream, has just begun.
    Joining,
    /// Nothing before the next key frame: it was too slow.
    Late,
}

impl Reader {
    pub(super) fn new(
        id: u64,
        queue: Box<dyn Queue>,
        limit: Backlog,
        dropped: Arc<AtomicU64>,
    ) -> Self {
        Self {
            id,
            queue,
            limit,
            allowance: Backlog::default(),
            phase: Phase::Joining,
            dropped,
        }
    }

    /// Hands out what there is already.
    pub(super) fn start(&mut self, past: &Past<'_>) -> Flow {
        self.phase = match past.follows {
            true => Phase::Following,
            false => Phase::Joining,
        };
        for (frame, newer) in past.frames() {
            self.allowance.add(frame);
            if self.queue.catch_up(frame, newer, past.newest()) == Flow::End {
                return Flow::End;
            }
        }
        Flow::Go
    }

    /// The next frame does not follow the last one.
    pub(super) fn wait_for_key(&mut self) {
        self.phase = Phase::Joining;
    }

    pub(super) fn offer(&mut self, frame: &Frame) -> Flow {
        if !frame.key && self.phase != Phase::Following {
            self.count_if_late();
            return Flow::Go;
        }
        let backlog = self.queue.backlog();
        if !backlog.exceeds(self.limit) {
            self.allowance = Backlog::default();
        }
        if backlog.exceeds(self.limit.plus(self.allowance)) {
            self.phase = Phase::Late;
            self.count_if_late();
            return Flow::Go;
        }
        self.phase = Phase::Following;
        self.queue.push(frame)
    }

    fn count_if_late(&self) {
        if self.phase == Phase::Late {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}
