//! Which encoding of a camera is watched, and which of its frames.

use std::sync::Arc;

use gsthomekit::ring::{Backlog, Flow, Frame, Queue, Ring};

use super::super::camera::Shared;
use super::super::feed::Fixed;
use super::super::track::Codec;

/// Pictures that a detector looks at per second.
pub(super) const RATE: u64 = 5;
/// Pictures may be early by a part of the time between two.
const INTERVAL: gst::ClockTime = gst::ClockTime::from_mseconds(1000 / RATE * 9 / 10);

/// Of larger pictures only key frames are decoded, if they come often.
const SMALL: i32 = 800 * 600;
const OFTEN: gst::ClockTime = gst::ClockTime::from_mseconds(1100);
/// Once only key frames are decoded, it stays so up to this distance.
const SELDOM: gst::ClockTime = gst::ClockTime::from_mseconds(1600);

/// Which frames of an encoding are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frames {
    /// Every frame: the detector takes from the pictures what it wants.
    All,
    /// Key frames, at most [`RATE`] a second: of raw video and JPEG any frame is one.
    Keys,
}

/// An encoding that can be watched.
#[derive(Clone, Debug)]
pub(super) struct Picked {
    pub(super) ring: Arc<Ring>,
    pub(super) caps: gst::Caps,
    pub(super) frames: Frames,
}

/// The encoding to watch now: the wanted one, or else the lowest that delivers. `keys`: only key frames were decoded of it
/// up to now.
pub(super) fn pick(shared: &Shared, wanted: Option<usize>, keys: bool) -> Option<Picked> {
    let ring = |tracks: &Arc<super::super::tracks::Tracks>| {
        let ring = tracks.video.clone();
        let caps = ring.caps().filter(|_| tracks.is_running())?;
        Some((ring, caps))
    };
    let all: Vec<_> = shared.all_tracks().collect();
    let wanted = wanted.and_then(|index| all.get(index)).into_iter();
    let (ring, caps) = wanted
        .chain(all.iter().rev())
        .find_map(|tracks| ring(tracks))?;
    let frames = frames(&ring, &caps, keys);
    Some(Picked { ring, caps, frames })
}

fn frames(ring: &Ring, caps: &gst::Caps, keys: bool) -> Frames {
    match Codec::of(caps) {
        Some(Codec::H264 | Codec::H265) if is_small(caps) => Frames::All,
        Some(Codec::H264 | Codec::H265) => {
            let most = if keys { SELDOM } else { OFTEN };
            match ring.key_distance() {
                Some(distance) if distance <= most => Frames::Keys,
                _ => Frames::All,
            }
        }
        Some(Codec::RawVideo) => Frames::Keys,
        _ if caps.structure(0).is_some_and(|s| s.name() == "image/jpeg") => Frames::Keys,
        _ => Frames::All,
    }
}

pub(super) fn is_small(caps: &gst::Caps) -> bool {
    let side = |name| caps.structure(0)?.get::<i32>(name).ok();
    let area = side("width")
        .zip(side("height"))
        .map(|(w, h)| w.saturating_mul(h));
    area.is_some_and(|area| area <= SMALL)
}

/// How much may wait for the decoder.
pub(super) fn backlog(caps: &gst::Caps) -> Backlog {
    match Codec::of(caps) {
        Some(Codec::RawVideo) => Backlog {
            frames: 2,
            bytes: 256 << 20,
        },
        _ => Backlog {
            frames: 60,
            bytes: 16 << 20,
        },
    }
}

/// Leaves out frames that nobody would look at, before anything is done with them.
pub(super) struct Sparse {
    pub(super) inner: Fixed,
    pub(super) frames: Frames,
    last: Option<gst::ClockTime>,
}

impl Sparse {
    pub(super) fn new(inner: Fixed, frames: Frames) -> Self {
        Self {
            inner,
            frames,
            last: None,
        }
    }

    fn is_wanted(&mut self, frame: &Frame) -> bool {
        if self.frames == Frames::All {
            return true;
        }
        let time = frame.time();
        // Also when the time stepped back.
        let soon = |last: gst::ClockTime| time >= last && time < last + INTERVAL;
        if !frame.key || self.last.is_some_and(soon) {
            return false;
        }
        self.last = Some(time);
        true
    }
}

impl Queue for Sparse {
    fn backlog(&self) -> Backlog {
        self.inner.backlog()
    }

    fn push(&mut self, frame: &Frame) -> Flow {
        match self.is_wanted(frame) {
            true => self.inner.push(frame),
            false => Flow::Go,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use gsthomekit::ring::Limits;

    use super::super::super::feed;
    use super::*;

    fn frame(ms: u64, key: bool) -> Frame {
        let mut buffer = gst::Buffer::with_size(10).unwrap();
        let time = gst::ClockTime::from_mseconds(ms);
        buffer.get_mut().unwrap().set_pts(time);
        Frame {
            buffer,
            caps: gst::Caps::builder("video/x-h264").build(),
            key,
        }
    }

    fn ring(key_distance_ms: u64) -> Arc<Ring> {
        let ring = Ring::new(Limits::LIVE);
        for i in 0..40 {
            ring.publish(frame(i * 100, (i * 100) % key_distance_ms == 0));
        }
        ring
    }

    #[test]
    fn large_pictures_are_decoded_by_their_key_frames_if_these_come_often() {
        gst::init().unwrap();
        let h264 = |width, height| {
            let text = format!("video/x-h264,width={width},height={height}");
            gst::Caps::from_str(&text).unwrap()
        };
        let chosen =
            |size: (i32, i32), distance, keys| frames(&ring(distance), &h264(size.0, size.1), keys);
        assert_eq!(chosen((1920, 1080), 1000, false), Frames::Keys);
        assert_eq!(chosen((1920, 1080), 1500, false), Frames::All);
        assert_eq!(chosen((1920, 1080), 1500, true), Frames::Keys);
        assert_eq!(chosen((1920, 1080), 2000, true), Frames::All);
        assert_eq!(chosen((640, 360), 1000, false), Frames::All);
    }

    #[test]
    fn raw_video_and_jpeg_are_thinned_out() {
        gst::init().unwrap();
        for text in ["video/x-raw,format=I420", "image/jpeg,width=640,height=480"] {
            let caps = gst::Caps::from_str(text).unwrap();
            assert_eq!(frames(&ring(100), &caps, false), Frames::Keys, "{text}");
        }
    }

    #[test]
    fn at_most_so_many_key_frames_a_second_pass() {
        gst::init().unwrap();
        let fixed = || Fixed::new(feed::source("in"), || {});
        let mut sparse = Sparse::new(fixed(), Frames::Keys);
        let mut passed = |ms, key| sparse.is_wanted(&frame(ms, key));
        let count = (0..90).filter(|i| passed(i * 33, true)).count();
        assert!((13..=16).contains(&count), "{count} in 3 s");
        assert!(!passed(5000, false) && passed(5000, true));
        assert!(passed(100, true), "the time stepped back");
        let mut all = Sparse::new(fixed(), Frames::All);
        assert!((0..90).all(|i| all.is_wanted(&frame(i * 33, i == 0))));
    }
}
