//! Bad input at the media port: counted, survived, and no concern of another session.

mod common;

use common::h264::{IDR, PPS, SPS, annex_b, caps, delta_frame, key_frame};
use common::*;
use gst::prelude::*;
use gst_check::Harness;
use rtp_feedback::{Message, TmmbEntry};
use rtp_payload::Header;
use srtp::{MasterKey, Sender, Suite};

/// One session: a playing sink with the test as its source.
struct Session {
    sink: gst::Element,
    harness: Harness,
    controller: Controller,
    bus: gst::Bus,
    time: u64,
}

impl Session {
    fn new() -> Self {
        init();
        let controller = Controller::default();
        let sink = sink(controller.address());
        sink.set_property("sync", false);
        let bus = gst::Bus::new();
        sink.set_bus(Some(&bus));
        let mut harness = Harness::with_element(&sink, Some("sink"), None);
        harness.set_src_caps(caps());
        harness.play();
        let mut this = Self {
            sink,
            harness,
            controller,
            bus,
            time: 0,
        };
        this.push(key_frame());
        this
    }

    fn push(&mut self, data: Vec<u8>) {
        let mut buffer = gst::Buffer::from_slice(data);
        let pts = gst::ClockTime::from_mseconds(self.time);
        buffer.get_mut().unwrap().set_pts(pts);
        self.time += 33;
        assert_eq!(self.harness.push(buffer), Ok(gst::FlowSuccess::Ok));
    }

    /// Everything the controller sent before has been dealt with when its BYE is announced.
    fn settle(&mut self) {
        self.controller.say(&self.sink, from_controller().bye());
        wait_for(&self.bus, "hapsrtpsink-bye");
    }

    fn stat(&self, field: &str) -> u64 {
        stat(&self.sink, field)
    }

    fn key_frame_requests(&mut self) -> usize {
        let events = std::iter::from_fn(|| self.harness.try_pull_upstream_event());
        let names = events.filter_map(|event| Some(event.structure()?.name().to_string()));
        names.filter(|name| name == "GstForceKeyUnit").count()
    }

    /// A good session goes on as if nothing had been.
    fn is_unharmed(&mut self) {
        let sent = self.stat("frames-sent");
        self.push(delta_frame());
        assert_eq!(self.stat("frames-sent"), sent + 1);
        for field in [
            "rtcp-rejected",
            "rtp-rejected",
            "rtp-ignored",
            "send-errors",
        ] {
            assert_eq!(self.stat(field), 0, "{field}");
        }
        assert_eq!(self.key_frame_requests(), 0);
        self.settle();
        assert_eq!(self.stat("rtcp-received"), 1);
    }
}

fn header(sequence: u16) -> Header {
    Header {
        marker: false,
        payload_type: 99,
        sequence,
        timestamp: 0,
        ssrc: THEIRS,
    }
}

/// One datagram of each bad kind; all but the last two look like RTCP.
fn bad_datagrams(session: &mut Session) -> Vec<Vec<u8>> {
    let loss = || from_controller().picture_loss(OURS).finish();
    let wrong = MasterKey::new(Suite::default(), &[9; 16], &[9; 14]).unwrap();
    let mut wrong_key = loss();
    Sender::new(&wrong).protect_rtcp(&mut wrong_key).unwrap();
    let mut other_source = rtp_feedback::Writer::new(THEIRS + 1)
        .receiver_report(&[])
        .picture_loss(OURS)
        .finish();
    let key = MasterKey::from_key_and_salt(Suite::default(), &controller_key()).unwrap();
    Sender::new(&key).protect_rtcp(&mut other_source).unwrap();
    let clear = loss();
    let truncated = wrong_key[..wrong_key.len() - 5].to_vec();
    let rtp = session
        .controller
        .protected_rtp(header(1), b"video of the controller");
    vec![
        wrong_key,
        other_source,
        clear,
        truncated,
        vec![0x80, 201],
        rtp,
        vec![],
    ]
}

#[test]
fn forged_truncated_and_foreign_packets_are_counted_and_change_nothing() {
    let (mut session, mut other) = (Session::new(), Session::new());
    let datagrams = bad_datagrams(&mut session);
    for datagram in &datagrams {
        session.controller.send_raw(&session.sink, datagram);
    }
    session.settle();
    assert_eq!(session.stat("rtcp-rejected"), 5);
    assert_eq!(session.stat("rtp-ignored"), 2);
    assert_eq!(session.stat("rtcp-received"), 1);
    assert_eq!(session.stat("pli-received"), 0);
    assert_eq!(session.key_frame_requests(), 0);
    other.is_unharmed();
}

#[test]
fn replayed_packets_are_counted_once_as_what_they_are() {
    let session = Session::new();
    let key = MasterKey::from_key_and_salt(Suite::default(), &controller_key()).unwrap();
    let mut sender = Sender::new(&key);
    let mut packets: Vec<Vec<u8>> = (0..4)
        .map(|n| {
            let mut packet = from_controller().full_intra_request(OURS, n).finish();
            sender.protect_rtcp(&mut packet).unwrap();
            packet
        })
        .collect();
    packets.swap(1, 2);
    for packet in packets.iter().chain(&packets) {
        session.controller.send_raw(&session.sink, packet);
    }
    // The controller of the session counts its packets from the beginning, too: another one.
    let mut bye = from_controller().bye().finish();
    sender.protect_rtcp(&mut bye).unwrap();
    session.controller.send_raw(&session.sink, &bye);
    wait_for(&session.bus, "hapsrtpsink-bye");
    assert_eq!(session.stat("rtcp-rejected"), 4);
    assert_eq!(session.stat("fir-received"), 4, "reordered ones count");
}

#[test]
fn authentic_packets_with_absurd_lengths_are_counted() {
    let (mut session, mut other) = (Session::new(), Session::new());
    let theirs = THEIRS.to_be_bytes();
    let with = |head: [u8; 4], rest: &[u8]| [&head, &theirs[..], rest].concat();
    let receiver_report = with([0x80, 201, 0, 1], &[]);
    let absurd = [
        // A length far behind the end; then one that ends within the header of the next.
        with([0x80, 201, 0xff, 0xff], &[]),
        with([0x80, 201, 0, 0], &[]),
        // More blocks, chunks, sources than there is room for.
        with([0x9f, 200, 0, 1], &[]),
        with([0x9f, 201, 0, 1], &[]),
        // Padding longer than the packet.
        [
            &receiver_report[..],
            &with([0xa1, 206, 0, 2], &[0, 0, 0, 255]),
        ]
        .concat(),
        // TMMBR with half an entry; FIR with none; a NACK of nothing.
        [&receiver_report[..], &with([0x83, 205, 0, 3], &[0; 8])].concat(),
        [&receiver_report[..], &with([0x84, 206, 0, 2], &[0; 4])].concat(),
        [&receiver_report[..], &with([0x81, 205, 0, 2], &[0; 4])].concat(),
        // Longer than any network carries.
        vec![0x80; 5000]
            .into_iter()
            .enumerate()
            .map(|(n, b)| if n == 1 { 201 } else { b })
            .collect(),
    ];
    let count = absurd.len() as u64;
    for packet in absurd {
        session.controller.say_bytes(&session.sink, packet);
    }
    session.settle();
    let known = session.stat("rtcp-rejected") + session.stat("rtcp-received") - 1;
    assert_eq!(known, count, "each is counted");
    assert!(session.stat("rtcp-rejected") >= 3);
    for field in [
        "pli-received",
        "fir-received",
        "tmmbr-received",
        "nack-received",
    ] {
        assert_eq!(session.stat(field), 0, "{field}");
    }
    assert_eq!(session.key_frame_requests(), 0);
    session.push(delta_frame());
    other.is_unharmed();
}

#[test]
fn caps_of_zero_and_of_everything_are_obeyed_within_reason() {
    let mut session = Session::new();
    session.sink.set_property("min-bitrate", 64_000u32);
    session.controller.sender_report();
    for (asked, confirmed, property) in [
        (0, 64_000, 64_000),
        (1 << 63, 1 << 63, u32::MAX),
        (131_000, 131_000, 131_000),
    ] {
        let cap = TmmbEntry {
            ssrc: OURS,
            bitrate: asked,
            overhead: 40,
        };
        let request = from_controller().max_bitrate_request(&[cap]);
        session.controller.say(&session.sink, request);
        let entry = loop {
            if let Some(Message::MaxBitrateNotification { entries, .. }) =
                session.controller.rtcp().last()
            {
                break entries[0];
            }
        };
        assert_eq!((entry.bitrate, entry.ssrc), (confirmed, THEIRS));
        assert_eq!(session.sink.property::<u32>("max-bitrate"), property);
        session.push(key_frame());
    }
    assert_eq!(session.stat("send-errors"), 0);
}

#[test]
fn a_controller_that_never_reads_holds_nothing_up() {
    let (mut session, mut other) = (Session::new(), Session::new());
    session.sink.set_property("pacing", 0.0);
    let mut idr = IDR.to_vec();
    idr.resize(100_000, 0x55);
    let frame = annex_b(&[SPS, PPS, &idr]);
    let start = std::time::Instant::now();
    for _ in 0..100 {
        session.push(frame.clone());
    }
    // 10 MB into a socket that has room for a fraction of it.
    assert!(start.elapsed() < PATIENCE / 3);
    assert_eq!(session.stat("frames-sent"), 101);
    session.settle();
    other.is_unharmed();
}

#[test]
fn a_controller_that_is_gone_is_survived() {
    let (mut session, mut other) = (Session::new(), Session::new());
    let gone = Controller::default();
    session
        .sink
        .set_property("port", u32::from(gone.address().port()));
    drop(gone);
    // Every datagram is answered by ICMP: port unreachable.
    for _ in 0..50 {
        session.push(key_frame());
    }
    assert_eq!(session.stat("frames-sent"), 51);
    let port = u32::from(session.controller.address().port());
    session.sink.set_property("port", port);
    session.settle();
    other.is_unharmed();
}

#[test]
fn a_key_frame_of_10_mb_is_a_loss_that_the_receiver_can_see() {
    let (mut session, mut other) = (Session::new(), Session::new());
    let mut idr = IDR.to_vec();
    idr.resize(10_000_000, 0x55);
    session.push(annex_b(&[SPS, PPS, &idr]));
    session.push(delta_frame());
    assert_eq!(session.stat("dropped-invalid"), 1);
    let first = session.controller.rtp().0;
    session.controller.rtp();
    let after = session.controller.rtp().0;
    assert_eq!(after.sequence, first.sequence.wrapping_add(3), "a gap");
    session
        .controller
        .say(&session.sink, from_controller().full_intra_request(OURS, 1));
    session.settle();
    assert_eq!(session.key_frame_requests(), 1);
    other.is_unharmed();
}
