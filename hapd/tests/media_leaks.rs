//! Nothing of a session stays behind.

mod media_support;

use std::time::Duration;

use hapd::media::*;
use media_support::*;

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Opens `count` viewers, lets each run for a moment, and stops them.
fn viewers(camera: &Camera, count: usize) {
    for round in 0..count {
        let viewer = Viewer::open(camera);
        if round % 5 != 4 {
            viewer
                .session
                .start(video_params(320, 240), Some(audio_params()))
                .unwrap();
            viewer.video.wait(1);
        }
        if round % 3 == 0 {
            viewer.session.suspend();
            viewer.session.resume();
        }
    }
}

#[test]
fn fifty_sessions_leave_nothing() {
    let camera = Camera::start(test_camera());
    until_running(&camera);
    viewers(&camera, 5);
    until("a quiet start", || live_pipelines() == 1);
    std::thread::sleep(Duration::from_millis(300));
    let before = (threads(), descriptors());
    viewers(&camera, 50);
    until("sessions and encoders end", || live_pipelines() == 1);
    assert_eq!(camera.encoders(), (0, 0));
    let after = || (threads(), descriptors());
    until("threads and sockets end", || {
        after().0 <= before.0 && after().1 <= before.1 + 2
    });
    println!(
        "threads and descriptors: {before:?} before, {:?} after",
        after()
    );
    drop(camera);
    until("the camera ends", || live_pipelines() == 0);
}
