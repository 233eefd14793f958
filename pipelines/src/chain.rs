//! Elements with settings, linked to chains, printed in launch syntax.

use std::fmt;

/// One element: factory name and settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    factory: String,
    settings: Vec<(String, String)>,
    launch: bool,
}

impl Element {
    /// An element of this factory with default settings.
    pub fn new(factory: impl Into<String>) -> Self {
        Self {
            factory: factory.into(),
            settings: Vec::new(),
            launch: false,
        }
    }

    /// A capsfilter. `caps` is printed as it is: not for text from outside.
    pub fn caps(caps: impl Into<String>) -> Self {
        Self::new("capsfilter").set("caps", caps.into())
    }

    /// Launch text of someone who may write any; printed as it is.
    pub fn verbatim(launch: impl Into<String>) -> Self {
        Self {
            factory: launch.into(),
            settings: Vec::new(),
            launch: true,
        }
    }

    /// With one more setting; any value is safe.
    #[must_use]
    pub fn set(mut self, name: impl Into<String>, value: impl fmt::Display) -> Self {
        self.settings.push((name.into(), value.to_string()));
        self
    }

    /// Without the settings that `keep` refuses: what a property list of the running system lacks.
    #[must_use]
    pub fn retain(mut self, keep: impl Fn(&str) -> bool) -> Self {
        self.settings.retain(|(name, _)| keep(name));
        self
    }

    /// The factory's name, or the whole text if it is verbatim.
    pub fn factory(&self) -> &str {
        &self.factory
    }

    /// Names and values as set.
    pub fn settings(&self) -> &[(String, String)] {
        &self.settings
    }

    /// This element linked to the next.
    pub fn to(self, next: impl Into<Chain>) -> Chain {
        Chain::from(self).to(next)
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.factory)?;
        for (name, value) in &self.settings {
            write!(f, " {name}={}", Quoted(value))?;
        }
        Ok(())
    }
}

/// Elements linked one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain(Vec<Element>);

impl Chain {
    /// This chain linked to the next.
    #[must_use]
    pub fn to(mut self, next: impl Into<Chain>) -> Self {
        self.0.extend(next.into().0);
        self
    }

    /// Its elements.
    pub fn elements(&self) -> &[Element] {
        &self.0
    }
}

impl From<Element> for Chain {
    fn from(element: Element) -> Self {
        Self(vec![element])
    }
}

impl FromIterator<Element> for Chain {
    fn from_iter<I: IntoIterator<Item = Element>>(elements: I) -> Self {
        Self(elements.into_iter().collect())
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, element) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str(" ! ")?;
            }
            element.fmt(f)?;
        }
        Ok(())
    }
}

/// A value as launch syntax wants it: bare where that is safe, else in quotes with `\` and `"` escaped.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_bare(self.0) {
            return f.write_str(self.0);
        }
        let value = self.0.replace('\0', "");
        // Behind the launch syntax, GStreamer reads a value that begins with a quote as quoted once more.
        let value = if value.starts_with('"') {
            wrapped(&value)
        } else {
            value
        };
        write!(
            f,
            "\"{}\"",
            value.replace('\\', "\\\\").replace('"', "\\\"")
        )
    }
}

/// As `gst_string_wrap()` writes it: quotes, `\` before signs, three octal digits for other bytes.
fn wrapped(value: &str) -> String {
    let mut out = String::from("\"");
    for byte in value.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => out.push(char::from(byte)),
            b' '..=b'~' => out.extend(['\\', char::from(byte)]),
            _ => out.push_str(&format!("\\{byte:03o}")),
        }
    }
    out + "\""
}

fn is_bare(value: &str) -> bool {
    !value.is_empty()
        && value
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | '+'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_values_stay_bare() {
        let element = Element::new("x264enc")
            .set("bitrate", 300)
            .set("tune", "zerolatency");
        assert_eq!(element.to_string(), "x264enc bitrate=300 tune=zerolatency");
    }

    #[test]
    fn everything_else_is_quoted() {
        for (value, printed) in [
            ("", r#"f p="""#),
            ("a b", r#"f p="a b""#),
            (r#"a"b\c"#, r#"f p="a\"b\\c""#),
            (
                "x ! filesink location=y",
                r#"f p="x ! filesink location=y""#,
            ),
            ("a\0b", r#"f p="ab""#),
        ] {
            assert_eq!(Element::new("f").set("p", value).to_string(), printed);
        }
    }

    #[test]
    fn chains_are_linked() {
        let chain = Element::new("a")
            .to(Element::new("b"))
            .to(Element::new("c").to(Element::new("d")));
        assert_eq!(chain.to_string(), "a ! b ! c ! d");
        assert_eq!(chain.elements().len(), 4);
    }

    #[test]
    fn unknown_settings_can_be_left_out() {
        let element = Element::new("e")
            .set("known", 1)
            .set("unknown", 2)
            .retain(|name| name == "known");
        assert_eq!(element.to_string(), "e known=1");
    }
}
