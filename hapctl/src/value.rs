//! Characteristic values between what people type, JSON, and what people read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value as Json;

use crate::failure::{Failure, Kind, Result};
use crate::hex;

/// Reads `text` as a value of HAP format `format` (`bool`, `uint8` … `tlv8`).
///
/// For `tlv8` and `data` the text is base64, or hex after `hex:`. `json:` passes anything on as it
/// is, whatever the format: to see how an accessory takes wrong values.
///
/// # Errors
/// [`Kind::Usage`] when `text` is no such value; says what would be.
pub fn parse(text: &str, format: &str) -> Result<Json> {
    if let Some(raw) = text.strip_prefix("json:") {
        return serde_json::from_str(raw)
            .map_err(|e| Failure::new(Kind::Usage, format!("after json: {e}")));
    }
    match format {
        "bool" => parse_bool(text),
        "uint8" => unsigned(text, u64::from(u8::MAX)),
        "uint16" => unsigned(text, u64::from(u16::MAX)),
        "uint32" => unsigned(text, u64::from(u32::MAX)),
        "uint64" => unsigned(text, u64::MAX),
        "int" => signed(text),
        "float" => float(text),
        "tlv8" | "data" => bytes(text),
        "string" => Some(Json::from(text)),
        _ => Some(guess(text)),
    }
    .ok_or_else(|| unfit(text, format))
}

fn parse_bool(text: &str) -> Option<Json> {
    match text {
        "true" | "on" | "yes" | "1" => Some(true.into()),
        "false" | "off" | "no" | "0" => Some(false.into()),
        _ => None,
    }
}

fn unsigned(text: &str, max: u64) -> Option<Json> {
    let n: u64 = text.parse().ok()?;
    (n <= max).then(|| n.into())
}

fn signed(text: &str) -> Option<Json> {
    text.parse::<i32>().ok().map(Json::from)
}

fn float(text: &str) -> Option<Json> {
    let f: f64 = text.parse().ok()?;
    serde_json::Number::from_f64(f).map(Json::from)
}

fn bytes(text: &str) -> Option<Json> {
    if let Some(digits) = text.strip_prefix("hex:") {
        return hex::decode(digits).map(|b| BASE64.encode(b).into());
    }
    let plain = text.strip_prefix("base64:").unwrap_or(text);
    BASE64.decode(plain).ok().map(|_| plain.into())
}

/// A format of the accessory's own: JSON if it is JSON, else text.
fn guess(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

fn unfit(text: &str, format: &str) -> Failure {
    let expected = match format {
        "bool" => "true or false",
        "tlv8" | "data" => "base64, or hex: and hex digits",
        "float" => "a number",
        _ => "a whole number in range",
    };
    Failure::new(Kind::Usage, format!("{text:?} is not a {format}")).hint(format!(
        "write {expected}; json:… passes any JSON on unchecked"
    ))
}

/// The value as a person reads it; bytes in hex.
#[must_use]
pub fn show(value: &Json, format: &str) -> String {
    match value {
        Json::String(s) if matches!(format, "tlv8" | "data") => match BASE64.decode(s) {
            Ok(bytes) => format!("{s} (hex {})", hex::encode(&bytes)),
            Err(_) => format!("{s} (not base64)"),
        },
        Json::String(s) => s.clone(),
        other => other.to_string(),
    }
}

/// The bytes of a `tlv8` value.
///
/// # Errors
/// [`Kind::Protocol`] when it is not base64 text.
pub fn tlv8(value: Option<&Json>) -> Result<Vec<u8>> {
    value
        .and_then(Json::as_str)
        .and_then(|s| BASE64.decode(s).ok())
        .ok_or_else(|| Failure::new(Kind::Protocol, "a tlv8 value is not base64 text"))
}

/// `bytes` as the JSON value of a `tlv8` characteristic.
#[must_use]
pub fn from_tlv8(bytes: &[u8]) -> Json {
    BASE64.encode(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn values_take_the_form_of_their_format() {
        for (text, format, expected) in [
            ("on", "bool", json!(true)),
            ("0", "bool", json!(false)),
            ("255", "uint8", json!(255)),
            ("18446744073709551615", "uint64", json!(u64::MAX)),
            ("-3", "int", json!(-3)),
            ("0.5", "float", json!(0.5)),
            ("12", "string", json!("12")),
            ("AQEA", "tlv8", json!("AQEA")),
            ("hex:01 01 00", "tlv8", json!("AQEA")),
            ("base64:AQEA", "data", json!("AQEA")),
            ("json:[null]", "bool", json!([null])),
            ("7", "mystery", json!(7)),
        ] {
            assert_eq!(parse(text, format).unwrap(), expected, "{text} {format}");
        }
    }

    #[test]
    fn unfit_values_are_refused_with_advice() {
        for (text, format) in [
            ("maybe", "bool"),
            ("256", "uint8"),
            ("-1", "uint16"),
            ("4294967296", "uint32"),
            ("x", "int"),
            ("nan", "float"),
            ("*", "tlv8"),
            ("hex:0", "tlv8"),
            ("json:{", "bool"),
        ] {
            let e = parse(text, format).unwrap_err();
            assert_eq!(e.kind(), Kind::Usage, "{text} {format}");
        }
    }

    #[test]
    fn bytes_are_shown_in_hex() {
        assert_eq!(show(&json!("AQEA"), "tlv8"), "AQEA (hex 010100)");
        assert_eq!(show(&json!("?"), "tlv8"), "? (not base64)");
        assert_eq!(show(&json!(null), "uint8"), "null");
        assert_eq!(tlv8(Some(&json!("AQEA"))).unwrap(), [1, 1, 0]);
        assert!(tlv8(Some(&json!(1))).is_err());
        assert!(tlv8(None).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,30}", n in 0usize..8) {
            let formats = ["bool", "uint8", "uint32", "int", "float", "tlv8", "string", ""];
            let _ = parse(&text, formats[n]);
        }
    }
}
