//! The element alone: properties, states, events. The controller is a UDP socket.

mod common;

use std::net::{IpAddr, Ipv6Addr};

use common::h264::{caps, delta_frame, key_frame};
use common::*;
use gst::prelude::*;
use gst_check::Harness;
use rtp_feedback::{Message, TmmbEntry, Writer};
use srtp::{MasterKey, Sender, Suite};

/// A playing sink with the test as its source, and a bus.
struct Bench {
    sink: gst::Element,
    harness: Harness,
    controller: Controller,
    bus: gst::Bus,
}

impl Bench {
    fn new() -> Self {
        Self::with(Controller::default(), |_| {})
    }

    fn with(controller: Controller, configure: impl FnOnce(&gst::Element)) -> Self {
        init();
        let sink = sink(controller.address());
        sink.set_property("sync", false);
        configure(&sink);
        let bus = gst::Bus::new();
        sink.set_bus(Some(&bus));
        let mut harness = Harness::with_element(&sink, Some("sink"), None);
        harness.set_src_caps(caps());
        harness.play();
        Self {
            sink,
            harness,
            controller,
            bus,
        }
    }

    fn push(&mut self, data: Vec<u8>, milliseconds: u64) {
        let mut buffer = gst::Buffer::from_slice(data);
        let pts = gst::ClockTime::from_mseconds(milliseconds);
        buffer.get_mut().unwrap().set_pts(pts);
        assert_eq!(self.harness.push(buffer), Ok(gst::FlowSuccess::Ok));
    }

    fn say(&mut self, packet: Writer) {
        self.controller.say(&self.sink, packet);
    }

    /// Everything the controller said before has been acted on when its BYE is announced.
    fn settle(&mut self) {
        self.say(from_controller().bye());
        wait_for(&self.bus, "hapsrtpsink-bye");
    }

    /// Force-key-unit events that went upstream and were not looked at yet.
    fn key_frame_requests(&mut self) -> usize {
        let mut requests = 0;
        while let Some(event) = self.harness.try_pull_upstream_event() {
            if let Ok(request) = gst_video_force_key_unit(&event) {
                assert!(request, "all headers are asked for");
                requests += 1;
            }
        }
        requests
    }
}

/// Whether the event asks for a key frame; then, whether with all headers.
fn gst_video_force_key_unit(event: &gst::EventRef) -> Result<bool, ()> {
    let structure = event.structure().filter(|s| s.name() == "GstForceKeyUnit");
    structure.ok_or(())?.get("all-headers").map_err(|_| ())
}

#[test]
fn keys_cannot_be_read() {
    init();
    let sink = gst::ElementFactory::make("hapsrtpsink").build().unwrap();
    for name in ["srtp-key", "srtp-remote-key"] {
        let flags = sink.find_property(name).unwrap().flags();
        assert!(!flags.contains(gst::glib::ParamFlags::READABLE), "{name}");
    }
    let described = format!("{sink:?} {:?}", sink.property::<gst::Structure>("stats"));
    assert!(!described.contains("key="), "{described}");
}

#[test]
fn every_property_describes_itself() {
    init();
    let sink = gst::ElementFactory::make("hapsrtpsink").build().unwrap();
    let own = sink.type_();
    let own = sink
        .list_properties()
        .iter()
        .filter(|p| p.owner_type() == own)
        .cloned()
        .collect::<Vec<_>>();
    assert_eq!(own.len(), 26);
    for property in own {
        assert!(
            property.blurb().is_some_and(|blurb| blurb.len() > 10),
            "{property:?}"
        );
        assert!(!property.nick().is_empty(), "{property:?}");
    }
}

#[test]
fn the_port_is_known_in_ready_and_announced() {
    init();
    let sink = sink("127.0.0.1:9".parse().unwrap());
    let (tell, told) = std::sync::mpsc::channel();
    sink.connect_notify(Some("bind-port"), move |sink, _| {
        let _ = tell.send(sink.property::<u32>("bind-port"));
    });
    assert_eq!(sink.property::<u32>("bind-port"), 0);
    sink.set_state(gst::State::Ready).unwrap();
    let port = sink.property::<u32>("bind-port");
    assert_ne!(port, 0);
    assert_eq!(told.recv_timeout(PATIENCE), Ok(port));
    let taken = std::net::UdpSocket::bind(("0.0.0.0", port as u16));
    assert!(taken.is_err(), "the port is in use");
    sink.set_state(gst::State::Null).unwrap();
    assert_eq!(sink.property::<u32>("bind-port"), 0);
    std::net::UdpSocket::bind(("0.0.0.0", port as u16)).unwrap();
}

#[test]
fn what_is_negotiated_may_be_set_once_the_port_is_announced() {
    init();
    let mut controller = Controller::default();
    let sink = gst::ElementFactory::make("hapsrtpsink")
        .property("sync", false)
        .build()
        .unwrap();
    sink.set_state(gst::State::Ready).unwrap();
    let port = sink.property::<u32>("bind-port");
    sink.set_property("host", controller.address().ip().to_string());
    sink.set_property("port", u32::from(controller.address().port()));
    sink.set_property("srtp-key", buffer(&sink_key()));
    sink.set_property("payload-type", 101u32);
    let mut harness = Harness::with_element(&sink, Some("sink"), None);
    harness.set_src_caps(caps());
    harness.push(gst::Buffer::from_slice(key_frame())).unwrap();
    let (header, _) = controller.rtp();
    assert_eq!(header.payload_type, 101);
    assert_eq!(sink.property::<u32>("bind-port"), port);
    sink.set_state(gst::State::Null).unwrap();
}

#[test]
fn starting_without_key_or_address_is_an_error_that_says_so() {
    init();
    let complete = || sink("127.0.0.1:9".parse().unwrap());
    let none: Option<gst::Buffer> = None;
    let cases: [(&str, gst::glib::Value, &str); 5] = [
        (
            "srtp-key",
            none.to_value(),
            "srtp-key: master key of 0 bytes, 16 expected",
        ),
        (
            "srtp-remote-key",
            buffer(&[1; 29]).to_value(),
            "srtp-remote-key: master salt of 13 bytes",
        ),
        (
            "srtp-suite",
            suite_256(),
            "srtp-key: master key of 30 bytes, 32 expected",
        ),
        (
            "host",
            "".to_value(),
            "host and port of the controller are not set",
        ),
        (
            "port",
            0u32.to_value(),
            "host and port of the controller are not set",
        ),
    ];
    for (property, value, expected) in cases {
        let sink = complete();
        sink.set_property_from_value(property, &value);
        let bus = gst::Bus::new();
        sink.set_bus(Some(&bus));
        assert!(sink.set_state(gst::State::Playing).is_err(), "{property}");
        let message = bus.pop_filtered(&[gst::MessageType::Error]).unwrap();
        let gst::MessageView::Error(error) = message.view() else {
            unreachable!()
        };
        let text = error.error();
        assert!(
            text.matches(gst::ResourceError::Settings),
            "{property}: {text}"
        );
        assert!(text.message().starts_with(expected), "{property}: {text}");
        sink.set_state(gst::State::Null).unwrap();
    }
}

fn suite_256() -> gst::glib::Value {
    let sink = gst::ElementFactory::make("hapsrtpsink").build().unwrap();
    sink.set_property_from_str("srtp-suite", "aes-cm-256-hmac-sha1-80");
    sink.property_value("srtp-suite")
}

#[test]
fn a_port_that_is_taken_is_an_error() {
    init();
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let sink = sink("127.0.0.1:9".parse().unwrap());
    sink.set_property("bind-address", "127.0.0.1");
    sink.set_property("bind-port", u32::from(taken.local_addr().unwrap().port()));
    let bus = gst::Bus::new();
    sink.set_bus(Some(&bus));
    assert!(sink.set_state(gst::State::Ready).is_err());
    let message = bus.pop_filtered(&[gst::MessageType::Error]).unwrap();
    let gst::MessageView::Error(error) = message.view() else {
        unreachable!()
    };
    let text = error.error();
    assert!(text.message().contains("Address already in use"), "{text}");
    sink.set_state(gst::State::Null).unwrap();
}

#[test]
fn a_stream_begins_with_a_key_frame_that_was_asked_for() {
    let mut bench = Bench::new();
    bench.push(delta_frame(), 0);
    assert_eq!(bench.key_frame_requests(), 1);
    bench.push(delta_frame(), 33);
    assert_eq!(bench.key_frame_requests(), 0);
    assert!(bench.controller.is_silent());
    assert_eq!(stat(&bench.sink, "dropped-before-key"), 2);
    let qos = bench.bus.pop_filtered(&[gst::MessageType::Qos]);
    assert!(qos.is_some(), "dropped frames are reported");

    bench.push(key_frame(), 66);
    let (header, payload) = bench.controller.rtp();
    assert_eq!(
        (header.ssrc, header.payload_type, header.marker),
        (OURS, 99, false)
    );
    assert_eq!(payload[0], 0x78, "SPS and PPS in one STAP-A");
    let (header, payload) = bench.controller.rtp();
    assert!(header.marker);
    assert_eq!(payload, common::h264::IDR);
    assert_eq!(bench.controller.sender_report().packets, 2);
    assert_eq!(stat(&bench.sink, "key-frames-sent"), 1);
    assert_eq!(stat(&bench.sink, "packets-sent"), 2);
    assert_eq!(stat(&bench.sink, "send-errors"), 0);
}

#[test]
fn picture_loss_and_full_intra_requests_go_upstream_one_at_a_time() {
    let mut bench = Bench::new();
    bench.push(key_frame(), 0);
    bench.say(from_controller().picture_loss(OURS));
    bench.say(from_controller().picture_loss(OURS));
    bench.say(from_controller().full_intra_request(OURS, 1));
    bench.settle();
    assert_eq!(bench.key_frame_requests(), 1);

    bench.push(key_frame(), 33);
    bench.say(from_controller().full_intra_request(OURS, 1));
    bench.settle();
    assert_eq!(bench.key_frame_requests(), 0, "the request is an old one");
    bench.say(from_controller().full_intra_request(OURS, 2));
    bench.settle();
    assert_eq!(bench.key_frame_requests(), 1);
    assert_eq!(stat(&bench.sink, "pli-received"), 2);
    assert_eq!(stat(&bench.sink, "fir-received"), 3);
}

#[test]
fn rtcp_under_another_key_is_rejected_and_counted() {
    let mut bench = Bench::new();
    bench.push(key_frame(), 0);
    let key = MasterKey::new(Suite::default(), &[9; 16], &[9; 14]).unwrap();
    let mut forged = from_controller().picture_loss(OURS).finish();
    Sender::new(&key).protect_rtcp(&mut forged).unwrap();
    bench.controller.send_raw(&bench.sink, &forged);
    bench.controller.send_raw(&bench.sink, b"garbage");
    bench.controller.send_raw(&bench.sink, &[0x80, 200]);
    bench.settle();
    assert_eq!(stat(&bench.sink, "rtcp-rejected"), 2);
    assert_eq!(stat(&bench.sink, "rtp-ignored"), 1);
    assert_eq!(stat(&bench.sink, "rtcp-received"), 1);
    assert_eq!(bench.key_frame_requests(), 0);
}

#[test]
fn the_first_rtcp_packet_is_announced_once() {
    let mut bench = Bench::new();
    assert_eq!(stat(&bench.sink, "last-rtcp-age-ms"), u64::MAX);
    bench.say(from_controller());
    wait_for(&bench.bus, "hapsrtpsink-first-rtcp");
    bench.say(from_controller());
    bench.say(from_controller().bye());
    let next = bench.bus.timed_pop_filtered(
        gst::ClockTime::from_seconds(30),
        &[gst::MessageType::Element],
    );
    assert!(next.unwrap().has_name("hapsrtpsink-bye"));
    assert!(stat(&bench.sink, "last-rtcp-age-ms") < 30_000);
}

#[test]
fn a_silent_controller_is_announced() {
    let mut bench = Bench::with(Controller::default(), |sink| {
        sink.set_property("rtcp-timeout", 60u32);
    });
    bench.push(key_frame(), 0);
    let message = wait_for(&bench.bus, "hapsrtpsink-rtcp-timeout");
    let age = message.get::<u64>("age-ms").unwrap();
    assert!((60..30_000).contains(&age), "{age}");
}

#[test]
fn a_bitrate_cap_is_notified_and_confirmed() {
    let mut bench = Bench::new();
    let (tell, told) = std::sync::mpsc::channel();
    bench
        .sink
        .connect_notify(Some("max-bitrate"), move |sink, _| {
            let _ = tell.send(sink.property::<u32>("max-bitrate"));
        });
    bench.push(key_frame(), 0);
    bench.controller.sender_report();
    let cap = TmmbEntry {
        ssrc: OURS,
        bitrate: 131_000,
        overhead: 40,
    };
    bench.say(from_controller().max_bitrate_request(&[cap]));
    assert_eq!(told.recv_timeout(PATIENCE), Ok(131_000));
    let confirmed = Message::MaxBitrateNotification {
        sender: OURS,
        entries: vec![TmmbEntry {
            ssrc: THEIRS,
            ..cap
        }],
    };
    assert_eq!(bench.controller.rtcp().last(), Some(&confirmed));
    assert_eq!(bench.sink.property::<u32>("max-bitrate"), 131_000);
}

#[test]
fn sender_reports_come_by_themselves() {
    let mut bench = Bench::with(Controller::default(), |sink| {
        sink.set_property("rtcp-interval", 20u32);
        sink.set_property("cname", "front door");
    });
    bench.push(key_frame(), 0);
    let first = bench.controller.sender_report();
    let report = bench.controller.rtcp();
    let Message::SenderReport { info, .. } = report[0] else {
        panic!("{report:?}");
    };
    assert!(info.ntp > first.ntp);
    let name = Message::CanonicalName {
        ssrc: OURS,
        name: b"front door".to_vec(),
    };
    assert_eq!(report[1], name);
}

#[test]
fn a_suspended_stream_goes_on_where_it_stopped_with_a_key_frame() {
    let mut bench = Bench::new();
    bench.push(key_frame(), 0);
    let first = bench.controller.rtp().0;
    bench.controller.rtp();
    bench.controller.sender_report();
    bench.sink.set_property("active", false);
    bench.push(delta_frame(), 33);
    assert_eq!(stat(&bench.sink, "dropped-inactive"), 1);
    assert_eq!(bench.key_frame_requests(), 0);

    bench.sink.set_property("active", true);
    assert_eq!(bench.key_frame_requests(), 1);
    bench.push(delta_frame(), 66);
    bench.push(key_frame(), 100);
    let (header, payload) = bench.controller.rtp();
    assert_eq!(payload[0], 0x78);
    assert_eq!(header.sequence, first.sequence.wrapping_add(2));
    assert_eq!(header.timestamp, first.timestamp.wrapping_add(9000));
}

#[test]
fn new_caps_change_neither_ssrc_nor_sequence_nor_time() {
    let mut bench = Bench::new();
    bench.push(key_frame(), 0);
    let first = bench.controller.rtp().0;
    let smaller = [0x67, 0x42, 0xc0, 0x0d, 0x80];
    let codec_data = rtp_payload::h264::codec_data(&smaller, common::h264::PPS).unwrap();
    let caps = gst::Caps::builder("video/x-h264")
        .field("stream-format", "avc")
        .field("alignment", "au")
        .field("codec_data", buffer(&codec_data))
        .build();
    bench.harness.set_src_caps(caps);
    bench.push([&[0, 0, 0, 4], common::h264::IDR].concat(), 50);
    bench.controller.rtp();
    let (header, payload) = bench.controller.rtp();
    assert_eq!(header.ssrc, OURS);
    assert_eq!(header.sequence, first.sequence.wrapping_add(2));
    assert_eq!(header.timestamp, first.timestamp.wrapping_add(4500));
    assert_eq!(payload[3..8], smaller);
}

#[test]
fn the_end_is_a_bye_and_a_new_start_goes_on_counting() {
    let mut bench = Bench::new();
    bench.push(key_frame(), 0);
    let first = bench.controller.rtp().0;
    bench.controller.sender_report();
    bench.sink.set_state(gst::State::Ready).unwrap();
    let bye = Message::Bye {
        sources: vec![OURS],
    };
    while bench.controller.rtcp().last() != Some(&bye) {}

    bench.sink.set_state(gst::State::Playing).unwrap();
    let stream_start = gst::event::StreamStart::new("again");
    assert!(bench.harness.push_event(stream_start));
    bench.harness.set_src_caps(caps());
    bench.push(key_frame(), 0);
    let header = bench.controller.rtp().0;
    assert_eq!(header.sequence, first.sequence.wrapping_add(2));
}

#[test]
fn ipv6_and_a_given_port_work_too() {
    let controller = Controller::on(IpAddr::V6(Ipv6Addr::LOCALHOST));
    let free = std::net::UdpSocket::bind("[::1]:0").unwrap();
    let port = u32::from(free.local_addr().unwrap().port());
    drop(free);
    let mut bench = Bench::with(controller, |sink| {
        sink.set_property("bind-address", "::1");
        sink.set_property("bind-port", port);
    });
    assert_eq!(bench.sink.property::<u32>("bind-port"), port);
    bench.push(key_frame(), 0);
    assert_eq!(bench.controller.rtp().0.ssrc, OURS);
    bench.say(from_controller());
    wait_for(&bench.bus, "hapsrtpsink-first-rtcp");
}

#[test]
fn random_ssrcs_are_read_back() {
    let controller = Controller::default();
    let mut bench = Bench::with(controller, |sink| sink.set_property("ssrc", 0u32));
    let ssrc = bench.sink.property::<u32>("ssrc");
    assert_ne!(ssrc, 0);
    bench.push(key_frame(), 0);
    assert_eq!(bench.controller.rtp().0.ssrc, ssrc);
}

#[test]
fn a_closed_port_at_the_other_end_does_not_stop_the_stream() {
    let mut bench = Bench::new();
    let closed = {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.local_addr().unwrap().port()
    };
    bench.sink.set_property("port", u32::from(closed));
    for n in 0..10 {
        bench.push(key_frame(), 33 * n);
    }
    assert_eq!(stat(&bench.sink, "frames-sent"), 10);
    let port = u32::from(bench.controller.address().port());
    bench.sink.set_property("port", port);
    bench.push(key_frame(), 330);
    assert_eq!(bench.controller.rtp().0.ssrc, OURS);
}

#[test]
fn buffers_that_cannot_be_sent_do_not_stop_the_stream() {
    let mut bench = Bench::new();
    bench.push(b"no start code".to_vec(), 0);
    bench.push(Vec::new(), 0);
    bench.push(key_frame(), 0);
    assert_eq!(stat(&bench.sink, "dropped-invalid"), 2);
    assert_eq!(stat(&bench.sink, "frames-sent"), 1);
}

#[test]
fn stopping_from_a_message_of_the_element_does_not_hang() {
    init();
    let mut controller = Controller::default();
    let sink = sink(controller.address());
    let pipeline = pipeline(
        "videotestsrc is-live=true ! x264enc tune=zerolatency",
        &sink,
    );
    let (tell, told) = std::sync::mpsc::channel();
    pipeline.bus().unwrap().set_sync_handler({
        let sink = sink.downgrade();
        move |_, message| {
            if message.has_name("hapsrtpsink-first-rtcp") {
                let sink = sink.upgrade().unwrap();
                sink.set_locked_state(true);
                let _ = tell.send(sink.set_state(gst::State::Null));
            }
            gst::BusSyncReply::Drop
        }
    });
    let _stop = play(&pipeline);
    controller.rtp();
    controller.say(&sink, from_controller());
    told.recv_timeout(PATIENCE).unwrap().unwrap();
}

#[test]
fn a_sink_without_data_does_not_keep_its_sibling_from_playing() {
    init();
    let sink = sink("127.0.0.1:9".parse().unwrap());
    let pipeline = pipeline(
        "appsrc is-live=true format=time caps=audio/x-opus,channel-mapping-family=0",
        &sink,
    );
    let sibling =
        gst::parse::bin_from_description("videotestsrc num-buffers=5 ! fakesink", false).unwrap();
    pipeline.add(&sibling).unwrap();
    let _stop = play(&pipeline);
    let timeout = gst::ClockTime::from_seconds(20);
    let (result, state, _) = pipeline.state(timeout);
    assert!(result.is_ok());
    assert_eq!(state, gst::State::Playing);
}
