//! The presets run as they are written.

use std::net::UdpSocket;
use std::time::Duration;

use gst::prelude::*;
use hap_pipelines::{Element, PRESETS, file, test_video};

fn preset(name: &str) -> gst::Pipeline {
    gst::init().unwrap();
    gsthomekit::plugin_register_static().unwrap();
    let preset = PRESETS.iter().find(|p| p.name == name).unwrap();
    let parsed = gst::parse::launch(&preset.pipeline()).unwrap();
    parsed.downcast().unwrap()
}

fn until_end(pipeline: &gst::Pipeline) {
    pipeline.set_state(gst::State::Playing).unwrap();
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let bus = pipeline.bus().unwrap();
    let message = bus
        .timed_pop_filtered(gst::ClockTime::from_seconds(10), &ends)
        .expect("an end");
    assert_eq!(message.type_(), gst::MessageType::Eos, "{message:?}");
    pipeline.set_state(gst::State::Null).unwrap();
}

#[test]
fn test_pattern_to_viewer_sends_video_and_audio() {
    let viewers = [("50000", 99), ("50002", 110)].map(|(port, payload_type)| {
        let socket = UdpSocket::bind(format!("127.0.0.1:{port}")).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        (socket, payload_type)
    });
    let pipeline = preset("test-pattern-to-viewer");
    pipeline.set_state(gst::State::Playing).unwrap();
    for (socket, payload_type) in &viewers {
        let mut packet = [0; 2048];
        let length = socket.recv(&mut packet).unwrap();
        assert!(length <= 1378);
        assert_eq!(packet[1] & 0x7f, *payload_type);
    }
    pipeline.set_state(gst::State::Null).unwrap();
}

#[test]
fn motion_says_that_the_ball_moves() {
    let pipeline = preset("motion");
    pipeline.set_state(gst::State::Playing).unwrap();
    let bus = pipeline.bus().unwrap();
    let said = bus
        .timed_pop_filtered(
            gst::ClockTime::from_seconds(20),
            &[gst::MessageType::Element],
        )
        .expect("a message");
    let said = said.structure().unwrap();
    assert_eq!(said.name(), "hapmotion");
    assert_eq!(said.get("motion"), Ok(true));
    pipeline.set_state(gst::State::Null).unwrap();
}

/// Reads and writes in the working directory: the only test here that may.
#[test]
fn snapshot_makes_a_jpeg_of_the_first_picture() {
    let folder = tempfile::tempdir().unwrap();
    std::env::set_current_dir(folder.path()).unwrap();
    let pipeline = preset("snapshot");
    let clip = test_video(320, 240, 15, false)
        .to_string()
        .replace("is-live=true", "num-buffers=15");
    let writer = format!("{clip} ! x264enc ! mp4mux ! filesink location=camera.mp4");
    until_end(&gst::parse::launch(&writer).unwrap().downcast().unwrap());
    until_end(&pipeline);
    let reader = file("snapshot.jpg").to(Element::new("fakesink").set("name", "out"));
    let reader: gst::Pipeline = gst::parse::launch(&reader.to_string())
        .unwrap()
        .downcast()
        .unwrap();
    reader.set_state(gst::State::Paused).unwrap();
    reader.state(gst::ClockTime::from_seconds(5)).0.unwrap();
    let caps = reader
        .by_name("out")
        .unwrap()
        .static_pad("sink")
        .unwrap()
        .current_caps()
        .unwrap();
    let s = caps.structure(0).unwrap();
    assert_eq!(
        (
            s.get::<i32>("width").unwrap(),
            s.get::<i32>("height").unwrap()
        ),
        (640, 360)
    );
    reader.set_state(gst::State::Null).unwrap();
}
