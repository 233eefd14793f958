//! What all camera TLVs share.

use hap_tlv8::Writer;

/// Separates repeated items inside a characteristic's TLV; some controllers insist on it.
const SIBLING: u8 = 0x00;

/// Why a camera TLV was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The TLV8 layer found a malformed, missing or mis-sized item.
    #[error("malformed TLV8: {0}")]
    Tlv(#[from] hap_tlv8::Error),
    /// A member has a value that the specification does not know.
    #[error("{field} has the unknown value {value}")]
    Unknown {
        /// Which member.
        field: &'static str,
        /// What was found.
        value: u64,
    },
    /// A member is outside of what can be served.
    #[error("{field} is out of range: {value}")]
    OutOfRange {
        /// Which member.
        field: &'static str,
        /// What was found.
        value: u64,
    },
    /// A selection that was never offered, or an offer without the one thing needed.
    #[error("{field} is not offered")]
    NotOffered {
        /// Which member.
        field: &'static str,
    },
    /// An address that is not the text of an IP address of the announced family.
    #[error("the controller's address is not an IP address of the announced family")]
    Address,
    /// An SRTP key or salt whose length does not fit its suite.
    #[error("SRTP {field} of {actual} bytes, {expected} expected")]
    KeyLength {
        /// `key` or `salt`.
        field: &'static str,
        /// Bytes that the suite needs.
        expected: usize,
        /// Bytes found.
        actual: usize,
    },
}

/// Turns `value` into a narrower integer, or says which field did not fit.
pub(crate) fn narrow<T: TryFrom<u64>>(field: &'static str, value: u64) -> Result<T, DecodeError> {
    T::try_from(value).map_err(|_| DecodeError::OutOfRange { field, value })
}

/// An enumeration with its values on the wire.
macro_rules! wire_enum {
    ($(#[$doc:meta])* $name:ident : $field:literal { $($(#[$vdoc:meta])* $variant:ident = $value:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant = $value),+ }

        impl $name {
            /// The value on the wire.
            #[must_use]
            pub const fn to_wire(self) -> u8 { self as u8 }

            /// Reads the value on the wire.
            ///
            /// # Errors
            /// [`DecodeError::Unknown`](crate::rtp::DecodeError::Unknown) for a value that the specification does not list.
            pub const fn from_wire(value: u64) -> Result<Self, $crate::rtp::DecodeError> {
                match value {
                    $($value => Ok(Self::$variant),)+
                    _ => Err($crate::rtp::DecodeError::Unknown { field: $field, value }),
                }
            }
        }
    };
}

pub(crate) use wire_enum;

/// Writes `items` with the separator between them.
pub(crate) fn each<T>(w: &mut Writer, items: &[T], mut write: impl FnMut(&mut Writer, &T)) {
    for (n, item) in items.iter().enumerate() {
        if n > 0 {
            w.separator(SIBLING);
        }
        write(w, item);
    }
}
