//! From memory into a pipeline: appsrc as the queue of a reader.

use std::sync::{Arc, Mutex, PoisonError};

use super::fanout::{Backlog, Flow, Frame, Queue};
use super::track::same_shape;

/// Makes an appsrc whose buffers carry running times.
pub(super) fn source(name: &str) -> gst_app::AppSrc {
    let source = gst_app::AppSrc::builder().name(name).build();
    set_up(&source);
    source
}

/// Makes an appsrc of any origin a queue that never blocks and has no limit of its own.
pub(super) fn set_up(source: &gst_app::AppSrc) {
    use gst::prelude::*;
    source.set_format(gst::Format::Time);
    source.set_is_live(true);
    source.set_max_bytes(0);
    source.set_max_buffers(0);
    source.set_max_time(gst::ClockTime::ZERO);
    source.set_property("block", false);
    source.set_property("emit-signals", false);
}

fn backlog(source: &gst_app::AppSrc) -> Backlog {
    Backlog { frames: source.current_level_buffers(), bytes: source.current_level_bytes() }
}

/// Feeds a pipeline that is made for one shape of stream, and ends when that changes.
pub(super) struct Fixed {
    source: gst_app::AppSrc,
    caps: Option<gst::Caps>,
    changed: Box<dyn Fn() + Send>,
}

impl Fixed {
    /// Calls `changed` when it ends because of another shape.
    pub(super) fn new(source: gst_app::AppSrc, changed: impl Fn() + Send + 'static) -> Self {
        Self { source, caps: None, changed: Box::new(changed) }
    }

    fn follow(&mut self, caps: &gst::Caps) -> Flow {
        match &self.caps {
            Some(known) if known == caps => return Flow::Go,
            Some(known) if !same_shape(known, caps) => {
                (self.changed)();
                return Flow::End;
            }
            _ => {}
        }
        self.source.set_caps(Some(caps));
        self.caps = Some(caps.clone());
        Flow::Go
    }
}

impl Queue for Fixed {
    fn backlog(&self) -> Backlog {
        backlog(&self.source)
    }

    fn push(&mut self, frame: &Frame) -> Flow {
        match self.follow(&frame.caps) {
            Flow::Go => push(&self.source, frame),
            Flow::End => Flow::End,
        }
    }
}

fn push(source: &gst_app::AppSrc, frame: &Frame) -> Flow {
    match source.push_buffer(frame.buffer.clone()) {
        Ok(_) => Flow::Go,
        Err(_) => Flow::End,
    }
}

/// Feeds a viewer from one stream after the other without a seam: the next takes over at its first key frame that lies
/// behind what was sent.
#[derive(Clone)]
pub(super) struct Switch(Arc<Mutex<Seam>>);

struct Seam {
    source: gst_app::AppSrc,
    taken_over: Box<dyn Fn(u64) + Send>,
    caps: Option<gst::Caps>,
    /// Number of the stream that feeds now; 0 = none yet.
    current: u64,
    /// Numbers given out.
    last: u64,
    /// Running time of the newest frame sent.
    sent: Option<gst::ClockTime>,
}

impl Switch {
    /// Calls `taken_over` with a line's number when that line begins to feed.
    pub(super) fn new(source: gst_app::AppSrc, taken_over: impl Fn(u64) + Send + 'static) -> Self {
        let taken_over = Box::new(taken_over);
        Self(Arc::new(Mutex::new(Seam { source, taken_over, caps: None, current: 0, last: 0, sent: None })))
    }

    /// A queue for the next stream.
    pub(super) fn next(&self) -> Line {
        let mut seam = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seam.last += 1;
        Line { seam: self.0.clone(), number: seam.last }
    }
}

/// One stream's way into a [`Switch`].
pub(super) struct Line {
    seam: Arc<Mutex<Seam>>,
    number: u64,
}

impl Line {
    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

impl Queue for Line {
    fn backlog(&self) -> Backlog {
        backlog(&self.seam.lock().unwrap_or_else(PoisonError::into_inner).source)
    }

    fn push(&mut self, frame: &Frame) -> Flow {
        self.seam.lock().unwrap_or_else(PoisonError::into_inner).push(self.number, frame)
    }
}

impl Seam {
    fn push(&mut self, number: u64, frame: &Frame) -> Flow {
        if number < self.current {
            return Flow::End;
        }
        if number > self.current {
            let behind = self.sent.is_none_or(|sent| frame.time() > sent);
            if !frame.key || !behind {
                return Flow::Go;
            }
            self.current = number;
            (self.taken_over)(number);
        }
        if self.caps.as_ref() != Some(&frame.caps) {
            self.source.set_caps(Some(&frame.caps));
            self.caps = Some(frame.caps.clone());
        }
        self.sent = self.sent.max(Some(frame.time()));
        push(&self.source, frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(ms: u64, key: bool) -> Frame {
        let mut buffer = gst::Buffer::with_size(10).unwrap();
        buffer.get_mut().unwrap().set_pts(gst::ClockTime::from_mseconds(ms));
        Frame { buffer, caps: gst::Caps::builder("video/x-h264").build(), key }
    }

    fn switch() -> (Switch, gst_app::AppSrc) {
        gst::init().unwrap();
        let source = source("in");
        (Switch::new(source.clone(), |_| {}), source)
    }

    #[test]
    fn the_next_stream_takes_over_at_its_key_frame() {
        let (switch, source) = switch();
        let mut old = switch.next();
        assert_eq!(old.push(&frame(100, true)), Flow::Go);
        let mut new = switch.next();
        assert_eq!(new.push(&frame(110, false)), Flow::Go);
        assert_eq!(old.push(&frame(120, false)), Flow::Go);
        assert_eq!(source.current_level_buffers(), 2, "the new stream waits for its key frame");
        assert_eq!(new.push(&frame(130, true)), Flow::Go);
        assert_eq!(old.push(&frame(140, false)), Flow::End);
        assert_eq!(source.current_level_buffers(), 3);
    }

    #[test]
    fn time_never_goes_back_at_a_seam() {
        let (switch, source) = switch();
        let mut old = switch.next();
        assert_eq!(old.push(&frame(100, true)), Flow::Go);
        let mut new = switch.next();
        assert_eq!(new.push(&frame(50, true)), Flow::Go);
        assert_eq!(new.push(&frame(150, false)), Flow::Go);
        assert_eq!(source.current_level_buffers(), 1);
        assert_eq!(new.push(&frame(160, true)), Flow::Go);
        assert_eq!(source.current_level_buffers(), 2);
    }

    #[test]
    fn a_pipeline_of_fixed_shape_ends_with_it() {
        gst::init().unwrap();
        let told = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let tell = told.clone();
        let mut fixed = Fixed::new(source("in"), move || tell.store(true, std::sync::atomic::Ordering::Relaxed));
        assert_eq!(fixed.push(&frame(1, true)), Flow::Go);
        let mut other = frame(2, true);
        other.caps = gst::Caps::builder("video/x-h264").field("width", 320).build();
        assert_eq!(fixed.push(&other), Flow::End);
        assert!(told.load(std::sync::atomic::Ordering::Relaxed));
    }
}
