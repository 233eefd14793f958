//! What `hksvmux` writes, read by a reader of its own, by ffmpeg and by GStreamer's demuxer.

mod common;
mod hksv;

use std::time::{Duration, Instant};

use gst::prelude::*;
use hksv::bench::Bench;
use hksv::boxes::{self, Fragment};
use hksv::check::{VIDEO_TIMESCALE, check, durations, frames, record};
use hksv::peers;
use hksv::streams;

#[test]
fn h264_and_aac_as_a_hub_wants_them() {
    let (video, audio) = (streams::h264("30", 10, 30), streams::aac(32_000, 10));
    let bench = record(&video, Some(&audio));
    let fragments = check(&bench, 4000);
    assert_eq!(durations(&fragments), [4000, 4000, 2000]);

    let init = boxes::init(&bench.buffers()[0].map_readable().unwrap());
    assert_eq!(
        (init[&1].entry.as_str(), init[&2].entry.as_str()),
        ("avc1", "mp4a")
    );
    assert_eq!(
        (init[&1].handler.as_str(), init[&2].handler.as_str()),
        ("vide", "soun")
    );
    assert_eq!(init[&2].timescale, 32_000);
    // Version 1, baseline profile, lengths of four bytes, one SPS.
    let avcc = &init[&1].configuration;
    assert_eq!((avcc[0], avcc[1], avcc[4], avcc[5]), (1, 66, 0xff, 0xe1));
    // AAC-LC, 32 kHz, one channel (ISO/IEC 14496-3 §1.6.2.1).
    let esds = &init[&2].configuration;
    assert!(
        esds.windows(4).any(|it| it == [0x05, 0x80, 0x80, 0x80])
            || esds.windows(2).any(|it| it == [0x12, 0x88])
    );

    assert_eq!(fragments[0].video()[0].pts, 0);
    assert_eq!(fragments[0].audio()[0].dts, 0);
    assert_eq!(
        peers::streams(&bench.file()),
        ["video,h264,avc1", "audio,aac,mp4a"]
    );
    assert_eq!(peers::ffmpeg(&bench.file()), frames(&fragments));
    assert_eq!(frames(&fragments).0, 300);
    assert!(bench.complaints().is_empty());
}

#[test]
fn h265_is_hvc1_with_and_without_sound() {
    let (video, audio) = (streams::h265("15", 9, 30), streams::aac(16_000, 9));
    for audio in [None, Some(&audio)] {
        let bench = record(&video, audio);
        let fragments = check(&bench, 4000);
        assert_eq!(durations(&fragments), [4000, 4000, 1000]);
        let init = boxes::init(&bench.buffers()[0].map_readable().unwrap());
        assert_eq!(init[&1].entry, "hvc1");
        assert_eq!(init.len(), 1 + usize::from(audio.is_some()));
        assert_eq!(peers::ffmpeg(&bench.file()), frames(&fragments));
        assert_eq!(frames(&fragments).0, 135);
        assert!(bench.complaints().is_empty());
    }
}

#[test]
fn gstreamer_plays_it() {
    let folder = tempfile::tempdir().unwrap();
    let audio = streams::aac(16_000, 6);
    let cases = [
        (streams::h264("25", 6, 50), "h264parse ! avdec_h264"),
        (streams::h265("25", 6, 50), "h265parse ! avdec_h265"),
    ];
    for (video, decoder) in cases {
        for audio in [None, Some(&audio)] {
            let bench = record(&video, audio);
            let path = folder.path().join("clip.mp4");
            std::fs::write(&path, bench.file()).unwrap();
            let (pictures, sound) = peers::qtdemux(&path, decoder, audio.is_some());
            let expected: Vec<u64> = (0..150).map(|frame| frame * 40_000_000).collect();
            assert_eq!(pictures, expected);
            assert_eq!(sound.is_empty(), audio.is_none());
        }
    }
}

#[test]
fn odd_frame_rates_stay_within_the_limit() {
    // 29.97: 119 frames are 3.97 s, 120 are 4.004.
    for (rate, group, expected) in [
        ("30000/1001", 30, 3003),
        ("30000/1001", 119, 3970),
        ("15", 60, 4000),
    ] {
        let bench = record(&streams::h264(rate, 9, group), None);
        let fragments = check(&bench, 4000);
        assert_eq!(durations(&fragments)[..2], [expected; 2], "{rate} {group}");
        assert_eq!(peers::ffmpeg(&bench.file()), frames(&fragments));
    }
}

/// A live encoder whose groups would be ten seconds: a pipeline, so that events reach it.
fn live_pipeline(rate: &str, encoder: &str, name: &str) -> (Vec<u8>, Vec<String>) {
    common::init();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let launch = format!(
        "videotestsrc num-buffers=300 ! video/x-raw,format=I420,width=160,height=120,framerate={rate} ! \
         {encoder} ! hksvmux ! filesink location={}",
        path.display()
    );
    let pipeline = gst::parse::launch(&launch).unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let bus = pipeline.bus().unwrap();
    let mut warnings = Vec::new();
    for message in bus.iter_timed(gst::ClockTime::from_seconds(60)) {
        match message.view() {
            gst::MessageView::Eos(_) => break,
            gst::MessageView::Error(error) => panic!("{error:?}"),
            gst::MessageView::Warning(warning) => {
                warnings.push(warning.debug().unwrap_or_default().to_string())
            }
            _ => {}
        }
    }
    pipeline.set_state(gst::State::Null).unwrap();
    (std::fs::read(path).unwrap(), warnings)
}

/// Fragments of a file.
fn split(file: &[u8]) -> Vec<Fragment> {
    let mut starts = Vec::new();
    let mut offset = 0;
    for (kind, content) in boxes::boxes(file) {
        if kind == "prft" {
            starts.push(offset);
        }
        offset += content.len() + 8;
    }
    starts.push(offset);
    starts
        .windows(2)
        .map(|range| boxes::fragment(&file[range[0]..range[1]]))
        .collect()
}

#[test]
fn an_encoder_that_listens_makes_key_frames_in_time() {
    for rate in ["30/1", "30000/1001", "15/1"] {
        for encoder in [
            "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=1000",
            // B-frames and a look into the future.
            "x264enc speed-preset=veryfast bframes=2 rc-lookahead=20 key-int-max=1000",
        ] {
            let (file, warnings) = live_pipeline(rate, encoder, "listens.mp4");
            let fragments = split(&file);
            assert_eq!(warnings, Vec::<String>::new(), "{rate} {encoder}");
            for fragment in &fragments[..fragments.len() - 1] {
                let duration = fragment.duration() * 1000 / VIDEO_TIMESCALE;
                assert!(
                    (3900..=4000).contains(&duration),
                    "{duration} at {rate} of {encoder}"
                );
            }
            assert_eq!(peers::ffmpeg(&file).0, 300);
        }
    }
}

#[test]
fn long_groups_give_long_fragments_and_one_warning() {
    let video = streams::h264("15", 25, 150);
    let bench = record(&video, None);
    let fragments = check(&bench, 10_000);
    assert_eq!(durations(&fragments), [10_000, 10_000, 5000]);
    let complaints = bench.complaints();
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    assert!(
        complaints[0].contains("key frame interval"),
        "{complaints:?}"
    );
    // One frame before the limit of each fragment that could be.
    let first = bench.wanted()[0].unwrap().mseconds();
    assert!((3900..4000).contains(&first), "{first}");
    assert!(bench.stat("key-requests") >= 3);
    assert_eq!(peers::ffmpeg(&bench.file()), frames(&fragments));
}

#[test]
fn reordered_pictures_are_shown_when_they_should_be() {
    let x264 = "x264enc speed-preset=veryfast bframes=3 b-pyramid=true key-int-max=50 ! \
        video/x-h264,stream-format=byte-stream,alignment=au";
    let x265 = "x265enc speed-preset=ultrafast key-int-max=50 option-string=bframes=3:log-level=none ! \
        video/x-h265,stream-format=byte-stream,alignment=au";
    for (encoder, decoder) in [
        (x264, "h264parse ! avdec_h264"),
        (x265, "h265parse ! avdec_h265"),
    ] {
        let video = streams::video("25", 6, encoder);
        let bench = record(&video, None);
        let fragments = check(&bench, 4000);
        assert_eq!(fragments[0].video()[0].dts, 0, "{encoder}");
        let samples = fragments.iter().flat_map(|it| it.video());
        let mut shown: Vec<i64> = samples.clone().map(|sample| sample.pts).collect();
        assert!(
            samples
                .clone()
                .any(|sample| sample.pts != sample.dts as i64),
            "{encoder}"
        );
        shown.sort_unstable();
        assert_eq!(
            shown,
            (0..150).map(|frame| frame * 3600).collect::<Vec<_>>(),
            "{encoder}"
        );
        assert_eq!(peers::ffmpeg(&bench.file()).0, 150);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clip.mp4");
        std::fs::write(&path, bench.file()).unwrap();
        let (pictures, _) = peers::qtdemux(&path, decoder, false);
        assert_eq!(pictures.len(), 150);
    }
}

#[test]
fn sound_begins_with_the_first_key_frame_and_stays_in_sync() {
    // Pictures from 0.54 s on, but the first key frame is lost: the next is at 1.5 s.
    let mut video = streams::h264("25", 8, 25).moved(500);
    video.buffers.remove(0);
    let audio = streams::aac(16_000, 9);
    let bench = record(&video, Some(&audio));
    let fragments = check(&bench, 4000);
    let zero = bench.buffers()[1].pts().unwrap();
    assert_eq!(zero.mseconds(), 1500);
    let placed: Vec<u64> = fragments
        .iter()
        .flat_map(|it| it.audio())
        .map(|it| it.dts)
        .collect();
    let heard = audio
        .buffers
        .iter()
        .map(|buffer| buffer.pts().unwrap().nseconds() as i64);
    let heard: Vec<i64> = heard
        .filter(|time| *time >= zero.nseconds() as i64 - 32_000_000)
        .collect();
    assert_eq!(placed[0], 0);
    for (dts, time) in placed.iter().zip(heard) {
        let offset = *dts as i64 * 62_500 - (time - zero.nseconds() as i64);
        assert!(offset.abs() <= 32_100_000, "{offset} ns off");
    }
    assert!(bench.stat("audio-frames-left-out") >= 20);
}

#[test]
fn gaps_in_the_sound_stay_gaps() {
    let video = streams::h264("25", 8, 25);
    let mut audio = streams::aac(16_000, 8);
    audio
        .buffers
        .retain(|buffer| !(2000..5000).contains(&buffer.pts().unwrap().mseconds()));
    let bench = record(&video, Some(&audio));
    let fragments = check(&bench, 4000);
    let last = fragments.iter().flat_map(|it| it.audio()).last().unwrap();
    let within = audio.buffers.iter().map(|it| it.pts().unwrap());
    let mut within = within.filter(|pts| pts.seconds() < 8);
    let expected = within.next_back().unwrap().nseconds() / 62_500;
    assert!(
        last.dts.abs_diff(expected) <= 1024,
        "{} {expected}",
        last.dts
    );
    assert_eq!(peers::ffmpeg(&bench.file()), frames(&fragments));
}

#[test]
fn a_burst_gives_its_fragments_within_the_pushes() {
    let (video, audio) = (streams::h264("25", 6, 25), streams::aac(16_000, 6));
    // Sound first, as from memory: then the key frame at 4 s is what completes the first fragment.
    let bench = Bench::new(&video, Some(&audio));
    for buffer in &audio.buffers {
        bench.push_audio(buffer).unwrap();
    }
    let begun = Instant::now();
    for (frame, buffer) in video.buffers.iter().take(125).enumerate() {
        bench.push_video(buffer).unwrap();
        let expected = if frame < 100 { 0 } else { 2 };
        assert_eq!(bench.buffers().len(), expected, "after frame {frame}");
    }
    // Five seconds of pictures, and no clock was waited for.
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    bench.end();
    println!(
        "{} fragments, {} us each",
        bench.stat("fragments"),
        bench.stat("writing-time") / bench.stat("fragments")
    );

    // Pictures first: the sound completes it.
    let bench = Bench::with(&video, Some(&audio), |mux| {
        mux.set_property("audio-wait", 10_000_u32)
    });
    for buffer in &video.buffers {
        bench.push_video(buffer).unwrap();
    }
    assert!(bench.buffers().is_empty());
    for (index, buffer) in audio.buffers.iter().enumerate() {
        bench.push_audio(buffer).unwrap();
        // 64 ms each.
        assert_eq!(
            bench.buffers().len(),
            if (index + 1) * 64 < 4000 { 0 } else { 2 },
            "after {index}"
        );
    }
    bench.end();
}

#[test]
fn silent_sound_holds_nothing_up_for_long() {
    let (video, audio) = (streams::h264("25", 10, 25), streams::aac(16_000, 10));
    let bench = Bench::with(&video, Some(&audio), |mux| {
        mux.set_property("audio-wait", 100_u32)
    });
    let (early, late) = audio.buffers.split_at(40);
    bench.push_both(&video.buffers[..101], early);
    // The sound stops at 2.6 s.
    assert!(bench.buffers().is_empty());
    std::thread::sleep(Duration::from_millis(120));
    bench.push_video(&video.buffers[101]).unwrap();
    assert_eq!(bench.buffers().len(), 2);
    // Then it goes on: all of it is in what follows.
    bench.push_both(&video.buffers[102..], late);
    bench.end();
    let fragments = check(&bench, 4000);
    let ten = gst::ClockTime::from_seconds(10);
    let within = audio.buffers.iter().filter(|it| it.pts().unwrap() < ten);
    assert_eq!(frames(&fragments).1, within.count());
    assert_eq!(bench.stat("audio-frames-left-out"), 0);
    assert_eq!(fragments[0].audio().len(), 40);
    assert_eq!(peers::ffmpeg(&bench.file()), frames(&fragments));
}

#[test]
fn an_end_without_sound_is_not_waited_for_long() {
    let (video, audio) = (streams::h264("25", 2, 25), streams::aac(16_000, 2));
    let bench = Bench::with(&video, Some(&audio), |mux| {
        mux.set_property("audio-wait", 200_u32)
    });
    bench.push_both(&video.buffers, &[]);
    let begun = Instant::now();
    bench.end_video();
    assert!(bench.has_ended());
    assert!((Duration::from_millis(200)..Duration::from_secs(10)).contains(&begun.elapsed()));
    // The track was announced, and may be empty.
    let tracks = boxes::init(&bench.buffers()[0].map_readable().unwrap());
    assert_eq!(tracks.len(), 2);
    assert_eq!(
        bench.push_audio(&audio.buffers[0]),
        Err(gst::FlowError::Eos)
    );
}

#[test]
fn other_caps_end_the_recording() {
    let video = streams::h264("25", 6, 25);
    let other = streams::video(
        "25",
        2,
        "x264enc tune=zerolatency speed-preset=medium key-int-max=25 ! \
         video/x-h264,stream-format=byte-stream,alignment=au,profile=high",
    );
    let bench = Bench::new(&video, None);
    for buffer in &video.buffers[..130] {
        bench.push_video(buffer).unwrap();
    }
    bench.set_video_caps(&other.caps);
    let refused = other
        .moved(5200)
        .buffers
        .iter()
        .find_map(|buffer| bench.push_video(buffer).err());
    assert_eq!(refused, Some(gst::FlowError::Eos));
    assert!(bench.has_ended());
    let fragments = check(&bench, 4000);
    assert_eq!(durations(&fragments), [4000, 1200]);
    let complaints = bench.complaints();
    assert!(
        complaints.len() == 1 && complaints[0].contains("ends here"),
        "{complaints:?}"
    );
    assert_eq!(peers::ffmpeg(&bench.file()).0, 130);
}

#[test]
fn times_that_go_back_end_the_recording() {
    let video = streams::h264("25", 3, 25).moved(60_000);
    let bench = Bench::new(&video, None);
    bench.push_both(&video.buffers, &[]);
    let again = streams::h264("25", 3, 25);
    let refused = again
        .buffers
        .iter()
        .find_map(|buffer| bench.push_video(buffer).err());
    assert_eq!(refused, Some(gst::FlowError::Eos));
    assert!(bench.has_ended());
    assert_eq!(frames(&check(&bench, 4000)).0, 75);
    assert!(bench.complaints()[0].contains("went back"));
}

#[test]
fn sound_that_comes_after_the_first_fragment_is_left_out() {
    let (video, audio) = (streams::h264("25", 9, 25), streams::aac(16_000, 9));
    let bench = Bench::with_silent_audio(&video, 50);
    for buffer in &video.buffers[..101] {
        bench.push_video(buffer).unwrap();
    }
    std::thread::sleep(Duration::from_millis(60));
    bench.push_video(&video.buffers[101]).unwrap();
    assert_eq!(bench.buffers().len(), 2);
    bench.begin_audio(&audio);
    bench.push_both(&video.buffers[102..], &audio.buffers);
    bench.end();
    assert_eq!(frames(&check(&bench, 4000)), (225, 0));
    assert_eq!(peers::streams(&bench.file()), ["video,h264,avc1"]);
    let complaints = bench.complaints();
    assert!(
        complaints.len() == 1 && complaints[0].contains("has none"),
        "{complaints:?}"
    );
}

#[test]
fn the_same_caps_again_change_nothing() {
    let video = streams::h264("25", 6, 25);
    let bench = Bench::new(&video, None);
    for (frame, buffer) in video.buffers.iter().enumerate() {
        if frame % 40 == 39 {
            let mut caps = video.caps.clone();
            caps.make_mut()
                .set("framerate", gst::Fraction::new(frame as i32, 1));
            bench.set_video_caps(&caps);
        }
        bench.push_video(buffer).unwrap();
    }
    bench.end();
    assert_eq!(frames(&check(&bench, 4000)).0, 150);
    assert!(bench.complaints().is_empty());
}

#[test]
fn an_end_in_the_middle_of_a_fragment_loses_nothing() {
    for count in [1, 2, 99, 101] {
        let mut video = streams::h264("25", 6, 25);
        video.buffers.truncate(count);
        let fragments = check(&record(&video, None), 4000);
        assert_eq!(frames(&fragments).0, count);
    }
}

#[test]
fn no_key_frame_is_no_recording() {
    let mut video = streams::h264("25", 3, 250);
    // Only its parameter sets are left of the key frame.
    let key_frame = video.buffers.remove(0).map_readable().unwrap().to_vec();
    let slice = key_frame
        .windows(4)
        .position(|it| it[..3] == [0, 0, 1] && it[3] & 0x1f == 5);
    let second = video.buffers[0].make_mut();
    let parameters = gst::Buffer::from_slice(key_frame[..slice.unwrap()].to_vec());
    second.prepend_memory(parameters.memory(0).unwrap());
    let bench = record(&video, None);
    assert!(bench.buffers().is_empty());
    assert!(!bench.wanted().is_empty());
    assert!(bench.complaints()[0].contains("no key frame"));
}

#[test]
fn a_flush_begins_a_new_recording() {
    let video = streams::h264("25", 6, 25);
    let bench = Bench::new(&video, None);
    bench.push_both(&video.buffers[..120], &[]);
    assert_eq!(bench.buffers().len(), 2);
    bench.flush();
    bench.push_both(&video.buffers, &[]);
    bench.end();
    let fragments = bench.buffers().split_off(2);
    let tracks = boxes::init(&fragments[0].map_readable().unwrap());
    assert_eq!(tracks.len(), 1);
    let first = boxes::fragment(&fragments[1].map_readable().unwrap());
    assert_eq!((first.sequence_number, first.video()[0].dts), (1, 0));
}

#[test]
fn one_element_records_again_and_again() {
    let (video, audio) = (streams::h264("25", 5, 25), streams::aac(16_000, 5));
    let first = record(&video, Some(&audio));
    let count = first.buffers().len();
    for _ in 0..3 {
        first.restart(&video, Some(&audio));
        first.push_both(&video.buffers, &audio.buffers);
        first.end();
        assert_eq!(first.buffers().len(), count);
        check(&first, 4000);
    }
}
