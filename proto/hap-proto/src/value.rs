//! Values of characteristics and their JSON form.

use std::fmt;

use base64::Engine;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Serialize;
use serde_json::{Number, Value as Json};

/// Base64 as HAP uses it; padding is written, but need not be there when reading.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The format of a characteristic's value (HAP R1 §5.3.3, Table 5-5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `bool`
    Bool,
    /// `uint8`
    UInt8,
    /// `uint16`
    UInt16,
    /// `uint32`
    UInt32,
    /// `uint64`
    UInt64,
    /// `int`: signed, 32 bits
    Int,
    /// `float`
    Float,
    /// `string`
    String,
    /// `tlv8`, base64 in JSON
    Tlv8,
    /// `data`, base64 in JSON
    Data,
}

impl Format {
    /// Least and greatest integer of the format; `None` if its values are no integers.
    pub(crate) fn integer_range(self) -> Option<(i128, i128)> {
        let unsigned = |max: u64| Some((0, i128::from(max)));
        match self {
            Format::UInt8 => unsigned(u64::from(u8::MAX)),
            Format::UInt16 => unsigned(u64::from(u16::MAX)),
            Format::UInt32 => unsigned(u64::from(u32::MAX)),
            Format::UInt64 => unsigned(u64::MAX),
            Format::Int => Some((i128::from(i32::MIN), i128::from(i32::MAX))),
            _ => None,
        }
    }

    /// Whether the values are numbers.
    pub(crate) fn is_numeric(self) -> bool {
        self == Format::Float || self.integer_range().is_some()
    }

    /// `value` as a JSON number of this format; integers without a decimal point.
    pub(crate) fn number(self, value: f64) -> Option<Number> {
        if self == Format::Float {
            return Number::from_f64(value);
        }
        Number::from_i128(value as i128)
    }
}

/// The value of a characteristic. TLV8 and data may carry keys: only their length is ever shown.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// A truth value.
    Bool(bool),
    /// An unsigned integer.
    UInt(u64),
    /// A signed integer.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A text.
    String(String),
    /// Raw TLV8 bytes; JSON carries them as base64.
    Tlv8(Vec<u8>),
    /// Raw bytes; JSON carries them as base64.
    Data(Vec<u8>),
}

impl Value {
    /// Reads `json` as a value of `format`.
    ///
    /// Truth values may be `0`/`1` and integers `true`/`false`, since controllers were seen sending
    /// either; numbers of another format's width are left to
    /// [`Characteristic::allows`](crate::database::Characteristic::allows). `None` if the JSON type
    /// does not fit.
    pub fn from_json(format: Format, json: &Json) -> Option<Value> {
        match format {
            Format::Bool => flag(json).map(Value::Bool),
            Format::Int => integer(json)
                .and_then(|n| i64::try_from(n).ok())
                .map(Value::Int),
            Format::Float => json.as_f64().filter(|n| n.is_finite()).map(Value::Float),
            Format::String => json.as_str().map(|text| Value::String(text.to_owned())),
            Format::Tlv8 => bytes(json).map(Value::Tlv8),
            Format::Data => bytes(json).map(Value::Data),
            Format::UInt8 | Format::UInt16 | Format::UInt32 | Format::UInt64 => integer(json)
                .and_then(|n| u64::try_from(n).ok())
                .map(Value::UInt),
        }
    }

    /// The JSON form of the value for a characteristic of `format`.
    ///
    /// Truth values and integers are converted into each other where the format wants the other one;
    /// a number JSON cannot carry becomes `null`.
    pub fn to_json(&self, format: Format) -> Json {
        match (self, format) {
            // Controllers were seen failing over a `null` where they decode base64.
            (Value::Null, Format::Tlv8 | Format::Data) => Json::from(""),
            (Value::Null, _) => Json::Null,
            (Value::Bool(flag), format) if format.is_numeric() => Json::from(u8::from(*flag)),
            (Value::Bool(flag), _) => Json::from(*flag),
            (Value::UInt(number), Format::Bool) => Json::from(*number != 0),
            (Value::Int(number), Format::Bool) => Json::from(*number != 0),
            (Value::UInt(number), _) => Json::from(*number),
            (Value::Int(number), _) => Json::from(*number),
            (Value::Float(number), _) => Number::from_f64(*number).map_or(Json::Null, Json::Number),
            (Value::String(text), _) => Json::from(text.as_str()),
            (Value::Tlv8(bytes) | Value::Data(bytes), _) => Json::from(BASE64.encode(bytes)),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("Null"),
            Value::Bool(flag) => write!(f, "Bool({flag})"),
            Value::UInt(number) => write!(f, "UInt({number})"),
            Value::Int(number) => write!(f, "Int({number})"),
            Value::Float(number) => write!(f, "Float({number})"),
            Value::String(text) => write!(f, "String({text:?})"),
            Value::Tlv8(bytes) => write!(f, "Tlv8({} bytes)", bytes.len()),
            Value::Data(bytes) => write!(f, "Data({} bytes)", bytes.len()),
        }
    }
}

/// A truth value, in any form controllers send one.
pub(crate) fn flag(json: &Json) -> Option<bool> {
    match integer(json)? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

fn integer(json: &Json) -> Option<i128> {
    match json {
        Json::Bool(flag) => Some(i128::from(*flag)),
        Json::Number(number) => number.as_i128().or_else(|| whole(number.as_f64()?)),
        _ => None,
    }
}

/// `2.0` is an integer, `2.5` is none.
fn whole(number: f64) -> Option<i128> {
    (number.fract() == 0.0 && number.abs() < 9.0e15).then_some(number as i128)
}

fn bytes(json: &Json) -> Option<Vec<u8>> {
    BASE64.decode(json.as_str()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn booleans_are_read_in_every_form() {
        for (json, expected) in [
            (json!(true), Some(true)),
            (json!(0), Some(false)),
            (json!(1), Some(true)),
            (json!(2), None),
            (json!("1"), None),
            (json!(null), None),
        ] {
            assert_eq!(
                Value::from_json(Format::Bool, &json),
                expected.map(Value::Bool)
            );
        }
    }

    #[test]
    fn integers_are_read_from_numbers_and_booleans() {
        let read = |json| Value::from_json(Format::UInt8, &json);
        assert_eq!(read(json!(7)), Some(Value::UInt(7)));
        assert_eq!(read(json!(7.0)), Some(Value::UInt(7)));
        assert_eq!(read(json!(true)), Some(Value::UInt(1)));
        assert_eq!(read(json!(7.5)), None);
        assert_eq!(read(json!(-1)), None);
        assert_eq!(read(json!(1e300)), None);
        assert_eq!(
            Value::from_json(Format::Int, &json!(-4)),
            Some(Value::Int(-4))
        );
        let max = Value::from_json(Format::UInt64, &json!(u64::MAX));
        assert_eq!(max, Some(Value::UInt(u64::MAX)));
    }

    #[test]
    fn base64_is_read_with_and_without_padding() {
        for text in ["AQEA", "AQ==", "AQ"] {
            assert!(
                Value::from_json(Format::Tlv8, &json!(text)).is_some(),
                "{text}"
            );
        }
        assert_eq!(Value::from_json(Format::Tlv8, &json!("A*==")), None);
        assert_eq!(
            Value::from_json(Format::Data, &json!("")),
            Some(Value::Data(vec![]))
        );
    }

    #[test]
    fn values_are_written_as_their_format_wants() {
        assert_eq!(Value::UInt(1).to_json(Format::Bool), json!(true));
        assert_eq!(Value::Bool(true).to_json(Format::UInt8), json!(1));
        assert_eq!(Value::Float(23.0).to_json(Format::Float), json!(23.0));
        assert_eq!(Value::Float(f64::NAN).to_json(Format::Float), json!(null));
        assert_eq!(
            Value::Tlv8(vec![1, 1, 0]).to_json(Format::Tlv8),
            json!("AQEA")
        );
        assert_eq!(Value::Null.to_json(Format::UInt8), json!(null));
        assert_eq!(Value::Null.to_json(Format::Tlv8), json!(""));
    }

    #[test]
    fn debug_shows_no_bytes() {
        assert_eq!(
            format!("{:?}", Value::Tlv8(vec![0xAB, 0xCD])),
            "Tlv8(2 bytes)"
        );
        assert_eq!(format!("{:?}", Value::UInt(3)), "UInt(3)");
    }

    #[test]
    fn bounds_are_integers_for_integer_formats() {
        assert_eq!(Format::UInt8.number(100.0).unwrap().to_string(), "100");
        assert_eq!(Format::Float.number(100.0).unwrap().to_string(), "100.0");
    }
}
