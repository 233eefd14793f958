//! ffmpeg as the receiver, from an SDP with the key in it (RFC 4568).

mod common;

use std::io::Read;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use common::*;
use gst::glib;
use gst::prelude::*;

/// A directory that goes away.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("hapsrtpsink-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// ffmpeg, and what it says.
struct Ffmpeg {
    child: Child,
    output: mpsc::Receiver<(String, String)>,
}

impl Ffmpeg {
    /// Reads `media` (an `m=` line and attributes) on `port`, writes with `arguments` to stdout.
    fn start(scratch: &Scratch, port: u16, media: &str, arguments: &[&str]) -> Self {
        let key = glib::base64_encode(&sink_key());
        let sdp = format!(
            "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n{media}\
             a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n"
        );
        let path = scratch.0.join("stream.sdp");
        std::fs::write(&path, sdp).unwrap();
        let mut child = Command::new("ffmpeg")
            .args(["-nostdin", "-v", "warning", "-xerror"])
            .args(["-protocol_whitelist", "file,udp,rtp,srtp"])
            .arg("-i")
            .arg(&path)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("ffmpeg is installed");
        let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (tell, output) = mpsc::channel();
        std::thread::spawn(move || {
            let mut texts = (String::new(), String::new());
            let _ = out.read_to_string(&mut texts.0);
            let _ = err.read_to_string(&mut texts.1);
            let _ = tell.send(texts);
        });
        let mut this = Self { child, output };
        this.wait_until_it_listens(port);
        this
    }

    /// Until the system lists a UDP socket on `port`; what paces the loop is waiting for its end.
    fn wait_until_it_listens(&mut self, port: u16) {
        let deadline = Instant::now() + PATIENCE;
        let wanted = format!(":{port:04X} ");
        loop {
            let sockets = std::fs::read_to_string("/proc/net/udp").unwrap();
            if sockets.contains(&wanted) {
                return;
            }
            let ended = self.output.recv_timeout(Duration::from_millis(20));
            assert!(ended.is_err(), "ffmpeg ended: {ended:?}");
            assert!(Instant::now() < deadline, "ffmpeg does not listen");
        }
    }

    /// What it wrote; it has to end by itself and to complain of nothing.
    fn finish(mut self) -> String {
        let (out, err) = self.output.recv_timeout(PATIENCE).expect("ffmpeg ends");
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {err}");
        assert_eq!(err, "", "ffmpeg complains");
        out
    }
}

impl Drop for Ffmpeg {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A pair of ports, as ffmpeg wants one for RTP and the next for RTCP.
fn free_port() -> u16 {
    loop {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        if port % 2 == 0 && UdpSocket::bind((Ipv4Addr::LOCALHOST, port + 1)).is_ok() {
            return port;
        }
    }
}

/// Lines of checksums; comments begin with `#`.
fn frames(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with('#')).collect()
}

#[test]
fn ffmpeg_decodes_the_pictures() {
    init();
    let scratch = Scratch::new("video");
    let port = free_port();
    let media = format!("m=video {port} RTP/SAVP 99\r\na=rtpmap:99 H264/90000\r\n");
    let arguments = ["-frames:v", "40", "-f", "framemd5", "-"];
    let ffmpeg = Ffmpeg::start(&scratch, port, &media, &arguments);
    let sink = sink((Ipv4Addr::LOCALHOST, port).into());
    let pipeline = pipeline(
        "videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=30/1 ! \
         x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15",
        &sink,
    );
    let _stop = play(&pipeline);
    let text = ffmpeg.finish();
    assert!(text.contains("#dimensions 0: 320x240"), "{text}");
    assert_eq!(frames(&text).len(), 40);
}

#[test]
fn ffmpeg_decodes_the_sound() {
    init();
    let scratch = Scratch::new("audio");
    let port = free_port();
    let media = format!("m=audio {port} RTP/SAVP 110\r\na=rtpmap:110 opus/48000/2\r\n");
    let arguments = ["-t", "1", "-f", "framemd5", "-"];
    let ffmpeg = Ffmpeg::start(&scratch, port, &media, &arguments);
    let sink = sink((Ipv4Addr::LOCALHOST, port).into());
    sink.set_property("packet-time", 60u32);
    let pipeline = pipeline(
        "audiotestsrc is-live=true ! audio/x-raw,rate=48000,channels=1 ! opusenc frame-size=20",
        &sink,
    );
    let _stop = play(&pipeline);
    let text = ffmpeg.finish();
    assert!(frames(&text).len() >= 16, "{text}");
}
