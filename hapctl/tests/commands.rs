//! The program against an accessory on loopback.

mod accessory;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use accessory::{Accessory, CODE, DEVICE};
use serde_json::{Value as Json, json};

/// The program with a store of its own.
struct Hapctl {
    folder: tempfile::TempDir,
}

impl Hapctl {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
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
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs with `--json`; the exit code, and what was printed.
    fn json(&self, arguments: &[&str]) -> (i32, Json) {
        let output = self.run(&[arguments, &["--json"]].concat());
        let code = output.status.code().unwrap();
        let printed = if output.stdout.is_empty() {
            &output.stderr
        } else {
            &output.stdout
        };
        let text = String::from_utf8_lossy(printed);
        (
            code,
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}")),
        )
    }

    fn ok(&self, arguments: &[&str]) -> Json {
        let (code, printed) = self.json(arguments);
        assert_eq!(code, 0, "{arguments:?}: {printed}");
        printed
    }

    fn paired(accessory: &Accessory) -> Self {
        let this = Self::new();
        let paired = this.ok(&[
            "pair",
            "--address",
            &accessory.address(),
            "--code",
            CODE,
            "--alias",
            "cam",
        ]);
        assert_eq!(paired["device_id"], DEVICE);
        assert_eq!(paired["name"], "Test camera");
        this
    }
}

#[test]
fn pair_read_write_and_unpair() {
    let accessory = Accessory::start(2);
    let hapctl = Hapctl::paired(&accessory);
    let database = hapctl.ok(&["accessories", "cam"]);
    assert_eq!(database["accessories"][0]["aid"], 1);

    let read = hapctl.ok(&["get", "cam", "speaker/mute", "streaming-status#2", "--meta"]);
    assert_eq!(read["characteristics"][0]["value"], false);
    assert_eq!(read["characteristics"][0]["format"], "bool");
    assert_eq!(read["characteristics"][1]["value"], "AQEA");
    assert_eq!(
        read["characteristics"][1]["service"],
        "camera-rtp-stream-management"
    );

    assert_eq!(hapctl.ok(&["put", "cam", "speaker/mute=on"])["ok"], true);
    let read = hapctl.ok(&["get", "cam", "speaker/mute"]);
    assert_eq!(read["characteristics"][0]["value"], true);
    assert_eq!(
        hapctl.ok(&["put", "cam", "speaker/mute=off", "--timed"])["ok"],
        true
    );

    hapctl.ok(&["identify", "cam"]);
    hapctl.ok(&["unpair", "cam"]);
    let (code, error) = hapctl.json(&["get", "cam", "mute"]);
    assert_eq!((code, &error["kind"]), (6, &json!("not-found")));
    // The last administrator is gone: somebody else can pair.
    Hapctl::paired(&accessory);
}

#[test]
fn refusals_of_single_characteristics_are_told() {
    let accessory = Accessory::start(1);
    let hapctl = Hapctl::paired(&accessory);
    let (code, read) = hapctl.json(&["get", "cam", "1.9999", "speaker/mute"]);
    assert_eq!(code, 5);
    assert_eq!(read["characteristics"][0]["status"], -70409);
    assert_eq!(read["characteristics"][1]["value"], false);
    let (code, written) = hapctl.json(&["put", "cam", "speaker/volume=json:300"]);
    assert_eq!((code, &written["ok"]), (5, &json!(false)));
    let (code, error) = hapctl.json(&["put", "cam", "speaker/volume=300"]);
    assert_eq!((code, &error["kind"]), (2, &json!("usage")));
}

#[test]
fn a_wrong_code_says_so_and_stores_nothing() {
    let accessory = Accessory::start(1);
    let hapctl = Hapctl::new();
    let (code, error) = hapctl.json(&[
        "pair",
        "--address",
        &accessory.address(),
        "--code",
        "111-22-334",
        "--alias",
        "cam",
    ]);
    assert_eq!((code, &error["kind"]), (4, &json!("authentication")));
    assert!(error["error"].as_str().unwrap().contains("code is wrong"));
    assert!(!error.to_string().contains("111-22-334"));
    assert_eq!(hapctl.ok(&["identity"])["pairings"], json!([]));
}

#[test]
fn nobody_listening_is_unreachable() {
    let hapctl = Hapctl::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let address = format!("127.0.0.1:{port}");
    let (code, _) = hapctl.json(&[
        "pair",
        "--address",
        &address,
        "--code",
        CODE,
        "--alias",
        "c",
    ]);
    assert_eq!(code, 3);
}

#[test]
fn a_second_controller_is_let_in_and_thrown_out() {
    let accessory = Accessory::start(1);
    let (first, second) = (Hapctl::paired(&accessory), Hapctl::new());
    let store = second.path("store");
    first.ok(&["pairings", "cam", "share", store.to_str().unwrap()]);
    let list = first.ok(&["pairings", "cam", "list"]);
    let admins: Vec<&Json> = list["pairings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| &p["admin"])
        .collect();
    assert_eq!(admins, [&json!(true), &json!(false)]);
    second.ok(&["get", "cam", "speaker/mute"]);
    let (code, _) = second.json(&["pairings", "cam", "list"]);
    assert_eq!(code, 4);
    let id = second.ok(&["identity"])["id"].as_str().unwrap().to_owned();
    first.ok(&["pairings", "cam", "remove", &id]);
    let (code, _) = second.json(&["get", "cam", "speaker/mute"]);
    assert_eq!(code, 4);
}

#[test]
fn events_of_another_controller_are_seen() {
    let accessory = Accessory::start(1);
    let (first, second) = (Hapctl::paired(&accessory), Hapctl::new());
    first.ok(&[
        "pairings",
        "cam",
        "share",
        second.path("store").to_str().unwrap(),
    ]);
    let watching = first
        .command(&[
            "watch",
            "cam",
            "speaker/mute",
            "--count",
            "1",
            "--seconds",
            "20",
            "--json",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut muted = true;
    let deadline = Instant::now() + Duration::from_secs(15);
    let mut watching = watching;
    // The subscription takes a moment: write until it is heard.
    while watching.try_wait().unwrap().is_none() && Instant::now() < deadline {
        second.ok(&["put", "cam", &format!("speaker/mute={muted}")]);
        muted = !muted;
        std::thread::sleep(Duration::from_millis(300));
    }
    let output = watching.wait_with_output().unwrap();
    assert!(output.status.success());
    let event: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&event["name"], &event["service"]),
        (&json!("mute"), &json!("speaker"))
    );
    assert!(event["value"].is_boolean());
}

#[test]
fn a_snapshot_is_measured_and_stored() {
    let accessory = Accessory::start(1);
    let hapctl = Hapctl::paired(&accessory);
    let file = hapctl.path("s.jpg");
    let taken = hapctl.ok(&[
        "snapshot",
        "cam",
        "--size",
        "320x240",
        "--output",
        file.to_str().unwrap(),
    ]);
    assert_eq!(
        (&taken["width"], &taken["height"]),
        (&json!(320), &json!(240))
    );
    assert_eq!(
        std::fs::read(file).unwrap().len() as u64,
        taken["bytes"].as_u64().unwrap()
    );
    let (code, _) = hapctl.json(&["snapshot", "cam", "--size", "4000x3000"]);
    assert_eq!(code, 5);
}

fn size_of(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().len()
}

#[test]
fn a_view_counts_measures_and_stores() {
    let accessory = Accessory::start(2);
    let hapctl = Hapctl::paired(&accessory);
    let (video_file, audio_file) = (hapctl.path("v.h264"), hapctl.path("a.ogg"));
    let seen = hapctl.ok(&[
        "view",
        "cam",
        "--seconds",
        "3",
        "--size",
        "1280x720",
        "--reconfigure",
        "640x360@1",
        "--suspend",
        "1.8",
        "--resume",
        "2.2",
        "--video",
        video_file.to_str().unwrap(),
        "--audio",
        audio_file.to_str().unwrap(),
    ]);
    let (video, audio) = (&seen["video"], &seen["audio"]);
    assert_eq!(
        (&video["lost"], &audio["lost"]),
        (&json!(0), &json!(0)),
        "{seen}"
    );
    assert_eq!(
        (&video["payload_type"], &audio["payload_type"]),
        (&json!(99), &json!(110))
    );
    assert_eq!(
        (&video["width"], &video["height"]),
        (&json!(640), &json!(360))
    );
    assert_eq!(video["sizes"][0]["height"], 720);
    assert_eq!(video["damaged_frames"], 0);
    assert!(video["packets"].as_u64().unwrap() > 50, "{seen}");
    assert!(video["key_frames"].as_u64().unwrap() >= 4, "{seen}");
    assert!(
        video["first_key_frame_ms"].as_u64().unwrap() < 300,
        "{seen}"
    );
    assert!(video["first_packet_ms"].as_u64() <= video["first_key_frame_ms"].as_u64());
    assert!(video["sender_reports"].as_u64().unwrap() >= 4, "{seen}");
    assert!(
        video["receiver_reports_sent"].as_u64().unwrap() >= 4,
        "{seen}"
    );
    assert!(
        video["longest_gap_ms"].as_u64().unwrap() >= 300,
        "suspended: {seen}"
    );
    assert_eq!((&video["bye"], &audio["bye"]), (&json!(true), &json!(true)));
    assert_eq!(video["source_as_announced"], true);
    assert_eq!(
        (&audio["packet_time_ms"], &audio["timestamp_errors"]),
        (&json!(20), &json!(1)),
        "the pause is the only jump: {seen}"
    );
    assert_eq!(seen["ended"], "time");
    assert!(size_of(&video_file) > 20_000 && size_of(&audio_file) > 300);
}

#[test]
fn a_camera_that_ends_the_stream_is_noticed() {
    let accessory = Accessory::start(1);
    let hapctl = Hapctl::paired(&accessory);
    let start = Instant::now();
    let mut viewing = hapctl.command(&["view", "cam", "--seconds", "30", "--json"]);
    let viewing = viewing
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    accessory.end_streams();
    let output = viewing.wait_with_output().unwrap();
    assert!(start.elapsed() < Duration::from_secs(15));
    assert_eq!(output.status.code(), Some(5));
    let seen: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(seen["ended"], "camera");
    assert!(seen["video"]["packets"].as_u64().unwrap() > 10);
}

#[test]
fn ctrl_c_ends_the_stream_with_its_summary() {
    let accessory = Accessory::start(1);
    let hapctl = Hapctl::paired(&accessory);
    let mut viewing = hapctl.command(&["view", "cam", "--seconds", "30", "--json"]);
    let viewing = viewing.stdout(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    let pid = viewing.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    let output = viewing.wait_with_output().unwrap();
    assert!(output.status.success());
    let seen: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&seen["ended"], &seen["video"]["lost"]),
        (&json!("interrupted"), &json!(0))
    );
    // The slot is free again.
    let read = hapctl.ok(&["get", "cam", "streaming-status"]);
    assert_eq!(read["characteristics"][0]["value"], "AQEA");
}

#[test]
fn when_all_streams_are_taken_it_says_so() {
    let accessory = Accessory::start(1);
    let hapctl = Hapctl::paired(&accessory);
    let mut first = hapctl.command(&["view", "cam", "--seconds", "3", "--json"]);
    let first = first.stdout(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1000));
    let (code, error) = hapctl.json(&["view", "cam", "--seconds", "1"]);
    assert_eq!((code, &error["kind"]), (5, &json!("refused")));
    let (code, error) = hapctl.json(&["view", "cam", "--seconds", "1", "--stream", "1"]);
    assert_eq!(code, 5, "{error}");
    let seen: Json = serde_json::from_slice(&first.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(
        seen["video"]["lost"], 0,
        "the first viewer is not disturbed"
    );
}

#[test]
fn without_sound_or_with_another_size() {
    let accessory = Accessory::start(1);
    let hapctl = Hapctl::paired(&accessory);
    let seen = hapctl.ok(&[
        "view",
        "cam",
        "--seconds",
        "1",
        "--no-audio",
        "--size",
        "320x240",
        "--fps",
        "15",
    ]);
    assert_eq!(seen["audio"], Json::Null);
    assert_eq!(
        (&seen["stream"]["fps"], &seen["video"]["height"]),
        (&json!(15), &json!(240))
    );
    let (code, error) = hapctl.json(&["view", "cam", "--size", "123x45"]);
    assert_eq!(code, 2);
    assert!(error["hint"].as_str().unwrap().contains("1280x720@30"));
    // People get a table.
    let output = hapctl.run(&["view", "cam", "--seconds", "1", "--size", "320x240"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("first key frame") && text.contains("packet time"),
        "{text}"
    );
}
