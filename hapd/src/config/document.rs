//! Walks the TOML document, so that one run names every mistake with its line.

use std::time::Duration;

use hap_camera::services::MOTION_HOLD;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fields::{Fields, known_keys};
use super::mistake::{Collector, Mistakes};
use super::{CameraConfig, Config, Security, events, motion, name, slug, source};
use crate::media::{
    CameraSource, Passthrough, RecordingCodec, RtspTransport, Secret, Source, Talkback,
};

const TOP: &[&str] = &["hapd", "mqtt", "camera"];
const HAPD: &[&str] = &["interfaces", "http", "http_token"];
const CAMERA: &[&str] = &[
    "name",
    "id",
    "source",
    "streams",
    "talkback",
    "port",
    "max_streams",
    "max_size",
    "audio",
    "size",
    "fps",
    "passthrough",
    "recording",
    "recording_codec",
    "prebuffer",
    "motion",
    "motion_hold",
    "doorbell",
    "occupancy",
    "privacy_switch",
    "mqtt",
    "onvif",
    "encoder",
    "rtsp_transport",
    "manufacturer",
    "model",
    "serial_number",
    "stall_timeout",
];

/// Reads a config.
///
/// # Errors
/// Every mistake, with its line, the reason, and what would be right.
pub fn parse(text: &str) -> Result<Config, Mistakes> {
    let mut mistakes = Collector::new(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        mistakes.at(
            error.span().map_or(0, |s| s.start),
            format!("not valid TOML: {}", error.message()),
        );
    }
    if !errors.is_empty() {
        return mistakes.finish(None);
    }
    let config = top(document.get_ref(), &mut mistakes);
    mistakes.finish(Some(config))
}

fn top(document: &DeTable<'_>, mistakes: &mut Collector<'_>) -> Config {
    known_keys(document, TOP, "the file", mistakes);
    let mut interfaces = Vec::new();
    if let Some(value) = document.get("hapd") {
        match value.get_ref().as_table() {
            Some(table) => interfaces = hapd(table, mistakes),
            None => mistakes.at(
                value.span().start,
                "hapd is a table: write [hapd] on a line of its own",
            ),
        }
    }
    let events = events::sources(document, mistakes);
    let cameras = cameras(document, mistakes);
    events::check(&events, &cameras, document, mistakes);
    Config {
        interfaces,
        events,
        cameras,
    }
}

fn hapd(table: &DeTable<'_>, mistakes: &mut Collector<'_>) -> Vec<String> {
    known_keys(table, HAPD, "[hapd]", mistakes);
    let Some(value) = table.get("interfaces") else {
        return Vec::new();
    };
    let Some(list) = value.get_ref().as_array() else {
        mistakes.at(
            value.span().start,
            "interfaces is a list, for example [\"eth0\", \"lo\"]",
        );
        return Vec::new();
    };
    let mut names = Vec::new();
    for item in list.iter() {
        match item.get_ref().as_str() {
            Some(name) if !name.is_empty() => names.push(name.to_owned()),
            _ => mistakes.at(
                item.span().start,
                "an interface is named by a string, for example \"eth0\"",
            ),
        }
    }
    names
}

fn cameras(document: &DeTable<'_>, mistakes: &mut Collector<'_>) -> Vec<CameraConfig> {
    let Some(value) = document.get("camera") else {
        mistakes.whole("there is no camera; add a [[camera]] with name and source");
        return Vec::new();
    };
    let Some(list) = value.get_ref().as_array() else {
        mistakes.at(
            value.span().start,
            "cameras are a list: write [[camera]] with two brackets",
        );
        return Vec::new();
    };
    let mut cameras: Vec<CameraConfig> = Vec::new();
    for item in list.iter() {
        let Some(table) = item.get_ref().as_table() else {
            mistakes.at(
                item.span().start,
                "a camera is a table: write [[camera]] on a line of its own",
            );
            continue;
        };
        let Some(camera) = camera(&mut Fields {
            table,
            whole: item.span(),
            mistakes,
        }) else {
            continue;
        };
        collision(&camera, &cameras, item, mistakes);
        cameras.push(camera);
    }
    if list.is_empty() {
        mistakes.at(value.span().start, "there is no camera in the list");
    }
    cameras
}

fn collision(
    camera: &CameraConfig,
    others: &[CameraConfig],
    at: &Spanned<DeValue<'_>>,
    mistakes: &mut Collector<'_>,
) {
    for other in others {
        if other.id == camera.id {
            mistakes.at(
                at.span().start,
                format!(
                    "two cameras with the id {:?}; give one another name or id",
                    camera.id
                ),
            );
        } else if other.name == camera.name {
            mistakes.at(
                at.span().start,
                format!("two cameras with the name {:?}", camera.name),
            );
        }
        if camera.port != 0 && other.port == camera.port {
            mistakes.at(
                at.span().start,
                format!(
                    "two cameras on port {}; each camera has its own",
                    camera.port
                ),
            );
        }
    }
}

fn camera(f: &mut Fields<'_, '_, '_>) -> Option<CameraConfig> {
    known_keys(f.table, CAMERA, "[[camera]]", f.mistakes);
    let name = f.required("name", "name = \"Front Door\"")?;
    if let Err(reason) = name::check(&name) {
        f.complain("name", reason);
    }
    let id = f.string("id").unwrap_or_else(|| slug(&name));
    if id.is_empty() || id != slug(&id) {
        f.complain(
            "id",
            "an id is made of lower-case letters, digits and dashes",
        );
    }
    let media = media(f, &name);
    let mut security = security(f);
    let events = events::camera(f, &security, media.as_ref().map(|m| &m.source));
    security.motion |= events.tell_motion();
    Some(CameraConfig {
        motion: motion::camera(f, media.as_ref(), security.recording, events.tell_motion()),
        events,
        port: f.integer("port", 0, 65535).unwrap_or(0),
        max_streams: f
            .integer("max_streams", 1, hap_camera::services::MAX_STREAMS.into())
            .unwrap_or(2),
        max_size: f.size("max_size").unwrap_or((1920, 1080)),
        manufacturer: f
            .text("manufacturer")
            .unwrap_or_else(|| "gst-plugin-homekit".into()),
        model: f.text("model").unwrap_or_else(|| "hapd camera".into()),
        serial_number: f.text("serial_number"),
        security,
        media: media?,
        id,
        name,
    })
}

fn security(f: &mut Fields<'_, '_, '_>) -> Security {
    // Hubs want 4 s at least; more than 10 s is memory for nothing.
    let prebuffer = f.integer::<u16>("prebuffer", 4, 10).unwrap_or(4);
    let recording = f.boolean("recording").unwrap_or(true);
    Security {
        recording,
        motion: recording || f.table.contains_key("motion"),
        prebuffer: Duration::from_secs(prebuffer.into()),
        motion_hold: f
            .integer::<u16>("motion_hold", 1, 120)
            .map_or(MOTION_HOLD, |seconds| Duration::from_secs(seconds.into())),
        doorbell: f.boolean("doorbell").unwrap_or(false),
        occupancy: f.boolean("occupancy").unwrap_or(false),
        privacy_switch: f.boolean("privacy_switch").unwrap_or(false),
    }
}

fn media(f: &mut Fields<'_, '_, '_>, name: &str) -> Option<CameraSource> {
    let transport = f.choice(
        "rtsp_transport",
        &[
            ("auto", RtspTransport::Auto),
            ("tcp", RtspTransport::Tcp),
            ("udp", RtspTransport::Udp),
        ],
    );
    let mut media = CameraSource::new(name, source(f, transport)?);
    media.streams = streams(f, transport);
    media.talkback = talkback(f);
    media.audio = f.boolean("audio").unwrap_or(true);
    media.size = f.size("size");
    media.fps = f.integer("fps", 1, 120);
    media.passthrough = f
        .choice(
            "passthrough",
            &[
                ("auto", Passthrough::Auto),
                ("always", Passthrough::Always),
                ("never", Passthrough::Never),
            ],
        )
        .unwrap_or_default();
    media.recording_codec = f
        .choice(
            "recording_codec",
            &[
                ("h264", RecordingCodec::H264),
                ("source", RecordingCodec::Source),
            ],
        )
        .unwrap_or_default();
    media.encoder = f.text("encoder");
    if let Some(seconds) = f.integer::<u16>("stall_timeout", 2, 600) {
        media.stall_timeout = Duration::from_secs(seconds.into());
    }
    Some(media)
}

fn source(f: &mut Fields<'_, '_, '_>, transport: Option<RtspTransport>) -> Option<Source> {
    let text = f.required("source", "source = \"rtsp://user:password@host/path\"")?;
    match source::parse(&text, transport.unwrap_or_default()) {
        Ok(source) => {
            if transport.is_some() && !matches!(source, Source::Rtsp { .. }) {
                f.complain("rtsp_transport", "only an rtsp:// source has a transport");
            }
            Some(source)
        }
        Err(reason) => {
            f.complain("source", reason);
            None
        }
    }
}

/// Most lower encodings of one camera.
pub(super) const MAX_STREAMS: usize = 4;

fn streams(f: &mut Fields<'_, '_, '_>, transport: Option<RtspTransport>) -> Vec<Source> {
    let Some(value) = f.table.get("streams") else {
        return Vec::new();
    };
    let at = value.span().start;
    let list = value.get_ref().as_array();
    let Some(list) = list.filter(|list| list.len() <= MAX_STREAMS) else {
        let reason = format!(
            "streams is a list of up to {MAX_STREAMS} sources, the camera's lower encodings from \
             the best to the least, for example [\"rtsp://user:password@host/sub\"]"
        );
        f.mistakes.at(at, reason);
        return Vec::new();
    };
    let mut sources = Vec::new();
    for item in list.iter() {
        let text = item.get_ref().as_str().unwrap_or_default();
        match source::parse(text, transport.unwrap_or_default()) {
            Ok(source) => sources.push(source),
            Err(reason) => f.mistakes.at(item.span().start, reason),
        }
    }
    sources
}

fn talkback(f: &mut Fields<'_, '_, '_>) -> Talkback {
    let Some(text) = f.text("talkback") else {
        return Talkback::default();
    };
    match (text.as_str(), text.strip_prefix("launch:")) {
        ("auto", _) => Talkback::Auto,
        ("off", _) => Talkback::Off,
        (_, Some(launch)) if !launch.trim().is_empty() => {
            Talkback::Launch(Secret::new(launch.trim()))
        }
        _ => {
            f.complain(
                "talkback",
                "talkback is \"auto\", \"off\", or \"launch:\" and a GStreamer description that \
                 plays raw audio, for example \"launch:alsasink device=hw:1\"",
            );
            Talkback::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(text: &str) -> Vec<(usize, String)> {
        let mistakes = parse(text).expect_err("the text has mistakes");
        mistakes
            .list()
            .iter()
            .map(|m| (m.line, m.reason.clone()))
            .collect()
    }

    #[test]
    fn the_built_in_config_is_valid() {
        let config = Config::test_pattern();
        assert_eq!(config.cameras.len(), 1);
        assert_eq!(
            (config.cameras[0].id.as_str(), config.cameras[0].port),
            ("test-camera", 0)
        );
    }

    #[test]
    fn everything_can_be_set() {
        let text = r#"
[hapd]
interfaces = ["lo"]
[[camera]]
name = "Front Door"
id = "front"
source = "rtsp://u:p@192.0.2.1/x"
streams = ["rtsp://u:p@192.0.2.1/sub"]
talkback = "launch:alsasink device=hw:1"
rtsp_transport = "udp"
port = 51826
max_streams = 10
max_size = "1280x720"
audio = false
passthrough = "always"
encoder = "x264enc"
manufacturer = "m"
model = "m"
serial_number = "s"
stall_timeout = 5
[[camera]]
name = "Test"
source = "test"
size = "640x480"
fps = 15
"#;
        let config = parse(text).unwrap();
        assert_eq!(config.interfaces, ["lo"]);
        let front = &config.cameras[0];
        assert_eq!(
            (front.id.as_str(), front.port, front.max_streams),
            ("front", 51826, 10)
        );
        assert_eq!((front.max_size, front.media.audio), ((1280, 720), false));
        assert_eq!(front.media.streams.len(), 1);
        let speaker = Talkback::Launch(Secret::new("alsasink device=hw:1"));
        assert_eq!(front.media.talkback, speaker);
        assert!(matches!(
            front.media.source,
            Source::Rtsp {
                transport: RtspTransport::Udp,
                ..
            }
        ));
        assert_eq!(
            (config.cameras[1].media.size, config.cameras[1].media.fps),
            (Some((640, 480)), Some(15))
        );
    }

    #[test]
    fn every_mistake_is_named_with_its_line() {
        let text = "[hapd]\ninterfcaes = []\n[[camera]]\nname = \"Front\"\nsource = \"tset\"\nport = 70000\nmax_streams = \"2\"\n\
                    [[camera]]\nsource = \"test\"\nsise = \"640x480\"\npassthrough = \"maybe\"\n";
        let reasons = reasons(text);
        let lines: Vec<_> = reasons.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [2, 5, 6, 7, 8, 10], "{reasons:#?}");
        assert!(reasons[0].1.contains("did you mean \"interfaces\"?"));
        assert!(reasons[5].1.contains("did you mean \"size\"?"));
    }

    #[test]
    fn mistakes_in_streams_and_talkback_are_named() {
        let text = "[[camera]]\nname = \"x\"\nsource = \"test\"\nstreams = [\"test\", \"tset\"]\ntalkback = \"speaker\"\n";
        let lines: Vec<_> = reasons(text).iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [4, 5]);
        let reasons = reasons("[[camera]]\nname = \"x\"\nsource = \"test\"\nstreams = \"test\"\n");
        assert!(reasons[0].1.contains("streams is a list"), "{reasons:?}");
    }

    #[test]
    fn broken_toml_has_a_line() {
        let reasons = reasons("[[camera]]\nname = \"x\nsource = \"test\"\n");
        assert_eq!(reasons[0].0, 2, "{reasons:?}");
    }

    #[test]
    fn credentials_are_not_repeated() {
        let mistakes =
            parse("[[camera]]\nname = \"x\"\nsource = \"rtps://user:geheim@host/\"\n").unwrap_err();
        assert!(!mistakes.to_string().contains("geheim"), "{mistakes}");
    }

    #[test]
    fn cameras_do_not_share_names_or_ports() {
        let one =
            |name: &str| format!("[[camera]]\nname = \"{name}\"\nsource = \"test\"\nport = 5000\n");
        let reasons = reasons(&format!("{}{}", one("A b"), one("A-b")));
        assert_eq!(reasons.len(), 2, "{reasons:?}");
        assert!(parse("").is_err());
    }
}
