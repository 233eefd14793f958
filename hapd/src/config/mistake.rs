//! Mistakes in a config file, all of them at once.

use std::fmt;
use std::path::{Path, PathBuf};

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Line, counted from 1; 0 when it belongs to no line.
    pub line: usize,
    /// The line's text.
    pub text: String,
    /// What is wrong and what would be right.
    pub reason: String,
}

/// All mistakes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes {
    file: Option<PathBuf>,
    list: Vec<Mistake>,
}

impl std::error::Error for Mistakes {}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self
            .file
            .as_ref()
            .map_or_else(|| "config".into(), |f| f.display().to_string());
        for (n, mistake) in self.list.iter().enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            match mistake.line {
                0 => write!(f, "{file}: {}", mistake.reason)?,
                line => write!(
                    f,
                    "{file}:{line}: {}\n    {}",
                    mistake.reason,
                    mistake.text.trim()
                )?,
            }
        }
        Ok(())
    }
}

impl Mistakes {
    /// The mistakes, in the order of the file.
    #[must_use]
    pub fn list(&self) -> &[Mistake] {
        &self.list
    }

    pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        let reason = format!("cannot be read: {error}");
        Self {
            file: Some(path.into()),
            list: vec![Mistake {
                line: 0,
                text: String::new(),
                reason,
            }],
        }
    }

    pub(super) fn of_file(mut self, path: &Path) -> Self {
        self.file = Some(path.into());
        self
    }
}

/// Gathers mistakes while a file is walked.
pub(super) struct Collector<'a> {
    text: &'a str,
    list: Vec<Mistake>,
}

impl<'a> Collector<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self {
            text,
            list: Vec::new(),
        }
    }

    /// Notes a mistake at byte `at` of the file.
    pub(super) fn at(&mut self, at: usize, reason: impl Into<String>) {
        let at = at.min(self.text.len());
        let before = self.text.as_bytes()[..at]
            .iter()
            .filter(|b| **b == b'\n')
            .count();
        let text = crate::media::redact::text(self.text.lines().nth(before).unwrap_or_default());
        self.list.push(Mistake {
            line: before + 1,
            text,
            reason: reason.into(),
        });
    }

    /// Notes a mistake of the file as a whole.
    pub(super) fn whole(&mut self, reason: impl Into<String>) {
        self.list.push(Mistake {
            line: 0,
            text: String::new(),
            reason: reason.into(),
        });
    }

    pub(super) fn finish<T>(mut self, value: Option<T>) -> Result<T, Mistakes> {
        match value {
            Some(value) if self.list.is_empty() => Ok(value),
            _ => {
                self.list.sort_by_key(|m| m.line);
                Err(Mistakes {
                    file: None,
                    list: self.list,
                })
            }
        }
    }
}
