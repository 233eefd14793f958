//! The query of `GET /characteristics` (HAP R1 §5.7.3, Table 5-14).

use crate::host::CharId;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Query {
    /// The characteristics, in order.
    pub(crate) ids: Vec<CharId>,
    /// With metadata.
    pub(crate) meta: bool,
    /// With permissions.
    pub(crate) perms: bool,
    /// With the type.
    pub(crate) kind: bool,
    /// With the state of event notifications.
    pub(crate) ev: bool,
}

impl Query {
    /// Reads a query; `None` if `id` is missing or malformed. Unknown parameters are ignored.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut query = Query::default();
        for parameter in text.split('&') {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match name {
                "id" => query.ids.extend(ids(&decode(value)?)?),
                "meta" => query.meta = is_true(value),
                "perms" => query.perms = is_true(value),
                "type" => query.kind = is_true(value),
                "ev" => query.ev = is_true(value),
                _ => {}
            }
        }
        (!query.ids.is_empty()).then_some(query)
    }
}

fn is_true(value: &str) -> bool {
    matches!(value, "1" | "true")
}

fn ids(list: &str) -> Option<Vec<CharId>> {
    list.split(',').map(id).collect()
}

fn id(text: &str) -> Option<CharId> {
    let (aid, iid) = text.split_once('.')?;
    Some(CharId {
        aid: number(aid)?,
        iid: number(iid)?,
    })
}

/// Digits only: `parse` would allow a sign.
fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Resolves `%2C` and the like (RFC 3986 §2.1), which some clients write for the comma.
fn decode(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut decoded = parts.next()?.to_owned();
    for part in parts {
        let code = u8::from_str_radix(part.get(..2)?, 16).ok()?;
        decoded.push(char::from(code));
        decoded.push_str(&part[2..]);
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids_of(text: &str) -> Option<Vec<(u64, u64)>> {
        let query = Query::parse(text)?;
        Some(query.ids.iter().map(|id| (id.aid, id.iid)).collect())
    }

    #[test]
    fn ids_in_every_form() {
        assert_eq!(ids_of("id=1.9"), Some(vec![(1, 9)]));
        assert_eq!(
            ids_of("id=1.9,2.10,1.9"),
            Some(vec![(1, 9), (2, 10), (1, 9)])
        );
        assert_eq!(ids_of("id=1.9%2c1%2E10"), Some(vec![(1, 9), (1, 10)]));
        assert_eq!(
            ids_of("meta=1&id=18446744073709551615.1"),
            Some(vec![(u64::MAX, 1)])
        );
    }

    #[test]
    fn flags_are_1_or_true() {
        let query = Query::parse("id=1.9&meta=1&perms=true&type=0&ev=false&x=1&y").unwrap();
        assert!(query.meta && query.perms && !query.kind && !query.ev);
        let query = Query::parse("id=1.9&type=true&ev=1").unwrap();
        assert!(!query.meta && !query.perms && query.kind && query.ev);
    }

    #[test]
    fn malformed_ids_are_refused() {
        for text in [
            "",
            "id",
            "id=",
            "ids=1.9",
            "id=1",
            "id=1.",
            "id=.9",
            "id=1.9,",
            "id=1.-9",
            "id=+1.9",
            "id=a.9",
            "id=1.9%2",
            "id=1.9%zz",
            "id=18446744073709551616.1",
            "id=1.9 ",
            "id=%é1.9",
        ] {
            assert_eq!(Query::parse(text), None, "{text}");
        }
    }
}
