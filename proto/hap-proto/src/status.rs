//! HAP status codes.

use std::fmt;

/// A HAP status code (HAP R1 §5.7.1.4, Table 5-12; −70412 came later).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Status {
    /// The request succeeded.
    Success = 0,
    /// The controller may not do this.
    InsufficientPrivileges = -70401,
    /// The service cannot be reached, for instance because its power is off.
    UnableToCommunicate = -70402,
    /// Busy; the controller may try again.
    Busy = -70403,
    /// A write to a characteristic that can only be read.
    ReadOnly = -70404,
    /// A read of a characteristic that can only be written.
    WriteOnly = -70405,
    /// The characteristic does not support notifications.
    NotificationNotSupported = -70406,
    /// Out of resources.
    OutOfResources = -70407,
    /// The operation took too long.
    Timeout = -70408,
    /// The resource does not exist.
    NotFound = -70409,
    /// A value of the request is invalid.
    InvalidValue = -70410,
    /// The authorization data is missing or wrong.
    InsufficientAuthorization = -70411,
    /// Not allowed in the current state.
    NotAllowedInCurrentState = -70412,
}

impl Status {
    /// The number that goes on the wire.
    pub const fn code(self) -> i32 {
        self as i32
    }

    /// Whether this is [`Status::Success`].
    pub const fn is_success(self) -> bool {
        matches!(self, Status::Success)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HAP status {}", self.code())
    }
}

impl std::error::Error for Status {}

impl serde::Serialize for Status {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i32(self.code())
    }
}
