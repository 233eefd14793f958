//! Writing values: the plain subset, without back-references, terminated text or data.

use super::Value;

impl Value {
    /// Appends the value to `out`: numbers, texts and data in their shortest form, a [`Value::Float`]
    /// in 64 bits.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.push(0x04),
            Self::Bool(value) => boolean(out, *value),
            Self::Int(value) => int(out, *value),
            Self::Float(value) => float(out, 0x36, *value),
            Self::Text(value) => text(out, value),
            Self::Data(value) => data(out, value),
            Self::Uuid(value) => {
                out.push(0x05);
                out.extend_from_slice(value);
            }
            Self::Date(value) => float(out, 0x06, *value),
            Self::Array(values) => encode_array(out, values),
            Self::Dict(pairs) => encode_dict(out, pairs),
        }
    }

    /// The value's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_into(&mut out);
        out
    }
}

fn encode_array(out: &mut Vec<u8>, values: &[Value]) {
    array(out, values.len());
    for value in values {
        value.encode_into(out);
    }
    terminate(out, values.len());
}

fn encode_dict(out: &mut Vec<u8>, pairs: &[(Value, Value)]) {
    dict(out, pairs.len());
    for (key, value) in pairs {
        key.encode_into(out);
        value.encode_into(out);
    }
    terminate(out, pairs.len());
}

/// Begins an array of `count` values; fewer than 15 need no terminator.
pub(crate) fn array(out: &mut Vec<u8>, count: usize) {
    out.push(0xD0 + count.min(15) as u8);
}

/// Begins a dictionary of `count` pairs; fewer than 15 need no terminator.
pub(crate) fn dict(out: &mut Vec<u8>, count: usize) {
    out.push(0xE0 + count.min(15) as u8);
}

fn terminate(out: &mut Vec<u8>, count: usize) {
    if count > 14 {
        out.push(0x03);
    }
}

pub(crate) fn boolean(out: &mut Vec<u8>, value: bool) {
    out.push(if value { 0x01 } else { 0x02 });
}

pub(crate) fn int(out: &mut Vec<u8>, value: i64) {
    if value == -1 {
        out.push(0x07);
    } else if (0..40).contains(&value) {
        out.push(0x08 + value as u8);
    } else if let Ok(value) = i8::try_from(value) {
        sized(out, 0x30, &value.to_le_bytes());
    } else if let Ok(value) = i16::try_from(value) {
        sized(out, 0x31, &value.to_le_bytes());
    } else if let Ok(value) = i32::try_from(value) {
        sized(out, 0x32, &value.to_le_bytes());
    } else {
        sized(out, 0x33, &value.to_le_bytes());
    }
}

fn float(out: &mut Vec<u8>, tag: u8, value: f64) {
    sized(out, tag, &value.to_le_bytes());
}

pub(crate) fn text(out: &mut Vec<u8>, value: &str) {
    length(out, 0x40, 0x61, value.len());
    out.extend_from_slice(value.as_bytes());
}

fn data(out: &mut Vec<u8>, value: &[u8]) {
    data_length(out, value.len());
    out.extend_from_slice(value);
}

/// Begins data of `count` bytes.
pub(crate) fn data_length(out: &mut Vec<u8>, count: usize) {
    length(out, 0x70, 0x91, count);
}

/// A length: up to 32 within the tag, else in 1, 2, 4 or 8 bytes after `wide`, `wide` + 1, ...
fn length(out: &mut Vec<u8>, short: u8, wide: u8, count: usize) {
    if count <= 32 {
        out.push(short + count as u8);
    } else if let Ok(count) = u8::try_from(count) {
        sized(out, wide, &count.to_le_bytes());
    } else if let Ok(count) = u16::try_from(count) {
        sized(out, wide + 1, &count.to_le_bytes());
    } else if let Ok(count) = u32::try_from(count) {
        sized(out, wide + 2, &count.to_le_bytes());
    } else {
        sized(out, wide + 3, &(count as u64).to_le_bytes());
    }
}

fn sized(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    out.extend_from_slice(bytes);
}
