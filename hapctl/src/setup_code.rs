//! The setup code, as printed (`XXX-XX-XXX`) or as the QR code carries it (`X-HM://…`).

use std::fmt;

use zeroize::Zeroizing;

use crate::failure::{Failure, Kind, Result};

/// A setup code; not shown by `Debug`, wiped on drop.
pub struct SetupCode(Zeroizing<String>);

impl SetupCode {
    /// Reads `XXX-XX-XXX`, eight digits, or a setup payload `X-HM://…`.
    ///
    /// # Errors
    /// [`Kind::Usage`] when `text` is none of these. The message never repeats the text.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let digits = match text.strip_prefix("X-HM://") {
            Some(payload) => from_payload(payload),
            None => from_digits(text),
        };
        digits.map(|d| Self(hyphenated(&d))).ok_or_else(malformed)
    }

    /// The code in the form Pair Setup hashes, `XXX-XX-XXX`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SetupCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SetupCode(***-**-***)")
    }
}

fn malformed() -> Failure {
    Failure::new(Kind::Usage, "that is not a setup code")
        .hint("write the eight digits as printed, XXX-XX-XXX, or the text of the QR code, X-HM://…")
}

fn hyphenated(d: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("{}-{}-{}", &d[..3], &d[3..5], &d[5..]))
}

/// Eight digits, either plain or with both hyphens in their places.
fn from_digits(text: &str) -> Option<Zeroizing<String>> {
    let hyphens: Vec<usize> = text.match_indices('-').map(|(i, _)| i).collect();
    if !(hyphens.is_empty() || hyphens == [3, 6]) {
        return None;
    }
    let digits = Zeroizing::new(text.replace('-', ""));
    (digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_digit())).then_some(digits)
}

/// Nine base-36 digits, most significant first, whose low 27 bits are the code, then an optional
/// setup ID of four characters.
fn from_payload(payload: &str) -> Option<Zeroizing<String>> {
    let number = payload.get(..9)?;
    if !matches!(payload.len(), 9 | 13) {
        return None;
    }
    let code = u64::from_str_radix(number, 36).ok()? & 0x7FF_FFFF;
    (code <= 99_999_999).then(|| Zeroizing::new(format!("{code:08}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_form_of_one_code_agrees() {
        // HomeKitADK's setup payload test: code 518-08-582, setup ID 7OSX, category 7.
        for text in [
            "518-08-582",
            "51808582",
            " 518-08-582 ",
            "X-HM://0071WK4SM7OSX",
            "X-HM://0071WK4SM",
        ] {
            assert_eq!(SetupCode::parse(text).unwrap().as_str(), "518-08-582");
        }
    }

    #[test]
    fn other_text_is_refused_and_not_repeated() {
        for bad in [
            "",
            "123-45-67",
            "1234-5-678",
            "12345678-",
            "abc-de-fgh",
            "X-HM://",
            "X-HM://zz",
        ] {
            let e = SetupCode::parse(bad).unwrap_err();
            assert_eq!(e.kind(), Kind::Usage, "{bad}");
            assert!(bad.len() < 3 || !e.to_string().contains(bad));
        }
    }

    #[test]
    fn debug_hides_the_code() {
        let shown = format!("{:?}", SetupCode::parse("518-08-582").unwrap());
        assert!(!shown.contains("518"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
            if let Ok(code) = SetupCode::parse(&text) {
                prop_assert_eq!(code.as_str().len(), 10);
            }
        }

        #[test]
        fn any_payload_is_read_or_refused(text in "X-HM://[0-9A-Za-z]{0,16}") {
            let _ = SetupCode::parse(&text);
        }
    }
}
