//! What goes to standard output and standard error.
//!
//! A reader that went away (`hapctl … | head`) is no reason to fail, so write errors are ignored.

use std::io::Write as _;

use serde_json::Value as Json;

use crate::failure::Failure;

/// Prints `json` if JSON is wanted, else the text `human` makes.
pub fn result(wants_json: bool, json: &Json, human: impl FnOnce() -> String) {
    if wants_json {
        line(&format!("{json:#}"));
    } else {
        let text = human();
        if !text.is_empty() {
            line(text.trim_end());
        }
    }
}

/// Prints one line and flushes, so that a reader of a pipe has it at once.
pub fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}

/// Prints a remark for people to standard error.
pub fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Prints a failure to standard error: one JSON object, or two lines for people.
pub fn failure(failure: &Failure, wants_json: bool) {
    if wants_json {
        note(&failure.to_json().to_string());
        return;
    }
    note(&format!("hapctl: {failure}"));
    if let Some(advice) = failure.advice() {
        note(&format!("  try: {advice}"));
    }
}

/// Columns of text, each as wide as its widest cell.
#[must_use]
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |i: usize| {
        rows.iter()
            .filter_map(|r| r.get(i))
            .map(|c| c.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..columns).map(|i| width(i).unwrap_or(0)).collect();
    let lines: Vec<String> = rows.iter().map(|row| table_line(row, &widths)).collect();
    lines.join("\n")
}

fn table_line(row: &[String], widths: &[usize]) -> String {
    let cells = row.iter().zip(widths);
    let padded: Vec<String> = cells
        .map(|(cell, width)| format!("{cell:width$}"))
        .collect();
    padded.join("  ").trim_end().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let row = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
        assert_eq!(table(&[row("a", "bb"), row("ccc", "d")]), "a    bb\nccc  d");
        assert_eq!(table(&[]), "");
    }
}
