//! What a track sends: reports, requests and sound.

use std::time::Instant;

use rtp_feedback::{TmmbEntry, TradeOffEntry, Writer};

use super::{CNAME, REORDER_TIME, Track};
use crate::feedback::{Cause, Feedback};
use crate::recovery::Recovery;
use crate::talk::Talk;

/// Bytes of an RTP header, which the overhead of a TMMBR counts too (RFC 5104 §4.2.1.2).
const RTP_HEADER: usize = 12;

impl Track {
    /// When [`Track::timeout`] is due.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let talk = self.talk.as_ref().and_then(Talk::due);
        let recovery = self.recovery.as_ref().and_then(Recovery::due);
        let gap = self.gap_since.map(|t| t + REORDER_TIME);
        let all = [self.next_report, talk, recovery, gap];
        all.into_iter().flatten().min()
    }

    /// Does what is due at `now`.
    pub fn timeout(&mut self, now: Instant) {
        self.deliver_ordered(now);
        self.report(now);
        self.talk(now);
        let cause = self.recovery.as_mut().and_then(|r| r.timeout(now));
        self.ask(cause, now);
    }

    /// The next datagram to send; call until it is empty after anything else.
    pub fn transmit(&mut self) -> Option<Vec<u8>> {
        self.outbox.pop_front()
    }

    fn report(&mut self, now: Instant) {
        if self.next_report.is_none_or(|due| now < due) {
            return;
        }
        self.next_report = Some(now + self.agreement.rtcp_interval);
        let compound = self.compound(now);
        self.send_rtcp(compound);
    }

    fn talk(&mut self, now: Instant) {
        while let Some(mut packet) = self.talk.as_mut().and_then(|t| t.next(now)) {
            let protected = match &mut self.protect {
                Some(srtp) => srtp.protect_rtp(&mut packet).is_ok(),
                None => true,
            };
            if protected {
                self.outbox.push_back(packet);
            }
        }
    }

    /// Asks the camera, because the person wants it: all in one compound packet, in this order.
    pub fn feedback(&mut self, feedback: &[Feedback], now: Instant) {
        self.request(feedback, Cause::Asked, now);
    }

    fn request(&mut self, feedback: &[Feedback], cause: Cause, now: Instant) {
        let mut compound = self.compound(now);
        for one in feedback {
            compound = self.with_feedback(compound, *one);
            self.requests.sent(*one, cause, now);
        }
        self.send_rtcp(compound);
    }

    fn with_feedback(&mut self, compound: Writer, feedback: Feedback) -> Writer {
        let ssrc = self.agreement.ssrc;
        match feedback {
            Feedback::Pli => compound.picture_loss(ssrc),
            Feedback::Fir => {
                self.fir = self.fir.wrapping_add(1);
                compound.full_intra_request(ssrc, self.fir)
            }
            Feedback::MaxBitrate(bitrate) => compound.max_bitrate_request(&[TmmbEntry {
                ssrc,
                bitrate,
                overhead: (self.lower_layers() + RTP_HEADER) as u16,
            }]),
            Feedback::TradeOff(index) => {
                self.trade_off = self.trade_off.wrapping_add(1);
                compound.trade_off_request(&[TradeOffEntry {
                    ssrc,
                    sequence: self.trade_off,
                    index,
                }])
            }
        }
    }

    /// SR or RR, and SDES; the report is empty until something came (RFC 3550 §6.4.2).
    fn compound(&mut self, now: Instant) -> Writer {
        let since = now.saturating_duration_since(self.epoch);
        let block = (self.statistics.expected() > 0).then(|| self.statistics.report_block(since));
        let ntp = self.ntp(now);
        let info = self.talk.as_ref().and_then(|t| t.sender_info(now, ntp));
        let writer = Writer::new(self.agreement.own_ssrc);
        let writer = match info {
            Some(info) => {
                self.seen.sender_reports_sent += 1;
                writer.sender_report(info, block.as_slice())
            }
            None => {
                self.seen.receiver_reports_sent += 1;
                writer.receiver_report(block.as_slice())
            }
        };
        writer.canonical_name(CNAME)
    }

    fn send_rtcp(&mut self, compound: Writer) {
        let mut bytes = compound.finish();
        let protected = match &mut self.protect {
            Some(srtp) => srtp.protect_rtcp(&mut bytes).is_ok(),
            None => true,
        };
        if protected {
            self.outbox.push_back(bytes);
        }
    }

    pub(super) fn ask(&mut self, cause: Option<Cause>, now: Instant) {
        if let Some(cause) = cause {
            self.request(&[Feedback::Pli], cause, now);
        }
    }
}
