//! The strings are what GStreamer reads from them.

use gst::prelude::*;
use hap_pipelines::*;
use proptest::prelude::*;

fn settings(profile: H264Profile) -> EncoderSettings {
    EncoderSettings {
        width: 320,
        height: 240,
        fps: 15,
        kbps: 300,
        profile,
        level: H264Level::L3_1,
        key_interval_s: 2,
    }
}

/// Runs a pipeline that ends by itself and returns the caps its element named `out` last saw.
fn run(launch: &str) -> gst::Caps {
    let pipeline = gst::parse::launch(launch)
        .unwrap()
        .downcast::<gst::Pipeline>()
        .unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let message = pipeline
        .bus()
        .unwrap()
        .timed_pop_filtered(gst::ClockTime::from_seconds(10), &ends)
        .expect("an end");
    assert_eq!(
        message.type_(),
        gst::MessageType::Eos,
        "{launch}: {message:?}"
    );
    let caps = pipeline
        .by_name("out")
        .unwrap()
        .static_pad("sink")
        .unwrap()
        .current_caps()
        .unwrap();
    pipeline.set_state(gst::State::Null).unwrap();
    caps
}

fn without_live(chain: impl std::fmt::Display) -> String {
    chain.to_string().replace("is-live=true", "num-buffers=20")
}

proptest! {
    #[test]
    fn any_value_arrives_as_it_was(value in "[^\0]{1,60}") {
        gst::init().unwrap();
        let element = gst::parse::launch(&Element::new("filesrc").set("location", &value).to_string()).unwrap();
        prop_assert_eq!(element.property::<String>("location"), value);
    }
}

#[test]
fn software_encoders_make_the_profile_asked_for() {
    gst::init().unwrap();
    for (factory, profile) in [
        ("x264enc", H264Profile::ConstrainedBaseline),
        ("x264enc", H264Profile::Main),
        ("x264enc", H264Profile::High),
        ("openh264enc", H264Profile::ConstrainedBaseline),
    ] {
        let s = settings(profile);
        let chain = h264_encoder(factory, &s)
            .unwrap()
            .to(h264_caps(factory, &s))
            .to(Element::new("h264parse"));
        let caps = run(&format!(
            "{} ! {chain} ! fakesink name=out",
            without_live(test_video(320, 240, 15, false))
        ));
        assert_eq!(
            caps.structure(0).unwrap().get::<&str>("profile").unwrap(),
            profile.caps_name(),
            "{factory}"
        );
    }
}

#[test]
fn sound_becomes_mono_opus() {
    gst::init().unwrap();
    for source in [without_live(test_audio()), without_live(silence())] {
        let caps = run(&format!(
            "{source} ! {} ! fakesink name=out",
            opus_encoder(OPUS_KBPS)
        ));
        let s = caps.structure(0).unwrap();
        assert_eq!(
            (s.name().as_str(), s.get::<i32>("channels").unwrap()),
            ("audio/x-opus", 1)
        );
    }
}

#[test]
fn pictures_fit_the_size_with_borders() {
    gst::init().unwrap();
    let caps = run(&format!(
        "{} ! {} ! {} ! fakesink name=out",
        without_live(test_video(320, 240, 15, true)),
        fit(640, 360),
        jpeg(85)
    ));
    let s = caps.structure(0).unwrap();
    assert_eq!(
        (
            s.get::<i32>("width").unwrap(),
            s.get::<i32>("height").unwrap()
        ),
        (640, 360)
    );
}

#[test]
fn presets_parse() {
    gst::init().unwrap();
    gsthomekit::plugin_register_static().unwrap();
    for preset in PRESETS {
        gst::parse::launch(&preset.pipeline()).unwrap_or_else(|e| panic!("{}: {e}", preset.name));
    }
}

#[test]
fn a_viewer_is_set_up() {
    gst::init().unwrap();
    gsthomekit::plugin_register_static().unwrap();
    let sink = SrtpSink {
        host: "192.0.2.1".parse().unwrap(),
        port: 50_000,
        ssrc: 7,
        payload_type: 99,
        key_hex: "00".repeat(30),
    };
    let element = gst::parse::launch(&viewer(&sink).to_string()).unwrap();
    assert_eq!(element.property::<String>("host"), "192.0.2.1");
    assert_eq!(
        (
            element.property::<u32>("port"),
            element.property::<u32>("payload-type")
        ),
        (50_000, 99)
    );
}

#[test]
fn a_file_is_split_into_parsed_streams() {
    gst::init().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a \"b\" \\ c.mkv");
    let write = format!(
        "{} ! x264enc ! matroskamux ! filesink name=out",
        without_live(test_video(320, 240, 15, false))
    );
    let write = write + &Element::new("").set("location", path.display()).to_string();
    run(&write);
    let caps = run(&format!("{} ! fakesink name=out", file(path.display())));
    assert_eq!(caps.structure(0).unwrap().name(), "video/x-h264");
}
