//! What waits for one reader, between the source's thread and the reader's.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::ring::{Backlog, Flow, Frame, Queue};

/// What a reader gets next.
#[derive(Debug)]
pub(super) enum Item {
    Frame(Frame),
    Eos,
}

/// Shared by the ring, which fills it, and the pad's task, which empties it.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    inner: Mutex<Inner>,
    filled: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    frames: VecDeque<Frame>,
    bytes: u64,
    eos: bool,
    closed: bool,
}

impl Waiting {
    /// Waits for the next item; `None` once closed.
    pub(super) fn next(&self) -> Option<Item> {
        let inner = self.lock();
        let empty = |inner: &mut Inner| !inner.closed && !inner.eos && inner.frames.is_empty();
        let waited = self.0.filled.wait_while(inner, empty);
        let mut inner = waited.unwrap_or_else(PoisonError::into_inner);
        if inner.closed {
            return None;
        }
        let Some(frame) = inner.frames.pop_front() else {
            inner.eos = false;
            return Some(Item::Eos);
        };
        inner.bytes -= frame.buffer.size() as u64;
        Some(Item::Frame(frame))
    }

    /// Lets time pass; returns whether the reading goes on.
    pub(super) fn goes_on_after(&self, time: Duration) -> bool {
        let open = |inner: &mut Inner| !inner.closed;
        let waited = self.0.filled.wait_timeout_while(self.lock(), time, open);
        !waited.unwrap_or_else(PoisonError::into_inner).0.closed
    }

    /// The source has come to its end; what waits is still read.
    pub(super) fn end(&self) {
        self.lock().eos = true;
        self.0.filled.notify_all();
    }

    /// Ends the waiting, and forgets what waits.
    pub(super) fn close(&self) {
        let mut inner = self.lock();
        *inner = Inner {
            closed: true,
            ..Inner::default()
        };
        self.0.filled.notify_all();
    }

    fn push(&self, frame: Frame) -> Flow {
        let mut inner = self.lock();
        if inner.closed {
            return Flow::End;
        }
        inner.bytes += frame.buffer.size() as u64;
        inner.frames.push_back(frame);
        inner.eos = false;
        self.0.filled.notify_all();
        Flow::Go
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of [`Waiting`] that the ring fills.
pub(super) struct Filler {
    pub(super) waiting: Waiting,
    pub(super) fast_forward: bool,
}

impl Queue for Filler {
    fn backlog(&self) -> Backlog {
        let inner = self.waiting.lock();
        Backlog {
            frames: inner.frames.len() as u64,
            bytes: inner.bytes,
        }
    }

    fn push(&mut self, frame: &Frame) -> Flow {
        self.waiting.push(frame.clone())
    }

    fn catch_up(&mut self, frame: &Frame, newer: usize, newest: gst::ClockTime) -> Flow {
        match self.fast_forward {
            true => self.waiting.push(frame.in_fast_motion(newer, newest)),
            false => self.waiting.push(frame.clone()),
        }
    }
}
