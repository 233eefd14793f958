//! The Ogg file as ffmpeg and ffprobe see it.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use hapctl::ogg::OggOpus;

/// Runs a program; none when it is not installed.
fn run(program: &str, arguments: &[&str]) -> Option<Output> {
    match Command::new(program).args(arguments).output() {
        Ok(output) => Some(output),
        Err(e) => {
            eprintln!("SKIPPED: {program}: {e}");
            None
        }
    }
}

/// Opus packets of a sine that ffmpeg encoded, with `frame_ms` a packet.
fn encoded(folder: &Path, seconds: u32, frame_ms: u32) -> Option<Vec<Vec<u8>>> {
    let file = folder.join("source.ogg");
    let sine = format!("sine=frequency=440:duration={seconds}");
    let duration = frame_ms.to_string();
    let arguments = [
        "-v",
        "error",
        "-y",
        "-f",
        "lavfi",
        "-i",
        &sine,
        "-c:a",
        "libopus",
        "-ac",
        "1",
        "-b:a",
        "24k",
        "-frame_duration",
        &duration,
        file.to_str()?,
    ];
    let output = run("ffmpeg", &arguments)?;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(packets(&std::fs::read(file).unwrap()))
}

/// The packets of an Ogg file behind its two headers.
fn packets(mut file: &[u8]) -> Vec<Vec<u8>> {
    let (mut out, mut current) = (Vec::new(), Vec::new());
    while file.len() > 27 {
        let count = usize::from(file[26]);
        let (table, mut body) = (&file[27..27 + count], &file[27 + count..]);
        for &length in table {
            let (part, rest) = body.split_at(length.into());
            current.extend_from_slice(part);
            body = rest;
            if length < 255 {
                out.push(std::mem::take(&mut current));
            }
        }
        file = body;
    }
    out.split_off(2)
}

/// Duration in seconds by ffprobe; ffmpeg must decode without a word.
fn checked(path: &Path) -> f64 {
    let path = path.to_str().unwrap();
    let decoded = run("ffmpeg", &["-v", "warning", "-i", path, "-f", "null", "-"]).unwrap();
    assert!(decoded.status.success());
    assert_eq!(String::from_utf8_lossy(&decoded.stderr), "");
    let entries = [
        "-v",
        "warning",
        "-show_entries",
        "format=duration",
        "-of",
        "csv=p=0",
        path,
    ];
    let probed = run("ffprobe", &entries).unwrap();
    assert_eq!(String::from_utf8_lossy(&probed.stderr), "");
    String::from_utf8_lossy(&probed.stdout)
        .trim()
        .parse()
        .unwrap()
}

#[test]
fn ffmpeg_reads_it_without_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    for frame_ms in [20, 60] {
        let Some(packets) = encoded(folder.path(), 3, frame_ms) else {
            return;
        };
        let path = folder.path().join("ours.ogg");
        let mut ogg = OggOpus::new(std::fs::File::create(&path).unwrap(), 7, 1, 24_000).unwrap();
        for packet in &packets {
            ogg.packet(packet).unwrap();
        }
        let expected = packets.len() as f64 * f64::from(frame_ms) / 1000.0;
        ogg.finish().unwrap().flush().unwrap();
        let duration = checked(&path);
        assert!(
            (duration - expected).abs() < 0.01,
            "{duration} s, not {expected} s"
        );
    }
}

#[test]
fn a_gap_keeps_the_time_and_decodes() {
    let folder = tempfile::tempdir().unwrap();
    let Some(packets) = encoded(folder.path(), 3, 20) else {
        return;
    };
    let path = folder.path().join("ours.ogg");
    let mut ogg = OggOpus::new(std::fs::File::create(&path).unwrap(), 7, 1, 24_000).unwrap();
    for (n, packet) in packets.iter().enumerate() {
        match n {
            50..60 => {}
            60 => {
                ogg.gap(10 * 960).unwrap();
                ogg.packet(packet).unwrap();
            }
            _ => ogg.packet(packet).unwrap(),
        }
    }
    ogg.finish().unwrap().flush().unwrap();
    let expected = packets.len() as f64 * 0.02;
    let duration = checked(&path);
    assert!(
        (duration - expected).abs() < 0.01,
        "{duration} s, not {expected} s"
    );
}
