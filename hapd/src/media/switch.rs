//! One viewer's stream, made of one after the other.

use std::cmp::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gsthomekit::ring::{Backlog, Flow, Frame, Queue};

/// A stream that is this near to what was sent has caught up.
const NEAR: gst::ClockTime = gst::ClockTime::from_mseconds(500);

/// An encoder that made no key frame for so long is asked again: it may not have been ready to hear.
const PATIENCE: gst::ClockTime = gst::ClockTime::from_mseconds(300);

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

/// Where the frames go.
type Output = Box<dyn Fn(&Frame) -> Flow + Send>;

struct Seam {
    output: Output,
    tell: Box<dyn Fn(Turn) + Send>,
    /// Number of the stream that feeds now; 0 = none yet.
    current: u64,
    /// Numbers given out.
    last: u64,
    /// Running time of the newest frame sent.
    sent: Option<gst::ClockTime>,
    /// The current stream is held, so that another can get ahead of it: asked for a key frame at this time of its own.
    held: Option<gst::ClockTime>,
    /// Frames of the current stream are missing.
    broken: bool,
}

impl Switch {
    /// Frames go to `output`, which may not block; `tell` is called when something happens.
    pub(super) fn new(
        output: impl Fn(&Frame) -> Flow + Send + 'static,
        tell: impl Fn(Turn) + Send + 'static,
    ) -> Self {
        Self(Arc::new(Mutex::new(Seam {
            output: Box::new(output),
            tell: Box::new(tell),
            current: 0,
            last: 0,
            sent: None,
            held: None,
            broken: false,
        })))
    }

    /// A queue for the next stream. `prompt` says that it makes a key frame when asked.
    pub(super) fn next(&self, prompt: bool) -> Line {
        let mut seam = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seam.last += 1;
        seam.held = None;
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

    fn lock(&self) -> MutexGuard<'_, Seam> {
        self.seam.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue for Line {
    /// Sending does not block, so nothing waits here.
    fn backlog(&self) -> Backlog {
        Backlog::default()
    }

    fn push(&mut self, frame: &Frame) -> Flow {
        let mut seam = self.lock();
        match seam.wants(self, frame) {
            Wants::Frame => seam.send(frame),
            Wants::Nothing => Flow::Go,
            Wants::End => Flow::End,
        }
    }

    /// The past is shown in fast motion.
    fn catch_up(&mut self, frame: &Frame, newer: usize, newest: gst::ClockTime) -> Flow {
        let mut seam = self.lock();
        match seam.wants(self, frame) {
            Wants::Frame => seam.send(&frame.in_fast_motion(newer, newest)),
            Wants::Nothing => Flow::Go,
            Wants::End => Flow::End,
        }
    }
}

/// What a seam does with a frame.
enum Wants {
    Frame,
    Nothing,
    End,
}

impl Seam {
    fn wants(&mut self, line: &Line, frame: &Frame) -> Wants {
        match line.number.cmp(&self.current) {
            Ordering::Less => Wants::End,
            Ordering::Equal if !self.continues(frame) => Wants::Nothing,
            Ordering::Greater if !self.takes_over(line, frame) => Wants::Nothing,
            _ => Wants::Frame,
        }
    }

    fn continues(&mut self, frame: &Frame) -> bool {
        self.broken = self.held.is_some() || (self.broken && !frame.key);
        !self.broken
    }

    fn takes_over(&mut self, line: &Line, frame: &Frame) -> bool {
        let ahead = self.sent.is_none_or(|sent| frame.time() > sent);
        if frame.key && ahead {
            self.current = line.number;
            (self.held, self.broken) = (None, false);
            (self.tell)(Turn::TakenOver(line.number));
            return true;
        }
        // A stream that is made from another comes later than that, for ever. The old one is held as soon as the new one
        // has caught up: two or three frames are left out.
        let caught_up = self.sent.is_none_or(|sent| frame.time() + NEAR > sent);
        let asked = self.held.is_some_and(|at| frame.time() < at + PATIENCE);
        if line.prompt && line.number == self.last && caught_up && !asked {
            self.held = Some(frame.time());
            (self.tell)(Turn::KeyWanted(line.number));
        }
        false
    }

    fn send(&mut self, frame: &Frame) -> Flow {
        self.sent = self.sent.max(Some(frame.time()));
        (self.output)(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(ms: u64, key: bool) -> Frame {
        gst::init().unwrap();
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

    /// The times of what was sent.
    #[derive(Clone, Default)]
    struct Sent(Arc<Mutex<Vec<u64>>>);

    impl Sent {
        fn output(&self) -> impl Fn(&Frame) -> Flow + Send + use<> {
            let sent = self.0.clone();
            move |frame| {
                sent.lock().unwrap().push(frame.time().mseconds());
                Flow::Go
            }
        }

        fn times(&self) -> Vec<u64> {
            self.0.lock().unwrap().clone()
        }

        fn count(&self) -> usize {
            self.times().len()
        }
    }

    fn switch() -> (Switch, Sent) {
        let sent = Sent::default();
        (Switch::new(sent.output(), |_| {}), sent)
    }

    #[test]
    fn the_past_is_shown_in_fast_motion() {
        let (switch, sent) = switch();
        let mut line = switch.next(false);
        let newest = gst::ClockTime::from_mseconds(1200);
        for (time, newer) in [(1000, 3), (1100, 2), (1199, 1), (1200, 0)] {
            line.catch_up(&frame(time, newer == 3), newer, newest);
        }
        line.push(&frame(1300, false));
        assert_eq!(sent.times(), [1197, 1198, 1199, 1200, 1300]);
    }

    #[test]
    fn the_past_of_a_stream_does_not_repeat_what_was_sent() {
        let (switch, sent) = switch();
        switch.next(false).push(&frame(1100, true));
        let mut line = switch.next(false);
        let newest = gst::ClockTime::from_mseconds(1200);
        line.catch_up(&frame(1000, true), 1, newest);
        line.catch_up(&frame(1200, false), 0, newest);
        line.push(&frame(1300, true));
        assert_eq!(sent.times(), [1100, 1300]);
    }

    #[test]
    fn the_next_stream_takes_over_at_its_key_frame() {
        let (switch, sent) = switch();
        let mut old = switch.next(false);
        assert_eq!(old.push(&frame(100, true)), Flow::Go);
        let mut new = switch.next(false);
        assert_eq!(new.push(&frame(110, false)), Flow::Go);
        assert_eq!(old.push(&frame(120, false)), Flow::Go);
        assert_eq!(sent.count(), 2, "the new stream waits for its key frame");
        assert_eq!(new.push(&frame(130, true)), Flow::Go);
        assert_eq!(old.push(&frame(140, false)), Flow::End);
        assert_eq!(sent.count(), 3);
    }

    #[test]
    fn time_never_goes_back_at_a_seam() {
        let (switch, sent) = switch();
        let mut old = switch.next(false);
        assert_eq!(old.push(&frame(100, true)), Flow::Go);
        let mut new = switch.next(false);
        assert_eq!(new.push(&frame(50, true)), Flow::Go);
        assert_eq!(new.push(&frame(150, false)), Flow::Go);
        assert_eq!(sent.count(), 1);
        assert_eq!(new.push(&frame(160, true)), Flow::Go);
        assert_eq!(sent.count(), 2);
    }

    #[test]
    fn a_stream_that_comes_later_is_let_ahead_and_asked_for_a_key_frame() {
        let sent = Sent::default();
        let turns = Arc::<Mutex<Vec<Turn>>>::default();
        let kept = turns.clone();
        let switch = Switch::new(sent.output(), move |turn| kept.lock().unwrap().push(turn));
        let mut own = switch.next(false);
        let mut made = {
            own.push(&frame(1000, true));
            switch.next(true)
        };
        made.push(&frame(100, true));
        own.push(&frame(1033, false));
        assert_eq!(sent.count(), 2, "it has not caught up");
        made.push(&frame(1000, false));
        own.push(&frame(1066, false));
        assert_eq!(sent.count(), 2, "the old stream is held");
        made.push(&frame(1010, false));
        assert_eq!(made.push(&frame(1033, true)), Flow::Go);
        assert_eq!(made.push(&frame(1066, true)), Flow::Go);
        assert_eq!(own.push(&frame(1100, true)), Flow::End);
        assert_eq!(sent.count(), 3);
        let expected = [Turn::TakenOver(1), Turn::KeyWanted(2), Turn::TakenOver(2)];
        assert_eq!(*turns.lock().unwrap(), expected);
    }

    #[test]
    fn a_held_stream_goes_on_with_a_key_frame() {
        let (switch, sent) = switch();
        let mut own = switch.next(false);
        own.push(&frame(1000, true));
        let mut made = switch.next(true);
        made.push(&frame(990, false));
        own.push(&frame(1033, false));
        drop(made);
        let _other = switch.next(false);
        own.push(&frame(1066, false));
        assert_eq!(sent.count(), 1);
        own.push(&frame(1100, true));
        own.push(&frame(1133, false));
        assert_eq!(sent.count(), 3);
    }
}
