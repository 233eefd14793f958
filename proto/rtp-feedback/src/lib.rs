//! RTCP without IO: reports, feedback and their rules, for both ends of a HomeKit stream.
//!
//! - [`SenderSession`]: the RTCP side of one stream that is sent. Packets and the time go in;
//!   events, reports and the next deadline come out.
//! - [`parse`] and [`Writer`]: compound packets (RFC 3550 §6.1), with PLI (RFC 4585 §6.3.1), FIR,
//!   TMMBR/TMMBN and TSTR/TSTN (RFC 5104 §4), over the `rtcp-types` crate.
//! - [`ReceiverStatistics`]: losses and jitter as a receiver reports them (RFC 3550 §A).
//!
//! Nothing here does IO or reads a clock.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod entries;
mod error;
mod event;
mod gate;
mod message;
mod ntp;
mod repetition;
mod report;
mod round_trip;
mod sender_statistics;
mod session;
mod silence;
mod statistics;
mod tmmb;
mod trade_off;
mod writer;

pub use error::Error;
pub use event::{Cause, Event};
pub use gate::KeyFrameGate;
pub use message::{Member, Message, members, parse};
pub use ntp::NtpTime;
pub use repetition::RepetitionFilter;
pub use report::{ReportBlock, SenderInfo};
pub use round_trip::RoundTrip;
pub use sender_statistics::SenderStatistics;
pub use session::{ReportTime, SenderConfig, SenderSession};
pub use silence::Silence;
pub use statistics::ReceiverStatistics;
pub use tmmb::TmmbEntry;
pub use trade_off::TradeOffEntry;
pub use writer::Writer;

/// Longest compound packet that is read: more than fits any network.
pub const MAX_COMPOUND: usize = 2048;

/// Whether the datagram is RTCP and not RTP on a port that carries both (RFC 5761 §4): its second
/// byte is 192 to 223.
pub fn is_rtcp(datagram: &[u8]) -> bool {
    matches!(datagram.get(1), Some(192..=223))
}

#[cfg(test)]
mod tests {
    #[test]
    fn rtcp_is_told_from_rtp_by_its_second_byte() {
        assert!(super::is_rtcp(&[0x80, 200]));
        assert!(super::is_rtcp(&[0x81, 206]));
        assert!(!super::is_rtcp(&[0x80, 99]));
        assert!(!super::is_rtcp(&[0x80, 0x80 | 110]));
        assert!(!super::is_rtcp(&[0x80]));
    }
}
