//! The thread that delivers messages: so the last chunk of a fragment can go out while nothing comes in, and
//! neither a pause nor a flush cuts a frame in two.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use super::output::Halt;
use super::stream::{Stream, Unreadable};

/// What a message becomes: written, told, or neither.
pub(super) type Deliver = Box<dyn Fn(Vec<u8>, &Halt) -> Result<(), gst::FlowError> + Send>;

/// Why a wait ended before all was delivered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Interrupted {
    /// By [`Worker::interrupt`].
    Unlocked,
    /// Delivery failed, and nothing will be delivered any more.
    Failed(gst::FlowError),
}

/// What has been delivered.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Delivered {
    pub(super) messages: u64,
    pub(super) bytes: u64,
}

pub(super) struct Worker {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    halt: Halt,
}

struct State {
    stream: Stream,
    queue: VecDeque<Vec<u8>>,
    delivering: bool,
    /// When the chunk that is held has waited enough.
    release_at: Option<Instant>,
    interrupted: bool,
    stopped: bool,
    failed: Option<gst::FlowError>,
    delivered: Delivered,
}

impl Worker {
    pub(super) fn start(stream: Stream, deliver: Deliver) -> io::Result<Self> {
        let state = State {
            stream,
            queue: VecDeque::new(),
            delivering: false,
            release_at: None,
            interrupted: false,
            stopped: false,
            failed: None,
            delivered: Delivered::default(),
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
            halt: Halt::new()?,
        });
        let run = shared.clone();
        let thread = Builder::new()
            .name("hdssink".to_owned())
            .spawn(move || run.run(&deliver))?;
        let thread = Mutex::new(Some(thread));
        Ok(Self { shared, thread })
    }

    /// Takes a buffer; its last chunk goes out after `end_wait` at the latest.
    pub(super) fn push(
        &self,
        buffer: &gst::BufferRef,
        end_wait: Duration,
    ) -> Result<(), Unreadable> {
        let mut state = self.shared.state();
        let messages = state.stream.push(buffer)?;
        state.queue.extend(messages);
        let holds = state.stream.holds();
        state.release_at = holds.then(|| Instant::now() + end_wait);
        self.shared.changed.notify_all();
        Ok(())
    }

    /// Ends the stream.
    pub(super) fn end(&self) {
        let mut state = self.shared.state();
        state.release_at = None;
        let message = state.stream.end();
        state.queue.extend(message);
        self.shared.changed.notify_all();
    }

    /// Throws away what is held.
    pub(super) fn discard(&self) {
        let mut state = self.shared.state();
        state.release_at = None;
        state.stream.discard();
    }

    /// Waits until all is delivered that need not wait.
    pub(super) fn drain(&self) -> Result<(), Interrupted> {
        let mut state = self.shared.state();
        loop {
            if let Some(failed) = state.failed {
                return Err(Interrupted::Failed(failed));
            }
            if state.queue.is_empty() && !state.delivering {
                return Ok(());
            }
            if state.interrupted {
                return Err(Interrupted::Unlocked);
            }
            state = self.shared.wait(state, None);
        }
    }

    /// Ends every [`drain`](Self::drain), the present and the next ones, until told otherwise.
    pub(super) fn interrupt(&self, interrupted: bool) {
        self.shared.state().interrupted = interrupted;
        self.shared.changed.notify_all();
    }

    /// Delivers nothing more; a frame that is being written is cut.
    pub(super) fn stop(&self) {
        self.shared.state().stopped = true;
        self.shared.changed.notify_all();
        self.shared.halt.ring();
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take() {
            // It only fails if a handler of the application panicked, which has been said then.
            let _ = thread.join();
        }
    }

    /// Whether the end of the stream was asked for.
    pub(super) fn has_ended(&self) -> bool {
        self.shared.state().stream.has_ended()
    }

    /// The number of the next frame; `None` without a key.
    pub(super) fn counter(&self) -> Option<u64> {
        self.shared.state().stream.counter()
    }

    pub(super) fn fragments(&self) -> u64 {
        self.shared.state().stream.fragments()
    }

    pub(super) fn delivered(&self) -> Delivered {
        self.shared.state().delivered
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        until: Option<Instant>,
    ) -> MutexGuard<'a, State> {
        let Some(until) = until else {
            let woken = self.changed.wait(state);
            return woken.unwrap_or_else(PoisonError::into_inner);
        };
        let time = until.saturating_duration_since(Instant::now());
        let woken = self.changed.wait_timeout(state, time);
        woken.unwrap_or_else(PoisonError::into_inner).0
    }

    fn run(&self, deliver: &Deliver) {
        let mut state = self.state();
        while !state.stopped {
            if let Some(message) = state.next(Instant::now()) {
                state.delivering = true;
                drop(state);
                let length = message.len();
                let result = deliver(message, &self.halt);
                state = self.state();
                state.done(length, result);
                self.changed.notify_all();
            } else {
                let until = state.release_at;
                state = self.wait(state, until);
            }
        }
    }
}

impl State {
    /// What is to be delivered now.
    fn next(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.release_at.is_some_and(|at| at <= now) {
            self.release_at = None;
            let held = self.stream.release();
            self.queue.extend(held);
        }
        self.queue.pop_front().filter(|_| self.failed.is_none())
    }

    fn done(&mut self, length: usize, result: Result<(), gst::FlowError>) {
        self.delivering = false;
        match result {
            Ok(()) => {
                self.delivered.messages += 1;
                self.delivered.bytes += length as u64;
            }
            Err(error) => {
                self.failed = Some(error);
                self.queue.clear();
            }
        }
    }
}
