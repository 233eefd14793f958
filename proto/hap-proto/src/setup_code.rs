//! The setup code, which the user reads and types (HAP R1 §4.3).

use std::fmt;
use std::str::FromStr;

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Codes that must not be used besides those of eight equal digits (HAP R1 §4.3.2).
const TRIVIAL: [u32; 2] = [12_345_678, 87_654_321];

/// Number of codes of eight digits.
const CODES: u32 = 100_000_000;

/// A setup code of the form `XXX-XX-XXX` that is not one of the forbidden ones.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct SetupCode {
    digits: u32,
    text: String,
}

/// Why a text is no setup code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetupCodeError {
    /// It has another form.
    #[error("a setup code has the form XXX-XX-XXX, where X is a digit")]
    Form,
    /// It is one of the codes that are forbidden because anybody would guess them.
    #[error("this setup code is too easy to guess and forbidden by HAP")]
    Forbidden,
}

impl SetupCode {
    /// A random code; `random` fills a slice from a secure generator.
    pub fn generate(mut random: impl FnMut(&mut [u8])) -> Self {
        loop {
            let mut bytes = Zeroizing::new([0; 4]);
            random(&mut *bytes);
            // 27 bits: the least that reach every code, so that few draws are thrown away.
            let digits = u32::from_le_bytes(*bytes) >> 5;
            if digits < CODES && !is_forbidden(digits) {
                return Self::from_digits(digits);
            }
        }
    }

    /// The text with dashes, which is also the password of SRP.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The eight digits as one number.
    pub fn digits(&self) -> u32 {
        self.digits
    }

    fn from_digits(digits: u32) -> Self {
        let plain = Zeroizing::new(format!("{digits:08}"));
        let text = [&plain[..3], &plain[3..5], &plain[5..]].join("-");
        Self { digits, text }
    }
}

impl FromStr for SetupCode {
    type Err = SetupCodeError;

    fn from_str(text: &str) -> Result<Self, SetupCodeError> {
        let groups: Vec<&str> = text.split('-').collect();
        let lengths = groups.iter().map(|group| group.len());
        let plain = Zeroizing::new(groups.concat());
        if !lengths.eq([3, 2, 3]) || !plain.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(SetupCodeError::Form);
        }
        let digits = plain.parse().map_err(|_| SetupCodeError::Form)?;
        if is_forbidden(digits) {
            return Err(SetupCodeError::Forbidden);
        }
        Ok(Self::from_digits(digits))
    }
}

impl fmt::Debug for SetupCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SetupCode(***-**-***)")
    }
}

fn is_forbidden(digits: u32) -> bool {
    digits % 11_111_111 == 0 || TRIVIAL.contains(&digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forbidden_codes_are_refused() {
        let equal = (0..10).map(|d: u8| format!("{d}{d}{d}-{d}{d}-{d}{d}{d}"));
        for text in equal.chain(["123-45-678".into(), "876-54-321".into()]) {
            let code = text.parse::<SetupCode>();
            assert_eq!(code, Err(SetupCodeError::Forbidden), "{text}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "10148005",
            "101-48-05",
            "101-48-0055",
            "1O1-48-005",
            "101 48 005",
            "+01-48-005",
        ] {
            assert_eq!(
                text.parse::<SetupCode>(),
                Err(SetupCodeError::Form),
                "{text}"
            );
        }
    }

    #[test]
    fn leading_zeros_are_kept() {
        let code: SetupCode = "001-02-003".parse().unwrap();
        assert_eq!((code.as_str(), code.digits()), ("001-02-003", 102_003));
    }

    #[test]
    fn forbidden_and_too_large_draws_are_thrown_away() {
        let mut draws = [11_111_111u32, 100_000_000, 12_345_678, 0, 51_808_582].into_iter();
        let code = SetupCode::generate(|out| {
            out.copy_from_slice(&(draws.next().unwrap() << 5).to_le_bytes());
        });
        assert_eq!(code.as_str(), "518-08-582");
    }

    #[test]
    fn debug_does_not_show_the_code() {
        let code: SetupCode = "518-08-582".parse().unwrap();
        assert!(!format!("{code:?}").contains("518"));
    }
}
