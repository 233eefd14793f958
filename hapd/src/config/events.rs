//! Where triggers come from: `http` in `[hapd]`, `[mqtt]`, and each camera's `mqtt` and `onvif`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fields::{Fields, known_keys};
use super::mistake::Collector;
use super::{CameraConfig, Security};
use crate::events::Kind;
use crate::events::cameras::key;
use crate::media::{RtspUrl, Secret, Source, authority};

const BROKER: &[&str] = &["url", "client_id"];
const MQTT: &[&str] = &[
    "motion",
    "ring",
    "occupancy",
    "privacy",
    "json",
    "on",
    "off",
];
const TOPIC: &[&str] = &["topic", "json", "on", "off"];
const ONVIF: &[&str] = &["url", "user", "password", "source", "digital_input"];

/// Shortest token: one that is guessed is none.
const MIN_TOKEN: usize = 12;
/// Where a camera's services are, unless it says otherwise (ONVIF Core Specification §5.1.3).
const DEVICE_SERVICE: &str = "/onvif/device_service";

/// Sources of triggers for all cameras.
#[derive(Debug, Clone, Default)]
pub struct EventsConfig {
    /// The HTTP server.
    pub http: Option<HttpConfig>,
    /// The MQTT broker.
    pub mqtt: Option<BrokerConfig>,
}

/// The HTTP server.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Where it listens.
    pub listen: Listen,
    /// What each request has to know.
    pub token: Option<Secret>,
}

/// Where the HTTP server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// An address; only one of this machine alone without a token.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// An MQTT broker.
#[derive(Debug, Clone)]
pub struct BrokerConfig {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The name to log in by.
    pub user: Option<Secret>,
    /// The password to log in by.
    pub password: Option<Secret>,
    /// How this daemon calls itself; made up when absent.
    pub client_id: Option<String>,
}

/// Sources of one camera's triggers.
#[derive(Debug, Clone, Default)]
pub struct CameraEvents {
    /// What MQTT topics mean.
    pub mqtt: Vec<TopicRule>,
    /// The camera's own events.
    pub onvif: Option<OnvifConfig>,
}

impl CameraEvents {
    /// Whether motion comes from here.
    pub(super) fn tell_motion(&self) -> bool {
        self.onvif.is_some() || self.mqtt.iter().any(|rule| rule.kind == Kind::Motion)
    }
}

/// What a message of an MQTT topic means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicRule {
    /// What it is about.
    pub kind: Kind,
    /// Topic or filter with `+` and `#`.
    pub topic: String,
    /// Which value of a JSON message counts (RFC 6901).
    pub json: Option<String>,
    /// The value that means on; the usual words when absent.
    pub on: Option<String>,
    /// The value that means off; the usual words when absent.
    pub off: Option<String>,
}

/// A camera's ONVIF services.
#[derive(Debug, Clone)]
pub struct OnvifConfig {
    /// `http://host[:port]/path` of its device or event service, without credentials.
    pub url: String,
    /// The name to log in by.
    pub user: Option<Secret>,
    /// The password to log in by.
    pub password: Option<Secret>,
    /// Only events of this video source, for recorders with many cameras.
    pub source: Option<String>,
    /// What a digital input means.
    pub digital_input: Option<Kind>,
}

/// Reads what counts for all cameras.
pub(super) fn sources(document: &DeTable<'_>, mistakes: &mut Collector<'_>) -> EventsConfig {
    let table = |key| document.get(key).and_then(|v| v.get_ref().as_table());
    let http = table("hapd").and_then(|table| http(&mut fields(table, 0..0, mistakes)));
    let Some(value) = document.get("mqtt") else {
        return EventsConfig { http, mqtt: None };
    };
    let mqtt = match value.get_ref().as_table() {
        Some(table) => broker(&mut fields(table, value.span(), mistakes)),
        None => {
            let reason = "mqtt is a table: write [mqtt] on a line of its own, and below it url";
            mistakes.at(value.span().start, reason);
            None
        }
    };
    EventsConfig { http, mqtt }
}

fn fields<'a, 'd, 'm>(
    table: &'a DeTable<'d>,
    whole: std::ops::Range<usize>,
    mistakes: &'a mut Collector<'m>,
) -> Fields<'a, 'd, 'm> {
    Fields {
        table,
        whole,
        mistakes,
    }
}

fn http(f: &mut Fields<'_, '_, '_>) -> Option<HttpConfig> {
    let token = f.text("http_token").map(Secret::new);
    if token.as_ref().is_some_and(|t| t.expose().len() < MIN_TOKEN) {
        f.complain(
            "http_token",
            format!("http_token has at least {MIN_TOKEN} characters"),
        );
    }
    if token.is_some() && !f.table.contains_key("http") {
        f.complain(
            "http_token",
            "http_token needs http = \"ADDRESS:PORT\" beside it",
        );
    }
    let text = f.text("http")?;
    match listen(&text, token.is_some()) {
        Ok(listen) => Some(HttpConfig { listen, token }),
        Err(reason) => {
            f.complain("http", reason);
            None
        }
    }
}

fn listen(text: &str, has_token: bool) -> Result<Listen, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        let path = Path::new(path);
        return match path.is_absolute() {
            true => Ok(Listen::Unix(path.into())),
            false => {
                Err("unix: needs an absolute path, for example \"unix:/run/hapd/http\"".into())
            }
        };
    }
    let address: SocketAddr = text.parse().map_err(|_| {
        "http is an address and a port, for example \"127.0.0.1:8087\", or \"unix:/run/hapd/http\""
    })?;
    if !address.ip().to_canonical().is_loopback() && !has_token {
        return Err(
            "everybody in the network could switch privacy off there: add http_token, or use \"127.0.0.1:8087\"".into(),
        );
    }
    Ok(Listen::Tcp(address))
}

fn broker(f: &mut Fields<'_, '_, '_>) -> Option<BrokerConfig> {
    known_keys(f.table, BROKER, "[mqtt]", f.mistakes);
    let example = "mqtt://user:password@192.0.2.9:1883";
    if !f.table.contains_key("url") {
        let reason = format!("[mqtt] has no url; add for example url = \"{example}\"");
        f.mistakes.at(f.whole.start, reason);
    }
    let client_id = f.text("client_id");
    let text = Secret::new(f.text("url")?);
    let url = RtspUrl::split(text.expose());
    let rest = url.clean.strip_prefix("mqtt://").unwrap_or_default();
    let (host, port) = authority(rest.trim_end_matches('/'));
    if host.is_empty() || rest.trim_end_matches('/').contains(['/', '?', ' ']) {
        let tls = match url.clean.starts_with("mqtts:") {
            true => "TLS is not spoken here: name a listener of the broker without it; ",
            false => "",
        };
        f.complain("url", format!("{tls}a broker's URL looks like {example}"));
        return None;
    }
    let (user, password) = url.credentials();
    Some(BrokerConfig {
        host: host.to_owned(),
        port: port.unwrap_or(1883),
        user: user.map(Secret::new),
        password: password.map(Secret::new),
        client_id,
    })
}

/// Reads what counts for one camera.
pub(super) fn camera(
    f: &mut Fields<'_, '_, '_>,
    security: &Security,
    source: Option<&Source>,
) -> CameraEvents {
    CameraEvents {
        mqtt: rules(f, security),
        onvif: onvif(f, source),
    }
}

fn rules(f: &mut Fields<'_, '_, '_>, security: &Security) -> Vec<TopicRule> {
    let Some(value) = f.table.get("mqtt") else {
        return Vec::new();
    };
    let Some(table) = value.get_ref().as_table() else {
        f.complain(
            "mqtt",
            "mqtt is a table, for example { motion = \"frigate/front/motion\" }",
        );
        return Vec::new();
    };
    let mut f = fields(table, value.span(), f.mistakes);
    known_keys(table, MQTT, "mqtt of a camera", f.mistakes);
    let usual = payload(&mut f);
    let kinds = Kind::ALL
        .into_iter()
        .filter(|k| table.contains_key(k.name()));
    let rules: Vec<_> = kinds
        .filter_map(|kind| rule(&mut f, kind, &usual, security))
        .collect();
    if !Kind::ALL.iter().any(|k| table.contains_key(k.name())) {
        let reason = "mqtt names no topic; add for example motion = \"frigate/front/motion\"";
        f.mistakes.at(f.whole.start, reason);
    }
    rules
}

/// Which value of a message counts, and what it means.
#[derive(Clone, Default)]
struct Payload {
    json: Option<String>,
    on: Option<String>,
    off: Option<String>,
}

fn payload(f: &mut Fields<'_, '_, '_>) -> Payload {
    let json = f.text("json");
    if json.as_ref().is_some_and(|p| !p.starts_with('/')) {
        f.complain(
            "json",
            "json is a pointer that starts with /, for example \"/occupancy\"",
        );
    }
    Payload {
        json,
        on: f.text("on"),
        off: f.text("off"),
    }
}

fn rule(
    f: &mut Fields<'_, '_, '_>,
    kind: Kind,
    usual: &Payload,
    security: &Security,
) -> Option<TopicRule> {
    let value = f.table.get(kind.name())?;
    belongs(f, kind, security);
    let (topic, payload) = topic(f, kind, value, usual)?;
    if !is_filter(&topic) {
        let reason = "a topic looks like \"frigate/front/motion\"; + stands for one level, # at its end for all below";
        f.complain(kind.name(), reason);
        return None;
    }
    Some(TopicRule {
        kind,
        topic,
        json: payload.json,
        on: payload.on,
        off: payload.off,
    })
}

fn topic(
    f: &mut Fields<'_, '_, '_>,
    kind: Kind,
    value: &Spanned<DeValue<'_>>,
    usual: &Payload,
) -> Option<(String, Payload)> {
    let Some(table) = value.get_ref().as_table() else {
        return Some((f.text(kind.name())?, usual.clone()));
    };
    let mut f = fields(table, value.span(), f.mistakes);
    known_keys(table, TOPIC, kind.name(), f.mistakes);
    let own = payload(&mut f);
    if !table.contains_key("topic") {
        let reason = format!("{} has no topic", kind.name());
        f.mistakes.at(f.whole.start, reason);
    }
    let payload = Payload {
        json: own.json.or_else(|| usual.json.clone()),
        on: own.on.or_else(|| usual.on.clone()),
        off: own.off.or_else(|| usual.off.clone()),
    };
    Some((f.text("topic")?, payload))
}

fn belongs(f: &mut Fields<'_, '_, '_>, kind: Kind, security: &Security) {
    let has = match kind {
        Kind::Motion => true,
        Kind::Ring => security.doorbell,
        Kind::Occupancy => security.occupancy,
        Kind::Privacy => security.privacy_switch,
    };
    if !has {
        let name = kind.name();
        f.complain(
            name,
            format!("{name} needs {} = true in the camera's table", key(kind)),
        );
    }
}

/// MQTT 3.1.1 §4.7.1.
fn is_filter(topic: &str) -> bool {
    let levels: Vec<_> = topic.split('/').collect();
    let last = levels.len() - 1;
    let fine = |(n, level): (usize, &&str)| match *level {
        "+" => true,
        "#" => n == last,
        level => !level.contains(['+', '#', '\0']),
    };
    levels.iter().enumerate().all(fine)
}

fn onvif(f: &mut Fields<'_, '_, '_>, source: Option<&Source>) -> Option<OnvifConfig> {
    let value = f.table.get("onvif")?;
    if let Some(on) = value.get_ref().as_bool() {
        return on.then(|| from_source(f, source)).flatten();
    }
    let Some(table) = value.get_ref().as_table() else {
        let reason = "onvif is true, or a table: { url = \"http://192.0.2.7/onvif/device_service\", user = \"...\", password = \"...\" }";
        f.complain("onvif", reason);
        return None;
    };
    let camera = if table.contains_key("url") {
        None
    } else {
        Some(from_source(f, source)?)
    };
    let mut f = fields(table, value.span(), f.mistakes);
    known_keys(table, ONVIF, "onvif", f.mistakes);
    let mut config = match camera {
        Some(config) => config,
        None => from_url(&mut f, source)?,
    };
    config.user = f.text("user").map(Secret::new).or(config.user);
    config.password = f.string("password").map(Secret::new).or(config.password);
    config.source = f.text("source");
    if let Some(kind) = digital_input(&mut f) {
        config.digital_input = kind;
    }
    Some(config)
}

fn digital_input(f: &mut Fields<'_, '_, '_>) -> Option<Option<Kind>> {
    let choices = [
        ("ring", Some(Kind::Ring)),
        ("motion", Some(Kind::Motion)),
        ("occupancy", Some(Kind::Occupancy)),
        ("ignore", None),
    ];
    f.choice("digital_input", &choices)
}

/// The camera that delivers the pictures also tells events; host and credentials are those of its RTSP URL.
fn from_source(f: &mut Fields<'_, '_, '_>, source: Option<&Source>) -> Option<OnvifConfig> {
    // A source that is wrong is complained about already.
    let Some((host, user, password)) = rtsp(source?) else {
        let reason = "only an rtsp:// source tells where the camera is; write onvif = { url = \"http://192.0.2.7/onvif/device_service\" }";
        f.complain("onvif", reason);
        return None;
    };
    Some(OnvifConfig {
        url: format!("http://{host}{DEVICE_SERVICE}"),
        user,
        password,
        source: None,
        digital_input: Some(Kind::Ring),
    })
}

fn from_url(f: &mut Fields<'_, '_, '_>, source: Option<&Source>) -> Option<OnvifConfig> {
    let text = Secret::new(f.text("url")?);
    let url = RtspUrl::split(text.expose());
    let rest = url.clean.strip_prefix("http://").unwrap_or_default();
    let (host, _) = authority(rest);
    if host.is_empty() || url.clean.contains(char::is_whitespace) {
        let reason = "the camera's address looks like http://192.0.2.7/onvif/device_service (https is not spoken here)";
        f.complain("url", reason);
        return None;
    }
    let path = if rest.contains('/') {
        ""
    } else {
        DEVICE_SERVICE
    };
    let (user, password) = match url.credentials() {
        (None, None) => login_of(source, host),
        (user, password) => (user.map(Secret::new), password.map(Secret::new)),
    };
    Some(OnvifConfig {
        url: format!("{}{path}", url.clean),
        user,
        password,
        source: None,
        digital_input: Some(Kind::Ring),
    })
}

/// The credentials of the RTSP URL, if it is the same host.
fn login_of(source: Option<&Source>, host: &str) -> (Option<Secret>, Option<Secret>) {
    match source.and_then(rtsp) {
        Some((same, user, password)) if same.trim_matches(['[', ']']) == host => (user, password),
        _ => (None, None),
    }
}

/// Host as it is written in URLs, user and password.
fn rtsp(source: &Source) -> Option<(String, Option<Secret>, Option<Secret>)> {
    let Source::Rtsp { url, .. } = source else {
        return None;
    };
    let url = RtspUrl::split(url.expose());
    let (_, rest) = url.clean.split_once("://")?;
    let (host, _) = authority(rest);
    let host = match host.contains(':') {
        true => format!("[{host}]"),
        false => host.to_owned(),
    };
    let (user, password) = url.credentials();
    Some((host, user.map(Secret::new), password.map(Secret::new)))
}

/// Checks what takes the whole file: topics need a broker.
pub(super) fn check(
    events: &EventsConfig,
    cameras: &[CameraConfig],
    document: &DeTable<'_>,
    mistakes: &mut Collector<'_>,
) {
    let wanted = cameras.iter().find(|c| !c.events.mqtt.is_empty());
    if let (Some(camera), None, false) = (wanted, &events.mqtt, document.contains_key("mqtt")) {
        let reason = format!(
            "{:?} waits for MQTT messages and there is no broker; add [mqtt] and below it url = \"mqtt://user:password@192.0.2.9\"",
            camera.name
        );
        mistakes.whole(reason);
    }
}

#[cfg(test)]
mod tests;
