//! What a message of a topic means.

use serde_json::Value;

use crate::config::TopicRule;
use crate::events::signal::{Change, Kind, Signal};

/// Words that brokers' peers use for on and off, beside numbers: Frigate counts objects.
const ON: [&str; 8] = [
    "on", "true", "yes", "detected", "motion", "open", "pressed", "active",
];
const OFF: [&str; 9] = [
    "off", "false", "no", "clear", "none", "closed", "released", "inactive", "null",
];

/// What `payload` means by `rule`; `None` when it means nothing.
///
/// A retained message is an old one: it tells how a sensor stands, and rings no bell.
pub(super) fn meaning(rule: &TopicRule, payload: &[u8], retained: bool) -> Option<Signal> {
    if retained && rule.kind == Kind::Ring {
        return None;
    }
    let text = std::str::from_utf8(payload).ok()?.trim();
    let value = match rule.json.as_deref() {
        Some(pointer) => text_of(json(text)?.pointer(pointer)?)?,
        None => own_member(rule.kind, text).unwrap_or_else(|| text.to_owned()),
    };
    let on = judge(rule, &value)?;
    match rule.kind {
        Kind::Ring => on.then_some(Signal::RING),
        kind => Signal::new(kind, Some(Change::from(on))).ok(),
    }
}

fn json(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

/// In a JSON object without a pointer, the member that is named like the sensor.
fn own_member(kind: Kind, text: &str) -> Option<String> {
    let object = text.starts_with('{').then(|| json(text)).flatten()?;
    text_of(object.get(kind.name())?)
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) | Value::Null => Some(value.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// Only what the rule names counts. Where it names `on` alone, everything else is off; a bell without words rings at
/// every message that does not say off.
fn judge(rule: &TopicRule, value: &str) -> Option<bool> {
    match (&rule.on, &rule.off) {
        (Some(on), _) if value == on => Some(true),
        (_, Some(off)) if value == off => Some(false),
        (Some(_), Some(_)) => None,
        (Some(_), None) => Some(false),
        (None, _) => {
            usual(value).or((rule.kind == Kind::Ring && !value.is_empty()).then_some(true))
        }
    }
}

fn usual(value: &str) -> Option<bool> {
    let word = value.to_ascii_lowercase();
    let number = value.parse::<f64>().ok().map(|n| n != 0.0);
    let is_on = ON.contains(&word.as_str()).then_some(true);
    let is_off = OFF.contains(&word.as_str()).then_some(false);
    number.or(is_on).or(is_off)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(kind: Kind) -> TopicRule {
        TopicRule {
            kind,
            topic: "t".into(),
            json: None,
            on: None,
            off: None,
        }
    }

    fn said(rule: &TopicRule, payload: &str) -> String {
        let meaning = meaning(rule, payload.as_bytes(), false);
        meaning.map_or_else(|| "nothing".into(), |signal| signal.to_string())
    }

    #[test]
    fn usual_words() {
        for (payload, meaning) in [
            ("ON", "motion on"),
            ("off\n", "motion off"),
            ("true", "motion on"),
            ("0", "motion off"),
            ("3", "motion on"),
            ("{\"motion\": true, \"x\": 1}", "motion on"),
            ("{\"motion\": \"OFF\"}", "motion off"),
            ("{\"occupancy\": true}", "nothing"),
            ("{\"motion\": [1]}", "nothing"),
            ("{\"motion\"", "nothing"),
            ("offline", "nothing"),
            ("", "nothing"),
        ] {
            assert_eq!(said(&rule(Kind::Motion), payload), meaning, "{payload:?}");
        }
    }

    #[test]
    fn pointers_into_json() {
        let zigbee = TopicRule {
            json: Some("/a/0/occupancy".into()),
            ..rule(Kind::Motion)
        };
        for (payload, meaning) in [
            ("{\"a\": [{\"occupancy\": true}]}", "motion on"),
            ("{\"a\": [{\"occupancy\": false}]}", "motion off"),
            ("{\"a\": [{\"battery\": 97}]}", "nothing"),
            ("{\"a\": [{\"occupancy\": {}}]}", "nothing"),
            ("ON", "nothing"),
        ] {
            assert_eq!(said(&zigbee, payload), meaning, "{payload}");
        }
    }

    #[test]
    fn own_words() {
        let both = TopicRule {
            on: Some("person".into()),
            off: Some("nobody".into()),
            ..rule(Kind::Occupancy)
        };
        let one = TopicRule {
            on: Some("person".into()),
            ..rule(Kind::Occupancy)
        };
        assert_eq!(said(&both, "person"), "occupancy on");
        assert_eq!(said(&both, "nobody"), "occupancy off");
        assert_eq!(said(&both, "ON"), "nothing");
        assert_eq!(said(&one, "cat"), "occupancy off");
    }

    #[test]
    fn a_bell_rings_once_for_each_press() {
        let any = rule(Kind::Ring);
        let single = TopicRule {
            json: Some("/action".into()),
            on: Some("single".into()),
            ..rule(Kind::Ring)
        };
        assert_eq!(said(&any, "press"), "ring");
        for silent in ["OFF", "", "0", "released"] {
            assert_eq!(said(&any, silent), "nothing", "{silent:?}");
        }
        assert_eq!(said(&single, "{\"action\": \"single\"}"), "ring");
        assert_eq!(said(&single, "{\"action\": \"\"}"), "nothing");
        assert_eq!(said(&single, "{\"battery\": 50}"), "nothing");
        assert_eq!(meaning(&any, b"press", true), None, "a retained message");
        let motion = meaning(&rule(Kind::Motion), b"ON", true);
        assert!(motion.is_some(), "a retained state counts");
    }

    proptest! {
        #[test]
        fn no_payload_is_too_strange(payload in proptest::collection::vec(any::<u8>(), 0..200), pointer in "(/[a-z0-9~]*)*") {
            for kind in Kind::ALL {
                let rule = TopicRule { json: Some(pointer.clone()), ..rule(kind) };
                let _ = meaning(&rule, &payload, false);
            }
        }
    }
}
