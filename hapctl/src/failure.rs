//! What can go wrong, whose fault it is, and what to do next.

use std::fmt;
use std::process::ExitCode;

/// Class of a failure; its number is the exit code of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Anything without a class of its own.
    Other = 1,
    /// The command line or a value on it makes no sense.
    Usage = 2,
    /// The accessory does not answer: no route, refused, timed out, closed.
    Unreachable = 3,
    /// Wrong setup code, not paired, or the accessory is not who it was.
    Authentication = 4,
    /// The accessory understood and said no (HAP status, busy, HTTP error).
    Refused = 5,
    /// No such alias, accessory or characteristic.
    NotFound = 6,
    /// A stream was set up but no media came.
    NoMedia = 7,
    /// The store cannot be read or written.
    Store = 8,
    /// The peer broke the protocol.
    Protocol = 9,
}

impl Kind {
    /// The word used in JSON output.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Other => "other",
            Self::Usage => "usage",
            Self::Unreachable => "unreachable",
            Self::Authentication => "authentication",
            Self::Refused => "refused",
            Self::NotFound => "not-found",
            Self::NoMedia => "no-media",
            Self::Store => "store",
            Self::Protocol => "protocol",
        }
    }
}

/// A failure as the person at the terminal sees it.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    message: String,
    hint: Option<String>,
}

/// Result with a [`Failure`].
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A failure of class `kind`.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
        }
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Puts what was being done in front of the message.
    #[must_use]
    pub fn context(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// The class.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What to do next, if known.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The exit code of the program after this failure.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.kind as u8)
    }

    /// The failure as one JSON object.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "error": self.message,
            "kind": self.kind.word(),
            "exit_code": self.kind as u8,
            "hint": self.hint,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<hap_transport::TransportError> for Failure {
    fn from(e: hap_transport::TransportError) -> Self {
        use hap_transport::TransportError as T;
        match &e {
            T::Io(_) | T::ConnectionClosed | T::SessionClosed | T::NoResponse => {
                Self::new(Kind::Unreachable, e.to_string())
            }
            T::Mdns(_) => Self::new(Kind::Other, e.to_string()),
            _ => Self::new(Kind::Protocol, e.to_string()),
        }
    }
}

impl From<hap_crypto::CryptoError> for Failure {
    fn from(e: hap_crypto::CryptoError) -> Self {
        use hap_crypto::CryptoError as C;
        match &e {
            C::SrpProofMismatch | C::Signature | C::Aead => {
                Self::new(Kind::Authentication, e.to_string())
            }
            _ => Self::new(Kind::Protocol, e.to_string()),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(e: std::io::Error) -> Self {
        Self::new(Kind::Other, e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_keeps_kind_and_hint() {
        let f = Failure::new(Kind::Refused, "busy")
            .hint("wait")
            .context("Start");
        assert_eq!(f.to_string(), "Start: busy");
        assert_eq!(f.kind(), Kind::Refused);
        assert_eq!(f.to_json()["hint"], "wait");
        assert_eq!(f.to_json()["exit_code"], 5);
    }
}
