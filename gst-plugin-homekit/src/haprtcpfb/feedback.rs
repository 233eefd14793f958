//! The rules beside another part that reports: no pads, no clock, no pipeline.

use std::time::Instant;

use rtp_feedback::{
    Event, Member, Message, ReportTime, SenderConfig, SenderInfo, SenderSession, SenderStatistics,
    members,
};

use super::settings::Rules;

/// What becomes of a packet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    AsItIs,
    Changed(Vec<u8>),
    Dropped,
}

/// RTCP of one stream, both ways.
#[derive(Debug, Default)]
pub(crate) struct Feedback {
    rules: Rules,
    /// Exists as soon as the source is known.
    session: Option<SenderSession>,
    /// The last sender report that passed, and when.
    reported: Option<(Instant, SenderInfo)>,
    /// When the last key frame left.
    key_frame: Option<Instant>,
    counters: Counters,
}

/// What the session does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counters {
    pub(crate) key_frames: u64,
    pub(crate) rtcp_rejected: u64,
    pub(crate) reports_held: u64,
}

/// RTP clock of video (RFC 6184 §8.2.1, RFC 7798 §7.1).
const CLOCK_RATE: u128 = 90_000;

impl Feedback {
    /// Obeys new rules; another source only counts before one is known.
    pub(crate) fn set(&mut self, rules: Rules) {
        self.rules = rules;
        if let Some(ssrc) = rules.ssrc {
            self.learn(ssrc);
        }
        if let Some(session) = &mut self.session {
            configure(session, &rules);
        }
    }

    /// The source of the media, once it is known.
    pub(crate) fn ssrc(&self) -> Option<u32> {
        self.session.as_ref().map(SenderSession::ssrc)
    }

    pub(crate) fn counters(&self) -> Counters {
        self.counters
    }

    pub(crate) fn statistics(&self) -> SenderStatistics {
        let statistics = self.session.as_ref().map(|s| *s.statistics());
        statistics.unwrap_or_default()
    }

    /// The source of the media shows itself; the first one counts.
    pub(crate) fn learn(&mut self, ssrc: u32) {
        if self.session.is_none() {
            let mut session = SenderSession::new(SenderConfig {
                ssrc,
                remote_ssrc: None,
                canonical_name: String::new(),
                report_interval: self.rules.report_interval,
                silence_timeout: None,
                key_frame_interval: None,
            });
            configure(&mut session, &self.rules);
            if let Some(at) = self.key_frame {
                session.key_frame_sent(at);
            }
            self.session = Some(session);
        }
    }

    /// Takes RTCP of the controller; what was obeyed here does not go on.
    pub(crate) fn received(&mut self, compound: &[u8], now: Instant) -> Passage {
        let Ok(members) = members(compound) else {
            self.counters.rtcp_rejected += 1;
            return Passage::Dropped;
        };
        let ntp = self.report_time(now).map(|time| time.ntp);
        let Some(session) = &mut self.session else {
            return Passage::AsItIs;
        };
        if session
            .handle_input(compound, now, ntp.unwrap_or_default())
            .is_err()
        {
            return Passage::AsItIs;
        }
        without_obeyed(&members, session.ssrc())
    }

    /// Takes RTCP that is about to go to the controller.
    pub(crate) fn sending(&mut self, compound: &[u8], now: Instant) -> Passage {
        let Ok(members) = members(compound) else {
            return Passage::AsItIs;
        };
        let messages = || members.iter().flat_map(|m| &m.messages);
        let reported = messages().find_map(|m| match m {
            Message::SenderReport { ssrc, info, .. } => Some((*ssrc, *info)),
            _ => None,
        });
        let Some((ssrc, info)) = reported else {
            return Passage::AsItIs;
        };
        self.learn(ssrc);
        let Some(session) = self.session.as_mut().filter(|s| s.ssrc() == ssrc) else {
            return Passage::AsItIs;
        };
        if let Some(name) = messages().find_map(|m| name_of(m, ssrc)) {
            session.set_canonical_name(name);
        }
        self.reported = Some((now, info));
        match session.report_passes(info, now) {
            Some(appendix) if appendix.is_empty() => Passage::AsItIs,
            Some(appendix) => Passage::Changed([compound, &appendix].concat()),
            None if messages().all(is_regular) => {
                self.counters.reports_held += 1;
                Passage::Dropped
            }
            None => Passage::AsItIs,
        }
    }

    /// RTP packets passed, with so many octets of payload.
    pub(crate) fn media_sent(&mut self, packets: u64, octets: u64, now: Instant) {
        if let Some(session) = &mut self.session {
            session.media_sent(packets, octets, now);
        }
    }

    pub(crate) fn key_frame_sent(&mut self, now: Instant) {
        self.counters.key_frames += 1;
        self.key_frame = Some(now);
        if let Some(session) = &mut self.session {
            session.key_frame_sent(now);
        }
    }

    /// No key frame comes any more: a flush.
    pub(crate) fn key_frame_missed(&mut self) {
        self.key_frame = None;
        if let Some(session) = &mut self.session {
            session.key_frame_missed();
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if let Some(session) = &mut self.session {
            session.handle_timeout(now);
        }
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.session.as_mut()?.poll_event()
    }

    /// A report of our own: with TMMBN, or one that rtpbin is late with. It can only follow one of
    /// rtpbin, whose clocks it continues.
    pub(crate) fn poll_report(&mut self, now: Instant) -> Option<Vec<u8>> {
        let time = self.report_time(now)?;
        self.session.as_mut()?.poll_report(now, time)
    }

    fn report_time(&self, now: Instant) -> Option<ReportTime> {
        let (at, info) = self.reported?;
        let elapsed = now.saturating_duration_since(at);
        let units = elapsed.as_micros() * CLOCK_RATE / 1_000_000;
        Some(ReportTime {
            ntp: info.ntp.after(elapsed),
            rtp_timestamp: info.rtp_timestamp.wrapping_add(units as u32),
        })
    }
}

fn configure(session: &mut SenderSession, rules: &Rules) {
    session.set_bitrate_range(rules.min_bitrate.into(), Some(u32::MAX.into()));
    session.set_key_frame_interval(rules.key_frame_interval);
    session.set_report_interval(rules.report_interval);
}

/// What is left for others to act on.
fn without_obeyed(members: &[Member<'_>], ssrc: u32) -> Passage {
    let kept: Vec<_> = members
        .iter()
        .filter(|member| !member.messages.iter().any(|m| is_obeyed(m, ssrc)))
        .collect();
    match kept.len() {
        0 => Passage::Dropped,
        len if len == members.len() => Passage::AsItIs,
        _ => Passage::Changed(kept.iter().flat_map(|m| m.bytes).copied().collect()),
    }
}

/// Whether the session acts on the message, and nobody else has to.
fn is_obeyed(message: &Message, ours: u32) -> bool {
    match message {
        Message::PictureLoss { media, .. } => *media == ours,
        Message::FullIntraRequest { entries, .. } => entries.iter().all(|(ssrc, _)| *ssrc == ours),
        Message::MaxBitrateRequest { entries, .. } => entries.iter().all(|e| e.ssrc == ours),
        Message::TradeOffRequest { entries, .. } => entries.iter().all(|e| e.ssrc == ours),
        _ => false,
    }
}

/// What every report holds, and no more.
fn is_regular(message: &Message) -> bool {
    use Message::{CanonicalName, ReceiverReport, SenderReport};
    matches!(
        message,
        SenderReport { .. } | ReceiverReport { .. } | CanonicalName { .. }
    )
}

fn name_of(message: &Message, of: u32) -> Option<String> {
    match message {
        Message::CanonicalName { ssrc, name } if *ssrc == of => {
            Some(String::from_utf8_lossy(name).into_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
#[path = "feedback_tests.rs"]
mod tests;
