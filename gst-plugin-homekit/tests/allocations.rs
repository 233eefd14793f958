//! Sending allocates nothing per packet: neither payloads, nor SRTP, nor the send call do.

mod common;

use common::h264::{IDR, PPS, SPS, annex_b, caps};
use common::*;
use gst::prelude::*;
use gsthomekit::ring::{Flow, Frame, Source};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const FRAMES: u64 = 200;

/// Blocks allocated per frame of `bytes`, and packets it makes.
fn cost(bytes: usize) -> (f64, f64) {
    let controller = Controller::default();
    let sink = sink(controller.address());
    sink.set_property("sync", false);
    sink.set_property("blocking", false);
    sink.set_property("pacing", 0.0);
    let source = Source::new("in");
    let pipeline = gst::Pipeline::new();
    pipeline.add_many([source.upcast_ref(), &sink]).unwrap();
    source.link(&sink).unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let frames: Vec<Frame> = (0..2 * FRAMES).map(|n| frame(bytes, n)).collect();
    let push = |frames: &[Frame]| {
        for frame in frames {
            assert_eq!(source.push(frame), Flow::Go);
        }
    };
    let (warm, measured) = frames.split_at(FRAMES as usize);
    push(warm);
    let (packets, blocks) = (
        stat(&sink, "packets-sent"),
        dhat::HeapStats::get().total_blocks,
    );
    push(measured);
    let blocks = dhat::HeapStats::get().total_blocks - blocks;
    let packets = stat(&sink, "packets-sent") - packets;
    pipeline.set_state(gst::State::Null).unwrap();
    (
        blocks as f64 / FRAMES as f64,
        packets as f64 / FRAMES as f64,
    )
}

fn frame(bytes: usize, number: u64) -> Frame {
    let mut idr = IDR.to_vec();
    idr.resize(bytes, 0x55);
    let mut buffer = gst::Buffer::from_slice(annex_b(&[SPS, PPS, &idr]));
    let time = gst::ClockTime::from_mseconds(number * 33);
    buffer.get_mut().unwrap().set_pts(time);
    Frame {
        buffer,
        caps: caps(),
        key: true,
    }
}

#[test]
fn a_frame_of_many_packets_costs_no_more_allocations_than_one_of_few() {
    let _profiler = dhat::Profiler::builder().testing().build();
    init();
    let (small, few) = cost(1000);
    let (large, many) = cost(60_000);
    assert!(many > 20.0 * few, "{few} and {many} packets");
    assert!(
        large - small < 0.5,
        "{small} and {large} allocations per frame"
    );
    assert!(large < 6.0, "{large} allocations per frame");
}
