//! The newest pictures of one stream in memory, and the readers that follow it.
//!
//! A writer publishes frames; it is never blocked. A reader starts with the newest group of pictures, so that its first
//! frame is a key frame that is there already. A reader whose queue is full loses everything up to the next key frame,
//! and the loss is counted. Frames are shared by reference.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::clock;

/// One access unit, picture or packet.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// Timestamps are running times of [`clock`].
    pub(super) buffer: gst::Buffer,
    /// What it is.
    pub(super) caps: gst::Caps,
    /// Whether decoding can start here.
    pub(super) key: bool,
}

impl Frame {
    /// Its running time.
    pub(super) fn time(&self) -> gst::ClockTime {
        self.buffer.pts().unwrap_or_default()
    }
}

/// Frames waiting in a reader's queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Backlog {
    pub(super) frames: u64,
    pub(super) bytes: u64,
}

impl Backlog {
    fn exceeds(self, limit: Backlog) -> bool {
        self.frames >= limit.frames || self.bytes >= limit.bytes
    }

    fn plus(self, other: Backlog) -> Backlog {
        Backlog {
            frames: self.frames.saturating_add(other.frames),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }
}

/// Whether a reader goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Go,
    End,
}

/// The queue of a reader. Nothing here may block or call back into the [`Fanout`].
pub(super) trait Queue: Send {
    /// What waits in it.
    fn backlog(&self) -> Backlog;
    /// Takes one more frame.
    fn push(&mut self, frame: &Frame) -> Flow;
}

/// Where a new reader starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    /// With the newest group of pictures, then as frames come.
    Group,
    /// With the newest key frame as a still, then from the next one on: for encoders that make one when asked.
    Still,
}

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) time: gst::ClockTime,
    pub(super) bytes: usize,
}

impl Limits {
    /// For encoded video: the groups of IP cameras last 1 to 10 seconds.
    pub(super) const VIDEO: Self = Self {
        time: gst::ClockTime::from_seconds(12),
        bytes: 24 << 20,
    };
}

/// A stream in memory.
pub(super) struct Fanout {
    state: Mutex<State>,
    limits: Limits,
    /// Running time of the newest publication plus one, 0 = none.
    published: AtomicU64,
    readers: AtomicU64,
}

struct State {
    caps: Option<gst::Caps>,
    group: VecDeque<Frame>,
    group_bytes: usize,
    /// Set when frames of the group are missing: only its key frame is of use.
    broken: bool,
    readers: Vec<Reader>,
    next_id: u64,
}

struct Reader {
    id: u64,
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

impl Fanout {
    /// An empty stream.
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                caps: None,
                group: VecDeque::new(),
                group_bytes: 0,
                broken: true,
                readers: Vec::new(),
                next_id: 0,
            }),
            limits,
            published: AtomicU64::new(0),
            readers: AtomicU64::new(0),
        })
    }

    /// Adds the newest frame and hands it to the readers.
    pub(super) fn publish(&self, frame: Frame) {
        let mut state = self.lock();
        let changed = state.caps.as_ref().is_some_and(|caps| *caps != frame.caps);
        if changed {
            state.wait_for_key();
        }
        if state.caps.is_none() || changed {
            state.caps = Some(frame.caps.clone());
        }
        state.keep(&frame, self.limits);
        state.hand_out(&frame);
        self.count_readers(&state);
        self.published
            .store(clock::now().nseconds() + 1, Ordering::Relaxed);
    }

    /// Says that the stream is interrupted: the frame after it does not follow the one before it.
    pub(super) fn interrupt(&self) {
        self.lock().wait_for_key();
    }

    /// Adds a reader. It ends when the subscription is dropped or its queue says so. Frames it was too slow for are
    /// counted in `dropped`.
    pub(super) fn subscribe(
        self: &Arc<Self>,
        queue: impl Queue + 'static,
        join: Join,
        limit: Backlog,
        dropped: &Arc<AtomicU64>,
    ) -> Subscription {
        let mut state = self.lock();
        let mut reader = Reader {
            id: state.next_id,
            queue: Box::new(queue),
            limit,
            allowance: Backlog::default(),
            phase: Phase::Joining,
            dropped: dropped.clone(),
        };
        state.next_id += 1;
        let subscription = Subscription {
            fanout: Arc::downgrade(self),
            id: reader.id,
        };
        if state.start(&mut reader, join) == Flow::Go {
            state.readers.push(reader);
        }
        self.count_readers(&state);
        subscription
    }

    /// The newest key frame.
    pub(super) fn key_frame(&self) -> Option<Frame> {
        self.lock().group.front().cloned()
    }

    /// Running time of the newest frame.
    pub(super) fn newest(&self) -> Option<gst::ClockTime> {
        self.lock().group.back().map(Frame::time)
    }

    /// What the stream is now.
    pub(super) fn caps(&self) -> Option<gst::Caps> {
        self.lock().caps.clone()
    }

    /// Time since something was published.
    pub(super) fn silent_for(&self) -> Option<Duration> {
        let at = self.published.load(Ordering::Relaxed).checked_sub(1)?;
        Some(clock::since(gst::ClockTime::from_nseconds(at)))
    }

    /// How many follow the stream.
    pub(super) fn readers(&self) -> usize {
        self.readers.load(Ordering::Relaxed) as usize
    }

    fn count_readers(&self, state: &State) {
        self.readers
            .store(state.readers.len() as u64, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wait_for_key(&mut self) {
        self.broken = true;
        for reader in &mut self.readers {
            reader.phase = Phase::Joining;
        }
    }

    fn keep(&mut self, frame: &Frame, limits: Limits) {
        if frame.key {
            self.group.clear();
            self.group_bytes = 0;
            self.broken = false;
        } else if self.broken {
            return;
        }
        self.group.push_back(frame.clone());
        self.group_bytes += frame.buffer.size();
        if self.group_exceeds(limits) {
            // A group without its end cannot be joined, one without its start not decoded: only the key frame stays.
            self.group.truncate(1);
            self.broken = true;
        }
    }

    fn group_exceeds(&self, limits: Limits) -> bool {
        let (Some(first), Some(last)) = (self.group.front(), self.group.back()) else {
            return false;
        };
        let age = last.time().saturating_sub(first.time());
        self.group.len() > 1 && (age > limits.time || self.group_bytes > limits.bytes)
    }

    fn start(&self, reader: &mut Reader, join: Join) -> Flow {
        let frames = match join {
            Join::Group if !self.broken => self.group.len(),
            Join::Group | Join::Still => self.group.len().min(1),
        };
        let whole = join == Join::Group && !self.broken;
        reader.phase = if whole {
            Phase::Following
        } else {
            Phase::Joining
        };
        for frame in self.group.iter().take(frames) {
            reader.allowance.frames += 1;
            reader.allowance.bytes += frame.buffer.size() as u64;
            if reader.queue.push(frame) == Flow::End {
                return Flow::End;
            }
        }
        Flow::Go
    }

    fn hand_out(&mut self, frame: &Frame) {
        self.readers
            .retain_mut(|reader| reader.offer(frame) == Flow::Go);
    }
}

impl Reader {
    fn offer(&mut self, frame: &Frame) -> Flow {
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

impl fmt::Debug for Fanout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fanout")
            .field("readers", &self.readers())
            .finish_non_exhaustive()
    }
}

/// A reader's place in a [`Fanout`]; dropping it ends the reader.
#[derive(Debug)]
pub(super) struct Subscription {
    fanout: Weak<Fanout>,
    id: u64,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let Some(fanout) = self.fanout.upgrade() else {
            return;
        };
        let mut state = fanout.lock();
        let place = state.readers.iter().position(|reader| reader.id == self.id);
        let reader = place.map(|place| state.readers.swap_remove(place));
        fanout.count_readers(&state);
        drop(state);
        drop(reader);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A queue that nobody reads unless `drain` is called.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<Frame>>>);

    impl Kept {
        fn times(&self) -> Vec<u64> {
            let frames = self.0.lock().unwrap();
            frames.iter().map(|f| f.time().mseconds()).collect()
        }

        fn drain(&self) {
            self.0.lock().unwrap().clear();
        }
    }

    impl Queue for Kept {
        fn backlog(&self) -> Backlog {
            let frames = self.0.lock().unwrap();
            Backlog {
                frames: frames.len() as u64,
                bytes: frames.iter().map(|f| f.buffer.size() as u64).sum(),
            }
        }

        fn push(&mut self, frame: &Frame) -> Flow {
            self.0.lock().unwrap().push(frame.clone());
            Flow::Go
        }
    }

    /// Subscribes without counting.
    fn read(fanout: &Arc<Fanout>, kept: &Kept, join: Join, limit: Backlog) -> Subscription {
        fanout.subscribe(kept.clone(), join, limit, &Arc::default())
    }

    const PLENTY: Backlog = Backlog {
        frames: 1000,
        bytes: 1 << 30,
    };

    fn limits(bytes: usize) -> Limits {
        Limits {
            time: gst::ClockTime::from_seconds(10),
            bytes,
        }
    }

    fn frame(ms: u64, key: bool) -> Frame {
        gst::init().unwrap();
        let mut buffer = gst::Buffer::with_size(100).unwrap();
        buffer
            .get_mut()
            .unwrap()
            .set_pts(gst::ClockTime::from_mseconds(ms));
        Frame {
            buffer,
            caps: gst::Caps::builder("video/x-h264").build(),
            key,
        }
    }

    /// One second of 10 frames each, the first a key frame.
    fn publish_second(fanout: &Fanout, second: u64) {
        for n in 0..10 {
            fanout.publish(frame(second * 1000 + n * 100, n == 0));
        }
    }

    #[test]
    fn a_reader_starts_with_the_newest_group_and_goes_on() {
        let fanout = Fanout::new(limits(1 << 20));
        publish_second(&fanout, 1);
        fanout.publish(frame(2000, true));
        fanout.publish(frame(2100, false));
        let kept = Kept::default();
        let _subscription = read(&fanout, &kept, Join::Group, PLENTY);
        fanout.publish(frame(2200, false));
        assert_eq!(kept.times(), [2000, 2100, 2200]);
    }

    #[test]
    fn still_shows_the_key_frame_and_waits_for_the_next() {
        let fanout = Fanout::new(limits(1 << 20));
        publish_second(&fanout, 1);
        let kept = Kept::default();
        let _subscription = read(&fanout, &kept, Join::Still, PLENTY);
        fanout.publish(frame(2000, false));
        fanout.publish(frame(2100, true));
        fanout.publish(frame(2200, false));
        assert_eq!(kept.times(), [1000, 2100, 2200]);
    }

    #[test]
    fn a_slow_reader_goes_on_at_a_key_frame_and_its_loss_is_counted() {
        let fanout = Fanout::new(limits(1 << 20));
        let slow = Kept::default();
        let quick = Kept::default();
        let (slow_lost, quick_lost) = (Arc::default(), Arc::default());
        let five = Backlog {
            frames: 5,
            bytes: 1 << 20,
        };
        let _slow = fanout.subscribe(slow.clone(), Join::Still, five, &slow_lost);
        let _quick = fanout.subscribe(quick.clone(), Join::Still, PLENTY, &quick_lost);
        publish_second(&fanout, 1);
        slow.drain();
        fanout.publish(frame(1990, false));
        publish_second(&fanout, 2);
        assert_eq!(slow.times(), [2000, 2100, 2200, 2300, 2400]);
        assert_eq!(
            (
                slow_lost.load(Ordering::Relaxed),
                quick_lost.load(Ordering::Relaxed)
            ),
            (11, 0)
        );
        assert_eq!(quick.times().len(), 21);
    }

    #[test]
    fn a_first_group_larger_than_the_queue_is_not_a_reason_to_drop() {
        let fanout = Fanout::new(limits(1 << 20));
        publish_second(&fanout, 1);
        let kept = Kept::default();
        let _subscription = read(
            &fanout,
            &kept,
            Join::Group,
            Backlog {
                frames: 3,
                bytes: 1 << 20,
            },
        );
        fanout.publish(frame(2000, false));
        fanout.publish(frame(2100, false));
        assert_eq!(kept.times().len(), 12);
        kept.drain();
        for n in 0..5 {
            fanout.publish(frame(2200 + n, false));
        }
        assert_eq!(kept.times(), [2200, 2201, 2202]);
    }

    #[test]
    fn a_group_over_its_bounds_keeps_the_key_frame_only() {
        for (limits, frames) in [
            (limits(450), 6),
            (
                Limits {
                    time: gst::ClockTime::from_mseconds(350),
                    bytes: 1 << 20,
                },
                6,
            ),
        ] {
            let fanout = Fanout::new(limits);
            for n in 0..frames {
                fanout.publish(frame(1000 + n * 100, n == 0));
            }
            let kept = Kept::default();
            let _subscription = read(&fanout, &kept, Join::Group, PLENTY);
            fanout.publish(frame(2000, false));
            assert_eq!(kept.times(), [1000]);
            fanout.publish(frame(2100, true));
            assert_eq!(kept.times(), [1000, 2100]);
        }
    }

    #[test]
    fn a_change_of_caps_waits_for_a_key_frame() {
        let fanout = Fanout::new(limits(1 << 20));
        let kept = Kept::default();
        let _subscription = read(&fanout, &kept, Join::Still, PLENTY);
        fanout.publish(frame(1000, true));
        let mut other = frame(1100, false);
        other.caps = gst::Caps::builder("video/x-h265").build();
        fanout.publish(other.clone());
        other.key = true;
        fanout.publish(other);
        assert_eq!(kept.times(), [1000, 1100]);
        assert_eq!(
            kept.0.lock().unwrap()[1].caps.structure(0).unwrap().name(),
            "video/x-h265"
        );
    }

    #[test]
    fn after_an_interruption_the_old_picture_is_shown_but_not_continued() {
        let fanout = Fanout::new(limits(1 << 20));
        publish_second(&fanout, 1);
        fanout.interrupt();
        let kept = Kept::default();
        let _subscription = read(&fanout, &kept, Join::Group, PLENTY);
        fanout.publish(frame(5000, false));
        fanout.publish(frame(5100, true));
        assert_eq!(kept.times(), [1000, 5100]);
    }

    #[test]
    fn dropping_the_subscription_ends_the_reader() {
        let fanout = Fanout::new(limits(1 << 20));
        let kept = Kept::default();
        let subscription = read(&fanout, &kept, Join::Still, PLENTY);
        assert_eq!(fanout.readers(), 1);
        drop(subscription);
        fanout.publish(frame(1, true));
        assert_eq!(
            (
                fanout.readers(),
                kept.times().len(),
                Arc::strong_count(&kept.0)
            ),
            (0, 0, 1)
        );
    }

    #[test]
    fn frames_are_shared_not_copied() {
        let fanout = Fanout::new(limits(1 << 20));
        let kept = Kept::default();
        let _subscription = read(&fanout, &kept, Join::Still, PLENTY);
        let frame = frame(1, true);
        let memory = frame.buffer.as_ptr();
        fanout.publish(frame);
        assert_eq!(kept.0.lock().unwrap()[0].buffer.as_ptr(), memory);
    }
}
