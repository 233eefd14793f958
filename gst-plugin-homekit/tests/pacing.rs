//! Large frames leave at a pace, and hold up nothing else.

mod common;

use std::time::{Duration, Instant};

use common::h264::{IDR, PPS, SPS, annex_b, caps, key_frame};
use common::*;
use gst::prelude::*;
use rtp_feedback::TmmbEntry;

/// A playing pipeline of `appsrc` and the sink, and the controller.
struct Bench {
    source: gst_app::AppSrc,
    sink: gst::Element,
    pipeline: gst::Pipeline,
    controller: Controller,
}

impl Bench {
    fn new(pacing: f64, target_bitrate: u32, blocking: bool) -> Self {
        init();
        let controller = Controller::default();
        let sink = sink(controller.address());
        sink.set_property("sync", false);
        sink.set_property("blocking", blocking);
        sink.set_property("pacing", pacing);
        sink.set_property("target-bitrate", target_bitrate);
        let source = gst_app::AppSrc::builder()
            .caps(&caps())
            .format(gst::Format::Time)
            .build();
        let pipeline = gst::Pipeline::new();
        pipeline.add_many([source.upcast_ref(), &sink]).unwrap();
        source.link(&sink).unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        Self {
            source,
            sink,
            pipeline,
            controller,
        }
    }

    fn push(&self, data: Vec<u8>, milliseconds: u64) {
        let mut buffer = gst::Buffer::from_slice(data);
        let pts = gst::ClockTime::from_mseconds(milliseconds);
        buffer.get_mut().unwrap().set_pts(pts);
        self.source.push_buffer(buffer).unwrap();
    }

    /// Arrival of each packet of the next frame, since the first one.
    fn arrivals(&mut self) -> Vec<Duration> {
        let mut arrivals = Vec::new();
        let mut start = None;
        loop {
            let (header, _) = self.controller.rtp();
            arrivals.push(start.get_or_insert_with(Instant::now).elapsed());
            if header.marker {
                return arrivals;
            }
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

fn large_key_frame(bytes: usize) -> Vec<u8> {
    let mut idr = IDR.to_vec();
    idr.resize(bytes, 0x55);
    annex_b(&[SPS, PPS, &idr])
}

#[test]
fn a_key_frame_is_spread_and_an_ordinary_one_is_not() {
    for blocking in [true, false] {
        let mut bench = Bench::new(8.0, 4_000_000, blocking);
        bench.push(large_key_frame(150_000), 0);
        let arrivals = bench.arrivals();
        // 50 KB in the bucket, the rest at 4 MB/s.
        let last = *arrivals.last().unwrap();
        assert!(last >= Duration::from_millis(20), "{last:?}");
        let at_once = arrivals.iter().filter(|t| t.as_millis() < 3).count();
        assert!(at_once < arrivals.len() / 2, "{arrivals:?}");
        assert_eq!(stat(&bench.sink, "paced-frames"), 1);
        let paced = stat(&bench.sink, "paced-us");
        assert!((20_000..250_000).contains(&paced), "{paced}");

        bench.controller.sender_report();
        let idle = Duration::from_millis(60);
        bench.controller.stays_silent_for(idle);
        bench.push(large_key_frame(30_000), 100);
        bench.arrivals();
        assert_eq!(stat(&bench.sink, "paced-frames"), 1);
        assert_eq!(stat(&bench.sink, "send-errors"), 0);
    }
}

#[test]
fn a_frame_on_its_way_holds_up_neither_feedback_nor_reports() {
    for blocking in [true, false] {
        // 250 ms: the longest that pacing takes.
        let mut bench = Bench::new(1.0, 100_000, blocking);
        bench.push(key_frame(), 0);
        bench.controller.sender_report();
        bench.push(large_key_frame(200_000), 33);
        bench.controller.rtp();
        let cap = TmmbEntry {
            ssrc: OURS,
            bitrate: 90_000,
            overhead: 40,
        };
        let request = from_controller().max_bitrate_request(&[cap]);
        bench.controller.say(&bench.sink, request);
        // The confirmation overtakes the rest of the frame.
        let mut packets = 0;
        while let Heard::Rtp { header, .. } = bench.controller.hear() {
            assert!(!header.marker, "the frame came first");
            packets += 1;
        }
        let rest = bench.arrivals().len();
        assert!(packets + rest > 100, "{packets} + {rest}");
        assert_eq!(stat(&bench.sink, "pace-raised"), 1);
        assert_eq!(stat(&bench.sink, "tmmbr-received"), 1);
    }
}

#[test]
fn a_stop_gives_up_what_waits_to_be_sent() {
    for blocking in [true, false] {
        let mut bench = Bench::new(1.0, 100_000, blocking);
        bench.push(large_key_frame(200_000), 0);
        bench.controller.rtp();
        bench.pipeline.set_state(gst::State::Ready).unwrap();
        assert!(stat(&bench.sink, "packets-flushed") > 0);
    }
}

#[test]
fn a_flush_gives_up_what_waits_to_be_sent() {
    for blocking in [true, false] {
        let mut bench = Bench::new(1.0, 100_000, blocking);
        bench.push(large_key_frame(200_000), 0);
        bench.controller.rtp();
        bench.source.send_event(gst::event::FlushStart::new());
        assert!(bench.source.send_event(gst::event::FlushStop::new(true)));
        assert!(stat(&bench.sink, "packets-flushed") > 0);
    }
}

#[test]
fn a_paused_frame_goes_on_where_it_stopped() {
    for blocking in [true, false] {
        let mut bench = Bench::new(1.0, 100_000, blocking);
        bench.push(large_key_frame(200_000), 0);
        bench.controller.rtp();
        bench.pipeline.set_state(gst::State::Paused).unwrap();
        bench.pipeline.set_state(gst::State::Playing).unwrap();
        bench.arrivals();
        assert_eq!(stat(&bench.sink, "packets-flushed"), 0);
    }
}

#[test]
fn pacing_can_be_turned_off() {
    for blocking in [true, false] {
        let mut bench = Bench::new(0.0, 100_000, blocking);
        bench.push(large_key_frame(60_000), 0);
        bench.arrivals();
        bench.controller.sender_report();
        assert_eq!(stat(&bench.sink, "paced-frames"), 0);
        assert_eq!(stat(&bench.sink, "paced-us"), 0);
    }
}

#[test]
fn without_blocking_the_source_does_not_wait_and_the_end_waits_for_the_rest() {
    let mut bench = Bench::new(1.0, 100_000, false);
    bench.push(large_key_frame(60_000), 0);
    bench.push(large_key_frame(1000), 33);
    bench.source.end_of_stream().unwrap();
    let taken = || stat(&bench.sink, "frames-sent") == 2;
    let start = Instant::now();
    while !taken() && start.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(
        stat(&bench.sink, "paced-frames"),
        0,
        "the first is on its way"
    );
    let bus = bench.pipeline.bus().unwrap();
    let wanted = [gst::MessageType::Eos];
    assert!(
        bus.timed_pop_filtered(gst::ClockTime::from_seconds(5), &wanted)
            .is_some()
    );
    assert_eq!(stat(&bench.sink, "paced-frames"), 2);
    assert!(bench.arrivals().len() > 30);
    assert!(!bench.arrivals().is_empty());
    assert_eq!(stat(&bench.sink, "packets-flushed"), 0);
}
