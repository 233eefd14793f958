//! The controller's own RTP: what came of it, and what our reports say of that.

use std::time::{Duration, Instant};

use rtp_feedback::{Message, ReceiverStatistics, ReportBlock};
use rtp_payload::Header;

use super::media::Codec;

/// One source that is received.
#[derive(Debug)]
pub(crate) struct Reception {
    ssrc: u32,
    start: Instant,
    statistics: ReceiverStatistics,
    clock: Clock,
}

/// Brings timestamps to the clock that receivers of a codec count on.
///
/// HomeKit counts Opus at the negotiated sample rate; RFC 7587 §4.1 has it at 48 kHz.
#[derive(Debug)]
struct Clock {
    rate: u32,
    wanted: u32,
    /// The last timestamp, and what all steps up to it amount to.
    last: Option<(u32, i64)>,
}

/// RTP clock of Opus (RFC 7587 §4.1).
const OPUS_CLOCK_RATE: u32 = 48_000;

impl Reception {
    /// Of the source `ssrc`, whose timestamps count `clock_rate` per second.
    pub(crate) fn new(ssrc: u32, codec: Codec, clock_rate: u32, now: Instant) -> Self {
        Self {
            ssrc,
            start: now,
            statistics: ReceiverStatistics::new(ssrc, clock_rate),
            clock: Clock {
                rate: clock_rate.max(1),
                wanted: talkback_clock_rate(codec, clock_rate),
                last: None,
            },
        }
    }

    pub(crate) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    pub(crate) fn statistics(&self) -> &ReceiverStatistics {
        &self.statistics
    }

    /// Takes note of a packet, and returns its timestamp for the talkback pad.
    pub(crate) fn packet(&mut self, header: &Header, now: Instant) -> u32 {
        let arrival = self.since_start(now);
        self.statistics
            .packet(header.sequence, header.timestamp, arrival);
        self.clock.convert(header.timestamp)
    }

    /// Takes note of the reports in what was heard.
    pub(crate) fn heard(&mut self, messages: &[Message], now: Instant) {
        for message in messages {
            match message {
                Message::SenderReport { ssrc, info, .. } if *ssrc == self.ssrc => {
                    let arrival = self.since_start(now);
                    self.statistics.sender_report(info.ntp, arrival);
                }
                _ => {}
            }
        }
    }

    pub(crate) fn report_block(&mut self, now: Instant) -> ReportBlock {
        let now = self.since_start(now);
        self.statistics.report_block(now)
    }

    fn since_start(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.start)
    }
}

/// Clock rate of the talkback pad's packets.
pub(crate) fn talkback_clock_rate(codec: Codec, clock_rate: u32) -> u32 {
    match codec {
        Codec::Opus => OPUS_CLOCK_RATE,
        _ => clock_rate,
    }
}

impl Clock {
    fn convert(&mut self, timestamp: u32) -> u32 {
        let (last, sum) = self.last.unwrap_or((timestamp, timestamp.into()));
        let sum = sum + i64::from(timestamp.wrapping_sub(last) as i32);
        self.last = Some((timestamp, sum));
        (sum * i64::from(self.wanted) / i64::from(self.rate)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(sequence: u16, timestamp: u32) -> Header {
        Header {
            marker: false,
            payload_type: 110,
            sequence,
            timestamp,
            ssrc: 7,
        }
    }

    #[test]
    fn opus_is_brought_to_48_khz_across_the_wrap_and_back() {
        let now = Instant::now();
        let mut reception = Reception::new(7, Codec::Opus, 16_000, now);
        let first = u32::MAX - 319;
        let base = reception.packet(&header(1, first), now);
        for (sequence, timestamp, step) in [(2, 0, 960), (4, 640, 2880), (3, 320, 1920)] {
            let converted = reception.packet(&header(sequence, timestamp), now);
            assert_eq!(converted.wrapping_sub(base), step);
        }
    }

    #[test]
    fn aac_keeps_its_clock() {
        let now = Instant::now();
        let mut reception = Reception::new(7, Codec::AacEld, 16_000, now);
        assert_eq!(
            reception.packet(&header(1, 4_000_000_000), now),
            4_000_000_000
        );
        assert_eq!(
            reception.packet(&header(2, 4_000_000_480), now),
            4_000_000_480
        );
    }
}
