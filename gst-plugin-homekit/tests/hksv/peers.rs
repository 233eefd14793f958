//! Strangers that read what was written: ffmpeg, and GStreamer's demuxer.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use gst::prelude::*;

/// Frames of video and of audio that ffmpeg decodes without a single warning.
pub(crate) fn ffmpeg(file: &[u8]) -> (usize, usize) {
    (ffmpeg_frames(file, "v"), ffmpeg_frames(file, "a"))
}

fn ffmpeg_frames(file: &[u8], kind: &str) -> usize {
    let map = format!("0:{kind}?");
    // One line per decoded frame; without any frame ffmpeg would refuse to write.
    let arguments = [
        "-v",
        "warning",
        "-xerror",
        "-i",
        "-",
        "-map",
        &map,
        "-f",
        "framecrc",
        "-fps_mode",
        "passthrough",
        "-",
    ];
    if !streams(file)
        .iter()
        .any(|stream| stream.starts_with(if kind == "v" { "video" } else { "audio" }))
    {
        return 0;
    }
    let output = run("ffmpeg", &arguments, file);
    output.lines().filter(|line| !line.starts_with('#')).count()
}

/// `codec_type,codec_name,codec_tag,start` of each stream.
pub(crate) fn streams(file: &[u8]) -> Vec<String> {
    let arguments = [
        "-v",
        "warning",
        "-show_entries",
        "stream=codec_type,codec_name,codec_tag_string",
        "-of",
        "default=noprint_wrappers=1:nokey=1",
        "-",
    ];
    let output = run("ffprobe", &arguments, file);
    let lines: Vec<&str> = output.lines().collect();
    // ffprobe keeps its own order: name, type, tag.
    lines
        .chunks(3)
        .map(|it| format!("{},{},{}", it[1], it[0], it[2]))
        .collect()
}

fn run(program: &str, arguments: &[&str], input: &[u8]) -> String {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // ffprobe stops reading once it knows enough.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && complaints.is_empty(),
        "{program}: {complaints}"
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Presentation times of the pictures, and of the sound, that GStreamer demuxes and decodes from a file.
pub(crate) fn qtdemux(path: &Path, decoder: &str, has_audio: bool) -> (Vec<u64>, Vec<u64>) {
    let audio = if has_audio {
        "demux. ! queue max-size-time=0 max-size-buffers=0 max-size-bytes=0 ! aacparse ! avdec_aac ! appsink name=audio sync=false"
    } else {
        ""
    };
    let launch = format!(
        "filesrc location={} ! qtdemux name=demux \
         demux. ! queue max-size-time=0 max-size-buffers=0 max-size-bytes=0 ! {decoder} ! appsink name=video sync=false {audio}",
        path.display()
    );
    let pipeline = gst::parse::launch(&launch).unwrap();
    let bin = pipeline.clone().downcast::<gst::Bin>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let video = times(&bin, "video");
    let audio = if has_audio {
        times(&bin, "audio")
    } else {
        Vec::new()
    };
    let bus = pipeline.bus().unwrap();
    let kinds = [gst::MessageType::Error, gst::MessageType::Warning];
    let complaint = bus.pop_filtered(&kinds);
    pipeline.set_state(gst::State::Null).unwrap();
    assert!(complaint.is_none(), "{complaint:?}");
    (video, audio)
}

fn times(bin: &gst::Bin, name: &str) -> Vec<u64> {
    let sink = bin
        .by_name(name)
        .unwrap()
        .downcast::<gst_app::AppSink>()
        .unwrap();
    // What is not taken waits here.
    let samples = std::iter::from_fn(|| sink.pull_sample().ok());
    let running = |sample: gst::Sample| {
        let segment = sample
            .segment()
            .unwrap()
            .downcast_ref::<gst::ClockTime>()
            .unwrap()
            .clone();
        segment
            .to_running_time(sample.buffer().unwrap().pts().unwrap())
            .unwrap()
            .nseconds()
    };
    samples.map(running).collect()
}
