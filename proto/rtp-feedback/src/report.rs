use std::time::Duration;

use crate::NtpTime;
use crate::ntp::{from_compact, to_compact};

/// What a sender says of itself (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SenderInfo {
    /// Wall clock time of the report.
    pub ntp: NtpTime,
    /// RTP timestamp of the same instant.
    pub rtp_timestamp: u32,
    /// Packets sent so far, modulo 2^32.
    pub packets: u32,
    /// Payload octets sent so far, without headers and padding, modulo 2^32.
    pub octets: u32,
}

/// What a receiver says of a source (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReportBlock {
    /// The source.
    pub ssrc: u32,
    /// Share of packets lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost since the beginning; negative where repeated packets outnumber losses. 24 bits
    /// on the wire.
    pub cumulative_lost: i32,
    /// Highest sequence number received, with the count of wraps in the upper 16 bits.
    pub highest_sequence: u32,
    /// Interarrival jitter in units of the media clock.
    pub jitter: u32,
    /// Compact NTP time of the last sender report received; 0: none yet.
    pub last_sender_report: u32,
    /// Time since that report, in 1/65536 s.
    pub delay_since_last_sender_report: u32,
}

impl ReportBlock {
    /// Round trip time, for a report that arrived at `arrival` by the clock of our own sender
    /// reports. `None` if the peer has no sender report yet.
    ///
    /// A result below zero, which only clock noise can cause, is given as zero.
    pub fn round_trip_time(&self, arrival: NtpTime) -> Option<Duration> {
        if self.last_sender_report == 0 {
            return None;
        }
        let elapsed = arrival.compact().wrapping_sub(self.last_sender_report);
        let trip = elapsed.wrapping_sub(self.delay_since_last_sender_report);
        let trip = if trip > u32::MAX / 2 { 0 } else { trip };
        Some(from_compact(trip))
    }

    /// Notes the time since the last sender report.
    pub(crate) fn set_delay(&mut self, since: Duration) {
        self.delay_since_last_sender_report = to_compact(since);
    }

    pub(crate) fn read(block: &rtcp_types::ReportBlock<'_>) -> Self {
        Self {
            ssrc: block.ssrc(),
            fraction_lost: block.fraction_lost(),
            cumulative_lost: sign_extend_24(block.cumulative_lost()),
            highest_sequence: block.extended_sequence_number(),
            jitter: block.interarrival_jitter(),
            last_sender_report: block.last_sender_report_timestamp(),
            delay_since_last_sender_report: block.delay_since_last_sender_report_timestamp(),
        }
    }

    pub(crate) fn write(&self) -> rtcp_types::ReportBlockBuilder {
        rtcp_types::ReportBlock::builder(self.ssrc)
            .fraction_lost(self.fraction_lost)
            .cumulative_lost(clamp_24(self.cumulative_lost))
            .extended_sequence_number(self.highest_sequence)
            .interarrival_jitter(self.jitter)
            .last_sender_report_timestamp(self.last_sender_report)
            .delay_since_last_sender_report_timestamp(self.delay_since_last_sender_report)
    }
}

fn sign_extend_24(value: u32) -> i32 {
    (value << 8) as i32 >> 8
}

/// 24 bits of two's complement, as RFC 3550 §A.3 clamps them.
fn clamp_24(value: i32) -> u32 {
    value.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 3550 §6.4.1, figure 2.
    #[test]
    fn round_trip_time_of_the_rfc() {
        let block = ReportBlock {
            last_sender_report: 0xb705_2000,
            delay_since_last_sender_report: 0x0005_4000,
            ..ReportBlock::default()
        };
        let arrival = NtpTime::from_bits(0xb710_8000 << 16);
        let trip = block.round_trip_time(arrival).unwrap();
        assert_eq!(trip, Duration::from_millis(6125));
    }

    #[test]
    fn without_sender_report_there_is_no_round_trip() {
        assert_eq!(
            ReportBlock::default().round_trip_time(NtpTime::default()),
            None
        );
    }

    #[test]
    fn clock_noise_does_not_make_a_round_trip_of_hours() {
        let block = ReportBlock {
            last_sender_report: 1000,
            delay_since_last_sender_report: 10,
            ..ReportBlock::default()
        };
        let arrival = NtpTime::from_bits(1005 << 16);
        assert_eq!(block.round_trip_time(arrival), Some(Duration::ZERO));
    }

    #[test]
    fn losses_have_24_bits_with_sign() {
        for (value, wire) in [
            (-1, 0xff_ffff),
            (i32::MIN, 0x80_0000),
            (i32::MAX, 0x7f_ffff),
        ] {
            assert_eq!(clamp_24(value), wire);
        }
        assert_eq!(sign_extend_24(0xff_ffff), -1);
        assert_eq!(sign_extend_24(0x7f_ffff), 0x7f_ffff);
    }
}
