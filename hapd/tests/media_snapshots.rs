//! Snapshots come in time, in the size asked for.

mod media_support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use hapd::media::*;
use media_support::*;

/// A source that delivers for a second and then hangs.
const HANGING: &str = "videotestsrc is-live=true num-buffers=30 pattern=white ! video/x-raw,format=I420,width=320,height=240,framerate=30/1 \
    ! c.sink_0 appsrc ! c.sink_1 concat name=c ! x264enc tune=zerolatency key-int-max=30 ! capsfilter caps=video/x-h264,profile=main";

async fn timed(camera: &Camera, width: u16, height: u16) -> (Snapshot, Duration) {
    let started = Instant::now();
    let snapshot = camera.snapshot(width, height).await.unwrap();
    assert_eq!(jpeg_size(&snapshot.jpeg), (width, height));
    let took = started.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    (snapshot, took)
}

/// Mean brightness of a rectangle of a decoded JPEG.
fn brightness(jpeg: &[u8], x: usize, y: usize, width: usize, height: usize) -> u32 {
    use gst::prelude::*;
    let launch = "appsrc name=in ! jpegdec ! videoconvert ! video/x-raw,format=GRAY8 ! appsink name=out sync=false";
    let pipeline = gst::parse::launch(launch)
        .unwrap()
        .downcast::<gst::Pipeline>()
        .unwrap();
    let input = pipeline
        .by_name("in")
        .unwrap()
        .downcast::<gst_app::AppSrc>()
        .unwrap();
    let output = pipeline
        .by_name("out")
        .unwrap()
        .downcast::<gst_app::AppSink>()
        .unwrap();
    input.set_caps(Some(
        &gst::Caps::builder("image/jpeg")
            .field("parsed", true)
            .build(),
    ));
    pipeline.set_state(gst::State::Playing).unwrap();
    input
        .push_buffer(gst::Buffer::from_slice(jpeg.to_vec()))
        .unwrap();
    input.end_of_stream().unwrap();
    let sample = output
        .try_pull_sample(gst::ClockTime::from_seconds(2))
        .expect("a picture");
    let info = gst_video::VideoInfo::from_caps(sample.caps().unwrap()).unwrap();
    let map = sample.buffer().unwrap().map_readable().unwrap();
    let stride = info.stride()[0] as usize;
    let pixels = (y..y + height).flat_map(|row| &map[row * stride + x..row * stride + x + width]);
    let sum: u32 = pixels.map(|p| u32::from(*p)).sum();
    pipeline.set_state(gst::State::Null).unwrap();
    sum / (width * height) as u32
}

#[tokio::test(flavor = "multi_thread")]
async fn every_size_is_exact_and_keeps_the_aspect_ratio() {
    let source = "videotestsrc is-live=true pattern=white ! video/x-raw,format=I420,width=320,height=240,framerate=30/1 \
         ! x264enc tune=zerolatency key-int-max=15 ! capsfilter caps=video/x-h264,profile=main";
    let camera = Camera::start(launch(source));
    until_running(&camera);
    for (width, height) in [
        (640, 360),
        (320, 240),
        (1280, 720),
        (321, 241),
        (16, 16),
        (90, 400),
    ] {
        let (snapshot, took) = timed(&camera, width, height).await;
        assert_eq!(snapshot.kind, SnapshotKind::Live);
        println!("{width}x{height}: {took:?}, {} bytes", snapshot.jpeg.len());
    }
    let (snapshot, _) = timed(&camera, 640, 360).await;
    assert!(
        brightness(&snapshot.jpeg, 300, 170, 40, 20) > 200,
        "the picture"
    );
    assert!(
        brightness(&snapshot.jpeg, 5, 100, 40, 100) < 40,
        "a border at the left"
    );
    assert!(
        brightness(&snapshot.jpeg, 595, 100, 40, 100) < 40,
        "a border at the right"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_sources_give_their_newest_picture() {
    let camera = Camera::start(test_camera());
    until_running(&camera);
    let (first, _) = timed(&camera, 320, 180).await;
    assert_eq!(first.kind, SnapshotKind::Live);
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let (second, _) = timed(&camera, 320, 180).await;
    assert_ne!(first.jpeg, second.jpeg, "the ball has moved");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_share_one_capture() {
    let camera = Camera::start(launch(ENCODED));
    until_running(&camera);
    let requests = (0..8).map(|_| {
        let camera = camera.clone();
        tokio::spawn(async move { camera.snapshot(640, 480).await.unwrap() })
    });
    let mut pictures = Vec::new();
    for request in requests.collect::<Vec<_>>() {
        pictures.push(request.await.unwrap().jpeg);
    }
    assert!(
        pictures
            .iter()
            .all(|picture| Arc::ptr_eq(picture, &pictures[0]))
    );
    let (again, took) = timed(&camera, 640, 480).await;
    assert!(Arc::ptr_eq(&again.jpeg, &pictures[0]), "from the cache");
    assert!(took < Duration::from_millis(20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_hangs_shows_its_last_picture_in_any_size() {
    let camera = Camera::start(launch(HANGING));
    until_running(&camera);
    tokio::time::sleep(Duration::from_millis(4300)).await;
    for (width, height) in [(640, 480), (160, 120)] {
        let (snapshot, _) = timed(&camera, width, height).await;
        assert_eq!(snapshot.kind, SnapshotKind::Last);
        let (x, y) = (usize::from(width) / 4, usize::from(height) / 4);
        assert!(brightness(&snapshot.jpeg, x, y, 20, 20) > 200);
    }
    camera.stop();
    until("stopped", || camera.status().state == State::Stopped);
    assert_eq!(timed(&camera, 320, 240).await.0.kind, SnapshotKind::Last);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_picture_a_card_says_so() {
    let url = Secret::new(format!("rtsp://127.0.0.1:{}/x", free_port()));
    let camera = Camera::start(CameraSource::new(
        "x",
        Source::Rtsp {
            url,
            transport: RtspTransport::Tcp,
        },
    ));
    for (width, height) in [(640, 360), (320, 240)] {
        let (snapshot, took) = timed(&camera, width, height).await;
        assert_eq!(snapshot.kind, SnapshotKind::Placeholder);
        println!("card: {took:?}, {} bytes", snapshot.jpeg.len());
        let all = brightness(&snapshot.jpeg, 0, 0, width.into(), height.into());
        assert!((42..90).contains(&all), "light letters on dark: {all}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_camera_is_waited_for_but_not_long() {
    let camera = Camera::start(launch(
        "appsrc is-live=true caps=video/x-raw,format=I420,width=320,height=240,framerate=30/1",
    ));
    let (snapshot, took) = timed(&camera, 640, 360).await;
    assert_eq!(snapshot.kind, SnapshotKind::Placeholder);
    assert!(took > Duration::from_millis(1000));
}

#[tokio::test(flavor = "multi_thread")]
async fn sizes_out_of_range_are_refused() {
    let camera = Camera::start(test_camera());
    for (width, height) in [(0, 0), (15, 100), (100, 4097), (u16::MAX, u16::MAX)] {
        assert!(matches!(
            camera.snapshot(width, height).await,
            Err(MediaError::Invalid(_))
        ));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_a_hanging_camera_delays_nobody() {
    let hanging = Camera::start(launch(
        "appsrc is-live=true caps=video/x-raw,format=I420,width=320,height=240,framerate=30/1",
    ));
    let good = Camera::start(launch(ENCODED));
    until_running(&good);
    let slow = {
        let hanging = hanging.clone();
        tokio::spawn(async move { hanging.snapshot(320, 240).await.unwrap() })
    };
    let (snapshot, took) = timed(&good, 320, 240).await;
    assert_eq!(snapshot.kind, SnapshotKind::Live);
    assert!(took < Duration::from_millis(500), "{took:?}");
    assert_eq!(slow.await.unwrap().kind, SnapshotKind::Placeholder);
}
