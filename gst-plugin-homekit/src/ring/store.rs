//! The frames themselves, bounded in time and bytes.

use std::collections::VecDeque;

use super::frame::{Backlog, Frame, Join, Limits};
use super::pack;

/// So many of the newest frames are as they came; then they are packed. Few enough that what they hold beyond their size is
/// little, and that copying them takes microseconds.
const LOOSE: Backlog = Backlog {
    frames: PACKED as u64,
    bytes: 256 << 10,
};
/// Most frames that are packed together.
const PACKED: usize = 64;

/// The newest groups of pictures, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Store {
    groups: VecDeque<Group>,
    bytes: usize,
    /// The newest group lacks frames, or there is none: what comes now cannot be decoded.
    broken: bool,
    /// Time between the last two key frames.
    distance: Option<gst::ClockTime>,
    /// At most these of the newest frames are not packed.
    loose: Backlog,
}

/// A key frame and what depends on it.
#[derive(Debug)]
struct Group {
    frames: Vec<Frame>,
    bytes: usize,
    /// Frames are missing between its last one and the next group.
    torn: bool,
}

/// What a new reader gets at once.
#[derive(Debug)]
pub(super) struct Past<'a> {
    frames: Vec<&'a Frame>,
    /// What is published next follows these frames.
    pub(super) follows: bool,
}

impl<'a> Past<'a> {
    /// Time of the last of the frames.
    pub(super) fn newest(&self) -> gst::ClockTime {
        self.frames
            .last()
            .map(|frame| frame.time())
            .unwrap_or_default()
    }

    /// The frames, each with the number of those behind it.
    pub(super) fn frames(&self) -> impl Iterator<Item = (&'a Frame, usize)> {
        let count = self.frames.len();
        let numbered = self.frames.iter().enumerate();
        numbered.map(move |(index, &frame)| (frame, count - index - 1))
    }
}

impl Store {
    pub(super) fn new() -> Self {
        Self {
            broken: true,
            ..Self::default()
        }
    }

    /// What comes next does not follow what came before.
    pub(super) fn tear(&mut self) {
        self.broken = true;
        if let Some(group) = self.groups.back_mut() {
            group.torn = true;
        }
    }

    pub(super) fn keep(&mut self, frame: &Frame, limits: Limits) {
        if frame.key {
            self.distance = self
                .key_frame()
                .filter(|_| !self.broken)
                .map(|last| frame.time().saturating_sub(last.time()));
            self.broken = false;
            self.groups.push_back(Group {
                frames: Vec::new(),
                bytes: 0,
                torn: false,
            });
        } else if self.broken {
            return;
        }
        let size = frame.buffer.size();
        if let Some(group) = self.groups.back_mut() {
            group.frames.push(frame.clone());
            group.bytes += size;
            self.bytes += size;
            self.loose.add(frame);
        }
        self.forget(limits);
        // What is soon gone again need not be copied.
        if limits.history > gst::ClockTime::ZERO && self.loose.exceeds(LOOSE) {
            self.pack();
        }
    }

    /// Moves what has come since the last time into memory of its own. Raw pictures and sound are never copied.
    fn pack(&mut self) {
        let count = std::mem::take(&mut self.loose).frames;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let frames = self.groups.iter_mut().flat_map(|group| &mut group.frames);
        let newest = frames.rev().take(count);
        let mut encoded: Vec<&mut Frame> = newest.filter(|frame| !frame.is_raw()).collect();
        // A block stays as long as its last frame: after a long time without packing it is not all one.
        encoded.chunks_mut(PACKED).for_each(pack::together);
    }

    fn forget(&mut self, limits: Limits) {
        self.shrink(limits);
        let too_large = self.bytes > limits.bytes;
        let Some(group) = self.groups.back_mut() else {
            return;
        };
        if group.frames.len() > 1 && (too_large || group.length() > limits.group) {
            self.bytes -= group.keep_key();
            self.broken = true;
        }
    }

    /// Lets go of the oldest groups, as far as they are not to be kept.
    pub(super) fn shrink(&mut self, limits: Limits) {
        while self.groups.len() > 1 && (self.bytes > limits.bytes || self.reaches(limits.history)) {
            self.bytes -= self.groups.pop_front().map_or(0, |group| group.bytes);
        }
    }

    /// Whether one can go back this far without the oldest group.
    fn reaches(&self, history: gst::ClockTime) -> bool {
        let second = self.groups.get(1).and_then(Group::start);
        let newest = self.newest().map(Frame::time);
        match (second, newest) {
            (Some(second), Some(newest)) => newest.saturating_sub(second) >= history,
            _ => false,
        }
    }

    /// The newest key frame.
    pub(super) fn key_frame(&self) -> Option<&Frame> {
        self.groups.back()?.frames.first()
    }

    /// Time between the last two key frames, or since the last one if that is longer.
    pub(super) fn key_distance(&self) -> Option<gst::ClockTime> {
        let running = self.groups.back().filter(|group| group.frames.len() > 1);
        self.distance.max(running.map(Group::length))
    }

    /// The newest frame.
    pub(super) fn newest(&self) -> Option<&Frame> {
        self.groups.back()?.frames.last()
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Frames held.
    pub(super) fn frames(&self) -> usize {
        self.groups.iter().map(|group| group.frames.len()).sum()
    }

    /// Time between the oldest frame and the newest.
    pub(super) fn length(&self) -> gst::ClockTime {
        let oldest = self.groups.front().and_then(Group::start);
        let newest = self.newest().map(Frame::time);
        newest
            .zip(oldest)
            .map(|(newest, oldest)| newest.saturating_sub(oldest))
            .unwrap_or_default()
    }

    /// What a reader that joins so gets at once.
    pub(super) fn past(&self, join: Join) -> Past<'_> {
        let whole = !self.broken;
        let first = match join {
            Join::Back(time) if whole => self.group_back(time),
            _ => self.groups.len().saturating_sub(1),
        };
        let frames = self.groups.range(first..).flat_map(|group| &group.frames);
        match join {
            Join::Group | Join::Back(_) if whole => Past {
                frames: frames.collect(),
                follows: true,
            },
            _ => Past {
                frames: self.key_frame().into_iter().collect(),
                follows: false,
            },
        }
    }

    /// The newest group that begins `time` ago, as far as all behind it is whole.
    fn group_back(&self, time: gst::ClockTime) -> usize {
        let newest = self.newest().map(Frame::time).unwrap_or_default();
        let mut first = self.groups.len().saturating_sub(1);
        let far_enough = |index: usize| {
            let start = self.groups[index].start().unwrap_or_default();
            newest.saturating_sub(start) >= time
        };
        while first > 0 && !far_enough(first) && !self.groups[first - 1].torn {
            first -= 1;
        }
        first
    }
}

impl Group {
    fn start(&self) -> Option<gst::ClockTime> {
        self.frames.first().map(Frame::time)
    }

    fn length(&self) -> gst::ClockTime {
        let times = self.frames.first().zip(self.frames.last());
        times
            .map(|(first, last)| last.time().saturating_sub(first.time()))
            .unwrap_or_default()
    }

    /// A group without its end cannot be joined, one without its start not decoded: only the key frame stays. Returns
    /// the bytes that are gone.
    fn keep_key(&mut self) -> usize {
        self.frames.truncate(1);
        self.frames.shrink_to_fit();
        let rest = self.frames.iter().map(|frame| frame.buffer.size()).sum();
        self.torn = true;
        std::mem::replace(&mut self.bytes, rest) - rest
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use super::super::testing::{frame, owned};
    use super::*;
    use proptest::prelude::*;

    fn ms(time: u64) -> gst::ClockTime {
        gst::ClockTime::from_mseconds(time)
    }

    fn limits(history: u64, bytes: usize) -> Limits {
        Limits {
            history: ms(history),
            group: ms(10_000),
            bytes,
        }
    }

    /// Groups of ten frames of 100 bytes, one per second.
    fn filled(seconds: u64, limits: Limits) -> Store {
        let mut store = Store::new();
        for n in 0..seconds * 10 {
            store.keep(&frame(n * 100, n % 10 == 0), limits);
        }
        store
    }

    fn times(store: &Store, join: Join) -> (Option<u64>, usize, bool) {
        let past = store.past(join);
        let first = past.frames().next();
        let first = first.map(|(frame, _)| frame.time().mseconds());
        (first, past.frames.len(), past.follows)
    }

    #[test]
    fn without_history_only_the_newest_group_is_kept() {
        let store = filled(3, limits(0, 1 << 20));
        assert_eq!((store.frames(), store.bytes()), (10, 1000));
        assert_eq!(times(&store, Join::Group), (Some(2000), 10, true));
        assert_eq!(times(&store, Join::Still), (Some(2000), 1, false));
    }

    #[test]
    fn history_is_kept_in_whole_groups() {
        let store = filled(10, limits(3000, 1 << 20));
        assert_eq!(store.length(), ms(3900));
        for (back, start) in [
            (0, 9000),
            (900, 9000),
            (1000, 8000),
            (3000, 6000),
            (9000, 6000),
        ] {
            let joined = times(&store, Join::Back(ms(back)));
            assert_eq!(joined.0, Some(start), "{back} ms back");
        }
    }

    /// Ten seconds in groups of ten frames of 10 kB, and those of the bytes that are still where they came in.
    fn traced(limits: Limits, caps: &str) -> (Store, Vec<Weak<Vec<u8>>>) {
        let mut store = Store::new();
        let mut origins = Vec::new();
        for n in 0..100 {
            let (mut frame, origin) = owned(n * 100, &[&[n as u8; 10_000]]);
            frame.caps = gst::Caps::builder(caps).build();
            frame.key = n % 10 == 0;
            store.keep(&frame, limits);
            origins.push(origin);
        }
        origins.retain(|origin| origin.strong_count() > 0);
        (store, origins)
    }

    #[test]
    fn the_past_is_packed_but_for_the_newest() {
        let (store, origins) = traced(limits(6000, 1 << 24), "video/x-h264");
        assert_eq!((store.frames(), store.bytes()), (70, 700_000));
        assert!(origins.len() < 27, "{} as they came", origins.len());
        let past = store.past(Join::Back(ms(6000)));
        for (n, (frame, _)) in (30..).zip(past.frames()) {
            assert_eq!(frame.time(), ms(n * 100));
            let map = frame.buffer.map_readable().unwrap();
            assert_eq!(*map, [n as u8; 10_000]);
        }
    }

    #[test]
    fn what_is_raw_or_soon_gone_is_not_copied() {
        for (history, caps, frames) in [(6000, "video/x-raw", 70), (0, "video/x-h264", 10)] {
            let (store, origins) = traced(limits(history, 1 << 24), caps);
            assert_eq!((store.frames(), origins.len()), (frames, frames), "{caps}");
        }
    }

    #[test]
    fn a_past_that_is_wanted_later_is_packed_then() {
        let (mut store, origins) = traced(limits(0, 1 << 24), "video/x-h264");
        let (next, _) = owned(10_000, &[&[1; 10_000]]);
        store.keep(&next, limits(6000, 1 << 24));
        assert_eq!(store.frames(), 11);
        assert!(origins.iter().all(|origin| origin.strong_count() == 0));
    }

    #[test]
    fn bytes_bound_the_history_before_the_newest_group() {
        let store = filled(10, limits(8000, 2500));
        assert!(store.bytes() <= 2500);
        assert_eq!(times(&store, Join::Back(ms(8000))), (Some(8000), 20, true));
    }

    #[test]
    fn of_a_group_over_its_bounds_the_key_frame_stays() {
        let long = Limits {
            group: ms(350),
            ..limits(0, 1 << 20)
        };
        for limits in [limits(0, 450), long] {
            let store = filled(1, limits);
            assert_eq!(times(&store, Join::Group), (Some(0), 1, false));
            assert_eq!(store.bytes(), 100);
        }
    }

    #[test]
    fn nobody_goes_back_beyond_a_tear() {
        let mut store = filled(3, limits(9000, 1 << 20));
        store.tear();
        store.keep(&frame(3000, false), limits(9000, 1 << 20));
        assert_eq!(times(&store, Join::Group), (Some(2000), 1, false));
        store.keep(&frame(3100, true), limits(9000, 1 << 20));
        assert_eq!(times(&store, Join::Back(ms(9000))), (Some(3100), 1, true));
    }

    proptest! {
        #[test]
        fn bounds_hold_whatever_comes(
            frames in prop::collection::vec((0u64..100_000, any::<bool>(), any::<bool>()), 1..200)
        ) {
            let limits = Limits { history: ms(2000), group: ms(5000), bytes: 1500 };
            let mut store = Store::new();
            for (time, key, torn) in frames {
                if torn { store.tear() }
                store.keep(&frame(time, key), limits);
                prop_assert!(store.bytes() <= limits.bytes);
                prop_assert_eq!(store.bytes(), store.frames() * 100);
                let past = store.past(Join::Back(ms(1000)));
                let first = past.frames().next();
                prop_assert!(first.is_none_or(|(frame, _)| frame.key));
            }
        }
    }
}
