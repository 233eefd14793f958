//! The ring and its subscriptions.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::frame::{Backlog, Flow, Frame, Join, Limits, Queue};
use super::reader::Reader;
use super::store::Store;

/// One encoding in memory.
pub struct Ring {
    state: Mutex<State>,
    limits: Limits,
}

struct State {
    caps: Option<gst::Caps>,
    store: Store,
    readers: Vec<Reader>,
    next_id: u64,
    published: Option<Instant>,
    rate: Rate,
    /// What readers of the past want to have kept, and since when it is kept.
    retained: Vec<(u64, gst::ClockTime)>,
}

impl Ring {
    /// An empty ring.
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                caps: None,
                store: Store::new(),
                readers: Vec::new(),
                next_id: 0,
                published: None,
                rate: Rate::default(),
                retained: Vec::new(),
            }),
            limits,
        })
    }

    /// Adds the newest frame and hands it to the readers.
    pub fn publish(&self, frame: Frame) {
        let mut state = self.lock();
        let changed = state.caps.as_ref().is_some_and(|caps| *caps != frame.caps);
        if changed {
            state.wait_for_key();
        }
        if state.caps.is_none() || changed {
            state.caps = Some(frame.caps.clone());
        }
        state.published = Some(Instant::now());
        state.rate.add(&frame);
        let limits = state.limits(self.limits);
        state.store.keep(&frame, limits);
        state
            .readers
            .retain_mut(|reader| reader.offer(&frame) == Flow::Go);
    }

    /// Says that the stream is interrupted: the frame after it does not follow the one before it.
    pub fn interrupt(&self) {
        self.lock().wait_for_key();
    }

    /// Adds a reader. It ends when the subscription is dropped or its queue says so. One whose queue holds `limit` is too
    /// slow; the frames it does not get are counted in `dropped`.
    pub fn subscribe(
        self: &Arc<Self>,
        queue: impl Queue + 'static,
        join: Join,
        limit: Backlog,
        dropped: &Arc<AtomicU64>,
    ) -> Subscription {
        let mut state = self.lock();
        let id = state.next_id;
        state.next_id += 1;
        let mut reader = Reader::new(id, Box::new(queue), limit, dropped.clone());
        if reader.start(&state.store.past(join)) == Flow::Go {
            state.readers.push(reader);
        }
        Subscription {
            ring: Arc::downgrade(self),
            id,
        }
    }

    /// Keeps at least the last `history` as long as the returned value lives, on top of what the ring keeps anyway. Its
    /// limit in bytes holds all the same.
    pub fn retain(self: &Arc<Self>, history: gst::ClockTime) -> Retention {
        let mut state = self.lock();
        let id = state.next_id;
        state.next_id += 1;
        state.retained.push((id, history));
        Retention {
            ring: Arc::downgrade(self),
            id,
        }
    }

    /// Time between the last two key frames, or since the last one up to the newest frame if that is longer. `None` before
    /// there is a second frame.
    pub fn key_distance(&self) -> Option<gst::ClockTime> {
        self.lock().store.key_distance()
    }

    /// The newest key frame.
    pub fn key_frame(&self) -> Option<Frame> {
        self.lock().store.key_frame().cloned()
    }

    /// The newest key frame and all that has come since, as far as it can be decoded.
    pub fn group(&self) -> Vec<Frame> {
        let state = self.lock();
        let past = state.store.past(Join::Group);
        past.frames().map(|(frame, _)| frame.clone()).collect()
    }

    /// Running time of the newest frame.
    pub fn newest(&self) -> Option<gst::ClockTime> {
        self.lock().store.newest().map(Frame::time)
    }

    /// What the stream is now.
    pub fn caps(&self) -> Option<gst::Caps> {
        self.lock().caps.clone()
    }

    /// Time since something was published.
    pub fn silent_for(&self) -> Option<Duration> {
        Some(self.lock().published?.elapsed())
    }

    /// Bits per second of the last seconds; `None` before there are some.
    pub fn bitrate(&self) -> Option<u64> {
        self.lock().rate.bits_per_second
    }

    /// How many follow the stream.
    pub fn readers(&self) -> usize {
        self.lock().readers.len()
    }

    /// What is held now.
    pub fn held(&self) -> Held {
        let state = self.lock();
        Held {
            frames: state.store.frames(),
            bytes: state.store.bytes(),
            time: state.store.length(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a ring holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Number of frames.
    pub frames: usize,
    /// Their size.
    pub bytes: usize,
    /// Time between the oldest and the newest.
    pub time: gst::ClockTime,
}

impl State {
    fn limits(&self, limits: Limits) -> Limits {
        let retained = self.retained.iter().map(|(_, history)| *history).max();
        Limits {
            history: limits.history.max(retained.unwrap_or_default()),
            ..limits
        }
    }

    fn wait_for_key(&mut self) {
        self.store.tear();
        self.readers.iter_mut().for_each(Reader::wait_for_key);
    }
}

/// Bitrate, counted over windows of four seconds: no group of pictures of a usual camera sways that much.
#[derive(Debug, Default)]
struct Rate {
    since: Option<gst::ClockTime>,
    bytes: u64,
    bits_per_second: Option<u64>,
}

impl Rate {
    const WINDOW: gst::ClockTime = gst::ClockTime::from_seconds(4);

    fn add(&mut self, frame: &Frame) {
        let since = *self.since.get_or_insert(frame.time());
        let passed = frame.time().saturating_sub(since);
        if frame.time() < since || passed >= Self::WINDOW * 4 {
            (self.since, self.bytes) = (Some(frame.time()), 0);
        } else if passed >= Self::WINDOW {
            self.bits_per_second = Some(self.bytes * 8_000 / passed.mseconds());
            (self.since, self.bytes) = (Some(frame.time()), 0);
        }
        self.bytes += frame.buffer.size() as u64;
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("held", &self.held())
            .field("readers", &self.readers())
            .finish_non_exhaustive()
    }
}

/// A reader's place in a [`Ring`]; dropping it ends the reader.
#[derive(Debug)]
pub struct Subscription {
    ring: Weak<Ring>,
    id: u64,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let Some(ring) = self.ring.upgrade() else {
            return;
        };
        let mut state = ring.lock();
        let place = state.readers.iter().position(|reader| reader.id == self.id);
        let reader = place.map(|place| state.readers.swap_remove(place));
        drop(state);
        drop(reader);
    }
}

/// Keeps a part of the past in a [`Ring`]; dropping it lets go.
#[derive(Debug)]
pub struct Retention {
    ring: Weak<Ring>,
    id: u64,
}

impl Drop for Retention {
    fn drop(&mut self) {
        let Some(ring) = self.ring.upgrade() else {
            return;
        };
        let mut state = ring.lock();
        state.retained.retain(|(id, _)| *id != self.id);
        let limits = state.limits(ring.limits);
        state.store.shrink(limits);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::super::testing::frame;
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
    fn read(ring: &Arc<Ring>, kept: &Kept, join: Join, limit: Backlog) -> Subscription {
        ring.subscribe(kept.clone(), join, limit, &Arc::default())
    }

    const PLENTY: Backlog = Backlog {
        frames: 1000,
        bytes: 1 << 30,
    };

    fn limits(bytes: usize) -> Limits {
        Limits {
            history: gst::ClockTime::ZERO,
            group: gst::ClockTime::from_seconds(10),
            bytes,
        }
    }

    /// One second of 10 frames each, the first a key frame.
    fn publish_second(ring: &Ring, second: u64) {
        for n in 0..10 {
            ring.publish(frame(second * 1000 + n * 100, n == 0));
        }
    }

    #[test]
    fn a_reader_starts_with_the_newest_group_and_goes_on() {
        let ring = Ring::new(limits(1 << 20));
        publish_second(&ring, 1);
        ring.publish(frame(2000, true));
        ring.publish(frame(2100, false));
        let kept = Kept::default();
        let _subscription = read(&ring, &kept, Join::Group, PLENTY);
        ring.publish(frame(2200, false));
        assert_eq!(kept.times(), [2000, 2100, 2200]);
    }

    #[test]
    fn still_shows_the_key_frame_and_waits_for_the_next() {
        let ring = Ring::new(limits(1 << 20));
        publish_second(&ring, 1);
        let kept = Kept::default();
        let _subscription = read(&ring, &kept, Join::Still, PLENTY);
        ring.publish(frame(2000, false));
        ring.publish(frame(2100, true));
        ring.publish(frame(2200, false));
        assert_eq!(kept.times(), [1000, 2100, 2200]);
    }

    #[test]
    fn a_slow_reader_goes_on_at_a_key_frame_and_its_loss_is_counted() {
        let ring = Ring::new(limits(1 << 20));
        let slow = Kept::default();
        let quick = Kept::default();
        let (slow_lost, quick_lost) = (Arc::default(), Arc::default());
        let five = Backlog {
            frames: 5,
            bytes: 1 << 20,
        };
        let _slow = ring.subscribe(slow.clone(), Join::Still, five, &slow_lost);
        let _quick = ring.subscribe(quick.clone(), Join::Still, PLENTY, &quick_lost);
        publish_second(&ring, 1);
        slow.drain();
        ring.publish(frame(1990, false));
        publish_second(&ring, 2);
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
        let ring = Ring::new(limits(1 << 20));
        publish_second(&ring, 1);
        let kept = Kept::default();
        let _subscription = read(
            &ring,
            &kept,
            Join::Group,
            Backlog {
                frames: 3,
                bytes: 1 << 20,
            },
        );
        ring.publish(frame(2000, false));
        ring.publish(frame(2100, false));
        assert_eq!(kept.times().len(), 12);
        kept.drain();
        for n in 0..5 {
            ring.publish(frame(2200 + n, false));
        }
        assert_eq!(kept.times(), [2200, 2201, 2202]);
    }

    #[test]
    fn a_group_over_its_bounds_keeps_the_key_frame_only() {
        for (limits, frames) in [
            (limits(450), 6),
            (
                Limits {
                    history: gst::ClockTime::ZERO,
                    group: gst::ClockTime::from_mseconds(350),
                    bytes: 1 << 20,
                },
                6,
            ),
        ] {
            let ring = Ring::new(limits);
            for n in 0..frames {
                ring.publish(frame(1000 + n * 100, n == 0));
            }
            let kept = Kept::default();
            let _subscription = read(&ring, &kept, Join::Group, PLENTY);
            ring.publish(frame(2000, false));
            assert_eq!(kept.times(), [1000]);
            ring.publish(frame(2100, true));
            assert_eq!(kept.times(), [1000, 2100]);
        }
    }

    #[test]
    fn a_change_of_caps_waits_for_a_key_frame() {
        let ring = Ring::new(limits(1 << 20));
        let kept = Kept::default();
        let _subscription = read(&ring, &kept, Join::Still, PLENTY);
        ring.publish(frame(1000, true));
        let mut other = frame(1100, false);
        other.caps = gst::Caps::builder("video/x-h265").build();
        ring.publish(other.clone());
        other.key = true;
        ring.publish(other);
        assert_eq!(kept.times(), [1000, 1100]);
        assert_eq!(
            kept.0.lock().unwrap()[1].caps.structure(0).unwrap().name(),
            "video/x-h265"
        );
    }

    #[test]
    fn after_an_interruption_the_old_picture_is_shown_but_not_continued() {
        let ring = Ring::new(limits(1 << 20));
        publish_second(&ring, 1);
        ring.interrupt();
        let kept = Kept::default();
        let _subscription = read(&ring, &kept, Join::Group, PLENTY);
        ring.publish(frame(5000, false));
        ring.publish(frame(5100, true));
        assert_eq!(kept.times(), [1000, 5100]);
    }

    #[test]
    fn the_past_is_kept_as_long_as_somebody_wants_it() {
        let ring = Ring::new(limits(1 << 20));
        let seconds = |n| gst::ClockTime::from_seconds(n);
        let (short, long) = (ring.retain(seconds(2)), ring.retain(seconds(5)));
        (0..20).for_each(|second| publish_second(&ring, second));
        assert_eq!(ring.key_distance(), Some(seconds(1)));
        assert_eq!(ring.held().frames, 60);
        drop(long);
        assert_eq!(ring.held().frames, 30);
        let kept = Kept::default();
        drop(read(&ring, &kept, Join::Back(seconds(2)), PLENTY));
        assert_eq!(kept.times().first(), Some(&17_000));
        drop(short);
        assert_eq!(ring.held().frames, 10);
    }

    #[test]
    fn dropping_the_subscription_ends_the_reader() {
        let ring = Ring::new(limits(1 << 20));
        let kept = Kept::default();
        let subscription = read(&ring, &kept, Join::Still, PLENTY);
        assert_eq!(ring.readers(), 1);
        drop(subscription);
        ring.publish(frame(1, true));
        assert_eq!(
            (
                ring.readers(),
                kept.times().len(),
                Arc::strong_count(&kept.0)
            ),
            (0, 0, 1)
        );
    }

    #[test]
    fn frames_are_shared_not_copied() {
        let ring = Ring::new(limits(1 << 20));
        let kept = Kept::default();
        let _subscription = read(&ring, &kept, Join::Still, PLENTY);
        let frame = frame(1, true);
        let memory = frame.buffer.as_ptr();
        ring.publish(frame);
        assert_eq!(kept.0.lock().unwrap()[0].buffer.as_ptr(), memory);
    }
}
