//! Values of characteristics as Rust types.

use hap_proto::{Status, Value};

pub(crate) fn as_flag(value: &Value) -> Result<bool, Status> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::UInt(0) | Value::Int(0) => Ok(false),
        Value::UInt(1) | Value::Int(1) => Ok(true),
        _ => Err(Status::InvalidValue),
    }
}

pub(crate) fn as_percent(value: &Value) -> Result<u8, Status> {
    match value {
        Value::UInt(percent @ 0..=100) => u8::try_from(*percent).map_err(|_| Status::InvalidValue),
        _ => Err(Status::InvalidValue),
    }
}
