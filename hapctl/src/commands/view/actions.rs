//! What `hapctl view` does while it watches: `--reconfigure 640x360@5`, `--pli 2` and so on.

use std::time::Duration;

use crate::cli::{seconds, size};
use crate::feedback::Feedback;

/// A change of the running video, at a time after Start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reconfigure {
    /// New picture size.
    pub size: (u16, u16),
    /// When.
    pub at: Duration,
    /// New limit in kbit/s.
    pub kbps: Option<u16>,
}

/// Reads `WxH@SECONDS` or `WxH@SECONDS:KBPS`.
///
/// # Errors
/// A message for the command line.
pub(super) fn reconfigure(text: &str) -> Result<Reconfigure, String> {
    let wrong = || "write WxH@SECONDS or WxH@SECONDS:KBPS, for example 640x360@5:132".to_owned();
    let (shape, rest) = text.split_once('@').ok_or_else(wrong)?;
    let (time, kbps) = match rest.split_once(':') {
        Some((time, kbps)) => (time, Some(kbps.parse().map_err(|_| wrong())?)),
        None => (rest, None),
    };
    Ok(Reconfigure {
        size: size(shape).map_err(|_| wrong())?,
        at: seconds(time).map_err(|_| wrong())?,
        kbps,
    })
}

/// A TMMBR at a time after Start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxBitrate {
    /// In bit/s.
    pub bitrate: u64,
    /// When.
    pub at: Duration,
}

/// Reads `BITRATE@SECONDS`; the bitrate in bit/s, or with `k` or `M` in thousands or millions.
///
/// # Errors
/// A message for the command line.
pub(super) fn max_bitrate(text: &str) -> Result<MaxBitrate, String> {
    let wrong = || "write BITRATE@SECONDS, for example 300k@5".to_owned();
    let (bitrate, time) = text.split_once('@').ok_or_else(wrong)?;
    Ok(MaxBitrate {
        bitrate: bits(bitrate).ok_or_else(wrong)?,
        at: seconds(time).map_err(|_| wrong())?,
    })
}

fn bits(text: &str) -> Option<u64> {
    let (digits, unit) = match text.as_bytes().last()? {
        b'k' => (&text[..text.len() - 1], 1000),
        b'M' => (&text[..text.len() - 1], 1_000_000),
        _ => (text, 1),
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

/// A TSTR at a time after Start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TradeOff {
    /// 0 to 31.
    pub index: u8,
    /// When.
    pub at: Duration,
}

/// Reads `INDEX@SECONDS`.
///
/// # Errors
/// A message for the command line.
pub(super) fn trade_off(text: &str) -> Result<TradeOff, String> {
    let wrong = || "write INDEX@SECONDS with an index of 0 to 31, for example 31@5".to_owned();
    let (index, time) = text.split_once('@').ok_or_else(wrong)?;
    let index = index.parse().ok().filter(|index| *index <= 31);
    Ok(TradeOff {
        index: index.ok_or_else(wrong)?,
        at: seconds(time).map_err(|_| wrong())?,
    })
}

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Change size or bitrate.
    Reconfigure(Reconfigure),
    /// Pause the media.
    Suspend,
    /// Go on after a pause.
    Resume,
    /// Ask the camera by RTCP.
    Ask(Feedback),
}

/// Actions in the order of their times.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    waiting: Vec<(Duration, Action)>,
    /// When the last one that was taken was due.
    last: Duration,
}

impl Timeline {
    pub(super) fn add(&mut self, times: &[Duration], action: Action) {
        self.waiting.extend(times.iter().map(|at| (*at, action)));
        // Stable: what is given for one time is done in the order of the options.
        self.waiting.sort_by_key(|(at, _)| *at);
    }

    pub(super) fn add_changes(&mut self, changes: &[Reconfigure]) {
        for change in changes {
            self.add(&[change.at], Action::Reconfigure(*change));
        }
    }

    /// When the next one is due, after Start.
    pub(super) fn next_at(&self) -> Option<Duration> {
        self.waiting.first().map(|(at, _)| *at)
    }

    pub(super) fn pop(&mut self) -> Option<Action> {
        let (at, action) = (!self.waiting.is_empty()).then(|| self.waiting.remove(0))?;
        self.last = at;
        Some(action)
    }

    /// What else is asked of the camera at the time of the last action: it goes into one packet.
    pub(super) fn pop_questions(&mut self) -> Vec<Feedback> {
        let mut questions = Vec::new();
        while let Some(&(at, Action::Ask(feedback))) = self.waiting.first() {
            if at != self.last {
                break;
            }
            questions.push(feedback);
            self.waiting.remove(0);
        }
        questions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_read() {
        let change = reconfigure("640x360@2.5:132").unwrap();
        assert_eq!(change.size, (640, 360));
        assert_eq!(change.at, Duration::from_millis(2500));
        assert_eq!(change.kbps, Some(132));
        assert_eq!(reconfigure("640x360@5").unwrap().kbps, None);
        for bad in [
            "",
            "640x360",
            "@5",
            "640x360@",
            "640x360@x",
            "640x360@5:",
            "640x360@5:70000",
        ] {
            assert!(reconfigure(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn limits_are_read() {
        let at = Duration::from_secs(5);
        for (text, bitrate) in [
            ("300000@5", 300_000),
            ("300k@5", 300_000),
            ("2M@5", 2_000_000),
            ("0@5", 0),
            ("9223372036854775808@5", 1 << 63),
        ] {
            assert_eq!(max_bitrate(text), Ok(MaxBitrate { bitrate, at }));
        }
        for bad in [
            "",
            "@5",
            "k@5",
            "300k",
            "-1@5",
            "300ü@5",
            "99999999999999999M@5",
        ] {
            assert!(max_bitrate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn trade_offs_are_read() {
        let at = Duration::from_millis(500);
        assert_eq!(trade_off("31@0.5"), Ok(TradeOff { index: 31, at }));
        for bad in ["", "32@1", "-1@1", "5", "5@", "x@1"] {
            assert!(trade_off(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn actions_come_in_the_order_of_their_times() {
        let mut timeline = Timeline::default();
        let second = Duration::from_secs;
        timeline.add(&[second(3), second(1)], Action::Ask(Feedback::Pli));
        timeline.add(&[second(2)], Action::Suspend);
        assert_eq!(timeline.next_at(), Some(second(1)));
        let order: Vec<Action> = std::iter::from_fn(|| timeline.pop()).collect();
        assert_eq!(
            order,
            [
                Action::Ask(Feedback::Pli),
                Action::Suspend,
                Action::Ask(Feedback::Pli)
            ]
        );
        assert_eq!(timeline.next_at(), None);
    }

    #[test]
    fn questions_of_one_time_go_together() {
        let (mut timeline, second) = (Timeline::default(), Duration::from_secs);
        let limit = Feedback::MaxBitrate(1);
        timeline.add(&[second(2)], Action::Ask(limit));
        timeline.add(&[second(2), second(3)], Action::Ask(Feedback::Pli));
        assert_eq!(timeline.pop(), Some(Action::Ask(limit)));
        assert_eq!(timeline.pop_questions(), [Feedback::Pli]);
        assert_eq!(timeline.next_at(), Some(second(3)));
    }
}
