//! Streams from real encoders, each encoded once.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use gst::prelude::*;

/// Caps and access units, or AAC frames.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    pub(crate) caps: gst::Caps,
    pub(crate) buffers: Vec<gst::Buffer>,
}

/// Frames per second and encoder of a test picture.
pub(crate) fn video(rate: &str, seconds: u64, encoder: &str) -> Stream {
    let (numerator, denominator) = rate.split_once('/').unwrap_or((rate, "1"));
    let (numerator, denominator): (u64, u64) =
        (numerator.parse().unwrap(), denominator.parse().unwrap());
    let count = (seconds * numerator).div_ceil(denominator);
    encoded(&format!(
        "videotestsrc num-buffers={count} pattern=ball ! \
         video/x-raw,format=I420,width=320,height=240,framerate={numerator}/{denominator} ! {encoder}"
    ))
}

/// H.264 as cameras send it: byte-stream, no B-frames.
pub(crate) fn h264(rate: &str, seconds: u64, group: u64) -> Stream {
    let encoder = format!(
        "x264enc tune=zerolatency speed-preset=ultrafast key-int-max={group} option-string=scenecut=0 ! \
         video/x-h264,stream-format=byte-stream,alignment=au"
    );
    video(rate, seconds, &encoder)
}

/// H.265 without B-frames.
pub(crate) fn h265(rate: &str, seconds: u64, group: u64) -> Stream {
    let encoder = format!(
        "x265enc tune=zerolatency speed-preset=ultrafast key-int-max={group} option-string=log-level=none ! \
         video/x-h265,stream-format=byte-stream,alignment=au"
    );
    video(rate, seconds, &encoder)
}

/// AAC-LC, one channel, with the pictures' zero a little after its own.
pub(crate) fn aac(rate: u64, seconds: u64) -> Stream {
    let count = seconds * rate / 1024 + 1;
    encoded(&format!(
        "audiotestsrc num-buffers={count} samplesperbuffer=1024 ! \
         audio/x-raw,rate={rate},channels=1 ! avenc_aac bitrate=48000"
    ))
}

fn encoded(launch: &str) -> Stream {
    static DONE: LazyLock<Mutex<HashMap<String, Stream>>> = LazyLock::new(Mutex::default);
    let mut done = DONE.lock().unwrap_or_else(PoisonError::into_inner);
    let stream = done.entry(launch.to_owned());
    stream.or_insert_with(|| encode(launch)).clone()
}

fn encode(launch: &str) -> Stream {
    crate::common::init();
    let pipeline = gst::parse::launch(&format!("{launch} ! appsink name=out sync=false")).unwrap();
    let bin = pipeline.downcast_ref::<gst::Bin>().unwrap();
    let sink = bin.by_name("out").unwrap();
    let sink = sink.downcast::<gst_app::AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let mut buffers = Vec::new();
    let mut caps = None;
    while let Ok(sample) = sink.pull_sample() {
        let segment = sample
            .segment()
            .unwrap()
            .downcast_ref::<gst::ClockTime>()
            .unwrap()
            .clone();
        let mut buffer = sample.buffer_owned().unwrap();
        // As from a ring: running times, and no decoding times.
        let pts = segment.to_running_time(buffer.pts().unwrap()).unwrap();
        let buffer_mut = buffer.make_mut();
        buffer_mut.set_pts(pts);
        buffer_mut.set_dts(gst::ClockTime::NONE);
        buffers.push(buffer);
        caps = sample.caps_owned();
    }
    pipeline.set_state(gst::State::Null).unwrap();
    let caps = caps.unwrap_or_else(|| panic!("nothing came of {launch}"));
    Stream { caps, buffers }
}

impl Stream {
    /// The same, all times moved by so many milliseconds.
    pub(crate) fn moved(mut self, milliseconds: i64) -> Self {
        for buffer in &mut self.buffers {
            let pts = buffer.pts().unwrap().nseconds() as i64 + milliseconds * 1_000_000;
            let pts = u64::try_from(pts).unwrap();
            buffer
                .make_mut()
                .set_pts(gst::ClockTime::from_nseconds(pts));
        }
        self
    }
}
