//! What was asked of the camera while it sent, and what came of it.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::rates::Rates;
use crate::spread::tenths;

/// A request to the camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feedback {
    /// Picture Loss Indication.
    Pli,
    /// Full Intra Request, a new one each time.
    Fir,
    /// TMMBR: a limit in bit/s.
    MaxBitrate(u64),
    /// TSTR: 0 for the best pictures to 31 for the most of them.
    TradeOff(u8),
}

/// Why it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// The command line says so.
    Asked,
    /// A packet is missing.
    Loss,
    /// The key frame after an earlier one did not come, or not whole.
    Again,
}

/// A request as it is reported.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeedbackReport {
    /// `pli`, `fir`, `tmmbr` or `tstr`.
    pub kind: &'static str,
    /// When it was sent.
    pub at_ms: u64,
    /// Why.
    pub cause: Cause,
    /// From a PLI or FIR to the last packet of the next key frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_frame_ms: Option<f64>,
    /// Whether no packet of that key frame was missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_frame_whole: Option<bool>,
    /// What was asked for: bit/s, or the index of a trade-off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<u64>,
    /// What the notification says, TMMBN or TSTN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notified: Option<u64>,
    /// From the request to its notification.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notified_ms: Option<f64>,
    /// Bitrate of the two seconds before, with all headers from IP up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kbps_before: Option<f64>,
    /// Bitrate from two to six seconds after, or to the next request or the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kbps_after: Option<f64>,
}

/// A run with more requests than this keeps the first ones.
const MAX_REQUESTS: usize = 10_000;
/// A camera has this long to obey a limit.
const SETTLING: Duration = Duration::from_secs(2);
/// The bitrate is measured over this long.
const MEASURED: Duration = Duration::from_secs(4);

#[derive(Debug)]
struct Request {
    feedback: Feedback,
    cause: Cause,
    at: Instant,
    key_frame: Option<(Instant, bool)>,
    notified: Option<(Instant, u64)>,
}

/// Requests in the order they were sent.
#[derive(Debug, Default)]
pub struct Requests {
    list: Vec<Request>,
}

impl Requests {
    /// One was sent.
    pub fn sent(&mut self, feedback: Feedback, cause: Cause, now: Instant) {
        if self.list.len() < MAX_REQUESTS {
            self.list.push(Request {
                feedback,
                cause,
                at: now,
                key_frame: None,
                notified: None,
            });
        }
    }

    /// A key frame whose packets came between `began` and `ended`.
    pub fn key_frame(&mut self, began: Instant, ended: Instant, whole: bool) {
        let waiting = self.list.iter_mut().rev().take(64);
        for request in waiting.filter(|r| r.waits_for_key_frame() && r.at <= began) {
            request.key_frame = Some((ended, whole));
        }
    }

    /// The camera says which limit it keeps.
    pub fn limit_notified(&mut self, bitrate: u64, now: Instant) {
        self.notified(|f| matches!(f, Feedback::MaxBitrate(_)), bitrate, now);
    }

    /// The camera says which trade-off it makes.
    pub fn trade_off_notified(&mut self, index: u8, now: Instant) {
        self.notified(|f| matches!(f, Feedback::TradeOff(_)), index.into(), now);
    }

    fn notified(&mut self, kind: impl Fn(Feedback) -> bool, value: u64, now: Instant) {
        let last = self.list.iter_mut().rev().find(|r| kind(r.feedback));
        if let Some(request) = last {
            request.notified.get_or_insert((now, value));
        }
    }

    /// Everything, with times after `start`.
    #[must_use]
    pub fn report(&self, start: Instant, rates: &Rates) -> Vec<FeedbackReport> {
        let one = |(n, request): (usize, &Request)| {
            let mut later = self.list[n + 1..].iter();
            let next = later.find(|r| matches!(r.feedback, Feedback::MaxBitrate(_)));
            request.report(start, rates, next.map(|r| r.at))
        };
        self.list.iter().enumerate().map(one).collect()
    }
}

impl Request {
    fn waits_for_key_frame(&self) -> bool {
        matches!(self.feedback, Feedback::Pli | Feedback::Fir) && self.key_frame.is_none()
    }

    fn report(&self, start: Instant, rates: &Rates, next: Option<Instant>) -> FeedbackReport {
        let at = self.at.saturating_duration_since(start);
        let after = |t: Instant| ms(t.saturating_duration_since(self.at));
        let mut report = FeedbackReport {
            kind: self.feedback.word(),
            at_ms: u64::try_from(at.as_millis()).unwrap_or(u64::MAX),
            cause: self.cause,
            key_frame_ms: self.key_frame.map(|(t, _)| after(t)),
            key_frame_whole: self.key_frame.map(|(_, whole)| whole),
            asked: None,
            notified: self.notified.map(|(_, bitrate)| bitrate),
            notified_ms: self.notified.map(|(t, _)| after(t)),
            kbps_before: None,
            kbps_after: None,
        };
        match self.feedback {
            Feedback::Pli | Feedback::Fir => {}
            Feedback::TradeOff(index) => report.asked = Some(index.into()),
            Feedback::MaxBitrate(bitrate) => {
                let next = next.map_or(Duration::MAX, |t| t.saturating_duration_since(start));
                let settled = at + SETTLING;
                report.asked = Some(bitrate);
                report.kbps_before = kbps(rates.mean(at.saturating_sub(SETTLING), at));
                report.kbps_after = kbps(rates.mean(settled, next.min(settled + MEASURED)));
            }
        }
        report
    }
}

impl Feedback {
    fn word(self) -> &'static str {
        match self {
            Self::Pli => "pli",
            Self::Fir => "fir",
            Self::MaxBitrate(_) => "tmmbr",
            Self::TradeOff(_) => "tstr",
        }
    }
}

impl FeedbackReport {
    /// One line for people.
    #[must_use]
    pub fn line(&self) -> String {
        let at = self.at_ms as f64 / 1000.0;
        format!("{at:8.3} s  {:5}  {}", self.kind, self.outcome())
    }

    fn outcome(&self) -> String {
        match (self.asked, self.kind) {
            (Some(bitrate), "tmmbr") => self.limit(bitrate),
            (Some(index), _) => format!("{index}: {}", self.answer("TSTN")),
            (None, _) => self.key_frame(),
        }
    }

    fn key_frame(&self) -> String {
        match (self.key_frame_ms, self.key_frame_whole) {
            (Some(ms), Some(false)) => format!("damaged key frame after {ms} ms"),
            (Some(ms), _) => format!("key frame after {ms} ms"),
            (None, _) => "no key frame".into(),
        }
    }

    fn limit(&self, bitrate: u64) -> String {
        let rate = |kbps: Option<f64>| kbps.map_or("?".into(), |k| k.to_string());
        let (before, after) = (rate(self.kbps_before), rate(self.kbps_after));
        let answer = self.answer("TMMBN");
        format!("{bitrate} bit/s: {answer}, {before} then {after} kbit/s")
    }

    fn answer(&self, name: &str) -> String {
        match (self.notified, self.notified_ms) {
            (Some(value), Some(ms)) => format!("{name} {value} after {ms} ms"),
            _ => format!("no {name}"),
        }
    }
}

fn ms(duration: Duration) -> f64 {
    tenths(duration.as_secs_f64() * 1000.0)
}

fn kbps(bits: Option<f64>) -> Option<f64> {
    bits.map(|b| tenths(b / 1000.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn the_next_key_frame_answers_all_that_were_asked_before() {
        let start = Instant::now();
        let mut requests = Requests::default();
        requests.key_frame(start, start, true);
        requests.sent(Feedback::Pli, Cause::Asked, after(start, 100));
        requests.sent(Feedback::Fir, Cause::Loss, after(start, 110));
        // On its way already when the second was sent.
        requests.key_frame(after(start, 105), after(start, 130), false);
        requests.key_frame(after(start, 140), after(start, 150), true);
        let reports = requests.report(start, &Rates::default());
        let got: Vec<_> = reports.iter().map(|r| (r.kind, r.key_frame_ms)).collect();
        assert_eq!(got, [("pli", Some(30.0)), ("fir", Some(40.0))]);
        assert_eq!(
            reports[0].line(),
            "   0.100 s  pli    damaged key frame after 30 ms"
        );
        assert_eq!(
            reports[1].line(),
            "   0.110 s  fir    key frame after 40 ms"
        );
    }

    #[test]
    fn a_limit_has_its_notification_and_the_bitrates_around_it() {
        let start = Instant::now();
        let (mut requests, mut rates) = (Requests::default(), Rates::default());
        for n in 0..100u64 {
            let bytes = if n < 40 { 12_500 } else { 1250 };
            rates.add(Duration::from_millis(100 * n), bytes);
        }
        requests.limit_notified(1, start);
        requests.sent(
            Feedback::MaxBitrate(200_000),
            Cause::Asked,
            after(start, 3000),
        );
        requests.limit_notified(199_000, after(start, 3004));
        requests.limit_notified(5, after(start, 3500));
        requests.trade_off_notified(9, after(start, 3600));
        requests.sent(Feedback::MaxBitrate(0), Cause::Asked, after(start, 8000));
        let reports = requests.report(start, &rates);
        assert_eq!(
            (reports[0].notified, reports[0].notified_ms),
            (Some(199_000), Some(4.0))
        );
        assert_eq!(
            (reports[0].kbps_before, reports[0].kbps_after),
            (Some(1000.0), Some(100.0))
        );
        assert_eq!((reports[1].asked, reports[1].notified), (Some(0), None));
        assert!(
            reports[1]
                .line()
                .ends_with("0 bit/s: no TMMBN, 100 then ? kbit/s")
        );
    }

    #[test]
    fn a_trade_off_has_its_notification() {
        let start = Instant::now();
        let mut requests = Requests::default();
        requests.sent(Feedback::TradeOff(31), Cause::Asked, start);
        requests.limit_notified(7, after(start, 1));
        requests.trade_off_notified(31, after(start, 500));
        let report = &requests.report(start, &Rates::default())[0];
        assert_eq!((report.asked, report.notified), (Some(31), Some(31)));
        assert_eq!(report.line(), "   0.000 s  tstr   31: TSTN 31 after 500 ms");
    }
}
