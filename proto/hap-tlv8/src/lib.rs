//! TLV8, the type-length-value format of the HomeKit Accessory Protocol.
//!
//! ```text
//! +------+--------+----------------+
//! | type | length | value          |   type and length: 1 byte each
//! +------+--------+----------------+
//! ```
//!
//! A value of more than 255 bytes is cut into *fragments*: items of the same type that follow each
//! other, of which all but the last have length 255. So an item continues the one before it if the
//! types are equal **and** the one before had length 255; otherwise equal types next to each other
//! are two values (siblings). Lists put a separator between siblings: `FF 00` in pairing messages
//! and `00 00` in characteristic values; controllers were also seen sending none at all.
//!
//! [`Writer`] builds an item list, [`Tlv`] reads one. Neither does IO, and both wipe what they held
//! when dropped, since pairing messages carry keys.
//!
//! ```
//! use hap_tlv8::{Tlv, Writer};
//!
//! let mut writer = Writer::new();
//! writer.u8(6, 1).bytes(3, &[0x2a; 300]);
//! let tlv = Tlv::parse(writer.as_slice())?;
//! assert_eq!(tlv.uint(6)?, 1);
//! assert_eq!(tlv.bytes(3)?.len(), 300);
//! # Ok::<(), hap_tlv8::Error>(())
//! ```

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod error;
mod tlv;
mod writer;

pub use error::Error;
pub use tlv::{Item, Limits, Tlv};
pub use writer::Writer;

/// The type that separates the entries of lists in pairing messages (`FF 00`).
pub const SEPARATOR_PAIRING: u8 = 0xFF;

/// The type that separates siblings in characteristic values (`00 00`).
pub const SEPARATOR_CHARACTERISTIC: u8 = 0x00;

/// The longest value one item can carry; longer ones are fragmented.
pub const MAX_FRAGMENT: usize = 255;

/// Overwrites `bytes`, in a way the optimiser may not remove.
fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    std::hint::black_box(bytes);
}
