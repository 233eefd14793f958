//! Reading values: everything the encoding knows.

use std::collections::HashSet;

use super::Value;
use crate::DecodeError;
use crate::frame::MAX_PAYLOAD;

/// How deep arrays and dictionaries may be within each other.
pub const MAX_DEPTH: usize = 16;

/// How many values one encoding may have, keys and containers included.
pub const MAX_ITEMS: usize = 4096;

impl Value {
    /// Reads the value at the front of `bytes`; returns it and how many bytes it took.
    ///
    /// # Errors
    /// As [`DecodeError`] says.
    pub fn decode(bytes: &[u8]) -> Result<(Self, usize), DecodeError> {
        let mut reader = Reader::new(bytes);
        let value = reader.value(0)?;
        Ok((value, reader.offset))
    }

    /// Reads the one value that is all of `bytes`.
    ///
    /// # Errors
    /// As [`DecodeError`] says.
    pub fn decode_all(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (value, taken) = Self::decode(bytes)?;
        match bytes.len() - taken {
            0 => Ok(value),
            count => Err(DecodeError::Trailing { count }),
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
    items: usize,
    seen: Seen<'a>,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            offset: 0,
            items: 0,
            seen: Seen::default(),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, DecodeError> {
        let offset = self.offset;
        self.items += 1;
        if self.items > MAX_ITEMS {
            return Err(DecodeError::TooManyItems);
        }
        let tag = self.byte()?;
        match tag {
            0xA0..=0xC4 => self.reference(tag, offset),
            0xD0..=0xEF if depth == MAX_DEPTH => Err(DecodeError::TooDeep),
            0xD0..=0xDF => self.array(tag, depth),
            0xE0..=0xEF => self.dict(tag, depth),
            _ => {
                let value = self.scalar(tag, offset)?;
                self.seen.note(&self.bytes[offset..self.offset]);
                Ok(value)
            }
        }
    }

    fn scalar(&mut self, tag: u8, offset: usize) -> Result<Value, DecodeError> {
        Ok(match tag {
            0x01 => Value::Bool(true),
            0x02 => Value::Bool(false),
            0x04 => Value::Null,
            0x05 => Value::Uuid(self.array_of()?),
            0x06 => Value::Date(f64::from_le_bytes(self.array_of()?)),
            0x07 => Value::Int(-1),
            0x08..=0x2F => Value::Int(i64::from(tag - 0x08)),
            0x30 => Value::Int(i8::from_le_bytes(self.array_of()?).into()),
            0x31 => Value::Int(i16::from_le_bytes(self.array_of()?).into()),
            0x32 => Value::Int(i32::from_le_bytes(self.array_of()?).into()),
            0x33 => Value::Int(i64::from_le_bytes(self.array_of()?)),
            0x35 => Value::Float(f32::from_le_bytes(self.array_of()?).into()),
            0x36 => Value::Float(f64::from_le_bytes(self.array_of()?)),
            0x40..=0x60 => self.text(u64::from(tag - 0x40))?,
            0x61..=0x64 => {
                let length = self.wide(tag - 0x61)?;
                self.text(length)?
            }
            0x6F => Value::Text(utf8(self.until(0x00)?, offset)?),
            0x70..=0x90 => self.data(u64::from(tag - 0x70))?,
            0x91..=0x94 => {
                let length = self.wide(tag - 0x91)?;
                self.data(length)?
            }
            0x9F => Value::Data(self.until(0x03)?.to_vec()),
            _ => return Err(DecodeError::Tag { tag, offset }),
        })
    }

    fn text(&mut self, length: u64) -> Result<Value, DecodeError> {
        let offset = self.offset;
        Ok(Value::Text(utf8(self.take(length)?, offset)?))
    }

    fn data(&mut self, length: u64) -> Result<Value, DecodeError> {
        Ok(Value::Data(self.take(length)?.to_vec()))
    }

    fn array(&mut self, tag: u8, depth: usize) -> Result<Value, DecodeError> {
        let mut values = Vec::new();
        while self.goes_on(tag - 0xD0, values.len())? {
            values.push(self.value(depth + 1)?);
        }
        Ok(Value::Array(values))
    }

    fn dict(&mut self, tag: u8, depth: usize) -> Result<Value, DecodeError> {
        let mut pairs = Vec::new();
        while self.goes_on(tag - 0xE0, pairs.len())? {
            let key = self.value(depth + 1)?;
            pairs.push((key, self.value(depth + 1)?));
        }
        Ok(Value::Dict(pairs))
    }

    /// Whether a container that has `count` entries has more: 0 to 14 of them, or 15 for a
    /// terminator after the last.
    fn goes_on(&mut self, entries: u8, count: usize) -> Result<bool, DecodeError> {
        if entries < 15 {
            return Ok(count < usize::from(entries));
        }
        let terminated = self.bytes.get(self.offset) == Some(&0x03);
        self.offset += usize::from(terminated);
        Ok(!terminated)
    }

    /// A value that was there before: indices up to 32 are within the tag, others follow it in 1, 2,
    /// 4 or 8 bytes.
    fn reference(&mut self, tag: u8, offset: usize) -> Result<Value, DecodeError> {
        let index = match tag {
            0xA0..=0xC0 => u64::from(tag - 0xA0),
            _ => self.wide(tag - 0xC1)?,
        };
        let missing = DecodeError::Reference { index, offset };
        let encoding = self.seen.at(index).ok_or(missing)?;
        if self.seen.repeated > MAX_PAYLOAD {
            return Err(DecodeError::Inflated);
        }
        let mut reader = Reader::new(encoding);
        let tag = reader.byte()?;
        reader.scalar(tag, 0)
    }

    /// A number of 1, 2, 4 or 8 bytes for `width` 0 to 3.
    fn wide(&mut self, width: u8) -> Result<u64, DecodeError> {
        let mut number = [0; 8];
        let bytes = self.take(1 << width)?;
        number[..bytes.len()].copy_from_slice(bytes);
        Ok(u64::from_le_bytes(number))
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        self.array_of().map(|[byte]| byte)
    }

    fn array_of<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64)?);
        Ok(array)
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8], DecodeError> {
        let rest = &self.bytes[self.offset..];
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count > rest.len() {
            return Err(DecodeError::Truncated {
                offset: self.bytes.len(),
                missing: count - rest.len(),
            });
        }
        self.offset += count;
        Ok(&rest[..count])
    }

    /// What is before the next `terminator`, which is taken too.
    fn until(&mut self, terminator: u8) -> Result<&'a [u8], DecodeError> {
        let rest = &self.bytes[self.offset..];
        let Some(length) = rest.iter().position(|&byte| byte == terminator) else {
            return Err(DecodeError::Truncated {
                offset: self.bytes.len(),
                missing: 1,
            });
        };
        self.offset += length + 1;
        Ok(&rest[..length])
    }
}

fn utf8(bytes: &[u8], offset: usize) -> Result<String, DecodeError> {
    let text = std::str::from_utf8(bytes).map_err(|_| DecodeError::Text { offset })?;
    Ok(text.to_owned())
}

/// What back-references point to: distinct scalars of more than one byte, in order of first
/// appearance. Nothing is compared before the first back-reference comes.
#[derive(Default)]
struct Seen<'a> {
    noted: Vec<&'a [u8]>,
    known: HashSet<&'a [u8]>,
    distinct: Vec<&'a [u8]>,
    /// Bytes that back-references have repeated.
    repeated: usize,
}

impl<'a> Seen<'a> {
    fn note(&mut self, encoding: &'a [u8]) {
        if encoding.len() > 1 {
            self.noted.push(encoding);
        }
    }

    fn at(&mut self, index: u64) -> Option<&'a [u8]> {
        for encoding in self.noted.drain(..) {
            if self.known.insert(encoding) {
                self.distinct.push(encoding);
            }
        }
        let encoding = *self.distinct.get(usize::try_from(index).ok()?)?;
        self.repeated += encoding.len();
        Some(encoding)
    }
}
