//! A stranger at the other end: GStreamer's `rtpbin`, `srtpdec` and `srtpenc` as the controller of
//! a sink with a real encoder before it.

mod common;

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use common::*;
use gst::prelude::*;

const LOCALHOST: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// How long feedback takes to the sink: the round trip, but for the time on loopback. `rtpbin` may
/// hold feedback back for a few hundred milliseconds more.
const DELAY: Duration = Duration::from_millis(600);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A port outside of the range that the system gives away to others meanwhile.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 10_000) as u16;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        if UdpSocket::bind((LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

fn parse(launch: &str) -> gst::Pipeline {
    let pipeline = gst::parse::launch(launch).unwrap();
    pipeline.downcast().unwrap()
}

/// Until `done` is true.
fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{what} does not come");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Takes datagrams from a port of its own to another, each [`DELAY`] later.
fn delay_to(to: u16) -> u16 {
    let socket = UdpSocket::bind((LOCALHOST, 0)).unwrap();
    let port = socket.local_addr().unwrap().port();
    let out = socket.try_clone().unwrap();
    let (tell, told) = mpsc::channel::<(Instant, Vec<u8>)>();
    std::thread::spawn(move || {
        for (due, datagram) in told {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let _ = out.send_to(&datagram, (LOCALHOST, to));
        }
    });
    std::thread::spawn(move || {
        let mut bytes = [0; 2048];
        while let Ok(len) = socket.recv(&mut bytes) {
            let _ = tell.send((Instant::now() + DELAY, bytes[..len].to_vec()));
        }
    });
    port
}

/// A camera of x264: its sink, and the pipeline that plays.
struct Camera {
    pipeline: gst::Pipeline,
    sink: gst::Element,
}

impl Camera {
    fn new(pattern: &str, viewer: u16) -> Self {
        init();
        let sink = sink((LOCALHOST, viewer).into());
        let launch = format!(
            "videotestsrc is-live=true pattern={pattern} ! \
             video/x-raw,format=I420,width=320,height=240,framerate=30/1 ! \
             x264enc tune=zerolatency speed-preset=ultrafast key-int-max=100000 bitrate=1000 ! \
             video/x-h264,profile=baseline ! hapencctl"
        );
        let pipeline = pipeline(&launch, &sink);
        // The port is known, but nothing is sent before the viewer listens.
        pipeline.set_state(gst::State::Ready).unwrap();
        Self { pipeline, sink }
    }

    fn port(&self) -> u16 {
        self.sink.property::<u32>("bind-port") as u16
    }

    fn play(&self) {
        self.pipeline.set_state(gst::State::Playing).unwrap();
    }

    fn stat(&self, field: &str) -> u64 {
        stat(&self.sink, field)
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

const PLI: &str = "rtcp-fb-nack-pli";

const FIR: &str = "rtcp-fb-ccm-fir";

/// What decrypts the sink's packets.
fn decrypting(port: u16, feedback: &str) -> String {
    format!(
        "udpsrc name=src address=127.0.0.1 port={port} caps=\"application/x-srtp,media=video,\
         clock-rate=90000,encoding-name=H264,payload=99,{feedback}=(boolean)true,ssrc=(uint){OURS},\
         srtp-key=(buffer){},\
         srtp-cipher=aes-128-icm,srtcp-cipher=aes-128-icm,srtp-auth=hmac-sha1-80,\
         srtcp-auth=hmac-sha1-80\" ! srtpdec name=dec",
        hex(&sink_key())
    )
}

/// `rtpbin` behind `srtpdec`; its feedback leaves by `srtpenc` to `back`.
struct Viewer {
    pipeline: gst::Pipeline,
}

impl Viewer {
    /// `feedback` is what it asks for key frames with.
    fn new(port: u16, back: u16, feedback: &str) -> Self {
        let pipeline = parse(&format!(
            "rtpbin name=rtp rtp-profile=avpf latency=20 {} \
             dec.rtp_src ! rtp.recv_rtp_sink_0 dec.rtcp_src ! rtp.recv_rtcp_sink_0 \
             srtpenc name=enc key={} rtp.send_rtcp_src_0 ! enc.rtcp_sink_0 \
             enc.rtcp_src_0 ! udpsink host=127.0.0.1 port={back} sync=false async=false \
             rtph264depay name=depay ! fakesink name=out sync=false async=false",
            decrypting(port, feedback),
            hex(&controller_key()),
        ));
        let bin = pipeline.by_name("rtp").unwrap();
        let session = bin.emit_by_name::<gst::glib::Object>("get-internal-session", &[&0u32]);
        session.set_property("internal-ssrc", THEIRS);
        // Feedback may go early only once per interval (RFC 4585 §3.5.2).
        session.set_property("rtcp-min-interval", 100_000_000u64);
        let depay = pipeline.by_name("depay").unwrap().downgrade();
        bin.connect_pad_added(move |_, pad| {
            let depay = depay.upgrade().unwrap();
            if pad.name().starts_with("recv_rtp_src") {
                pad.link(&depay.static_pad("sink").unwrap()).unwrap();
            }
        });
        pipeline.set_state(gst::State::Playing).unwrap();
        Self { pipeline }
    }

    fn has_pictures(&self) -> bool {
        let out = self.pipeline.by_name("out").unwrap();
        out.static_pad("sink").unwrap().current_caps().is_some()
    }

    /// Has `rtpbin` send a PLI or a FIR.
    fn request_key_frame(&self) {
        let out = self.pipeline.by_name("out").unwrap();
        let event = gst_video::UpstreamForceKeyUnitEvent::builder().build();
        assert!(out.static_pad("sink").unwrap().push_event(event));
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

#[test]
fn rtpbin_gets_a_key_frame_for_a_pli_but_none_within_twice_the_round_trip() {
    let port = free_port();
    let camera = Camera::new("ball", port);
    let viewer = Viewer::new(port, delay_to(camera.port()), PLI);
    camera.play();
    let round_trip = || Duration::from_micros(camera.stat("round-trip-time-us"));
    wait_until("a round trip", || round_trip() >= DELAY);
    assert!(round_trip() < 2 * DELAY, "{:?}", round_trip());
    // The first key frame is to be older than two round trips.
    std::thread::sleep(2 * DELAY);
    let key_frames = camera.stat("key-frames-sent");

    viewer.request_key_frame();
    let asked = Instant::now();
    wait_until("a key frame", || {
        camera.stat("key-frames-sent") > key_frames
    });
    let took = asked.elapsed();
    // The way back, a frame, and what rtpbin waits with feedback.
    assert!(took < 2 * DELAY, "{took:?}");
    let stats = camera.sink.property::<gst::Structure>("stats");
    assert_eq!(camera.stat("pli-received"), 1, "{stats}");

    // Sent now, it arrives DELAY after that key frame: within two round trips.
    viewer.request_key_frame();
    wait_until("the second PLI", || camera.stat("pli-received") == 2);
    let frames = camera.stat("frames-sent");
    wait_until("ten frames", || camera.stat("frames-sent") >= frames + 10);
    assert_eq!(camera.stat("pli-ignored"), 1);
    assert_eq!(camera.stat("key-frames-sent"), key_frames + 1);
    assert_eq!(camera.stat("rtcp-rejected"), 0);
}

#[test]
fn rtpbin_gets_a_key_frame_for_a_fir() {
    let port = free_port();
    let camera = Camera::new("ball", port);
    let viewer = Viewer::new(port, camera.port(), FIR);
    camera.play();
    wait_until("a picture", || viewer.has_pictures());
    wait_until("a report", || camera.stat("rtcp-received") > 0);
    let key_frames = camera.stat("key-frames-sent");
    viewer.request_key_frame();
    wait_until("a key frame", || {
        camera.stat("key-frames-sent") > key_frames
    });
    assert!(camera.stat("fir-received") > 0);
    assert_eq!(camera.stat("pli-received"), 0);
}

/// Bytes of RTCP, protected by `srtpenc`; and what `srtpdec` makes of the answers.
struct Scribe {
    sender: gst::Pipeline,
    receiver: gst::Pipeline,
    received: Arc<AtomicU64>,
}

impl Scribe {
    fn new(port: u16, back: u16) -> Self {
        let sender = parse(&format!(
            "srtpenc name=enc key={} appsrc name=in format=time caps=application/x-rtcp ! \
             enc.rtcp_sink_0 enc.rtcp_src_0 ! \
             udpsink host=127.0.0.1 port={back} sync=false async=false",
            hex(&controller_key())
        ));
        let receiver = parse(&format!(
            "{} dec.rtp_src ! fakesink sync=false async=false \
             dec.rtcp_src ! appsink name=rtcp sync=false async=false",
            decrypting(port, PLI)
        ));
        let received = Arc::new(AtomicU64::new(0));
        let count = received.clone();
        let source = receiver.by_name("src").unwrap();
        let pad = source.static_pad("src").unwrap();
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            let bytes = info.buffer().unwrap().size() as u64;
            count.fetch_add(bytes, Ordering::Relaxed);
            gst::PadProbeReturn::Ok
        });
        for pipeline in [&sender, &receiver] {
            pipeline.set_state(gst::State::Playing).unwrap();
        }
        Self {
            sender,
            receiver,
            received,
        }
    }

    fn say(&self, packet: &[u8]) {
        let source = self.sender.by_name("in").unwrap();
        let source = source.downcast::<gst_app::AppSrc>().unwrap();
        source.push_buffer(buffer(packet)).unwrap();
    }

    /// The next compound packet that has a member with these first bytes: that member.
    fn hear(&self, head: [u8; 2]) -> Vec<u8> {
        let sink = self.receiver.by_name("rtcp").unwrap();
        let sink = sink.downcast::<gst_app::AppSink>().unwrap();
        loop {
            let timeout = gst::ClockTime::try_from(PATIENCE).unwrap();
            let sample = sink.try_pull_sample(timeout).expect("RTCP comes");
            let bytes = sample.buffer().unwrap().map_readable().unwrap().to_vec();
            if let Some(member) = members(&bytes).find(|member| member[..2] == head) {
                return member.to_vec();
            }
        }
    }

    /// Bit/s on the wire for as long.
    fn bitrate(&self, span: Duration) -> f64 {
        let (before, start) = (self.received.load(Ordering::Relaxed), Instant::now());
        std::thread::sleep(span);
        let bytes = self.received.load(Ordering::Relaxed) - before;
        bytes as f64 * 8.0 / start.elapsed().as_secs_f64()
    }
}

impl Drop for Scribe {
    fn drop(&mut self) {
        for pipeline in [&self.sender, &self.receiver] {
            let _ = pipeline.set_state(gst::State::Null);
        }
    }
}

/// Members of a compound packet, by their length in words.
fn members(mut compound: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let words = compound.get(2..4)?;
        let len = 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
        let (member, rest) = compound.split_at_checked(len)?;
        compound = rest;
        Some(member)
    })
}

/// RR without blocks (RFC 3550 §6.4.2).
fn receiver_report() -> Vec<u8> {
    [&[0x80, 201, 0, 1][..], &THEIRS.to_be_bytes()].concat()
}

/// Exponent 2, mantissa 75 000, 40 bytes per packet (RFC 5104 §4.2.1.1): 300 kbit/s.
const CAP_300_KBIT: u32 = 2 << 26 | 75_000 << 9 | 40;

/// TMMBR is 205 with format 3, TMMBN has format 4 (RFC 5104 §4.2).
fn max_bitrate(format: u8, sender: u32, entry: u32, cap: u32) -> Vec<u8> {
    let words = [sender, 0, entry, cap].map(u32::to_be_bytes).concat();
    [&[0x80 | format, 205, 0, 4][..], &words].concat()
}

/// PLI is 206 with format 1 (RFC 4585 §6.3.1).
fn picture_loss() -> Vec<u8> {
    let words = [THEIRS, OURS].map(u32::to_be_bytes).concat();
    [&[0x81, 206, 0, 2][..], &words].concat()
}

#[test]
fn a_tmmbr_written_by_hand_is_obeyed_on_the_wire_within_two_seconds_and_confirmed() {
    let port = free_port();
    let camera = Camera::new("snow", port);
    let scribe = Scribe::new(port, camera.port());
    camera.play();
    wait_until("a frame", || camera.stat("frames-sent") > 0);
    std::thread::sleep(Duration::from_secs(1));
    let before = scribe.bitrate(Duration::from_secs(1));
    assert!(before > 700_000.0, "{before}");
    let key_frames = camera.stat("key-frames-sent");

    // PLI first: the cap counts all the same before the key frame (HAP R1 §11.4.1).
    let request = max_bitrate(3, THEIRS, OURS, CAP_300_KBIT);
    scribe.say(&[receiver_report(), picture_loss(), request].concat());
    let confirmed = scribe.hear([0x84, 205]);
    assert_eq!(confirmed, max_bitrate(4, OURS, THEIRS, CAP_300_KBIT));
    wait_until("a key frame", || {
        camera.stat("key-frames-sent") > key_frames
    });
    assert_eq!(camera.sink.property::<u32>("max-bitrate"), 300_000);

    std::thread::sleep(Duration::from_secs(2));
    let after = scribe.bitrate(Duration::from_secs(2));
    assert!((150_000.0..=300_000.0).contains(&after), "{after}");
}

#[test]
fn a_tstr_written_by_hand_is_confirmed_in_a_regular_report() {
    let port = free_port();
    let camera = Camera::new("ball", port);
    let scribe = Scribe::new(port, camera.port());
    camera.play();
    wait_until("a frame", || camera.stat("frames-sent") > 0);
    // TSTR is 206 with format 5, TSTN has format 6 (RFC 5104 §4.3): number 7, index 20.
    let trade_off = |format: u8, sender: u32, entry: u32| {
        let words = [sender, 0, entry, 7 << 24 | 20]
            .map(u32::to_be_bytes)
            .concat();
        [&[0x80 | format, 206, 0, 4][..], &words].concat()
    };
    scribe.say(&[receiver_report(), trade_off(5, THEIRS, OURS)].concat());
    assert_eq!(scribe.hear([0x86, 206]), trade_off(6, OURS, THEIRS));
    let bus = camera.pipeline.bus().unwrap();
    let message = wait_for(&bus, "hapsrtpsink-trade-off");
    assert_eq!(message.get::<u32>("index"), Ok(20));
}
