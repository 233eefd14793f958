//! `hapctl hub` against a camera on loopback that records, and does so wrongly when told to.

mod accessory;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use accessory::{Accessory, CODE, Fault};
use serde_json::{Value as Json, json};

/// A controller with a folder of its own, paired with a camera that records.
struct Home {
    folder: tempfile::TempDir,
    camera: Accessory,
}

impl Home {
    fn new() -> Self {
        let home = Self {
            folder: tempfile::tempdir().unwrap(),
            camera: Accessory::recording(),
        };
        let address = home.camera.address();
        let pair = [
            "pair",
            "--address",
            &address,
            "--code",
            CODE,
            "--alias",
            "cam",
        ];
        let paired = home.command(&pair).output().unwrap();
        assert!(paired.status.success(), "{paired:?}");
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hapctl"));
        command
            .arg("--store")
            .arg(self.path("store"))
            .args(arguments);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn hub(&self, arguments: &[&str]) -> Hub {
        let clips = self.path("clips");
        let clips = clips.to_str().unwrap();
        let all = [&["hub", "cam", "--clips", clips, "--json", "-v"], arguments].concat();
        Hub::start(self.command(&all))
    }

    /// A hub that waits for motion.
    fn waiting(&self, arguments: &[&str]) -> Hub {
        let hub = self.hub(&[arguments, &["--seconds", "60"]].concat());
        hub.hear("waiting for motion");
        hub
    }

    /// Runs to the end; the exit code, and the clips.
    fn clips(&self, arguments: &[&str]) -> (i32, Vec<Json>) {
        self.hub(arguments).finished()
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("clips")).unwrap();
        let mut names: Vec<String> = entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// A hub at work, and what it says on standard error.
struct Hub {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Hub {
    fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&said);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                heard.lock().unwrap().push_str(&format!("{line}\n"));
            }
        });
        Self { child, said }
    }

    fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until it says `what`.
    fn hear(&self, what: &str) {
        let start = Instant::now();
        while !self.said().contains(what) {
            assert!(start.elapsed() < Duration::from_secs(30), "{}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn finished(self) -> (i32, Vec<Json>) {
        let said = self.said;
        let output = self.child.wait_with_output().unwrap();
        eprint!("{}", said.lock().unwrap());
        (output.status.code().unwrap(), printed(&output))
    }
}

fn printed(output: &Output) -> Vec<Json> {
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().map(serde_json::from_str);
    let lines: Result<Vec<Json>, _> = lines.collect();
    lines.unwrap_or_else(|e| panic!("{e}: {output:?}"))
}

fn findings(clip: &Json) -> String {
    clip["findings"].to_string()
}

/// What an independent reader says of the clip.
fn probe(file: &Path) -> Json {
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-show_streams",
            "-show_format",
            "-of",
            "json",
        ])
        .arg(file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said, "", "{}", file.display());
    serde_json::from_slice(&output.stdout).unwrap()
}

const NOW: [&str; 3] = ["--now", "--count", "1"];

#[test]
fn a_recording_at_motion_is_checked_and_kept() {
    let home = Home::new();
    let hub = home.waiting(&["--count", "1"]);
    home.camera.motion(true);
    std::thread::sleep(Duration::from_millis(2500));
    home.camera.motion(false);
    let (code, clips) = hub.finished();
    let [clip] = clips.as_slice() else {
        panic!("{clips:?}")
    };
    assert_eq!((findings(clip).as_str(), code), ("[]", 0));
    let keys: Vec<&String> = clip.as_object().unwrap().keys().collect();
    let mut expected = [
        "file",
        "poster",
        "duration_ms",
        "prebuffer_ms",
        "open_to_init_ms",
        "open_to_first_fragment_ms",
        "fragments",
        "bytes",
        "video_codec",
        "audio_codec",
        "ended",
        "findings",
    ];
    expected.sort_unstable();
    let mut keys: Vec<&str> = keys.into_iter().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!(clip["ended"], "end of stream");
    assert_eq!(
        (&clip["video_codec"], &clip["audio_codec"]),
        (&json!("avc1.64001F"), &json!("mp4a.40.2"))
    );
    let prebuffer = clip["prebuffer_ms"].as_i64().unwrap();
    assert!((4_000..5_500).contains(&prebuffer), "{clip}");
    assert!(clip["duration_ms"].as_u64().unwrap() >= 7_000, "{clip}");
    assert!(clip["open_to_init_ms"].as_u64() <= clip["open_to_first_fragment_ms"].as_u64());

    let file = PathBuf::from(clip["file"].as_str().unwrap());
    assert_eq!(
        std::fs::metadata(&file).unwrap().len(),
        clip["bytes"].as_u64().unwrap()
    );
    let probed = probe(&file);
    assert_eq!(probed["streams"][0]["codec_name"], "h264");
    assert_eq!(probed["streams"][1]["codec_name"], "aac");
    let poster = std::fs::read(clip["poster"].as_str().unwrap()).unwrap();
    assert!(poster.starts_with(&[0xFF, 0xD8]));
    assert_eq!(home.files().len(), 2);
    // The same rules hold for the file.
    let checked = home
        .command(&["clip", "check", file.to_str().unwrap(), "--json"])
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn a_ring_starts_a_recording_too_and_the_data_stream_is_kept() {
    let home = Home::new();
    let hub = home.waiting(&["--count", "2"]);
    home.camera.ring();
    std::thread::sleep(Duration::from_millis(4000));
    home.camera.motion(true);
    std::thread::sleep(Duration::from_millis(1000));
    home.camera.motion(false);
    let (code, clips) = hub.finished();
    assert_eq!(clips.len(), 2);
    assert!(clips.iter().all(|c| findings(c) == "[]"), "{clips:?}");
    assert_eq!(code, 0);
}

#[test]
fn sealed_clips_open_with_their_keys_alone() {
    let home = Home::new();
    let (code, clips) = home.clips(&[&NOW[..], &["--clip-seconds", "1.5", "--encrypt"]].concat());
    assert_eq!(
        (code, &clips[0]["ended"]),
        (0, &json!("closed by the hub")),
        "{clips:?}"
    );
    let file = clips[0]["file"].as_str().unwrap();
    let names = home.files();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(
        names[0].ends_with(".jpg.sealed") && names[1].ends_with(".key"),
        "{names:?}"
    );
    let open = |arguments: &[&str]| {
        home.command(&[&["clip", "open"], arguments].concat())
            .output()
            .unwrap()
    };
    assert!(open(&[file]).status.success());
    let plain = file.strip_suffix(".sealed").unwrap();
    assert_eq!(probe(Path::new(plain))["streams"][0]["codec_name"], "h264");
    // It is not replaced unasked.
    assert_eq!(open(&[file]).status.code(), Some(2));
    assert!(open(&[file, "--force"]).status.success());
    let picture = clips[0]["poster"].as_str().unwrap();
    assert!(open(&[picture]).status.success());
    assert!(
        std::fs::read(picture.strip_suffix(".sealed").unwrap())
            .unwrap()
            .starts_with(&[0xFF, 0xD8])
    );

    let mut bytes = std::fs::read(file).unwrap();
    bytes.truncate(bytes.len() - 5);
    let (cut, out) = (home.path("cut.sealed"), home.path("out.mp4"));
    std::fs::write(&cut, &bytes).unwrap();
    let key = plain.replace(".mp4", ".key");
    let failed = open(&[
        cut.to_str().unwrap(),
        "--key",
        &key,
        "--out",
        out.to_str().unwrap(),
    ]);
    assert_eq!(failed.status.code(), Some(9), "{failed:?}");
    assert!(!out.exists(), "half a clip is none");
    let left = std::fs::read_dir(home.folder.path()).unwrap();
    assert!(
        left.flatten()
            .all(|e| !e.file_name().to_string_lossy().ends_with(".part"))
    );
}

#[test]
fn cameras_that_break_rules_are_found_out() {
    let home = Home::new();
    let soon = ["--clip-seconds", "3"];
    for (fault, arguments, ended, what) in [
        (
            Fault::Fails,
            &soon[..],
            "closed by the camera: unexpected failure (5)",
            "unexpected failure",
        ),
        (Fault::Garbage, &soon, "connection lost", "frame"),
        (Fault::Malformed, &soon, "closed by the hub", "malformed"),
        (
            Fault::TakesTwo,
            &["--clip-seconds", "3", "--abort", "twice"],
            "closed by the hub",
            "second recording",
        ),
        (
            Fault::NoPicture,
            &soon,
            "closed by the hub",
            "no picture of the moment",
        ),
        (
            Fault::NoEnd,
            &[],
            "closed by the camera: normal (0)",
            "before endOfStream",
        ),
        (Fault::AfterEnd, &[], "end of stream", "after endOfStream"),
        (Fault::Silent, &[], "the camera fell silent", "nothing came"),
    ] {
        home.camera.fault(fault);
        let (code, clips) = home.clips(&[&NOW[..], arguments].concat());
        let clip = &clips[0];
        assert!(
            clip["ended"].as_str().unwrap().starts_with(ended),
            "{fault:?}: {clip}"
        );
        assert!(findings(clip).contains(what), "{fault:?}: {clip}");
        assert_eq!(code, 1, "{fault:?}");
    }
    home.camera.fault(Fault::None);
    let (code, clips) =
        home.clips(&[&NOW[..], &["--clip-seconds", "1", "--abort", "twice"]].concat());
    assert_eq!(
        (findings(&clips[0]).as_str(), code),
        ("[]", 0),
        "a good camera says busy"
    );
}

/// Open files and resident memory in kB.
fn resources(pid: u32) -> (usize, usize) {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .count();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let resident = status.lines().find(|l| l.starts_with("VmRSS")).unwrap();
    let resident = resident.split_whitespace().nth(1).unwrap();
    (files, resident.parse().unwrap())
}

#[test]
fn a_hub_that_misbehaves_does_not_spoil_the_next_recording() {
    let home = Home::new();
    let arguments = [
        "--now",
        "--count",
        "20",
        "--clip-seconds",
        "0.8",
        "--chaos",
        "5",
    ];
    let mut hub = home.hub(&arguments);
    let (pid, lines) = (hub.child.id(), hub.child.stdout.take().unwrap());
    let (mut clips, mut used) = (Vec::<Json>::new(), Vec::new());
    for line in BufReader::new(lines).lines() {
        clips.push(serde_json::from_str(&line.unwrap()).unwrap());
        if matches!(clips.len(), 6 | 18) {
            used.push(resources(pid));
        }
    }
    assert_eq!(hub.child.wait().unwrap().code(), Some(0), "{clips:#?}");
    let ended: Vec<&str> = clips.iter().map(|c| c["ended"].as_str().unwrap()).collect();
    assert_eq!(ended.len(), 20);
    assert!(ended.iter().any(|e| e.starts_with("aborted")), "{ended:?}");
    let good = ended.iter().filter(|e| **e == "closed by the hub").count();
    assert!(good >= 5, "{ended:?}");
    let kept = home.files().iter().filter(|n| n.ends_with(".mp4")).count();
    assert_eq!(kept, good, "aborted clips are not kept: {clips:#?}");
    let [(files, memory), (files_later, memory_later)] = used[..] else {
        panic!("{used:?}")
    };
    assert!(files_later <= files + 2, "{used:?}");
    assert!(memory_later <= memory + 8_000, "{used:?}");
}

#[test]
fn a_connection_that_drops_is_made_again() {
    let home = Home::new();
    let hub = home.waiting(&["--count", "1"]);
    home.camera.drop_connections();
    hub.hear("connected again");
    home.camera.motion(true);
    std::thread::sleep(Duration::from_millis(800));
    home.camera.motion(false);
    assert!(hub.said().contains("connecting again"), "{}", hub.said());
    let (code, clips) = hub.finished();
    assert_eq!((findings(&clips[0]).as_str(), code), ("[]", 0));
}

#[test]
fn a_camera_that_forgets_its_settings_is_found_out() {
    let home = Home::new();
    let hub = home.waiting(&["--count", "1"]);
    home.camera.forget();
    home.camera.drop_connections();
    hub.hear("connected again");
    home.camera.motion(true);
    std::thread::sleep(Duration::from_millis(800));
    home.camera.motion(false);
    let (code, clips) = hub.finished();
    assert!(
        findings(&clips[0]).contains("forgot the selected configuration"),
        "{clips:?}"
    );
    assert_eq!(code, 1);
}

#[test]
fn ctrl_c_closes_and_keeps_what_there_is() {
    let home = Home::new();
    let hub = home.hub(&["--now"]);
    hub.hear("armed");
    std::thread::sleep(Duration::from_millis(1500));
    let start = Instant::now();
    let pid = hub.child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    let (code, clips) = hub.finished();
    assert!(start.elapsed() < Duration::from_secs(5));
    let clip = clips.last().unwrap();
    assert_eq!(
        (&clip["ended"], code),
        (&json!("interrupted"), 0),
        "{clips:?}"
    );
    probe(Path::new(clip["file"].as_str().unwrap()));
    // The camera is free again.
    let (code, clips) = home.clips(&[&NOW[..], &["--clip-seconds", "1"]].concat());
    assert_eq!((findings(&clips[0]).as_str(), code), ("[]", 0));
}

#[test]
fn pictures_come_over_the_data_stream() {
    let home = Home::new();
    // Snapshots are on by default, without any hub that armed the camera.
    let file = home.path("now.jpg");
    let arguments = [
        "hub",
        "cam",
        "--snapshot",
        file.to_str().unwrap(),
        "--size",
        "640x360",
        "--json",
    ];
    let taken = home
        .command(&[&arguments[..], &["--reason", "event"]].concat())
        .output()
        .unwrap();
    let printed: Json = serde_json::from_slice(&taken.stdout).unwrap();
    assert_eq!(
        (&printed["width"], &printed["findings"]),
        (&json!(640), &json!([]))
    );
    assert!(std::fs::read(&file).unwrap().starts_with(&[0xFF, 0xD8]));
    home.camera.fault(Fault::NoPicture);
    let refused = home.command(&arguments).output().unwrap();
    assert_eq!(refused.status.code(), Some(5));
}

#[test]
fn people_get_lines_and_cameras_that_do_not_record_are_told() {
    let home = Home::new();
    let output = home
        .command(&[
            "hub",
            "cam",
            "--now",
            "--count",
            "1",
            "--clip-seconds",
            "1",
            "--no-audio",
        ])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("before the event") && text.contains("avc1"),
        "{text}"
    );
    assert!(String::from_utf8_lossy(&output.stderr).contains("armed: 640x360@15"));
    let (code, clips) = home.clips(&[&NOW[..], &["--clip-seconds", "1", "--no-arm"]].concat());
    assert_eq!((findings(&clips[0]).as_str(), code), ("[]", 0));

    let plain = Accessory::start(1);
    let other = Home {
        folder: tempfile::tempdir().unwrap(),
        camera: plain,
    };
    let address = other.camera.address();
    let pair = [
        "pair",
        "--address",
        &address,
        "--code",
        CODE,
        "--alias",
        "cam",
    ];
    assert!(other.command(&pair).output().unwrap().status.success());
    assert_eq!(other.clips(&NOW).0, 6);
}
