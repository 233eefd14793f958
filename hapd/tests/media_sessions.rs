//! Viewers see what they asked for.

mod media_support;

use std::time::{Duration, Instant};

use hapd::media::*;
use media_support::*;

#[test]
fn a_test_picture_is_encoded_for_a_viewer_with_sound() {
    let camera = Camera::start(test_camera());
    until_running(&camera);
    let viewer = Viewer::start(&camera, video_params(320, 240));
    let pictures = viewer.video.wait(30);
    assert!(pictures.iter().all(|p| (p.width, p.height) == (320, 240)));
    viewer.audio.wait(60);
    until("a tick", || {
        viewer.audio.decoded().iter().any(|d| d.peak > 1000)
    });
    let sound = viewer.audio.packets();
    for pair in sound.windows(2) {
        assert_eq!(
            pair[1].timestamp.wrapping_sub(pair[0].timestamp),
            320,
            "20 ms at 16 kHz"
        );
        assert_eq!(pair[1].first_byte, pair[0].first_byte, "one mode of Opus");
    }
    viewer.video.assert_unbroken();
    let stats = viewer.session.stats();
    assert_eq!(stats.passthrough, Some(false));
    assert_eq!((stats.video.dropped, stats.audio.dropped), (0, 0));
    assert!(
        stats.video.sender_reports >= 1 && stats.video.key_frames >= 1,
        "{stats:?}"
    );
}

#[test]
fn a_suitable_source_is_passed_through_and_begins_at_once() {
    let camera = Camera::start(launch(ENCODED));
    until_running(&camera);
    std::thread::sleep(Duration::from_millis(1500));
    let viewer = Viewer::open(&camera);
    std::thread::sleep(Duration::from_millis(100));
    let started = Instant::now();
    viewer
        .session
        .start(video_params(640, 480), Some(audio_params()))
        .unwrap();
    until("a packet", || !viewer.video.packets().is_empty());
    let first = viewer.video.packets()[0];
    assert!(
        first.at - started < Duration::from_millis(100),
        "{:?}",
        first.at - started
    );
    assert_eq!(first.first_byte & 0x1f, 24, "SPS and PPS in a STAP-A");
    let pictures = viewer.video.wait(20);
    println!(
        "first packet {:?}, first picture {:?}",
        first.at - started,
        pictures[0].at - started
    );
    assert_eq!(
        (pictures[0].width, pictures[0].height),
        (320, 240),
        "the source's own size"
    );
    assert!(pictures[0].at - started < Duration::from_millis(300));
    viewer.audio.wait(10);
    assert_eq!(viewer.session.stats().passthrough, Some(true));
    assert_eq!(camera.encoders(), (0, 1));
    viewer.video.assert_unbroken();
}

#[test]
fn two_viewers_of_one_size_share_an_encoder() {
    let camera = Camera::start(test_camera());
    until_running(&camera);
    let first = Viewer::start(&camera, video_params(320, 240));
    first.video.wait(30);
    let started = Instant::now();
    let second = Viewer::start(&camera, video_params(320, 240));
    let picture = second.video.wait(1)[0];
    assert!(
        picture.at - started < Duration::from_millis(300),
        "{:?}",
        picture.at - started
    );
    second.video.wait(20);
    assert_eq!(camera.encoders(), (1, 1));
    let third = Viewer::start(&camera, video_params(160, 120));
    third.video.wait_size(160, 120);
    assert_eq!(camera.encoders(), (2, 1));
    drop((first, second));
    until("the unused encoder ends", || camera.encoders() == (1, 1));
    let before = third.video.decoded().len();
    third.video.wait(before + 5);
}

#[test]
fn a_reconfigure_changes_the_size_without_a_seam() {
    let camera = Camera::start(launch(ENCODED));
    until_running(&camera);
    let viewer = Viewer::start(&camera, video_params(320, 240));
    viewer.video.wait(30);
    assert_eq!(viewer.session.stats().passthrough, Some(true));
    let smaller = VideoChange {
        attributes: Some((160, 120, 15)),
        max_bitrate_kbps: Some(100),
        ..VideoChange::default()
    };
    viewer.session.reconfigure(smaller).unwrap();
    viewer.video.wait_size(160, 120);
    assert_eq!(viewer.session.stats().passthrough, Some(false));
    std::thread::sleep(Duration::from_millis(500));
    let back = VideoChange {
        attributes: Some((640, 480, 30)),
        ..VideoChange::default()
    };
    viewer.session.reconfigure(back).unwrap();
    viewer.video.wait_size(320, 240);
    assert_eq!(viewer.session.stats().passthrough, Some(true));
    viewer.video.assert_unbroken();
}

#[test]
fn a_suspended_session_is_silent_and_goes_on_with_a_key_frame() {
    let camera = Camera::start(launch(ENCODED));
    until_running(&camera);
    let viewer = Viewer::start(&camera, video_params(640, 480));
    viewer.video.wait(10);
    viewer.session.suspend();
    std::thread::sleep(Duration::from_millis(300));
    let packets = (viewer.video.packets().len(), viewer.audio.packets().len());
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(
        (viewer.video.packets().len(), viewer.audio.packets().len()),
        packets
    );
    viewer.session.resume();
    until("packets again", || viewer.video.packets().len() > packets.0);
    assert_eq!(
        viewer.video.packets()[packets.0].first_byte & 0x1f,
        24,
        "SPS and PPS first"
    );
    until("sound again", || {
        viewer.audio.packets().len() > packets.1 + 10
    });
    viewer.video.assert_unbroken();
}

#[test]
fn a_camera_without_sound_gives_silence() {
    let camera = Camera::start(CameraSource {
        audio: false,
        ..test_camera()
    });
    until_running(&camera);
    let viewer = Viewer::start(&camera, video_params(320, 240));
    let sound = viewer.audio.wait(50);
    assert!(sound.iter().all(|block| block.peak < 10));
    assert_eq!(camera.status().audio, None);
}

#[test]
fn high_profile_with_b_frames_is_transcoded() {
    let camera = Camera::start(launch(
        "videotestsrc is-live=true ! video/x-raw,format=I420,width=320,height=240,framerate=30/1 \
         ! x264enc bframes=2 b-adapt=false key-int-max=30 speed-preset=veryfast ! capsfilter caps=video/x-h264,profile=main",
    ));
    until("B-frames seen", || {
        camera.status().video.is_some_and(|video| video.reordered)
    });
    let viewer = Viewer::start(&camera, video_params(320, 240));
    viewer.video.wait(20);
    assert_eq!(viewer.session.stats().passthrough, Some(false));
    viewer.video.assert_unbroken();
}

#[test]
fn sessions_check_what_they_are_told() {
    let camera = Camera::start(test_camera());
    until_running(&camera);
    let viewer = Viewer::open(&camera);
    assert_ne!(viewer.session.video_port(), viewer.session.audio_port());
    assert!(
        viewer.session.reconfigure(VideoChange::default()).is_err(),
        "before the start"
    );
    for bad in [
        VideoParams {
            width: 0,
            ..video_params(320, 240)
        },
        VideoParams {
            height: 241,
            ..video_params(320, 240)
        },
        VideoParams {
            fps: 0,
            ..video_params(320, 240)
        },
        VideoParams {
            payload_type: 72,
            ..video_params(320, 240)
        },
        VideoParams {
            mtu: Some(20),
            ..video_params(320, 240)
        },
    ] {
        assert!(viewer.session.start(bad, None).is_err());
    }
    let audio = AudioParams {
        packet_time_ms: 7,
        ..audio_params()
    };
    assert!(
        viewer
            .session
            .start(video_params(320, 240), Some(audio))
            .is_err()
    );
    viewer.session.start(video_params(320, 240), None).unwrap();
    assert!(
        viewer.session.start(video_params(320, 240), None).is_err(),
        "twice"
    );
    viewer.video.wait(3);
    assert!(viewer.audio.packets().is_empty());
}

#[test]
fn an_encoder_that_does_not_exist_ends_the_session_with_a_reason() {
    let camera = Camera::start(CameraSource {
        encoder: Some("nosuchenc bitrate={kbps}".into()),
        ..test_camera()
    });
    until_running(&camera);
    let viewer = Viewer::start(&camera, video_params(320, 240));
    let event = viewer.session.events().unwrap().blocking_recv();
    let Some(SessionEvent::Failed(reason)) = event else {
        panic!("{event:?}")
    };
    assert!(reason.contains("nosuchenc"), "{reason}");
}

#[test]
fn stopping_the_camera_ends_its_sessions() {
    let camera = Camera::start(test_camera());
    until_running(&camera);
    let viewer = Viewer::start(&camera, video_params(320, 240));
    viewer.video.wait(3);
    let mut events = viewer.session.events().unwrap();
    camera.stop();
    assert_eq!(
        events.blocking_recv(),
        Some(SessionEvent::Failed("the camera was stopped".into()))
    );
    assert!(viewer.session.events().is_none(), "they are taken once");
}

#[test]
fn an_encoder_of_ones_own_choice_is_used() {
    let encoder = "openh264enc rate-control=bitrate bitrate={bps} gop-size={keyint} ! capsfilter caps=video/x-h264,profile=constrained-baseline";
    let camera = Camera::start(CameraSource {
        encoder: Some(encoder.into()),
        ..test_camera()
    });
    until_running(&camera);
    let viewer = Viewer::start(&camera, video_params(320, 240));
    viewer.video.wait(20);
    viewer.video.assert_unbroken();
}

#[test]
fn a_viewer_that_comes_before_the_camera_sees_it_when_it_is_there() {
    let camera = Camera::start(launch(
        "videotestsrc is-live=true ! identity sleep-time=1000000 ! concat name=c \
         ! video/x-raw,format=I420,width=320,height=240,framerate=30/1 ! x264enc tune=zerolatency key-int-max=30 \
         ! capsfilter caps=video/x-h264,profile=main",
    ));
    let viewer = Viewer::start(&camera, video_params(640, 480));
    assert_eq!(viewer.session.stats().passthrough, None);
    viewer.audio.wait(5);
    assert!(viewer.video.packets().is_empty());
    viewer.video.wait(1);
    assert_eq!(viewer.session.stats().passthrough, Some(true));
}
