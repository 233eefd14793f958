use std::time::Duration;

use crate::{NtpTime, ReportBlock};

/// Losses and jitter of one received stream (RFC 3550 §A.1, §A.3, §A.8).
#[derive(Debug, Clone)]
pub struct ReceiverStatistics {
    ssrc: u32,
    clock_rate: u32,
    sequence: Option<Extended>,
    received: u64,
    /// Jitter in 1/16 of a unit of the media clock.
    jitter: u64,
    /// Arrival less timestamp of the last packet, in units of the media clock.
    transit: Option<u32>,
    /// Expected and received packets at the last report.
    reported: (u64, u64),
    sender_report: Option<(NtpTime, Duration)>,
}

/// Sequence numbers with their wraps.
#[derive(Debug, Clone, Copy)]
struct Extended {
    first: u16,
    highest: u64,
    /// A second packet with this number makes a jump a restart.
    suspect: Option<u16>,
}

/// A jump ahead by more is a restart, if the next packet confirms it.
const MAX_DROPOUT: u16 = 3000;

/// A packet late by more is not late, but a jump.
const MAX_MISORDER: u16 = 100;

impl ReceiverStatistics {
    /// Of the source `ssrc`, whose timestamps count `clock_rate` per second.
    pub fn new(ssrc: u32, clock_rate: u32) -> Self {
        Self {
            ssrc,
            clock_rate,
            sequence: None,
            received: 0,
            jitter: 0,
            transit: None,
            reported: (0, 0),
            sender_report: None,
        }
    }

    /// A packet has come. `arrival` is the time since any fixed instant.
    pub fn packet(&mut self, sequence: u16, timestamp: u32, arrival: Duration) {
        let counts = match &mut self.sequence {
            Some(extended) => extended.update(sequence),
            None => Counts::Restart,
        };
        match counts {
            Counts::No => return,
            Counts::Yes => {}
            Counts::Restart => self.restart(sequence),
        }
        self.received += 1;
        self.update_jitter(timestamp, arrival);
    }

    /// A sender report has come at `arrival`.
    pub fn sender_report(&mut self, ntp: NtpTime, arrival: Duration) {
        self.sender_report = Some((ntp, arrival));
    }

    /// Packets that came, repeated ones included.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Packets that should have come.
    pub fn expected(&self) -> u64 {
        let packets = |s: &Extended| s.highest - u64::from(s.first) + 1;
        self.sequence.as_ref().map_or(0, packets)
    }

    /// Packets that did not come; negative where repeated packets outnumber losses.
    pub fn lost(&self) -> i64 {
        self.expected() as i64 - self.received as i64
    }

    /// Interarrival jitter in units of the media clock.
    pub fn jitter(&self) -> u32 {
        (self.jitter >> 4) as u32
    }

    /// The report block to be sent at `now`; begins a new interval for the fraction lost.
    pub fn report_block(&mut self, now: Duration) -> ReportBlock {
        let mut block = ReportBlock {
            ssrc: self.ssrc,
            fraction_lost: self.fraction_lost(),
            cumulative_lost: self.lost().clamp(i32::MIN.into(), i32::MAX.into()) as i32,
            highest_sequence: self.sequence.map_or(0, |s| s.highest as u32),
            jitter: self.jitter(),
            ..ReportBlock::default()
        };
        if let Some((ntp, arrival)) = self.sender_report {
            block.last_sender_report = ntp.compact();
            block.set_delay(now.saturating_sub(arrival));
        }
        block
    }

    fn restart(&mut self, sequence: u16) {
        self.sequence = Some(Extended {
            first: sequence,
            highest: sequence.into(),
            suspect: None,
        });
        self.received = 0;
        self.reported = (0, 0);
        self.transit = None;
    }

    fn update_jitter(&mut self, timestamp: u32, arrival: Duration) {
        let units = arrival.as_nanos() * u128::from(self.clock_rate) / 1_000_000_000;
        let transit = (units as u32).wrapping_sub(timestamp);
        if let Some(last) = self.transit.replace(transit) {
            let difference = (transit.wrapping_sub(last) as i32).unsigned_abs();
            self.jitter += u64::from(difference);
            self.jitter -= (self.jitter - u64::from(difference) + 8) >> 4;
        }
    }

    fn fraction_lost(&mut self) -> u8 {
        let now = (self.expected(), self.received);
        let (expected, received) = (now.0 - self.reported.0, now.1 - self.reported.1);
        self.reported = now;
        match expected.saturating_sub(received) {
            0 => 0,
            lost => (256 * lost / expected).min(255) as u8,
        }
    }
}

/// Whether a packet counts.
enum Counts {
    Yes,
    No,
    Restart,
}

impl Extended {
    fn update(&mut self, sequence: u16) -> Counts {
        let ahead = sequence.wrapping_sub(self.highest as u16);
        if ahead < MAX_DROPOUT {
            self.highest += u64::from(ahead);
        } else if ahead <= u16::MAX - MAX_MISORDER + 1 {
            return self.jump(sequence);
        }
        self.suspect = None;
        Counts::Yes
    }

    fn jump(&mut self, sequence: u16) -> Counts {
        if self.suspect == Some(sequence) {
            return Counts::Restart;
        }
        self.suspect = Some(sequence.wrapping_add(1));
        Counts::No
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn feed(statistics: &mut ReceiverStatistics, sequences: &[u16]) {
        for &sequence in sequences {
            statistics.packet(sequence, 0, ms(0));
        }
    }

    #[test]
    fn losses_are_counted_across_the_wrap() {
        let mut statistics = ReceiverStatistics::new(7, 90_000);
        feed(&mut statistics, &[0xfffe, 0xffff, 1, 2]);
        assert_eq!((statistics.expected(), statistics.received()), (5, 4));
        assert_eq!(statistics.lost(), 1);
        let block = statistics.report_block(ms(0));
        assert_eq!(block.highest_sequence, 0x1_0002);
        assert_eq!((block.fraction_lost, block.cumulative_lost), (51, 1));
    }

    #[test]
    fn the_fraction_is_that_of_the_interval() {
        let mut statistics = ReceiverStatistics::new(7, 90_000);
        feed(&mut statistics, &[1, 2, 4, 5]);
        assert_eq!(statistics.report_block(ms(0)).fraction_lost, 51);
        feed(&mut statistics, &[6, 7]);
        let block = statistics.report_block(ms(0));
        assert_eq!((block.fraction_lost, block.cumulative_lost), (0, 1));
        feed(&mut statistics, &[7, 7]);
        let block = statistics.report_block(ms(0));
        assert_eq!((block.fraction_lost, block.cumulative_lost), (0, -1));
    }

    #[test]
    fn late_packets_fill_their_gap() {
        let mut statistics = ReceiverStatistics::new(7, 90_000);
        feed(&mut statistics, &[10, 12, 11, 13]);
        assert_eq!(statistics.lost(), 0);
        assert_eq!(statistics.report_block(ms(0)).highest_sequence, 13);
    }

    #[test]
    fn a_jump_restarts_only_if_the_next_packet_confirms_it() {
        let mut statistics = ReceiverStatistics::new(7, 90_000);
        feed(&mut statistics, &[1, 2, 30_000, 3]);
        assert_eq!((statistics.expected(), statistics.lost()), (3, 0));
        feed(&mut statistics, &[40_000, 40_001, 40_002]);
        assert_eq!((statistics.expected(), statistics.received()), (2, 2));
    }

    #[test]
    fn even_arrival_has_no_jitter_and_uneven_has() {
        let mut even = ReceiverStatistics::new(7, 8_000);
        let mut uneven = ReceiverStatistics::new(7, 8_000);
        for n in 0..200u16 {
            let late = u64::from(n % 2) * 10;
            even.packet(n, u32::from(n) * 160, ms(20 * u64::from(n)));
            uneven.packet(n, u32::from(n) * 160, ms(20 * u64::from(n) + late));
        }
        assert_eq!(even.jitter(), 0);
        // Every transit time differs from the last one by 10 ms, that is 80 units; the integer
        // formula of the RFC stops just below.
        assert_eq!(uneven.jitter(), 79);
    }

    #[test]
    fn a_sender_report_is_quoted_with_its_age() {
        let mut statistics = ReceiverStatistics::new(7, 90_000);
        let ntp = NtpTime::from_bits(0x1111_2222_3333_4444);
        statistics.sender_report(ntp, ms(1000));
        let block = statistics.report_block(ms(1500));
        assert_eq!(block.last_sender_report, 0x2222_3333);
        assert_eq!(block.delay_since_last_sender_report, 0x8000);
    }
}
