//! SRTP and SRTCP (RFC 3711, RFC 6188), in place and without an allocation per packet.
//!
//! [`Sender`] protects what one side sends, [`Receiver`] authenticates and decrypts what it hears.
//! Both take one [`MasterKey`]: in HomeKit each direction of a stream has its own.
//!
//! ```
//! use srtp::{MasterKey, Receiver, Sender, Suite};
//!
//! let key = MasterKey::new(Suite::AesCm128HmacSha1_80, &[1; 16], &[2; 14])?;
//! let (mut sender, mut receiver) = (Sender::new(&key), Receiver::new(&key));
//!
//! let mut packet = vec![0x80, 99, 0, 1, 0, 0, 0, 0, 0xde, 0xad, 0xbe, 0xef, b'h', b'i'];
//! sender.protect_rtp(&mut packet)?;
//! let len = receiver.unprotect_rtp(&mut packet)?;
//! assert_eq!(&packet[12..len], b"hi");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod cipher;
mod error;
mod header;
mod index;
mod kdf;
mod key;
mod mac;
mod receiver;
mod replay;
mod sender;
mod session;
mod sources;

pub use error::{Error, KeyError};
pub use key::{MasterKey, Suite};
pub use receiver::Receiver;
pub use sender::Sender;

/// Bytes that protection adds to an RTP packet: the authentication tag.
pub const RTP_OVERHEAD: usize = TAG_LEN;

/// Bytes that protection adds to an RTCP packet: E bit with index, and the authentication tag.
pub const RTCP_OVERHEAD: usize = INDEX_LEN + TAG_LEN;

/// Synchronisation sources one [`Sender`] or [`Receiver`] keeps state for.
///
/// A HomeKit stream has one per direction; the bound keeps memory fixed whatever a peer sends.
pub const MAX_SOURCES: usize = 16;

/// Length of the authentication tag of both suites: 80 bits.
const TAG_LEN: usize = 10;

/// Length of the word with E bit and SRTCP index (RFC 3711 §3.4).
const INDEX_LEN: usize = 4;

#[cfg(test)]
mod vectors;
