use super::super::{Config, parse};
use super::*;

const CAMERA: &str = "[[camera]]\nname = \"Front\"\nsource = \"rtsp://admin:p%40ss@192.0.2.7:554/1\"\ndoorbell = true\n";

fn config(text: &str) -> Config {
    parse(text).unwrap_or_else(|mistakes| panic!("{text}\n{mistakes}"))
}

fn reasons(text: &str) -> Vec<(usize, String)> {
    let mistakes = parse(text).expect_err("the text has mistakes");
    let list = mistakes.list().iter();
    list.map(|m| (m.line, m.reason.clone())).collect()
}

/// The config and the one mistake in it: line and words of its reason.
fn one_mistake(text: &str, line: usize, words: &str) {
    let reasons = reasons(text);
    assert_eq!(reasons.len(), 1, "{text}\n{reasons:#?}");
    assert_eq!(reasons[0].0, line, "{text}\n{reasons:#?}");
    assert!(reasons[0].1.contains(words), "{words:?} in {reasons:#?}");
}

fn exposed(secret: Option<&Secret>) -> Option<&str> {
    secret.map(Secret::expose)
}

#[test]
fn nothing_is_listened_to_unless_asked_for() {
    let config = config(CAMERA);
    assert!(config.events.http.is_none() && config.events.mqtt.is_none());
    let events = &config.cameras[0].events;
    assert!(events.mqtt.is_empty() && events.onvif.is_none());
}

#[test]
fn http_addresses() {
    let http = |lines: &str| {
        let config = config(&format!("[hapd]\n{lines}\n{CAMERA}"));
        config.events.http.expect("http is set")
    };
    let local = http("http = \"127.0.0.1:8087\"");
    assert_eq!(local.listen, Listen::Tcp("127.0.0.1:8087".parse().unwrap()));
    assert!(local.token.is_none());
    let open = http("http = \"0.0.0.0:80\"\nhttp_token = \"0123456789abcdef\"");
    assert_eq!(exposed(open.token.as_ref()), Some("0123456789abcdef"));
    assert!(!format!("{open:?}").contains("0123456789abcdef"));
    let unix = http("http = \"unix:/run/hapd/http\"");
    assert_eq!(unix.listen, Listen::Unix("/run/hapd/http".into()));
}

#[test]
fn mistakes_in_http() {
    for (lines, line, words) in [
        ("http = \"0.0.0.0:80\"", 2, "http_token"),
        ("http = \"[::]:80\"", 2, "http_token"),
        ("http = \"8087\"", 2, "127.0.0.1:8087"),
        ("http = 8087", 2, "text in quotes"),
        ("http = \"unix:x\"", 2, "absolute path"),
        (
            "http = \"127.0.0.1:1\"\nhttp_token = \"short\"",
            3,
            "at least 12",
        ),
        ("http_token = \"0123456789abcdef\"", 2, "http ="),
    ] {
        one_mistake(&format!("[hapd]\n{lines}\n{CAMERA}"), line, words);
    }
}

#[test]
fn brokers() {
    let broker = |lines: &str| {
        let config = config(&format!("[mqtt]\n{lines}\n{CAMERA}"));
        config.events.mqtt.expect("mqtt is set")
    };
    let full = broker("url = \"mqtt://bob:p%40ss@broker.lan:1884/\"\nclient_id = \"cams\"");
    assert_eq!((full.host.as_str(), full.port), ("broker.lan", 1884));
    assert_eq!(exposed(full.user.as_ref()), Some("bob"));
    assert_eq!(exposed(full.password.as_ref()), Some("p@ss"));
    assert_eq!(full.client_id.as_deref(), Some("cams"));
    let plain = broker("url = \"mqtt://[::1]\"");
    assert_eq!((plain.host.as_str(), plain.port), ("::1", 1883));
    assert!(plain.user.is_none());
}

#[test]
fn mistakes_in_mqtt() {
    for (lines, line, words) in [
        ("", 1, "url = \"mqtt://"),
        ("url = \"broker\"", 2, "looks like mqtt://"),
        ("url = \"mqtts://broker\"", 2, "TLS"),
        ("url = \"mqtt://broker/topic\"", 2, "looks like mqtt://"),
        (
            "url = \"mqtt://b\"\nuser = \"x\"",
            3,
            "known are url, client_id",
        ),
    ] {
        one_mistake(&format!("[mqtt]\n{lines}\n{CAMERA}"), line, words);
    }
    one_mistake(&format!("mqtt = \"x\"\n{CAMERA}"), 1, "[mqtt]");
    let no_broker = format!("{CAMERA}mqtt = {{ motion = \"a\" }}\n");
    one_mistake(&no_broker, 0, "add [mqtt]");
}

fn with_mqtt(line: &str) -> String {
    format!("[mqtt]\nurl = \"mqtt://b\"\n{CAMERA}mqtt = {line}\n")
}

#[test]
fn topics() {
    let text = with_mqtt(
        "{ motion = \"frigate/front/motion\", on = \"ON\", ring = { topic = \"z/+/b\", json = \"/action\", on = \"single\" } }",
    );
    let config = config(&text);
    let rule = |kind, topic: &str, json: Option<&str>, on: &str| TopicRule {
        kind,
        topic: topic.into(),
        json: json.map(str::to_owned),
        on: Some(on.into()),
        off: None,
    };
    let expected = [
        rule(Kind::Motion, "frigate/front/motion", None, "ON"),
        rule(Kind::Ring, "z/+/b", Some("/action"), "single"),
    ];
    assert_eq!(config.cameras[0].events.mqtt, expected);
}

#[test]
fn mistakes_in_topics() {
    for (line, words) in [
        ("true", "mqtt is a table"),
        ("{ on = \"ON\" }", "names no topic"),
        (
            "{ moton = \"a\", motion = \"a\" }",
            "did you mean \"motion\"?",
        ),
        ("{ motion = \"a/#/b\" }", "a topic looks like"),
        ("{ motion = \"a+/b\" }", "a topic looks like"),
        ("{ motion = \"\" }", "1 to 512"),
        ("{ motion = 1 }", "text in quotes"),
        ("{ motion = { json = \"/a\" } }", "motion has no topic"),
        ("{ motion = \"a\", json = \"occupancy\" }", "starts with /"),
        ("{ occupancy = \"a\" }", "occupancy needs occupancy = true"),
        ("{ privacy = \"a\" }", "privacy needs privacy_switch = true"),
    ] {
        one_mistake(&with_mqtt(line), 7, words);
    }
}

#[test]
fn a_camera_without_recordings_has_a_motion_sensor_where_something_tells_of_motion() {
    let has = |lines: &str| {
        let config = config(&with_mqtt(&format!("{lines}\nrecording = false")));
        config.cameras[0].security.motion
    };
    assert!(has("{ motion = \"a\" }"));
    assert!(has(
        "{ privacy = \"a\" }\nprivacy_switch = true\nmotion = \"off\""
    ));
    assert!(!has("{ privacy = \"a\" }\nprivacy_switch = true"));
}

#[test]
fn onvif_by_the_rtsp_url() {
    let onvif = |line: &str| {
        let config = config(&format!("{CAMERA}onvif = {line}\n"));
        config.cameras[0].events.onvif.clone()
    };
    let derived = onvif("true").expect("it is on");
    assert_eq!(derived.url, "http://192.0.2.7/onvif/device_service");
    assert_eq!(exposed(derived.user.as_ref()), Some("admin"));
    assert_eq!(exposed(derived.password.as_ref()), Some("p@ss"));
    assert_eq!(derived.digital_input, Some(Kind::Ring));
    assert!(onvif("false").is_none());
    let other = onvif("{ user = \"onvif\", password = \"x\", digital_input = \"ignore\" }");
    let other = other.expect("it is on");
    assert_eq!(other.url, derived.url);
    assert_eq!(exposed(other.user.as_ref()), Some("onvif"));
    assert_eq!(other.digital_input, None);
    let port = onvif("{ url = \"http://192.0.2.7:8000\" }").expect("it is on");
    assert_eq!(port.url, "http://192.0.2.7:8000/onvif/device_service");
    assert_eq!(
        exposed(port.user.as_ref()),
        Some("admin"),
        "it is the same host"
    );
    let elsewhere = onvif("{ url = \"http://u:p@192.0.2.9/x\", source = \"VS_1\" }");
    let elsewhere = elsewhere.expect("it is on");
    assert_eq!(elsewhere.url, "http://192.0.2.9/x");
    assert_eq!(exposed(elsewhere.user.as_ref()), Some("u"));
    assert_eq!(elsewhere.source.as_deref(), Some("VS_1"));
    let stranger = onvif("{ url = \"http://192.0.2.9/x\" }").expect("it is on");
    assert!(
        stranger.user.is_none(),
        "a password is not sent to another host"
    );
}

#[test]
fn mistakes_in_onvif() {
    for (line, words) in [
        ("\"yes\"", "onvif is true, or a table"),
        ("{ url = \"https://h/x\" }", "https is not spoken"),
        ("{ url = \"192.0.2.7\" }", "looks like http://"),
        ("{ urll = \"http://h/\" }", "did you mean \"url\"?"),
        ("{ digital_input = \"bell\" }", "\"ring\", \"motion\""),
    ] {
        one_mistake(&format!("{CAMERA}onvif = {line}\n"), 5, words);
    }
    let test = "[[camera]]\nname = \"A\"\nsource = \"test\"\nonvif = true\n";
    one_mistake(test, 4, "only an rtsp:// source");
}

#[test]
fn secrets_are_not_repeated() {
    let text = format!(
        "[hapd]\nhttp = \"0.0.0.0\"\nhttp_token = \"geheimnisvoll1\"\n[mqtt]\nurl = \"mqt://u:geheimnisvoll2@h\"\n\
         {CAMERA}onvif = {{ url = \"htp://u:geheimnisvoll3@h\", password = \"geheimnisvoll4\" }}\n"
    );
    let mistakes = parse(&text).unwrap_err().to_string();
    assert!(!mistakes.contains("geheimnisvoll"), "{mistakes}");
}
