//! Cameras that come, go and come back.

mod media_support;

use std::time::{Duration, Instant};

use gst::glib;
use gst_rtsp_server::prelude::*;
use hapd::media::*;
use media_support::*;

const USER: &str = "bob";
const PASSWORD: &str = "hunter2";

/// An RTSP server on a thread of its own; gone when dropped.
struct Server {
    port: u16,
    main: glib::MainLoop,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    fn start(port: u16, media: &str, protected: bool) -> Self {
        init().unwrap();
        let (sender, ready) = std::sync::mpsc::channel();
        let media = media.to_owned();
        let thread = std::thread::spawn(move || serve(port, &media, protected, &sender));
        let (main, port) = ready.recv().unwrap();
        Self {
            port,
            main,
            thread: Some(thread),
        }
    }

    fn camera(&self, credentials: &str, transport: RtspTransport) -> CameraSource {
        let url = Secret::new(format!(
            "rtsp://{credentials}127.0.0.1:{}/camera",
            self.port
        ));
        CameraSource::new("rtsp", Source::Rtsp { url, transport })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.main.quit();
        self.thread.take().unwrap().join().unwrap();
    }
}

fn serve(
    port: u16,
    media: &str,
    protected: bool,
    ready: &std::sync::mpsc::Sender<(glib::MainLoop, u16)>,
) {
    let context = glib::MainContext::new();
    context
        .with_thread_default(|| {
            let server = gst_rtsp_server::RTSPServer::new();
            server.set_address("127.0.0.1");
            server.set_service(&port.to_string());
            let factory = gst_rtsp_server::RTSPMediaFactory::new();
            factory.set_launch(media);
            factory.set_shared(true);
            if protected {
                protect(&server, &factory);
            }
            server
                .mount_points()
                .unwrap()
                .add_factory("/camera", factory);
            let id = server.attach(Some(&context)).unwrap();
            let main = glib::MainLoop::new(Some(&context), false);
            ready
                .send((main.clone(), server.bound_port() as u16))
                .unwrap();
            main.run();
            context.find_source_by_id(&id).unwrap().destroy();
            server.client_filter(Some(&mut |_, _| gst_rtsp_server::RTSPFilterResult::Remove));
        })
        .unwrap();
}

/// Lets in who knows the password.
fn protect(server: &gst_rtsp_server::RTSPServer, factory: &gst_rtsp_server::RTSPMediaFactory) {
    let auth = gst_rtsp_server::RTSPAuth::new();
    let token = gst_rtsp_server::RTSPToken::builder()
        .field("media.factory.role", "user")
        .build();
    let basic = gst_rtsp_server::RTSPAuth::make_basic(USER, PASSWORD);
    auth.add_basic(&basic, &token);
    server.set_auth(Some(&auth));
    let role = gst::Structure::builder("user")
        .field("media.factory.access", true)
        .field("media.factory.construct", true)
        .build();
    factory.add_role_from_structure(&role);
}

const H264_OPUS: &str = "( videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=320,height=240,framerate=30/1 \
    ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=30 ! video/x-h264,profile=constrained-baseline ! rtph264pay name=pay0 pt=96 \
    audiotestsrc is-live=true wave=ticks samplesperbuffer=960 ! audio/x-raw,rate=48000,channels=1 ! opusenc frame-size=20 ! rtpopuspay name=pay1 pt=97 )";
const JPEG_PCMU: &str = "( videotestsrc is-live=true ! video/x-raw,format=I420,width=320,height=240,framerate=15/1 ! jpegenc ! rtpjpegpay name=pay0 pt=26 \
    audiotestsrc is-live=true wave=ticks samplesperbuffer=160 ! audio/x-raw,rate=8000,channels=1 ! mulawenc ! rtppcmupay name=pay1 pt=0 )";

fn failure(camera: &Camera) -> String {
    let mut found = None;
    until("a failure", || {
        if let State::Failed { reason, .. } = camera.status().state {
            found = Some(reason);
        }
        found.is_some()
    });
    found.unwrap()
}

#[test]
fn an_rtsp_camera_is_passed_through_by_tcp_and_udp() {
    let server = Server::start(0, H264_OPUS, false);
    for transport in [RtspTransport::Tcp, RtspTransport::Udp, RtspTransport::Auto] {
        let camera = Camera::start(server.camera("", transport));
        until_running(&camera);
        until("sound", || {
            camera
                .status()
                .audio
                .is_some_and(|audio| audio.codec == "opus")
        });
        std::thread::sleep(Duration::from_millis(100));
        let viewer = Viewer::start(&camera, video_params(640, 480));
        viewer.video.wait_size(320, 240);
        viewer.audio.wait(20);
        assert_eq!(
            viewer.session.stats().passthrough,
            Some(true),
            "{transport:?}"
        );
        assert_eq!(camera.encoders(), (0, 0), "Opus is passed through too");
        let video = camera.status().video.unwrap();
        assert_eq!(
            (
                video.codec.as_str(),
                video.profile.as_deref(),
                video.reordered
            ),
            ("h264", Some("constrained-baseline"), false)
        );
    }
}

#[test]
fn an_rtsp_camera_that_goes_away_is_found_again() {
    let server = Server::start(0, H264_OPUS, false);
    let port = server.port;
    let camera = Camera::start(server.camera("", RtspTransport::Tcp));
    until_running(&camera);
    let viewer = Viewer::start(&camera, video_params(640, 480));
    viewer.video.wait(10);
    drop(server);
    let reason = failure(&camera);
    assert!(!reason.is_empty());
    println!("gone: {reason}");
    until(
        "refused",
        || matches!(camera.status().state, State::Failed { reason, .. } if reason == "connection refused"),
    );
    let before = viewer.video.decoded().len();
    let server = Server::start(port, H264_OPUS, false);
    until("pictures again", || {
        viewer.video.decoded().len() > before + 10
    });
    assert_eq!(camera.status().state, State::Running);
    viewer.video.assert_unbroken();
    drop(server);
}

#[test]
fn credentials_are_used_and_never_told() {
    let server = Server::start(0, H264_OPUS, true);
    let camera = Camera::start(server.camera(&format!("{USER}:{PASSWORD}@"), RtspTransport::Tcp));
    until_running(&camera);
    drop(camera);
    let source = server.camera(&format!("{USER}:{PASSWORD}-wrong@"), RtspTransport::Tcp);
    let shown = format!("{source:?} {}", source.source);
    assert!(
        shown.contains("127.0.0.1") && !shown.contains(PASSWORD) && !shown.contains(USER),
        "{shown}"
    );
    let camera = Camera::start(source);
    let reason = failure(&camera);
    assert_eq!(reason, "not authorised: check user name and password");
}

#[test]
fn other_codecs_are_decoded_for_viewers() {
    let server = Server::start(0, JPEG_PCMU, false);
    let camera = Camera::start(server.camera("", RtspTransport::Tcp));
    until_running(&camera);
    let viewer = Viewer::start(&camera, video_params(160, 120));
    viewer.video.wait_size(160, 120);
    until("a tick", || {
        viewer.audio.decoded().iter().any(|d| d.peak > 1000)
    });
    let status = camera.status();
    assert_eq!(
        (
            status.video.unwrap().codec.as_str(),
            status.audio.unwrap().codec.as_str()
        ),
        ("jpeg", "pcmu")
    );
    assert_eq!(viewer.session.stats().passthrough, Some(false));
}

#[test]
fn failures_are_explained() {
    let port = free_port();
    let url = |text: String| {
        CameraSource::new(
            "x",
            Source::Rtsp {
                url: Secret::new(text),
                transport: RtspTransport::Auto,
            },
        )
    };
    for (source, expected) in [
        (
            url(format!("rtsp://u:secret@127.0.0.1:{port}/x")),
            "connection refused",
        ),
        (
            url("rtsp://u:secret@nowhere.invalid/x".into()),
            "host name unknown",
        ),
        (
            CameraSource::new("x", Source::File("/nowhere/clip.mp4".into())),
            "no file /nowhere/clip.mp4",
        ),
        (
            CameraSource::new("x", Source::V4l2("/dev/video-none".into())),
            "/dev/video-none",
        ),
        (launch("videotestsrc ! nosuchelement"), "nosuchelement"),
        (launch("videotestsrc ! fakesink"), "no open end"),
        (
            launch("videotestsrc ! video/x-nothing,width=320"),
            "could not link",
        ),
        (launch("audiotestsrc is-live=true"), "delivers no video"),
        (launch("videotestsrc num-buffers=5"), "ended"),
    ] {
        let source = CameraSource {
            stall_timeout: Duration::from_millis(500),
            ..source
        };
        let camera = Camera::start(source.clone());
        let reason = failure(&camera);
        assert!(reason.contains(expected), "{source:?}: {reason}");
        assert!(!reason.contains("secret"), "{reason}");
    }
}

#[test]
fn a_description_may_end_in_caps() {
    let camera = Camera::start(launch(
        "videotestsrc is-live=true ! video/x-raw, width=320, height=240",
    ));
    until_running(&camera);
    let video = camera.status().video.unwrap();
    assert_eq!((video.width, video.height), (320, 240));
}

#[test]
fn an_rtsp_path_that_does_not_exist_is_said() {
    let server = Server::start(0, H264_OPUS, false);
    let url = Secret::new(format!("rtsp://127.0.0.1:{}/other", server.port));
    let camera = Camera::start(CameraSource::new(
        "x",
        Source::Rtsp {
            url,
            transport: RtspTransport::Tcp,
        },
    ));
    assert!(
        failure(&camera).to_lowercase().contains("not found"),
        "{}",
        failure(&camera)
    );
}

#[test]
fn a_file_is_played_in_real_time_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = write_file(folder.path(), 45);
    let camera = Camera::start(CameraSource::new("file", Source::File(path)));
    until_running(&camera);
    let viewer = Viewer::start(&camera, video_params(320, 240));
    let started = Instant::now();
    // The file lasts 1.5 s: this takes it three times.
    viewer.video.wait(120);
    let took = started.elapsed();
    assert!((3000..5500).contains(&took.as_millis()), "{took:?}");
    assert_eq!(viewer.session.stats().passthrough, Some(true));
    assert_eq!(camera.status().state, State::Running);
    viewer.video.assert_unbroken();
    let sound = viewer.audio.decoded().len();
    assert!(sound > 100, "{sound} blocks of sound");
}

#[test]
fn a_source_that_changes_its_size_goes_on() {
    let camera = Camera::start(launch(
        "videotestsrc is-live=true num-buffers=45 ! video/x-raw,format=I420,width=320,height=240,framerate=30/1 ! c.sink_0 \
         videotestsrc is-live=true ! video/x-raw,format=I420,width=160,height=120,framerate=30/1 ! c.sink_1 \
         concat name=c ! x264enc tune=zerolatency key-int-max=30 ! capsfilter caps=video/x-h264,profile=main",
    ));
    until_running(&camera);
    let own = Viewer::start(&camera, video_params(320, 240));
    let made = Viewer::start(
        &camera,
        VideoParams {
            profile: H264Profile::ConstrainedBaseline,
            ..video_params(320, 240)
        },
    );
    own.video.wait_size(320, 240);
    own.video.wait_size(160, 120);
    let status = camera.status().video.unwrap();
    assert_eq!((status.width, status.height), (160, 120));
    let before = made.video.decoded().len();
    made.video.wait(before + 20);
    assert!(
        made.video
            .decoded()
            .iter()
            .all(|p| (p.width, p.height) == (320, 240))
    );
    own.video.assert_unbroken();
    made.video.assert_unbroken();
}

#[test]
fn a_source_that_falls_silent_is_restarted() {
    let silent = launch(
        "videotestsrc is-live=true num-buffers=20 ! video/x-raw,framerate=30/1 ! c.sink_0 appsrc ! c.sink_1 concat name=c",
    );
    let camera = Camera::start(CameraSource {
        stall_timeout: Duration::from_millis(700),
        ..silent
    });
    until_running(&camera);
    assert_eq!(failure(&camera), "no picture for 700ms");
    until_running(&camera);
}
