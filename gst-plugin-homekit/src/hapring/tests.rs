use std::sync::{Arc, Mutex};

use gst::prelude::*;

/// Frames of 100 bytes, each tenth a key frame, pushed by hand.
struct Camera {
    pipeline: gst::Pipeline,
    source: gst_app::AppSrc,
    ring: gst::Element,
}

/// What a reader got: (milliseconds, key).
type Got = Arc<Mutex<Vec<(u64, bool)>>>;

impl Camera {
    fn new() -> Self {
        gst::init().unwrap();
        crate::plugin_register_static().unwrap();
        let caps = gst::Caps::builder("video/x-h264")
            .field("width", 640)
            .build();
        let source = gst_app::AppSrc::builder()
            .format(gst::Format::Time)
            .caps(&caps)
            .build();
        let ring = gst::ElementFactory::make("hapring").build().unwrap();
        let pipeline = gst::Pipeline::new();
        pipeline.add_many([source.upcast_ref(), &ring]).unwrap();
        source.link(&ring).unwrap();
        Self {
            pipeline,
            source,
            ring,
        }
    }

    fn play(&self) {
        self.pipeline.set_state(gst::State::Playing).unwrap();
    }

    fn push(&self, ms: u64, key: bool) {
        let mut buffer = gst::Buffer::with_size(100).unwrap();
        let buffer_ref = buffer.get_mut().unwrap();
        buffer_ref.set_pts(gst::ClockTime::from_mseconds(ms));
        if !key {
            buffer_ref.set_flags(gst::BufferFlags::DELTA_UNIT);
        }
        self.source.push_buffer(buffer).unwrap();
    }

    fn second(&self, second: u64) {
        (0..10).for_each(|n| self.push(second * 1000 + n * 100, n == 0));
    }

    /// A reader that blocks after `most` buffers.
    fn reader(&self, most: usize) -> (gst::Element, Got) {
        let got = Got::default();
        let sink = gst::ElementFactory::make("fakesink")
            .property("async", false)
            .property("signal-handoffs", true)
            .build()
            .unwrap();
        let kept = got.clone();
        sink.connect("handoff", false, move |values| {
            let buffer = values[1].get::<gst::Buffer>().unwrap();
            let key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
            let mut kept = kept.lock().unwrap();
            kept.push((buffer.pts().unwrap().mseconds(), key));
            let full = kept.len() == most;
            drop(kept);
            if full {
                std::thread::sleep(std::time::Duration::from_millis(800));
            }
            None
        });
        self.pipeline.add(&sink).unwrap();
        let pad = self.ring.request_pad_simple("src_%u").unwrap();
        pad.link(&sink.static_pad("sink").unwrap()).unwrap();
        sink.sync_state_with_parent().unwrap();
        (sink, got)
    }

    fn held(&self) -> u64 {
        self.ring
            .property::<gst::Structure>("stats")
            .get("frames")
            .unwrap()
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.pipeline.set_state(gst::State::Null).unwrap();
    }
}

fn until(mut done: impl FnMut() -> bool) {
    for _ in 0..500 {
        if done() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("it did not happen within 5 seconds");
}

fn times(got: &Got) -> Vec<u64> {
    got.lock().unwrap().iter().map(|(time, _)| *time).collect()
}

#[test]
fn a_late_reader_begins_with_the_newest_key_frame_in_fast_motion() {
    let camera = Camera::new();
    camera.play();
    camera.second(1);
    (0..5).for_each(|n| camera.push(2000 + n * 100, n == 0));
    until(|| camera.held() == 5);
    let (_sink, got) = camera.reader(usize::MAX);
    camera.push(2500, false);
    until(|| times(&got).len() == 6);
    assert_eq!(times(&got), [2396, 2397, 2398, 2399, 2400, 2500]);
    assert!(got.lock().unwrap()[0].1);
}

#[test]
fn a_reader_may_begin_in_the_past() {
    let camera = Camera::new();
    camera.ring.set_property("history", 3000_u32);
    camera.ring.set_property("start-offset", 1000_u32);
    camera.play();
    (1..5).for_each(|second| camera.second(second));
    until(|| camera.held() == 40);
    let (_sink, got) = camera.reader(usize::MAX);
    until(|| times(&got).len() == 20);
    assert_eq!(times(&got)[..3], [3000, 3100, 3200]);
}

#[test]
fn a_slow_reader_loses_frames_up_to_a_key_frame_and_nobody_waits_for_it() {
    let camera = Camera::new();
    let (slow_sink, slow) = camera.reader(3);
    let pad = slow_sink.static_pad("sink").unwrap().peer().unwrap();
    pad.set_property("max-frames", 5_u32);
    let (_, quick) = camera.reader(usize::MAX);
    camera.play();
    (1..5).for_each(|second| camera.second(second));
    until(|| times(&quick).len() == 40);
    let dropped = || pad.property::<u64>("dropped") as usize;
    until(|| dropped() > 0 && times(&slow).len() + dropped() == 40);
    camera.push(5000, true);
    until(|| times(&slow).last() == Some(&5000));
    let slow = slow.lock().unwrap();
    let gap = slow
        .windows(2)
        .position(|pair| pair[1].0 - pair[0].0 > 100)
        .unwrap();
    assert!(slow[gap + 1].1, "it goes on with a key frame");
    assert_eq!(dropped(), 41 - slow.len());
}

#[test]
fn new_caps_and_times_that_jump_are_survived() {
    let camera = Camera::new();
    let (sink, got) = camera.reader(usize::MAX);
    camera.play();
    camera.second(9);
    let wider = gst::Caps::builder("video/x-h264")
        .field("width", 1280)
        .build();
    camera.source.set_caps(Some(&wider));
    camera.push(0, false);
    camera.second(0);
    until(|| times(&got).len() == 20);
    let times = times(&got);
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
    let caps = sink.static_pad("sink").unwrap().current_caps();
    assert_eq!(caps, Some(wider));
}

#[test]
fn the_end_of_the_source_reaches_every_reader() {
    let camera = Camera::new();
    let _readers = [camera.reader(usize::MAX), camera.reader(usize::MAX)];
    camera.play();
    camera.second(1);
    camera.source.end_of_stream().unwrap();
    let wanted = [gst::MessageType::Eos, gst::MessageType::Error];
    let bus = camera.pipeline.bus().unwrap();
    let message = bus.timed_pop_filtered(gst::ClockTime::from_seconds(5), &wanted);
    assert_eq!(message.unwrap().type_(), gst::MessageType::Eos);
}

#[test]
fn readers_come_and_go_while_it_plays() {
    let camera = Camera::new();
    camera.play();
    for second in 0..20 {
        let (sink, got) = camera.reader(usize::MAX);
        camera.second(second);
        until(|| !times(&got).is_empty());
        let pad = sink.static_pad("sink").unwrap().peer().unwrap();
        camera.ring.release_request_pad(&pad);
        sink.set_state(gst::State::Null).unwrap();
        camera.pipeline.remove(&sink).unwrap();
    }
    assert_eq!(
        camera
            .ring
            .property::<gst::Structure>("stats")
            .get::<u32>("readers"),
        Ok(0)
    );
}

#[test]
fn requests_for_key_frames_reach_the_source() {
    let camera = Camera::new();
    let (sink, _got) = camera.reader(usize::MAX);
    camera.play();
    camera.second(1);
    let asked = Arc::new(Mutex::new(0));
    let count = asked.clone();
    let pad = camera.source.static_pad("src").unwrap();
    pad.add_probe(gst::PadProbeType::EVENT_UPSTREAM, move |_, info| {
        let event = info.event().unwrap();
        *count.lock().unwrap() +=
            u32::from(gst_video::UpstreamForceKeyUnitEvent::parse(event).is_ok());
        gst::PadProbeReturn::Ok
    });
    let event = gst_video::UpstreamForceKeyUnitEvent::builder()
        .all_headers(true)
        .build();
    // An appsrc has no encoder to ask, and says so.
    sink.static_pad("sink").unwrap().push_event(event);
    assert_eq!(*asked.lock().unwrap(), 1);
}
