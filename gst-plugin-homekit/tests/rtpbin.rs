//! `haprtcpfb` beside an `rtpbin` with a real encoder; the other end is GStreamer's own AVPF
//! receiver, or RTCP written by hand.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use gst::prelude::*;
use rtp_feedback::{Message, TmmbEntry, TradeOffEntry, Writer};

mod common;
use common::{PATIENCE, THEIRS, init};

const LOCALHOST: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// How long RTCP takes to the sender: the round trip, but for the time on loopback.
const DELAY: Duration = Duration::from_millis(300);

fn free_port() -> u16 {
    let socket = UdpSocket::bind((LOCALHOST, 0)).unwrap();
    socket.local_addr().unwrap().port()
}

fn parse(launch: &str) -> gst::Pipeline {
    let pipeline = gst::parse::launch(launch).unwrap();
    pipeline.downcast().unwrap()
}

/// Waits until `done` is true.
fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < PATIENCE, "{what} does not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Shortens the interval of regular reports, as a controller negotiates it.
fn set_rtcp_interval(pipeline: &gst::Pipeline, milliseconds: u64) {
    let bin = pipeline.by_name("rtp").unwrap();
    let session = bin.emit_by_name::<gst::glib::Object>("get-internal-session", &[&0u32]);
    session.set_property("rtcp-min-interval", milliseconds * 1_000_000);
}

/// Takes datagrams from a port of its own to another, each [`DELAY`] later.
fn delay_to(to: u16) -> u16 {
    let socket = UdpSocket::bind((LOCALHOST, 0)).unwrap();
    let port = socket.local_addr().unwrap().port();
    let (sender, waiting) = mpsc::channel::<(Instant, Vec<u8>)>();
    let out = socket.try_clone().unwrap();
    std::thread::spawn(move || {
        for (due, datagram) in waiting {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let _ = out.send_to(&datagram, (LOCALHOST, to));
        }
    });
    std::thread::spawn(move || {
        let mut bytes = [0; 2048];
        while let Ok(len) = socket.recv(&mut bytes) {
            let due = Instant::now() + DELAY;
            if sender.send((due, bytes[..len].to_vec())).is_err() {
                return;
            }
        }
    });
    port
}

const PAYLOADER: &str = "rtph264pay config-interval=-1 pt=99";

/// The media pass `haprtcpfb` as access units.
fn before_rtp(options: &str) -> String {
    format!("haprtcpfb name=fb {options} ! {PAYLOADER}")
}

/// The media pass `haprtcpfb` in RTP.
fn in_rtp(options: &str) -> String {
    format!("{PAYLOADER} ! haprtcpfb name=fb {options}")
}

/// Encoder, `haprtcpfb` and `rtpbin`.
struct Sender {
    pipeline: gst::Pipeline,
    asked: Arc<AtomicU32>,
    said: Arc<Mutex<Vec<gst::Structure>>>,
}

impl Sender {
    /// `chain` leads from the encoder to `rtpbin`.
    fn start(rtp_out: u16, rtcp_out: u16, rtcp_in: u16, chain: &str) -> Self {
        let pipeline = parse(&format!(
            "rtpbin name=rtp rtp-profile=avpf \
             videotestsrc is-live=true ! video/x-raw,width=160,height=120,framerate=30/1 \
             ! x264enc name=encoder tune=zerolatency speed-preset=ultrafast key-int-max=100000 \
             ! video/x-h264,stream-format=byte-stream ! {chain} ! rtp.send_rtp_sink_0 \
             rtp.send_rtp_src_0 ! udpsink host=127.0.0.1 port={rtp_out} \
             rtp.send_rtcp_src_0 ! haprtcpfb role=rtcp-out ! udpsink host=127.0.0.1 port={rtcp_out} sync=false async=false \
             udpsrc address=127.0.0.1 port={rtcp_in} caps=application/x-rtcp \
             ! haprtcpfb role=rtcp-in ! rtp.recv_rtcp_sink_0"
        ));
        set_rtcp_interval(&pipeline, 500);
        let (asked, said) = (Arc::default(), Arc::default());
        let encoder = pipeline.by_name("encoder").unwrap();
        watch_upstream(&encoder, Arc::clone(&asked), Arc::clone(&said));
        pipeline.set_state(gst::State::Playing).unwrap();
        Self {
            pipeline,
            asked,
            said,
        }
    }

    fn fb(&self) -> gst::Element {
        self.pipeline.by_name("fb").unwrap()
    }

    fn stat(&self, name: &str) -> u64 {
        let stats = self.fb().property::<gst::Structure>("stats");
        stats.get(name).unwrap()
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// Counts requests for key frames, and keeps what else is said upstream.
fn watch_upstream(
    encoder: &gst::Element,
    asked: Arc<AtomicU32>,
    said: Arc<Mutex<Vec<gst::Structure>>>,
) {
    let pad = encoder.static_pad("src").unwrap();
    pad.add_probe(gst::PadProbeType::EVENT_UPSTREAM, move |_, info| {
        if let Some(event) = info.event() {
            if gst_video::UpstreamForceKeyUnitEvent::parse(event).is_ok() {
                asked.fetch_add(1, Ordering::SeqCst);
            } else if let (gst::EventType::CustomUpstream, Some(s)) =
                (event.type_(), event.structure())
            {
                said.lock().unwrap().push(s.to_owned());
            }
        }
        gst::PadProbeReturn::Ok
    });
}

/// GStreamer's own receiver.
struct Receiver {
    pipeline: gst::Pipeline,
    key_frames: Arc<AtomicU32>,
}

impl Receiver {
    fn start(rtp_in: u16, rtcp_in: u16, rtcp_out: u16) -> Self {
        let pipeline = parse(&format!(
            "rtpbin name=rtp rtp-profile=avpf latency=20 \
             udpsrc address=127.0.0.1 port={rtp_in} caps=\"application/x-rtp,media=video,\
             clock-rate=90000,encoding-name=H264,payload=99,rtcp-fb-nack-pli=(boolean)true\" \
             ! rtp.recv_rtp_sink_0 \
             udpsrc address=127.0.0.1 port={rtcp_in} caps=application/x-rtcp ! rtp.recv_rtcp_sink_0 \
             rtp.send_rtcp_src_0 ! udpsink host=127.0.0.1 port={rtcp_out} sync=false async=false \
             rtph264depay name=depay ! video/x-h264,alignment=au,stream-format=byte-stream \
             ! fakesink name=out sync=false async=false"
        ));
        // Feedback may go early only once per interval (RFC 4585 §3.5.2): a short one, so that the
        // second PLI is not held back for long.
        set_rtcp_interval(&pipeline, 100);
        let depay = pipeline.by_name("depay").unwrap().downgrade();
        let bin = pipeline.by_name("rtp").unwrap();
        bin.connect_pad_added(move |_, pad| {
            let depay = depay.upgrade().unwrap();
            if pad.name().starts_with("recv_rtp_src") {
                pad.link(&depay.static_pad("sink").unwrap()).unwrap();
            }
        });
        let key_frames = Arc::new(AtomicU32::new(0));
        let out = pipeline.by_name("out").unwrap().static_pad("sink").unwrap();
        let counter = Arc::clone(&key_frames);
        // Parameter sets may come in a buffer of their own, with the time of their picture.
        let newest = Mutex::new(None);
        out.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            let buffer = info.buffer().unwrap();
            let is_key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
            let mut newest = newest.lock().unwrap();
            if is_key && *newest != buffer.pts() {
                *newest = buffer.pts();
                counter.fetch_add(1, Ordering::SeqCst);
            }
            gst::PadProbeReturn::Ok
        });
        pipeline.set_state(gst::State::Playing).unwrap();
        Self {
            pipeline,
            key_frames,
        }
    }

    fn key_frames(&self) -> u32 {
        self.key_frames.load(Ordering::SeqCst)
    }

    /// Has rtpsession send a PLI.
    fn request_key_frame(&self) {
        let out = self.pipeline.by_name("out").unwrap();
        let event = gst_video::UpstreamForceKeyUnitEvent::builder().build();
        assert!(out.static_pad("sink").unwrap().push_event(event));
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

#[test]
fn a_pli_of_rtpbin_is_answered_but_not_within_twice_the_round_trip() {
    init();
    let (rtp, rtcp, back) = (free_port(), free_port(), free_port());
    let receiver = Receiver::start(rtp, rtcp, delay_to(back));
    let sender = Sender::start(rtp, rtcp, back, &in_rtp(""));
    let round_trip = || Duration::from_micros(sender.stat("round-trip-time-us"));
    wait_for("a round trip", || round_trip() >= DELAY);
    // The first key frame shall be older than two round trips.
    std::thread::sleep(2 * DELAY);
    let (asked, seen) = (sender.asked.load(Ordering::SeqCst), receiver.key_frames());

    receiver.request_key_frame();
    wait_for("a key frame", || receiver.key_frames() > seen);
    assert_eq!(sender.stat("pli-received"), 1);
    assert_eq!(sender.asked.load(Ordering::SeqCst), asked + 1);

    // On its way for DELAY, it arrives within twice the round trip of that key frame.
    receiver.request_key_frame();
    wait_for("the second PLI", || sender.stat("pli-received") == 2);
    std::thread::sleep(2 * DELAY);
    assert_eq!(sender.stat("pli-ignored"), 1);
    assert_eq!(sender.asked.load(Ordering::SeqCst), asked + 1);
    assert_eq!(receiver.key_frames(), seen + 1);
}

/// A controller of which only the RTCP is written by hand.
struct Controller {
    socket: UdpSocket,
    to: u16,
}

impl Controller {
    fn new(to: u16) -> Self {
        let socket = UdpSocket::bind((LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, to }
    }

    fn port(&self) -> u16 {
        self.socket.local_addr().unwrap().port()
    }

    fn hear(&self) -> Vec<Message> {
        let mut packet = [0; 2048];
        let len = self.socket.recv(&mut packet).expect("a report comes");
        rtp_feedback::parse(&packet[..len]).unwrap()
    }

    fn say(&self, packet: Writer) {
        let packet = packet.finish();
        self.socket.send_to(&packet, (LOCALHOST, self.to)).unwrap();
    }
}

#[test]
fn tmmbr_and_tstr_go_upstream_and_are_confirmed() {
    init();
    let (rtp, back) = (free_port(), free_port());
    let controller = Controller::new(back);
    let sender = Sender::start(
        rtp,
        controller.port(),
        back,
        &before_rtp("min-bitrate=200000"),
    );
    let Message::SenderReport { ssrc, .. } = controller.hear()[0] else {
        panic!("a sender report comes first");
    };
    assert_eq!(sender.fb().property::<u32>("ssrc"), ssrc);

    let cap = TmmbEntry {
        ssrc,
        bitrate: 0,
        overhead: 40,
    };
    let trade_off = TradeOffEntry {
        ssrc,
        sequence: 1,
        index: 20,
    };
    let packet = Writer::new(THEIRS).receiver_report(&[]);
    let packet = packet.trade_off_request(&[trade_off]);
    controller.say(packet.max_bitrate_request(&[cap]));
    let tmmbn = Message::MaxBitrateNotification {
        sender: ssrc,
        entries: vec![TmmbEntry {
            ssrc: THEIRS,
            bitrate: 200_000,
            ..cap
        }],
    };
    let tstn = Message::TradeOffNotification {
        sender: ssrc,
        entries: vec![TradeOffEntry {
            ssrc: THEIRS,
            ..trade_off
        }],
    };
    let until = |wanted: &Message| loop {
        let report = controller.hear();
        assert!(matches!(report[0], Message::SenderReport { .. }));
        if report.contains(wanted) {
            return Instant::now();
        }
    };
    let confirmed = until(&tmmbn);
    let gap = until(&tstn) - confirmed;
    assert!(gap >= Duration::from_millis(450), "{gap:?}");
    assert_eq!(sender.fb().property::<u32>("max-bitrate"), 200_000);
    let said = sender.said.lock().unwrap();
    let field = |name: &str, field: &str| {
        let event = said.iter().find(|s| s.name() == name).unwrap();
        event.get::<u32>(field).unwrap()
    };
    assert_eq!(field("hap-max-bitrate", "bitrate"), 200_000);
    assert_eq!(field("hap-trade-off", "index"), 20);
}

#[test]
fn key_frames_are_asked_for_after_each_interval() {
    init();
    let (rtp, back) = (free_port(), free_port());
    let controller = Controller::new(back);
    let chain = before_rtp("key-frame-interval=400");
    let sender = Sender::start(rtp, controller.port(), back, &chain);
    controller.hear();
    let before = sender.asked.load(Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(2200));
    let asked = sender.asked.load(Ordering::SeqCst) - before;
    // Each time a frame or two later than after 400 ms.
    assert!((3..=6).contains(&asked), "{asked}");
    assert!(sender.stat("key-frames") > 3);
}

#[test]
fn reports_that_rtpbin_is_late_with_are_made_and_count_what_passed() {
    init();
    let (rtp, back) = (free_port(), free_port());
    let controller = Controller::new(back);
    let chain = in_rtp("rtcp-interval=100");
    let sender = Sender::start(rtp, controller.port(), back, &chain);
    let mut reports = Vec::new();
    let begin = Instant::now();
    while reports.len() < 12 {
        if let Message::SenderReport { info, .. } = controller.hear()[0] {
            reports.push((begin.elapsed(), info));
        }
    }
    // rtpbin by itself sends one in 250 to 750 ms.
    let (first, last) = (reports[0], reports[11]);
    let span = last.0 - first.0;
    assert!(span < Duration::from_millis(2200), "{span:?}");
    for pair in reports.windows(2) {
        let (before, after) = (pair[0].1, pair[1].1);
        assert!(before.ntp < after.ntp);
        assert!(before.packets <= after.packets && before.octets <= after.octets);
        let ntp = (after.ntp.to_bits() - before.ntp.to_bits()) as f64 / f64::from(u32::MAX);
        let rtp = f64::from(after.rtp_timestamp.wrapping_sub(before.rtp_timestamp)) / 90_000.0;
        assert!((ntp - rtp).abs() < 0.005, "{ntp} s by NTP, {rtp} s by RTP");
    }
    // Thirty pictures a second.
    let packets = f64::from(last.1.packets - first.1.packets);
    assert!(
        packets >= 20.0 * span.as_secs_f64(),
        "{packets} in {span:?}"
    );
    assert!(sender.stat("sender-reports") >= 12);
}
