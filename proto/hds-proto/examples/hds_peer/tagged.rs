//! Values as JSON that keeps their types; floating-point numbers are the hex of their bits.

use hds_proto::Value;
use serde_json::{Value as Json, json};

pub(crate) fn of(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Int(value) => json!({ "int": value }),
        Value::Float(value) => json!({ "float": bits(*value) }),
        Value::Text(value) => json!({ "text": value }),
        Value::Data(value) => json!({ "data": hex(value) }),
        Value::Uuid(value) => json!({ "uuid": hex(value) }),
        Value::Date(value) => json!({ "date": bits(*value) }),
        Value::Array(values) => json!({ "array": values.iter().map(of).collect::<Vec<_>>() }),
        Value::Dict(pairs) => {
            let pairs = pairs.iter().map(|(key, value)| json!([of(key), of(value)]));
            json!({ "dict": pairs.collect::<Vec<_>>() })
        }
    }
}

pub(crate) fn value(json: &Json) -> Result<Value, String> {
    match json {
        Json::Null => return Ok(Value::Null),
        Json::Bool(value) => return Ok(Value::Bool(*value)),
        _ => {}
    }
    let tagged = json.as_object().and_then(|object| object.iter().next());
    let (kind, content) = tagged.ok_or("a value without a type")?;
    Ok(match kind.as_str() {
        "int" => Value::Int(content.as_i64().ok_or("int")?),
        "float" => Value::Float(float(content)?),
        "text" => Value::Text(content.as_str().ok_or("text")?.to_owned()),
        "data" => Value::Data(bytes(content)?),
        "uuid" => Value::Uuid(array(content)?),
        "date" => Value::Date(float(content)?),
        "array" => Value::Array(list(content)?.iter().map(value).collect::<Result<_, _>>()?),
        "dict" => Value::Dict(list(content)?.iter().map(pair).collect::<Result<_, _>>()?),
        other => return Err(format!("unknown type {other}")),
    })
}

fn pair(json: &Json) -> Result<(Value, Value), String> {
    Ok((value(&json[0])?, value(&json[1])?))
}

fn list(json: &Json) -> Result<&[Json], String> {
    Ok(json.as_array().ok_or("not a list")?)
}

fn float(json: &Json) -> Result<f64, String> {
    Ok(f64::from_be_bytes(array(json)?))
}

fn bits(value: f64) -> String {
    hex(&value.to_be_bytes())
}

pub(crate) fn array<const N: usize>(json: &Json) -> Result<[u8; N], String> {
    let bytes = bytes(json)?;
    bytes.try_into().map_err(|_| format!("not {N} bytes"))
}

pub(crate) fn bytes(json: &Json) -> Result<Vec<u8>, String> {
    let hex = json.as_str().ok_or("no hex")?;
    let byte = |at| {
        let digits = hex.get(at..at + 2).ok_or("half a byte")?;
        u8::from_str_radix(digits, 16).map_err(|error| error.to_string())
    };
    (0..hex.len()).step_by(2).map(byte).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
