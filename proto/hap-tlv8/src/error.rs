//! What can be wrong with a TLV8 item list.

use std::fmt;

/// Why a TLV8 item list could not be read. All of these are faults of whoever wrote the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The bytes end within an item.
    Truncated {
        /// Where the item begins.
        offset: usize,
        /// Bytes the item needs, its two header bytes included.
        expected: usize,
        /// Bytes that are left.
        actual: usize,
    },
    /// A required item is absent.
    Missing {
        /// The type looked for.
        tag: u8,
    },
    /// A value has another length than its meaning needs.
    Length {
        /// The item's type.
        tag: u8,
        /// Length wanted; for integers the longest allowed.
        expected: usize,
        /// Length found.
        actual: usize,
    },
    /// The list is longer than the limit.
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
        /// Length found, in bytes.
        actual: usize,
    },
    /// The list has more items than the limit (fragments count once).
    TooManyItems {
        /// The limit.
        limit: usize,
    },
    /// A text is not UTF-8.
    NotUtf8 {
        /// The item's type.
        tag: u8,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Error::Truncated {
                offset,
                expected,
                actual,
            } => write!(
                f,
                "item at offset {offset} needs {expected} bytes, {actual} are left"
            ),
            Error::Missing { tag } => write!(f, "item {tag:#04x} is missing"),
            Error::Length {
                tag,
                expected,
                actual,
            } => write!(f, "item {tag:#04x} has {actual} bytes, not {expected}"),
            Error::TooLarge { limit, actual } => {
                write!(f, "{actual} bytes, more than the {limit} allowed")
            }
            Error::TooManyItems { limit } => write!(f, "more than {limit} items"),
            Error::NotUtf8 { tag } => write!(f, "item {tag:#04x} is not UTF-8"),
        }
    }
}

impl std::error::Error for Error {}
