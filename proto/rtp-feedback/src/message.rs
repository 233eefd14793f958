use rtcp_types::prelude::*;
use rtcp_types::{
    Bye, Fir, Nack, Packet, PayloadFeedback, Pli, Sdes, SdesItem, SenderReport, TransportFeedback,
};

use crate::tmmb::{Tmmbn, Tmmbr};
use crate::trade_off::{Tstn, Tstr};
use crate::{Error, MAX_COMPOUND, NtpTime, ReportBlock, SenderInfo, TmmbEntry, TradeOffEntry};

/// One packet of a compound packet, read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message {
    /// SR (RFC 3550 §6.4.1).
    SenderReport {
        /// Who sent it.
        ssrc: u32,
        /// What it says of its own stream.
        info: SenderInfo,
        /// What it says of others.
        blocks: Vec<ReportBlock>,
    },
    /// RR (RFC 3550 §6.4.2).
    ReceiverReport {
        /// Who sent it.
        ssrc: u32,
        /// What it says of others.
        blocks: Vec<ReportBlock>,
    },
    /// CNAME item of an SDES (RFC 3550 §6.5.1).
    CanonicalName {
        /// Whose name it is.
        ssrc: u32,
        /// The name; not checked to be anything.
        name: Vec<u8>,
    },
    /// BYE (RFC 3550 §6.6).
    Bye {
        /// Who leaves.
        sources: Vec<u32>,
    },
    /// PLI (RFC 4585 §6.3.1).
    PictureLoss {
        /// Who asks.
        sender: u32,
        /// Whom.
        media: u32,
    },
    /// FIR (RFC 5104 §4.3.1).
    FullIntraRequest {
        /// Who asks.
        sender: u32,
        /// Whom, with the sequence number of the request.
        entries: Vec<(u32, u8)>,
    },
    /// Generic NACK (RFC 4585 §6.2.1).
    Nack {
        /// Who asks.
        sender: u32,
        /// Whom.
        media: u32,
        /// How many packets are missing.
        packets: usize,
    },
    /// TMMBR (RFC 5104 §4.2.1).
    MaxBitrateRequest {
        /// Who asks.
        sender: u32,
        /// Whom, and for what.
        entries: Vec<TmmbEntry>,
    },
    /// TMMBN (RFC 5104 §4.2.2).
    MaxBitrateNotification {
        /// Who answers.
        sender: u32,
        /// The limits obeyed, with their owners.
        entries: Vec<TmmbEntry>,
    },
    /// TSTR (RFC 5104 §4.3.2).
    TradeOffRequest {
        /// Who asks.
        sender: u32,
        /// Whom, and for what.
        entries: Vec<TradeOffEntry>,
    },
    /// TSTN (RFC 5104 §4.3.3).
    TradeOffNotification {
        /// Who answers.
        sender: u32,
        /// What will be done, with those who asked for it.
        entries: Vec<TradeOffEntry>,
    },
    /// Anything else, or malformed within its length.
    Other {
        /// The packet type.
        packet_type: u8,
    },
}

/// One packet of a compound packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member<'a> {
    /// Its bytes, header included.
    pub bytes: &'a [u8],
    /// What it says; several messages if it holds several names.
    pub messages: Vec<Message>,
}

/// Reads a compound packet (RFC 3550 §6.1), or one of reduced size (RFC 5506).
///
/// Members that are unknown, or malformed within their length, become [`Message::Other`].
///
/// # Errors
/// Lengths that do not fit the packet, or a version other than 2.
pub fn parse(compound: &[u8]) -> Result<Vec<Message>, Error> {
    let members = members(compound)?;
    Ok(members.into_iter().flat_map(|m| m.messages).collect())
}

/// Reads a compound packet like [`parse`], and keeps its members apart.
///
/// # Errors
/// As [`parse`].
pub fn members(compound: &[u8]) -> Result<Vec<Member<'_>>, Error> {
    if compound.len() > MAX_COMPOUND {
        return Err(Error::TooLarge {
            limit: MAX_COMPOUND,
            actual: compound.len(),
        });
    }
    let mut members = Vec::new();
    let mut rest = compound;
    loop {
        let (bytes, later) = split_first(rest)?;
        let mut messages = Vec::new();
        read(bytes, &mut messages);
        members.push(Member { bytes, messages });
        if later.is_empty() {
            return Ok(members);
        }
        rest = later;
    }
}

/// Source of the first packet, who sent the compound packet.
pub(crate) fn source(compound: &[u8]) -> Option<u32> {
    let bytes = compound.get(4..8)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

fn split_first(rest: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    let truncated = |expected| Error::Truncated {
        expected,
        actual: rest.len(),
    };
    let [first, _, high, low, ..] = *rest else {
        return Err(truncated(4));
    };
    if first >> 6 != 2 {
        return Err(Error::Version {
            version: first >> 6,
        });
    }
    let len = 4 * (1 + usize::from(u16::from_be_bytes([high, low])));
    rest.split_at_checked(len).ok_or_else(|| truncated(len))
}

fn read(packet: &[u8], out: &mut Vec<Message>) {
    let other = Message::Other {
        packet_type: packet[1],
    };
    let Ok(packet) = Packet::parse(packet) else {
        return out.push(other);
    };
    match packet {
        Packet::Sr(report) => out.push(sender_report(&report)),
        Packet::Rr(report) => out.push(Message::ReceiverReport {
            ssrc: report.ssrc(),
            blocks: report
                .report_blocks()
                .map(|b| ReportBlock::read(&b))
                .collect(),
        }),
        Packet::Sdes(sdes) => names(&sdes, out),
        Packet::Bye(bye) => out.push(goodbye(&bye)),
        Packet::PayloadFeedback(feedback) => {
            out.push(payload_feedback(&feedback).unwrap_or(other));
        }
        Packet::TransportFeedback(feedback) => {
            out.push(transport_feedback(&feedback).unwrap_or(other));
        }
        _ => out.push(other),
    }
}

fn sender_report(report: &SenderReport<'_>) -> Message {
    Message::SenderReport {
        ssrc: report.ssrc(),
        info: SenderInfo {
            ntp: NtpTime::from_bits(report.ntp_timestamp()),
            rtp_timestamp: report.rtp_timestamp(),
            packets: report.packet_count(),
            octets: report.octet_count(),
        },
        blocks: report
            .report_blocks()
            .map(|b| ReportBlock::read(&b))
            .collect(),
    }
}

fn names(sdes: &Sdes<'_>, out: &mut Vec<Message>) {
    for chunk in sdes.chunks() {
        let names = chunk.items().filter(|item| item.type_() == SdesItem::CNAME);
        out.extend(names.map(|item| Message::CanonicalName {
            ssrc: chunk.ssrc(),
            name: item.value().to_vec(),
        }));
    }
}

fn goodbye(bye: &Bye<'_>) -> Message {
    Message::Bye {
        sources: bye.ssrcs().collect(),
    }
}

fn payload_feedback(feedback: &PayloadFeedback<'_>) -> Option<Message> {
    let sender = feedback.sender_ssrc();
    if feedback.parse_fci::<Pli<'_>>().is_ok() {
        let media = feedback.media_ssrc();
        return Some(Message::PictureLoss { sender, media });
    }
    if let Ok(Tstr { list: entries, .. }) = feedback.parse_fci() {
        return Some(Message::TradeOffRequest { sender, entries });
    }
    if let Ok(Tstn { list: entries, .. }) = feedback.parse_fci() {
        return Some(Message::TradeOffNotification { sender, entries });
    }
    let fir = feedback.parse_fci::<Fir<'_>>().ok()?;
    let entries = fir.entries().map(|e| (e.ssrc(), e.sequence())).collect();
    Some(Message::FullIntraRequest { sender, entries })
}

fn transport_feedback(feedback: &TransportFeedback<'_>) -> Option<Message> {
    let sender = feedback.sender_ssrc();
    if let Ok(Tmmbr { list: entries, .. }) = feedback.parse_fci() {
        return Some(Message::MaxBitrateRequest { sender, entries });
    }
    if let Ok(Tmmbn { list: entries, .. }) = feedback.parse_fci() {
        return Some(Message::MaxBitrateNotification { sender, entries });
    }
    let nack = feedback.parse_fci::<Nack<'_>>().ok()?;
    Some(Message::Nack {
        sender,
        media: feedback.media_ssrc(),
        packets: nack.entries().count(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(bytes: &[u8]) -> Message {
        let mut messages = parse(bytes).unwrap();
        assert_eq!(messages.len(), 1);
        messages.remove(0)
    }

    #[test]
    fn picture_loss() {
        let bytes = [0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];
        let expected = Message::PictureLoss {
            sender: 1,
            media: 2,
        };
        assert_eq!(one(&bytes), expected);
    }

    #[test]
    fn full_intra_request() {
        let bytes = [
            0x84, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 7, 0, 0, 0,
        ];
        let expected = Message::FullIntraRequest {
            sender: 1,
            entries: vec![(2, 7)],
        };
        assert_eq!(one(&bytes), expected);
    }

    #[test]
    fn max_bitrate_request() {
        let bytes = [
            0x83, 205, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0x0a, 0x47, 0xfc, 0x28,
        ];
        let entry = TmmbEntry {
            ssrc: 2,
            bitrate: 299_000,
            overhead: 40,
        };
        let expected = Message::MaxBitrateRequest {
            sender: 1,
            entries: vec![entry],
        };
        assert_eq!(one(&bytes), expected);
    }

    #[test]
    fn trade_off_request_and_notification() {
        let mut bytes = [
            0x85, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 7, 0xff, 0xff, 0xf4,
        ];
        let entry = TradeOffEntry {
            ssrc: 2,
            sequence: 7,
            index: 20,
        };
        let expected = Message::TradeOffRequest {
            sender: 1,
            entries: vec![entry],
        };
        assert_eq!(one(&bytes), expected);
        bytes[0] = 0x86;
        let expected = Message::TradeOffNotification {
            sender: 1,
            entries: vec![entry],
        };
        assert_eq!(one(&bytes), expected);
    }

    #[test]
    fn feedback_without_a_report_before_it_is_read() {
        // RFC 5506 §3.1: a compound packet of reduced size may begin with feedback.
        let packet = crate::Writer::new(1).picture_loss(2).finish();
        assert_eq!(source(&packet), Some(1));
        let expected = Message::PictureLoss {
            sender: 1,
            media: 2,
        };
        assert_eq!(one(&packet), expected);
    }

    #[test]
    fn members_keep_their_bytes() {
        let writer = crate::Writer::new(1).receiver_report(&[]);
        let compound = writer.canonical_name("x").picture_loss(2).finish();
        let members = members(&compound).unwrap();
        let bytes: Vec<u8> = members.iter().flat_map(|m| m.bytes.to_vec()).collect();
        assert_eq!(bytes, compound);
        let kinds: Vec<u8> = members.iter().map(|m| m.bytes[1]).collect();
        assert_eq!(kinds, [201, 202, 206]);
    }

    #[test]
    fn nack_counts_packets() {
        let bytes = [0x81, 205, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 9, 0, 5];
        let expected = Message::Nack {
            sender: 1,
            media: 2,
            packets: 3,
        };
        assert_eq!(one(&bytes), expected);
    }

    #[test]
    fn malformed_members_do_not_hide_later_ones() {
        let bytes = [
            0x81, 202, 0, 1, 0, 0, 0, 1, // SDES, cut off within its chunk
            0x9f, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, // feedback of unknown format
            0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, // PLI
        ];
        let messages = parse(&bytes).unwrap();
        assert!(matches!(messages.last(), Some(Message::PictureLoss { .. })));
    }

    #[test]
    fn lengths_must_fit() {
        assert!(matches!(parse(&[]), Err(Error::Truncated { .. })));
        assert!(matches!(
            parse(&[0x80, 201, 0]),
            Err(Error::Truncated { .. })
        ));
        let error = parse(&[0x80, 201, 0, 1]).unwrap_err();
        let expected = Error::Truncated {
            expected: 8,
            actual: 4,
        };
        assert_eq!(error, expected);
        let absurd = [0x80, 201, 0xff, 0xff, 0, 0, 0, 1];
        assert!(matches!(parse(&absurd), Err(Error::Truncated { .. })));
        let version_1 = [0x40, 201, 0, 1, 0, 0, 0, 1];
        assert_eq!(parse(&version_1), Err(Error::Version { version: 1 }));
        assert!(matches!(parse(&[0x80; 2049]), Err(Error::TooLarge { .. })));
    }
}
