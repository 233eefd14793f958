//! Cameras that are watched for motion.

mod media_support;

use std::sync::mpsc;
use std::time::{Duration, Instant};

use hapd::media::motion::Zones;
use hapd::media::*;
use media_support::*;

/// Long enough for a decoder that shares the processor with all the other tests.
const PATIENCE: Duration = Duration::from_secs(40);
const QUIET: Duration = Duration::from_secs(6);

/// A ball that swings across a black picture: there and back in 13 s.
const BALL: &str = "videotestsrc is-live=true pattern=ball ! \
    capsfilter caps=video/x-raw,format=I420,width=640,height=360,framerate=15/1";
const STILL: &str = "videotestsrc is-live=true pattern=smpte75 ! \
    capsfilter caps=video/x-raw,format=I420,width=640,height=360,framerate=15/1";
const H264: &str = "x264enc tune=zerolatency speed-preset=ultrafast bitrate=500 key-int-max=15 ! \
    capsfilter caps=video/x-h264,profile=main";

fn launch(text: impl Into<String>) -> Source {
    Source::Launch(Secret::new(text))
}

/// A camera, and what is told of it.
struct Watched {
    camera: Camera,
    told: mpsc::Receiver<bool>,
    watch: Option<MotionWatch>,
}

impl Watched {
    fn new(source: Source, settings: MotionSettings) -> Self {
        Self::of(CameraSource::new("motion", source), settings)
    }

    fn of(source: CameraSource, settings: MotionSettings) -> Self {
        init().unwrap();
        log();
        let camera = Camera::start(source);
        let (tell, told) = mpsc::channel();
        let begun = Instant::now();
        let watch = camera.watch_motion(settings, move |motion| {
            let _ = tell.send(motion);
        });
        assert!(begun.elapsed() < Duration::from_millis(500), "it blocks");
        Self {
            camera,
            told,
            watch: Some(watch),
        }
    }

    #[track_caller]
    fn hears(&self, motion: bool) {
        assert_eq!(self.told.recv_timeout(PATIENCE), Ok(motion));
    }

    #[track_caller]
    fn hears_nothing(&self) {
        until("the camera runs", || {
            self.camera.status().state == State::Running
        });
        let silence = self.told.recv_timeout(QUIET);
        assert_eq!(silence, Err(mpsc::RecvTimeoutError::Timeout));
    }
}

fn short_hold() -> MotionSettings {
    MotionSettings {
        hold: Duration::from_millis(600),
        ..MotionSettings::default()
    }
}

#[test]
fn a_ball_in_h264_is_seen_and_a_still_picture_is_not() {
    let ball = Watched::new(launch(format!("{BALL} ! {H264}")), short_hold());
    let still = Watched::new(launch(format!("{STILL} ! {H264}")), short_hold());
    ball.hears(true);
    still.hears_nothing();
}

#[test]
fn raw_video_and_jpeg_are_watched_too() {
    let raw = Watched::new(launch(BALL), short_hold());
    let jpeg = Watched::new(
        launch(format!("{BALL} ! jpegenc ! jpegparse")),
        short_hold(),
    );
    let strange = format!(
        "{} ! videoconvert ! capsfilter caps=video/x-raw,format=RGB",
        BALL
    );
    let strange = Watched::new(launch(strange), short_hold());
    raw.hears(true);
    jpeg.hears(true);
    strange.hears(true);
}

#[test]
fn large_pictures_are_seen_by_their_key_frames() {
    let text =
        format!("{BALL} ! videoscale ! capsfilter caps=video/x-raw,width=1280,height=720 ! {H264}");
    Watched::new(launch(text), short_hold()).hears(true);
}

#[test]
fn dropping_the_watch_ends_motion_and_the_pipeline() {
    let mut ball = Watched::new(launch(BALL), short_hold());
    ball.hears(true);
    let begun = Instant::now();
    ball.watch.take();
    assert!(begun.elapsed() < Duration::from_millis(200), "it blocks");
    // In turn, until the last false, after which nobody speaks any more.
    let mut last = true;
    while let Ok(motion) = ball.told.recv_timeout(PATIENCE) {
        assert_ne!(motion, last);
        last = motion;
    }
    assert!(!last);
}

#[test]
fn zones_leave_out_what_is_outside() {
    // The ball swings over the whole width, but never into the top right corner.
    let settings = MotionSettings {
        zones: Zones::parse("0.97,0 1,0 1,0.04 0.97,0.04").unwrap(),
        ..short_hold()
    };
    Watched::new(launch(BALL), settings).hears_nothing();
}

#[test]
fn the_lowest_encoding_is_watched_or_the_one_that_is_named() {
    let camera = |stream| {
        let mut source = CameraSource::new("two", launch(format!("{STILL} ! {H264}")));
        source.streams = vec![launch(format!("{BALL} ! {H264}"))];
        let settings = MotionSettings {
            stream,
            ..short_hold()
        };
        Watched::of(source, settings)
    };
    let (lowest, named) = (camera(None), camera(Some(0)));
    lowest.hears(true);
    named.hears_nothing();
}

#[test]
fn where_the_lowest_fails_another_is_watched() {
    let mut source = CameraSource::new("one fails", launch(format!("{BALL} ! {H264}")));
    source.streams = vec![launch("nothing ! at ! all")];
    Watched::of(source, short_hold()).hears(true);
}

#[test]
fn motion_ends_with_its_source_and_begins_again_with_it() {
    // It ends by itself, and is started anew.
    let text = BALL.replace("pattern=ball", "pattern=ball num-buffers=120");
    let ball = Watched::new(
        launch(text),
        MotionSettings {
            hold: Duration::from_secs(60),
            ..MotionSettings::default()
        },
    );
    for _ in 0..2 {
        ball.hears(true);
        ball.hears(false);
    }
}

#[test]
fn another_size_goes_on_being_watched() {
    let text = "videotestsrc is-live=true pattern=ball num-buffers=45 ! \
        capsfilter caps=video/x-raw,format=I420,width=320,height=240,framerate=15/1 ! c.sink_0 \
        videotestsrc is-live=true pattern=ball ! \
        capsfilter caps=video/x-raw,format=I420,width=640,height=360,framerate=15/1 ! c.sink_1 \
        concat name=c";
    let mut ball = Watched::new(launch(text), short_hold());
    let size = |watched: &Watched| watched.camera.status().video.map(|video| video.width);
    until("the second size", || size(&ball) == Some(640));
    while ball.told.try_recv().is_ok() {}
    let heard = ball.told.recv_timeout(PATIENCE).unwrap();
    if !heard {
        ball.hears(true);
    }
    ball.watch.take();
}

#[test]
fn messages_of_the_source_are_heard() {
    let message = |name: &str| MotionSettings {
        detector: Detector::Message(name.into()),
        ..short_hold()
    };
    let text = format!("{BALL} ! hapmotion hold-time=300");
    let ours = Watched::new(launch(&text), message("hapmotion"));
    let other = Watched::new(launch(&text), message("faces"));
    ours.hears(true);
    ours.camera.stop();
    ours.hears(false);
    other.hears_nothing();
}

#[test]
fn a_message_that_tells_no_end_is_motion_for_the_hold_time() {
    // The element level posts one every time.
    let text =
        format!("{STILL}   audiotestsrc is-live=true num-buffers=100 ! level interval=500000000");
    let settings = MotionSettings {
        detector: Detector::Message("level".into()),
        hold: Duration::from_secs(2),
        ..MotionSettings::default()
    };
    let watched = Watched::new(launch(text), settings);
    watched.hears(true);
    let begun = Instant::now();
    watched.hears(false);
    assert!(
        begun.elapsed() > Duration::from_millis(1500),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn motioncells_sees_the_ball_where_it_is_installed() {
    init().unwrap();
    if gst::ElementFactory::find("motioncells").is_none() {
        println!("skipped: motioncells is not installed");
        return;
    }
    let settings = MotionSettings {
        detector: Detector::Motioncells,
        hold: Duration::from_secs(1),
        ..MotionSettings::default()
    };
    Watched::new(launch(format!("{BALL} ! {H264}")), settings).hears(true);
}
