//! Service and characteristic types.

use std::fmt;

/// Everything but the first 32 bits of Apple-defined types (HAP R1 §5.6.1).
const BASE: u128 = 0x0000_0000_0000_1000_8000_0026_BB76_5291;

/// The type of a service or characteristic.
///
/// Shows itself as HAP wants it in JSON: Apple-defined types in the short form without leading
/// zeros, all others as 36 characters; upper case (HAP R1 §5.6.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uuid(u128);

impl Uuid {
    /// The Apple-defined type with this short form, e.g. `0x3E`.
    pub const fn short(short: u32) -> Self {
        Self(((short as u128) << 96) | BASE)
    }

    /// A type by its 128 bits, most significant first.
    pub const fn from_u128(bits: u128) -> Self {
        Self(bits)
    }

    /// Reads the short form (1 to 8 hexadecimal digits) or the 36-character form, in either case.
    ///
    /// Returns `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        match text.len() {
            1..=8 => Some(Self::short(hex(text)? as u32)),
            36 => Self::parse_full(text),
            _ => None,
        }
    }

    /// The short form, if this is an Apple-defined type.
    pub const fn short_form(self) -> Option<u32> {
        let short = (self.0 >> 96) as u32;
        if self.0 == Self::short(short).0 {
            Some(short)
        } else {
            None
        }
    }

    fn parse_full(text: &str) -> Option<Self> {
        let groups: Vec<&str> = text.split('-').collect();
        let lengths = groups.iter().map(|group| group.len());
        if !lengths.eq([8, 4, 4, 4, 12]) {
            return None;
        }
        hex(&groups.concat()).map(Self)
    }
}

fn hex(text: &str) -> Option<u128> {
    let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits
        .then(|| u128::from_str_radix(text, 16).ok())
        .flatten()
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(short) = self.short_form() {
            return write!(f, "{short:X}");
        }
        let digits = format!("{:032X}", self.0);
        let groups = [
            &digits[..8],
            &digits[8..12],
            &digits[12..16],
            &digits[16..20],
            &digits[20..],
        ];
        f.write_str(&groups.join("-"))
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uuid({self})")
    }
}

impl serde::Serialize for Uuid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of HAP R1 §5.6.1.
    #[test]
    fn apple_types_are_short_without_leading_zeros() {
        for (full, short) in [
            ("0000003E-0000-1000-8000-0026BB765291", "3E"),
            ("00000001-0000-1000-8000-0026BB765291", "1"),
            ("00000F25-0000-1000-8000-0026BB765291", "F25"),
            ("0000BBAB-0000-1000-8000-0026BB765291", "BBAB"),
            ("010004FF-0000-1000-8000-0026BB765291", "10004FF"),
            ("FF000000-0000-1000-8000-0026BB765291", "FF000000"),
        ] {
            let uuid = Uuid::parse(full).expect("valid");
            assert_eq!(uuid.to_string(), short);
            assert_eq!(Uuid::parse(short), Some(uuid));
        }
    }

    #[test]
    fn other_types_are_written_in_full() {
        let text = "12345678-9ABC-DEF0-1234-56789ABCDEF0";
        let uuid = Uuid::parse(&text.to_lowercase()).expect("valid");
        assert_eq!(uuid.to_string(), text);
        assert_eq!(uuid.short_form(), None);
    }

    #[test]
    fn what_is_no_type_is_refused() {
        for text in [
            "",
            "3G",
            "+3",
            "123456789",
            "0000003E-0000-1000-80000-026BB765291",
            "0000003E00000-1000-8000-0026BB765291",
        ] {
            assert_eq!(Uuid::parse(text), None, "{text}");
        }
    }
}
