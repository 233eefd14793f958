//! Bytes as hexadecimal text.

use zeroize::Zeroizing;

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, b| {
            let _ = write!(text, "{b:02x}");
            text
        })
}

pub(super) fn unhex(field: &str, text: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    let digits = text.as_bytes();
    let pair = |p: &[u8]| {
        let nibble = |c: u8| char::from(c).to_digit(16);
        Some((nibble(p[0])? * 16 + nibble(p[1])?) as u8)
    };
    let bytes: Option<Vec<u8>> = digits.chunks_exact(2).map(pair).collect();
    match bytes {
        Some(bytes) if digits.len() % 2 == 0 => Ok(Zeroizing::new(bytes)),
        _ => Err(format!("{field} is not hexadecimal")),
    }
}

pub(super) fn unhex_array<const N: usize>(field: &str, text: &str) -> Result<[u8; N], String> {
    let bytes = unhex(field, text)?;
    bytes
        .as_slice()
        .try_into()
        .map_err(|_| format!("{field} has {} bytes, {N} expected", bytes.len()))
}
