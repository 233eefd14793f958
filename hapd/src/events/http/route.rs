//! From method, path, query and body to what a camera is told.

use hyper::Method;
use serde_json::Value;

use crate::events::signal::{Change, Kind, Signal};
use crate::media::unescaped;

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// `GET /cameras`.
    List,
    /// `/cameras/NAME/KIND`.
    Tell(String, Kind),
}

/// Why there is no such thing; the number is the HTTP status.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// 404.
    Path(String),
    /// 405, and what is allowed.
    Method(&'static str),
}

/// Reads method and path.
pub(super) fn route(method: &Method, path: &str) -> Result<Route, Wrong> {
    let mut parts = path.trim_matches('/').split('/').map(unescaped);
    let (first, name, kind) = (parts.next(), parts.next(), parts.next());
    if first.as_deref() != Some("cameras") || parts.next().is_some() {
        return Err(Wrong::Path(
            "paths are /cameras and /cameras/NAME/motion|ring|occupancy|privacy".into(),
        ));
    }
    match (name, kind) {
        (None, _) => allowed(method, &[Method::GET], "GET").map(|()| Route::List),
        (Some(_), None) => Err(Wrong::Path(
            "after the camera comes motion, ring, occupancy or privacy".into(),
        )),
        (Some(name), Some(kind)) => {
            let kind = kind.parse().map_err(Wrong::Path)?;
            let methods = [Method::GET, Method::POST, Method::PUT];
            allowed(method, &methods, "GET, POST, PUT").map(|()| Route::Tell(name, kind))
        }
    }
}

fn allowed(method: &Method, methods: &[Method], names: &'static str) -> Result<(), Wrong> {
    match methods.contains(method) {
        true => Ok(()),
        false => Err(Wrong::Method(names)),
    }
}

/// What the camera is told, by the query or, where that says nothing, by the body.
///
/// # Errors
/// What is wrong with it and what would be right.
pub(super) fn signal(kind: Kind, query: Option<&str>, body: &[u8]) -> Result<Signal, String> {
    let change = match from_query(query)? {
        Some(change) => Some(change),
        None => from_body(kind, body)?,
    };
    Signal::new(kind, change)
}

fn from_query(query: Option<&str>) -> Result<Option<Change>, String> {
    let mut pairs = query.unwrap_or_default().split('&');
    let state = pairs.find_map(|pair| pair.strip_prefix("state="));
    state.map(|word| unescaped(word).parse()).transpose()
}

/// `on`, `state=on`, `true`, `{"motion": true}`, `{"state": "on"}`. A press may come with any body: what a camera says of
/// it does not matter, unless it says that the button was let go.
fn from_body(kind: Kind, body: &[u8]) -> Result<Option<Change>, String> {
    let text = std::str::from_utf8(body).map_err(|_| "the body is not UTF-8")?;
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let read = match serde_json::from_str::<Value>(text) {
        Ok(json) => from_json(kind, &json),
        Err(_) => text.strip_prefix("state=").unwrap_or(text).parse(),
    };
    match (kind, read) {
        (Kind::Ring, Err(_)) => Ok(None),
        (_, read) => read.map(Some),
    }
}

fn from_json(kind: Kind, json: &Value) -> Result<Change, String> {
    match json {
        Value::Bool(on) => Ok((*on).into()),
        Value::Number(n) => n.to_string().parse(),
        Value::String(word) => word.parse(),
        Value::Object(members) => {
            let state = members.get(kind.name()).or_else(|| members.get("state"));
            let state = state.filter(|v| !v.is_object() && !v.is_array());
            let example = || {
                format!(
                    "the JSON object needs for example {{{:?}: true}}",
                    kind.name()
                )
            };
            from_json(kind, state.ok_or_else(example)?)
        }
        _ => Err("the JSON is true, false, \"on\", \"off\" or an object".into()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(kind: Kind, query: &str, body: &str) -> Result<String, String> {
        let query = (!query.is_empty()).then_some(query);
        signal(kind, query, body.as_bytes()).map(|s| s.to_string())
    }

    #[test]
    fn paths() {
        let tell = |name: &str, kind| Ok(Route::Tell(name.into(), kind));
        assert_eq!(route(&Method::GET, "/cameras"), Ok(Route::List));
        assert_eq!(route(&Method::GET, "/cameras/"), Ok(Route::List));
        assert_eq!(
            route(&Method::POST, "/cameras/Front%20Door/motion"),
            tell("Front Door", Kind::Motion)
        );
        assert_eq!(
            route(&Method::PUT, "/cameras/a/ring/"),
            tell("a", Kind::Ring)
        );
        for wrong in [
            "/",
            "",
            "/camera",
            "/cameras/a",
            "/cameras/a/b",
            "/cameras/a/ring/x",
        ] {
            let answer = route(&Method::GET, wrong);
            assert!(matches!(answer, Err(Wrong::Path(_))), "{wrong}: {answer:?}");
        }
        for (method, path) in [
            (Method::POST, "/cameras"),
            (Method::DELETE, "/cameras/a/ring"),
        ] {
            let answer = route(&method, path);
            assert!(
                matches!(answer, Err(Wrong::Method(_))),
                "{method} {path}: {answer:?}"
            );
        }
    }

    #[test]
    fn states_by_query_and_body() {
        for (query, body) in [
            ("state=on", ""),
            ("x=1&state=ON", "off"),
            ("", "on"),
            ("", " on\r\n"),
            ("", "state=on"),
            ("", "true"),
            ("", "1"),
            ("", "\"on\""),
            ("", "{\"motion\": true}"),
            ("", "{\"state\": \"on\", \"x\": []}"),
        ] {
            assert_eq!(
                told(Kind::Motion, query, body),
                Ok("motion on".into()),
                "{query} {body}"
            );
        }
        assert_eq!(
            told(Kind::Privacy, "", "{\"privacy\": 0}"),
            Ok("privacy off".into())
        );
        assert_eq!(
            told(Kind::Motion, "state=pulse", ""),
            Ok("motion pulse".into())
        );
    }

    #[test]
    fn wrong_states() {
        for (query, body) in [
            ("", ""),
            ("state=", ""),
            ("state=maybe", ""),
            ("", "maybe"),
            ("", "{}"),
            ("", "{\"motion\": {}}"),
            ("", "[true]"),
            ("", "null"),
            ("", "2"),
        ] {
            assert!(told(Kind::Motion, query, body).is_err(), "{query} {body}");
        }
        assert!(signal(Kind::Motion, None, b"\xff").is_err());
    }

    #[test]
    fn a_press_may_say_anything_but_off() {
        for body in ["", "on", "{\"event\": \"doorbell\"}", "pressed!"] {
            assert_eq!(told(Kind::Ring, "", body), Ok("ring".into()), "{body}");
        }
        assert!(told(Kind::Ring, "", "off").is_err());
        assert!(told(Kind::Ring, "state=off", "").is_err());
    }

    proptest! {
        #[test]
        fn no_request_is_too_strange(path in "\\PC*", query in "\\PC*", body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = route(&Method::GET, &path);
            for kind in Kind::ALL {
                let _ = signal(kind, Some(&query), &body);
            }
        }
    }
}
