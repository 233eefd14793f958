//! From a pipeline's end into memory: an appsink that publishes frames.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gst::prelude::*;

use super::track::Codec;
use super::{clock, h264};
use gsthomekit::ring::{Continuity, Frame, Ring};

/// What an intake tells its pipeline's owner. Called from streaming threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Note {
    /// The stream's caps, at first and when they change.
    Caps(gst::Caps),
    /// The first frame that decoding can start with.
    FirstKey,
    /// Frames are displayed in another order than sent.
    Reordered,
    /// The source left its time line, so many times by now.
    Jumped(u64),
}

/// Pace of an intake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// Frames are published as they come.
    AsItComes,
    /// Frames are published at their time.
    RealTime,
    /// As the source is: live sources set the pace themselves, others are held to real time.
    AsSource,
}

/// Makes the appsink of a stream. It publishes as long as `alive`.
pub(super) fn sink(
    codec: Codec,
    ring: Arc<Ring>,
    pace: Pace,
    alive: Arc<AtomicBool>,
    note: impl Fn(Note) + Send + Sync + 'static,
) -> gst_app::AppSink {
    let sink = gst_app::AppSink::builder()
        .enable_last_sample(false)
        .sync(pace == Pace::RealTime)
        .async_(pace != Pace::AsItComes)
        .qos(false)
        .build();
    if pace == Pace::AsSource {
        ask_source(&sink);
    }
    let mut intake = Intake::new(codec, ring, Box::new(note));
    let callbacks = gst_app::AppSinkCallbacks::builder().new_sample(move |sink| {
        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        if alive.load(Ordering::Acquire) {
            intake.take(sink, sample);
        }
        Ok(gst::FlowSuccess::Ok)
    });
    sink.set_callbacks(callbacks.build());
    sink
}

/// Looks at the first buffer whether the source is live; if not, real time is kept here.
fn ask_source(sink: &gst_app::AppSink) {
    let Some(pad) = sink.static_pad("sink") else {
        return;
    };
    let weak = sink.downgrade();
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, _| {
        let mut query = gst::query::Latency::new();
        let live = pad.peer_query(&mut query) && query.result().0;
        if let Some(sink) = weak.upgrade() {
            sink.set_sync(!live);
        }
        gst::PadProbeReturn::Remove
    });
}

struct Intake {
    codec: Codec,
    ring: Arc<Ring>,
    note: Box<dyn Fn(Note) + Send + Sync>,
    caps: Option<gst::Caps>,
    seen_key: bool,
    seen_idr: bool,
    started: Option<gst::ClockTime>,
    order: Order,
    continuity: Continuity,
    /// When the next frame is due.
    expected: Option<gst::ClockTime>,
}

impl Intake {
    fn new(codec: Codec, ring: Arc<Ring>, note: Box<dyn Fn(Note) + Send + Sync>) -> Self {
        Self {
            codec,
            ring,
            note,
            caps: None,
            seen_key: false,
            seen_idr: false,
            started: None,
            order: Order::default(),
            continuity: Continuity::default(),
            expected: None,
        }
    }

    fn take(&mut self, sink: &gst_app::AppSink, sample: gst::Sample) {
        let (Some(caps), Some(buffer)) = (sample.caps_owned(), sample.buffer_owned()) else {
            return;
        };
        let segment = sample
            .segment()
            .and_then(|s| s.downcast_ref::<gst::ClockTime>())
            .cloned();
        drop(sample);
        let (Some(segment), true) = (segment, buffer.size() > 0) else {
            return;
        };
        self.note_caps(&caps);
        let timed = buffer.pts().or(buffer.dts()).is_some();
        let offset = clock::offset(sink);
        let Some(buffer) = with_common_time(buffer, &segment, offset, self.expected) else {
            return;
        };
        self.expected = end(&buffer);
        if timed && self.codec == Codec::H264 && self.order.reordered(buffer.pts()) {
            (self.note)(Note::Reordered);
        }
        self.publish(buffer, caps);
    }

    fn note_caps(&mut self, caps: &gst::Caps) {
        if self.caps.as_ref() == Some(caps) {
            return;
        }
        self.caps = Some(caps.clone());
        self.order = Order::default();
        (self.note)(Note::Caps(caps.clone()));
    }

    fn publish(&mut self, mut buffer: gst::Buffer, caps: gst::Caps) {
        let key = self.is_key(&buffer);
        if let Some(time) = buffer.pts().filter(|_| !self.order.told) {
            buffer.make_mut().set_pts(self.followed(time));
        }
        let first = key && !self.seen_key;
        self.seen_key |= key;
        self.ring.publish(Frame { buffer, caps, key });
        if first {
            (self.note)(Note::FirstKey);
        }
    }

    fn followed(&mut self, time: gst::ClockTime) -> gst::ClockTime {
        let before = self.continuity.jumps();
        let time = self.continuity.follow(time, Some(clock::now()));
        let jumps = self.continuity.jumps();
        if jumps > before {
            (self.note)(Note::Jumped(jumps));
        }
        time
    }

    fn is_key(&mut self, buffer: &gst::Buffer) -> bool {
        if buffer.flags().contains(gst::BufferFlags::DELTA_UNIT) {
            return false;
        }
        if self.codec != Codec::H264 {
            return true;
        }
        // The parser calls every intra picture a key frame. Only behind an IDR can every decoder start.
        let idr = buffer.map_readable().is_ok_and(|map| h264::is_idr(&map));
        self.seen_idr |= idr;
        idr || self.has_no_idr()
    }

    /// Some cameras refresh by other intra pictures alone.
    fn has_no_idr(&mut self) -> bool {
        let started = *self.started.get_or_insert_with(clock::now);
        !self.seen_idr && clock::now().saturating_sub(started) > gst::ClockTime::from_seconds(10)
    }
}

/// Watches presentation times of frames in sending order.
#[derive(Debug, Default)]
struct Order {
    previous: Option<gst::ClockTime>,
    steps_back: u32,
    told: bool,
}

impl Order {
    /// True once, when frames have been seen to be reordered. A single step back, or a large one, is a clock's jump.
    fn reordered(&mut self, time: Option<gst::ClockTime>) -> bool {
        let Some(time) = time else {
            return false;
        };
        if let Some(previous) = self.previous {
            let back = previous.saturating_sub(time);
            let step = back > gst::ClockTime::from_mseconds(5) && back < gst::ClockTime::SECOND;
            self.steps_back += u32::from(step);
        }
        self.previous = Some(time);
        self.steps_back >= 2 && !std::mem::replace(&mut self.told, true)
    }
}

/// The buffer with its times made running times of the common clock; `None` for one outside its segment. One without a
/// time is taken to come when it is `expected`: parsers take a repeated timestamp away.
fn with_common_time(
    mut buffer: gst::Buffer,
    segment: &gst::FormattedSegment<gst::ClockTime>,
    offset: i64,
    expected: Option<gst::ClockTime>,
) -> Option<gst::Buffer> {
    let common = |time: gst::ClockTime| {
        let running = segment.to_running_time(time)?.nseconds();
        running
            .checked_add_signed(offset)
            .map(gst::ClockTime::from_nseconds)
    };
    let pts = match buffer.pts().or(buffer.dts()) {
        Some(time) => common(time),
        None => expected,
    }?;
    let dts = buffer.dts().and_then(common);
    let buffer_ref = buffer.make_mut();
    buffer_ref.set_pts(pts);
    buffer_ref.set_dts(dts);
    Some(buffer)
}

/// Where a buffer ends, as far as it says so.
fn end(buffer: &gst::BufferRef) -> Option<gst::ClockTime> {
    let duration = buffer.duration().unwrap_or_default();
    buffer.pts()?.checked_add(duration)
}

/// A flag that is raised once.
#[derive(Debug, Default)]
pub(super) struct Once(AtomicBool);

impl Once {
    /// True for the first caller.
    pub(super) fn first(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }

    /// Whether there has been a first caller.
    pub(super) fn was_first(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(times: &[u64]) -> bool {
        let mut order = Order::default();
        times
            .iter()
            .any(|ms| order.reordered(Some(gst::ClockTime::from_mseconds(*ms))))
    }

    #[test]
    fn order_of_display_is_recognised() {
        assert!(!fed(&[0, 33, 66, 100, 133]), "in order");
        assert!(fed(&[0, 100, 33, 66, 200, 133]), "with B-frames");
        assert!(!fed(&[0, 33, 20, 66, 100]), "one jump of a clock");
        assert!(!fed(&[9000, 9033, 0, 33, 66, 9000, 0]), "loops");
    }

    fn timed(pts: Option<u64>) -> gst::Buffer {
        let mut buffer = gst::Buffer::with_size(1).unwrap();
        let buffer_ref = buffer.make_mut();
        buffer_ref.set_pts(pts.map(gst::ClockTime::from_mseconds));
        buffer_ref.set_duration(gst::ClockTime::from_mseconds(40));
        buffer
    }

    #[test]
    fn a_frame_without_a_time_follows_the_one_before() {
        gst::init().unwrap();
        let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
        segment.set_stop(gst::ClockTime::from_mseconds(500));
        let mut expected = None;
        let mut common = |pts| {
            let buffer = with_common_time(timed(pts), &segment, 1_000_000_000, expected)?;
            expected = end(&buffer);
            buffer.pts().map(gst::ClockTime::mseconds)
        };
        assert_eq!(common(None), None, "nothing is known yet");
        assert_eq!(common(Some(100)), Some(1100));
        assert_eq!(common(None), Some(1140));
        assert_eq!(common(None), Some(1180));
        assert_eq!(common(Some(180)), Some(1180));
        assert_eq!(common(Some(900)), None, "behind its segment");
    }

    #[test]
    fn once_is_once() {
        let once = Once::default();
        assert!(once.first());
        assert!(!once.first());
    }
}
