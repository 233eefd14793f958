//! What the media tests share: a viewer nobody here wrote (GStreamer's own SRTP and H.264 elements), and cameras.
// Each test program uses a part of it.
#![allow(dead_code, unreachable_pub)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gst::prelude::*;
use hapd::media::*;

pub const KEY: [u8; 16] = [0x42; 16];
pub const SALT: [u8; 14] = [0x17; 14];
const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// One RTP packet as it came, decrypted.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    pub at: Instant,
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
    pub size: usize,
    pub first_byte: u8,
}

/// One decoded picture or block of sound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decoded {
    pub at: Instant,
    pub width: i32,
    pub height: i32,
    /// Loudest sample, of sound.
    pub peak: i16,
}

/// Receives one medium: `udpsrc ! srtpdec ! depayloader ! decoder`.
pub struct Receiver {
    pub port: u16,
    pub ssrc: u32,
    pipeline: gst::Pipeline,
    packets: Arc<Mutex<Vec<Packet>>>,
    decoded: Arc<Mutex<Vec<Decoded>>>,
}

impl Receiver {
    pub fn video(ssrc: u32) -> Self {
        let rtp = "media=video,clock-rate=90000,encoding-name=H264,payload=99";
        Self::new(
            ssrc,
            rtp,
            "rtph264depay ! h264parse ! avdec_h264 output-corrupt=false",
        )
    }

    pub fn audio(ssrc: u32, rate: u32) -> Self {
        // GStreamer's depayloader knows Opus at 48 kHz only; the timestamps are looked at apart.
        let rtp = format!("media=audio,clock-rate={rate},encoding-name=OPUS,payload=110");
        Self::new(
            ssrc,
            &rtp,
            "capssetter join=true caps=application/x-rtp,clock-rate=48000 ! rtpopusdepay ! opusdec ! audio/x-raw,format=S16LE",
        )
    }

    fn new(ssrc: u32, rtp: &str, decode: &str) -> Self {
        init().unwrap();
        log();
        let port = free_port();
        let key: String = KEY
            .iter()
            .chain(&SALT)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let launch = format!(
            "udpsrc port={port} address=127.0.0.1 caps=\"application/x-srtp,{rtp},ssrc=(uint){ssrc},srtp-key=(buffer){key},\
             srtp-cipher=(string)aes-128-icm,srtp-auth=(string)hmac-sha1-80,srtcp-cipher=(string)aes-128-icm,\
             srtcp-auth=(string)hmac-sha1-80\" ! srtpdec name=srtp ! {decode} ! appsink name=out sync=false srtp.rtcp_src ! fakesink sync=false async=false"
        );
        let pipeline = gst::parse::launch(&launch)
            .unwrap()
            .downcast::<gst::Pipeline>()
            .unwrap();
        let packets = Arc::<Mutex<Vec<Packet>>>::default();
        let kept = packets.clone();
        let srtp = pipeline
            .by_name("srtp")
            .unwrap()
            .static_pad("rtp_src")
            .unwrap();
        srtp.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            kept.lock().unwrap().push(packet(info.buffer().unwrap()));
            gst::PadProbeReturn::Ok
        });
        let decoded = Arc::<Mutex<Vec<Decoded>>>::default();
        let kept = decoded.clone();
        let sink = pipeline
            .by_name("out")
            .unwrap()
            .downcast::<gst_app::AppSink>()
            .unwrap();
        let callbacks = gst_app::AppSinkCallbacks::builder().new_sample(move |sink| {
            kept.lock()
                .unwrap()
                .push(look(&sink.pull_sample().map_err(|_| gst::FlowError::Eos)?));
            Ok(gst::FlowSuccess::Ok)
        });
        sink.set_callbacks(callbacks.build());
        pipeline.bus().unwrap().set_sync_handler(|_, message| {
            if let gst::MessageView::Error(error) = message.view() {
                println!("receiver: {} {:?}", error.error(), error.debug());
            }
            gst::BusSyncReply::Drop
        });
        pipeline.set_state(gst::State::Playing).unwrap();
        Self {
            port,
            ssrc,
            pipeline,
            packets,
            decoded,
        }
    }

    pub fn packets(&self) -> Vec<Packet> {
        self.packets.lock().unwrap().clone()
    }

    pub fn decoded(&self) -> Vec<Decoded> {
        self.decoded.lock().unwrap().clone()
    }

    /// Waits until `count` have been decoded.
    pub fn wait(&self, count: usize) -> Vec<Decoded> {
        until(&format!("{count} decoded"), || {
            self.decoded().len() >= count
        });
        self.decoded()
    }

    /// Waits for a picture of this size.
    pub fn wait_size(&self, width: i32, height: i32) {
        until(&format!("{width}x{height}"), || {
            self.decoded()
                .last()
                .is_some_and(|d| (d.width, d.height) == (width, height))
        });
    }

    /// Sequence numbers without a gap, one SSRC, time that never runs back.
    pub fn assert_unbroken(&self) {
        let packets = self.packets();
        assert!(packets.len() > 2);
        for pair in packets.windows(2) {
            assert_eq!(pair[1].ssrc, self.ssrc);
            assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
            let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
            assert!(step < 90_000 * 30, "time stepped by {}", step as i32);
        }
    }

    pub fn endpoint(&self) -> MediaEndpoint {
        let key = || SrtpKey::new(SrtpSuite::Aes128, &KEY, &SALT).unwrap();
        let remote = SocketAddr::new(LOCALHOST, self.port);
        MediaEndpoint {
            remote,
            ssrc: self.ssrc,
            key: key(),
            remote_key: key(),
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

fn packet(buffer: &gst::Buffer) -> Packet {
    let map = buffer.map_readable().unwrap();
    Packet {
        at: Instant::now(),
        ssrc: u32::from_be_bytes(map[8..12].try_into().unwrap()),
        sequence: u16::from_be_bytes(map[2..4].try_into().unwrap()),
        timestamp: u32::from_be_bytes(map[4..8].try_into().unwrap()),
        size: map.len(),
        first_byte: map[12],
    }
}

fn look(sample: &gst::Sample) -> Decoded {
    let s = sample.caps().unwrap().structure(0).unwrap();
    let number = |field| s.get::<i32>(field).unwrap_or(0);
    let map = sample.buffer().unwrap().map_readable().unwrap();
    let peak = match s.name().as_str() {
        "audio/x-raw" => map
            .chunks_exact(2)
            .map(|b| i16::from_le_bytes([b[0], b[1]]).saturating_abs())
            .max()
            .unwrap_or(0),
        _ => 0,
    };
    Decoded {
        at: Instant::now(),
        width: number("width"),
        height: number("height"),
        peak,
    }
}

/// Shows the library's log when `RUST_LOG` is set.
pub fn log() {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_test_writer()
        .try_init();
}

/// A port nobody uses.
pub fn free_port() -> u16 {
    UdpSocket::bind((LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Waits up to 8 seconds for something to become true.
#[track_caller]
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(8);
    while !done() {
        assert!(Instant::now() < end, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[track_caller]
pub fn until_running(camera: &Camera) {
    let end = Instant::now() + Duration::from_secs(8);
    while camera.status().state != State::Running {
        assert!(Instant::now() < end, "not running: {:?}", camera.status());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A viewer of video and audio.
pub struct Viewer {
    pub session: Session,
    pub video: Receiver,
    pub audio: Receiver,
}

impl Viewer {
    pub fn open(camera: &Camera) -> Self {
        let (video, audio) = (
            Receiver::video(0x1111_1111),
            Receiver::audio(0x2222_2222, 16_000),
        );
        let endpoints = SessionEndpoints {
            local: LOCALHOST,
            video: video.endpoint(),
            audio: audio.endpoint(),
        };
        Self {
            session: camera.open_session(endpoints).unwrap(),
            video,
            audio,
        }
    }

    pub fn start(camera: &Camera, params: VideoParams) -> Self {
        let viewer = Self::open(camera);
        viewer.session.start(params, Some(audio_params())).unwrap();
        viewer
    }
}

pub fn video_params(width: u16, height: u16) -> VideoParams {
    VideoParams {
        profile: H264Profile::Main,
        level: H264Level::L3_1,
        width,
        height,
        fps: 30,
        max_bitrate_kbps: 500,
        payload_type: 99,
        remote_ssrc: 0,
        mtu: Some(1378),
        rtcp_interval: Some(Duration::from_millis(500)),
    }
}

pub fn audio_params() -> AudioParams {
    AudioParams {
        sample_rate: 16_000,
        packet_time_ms: 20,
        payload_type: 110,
        remote_ssrc: 0,
        max_bitrate_kbps: 24,
        rtcp_interval: Some(Duration::from_secs(5)),
        channels: 1,
    }
}

pub fn test_camera() -> CameraSource {
    CameraSource {
        size: Some((640, 360)),
        ..CameraSource::new("test", Source::Test)
    }
}

pub fn launch(text: &str) -> CameraSource {
    CameraSource::new("launch", Source::Launch(Secret::new(text)))
}

/// H.264 Main of 320x240 with a key frame every second, and ticks.
pub const ENCODED: &str = "videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=320,height=240,framerate=30/1 \
    ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=30 cabac=true bitrate=300 ! capsfilter caps=video/x-h264,profile=main \
    audiotestsrc is-live=true wave=ticks samplesperbuffer=960 ! capsfilter caps=audio/x-raw,rate=48000,channels=2";

/// Writes a file of so many frames of H.264 with sound, and returns its path.
pub fn write_file(folder: &std::path::Path, frames: u32) -> std::path::PathBuf {
    init().unwrap();
    let path = folder.join("clip.mp4");
    let blocks = frames * 1600 / 960;
    let launch = format!(
        "videotestsrc num-buffers={frames} ! video/x-raw,format=I420,width=320,height=240,framerate=30/1 \
         ! x264enc bframes=0 key-int-max=15 speed-preset=ultrafast ! h264parse ! queue ! mux. \
         audiotestsrc num-buffers={blocks} wave=ticks samplesperbuffer=960 ! audio/x-raw,rate=48000,channels=1 ! avenc_aac ! aacparse ! queue ! mux. \
         mp4mux name=mux ! filesink location={}",
        path.display()
    );
    let pipeline = gst::parse::launch(&launch).unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let message = pipeline
        .bus()
        .unwrap()
        .timed_pop_filtered(gst::ClockTime::from_seconds(10), &ends)
        .unwrap();
    assert_eq!(message.type_(), gst::MessageType::Eos, "{message:?}");
    pipeline.set_state(gst::State::Null).unwrap();
    path
}

/// Size in the header of a JPEG file.
pub fn jpeg_size(jpeg: &[u8]) -> (u16, u16) {
    assert_eq!(jpeg[..2], [0xff, 0xd8], "a JPEG file");
    let mut at = 2;
    loop {
        let (marker, length) = (
            jpeg[at + 1],
            u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]),
        );
        if matches!(marker, 0xc0..=0xc2) {
            let number = |n: usize| u16::from_be_bytes([jpeg[at + n], jpeg[at + n + 1]]);
            return (number(7), number(5));
        }
        at += 2 + usize::from(length);
    }
}
