//! The keys of one table of the config.

use std::ops::Range;

use toml::de::DeTable;

use super::mistake::Collector;

/// The fields of one table; a wrong one is noted and then counts as absent.
pub(super) struct Fields<'a, 'd, 'm> {
    pub(super) table: &'a DeTable<'d>,
    pub(super) whole: Range<usize>,
    pub(super) mistakes: &'a mut Collector<'m>,
}

impl Fields<'_, '_, '_> {
    pub(super) fn complain(&mut self, key: &str, reason: impl Into<String>) {
        let at = self
            .table
            .get(key)
            .map_or(self.whole.start, |v| v.span().start);
        self.mistakes.at(at, reason);
    }

    pub(super) fn required(&mut self, key: &str, example: &str) -> Option<String> {
        if !self.table.contains_key(key) {
            self.mistakes.at(
                self.whole.start,
                format!("this camera has no {key}; add for example {example}"),
            );
        }
        self.string(key)
    }

    pub(super) fn string(&mut self, key: &str) -> Option<String> {
        let value = self.table.get(key)?;
        let text = value.get_ref().as_str().map(str::to_owned);
        if text.is_none() {
            self.complain(
                key,
                format!(
                    "{key} is a text in quotes, not {}",
                    value.get_ref().type_str()
                ),
            );
        }
        text
    }

    /// A text that is not empty.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        let text = self.string(key)?;
        if text.is_empty() || text.len() > 512 {
            self.complain(
                key,
                format!("{key} has 1 to 512 characters; leave it out for the default"),
            );
            return None;
        }
        Some(text)
    }

    pub(super) fn boolean(&mut self, key: &str) -> Option<bool> {
        let value = self.table.get(key)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.complain(
                key,
                format!("{key} is true or false, not {}", value.get_ref().type_str()),
            );
        }
        flag
    }

    pub(super) fn integer<T: TryFrom<i64>>(
        &mut self,
        key: &str,
        least: i64,
        most: i64,
    ) -> Option<T> {
        let value = self.table.get(key)?.get_ref();
        let number = value
            .as_integer()
            .and_then(|i| i64::from_str_radix(i.as_str(), i.radix()).ok());
        match number
            .filter(|n| (least..=most).contains(n))
            .and_then(|n| T::try_from(n).ok())
        {
            Some(number) => Some(number),
            None => {
                self.complain(
                    key,
                    format!("{key} is a whole number from {least} to {most}"),
                );
                None
            }
        }
    }

    pub(super) fn size(&mut self, key: &str) -> Option<(u16, u16)> {
        let text = self.string(key)?;
        let parsed = text
            .split_once('x')
            .and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
        match parsed.filter(|(w, h)| (16..=8192u16).contains(w) && (16..=8192u16).contains(h)) {
            Some(size) => Some(size),
            None => {
                self.complain(key, format!("{key} is a size such as \"1280x720\""));
                None
            }
        }
    }

    pub(super) fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.string(key)?;
        let found = choices
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<_> = choices
                .iter()
                .map(|(name, _)| format!("{name:?}"))
                .collect();
            self.complain(key, format!("{key} is one of {}", names.join(", ")));
        }
        found
    }
}

/// Complains about keys that are not in `known`.
pub(super) fn known_keys(
    table: &DeTable<'_>,
    known: &[&str],
    place: &str,
    mistakes: &mut Collector<'_>,
) {
    for key in table.keys() {
        let name = key.get_ref().as_ref();
        if known.contains(&name) {
            continue;
        }
        let hint = match nearest(name, known) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("known are {}", known.join(", ")),
        };
        mistakes.at(
            key.span().start,
            format!("{place} has no key {name:?}; {hint}"),
        );
    }
}

/// The known key that is at most two edits away.
fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let (near, distance) = known
        .iter()
        .map(|k| (*k, edits(name, k)))
        .min_by_key(|(_, d)| *d)?;
    (distance <= 2).then_some(near)
}

/// Levenshtein distance.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
