//! The encoder obeys: `hapencctl` with real encoders, measured on the wire.

mod common;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use common::*;
use gst::prelude::*;
use rtp_feedback::TmmbEntry;

/// Noise, which costs as many bits as an encoder may spend.
const NOISE: &str = "videotestsrc is-live=true pattern=snow ! \
    video/x-raw,format=I420,width=320,height=240,framerate=30/1";

/// RTP bytes per second, as bit/s, of the next `span`.
fn wire_bitrate(controller: &mut Controller, span: Duration) -> f64 {
    let start = Instant::now();
    let mut bytes = 0;
    while start.elapsed() < span {
        let (_, payload) = controller.rtp();
        // RTP header and tag as well.
        bytes += payload.len() + 22;
    }
    bytes as f64 * 8.0 / start.elapsed().as_secs_f64()
}

fn skip(controller: &mut Controller, span: Duration) {
    wire_bitrate(controller, span);
}

fn request(bitrate: u64) -> rtp_feedback::Writer {
    from_controller().max_bitrate_request(&[TmmbEntry {
        ssrc: OURS,
        bitrate,
        overhead: 40,
    }])
}

/// The bitrate on the wire is under the cap within two seconds, though it was far above.
fn is_under_the_cap_within_two_seconds(encoder: &str) {
    // One encoder at a time: each needs what there is of the processor to be above the cap at all.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    init();
    let mut controller = Controller::default();
    let sink = sink(controller.address());
    let pipeline = pipeline(
        &format!("{NOISE} ! {encoder} ! hapencctl name=control"),
        &sink,
    );
    let _stop = play(&pipeline);
    skip(&mut controller, Duration::from_secs(1));
    let before = wire_bitrate(&mut controller, Duration::from_secs(1));
    assert!(before > 450_000.0, "{encoder}: {before} bit/s before");

    let cap = 300_000;
    controller.say(&sink, request(cap));
    skip(&mut controller, Duration::from_secs(2));
    let after = wire_bitrate(&mut controller, Duration::from_secs(2));
    assert!(after <= cap as f64, "{encoder}: {after} bit/s after");
    assert!(after >= cap as f64 / 4.0, "{encoder}: {after} bit/s after");
    assert_eq!(sink.property::<u32>("max-bitrate"), cap as u32);
    let control = pipeline.by_name("control").unwrap();
    assert_eq!(control.property::<u32>("bitrate"), 255_000);
}

#[test]
fn x264enc_obeys() {
    is_under_the_cap_within_two_seconds(
        "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=60 bitrate=1000 ! \
         video/x-h264,profile=baseline ! h264parse config-interval=-1",
    );
}

#[test]
fn openh264enc_obeys() {
    is_under_the_cap_within_two_seconds(
        "openh264enc rate-control=bitrate enable-frame-skip=true complexity=low gop-size=60 bitrate=1000000 ! \
         h264parse config-interval=-1",
    );
}

#[test]
fn x265enc_obeys() {
    is_under_the_cap_within_two_seconds(
        "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=60 bitrate=1000 \
         option-string=vbv-maxrate=1000:vbv-bufsize=500:log-level=none ! \
         h265parse config-interval=-1",
    );
}

/// A pipeline without network: what comes from downstream is said by hand.
struct Bench {
    pipeline: gst::Pipeline,
}

impl Bench {
    fn new(launch: &str) -> Self {
        init();
        let pipeline = gst::parse::launch(launch).unwrap();
        let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        let _ = pipeline.state(gst::ClockTime::from_seconds(20));
        Self { pipeline }
    }

    fn element(&self, name: &str) -> gst::Element {
        self.pipeline.by_name(name).unwrap()
    }

    fn say(&self, name: &str, field: &str, value: u32) -> bool {
        let structure = gst::Structure::builder(name).field(field, value).build();
        let pad = self.element("end").static_pad("sink").unwrap();
        pad.push_event(gst::event::CustomUpstream::new(structure))
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

#[test]
fn the_encoder_is_found_in_a_bin_and_never_raised_above_what_it_had() {
    let bench = Bench::new(
        "videotestsrc is-live=true ! bin.( x264enc name=enc tune=zerolatency bitrate=500 ! \
         h264parse ) ! capsfilter ! hapencctl name=control ! fakesink name=end async=false",
    );
    let encoder = bench.element("enc");
    assert!(bench.say("hap-max-bitrate", "bitrate", 200_000));
    assert_eq!(encoder.property::<u32>("bitrate"), 170);
    assert!(bench.say("hap-max-bitrate", "bitrate", 5_000_000));
    assert_eq!(encoder.property::<u32>("bitrate"), 500);

    let control = bench.element("control");
    control.set_property("max-bitrate", 800_000u32);
    assert_eq!(encoder.property::<u32>("bitrate"), 800);
    control.set_property("share", 0.5);
    assert!(bench.say("hap-max-bitrate", "bitrate", 1_000_000));
    assert_eq!(encoder.property::<u32>("bitrate"), 500);
    assert_eq!(control.property::<u32>("bitrate"), 500_000);
}

#[test]
fn a_trade_off_changes_the_frame_rate() {
    let bench = Bench::new(
        "videotestsrc is-live=true ! video/x-raw,framerate=30/1 ! videorate name=rate ! \
         x264enc tune=zerolatency ! hapencctl ! fakesink name=end async=false",
    );
    let rate = bench.element("rate");
    let input = rate.static_pad("sink").unwrap();
    let deadline = Instant::now() + PATIENCE;
    while input.current_caps().is_none() {
        assert!(Instant::now() < deadline, "nothing flows");
        std::thread::yield_now();
    }
    for (index, expected) in [(31, 30), (0, 15), (15, 22), (200, 30)] {
        assert!(bench.say("hap-trade-off", "index", index));
        assert_eq!(rate.property::<i32>("max-rate"), expected, "{index}");
    }
}

#[test]
fn what_nobody_obeys_travels_on() {
    let bench = Bench::new(
        "appsrc name=src is-live=true caps=video/x-h264 ! hapencctl ! fakesink name=end async=false",
    );
    let (tell, told) = std::sync::mpsc::channel();
    let pad = bench.element("src").static_pad("src").unwrap();
    pad.add_probe(gst::PadProbeType::EVENT_UPSTREAM, move |_, info| {
        if let Some(structure) = info.event().and_then(|event| event.structure()) {
            let _ = tell.send(structure.name().to_string());
        }
        gst::PadProbeReturn::Ok
    });
    bench.say("hap-max-bitrate", "bitrate", 200_000);
    bench.say("hap-trade-off", "index", 3);
    let heard: Vec<String> = told
        .try_iter()
        .filter(|name| name.starts_with("hap"))
        .collect();
    assert_eq!(heard, ["hap-max-bitrate", "hap-trade-off"]);
}

#[test]
fn the_launch_line_of_the_documentation_runs() {
    init();
    let docs = include_str!("../src/hapencctl/mod.rs");
    let line = docs.split("//! ```text\n").nth(1).unwrap();
    let line = line.split("//! ```").next().unwrap();
    let line = line.replace("//! ", "").replace("\\\n", "");
    let line = line.trim().strip_prefix("gst-launch-1.0 ").unwrap();
    let pipeline = gst::parse::launch(line).unwrap();
    let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
    let _stop = play(&pipeline);
    let sink = pipeline
        .iterate_sinks()
        .into_iter()
        .next()
        .unwrap()
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    while stat(&sink, "frames-sent") < 5 {
        assert!(Instant::now() < deadline, "no pictures");
        std::thread::yield_now();
    }
}
