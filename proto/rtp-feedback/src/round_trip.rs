use std::time::Duration;

/// The round trip time over several reports.
///
/// One report is easily late: a peer that slept between two packets, a retransmission on the
/// radio. So what counts is the lower one of the last measurement and the smoothed one: a single
/// late report then does not make later picture losses look answered.
#[derive(Debug, Default)]
pub struct RoundTrip {
    last: Option<Duration>,
    smoothed: Option<Duration>,
}

/// Longer trips are mistakes, such as the quotation of a report that was never sent.
const LONGEST: Duration = Duration::from_secs(10);

/// Weight of the past, as RFC 6298 §2 has it: 7 of 8 parts.
const PAST: u32 = 7;

impl RoundTrip {
    /// Takes a measurement; one that cannot be true is not taken.
    pub fn measured(&mut self, trip: Duration) {
        if trip > LONGEST {
            return;
        }
        let smoothed = |past: Duration| (past * PAST + trip) / (PAST + 1);
        self.smoothed = Some(self.smoothed.map_or(trip, smoothed));
        self.last = Some(trip);
    }

    /// The last measurement.
    pub fn last(&self) -> Option<Duration> {
        self.last
    }

    /// The time to count with; `None` before the first measurement.
    pub fn estimate(&self) -> Option<Duration> {
        self.last.min(self.smoothed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn after(trips: &[u64]) -> Option<Duration> {
        let mut trip = RoundTrip::default();
        trips.iter().for_each(|&t| trip.measured(ms(t)));
        trip.estimate()
    }

    #[test]
    fn the_first_measurement_counts_as_it_is() {
        assert_eq!(after(&[]), None);
        assert_eq!(after(&[80]), Some(ms(80)));
    }

    #[test]
    fn a_late_report_counts_an_eighth_and_then_not_at_all() {
        assert_eq!(after(&[80, 880]), Some(ms(180)));
        assert_eq!(after(&[80, 880, 80]), Some(ms(80)));
    }

    #[test]
    fn a_path_that_stays_longer_is_followed() {
        let trips = [&[80][..], &[160; 40]].concat();
        assert!(after(&trips).unwrap() > ms(158));
    }

    #[test]
    fn what_cannot_be_true_is_not_taken() {
        assert_eq!(after(&[80, 30_000_000]), Some(ms(80)));
    }
}
