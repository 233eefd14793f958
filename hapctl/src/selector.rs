//! Which characteristics a person means: `1.9`, `streaming-status`, `speaker/mute`,
//! `camera-rtp-stream-management#2`.

use crate::database::{CharId, Database, Entry};
use crate::failure::{Failure, Kind, Result};
use crate::names;

/// A name with an optional `#N`, the N-th of that name.
struct Part<'a> {
    name: &'a str,
    number: Option<usize>,
}

impl<'a> Part<'a> {
    fn parse(text: &'a str) -> Result<Self> {
        let Some((name, number)) = text.split_once('#') else {
            return Ok(Self {
                name: text,
                number: None,
            });
        };
        match number.parse() {
            Ok(n) if n > 0 => Ok(Self {
                name,
                number: Some(n),
            }),
            _ => Err(Failure::new(
                Kind::Usage,
                format!("{text:?}: after # comes a number from 1"),
            )),
        }
    }

    fn is(&self, name: &str, kind: &str) -> bool {
        self.name.eq_ignore_ascii_case(name) || names::same_type(self.name, kind)
    }
}

/// The characteristics `text` means. Of a whole service, those that allow `perm`.
///
/// `AID.IID` is taken as it stands, whether the database has it or not: the accessory answers.
///
/// # Errors
/// [`Kind::NotFound`] with the names there are, when nothing matches.
pub fn select(db: &Database, text: &str, perm: &str) -> Result<Vec<CharId>> {
    if let Some(id) = CharId::parse(text) {
        return Ok(vec![id]);
    }
    let found = match text.split_once('/') {
        Some((service, characteristic)) => in_service(db, service, characteristic)?,
        None => anywhere(db, &Part::parse(text)?, perm),
    };
    if found.is_empty() {
        return Err(nothing(db, text));
    }
    Ok(found)
}

/// As [`select`], for exactly one.
///
/// # Errors
/// [`Kind::Usage`] with the candidates when `text` means several.
pub fn select_one(db: &Database, text: &str, perm: &str) -> Result<CharId> {
    match select(db, text, perm)?.as_slice() {
        [one] => Ok(*one),
        several => {
            let ids: Vec<String> = several.iter().map(ToString::to_string).collect();
            Err(Failure::new(
                Kind::Usage,
                format!("{text:?} means {} characteristics", several.len()),
            )
            .hint(format!("choose one of {}, or add #1", ids.join(", "))))
        }
    }
}

fn in_service(db: &Database, service: &str, characteristic: &str) -> Result<Vec<CharId>> {
    let (service, characteristic) = (Part::parse(service)?, Part::parse(characteristic)?);
    let services = services(db, &service);
    let found = db
        .entries()
        .filter(|e| services.contains(&(e.aid, e.service.iid)))
        .filter(|e| characteristic.is(&e.name(), &e.characteristic.kind))
        .map(|e| e.id());
    Ok(numbered(found, characteristic.number))
}

/// A characteristic of any service; else the characteristics of a service that allow `perm`.
fn anywhere(db: &Database, part: &Part<'_>, perm: &str) -> Vec<CharId> {
    let named = db
        .entries()
        .filter(|e| part.is(&e.name(), &e.characteristic.kind))
        .map(|e| e.id());
    let found = numbered(named, part.number);
    if !found.is_empty() {
        return found;
    }
    let services = services(db, part);
    db.entries()
        .filter(|e| services.contains(&(e.aid, e.service.iid)))
        .filter(|e| e.characteristic.allows(perm))
        .map(|e| e.id())
        .collect()
}

/// `(aid, iid)` of the services `part` means.
fn services(db: &Database, part: &Part<'_>) -> Vec<(u64, u64)> {
    let found = db.accessories.iter().flat_map(|a| {
        a.services
            .iter()
            .filter(|s| part.is(&names::service(&s.kind), &s.kind))
            .map(move |s| (a.aid, s.iid))
    });
    numbered(found, part.number)
}

fn numbered<T>(found: impl Iterator<Item = T>, number: Option<usize>) -> Vec<T> {
    match number {
        None => found.collect(),
        Some(n) => found.skip(n - 1).take(1).collect(),
    }
}

fn nothing(db: &Database, text: &str) -> Failure {
    let mut names: Vec<String> = db.entries().map(|e: Entry<'_>| e.name()).collect();
    names.sort();
    names.dedup();
    Failure::new(
        Kind::NotFound,
        format!("the accessory has nothing named {text:?}"),
    )
    .hint(format!(
        "write AID.IID or one of: {}; `hapctl accessories NAME` shows all",
        names.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::tests::camera;
    use proptest::prelude::*;

    fn ids(text: &str) -> Vec<String> {
        let found = select(&camera(), text, "pr").unwrap();
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn numbers_pass_unchecked() {
        assert_eq!(ids("1.9999"), ["1.9999"]);
    }

    #[test]
    fn names_types_services_and_ordinals() {
        assert_eq!(ids("streaming-status"), ["1.11", "1.21"]);
        assert_eq!(ids("Streaming-Status#2"), ["1.21"]);
        assert_eq!(ids("120"), ["1.11", "1.21"]);
        assert_eq!(ids("110#1"), ["1.11", "1.12"]);
        assert_eq!(
            ids("camera-rtp-stream-management#2/streaming-status"),
            ["1.21"]
        );
        assert_eq!(ids("accessory-information"), ["1.3"]);
    }

    #[test]
    fn one_of_several_is_asked_for() {
        let e = select_one(&camera(), "streaming-status", "pr").unwrap_err();
        assert!(e.advice().unwrap().contains("1.11, 1.21"));
        let one = select_one(&camera(), "setup-endpoints", "pr").unwrap();
        assert_eq!(one.to_string(), "1.12");
    }

    #[test]
    fn misses_name_what_there_is() {
        for text in ["brightness", "speaker/mute", "streaming-status#3", ""] {
            let e = select(&camera(), text, "pr").unwrap_err();
            assert_eq!(e.kind(), Kind::NotFound, "{text}");
            assert!(e.advice().unwrap().contains("setup-endpoints"));
        }
        assert_eq!(
            select(&camera(), "mute#0", "pr").unwrap_err().kind(),
            Kind::Usage
        );
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "\\PC{0,30}") {
            let _ = select(&camera(), &text, "pr");
        }
    }
}
