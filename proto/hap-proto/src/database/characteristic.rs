//! The static description of one characteristic.

use serde::Serialize;
use serde_json::Number;

use super::{Perms, Uuid};
use crate::value::{Format, Value};

/// Programmable Switch Event: its events are sent at once.
pub(crate) const PROGRAMMABLE_SWITCH_EVENT: Uuid = Uuid::short(0x73);

/// The longest text when no `maxLen` is given (HAP R1 §5.3.3, Table 5-3).
const DEFAULT_MAX_LEN: usize = 64;

/// The longest data when no `maxDataLen` is given (HAP R1 §5.3.3, Table 5-3).
const DEFAULT_MAX_DATA_LEN: usize = 2_097_152;

/// Units of values (HAP R1 §5.3.3, Table 5-6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Degrees Celsius.
    Celsius,
    /// Per cent.
    Percentage,
    /// Degrees of an angle.
    ArcDegrees,
    /// Lux.
    Lux,
    /// Seconds.
    Seconds,
}

/// One characteristic; [`Characteristic::new`] fills in what is optional.
#[derive(Debug, Clone, PartialEq)]
pub struct Characteristic {
    /// Instance ID, unique within the accessory, never reused for another meaning.
    pub iid: u64,
    /// Type.
    pub kind: Uuid,
    /// Format of the value.
    pub format: Format,
    /// Permissions.
    pub perms: Perms,
    /// Only admin controllers may write.
    pub admin_only_write: bool,
    /// Description for developers.
    pub description: Option<String>,
    /// Unit of the value.
    pub unit: Option<Unit>,
    /// Least value, for numbers.
    pub min: Option<f64>,
    /// Greatest value, for numbers.
    pub max: Option<f64>,
    /// Step between values, for numbers; announced, not enforced.
    pub step: Option<f64>,
    /// Characters of a text, at most 256; 64 if absent.
    pub max_len: Option<u16>,
    /// Bytes of data; 2097152 if absent.
    pub max_data_len: Option<u32>,
    /// The only values allowed, for integers; empty for no such rule.
    pub valid_values: Vec<i64>,
    /// First and last value allowed, for integers.
    pub valid_range: Option<(i64, i64)>,
    /// A value that never changes: served without asking the host.
    pub initial: Option<Value>,
    /// The value exists only in events; it reads as `null`.
    pub event_only: bool,
}

impl Characteristic {
    /// A characteristic without optional properties.
    pub fn new(iid: u64, kind: Uuid, format: Format, perms: Perms) -> Self {
        Self {
            iid,
            kind,
            format,
            perms,
            admin_only_write: false,
            description: None,
            unit: None,
            min: None,
            max: None,
            step: None,
            max_len: None,
            max_data_len: None,
            valid_values: Vec::new(),
            valid_range: None,
            initial: None,
            event_only: false,
        }
    }

    /// A characteristic that reads as `value` for ever.
    pub fn constant(iid: u64, kind: Uuid, format: Format, value: Value) -> Self {
        Self {
            initial: Some(value),
            ..Self::new(iid, kind, format, Perms::new().pr())
        }
    }

    /// Whether `value` has this characteristic's format and keeps to its metadata.
    pub fn allows(&self, value: &Value) -> bool {
        match value {
            Value::Null => false,
            Value::Bool(_) => self.format == Format::Bool,
            Value::UInt(number) => self.allows_integer(i128::from(*number)),
            Value::Int(number) => self.allows_integer(i128::from(*number)),
            Value::Float(number) => self.format == Format::Float && self.in_bounds(*number),
            Value::String(text) => {
                self.format == Format::String && text.chars().count() <= self.text_limit()
            }
            Value::Tlv8(_) => self.format == Format::Tlv8,
            Value::Data(bytes) => self.format == Format::Data && bytes.len() <= self.data_limit(),
        }
    }

    fn allows_integer(&self, number: i128) -> bool {
        let Some((least, greatest)) = self.format.integer_range() else {
            return false;
        };
        let listed = self.valid_values.is_empty()
            || self.valid_values.iter().any(|&v| i128::from(v) == number);
        let ranged = self
            .valid_range
            .is_none_or(|(first, last)| (i128::from(first)..=i128::from(last)).contains(&number));
        (least..=greatest).contains(&number) && self.in_bounds(number as f64) && listed && ranged
    }

    fn in_bounds(&self, number: f64) -> bool {
        let above = self.min.is_none_or(|min| number >= min);
        let below = self.max.is_none_or(|max| number <= max);
        number.is_finite() && above && below
    }

    fn text_limit(&self) -> usize {
        self.max_len.map_or(DEFAULT_MAX_LEN, usize::from)
    }

    fn data_limit(&self) -> usize {
        self.max_data_len
            .map_or(DEFAULT_MAX_DATA_LEN, |limit| limit as usize)
    }

    /// The properties that `meta=1` asks for (HAP R1 §5.7.3, Table 5-14).
    pub(crate) fn metadata(&self) -> Metadata {
        let number = |value: Option<f64>| value.and_then(|value| self.format.number(value));
        Metadata {
            format: self.format,
            unit: self.unit,
            min_value: number(self.min),
            max_value: number(self.max),
            min_step: number(self.step),
            max_len: self.max_len,
        }
    }
}

/// Metadata as it stands in JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    format: Format,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<Unit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_value: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_value: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_step: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_len: Option<u16>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writable(format: Format) -> Characteristic {
        Characteristic::new(9, Uuid::short(0x25), format, Perms::new().pw())
    }

    #[test]
    fn bounds_and_width_are_enforced() {
        let mut c = writable(Format::UInt8);
        assert!(c.allows(&Value::UInt(255)) && !c.allows(&Value::UInt(256)));
        assert!(!c.allows(&Value::Int(-1)));
        (c.min, c.max) = (Some(1.0), Some(4.0));
        assert!(
            !c.allows(&Value::UInt(0)) && c.allows(&Value::UInt(4)) && !c.allows(&Value::UInt(5))
        );
    }

    #[test]
    fn valid_values_and_range_are_enforced() {
        let mut c = writable(Format::UInt8);
        c.valid_values = vec![0, 2];
        assert!(c.allows(&Value::UInt(2)) && !c.allows(&Value::UInt(1)));
        c.valid_values.clear();
        c.valid_range = Some((1, 3));
        assert!(c.allows(&Value::UInt(3)) && !c.allows(&Value::UInt(4)));
    }

    #[test]
    fn text_and_data_lengths_are_enforced() {
        let mut c = writable(Format::String);
        assert!(c.allows(&Value::String("ä".repeat(64))));
        assert!(!c.allows(&Value::String("a".repeat(65))));
        c.max_len = Some(256);
        assert!(c.allows(&Value::String("a".repeat(256))));
        let mut c = writable(Format::Data);
        c.max_data_len = Some(2);
        assert!(c.allows(&Value::Data(vec![0; 2])) && !c.allows(&Value::Data(vec![0; 3])));
    }

    #[test]
    fn other_formats_are_refused() {
        assert!(!writable(Format::Bool).allows(&Value::UInt(1)));
        assert!(!writable(Format::Float).allows(&Value::Float(f64::NAN)));
        assert!(!writable(Format::String).allows(&Value::Tlv8(vec![])));
        assert!(!writable(Format::Tlv8).allows(&Value::Null));
    }
}
