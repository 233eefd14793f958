//! Recordings begin in the past, go on, end well, and leave nothing behind.

mod media_support;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hapd::media::*;
use media_support::*;

/// What came of a recording.
#[derive(Clone, Debug, PartialEq)]
enum Came {
    Initialization(Vec<u8>),
    Fragment(Vec<u8>, bool),
    Ended,
    Failed(String),
}

#[derive(Clone, Default)]
struct Recorded(Arc<Mutex<Vec<(Instant, Came)>>>);

impl Recorded {
    fn tell(&self) -> Tell {
        let came = self.0.clone();
        Arc::new(move |_, event| {
            let event = match event {
                RecordingEvent::Initialization(piece) => Came::Initialization(piece.to_vec()),
                RecordingEvent::Fragment { piece, last } => Came::Fragment(piece.to_vec(), last),
                RecordingEvent::Ended => Came::Ended,
                RecordingEvent::Failed(reason) => Came::Failed(reason),
            };
            came.lock().unwrap().push((Instant::now(), event));
        })
    }

    fn all(&self) -> Vec<Came> {
        let came = self.0.lock().unwrap();
        came.iter().map(|(_, event)| event.clone()).collect()
    }

    fn has_ended(&self) -> bool {
        matches!(
            self.all().last(),
            Some(Came::Fragment(_, true) | Came::Ended | Came::Failed(_))
        )
    }

    fn fragments(&self) -> usize {
        let all = self.all();
        all.iter()
            .filter(|c| matches!(c, Came::Fragment(..)))
            .count()
    }
}

fn params() -> RecordingParams {
    RecordingParams {
        video: RecordingVideo {
            profile: H264Profile::Main,
            level: H264Level::L3_1,
            width: 320,
            height: 240,
            fps: 15,
            kbps: 300,
        },
        audio: Some(RecordingAudio {
            rate: 16_000,
            channels: 1,
            kbps: 32,
        }),
        fragment: Duration::from_secs(4),
        prebuffer: Duration::from_secs(4),
    }
}

/// Running for so long that the past is there.
fn armed() -> Camera {
    let camera = Camera::start(test_camera());
    until_running(&camera);
    camera.arm(Some(params()));
    std::thread::sleep(Duration::from_secs(7));
    camera
}

#[test]
fn a_recording_begins_in_the_past_and_ends_with_its_last_fragment() {
    let camera = armed();
    let recorded = Recorded::default();
    camera.start_recording(1, params(), recorded.tell());
    until("a fragment of the past", || recorded.fragments() > 0);
    std::thread::sleep(Duration::from_secs(2));
    camera.finish_recording(1);
    until("the end", || recorded.has_ended());
    let all = recorded.all();
    assert!(matches!(&all[0], Came::Initialization(init) if &init[4..8] == b"ftyp"));
    assert!(matches!(&all[1], Came::Fragment(f, _) if &f[4..8] == b"prft"));
    assert!(matches!(all.last(), Some(Came::Fragment(_, true))));
    camera.start_recording(2, params(), recorded.tell());
    until("another", || recorded.fragments() > all.len() - 1);
    camera.stop_recording(2);
    drop(camera);
    until("all ends", || live_pipelines() == 0);
}

#[test]
fn a_camera_that_sends_nothing_fails_a_recording_in_time() {
    let camera = Camera::start(launch("videotestsrc is-live=true ! valve drop=true"));
    let recorded = Recorded::default();
    camera.start_recording(1, params(), recorded.tell());
    until("a failure", || recorded.has_ended());
    assert!(matches!(&recorded.all()[..], [Came::Failed(_)]));
}
