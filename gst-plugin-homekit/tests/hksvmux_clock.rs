//! The times that `hksvmux` writes beside its fragments, against a clock that is known.

mod common;
mod hksv;

use std::time::{SystemTime, UNIX_EPOCH};

use gst::prelude::*;
use hksv::bench::Bench;
use hksv::check::{check, record};
use hksv::streams;

#[test]
fn prft_follows_a_given_start_time() {
    let video = streams::h264("25", 10, 50).moved(7000);
    let start: u64 = 1_700_000_000_123_456_789;
    let bench = Bench::with(&video, None, |mux| mux.set_property("start-time", start));
    bench.push_both(&video.buffers, &[]);
    bench.end();
    for fragment in check(&bench, 4000) {
        let expected = start + fragment.video()[0].pts as u64 * 100_000 / 9;
        // Fractions of NTP time are a quarter of a nanosecond.
        assert!(
            fragment.unix.abs_diff(expected) < 100_000,
            "{} {expected}",
            fragment.unix
        );
    }
}

#[test]
fn prft_follows_reference_timestamps() {
    let epoch: u64 = 1_750_000_000_000_000_000;
    for (reference, offset) in [
        ("timestamp/x-unix", 0),
        ("timestamp/x-ntp", 2_208_988_800_000_000_000),
    ] {
        let mut video = streams::h264("25", 6, 50);
        let caps = gst::Caps::builder(reference).build();
        for buffer in &mut video.buffers {
            let time =
                gst::ClockTime::from_nseconds(buffer.pts().unwrap().nseconds() + epoch + offset);
            let buffer = buffer.make_mut();
            gst::ReferenceTimestampMeta::add(buffer, &caps, time, gst::ClockTime::NONE);
        }
        let bench = record(&video, None);
        let fragments = check(&bench, 4000);
        let first = video.buffers[0].pts().unwrap().nseconds() + epoch;
        assert!(fragments[0].unix.abs_diff(first) < 100_000, "{reference}");
        assert!(
            fragments[1].unix.abs_diff(first + 4_000_000_000) < 100_000,
            "{reference}"
        );
    }
}

fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos() as u64
}

#[test]
fn prft_follows_the_pipeline_clock() {
    // Pictures of the last five seconds come in one burst, as from a ring.
    let video = streams::h264("25", 5, 25);
    let bench = Bench::with(&video, None, |mux| {
        let clock = gst::SystemClock::obtain();
        mux.set_clock(Some(&clock)).unwrap();
        let now = clock.time();
        mux.set_base_time(now.saturating_sub(gst::ClockTime::from_seconds(60)));
        mux.set_start_time(gst::ClockTime::NONE);
    });
    let video = video.moved(55_000);
    let newest = unix_now();
    bench.push_both(&video.buffers, &[]);
    bench.end();
    let taken = bench.fragments()[0].unix;
    // The first picture, at 55 s of running time, is five seconds old.
    let age = newest.abs_diff(taken);
    assert!((4_500_000_000..5_100_000_000).contains(&age), "{age}");
}

#[test]
fn without_a_clock_prft_says_when_the_first_picture_came() {
    let before = unix_now();
    let bench = record(&streams::h264("25", 5, 25), None);
    let after = unix_now();
    let taken = bench.fragments()[0].unix;
    assert!(
        (before - 1..=after).contains(&taken),
        "{before} {taken} {after}"
    );
}
