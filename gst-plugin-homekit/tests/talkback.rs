//! The controller's sound: from the media port to GStreamer's own elements.

mod common;

use std::sync::mpsc;
use std::time::{Duration, Instant};

use common::*;
use gst::prelude::*;
use rtp_feedback::{Message, NtpTime, SenderInfo, Writer};
use rtp_payload::{Header, opus};

fn header(sequence: u16, timestamp: u32) -> Header {
    Header {
        marker: false,
        payload_type: 110,
        sequence,
        timestamp,
        ssrc: THEIRS,
    }
}

/// Opus packets of 20 ms of a tone.
fn tone(count: usize) -> Vec<Vec<u8>> {
    let launch = format!(
        "audiotestsrc num-buffers={count} samplesperbuffer=320 freq=440 ! \
         audio/x-raw,rate=16000,channels=1 ! \
         opusenc frame-size=20 audio-type=restricted-lowdelay ! appsink name=out sync=false"
    );
    let pipeline = gst::parse::launch(&launch).unwrap();
    let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
    let _stop = play(&pipeline);
    let sink = pipeline.by_name("out").unwrap();
    let sink = sink.downcast::<gst_app::AppSink>().unwrap();
    let samples = std::iter::from_fn(|| sink.pull_sample().ok());
    samples
        .map(|sample| sample.buffer().unwrap().map_readable().unwrap().to_vec())
        .collect()
}

/// A pipeline that sends silence, with an audio sink and whatever takes its talkback.
struct Bench {
    pipeline: gst::Pipeline,
    sink: gst::Element,
    controller: Controller,
}

const OPUS: &str = "audiotestsrc is-live=true wave=silence ! audio/x-raw,rate=48000,channels=1 ! \
    opusenc frame-size=20 audio-type=restricted-lowdelay";

impl Bench {
    /// `branch` is linked when the pad appears.
    fn new(source: &str, branch: Option<&str>) -> Self {
        init();
        let controller = Controller::default();
        let sink = sink(controller.address());
        sink.set_property("clock-rate", 16_000u32);
        let pipeline = pipeline(source, &sink);
        if let Some(branch) = branch {
            let branch = gst::parse::bin_from_description(branch, true).unwrap();
            pipeline.add(&branch).unwrap();
            sink.connect_pad_added(move |_, pad| {
                let entry = branch.static_pad("sink").unwrap();
                pad.link(&entry).unwrap();
            });
        }
        let mut bench = Self {
            pipeline,
            sink,
            controller,
        };
        bench.start();
        bench
    }

    /// Until the first packet has left: what the controller's sound is, is known by then.
    fn start(&mut self) {
        self.pipeline.set_state(gst::State::Playing).unwrap();
        self.controller.rtp();
    }

    fn say(&mut self, sequence: u16, timestamp: u32, payload: &[u8]) {
        let header = header(sequence, timestamp);
        self.controller.say_rtp(&self.sink, header, payload);
    }

    /// Until what the controller said has been counted.
    fn wait_for(&self, field: &str, value: u64) {
        let deadline = Instant::now() + PATIENCE;
        while stat(&self.sink, field) < value {
            let stats = self.sink.property::<gst::Structure>("stats");
            assert!(Instant::now() < deadline, "{field} below {value}: {stats}");
            std::thread::yield_now();
        }
    }

    fn app_sink(&self) -> gst_app::AppSink {
        let sink = self.pipeline.by_name("out").unwrap();
        sink.downcast().unwrap()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

fn pull(sink: &gst_app::AppSink) -> gst::Sample {
    let timeout = gst::ClockTime::try_from(PATIENCE).unwrap();
    sink.try_pull_sample(timeout).expect("a sample comes")
}

#[test]
fn the_tone_of_the_controller_is_heard() {
    let branch = "rtpjitterbuffer latency=60 ! rtpopusdepay ! opusdec ! \
                  audio/x-raw,rate=48000,channels=1 ! appsink name=out sync=false async=false";
    let mut bench = Bench::new(OPUS, Some(branch));
    let packets = tone(60);
    let first = u32::MAX - 9000;
    let mut protect = |(n, packet): (usize, &Vec<u8>)| {
        let timestamp = first.wrapping_add(320 * n as u32);
        let header = header((n as u16).wrapping_add(65_500), timestamp);
        bench.controller.protected_rtp(header, packet)
    };
    let mut datagrams: Vec<_> = packets.iter().enumerate().map(&mut protect).collect();
    // Some change places on the way.
    datagrams
        .chunks_exact_mut(5)
        .for_each(|five| five.swap(3, 4));
    for datagram in datagrams {
        bench.controller.send_raw(&bench.sink, &datagram);
    }
    let mut samples = Vec::new();
    while samples.len() < 36_000 {
        let sample = pull(&bench.app_sink());
        let bytes = sample.buffer().unwrap().map_readable().unwrap().to_vec();
        let pairs = bytes.chunks_exact(2);
        samples.extend(pairs.map(|pair| i16::from_le_bytes([pair[0], pair[1]])));
    }
    let half = &samples[12_000..36_000];
    let crossings = half.windows(2).filter(|w| (w[0] < 0) != (w[1] < 0)).count();
    assert!((430..=450).contains(&crossings), "{crossings}");
    assert_eq!(stat(&bench.sink, "talkback-packets"), packets.len() as u64);
    assert_eq!(stat(&bench.sink, "talkback-dropped"), 0);
    assert_eq!(stat(&bench.sink, "rtp-rejected"), 0);
}

#[test]
fn the_pad_says_what_its_packets_are() {
    let mut bench = Bench::new(OPUS, Some("appsink name=out sync=false async=false"));
    bench.say(7, 1000, b"first");
    bench.say(8, 1320, b"second");
    let sample = pull(&bench.app_sink());
    let caps = sample.caps().unwrap();
    let caps = caps.structure(0).unwrap();
    assert_eq!(caps.name(), "application/x-rtp");
    assert_eq!(caps.get::<&str>("encoding-name"), Ok("OPUS"));
    assert_eq!(caps.get::<i32>("payload"), Ok(110));
    assert_eq!(caps.get::<i32>("clock-rate"), Ok(48_000));
    let stamp = |sample: &gst::Sample| {
        let buffer = sample.buffer().unwrap();
        assert!(buffer.pts().is_some(), "the time of arrival");
        let bytes = buffer.map_readable().unwrap().to_vec();
        let packet = rtp_payload::Packet::parse(&bytes).unwrap();
        (packet.header.timestamp, packet.payload.to_vec())
    };
    let (first, payload) = stamp(&sample);
    assert_eq!(payload, b"first");
    let (second, _) = stamp(&pull(&bench.app_sink()));
    assert_eq!(second - first, 960, "on a clock of 48 kHz");
}

#[test]
fn aac_eld_reaches_a_depayloader_of_somebody_else() {
    let source = "appsrc name=src is-live=true format=time caps=audio/mpeg,mpegversion=4,\
                  stream-format=raw,rate=16000,channels=1,codec_data=(buffer)f8f03000";
    let branch = "rtpmp4gdepay ! appsink name=out sync=false async=false";
    init();
    let controller = Controller::default();
    let sink = sink(controller.address());
    sink.set_property("sync", false);
    sink.set_property("packet-time", 60u32);
    let pipeline = pipeline(source, &sink);
    let branch = gst::parse::bin_from_description(branch, true).unwrap();
    pipeline.add(&branch).unwrap();
    sink.connect_pad_added(move |_, pad| {
        pad.link(&branch.static_pad("sink").unwrap()).unwrap();
    });
    pipeline.set_state(gst::State::Playing).unwrap();
    let mut bench = Bench {
        pipeline,
        sink,
        controller,
    };
    let app = bench.pipeline.by_name("src").unwrap();
    let app = app.downcast::<gst_app::AppSrc>().unwrap();
    let frames = [
        &[0x11; 50][..],
        &[0x22; 70],
        &[0x33; 60],
        &[0x44; 40],
        &[0x55; 9],
        &[0x66; 8],
    ];
    for (n, frame) in frames.iter().enumerate() {
        let mut buffer = buffer(frame);
        let pts = gst::ClockTime::from_mseconds(30 * n as u64);
        buffer.get_mut().unwrap().set_pts(pts);
        app.push_buffer(buffer).unwrap();
    }
    let packets = [(); 3].map(|()| bench.controller.rtp());
    assert_eq!(
        packets[0].1[..6],
        [0, 32, 1, 0x90, 2, 0x30],
        "two access units of 50 and 70 bytes"
    );
    assert_eq!(packets[0].1[6..], [frames[0], frames[1]].concat());
    let step = packets[1].0.timestamp.wrapping_sub(packets[0].0.timestamp);
    assert_eq!(step, 960, "60 ms at 16 kHz");

    // The same payloads back: rtpmp4gdepay finds the frames in them. It keeps the last packet
    // until the next one comes.
    for (header, payload) in packets {
        assert!(header.marker, "complete access units");
        let header = Header {
            ssrc: THEIRS,
            ..header
        };
        bench.controller.say_rtp(&bench.sink, header, &payload);
    }
    for frame in &frames[..4] {
        let sample = pull(&bench.app_sink());
        assert_eq!(*sample.buffer().unwrap().map_readable().unwrap(), **frame);
    }
    let caps = pull_caps(&bench.app_sink());
    assert_eq!(caps.name(), "audio/mpeg");
}

fn pull_caps(sink: &gst_app::AppSink) -> gst::Structure {
    let caps = sink.static_pad("sink").unwrap().current_caps().unwrap();
    caps.structure(0).unwrap().to_owned()
}

#[test]
fn a_branch_that_blocks_holds_up_neither_rtcp_nor_the_stop() {
    let branch = "identity name=gate ! fakesink sync=false async=false";
    let mut bench = Bench::new(OPUS, Some(branch));
    let gate = bench.pipeline.by_name("gate").unwrap();
    let (tell, told) = mpsc::channel();
    gate.static_pad("src").unwrap().add_probe(
        gst::PadProbeType::BLOCK | gst::PadProbeType::BUFFER,
        {
            move |_, _| {
                let _ = tell.send(());
                gst::PadProbeReturn::Ok
            }
        },
    );
    bench.say(0, 0, b"sound");
    told.recv_timeout(PATIENCE).expect("it blocks");
    for n in 1..200 {
        bench.say(n, 320 * u32::from(n), b"sound");
    }
    bench.controller.say(&bench.sink, from_controller().bye());
    wait_for(&bench.pipeline.bus().unwrap(), "hapsrtpsink-bye");
    assert_eq!(stat(&bench.sink, "talkback-packets"), 200);
    assert_eq!(stat(&bench.sink, "talkback-dropped"), 199 - 64);
    bench.pipeline.set_state(gst::State::Null).unwrap();
}

#[test]
fn the_pad_goes_in_ready_and_comes_again() {
    let mut bench = Bench::new(OPUS, None);
    let (added, removed) = (mpsc::channel(), mpsc::channel());
    bench.sink.connect_pad_added(move |_, pad| {
        let _ = added.0.send(pad.clone());
    });
    bench.sink.connect_pad_removed(move |_, pad| {
        let _ = removed.0.send(pad.clone());
    });
    for round in 0..3 {
        // Nobody links it: the sound is lost, and nothing else.
        for n in 0..5 {
            bench.say(5 * round + n, 320 * u32::from(n), b"sound");
        }
        let pad = added.1.recv_timeout(PATIENCE).expect("the pad comes");
        assert_eq!(pad.name(), "talkback");
        assert!(pad.is_active());
        bench.wait_for("talkback-packets", 5);
        bench.pipeline.set_state(gst::State::Ready).unwrap();
        assert_eq!(removed.1.recv_timeout(PATIENCE).as_ref(), Ok(&pad));
        assert!(!pad.is_active());
        assert_eq!(bench.sink.num_src_pads(), 0);
        while !bench.controller.is_silent() {
            bench.controller.hear();
        }
        bench.start();
    }
}

#[test]
fn only_authentic_packets_of_the_controller_are_heard() {
    let mut bench = Bench::new(OPUS, Some("appsink name=out sync=false async=false"));
    let other = Header {
        ssrc: THEIRS + 1,
        ..header(1, 0)
    };
    bench
        .controller
        .say_rtp(&bench.sink, other, b"another source");
    let mut forged = bench.controller.protected_rtp(header(2, 0), b"forged");
    *forged.last_mut().unwrap() ^= 1;
    bench.controller.send_raw(&bench.sink, &forged);
    let good = bench.controller.protected_rtp(header(3, 0), b"good");
    bench
        .controller
        .send_raw(&bench.sink, &good[..good.len() - 1]);
    bench.wait_for("rtp-rejected", 3);
    assert_eq!(bench.sink.num_src_pads(), 0, "no pad for these");
    bench.controller.send_raw(&bench.sink, &good);
    bench.controller.send_raw(&bench.sink, &good);
    bench.wait_for("rtp-rejected", 4);
    let noise = Header {
        payload_type: 13,
        ..header(4, 0)
    };
    bench
        .controller
        .say_rtp(&bench.sink, noise, b"comfort noise");
    bench.wait_for("rtp-ignored", 1);
    assert_eq!(stat(&bench.sink, "talkback-packets"), 1);
    let sample = pull(&bench.app_sink());
    let bytes = sample.buffer().unwrap().map_readable().unwrap().to_vec();
    assert_eq!(bytes[12..], *b"good");
}

#[test]
fn our_reports_say_what_was_received() {
    let mut bench = Bench::new(OPUS, None);
    bench.sink.set_property("rtcp-interval", 50u32);
    for n in [10, 11, 13, 14] {
        bench.say(n, 320 * u32::from(n), b"sound");
    }
    bench.wait_for("talkback-packets", 4);
    let info = SenderInfo {
        ntp: NtpTime::from_bits(0x1111_2222_3333_4444),
        ..SenderInfo::default()
    };
    let report = Writer::new(THEIRS).sender_report(info, &[]);
    bench.controller.say(&bench.sink, report);
    let deadline = Instant::now() + PATIENCE;
    let block = loop {
        assert!(Instant::now() < deadline, "no report block");
        let report = bench.controller.rtcp();
        let Message::SenderReport { blocks, .. } = &report[0] else {
            panic!("{report:?}");
        };
        if let Some(block) = blocks.iter().find(|b| b.last_sender_report != 0) {
            break *block;
        }
    };
    assert_eq!(block.ssrc, THEIRS);
    assert_eq!(block.last_sender_report, 0x2222_3333);
    assert_eq!(block.cumulative_lost, 1);
    assert_eq!(block.highest_sequence, 14);
    assert!(block.delay_since_last_sender_report < 5 * 65_536);
}

#[test]
fn the_end_of_the_stream_ends_the_talkback_too() {
    let source = OPUS.replace("is-live=true", "is-live=true num-buffers=200");
    let mut bench = Bench::new(&source, Some("fakesink sync=false async=false"));
    bench.say(1, 0, b"sound");
    bench.wait_for("talkback-packets", 1);
    // The pipeline waits for both of its sinks.
    wait_for_eos(&bench.pipeline);
}

#[test]
fn latency_of_the_talkback_does_not_delay_what_is_sent() {
    let branch = "rtpjitterbuffer latency=2000 ! fakesink name=player sync=true async=false";
    let mut bench = Bench::new(OPUS, Some(branch));
    bench.say(1, 0, b"sound");
    let latency = |sink: &gst::Element| {
        let sink = sink.downcast_ref::<gst_base::BaseSink>().unwrap();
        gst_base::prelude::BaseSinkExt::latency(sink)
    };
    let player = bench.pipeline.by_name("player").unwrap();
    let deadline = Instant::now() + PATIENCE;
    // Fails until the pad is linked and the player has begun.
    while bench.pipeline.recalculate_latency().is_err() {
        assert!(Instant::now() < deadline, "no latency");
        std::thread::yield_now();
    }
    assert!(latency(&player) >= gst::ClockTime::from_seconds(2));
    let ours = latency(&bench.sink);
    assert!(ours < gst::ClockTime::from_mseconds(100), "{ours}");
}

#[test]
fn the_tone_is_what_the_packets_hold() {
    init();
    let packets = tone(3);
    for packet in &packets {
        let packet = opus::Packet::parse(packet).unwrap();
        assert_eq!(packet.duration(), Duration::from_millis(20));
    }
}
