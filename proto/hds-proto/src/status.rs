//! How requests and streams end.

use std::fmt;

/// The status of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// 0: it worked.
    Success,
    /// 1: no memory.
    OutOfMemory,
    /// 2: it took too long; also what a request ends with that nobody answers.
    Timeout,
    /// 3: the header is wrong, or the topic unknown.
    HeaderError,
    /// 4: the message is wrong.
    PayloadError,
    /// 5: the protocol is unknown.
    MissingProtocol,
    /// 6: an error of the protocol itself; the message tells which.
    ProtocolError,
    /// Any other code.
    Other(i64),
}

impl Status {
    /// The number on the wire.
    pub fn code(self) -> i64 {
        match self {
            Self::Success => 0,
            Self::OutOfMemory => 1,
            Self::Timeout => 2,
            Self::HeaderError => 3,
            Self::PayloadError => 4,
            Self::MissingProtocol => 5,
            Self::ProtocolError => 6,
            Self::Other(code) => code,
        }
    }

    /// What a number on the wire means.
    pub fn from_code(code: i64) -> Self {
        match code {
            0 => Self::Success,
            1 => Self::OutOfMemory,
            2 => Self::Timeout,
            3 => Self::HeaderError,
            4 => Self::PayloadError,
            5 => Self::MissingProtocol,
            6 => Self::ProtocolError,
            code => Self::Other(code),
        }
    }
}

/// Why a stream is refused or closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// 0: it is over.
    Normal,
    /// 1: recording or the camera is switched off.
    NotAllowed,
    /// 2: there is a stream already.
    Busy,
    /// 3: given up.
    Cancelled,
    /// 4: not known here.
    Unsupported,
    /// 5: something broke, or the stream's target or type is wrong.
    UnexpectedFailure,
    /// 6: it took too long.
    Timeout,
    /// 7: the data are wrong.
    BadData,
    /// 8: the peer broke the rules.
    ProtocolError,
    /// 9: no recording configuration was selected.
    InvalidConfiguration,
}

impl Reason {
    const ALL: [Self; 10] = [
        Self::Normal,
        Self::NotAllowed,
        Self::Busy,
        Self::Cancelled,
        Self::Unsupported,
        Self::UnexpectedFailure,
        Self::Timeout,
        Self::BadData,
        Self::ProtocolError,
        Self::InvalidConfiguration,
    ];

    /// The number on the wire.
    pub fn code(self) -> i64 {
        self as i64
    }

    /// What a number on the wire means.
    pub fn from_code(code: i64) -> Option<Self> {
        Self::ALL.get(usize::try_from(code).ok()?).copied()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Normal => "normal",
            Self::NotAllowed => "not allowed",
            Self::Busy => "busy",
            Self::Cancelled => "cancelled",
            Self::Unsupported => "unsupported",
            Self::UnexpectedFailure => "unexpected failure",
            Self::Timeout => "timeout",
            Self::BadData => "bad data",
            Self::ProtocolError => "protocol error",
            Self::InvalidConfiguration => "invalid configuration",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_what_they_came_from() {
        for code in 0..10 {
            assert_eq!(Reason::from_code(code).unwrap().code(), code);
        }
        for code in [-1, 10, i64::MIN, i64::MAX] {
            assert_eq!(Reason::from_code(code), None);
        }
        for code in [-1, 0, 1, 2, 3, 4, 5, 6, 7, i64::MAX] {
            assert_eq!(Status::from_code(code).code(), code);
        }
        assert_eq!(Status::from_code(6), Status::ProtocolError);
    }
}
