//! What goes through a ring, and how it is taken.

/// One access unit, picture or packet.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Its timestamps are running times of one clock that writer and readers agree on.
    pub buffer: gst::Buffer,
    /// What it is.
    pub caps: gst::Caps,
    /// Whether decoding can start here.
    pub key: bool,
}

impl Frame {
    /// Its running time; zero if it has none.
    pub fn time(&self) -> gst::ClockTime {
        self.buffer.pts().unwrap_or_default()
    }

    /// Whether it is not encoded.
    pub(super) fn is_raw(&self) -> bool {
        let structure = self.caps.structure(0);
        structure.is_some_and(|s| s.name().ends_with("/x-raw"))
    }

    /// The frame as part of a past that is shown in fast motion, its frames a millisecond apart up to the one at `newest`,
    /// `newer` frames later. A receiver so shows the present as soon as that is decoded, in time with the sound.
    pub fn in_fast_motion(&self, newer: usize, newest: gst::ClockTime) -> Self {
        const STEP: gst::ClockTime = gst::ClockTime::from_mseconds(1);
        let squeezed = newest.saturating_sub(STEP * newer as u64);
        let mut frame = self.clone();
        let buffer = frame.buffer.make_mut();
        buffer.set_pts(self.time().max(squeezed));
        buffer.set_dts(gst::ClockTime::NONE);
        frame
    }
}

/// Frames waiting in a reader's queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Their number.
    pub frames: u64,
    /// Their size in bytes.
    pub bytes: u64,
}

impl Backlog {
    pub(super) fn exceeds(self, limit: Self) -> bool {
        self.frames >= limit.frames || self.bytes >= limit.bytes
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            frames: self.frames.saturating_add(other.frames),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    pub(super) fn add(&mut self, frame: &Frame) {
        self.frames += 1;
        self.bytes += frame.buffer.size() as u64;
    }
}

/// Whether a reader goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It does.
    Go,
    /// It wants no more frames.
    End,
}

/// What a reader does with its frames. Called with the ring locked, in the writer's thread: nothing here may block, or
/// call the ring.
pub trait Queue: Send {
    /// What waits in it.
    fn backlog(&self) -> Backlog;

    /// Takes one more frame.
    fn push(&mut self, frame: &Frame) -> Flow;

    /// Takes a frame of the past, from before the reader joined. `newer` more of these follow it, up to one of time
    /// `newest`; afterwards frames come by [`push`](Self::push), as the writer publishes them.
    fn catch_up(&mut self, frame: &Frame, newer: usize, newest: gst::ClockTime) -> Flow {
        let _ = (newer, newest);
        self.push(frame)
    }
}

/// Where a new reader starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// With the newest group of pictures, then as frames come.
    Group,
    /// With the key frame that lies at least this far back, or the oldest one there is.
    Back(gst::ClockTime),
    /// With the newest key frame as a still, then from the next one on: for encoders that make one when asked.
    Still,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Older groups are kept as long as they are needed to go back this far.
    pub history: gst::ClockTime,
    /// The longest group of pictures. Of a longer one only the key frame is kept.
    pub group: gst::ClockTime,
    /// Size of all frames. The oldest groups go first; of a single group that is larger only the key frame is kept.
    pub bytes: usize,
}

impl Limits {
    /// For live view of encoded video: the groups of IP cameras last 1 to 10 seconds.
    pub const LIVE: Self = Self {
        history: gst::ClockTime::ZERO,
        group: gst::ClockTime::from_seconds(12),
        bytes: 24 << 20,
    };
}
