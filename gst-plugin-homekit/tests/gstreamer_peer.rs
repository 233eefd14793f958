//! GStreamer's own SRTP receiver and decoders, and a real encoder before the sink.

mod common;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::mpsc;
use std::time::Duration;

use common::*;
use gst::prelude::*;
use rtp_payload::{Header, h264, h265, nal, opus};

/// `videotestsrc` in real time, as a camera is.
const CAMERA: &str = "videotestsrc is-live=true pattern=ball ! \
    video/x-raw,width=320,height=240,framerate=30/1";

const X264: &str = "x264enc tune=zerolatency speed-preset=ultrafast bitrate=300 key-int-max=30";

/// An address on which a receiver is about to listen.
fn free_address() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.local_addr().unwrap()
}

/// `udpsrc ! srtpdec` with the keys of the sink.
fn receiver(port: u16, cipher: &str, key: &[u8], caps: &str, rest: &str) -> gst::Pipeline {
    let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let launch = format!(
        "udpsrc name=src address=127.0.0.1 port={port} caps=\"application/x-srtp,{caps},\
         ssrc=(uint){OURS},srtp-key=(buffer){key},srtp-cipher={cipher},srtcp-cipher={cipher},\
         srtp-auth=hmac-sha1-80,srtcp-auth=hmac-sha1-80\" ! srtpdec name=dec \
         dec.rtp_src ! {rest} dec.rtcp_src ! appsink name=rtcp sync=false async=false"
    );
    let pipeline = gst::parse::launch(&launch).unwrap();
    pipeline.downcast().unwrap()
}

const X265: &str = "x265enc tune=zerolatency speed-preset=ultrafast bitrate=300 key-int-max=30 \
    option-string=log-level=none";

const VIDEO_CAPS: &str = "media=video,clock-rate=90000,encoding-name=H264,payload=99";
const H265_CAPS: &str = "media=video,clock-rate=90000,encoding-name=H265,payload=99";
const AUDIO_CAPS: &str = "media=audio,clock-rate=48000,encoding-name=OPUS,payload=110";

/// Takes samples of an `appsink` of the pipeline; an error of the pipeline is a failure.
fn sample(pipeline: &gst::Pipeline, name: &str) -> gst::Sample {
    let sink = pipeline.by_name(name).unwrap();
    let sink = sink.downcast::<gst_app::AppSink>().unwrap();
    let timeout = gst::ClockTime::try_from(PATIENCE).unwrap();
    let sample = sink.try_pull_sample(timeout);
    let error = pipeline
        .bus()
        .unwrap()
        .pop_filtered(&[gst::MessageType::Error]);
    assert!(error.is_none(), "{error:?}");
    sample.expect("a sample comes")
}

fn bytes(sample: &gst::Sample) -> Vec<u8> {
    sample.buffer().unwrap().map_readable().unwrap().to_vec()
}

fn play_receiver(pipeline: &gst::Pipeline) -> Stop<'_> {
    let stop = play(pipeline);
    let (result, state, _) = pipeline.state(gst::ClockTime::from_seconds(20));
    result.unwrap();
    assert_eq!(state, gst::State::Playing);
    stop
}

/// One codec, at both ends.
struct Codec {
    caps: &'static str,
    encoder: &'static str,
    format: &'static str,
    depayload: &'static str,
    decode: &'static str,
}

const H264: Codec = Codec {
    caps: VIDEO_CAPS,
    encoder: X264,
    format: "video/x-h264,profile=baseline,stream-format=avc",
    depayload: "rtph264depay",
    decode: "avdec_h264",
};

const H265: Codec = Codec {
    caps: H265_CAPS,
    encoder: X265,
    format: "h265parse ! video/x-h265,stream-format=hvc1,alignment=au",
    depayload: "rtph265depay ! h265parse",
    decode: "avdec_h265",
};

/// Decoded pictures at the receiver are those that the encoder's output decodes to here.
fn pictures_arrive_as_they_were_sent(codec: &Codec, suite: &str, cipher: &str, key: Vec<u8>) {
    init();
    let Codec {
        caps,
        encoder,
        format,
        depayload,
        decode,
    } = codec;
    let address = free_address();
    let rest = format!(
        "rtpjitterbuffer latency=50 ! {depayload} ! {decode} ! \
         appsink name=pictures sync=false async=false"
    );
    let receiver = receiver(address.port(), cipher, &key, caps, &rest);
    let _stop_receiver = play_receiver(&receiver);

    let sink = sink(address);
    sink.set_property_from_str("srtp-suite", suite);
    sink.set_property("srtp-key", buffer(&key));
    sink.set_property("srtp-remote-key", None::<gst::Buffer>);
    let launch = format!(
        "{CAMERA} ! {encoder} ! {format} ! \
         tee name=t t. ! queue ! {decode} ! appsink name=here sync=false async=false \
         t. ! queue"
    );
    let sender = pipeline(&launch, &sink);
    let _stop_sender = play(&sender);
    for n in 0..45 {
        let sent = sample(&sender, "here");
        let received = sample(&receiver, "pictures");
        assert!(bytes(&sent) == bytes(&received), "picture {n} differs");
    }
    let report = bytes(&sample(&receiver, "rtcp"));
    let report = rtp_feedback::parse(&report).unwrap();
    assert!(
        matches!(
            report[0],
            rtp_feedback::Message::SenderReport { ssrc: OURS, .. }
        ),
        "{report:?}"
    );
}

const SUITE_128: &str = "aes-cm-128-hmac-sha1-80";

#[test]
fn pictures_arrive_from_avc() {
    pictures_arrive_as_they_were_sent(&H264, SUITE_128, "aes-128-icm", sink_key());
}

#[test]
fn pictures_arrive_from_a_byte_stream_under_a_256_bit_key() {
    let key = (0..46).collect();
    let suite = "aes-cm-256-hmac-sha1-80";
    let byte_stream = Codec {
        format: "video/x-h264,profile=baseline,stream-format=byte-stream",
        ..H264
    };
    pictures_arrive_as_they_were_sent(&byte_stream, suite, "aes-256-icm", key);
}

#[test]
fn pictures_arrive_from_hvc1() {
    pictures_arrive_as_they_were_sent(&H265, SUITE_128, "aes-128-icm", sink_key());
}

#[test]
fn pictures_arrive_from_h265_as_a_byte_stream_and_hev1() {
    for format in [
        "video/x-h265,stream-format=byte-stream",
        "h265parse ! video/x-h265,stream-format=hev1,alignment=au",
    ] {
        let codec = Codec { format, ..H265 };
        pictures_arrive_as_they_were_sent(&codec, SUITE_128, "aes-128-icm", sink_key());
    }
}

#[test]
fn sound_arrives_in_packets_of_60_ms_on_a_clock_of_16_khz() {
    init();
    let address = free_address();
    let rest = "tee name=t t. ! queue ! rtpopusdepay ! opusdec ! audio/x-raw,rate=48000,channels=1 ! \
                appsink name=sound sync=false async=false \
                t. ! queue ! appsink name=packets sync=false async=false";
    let receiver = receiver(address.port(), "aes-128-icm", &sink_key(), AUDIO_CAPS, rest);
    let _stop_receiver = play_receiver(&receiver);
    let sink = sink(address);
    sink.set_property("clock-rate", 16_000u32);
    sink.set_property("packet-time", 60u32);
    let tone = "audiotestsrc is-live=true freq=440 ! audio/x-raw,rate=16000,channels=1 ! \
                opusenc frame-size=20 bitrate=24000 audio-type=restricted-lowdelay";
    let sender = pipeline(tone, &sink);
    let _stop_sender = play(&sender);

    let mut last: Option<Header> = None;
    for _ in 0..20 {
        let bytes = bytes(&sample(&receiver, "packets"));
        let packet = rtp_payload::Packet::parse(&bytes).unwrap();
        assert_eq!(packet.header.payload_type, 110);
        let opus = opus::Packet::parse(packet.payload).unwrap();
        assert_eq!(opus.duration(), Duration::from_millis(60));
        if let Some(last) = last {
            let step = packet.header.timestamp.wrapping_sub(last.timestamp);
            assert_eq!(step, 960);
            let step = packet.header.sequence.wrapping_sub(last.sequence);
            assert_eq!(step, 1);
        }
        last = Some(packet.header);
    }
    // A second of decoded sound, which is the tone and not silence: 440 Hz cross zero 880 times.
    let mut samples = Vec::new();
    while samples.len() < 60_000 {
        let bytes = bytes(&sample(&receiver, "sound"));
        let pairs = bytes.chunks_exact(2);
        samples.extend(pairs.map(|pair| i16::from_le_bytes([pair[0], pair[1]])));
    }
    let second = &samples[12_000..60_000];
    let crossings = second
        .windows(2)
        .filter(|pair| (pair[0] < 0) != (pair[1] < 0));
    let crossings = crossings.count();
    assert!(
        (870..=890).contains(&crossings),
        "{crossings} zero crossings"
    );
}

/// Another size, MTU and payload limit: one stream.
fn another_size_goes_on_without_a_break<C: nal::Codec>(encoder: &str, aggregate: fn(u8) -> bool) {
    init();
    let mut controller = Controller::default();
    let sink = sink(controller.address());
    let launch = format!(
        "videotestsrc is-live=true ! capsfilter name=size \
         caps=video/x-raw,width=320,height=240,framerate=30/1 ! {encoder}"
    );
    let pipeline = pipeline(&launch, &sink);
    let _stop = play(&pipeline);
    let mut stream = Received::<C>::new(aggregate);
    while stream.sets.is_empty() {
        stream.take(controller.rtp());
    }
    sink.set_property("mtu", 700u32);
    let smaller = "video/x-raw,width=160,height=120,framerate=30/1";
    let size = pipeline.by_name("size").unwrap();
    size.set_property_from_str("caps", smaller);
    while stream.sets.len() < 2 {
        stream.take(controller.rtp());
    }
    assert_ne!(stream.sets[0], stream.sets[1], "other parameter sets");
    for _ in 0..30 {
        let packet = controller.rtp();
        assert!(packet.1.len() <= 700 - 22, "the new MTU");
        stream.take(packet);
    }
    assert_eq!(stream.depacketizer.lost(), 0);
}

/// STAP-A (RFC 6184 §5.7.1).
fn is_stap_a(first: u8) -> bool {
    first & 0x1f == 24
}

/// Aggregation packet (RFC 7798 §4.4.2).
fn is_aggregation_packet(first: u8) -> bool {
    first >> 1 & 0x3f == 48
}

#[test]
fn another_size_of_a_real_encoder_goes_on_without_a_break() {
    another_size_goes_on_without_a_break::<h264::H264>(X264, is_stap_a);
}

#[test]
fn another_size_of_h265_goes_on_without_a_break() {
    another_size_goes_on_without_a_break::<h265::H265>(X265, is_aggregation_packet);
}

/// Follows a stream: one source, no gap in sequence, time that passes like the clock on the wall.
struct Received<C: nal::Codec> {
    depacketizer: nal::Depacketizer<C>,
    last: Option<Header>,
    aggregate: fn(u8) -> bool,
    /// The parameter sets that came, each time they changed.
    sets: Vec<Vec<u8>>,
}

impl<C: nal::Codec> Received<C> {
    fn new(aggregate: fn(u8) -> bool) -> Self {
        Self {
            depacketizer: nal::Depacketizer::new(),
            last: None,
            aggregate,
            sets: Vec::new(),
        }
    }

    fn take(&mut self, (header, payload): (Header, Vec<u8>)) {
        assert_eq!((header.ssrc, header.payload_type), (OURS, 99));
        if let Some(last) = self.last.replace(header) {
            let step = header.timestamp.wrapping_sub(last.timestamp);
            assert!(step <= 90_000, "timestamps jump by {step}");
        }
        if (self.aggregate)(payload[0]) && self.sets.last() != Some(&payload) {
            self.sets.push(payload.clone());
        }
        self.depacketizer
            .push(&rtp_payload::Packet::new(header, &payload))
            .unwrap();
        while let Some(access_unit) = self.depacketizer.poll() {
            assert!(access_unit.complete);
        }
    }
}

#[test]
fn picture_loss_makes_a_real_encoder_send_a_key_frame() {
    init();
    let mut controller = Controller::default();
    let sink = sink(controller.address());
    let endless = X264.replace("key-int-max=30", "key-int-max=100000");
    let pipeline = pipeline(&format!("{CAMERA} ! {endless}"), &sink);
    let _stop = play(&pipeline);
    let mut depacketizer = h264::Depacketizer::new();
    let mut frames = Vec::new();
    while frames.iter().filter(|&&key| key).count() < 2 {
        let (header, payload) = controller.rtp();
        let payload = &payload;
        depacketizer
            .push(&rtp_payload::Packet::new(header, payload))
            .unwrap();
        frames.extend(std::iter::from_fn(|| depacketizer.poll()).map(|unit| unit.is_key));
        if frames.len() == 10 && header.marker {
            controller.say(&sink, from_controller().picture_loss(OURS));
        }
    }
    assert!(frames[0], "the first frame is a key frame");
    let second = frames.len() - 1;
    assert!(
        (10..20).contains(&second),
        "frame {second} after a PLI at 10"
    );
}

/// A frame's time of presentation on the sender's wall clock, by its timestamp and a report.
fn presented(header: Header, report: rtp_feedback::SenderInfo, clock_rate: f64) -> f64 {
    let since = header.timestamp.wrapping_sub(report.rtp_timestamp) as i32;
    report.ntp.to_bits() as f64 / 4_294_967_296.0 + f64::from(since) / clock_rate
}

#[test]
fn sender_reports_put_sound_and_picture_on_one_time_line() {
    init();
    let (mut eye, mut ear) = (Controller::default(), Controller::default());
    let (video, audio) = (sink(eye.address()), sink(ear.address()));
    audio.set_property("clock-rate", 24_000u32);
    audio.set_property("packet-time", 20u32);
    // Two pipelines that start at different times. Sources that are no live ones stamp their first
    // buffers zero, so what is first in each belongs to its base time.
    let picture = pipeline(
        &format!("videotestsrc ! video/x-raw,width=320,height=240,framerate=30/1 ! {X264}"),
        &video,
    );
    let sound = pipeline(
        "audiotestsrc ! audio/x-raw,rate=24000,channels=1 ! opusenc frame-size=20",
        &audio,
    );
    let clock = gst::SystemClock::obtain();
    let base = clock.time();
    for (pipeline, later) in [(&picture, 0), (&sound, 250)] {
        pipeline.use_clock(Some(&clock));
        pipeline.set_start_time(gst::ClockTime::NONE);
        pipeline.set_base_time(base + gst::ClockTime::from_mseconds(later));
    }
    let _stop = (play(&picture), play(&sound));
    let first = (eye.rtp().0, ear.rtp().0);
    let reports = (eye.sender_report(), ear.sender_report());
    let pictured = presented(first.0, reports.0, 90_000.0);
    let sounded = presented(first.1, reports.1, 24_000.0);
    let later = sounded - pictured;
    assert!(
        (later - 0.250).abs() < 0.005,
        "sound {later} s after picture"
    );

    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let base_was = now.unwrap().as_secs_f64() - (clock.time() - base).seconds_f64();
    let error = pictured - 2_208_988_800.0 - base_was;
    assert!(error.abs() < 0.05, "first picture {error} s from base time");
}

#[test]
fn the_end_of_the_input_flushes_sound_and_stops_cleanly() {
    init();
    let mut controller = Controller::default();
    let sink = sink(controller.address());
    sink.set_property("sync", false);
    sink.set_property("packet-time", 60u32);
    let tone = "audiotestsrc num-buffers=4 samplesperbuffer=960 ! \
                audio/x-raw,rate=48000,channels=1 ! opusenc frame-size=20";
    let pipeline = pipeline(tone, &sink);
    let _stop = play(&pipeline);
    wait_for_eos(&pipeline);
    let mut heard = Duration::ZERO;
    while heard < Duration::from_millis(80) {
        let (_, payload) = controller.rtp();
        heard += opus::Packet::parse(&payload).unwrap().duration();
    }
}

fn rtp_is_taken_too<C: nal::Codec>(encoder: &str, payloader: &str, aggregate: fn(u8) -> bool) {
    init();
    let mut controller = Controller::default();
    let sink = sink(controller.address());
    let rtp = format!("{CAMERA} ! {encoder} ! {payloader} mtu=1400 config-interval=1 pt=96 ssrc=1");
    let pipeline = pipeline(&rtp, &sink);
    let _stop = play(&pipeline);
    let mut stream = Received::<C>::new(aggregate);
    let mut pictures = 0;
    while pictures < 20 {
        let packet = controller.rtp();
        pictures += u32::from(packet.0.marker);
        stream.take(packet);
    }
    assert_eq!(stream.sets.len(), 1);
}

#[test]
fn rtp_of_a_camera_is_taken_too() {
    rtp_is_taken_too::<h264::H264>(X264, "rtph264pay", is_stap_a);
}

#[test]
fn rtp_of_h265_is_taken_too() {
    rtp_is_taken_too::<h265::H265>(X265, "rtph265pay", is_aggregation_packet);
}

/// The two lines of the documentation, as they are written there.
#[test]
fn the_launch_lines_of_the_documentation_run() {
    init();
    let docs = include_str!("../src/hapsrtpsink/mod.rs");
    let lines: Vec<String> = docs
        .split("//! ```text\n")
        .skip(1)
        .filter(|block| block.contains("gst-launch-1.0"))
        .map(|block| {
            let block = block.split("//! ```").next().unwrap();
            let text = block.replace("//! ", "").replace("\\\n", "");
            text.trim()
                .strip_prefix("gst-launch-1.0 ")
                .unwrap()
                .to_owned()
        })
        .collect();
    let [sender, receiver] = &lines[..] else {
        panic!("two launch lines: {lines:?}");
    };
    let launch = |line: &str| {
        // A shell would take the quotes off, as GStreamer does.
        let pipeline = gst::parse::launch(line).unwrap();
        pipeline.downcast::<gst::Pipeline>().unwrap()
    };
    let receiver = launch(receiver);
    let (tell, told) = mpsc::channel();
    for sink in receiver.iterate_sinks() {
        let sink = sink.unwrap();
        sink.set_property("signal-handoffs", true);
        let tell = tell.clone();
        sink.connect("handoff", false, move |values| {
            let buffer = values[1].get::<gst::Buffer>().unwrap();
            let _ = tell.send(buffer.size());
            None
        });
    }
    let _stop_receiver = play(&receiver);
    let sender = launch(sender);
    let _stop_sender = play(&sender);
    let picture = 1280 * 720 * 3 / 2;
    for _ in 0..5 {
        while told.recv_timeout(PATIENCE).expect("pictures come") != picture {}
    }
}
