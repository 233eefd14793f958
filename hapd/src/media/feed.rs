//! From memory into a pipeline: appsrc as the queue of a reader.

use std::cmp::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use super::fanout::{Backlog, Flow, Frame, Queue};
use super::track::same_shape;

/// A stream that is this near to what was sent has caught up.
const NEAR: gst::ClockTime = gst::ClockTime::from_mseconds(500);

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
    Backlog {
        frames: source.current_level_buffers(),
        bytes: source.current_level_bytes(),
    }
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
        Self {
            source,
            caps: None,
            changed: Box::new(changed),
        }
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

/// What happens at a seam.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The line of this number feeds now.
    TakenOver(u64),
    /// The line of this number would, if it had a key frame.
    KeyWanted(u64),
}

/// Feeds a viewer from one stream after the other without a seam: the next takes over at its first key frame that lies
/// behind what was sent.
#[derive(Clone)]
pub(super) struct Switch(Arc<Mutex<Seam>>);

struct Seam {
    source: gst_app::AppSrc,
    tell: Box<dyn Fn(Turn) + Send>,
    caps: Option<gst::Caps>,
    /// Number of the stream that feeds now; 0 = none yet.
    current: u64,
    /// Numbers given out.
    last: u64,
    /// Running time of the newest frame sent.
    sent: Option<gst::ClockTime>,
    /// The current stream is held, so that another can get ahead of it.
    held: bool,
    /// Frames of the current stream are missing.
    broken: bool,
}

impl Switch {
    /// Calls `tell` when something happens.
    pub(super) fn new(source: gst_app::AppSrc, tell: impl Fn(Turn) + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Seam {
            source,
            tell: Box::new(tell),
            caps: None,
            current: 0,
            last: 0,
            sent: None,
            held: false,
            broken: false,
        })))
    }

    /// A queue for the next stream. `prompt` says that it makes a key frame when asked.
    pub(super) fn next(&self, prompt: bool) -> Line {
        let mut seam = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seam.last += 1;
        seam.held = false;
        Line {
            seam: self.0.clone(),
            number: seam.last,
            prompt,
        }
    }
}

/// One stream's way into a [`Switch`].
pub(super) struct Line {
    seam: Arc<Mutex<Seam>>,
    number: u64,
    prompt: bool,
}

impl Line {
    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

impl Queue for Line {
    fn backlog(&self) -> Backlog {
        backlog(
            &self
                .seam
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .source,
        )
    }

    fn push(&mut self, frame: &Frame) -> Flow {
        let mut seam = self.seam.lock().unwrap_or_else(PoisonError::into_inner);
        match self.number.cmp(&seam.current) {
            Ordering::Less => Flow::End,
            Ordering::Equal if !seam.continues(frame) => Flow::Go,
            Ordering::Greater if !seam.takes_over(self, frame) => Flow::Go,
            _ => seam.send(frame),
        }
    }
}

impl Seam {
    fn continues(&mut self, frame: &Frame) -> bool {
        self.broken = self.held || (self.broken && !frame.key);
        !self.broken
    }

    fn takes_over(&mut self, line: &Line, frame: &Frame) -> bool {
        let ahead = self.sent.is_none_or(|sent| frame.time() > sent);
        if frame.key && ahead {
            self.current = line.number;
            (self.held, self.broken) = (false, false);
            (self.tell)(Turn::TakenOver(line.number));
            return true;
        }
        // A stream that is made from another comes later than that, for ever. The old one is held as soon as the new one
        // has caught up: two or three frames are left out.
        let caught_up = self.sent.is_none_or(|sent| frame.time() + NEAR > sent);
        if line.prompt && line.number == self.last && caught_up && !self.held {
            self.held = true;
            (self.tell)(Turn::KeyWanted(line.number));
        }
        false
    }

    fn send(&mut self, frame: &Frame) -> Flow {
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

    fn switch() -> (Switch, gst_app::AppSrc) {
        gst::init().unwrap();
        let source = source("in");
        (Switch::new(source.clone(), |_| {}), source)
    }

    #[test]
    fn the_next_stream_takes_over_at_its_key_frame() {
        let (switch, source) = switch();
        let mut old = switch.next(false);
        assert_eq!(old.push(&frame(100, true)), Flow::Go);
        let mut new = switch.next(false);
        assert_eq!(new.push(&frame(110, false)), Flow::Go);
        assert_eq!(old.push(&frame(120, false)), Flow::Go);
        assert_eq!(
            source.current_level_buffers(),
            2,
            "the new stream waits for its key frame"
        );
        assert_eq!(new.push(&frame(130, true)), Flow::Go);
        assert_eq!(old.push(&frame(140, false)), Flow::End);
        assert_eq!(source.current_level_buffers(), 3);
    }

    #[test]
    fn time_never_goes_back_at_a_seam() {
        let (switch, source) = switch();
        let mut old = switch.next(false);
        assert_eq!(old.push(&frame(100, true)), Flow::Go);
        let mut new = switch.next(false);
        assert_eq!(new.push(&frame(50, true)), Flow::Go);
        assert_eq!(new.push(&frame(150, false)), Flow::Go);
        assert_eq!(source.current_level_buffers(), 1);
        assert_eq!(new.push(&frame(160, true)), Flow::Go);
        assert_eq!(source.current_level_buffers(), 2);
    }

    #[test]
    fn a_stream_that_comes_later_is_let_ahead_and_asked_for_a_key_frame() {
        gst::init().unwrap();
        let source = source("in");
        let turns = Arc::<Mutex<Vec<Turn>>>::default();
        let kept = turns.clone();
        let switch = Switch::new(source.clone(), move |turn| kept.lock().unwrap().push(turn));
        let mut own = switch.next(false);
        let mut made = {
            own.push(&frame(1000, true));
            switch.next(true)
        };
        made.push(&frame(100, true));
        own.push(&frame(1033, false));
        assert_eq!(source.current_level_buffers(), 2, "it has not caught up");
        made.push(&frame(1000, false));
        own.push(&frame(1066, false));
        assert_eq!(source.current_level_buffers(), 2, "the old stream is held");
        assert_eq!(made.push(&frame(1033, true)), Flow::Go);
        assert_eq!(made.push(&frame(1066, true)), Flow::Go);
        assert_eq!(own.push(&frame(1100, true)), Flow::End);
        assert_eq!(source.current_level_buffers(), 3);
        let expected = [Turn::TakenOver(1), Turn::KeyWanted(2), Turn::TakenOver(2)];
        assert_eq!(*turns.lock().unwrap(), expected);
    }

    #[test]
    fn a_held_stream_goes_on_with_a_key_frame() {
        let (switch, source) = switch();
        let mut own = switch.next(false);
        own.push(&frame(1000, true));
        let mut made = switch.next(true);
        made.push(&frame(990, false));
        own.push(&frame(1033, false));
        drop(made);
        let _other = switch.next(false);
        own.push(&frame(1066, false));
        assert_eq!(source.current_level_buffers(), 1);
        own.push(&frame(1100, true));
        own.push(&frame(1133, false));
        assert_eq!(source.current_level_buffers(), 3);
    }

    #[test]
    fn a_pipeline_of_fixed_shape_ends_with_it() {
        gst::init().unwrap();
        let told = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let tell = told.clone();
        let mut fixed = Fixed::new(source("in"), move || {
            tell.store(true, std::sync::atomic::Ordering::Relaxed)
        });
        assert_eq!(fixed.push(&frame(1, true)), Flow::Go);
        let mut other = frame(2, true);
        other.caps = gst::Caps::builder("video/x-h264")
            .field("width", 320)
            .build();
        assert_eq!(fixed.push(&other), Flow::End);
        assert!(told.load(std::sync::atomic::Ordering::Relaxed));
    }
}
