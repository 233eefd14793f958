//! From memory into a pipeline: appsrc as the queue of a reader.

use super::track::same_shape;
use gsthomekit::ring::{Backlog, Flow, Frame, Queue};

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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

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
