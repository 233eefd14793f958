//! The values messages are made of, and their encoding (Apple calls it OPACK).

mod decode;
mod encode;

pub use decode::{MAX_DEPTH, MAX_ITEMS};
pub(crate) use encode::{array, boolean, data_length, dict, int, text};

/// A value of a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number; both widths decode to it.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Data(Vec<u8>),
    /// A UUID, its first byte first.
    Uuid([u8; 16]),
    /// Seconds since 2001-01-01T00:00:00Z.
    Date(f64),
    /// Values in order.
    Array(Vec<Value>),
    /// Keys and values in order; of a key that is there twice, the first counts.
    Dict(Vec<(Value, Value)>),
}

impl Value {
    /// An empty dictionary, the message of many requests and responses.
    pub const EMPTY: Self = Self::Dict(Vec::new());

    /// A dictionary with text keys.
    pub fn dict<const N: usize>(pairs: [(&str, Self); N]) -> Self {
        Self::Dict(pairs.map(|(key, value)| (key.into(), value)).into())
    }

    /// What a dictionary holds under the text `key`.
    pub fn get(&self, key: &str) -> Option<&Self> {
        let pairs = self.as_dict()?;
        let pair = pairs.iter().find(|(k, _)| k.as_text() == Some(key))?;
        Some(&pair.1)
    }

    /// Takes what a dictionary holds under the text `key` out of it.
    pub fn take(&mut self, key: &str) -> Option<Self> {
        let Self::Dict(pairs) = self else { return None };
        let at = pairs.iter().position(|(k, _)| k.as_text() == Some(key))?;
        Some(pairs.remove(at).1)
    }

    /// The truth value; 0 and 1 count as such.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            Self::Int(0) => Some(false),
            Self::Int(1) => Some(true),
            _ => None,
        }
    }

    /// The whole number.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The number, whole or not.
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            Self::Int(value) => Some(*value as f64),
            _ => None,
        }
    }

    /// The text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(value) => Some(value),
            _ => None,
        }
    }

    /// The bytes.
    pub fn as_data(&self) -> Option<&[u8]> {
        match self {
            Self::Data(value) => Some(value),
            _ => None,
        }
    }

    /// The values of an array.
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(values) => Some(values),
            _ => None,
        }
    }

    /// The pairs of a dictionary.
    pub fn as_dict(&self) -> Option<&[(Self, Self)]> {
        match self {
            Self::Dict(pairs) => Some(pairs),
            _ => None,
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Data(value)
    }
}
