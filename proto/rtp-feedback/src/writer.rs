use rtcp_types::prelude::*;
use rtcp_types::{
    Bye, Compound, CompoundBuilder, FciBuilder, Fir, Nack, PayloadFeedback, Pli, ReceiverReport,
    Sdes, SdesChunk, SdesItem, SenderReport, TransportFeedback,
};

use crate::tmmb::{Tmmbn, Tmmbr};
use crate::trade_off::{Tstn, Tstr};
use crate::{ReportBlock, SenderInfo, TmmbEntry, TradeOffEntry};

/// Writes one compound packet, member by member, in the order of the calls.
///
/// RFC 3550 §6.1 wants a report first, then the name.
///
/// ```
/// use rtp_feedback::Writer;
///
/// let packet = Writer::new(0x11223344)
///     .receiver_report(&[])
///     .canonical_name("camera")
///     .picture_loss(0x55667788)
///     .finish();
/// assert_eq!(packet[..8], [0x80, 201, 0, 1, 0x11, 0x22, 0x33, 0x44]);
/// ```
#[derive(Debug)]
pub struct Writer {
    ssrc: u32,
    packets: CompoundBuilder<'static>,
}

/// Report blocks in one report: the count has 5 bits.
const MAX_BLOCKS: usize = 31;

impl Writer {
    /// A compound packet of the source `ssrc`.
    pub fn new(ssrc: u32) -> Self {
        Self {
            ssrc,
            packets: Compound::builder(),
        }
    }

    /// Adds an SR, with up to 31 report blocks.
    pub fn sender_report(self, info: SenderInfo, blocks: &[ReportBlock]) -> Self {
        let mut report = SenderReport::builder(self.ssrc)
            .ntp_timestamp(info.ntp.to_bits())
            .rtp_timestamp(info.rtp_timestamp)
            .packet_count(info.packets)
            .octet_count(info.octets);
        for block in blocks.iter().take(MAX_BLOCKS) {
            report = report.add_report_block(block.write());
        }
        self.add(report)
    }

    /// Adds an RR, with up to 31 report blocks.
    pub fn receiver_report(self, blocks: &[ReportBlock]) -> Self {
        let mut report = ReceiverReport::builder(self.ssrc);
        for block in blocks.iter().take(MAX_BLOCKS) {
            report = report.add_report_block(block.write());
        }
        self.add(report)
    }

    /// Adds an SDES with the CNAME `name`, cut to 255 bytes.
    pub fn canonical_name(self, name: &str) -> Self {
        let item = SdesItem::builder(SdesItem::CNAME, cut(name, 255));
        let chunk = SdesChunk::builder(self.ssrc).add_item_owned(item);
        self.add(Sdes::builder().add_chunk(chunk))
    }

    /// Adds a BYE of this source.
    pub fn bye(self) -> Self {
        let bye = Bye::builder().add_source(self.ssrc);
        self.add(bye)
    }

    /// Adds a PLI to `media`.
    pub fn picture_loss(self, media: u32) -> Self {
        let feedback = PayloadFeedback::builder_owned(Pli::builder())
            .sender_ssrc(self.ssrc)
            .media_ssrc(media);
        self.add(feedback)
    }

    /// Adds a FIR to `media`; a repetition has the same `sequence`, a new request the next.
    pub fn full_intra_request(self, media: u32, sequence: u8) -> Self {
        self.payload_feedback(Fir::builder().add_ssrc(media, sequence))
    }

    /// Adds a generic NACK to `media` for the packets `sequences`.
    pub fn nack(self, media: u32, sequences: &[u16]) -> Self {
        let nack = sequences.iter().fold(Nack::builder(), |nack, &sequence| {
            nack.add_rtp_sequence(sequence)
        });
        let feedback = TransportFeedback::builder_owned(nack)
            .sender_ssrc(self.ssrc)
            .media_ssrc(media);
        self.add(feedback)
    }

    /// Adds a TMMBR.
    pub fn max_bitrate_request(self, entries: &[TmmbEntry]) -> Self {
        self.transport_feedback(Tmmbr::new(entries))
    }

    /// Adds a TMMBN.
    pub fn max_bitrate_notification(self, entries: &[TmmbEntry]) -> Self {
        self.transport_feedback(Tmmbn::new(entries))
    }

    /// Adds a TSTR; a repetition has the same sequence numbers, a new request the next.
    pub fn trade_off_request(self, entries: &[TradeOffEntry]) -> Self {
        self.payload_feedback(Tstr::new(entries))
    }

    /// Adds a TSTN.
    pub fn trade_off_notification(self, entries: &[TradeOffEntry]) -> Self {
        self.payload_feedback(Tstn::new(entries))
    }

    /// The bytes.
    pub fn finish(self) -> Vec<u8> {
        let len = self.packets.calculate_size();
        let mut out = vec![0; len.expect("every member keeps its limits")];
        self.packets.write_into_unchecked(&mut out);
        out
    }

    fn transport_feedback(self, entries: impl FciBuilder<'static> + 'static) -> Self {
        let feedback = TransportFeedback::builder_owned(entries).sender_ssrc(self.ssrc);
        self.add(feedback)
    }

    fn payload_feedback(self, entries: impl FciBuilder<'static> + 'static) -> Self {
        let feedback = PayloadFeedback::builder_owned(entries).sender_ssrc(self.ssrc);
        self.add(feedback)
    }

    fn add(self, packet: impl RtcpPacketWriter + 'static) -> Self {
        Self {
            ssrc: self.ssrc,
            packets: self.packets.add_packet(packet),
        }
    }
}

/// The beginning of `text`, at most `len` bytes of whole characters.
fn cut(text: &str, len: usize) -> &str {
    let mut end = text.len().min(len);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NtpTime;

    const INFO: SenderInfo = SenderInfo {
        ntp: NtpTime::from_bits(0xe000_0000_8000_0000),
        rtp_timestamp: 1000,
        packets: 1,
        octets: 4,
    };

    const BLOCK: ReportBlock = ReportBlock {
        ssrc: 0x0a0b_0c0d,
        fraction_lost: 64,
        cumulative_lost: -2,
        highest_sequence: 0x0001_ffff,
        jitter: 90,
        last_sender_report: 0x1122_3344,
        delay_since_last_sender_report: 0x8000,
    };

    #[test]
    fn sender_report_bytes() {
        let expected = [
            0x80, 0xc8, 0x00, 0x06, 0xde, 0xad, 0xbe, 0xef, 0xe0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0,
            0x03, 0xe8, 0, 0, 0, 1, 0, 0, 0, 4,
        ];
        let report = Writer::new(0xdead_beef).sender_report(INFO, &[]).finish();
        assert_eq!(report, expected);
    }

    #[test]
    fn receiver_report_bytes() {
        let expected = [
            0x81, 0xc9, 0, 7, 0, 0, 0, 1, 0x0a, 0x0b, 0x0c, 0x0d, 64, 0xff, 0xff, 0xfe, 0, 1, 0xff,
            0xff, 0, 0, 0, 90, 0x11, 0x22, 0x33, 0x44, 0, 0, 0x80, 0,
        ];
        assert_eq!(Writer::new(1).receiver_report(&[BLOCK]).finish(), expected);
        let read = crate::parse(&expected).unwrap();
        let expected = crate::Message::ReceiverReport {
            ssrc: 1,
            blocks: vec![BLOCK],
        };
        assert_eq!(read, [expected]);
    }

    #[test]
    fn name_and_bye_bytes() {
        let expected = [
            0x81, 202, 0, 3, 0, 0, 0, 9, 1, 5, b'h', b'e', b'l', b'l', b'o', 0, // SDES
            0x81, 203, 0, 1, 0, 0, 0, 9, // BYE
        ];
        let packet = Writer::new(9).canonical_name("hello").bye().finish();
        assert_eq!(packet, expected);
    }

    #[test]
    fn feedback_bytes() {
        let pli = [0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];
        assert_eq!(Writer::new(1).picture_loss(2).finish(), pli);
        let fir = [
            0x84, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 7, 0, 0, 0,
        ];
        assert_eq!(Writer::new(1).full_intra_request(2, 7).finish(), fir);
        let nack = [0x81, 205, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 9, 0, 5];
        assert_eq!(Writer::new(1).nack(2, &[9, 10, 12]).finish(), nack);
        let entry = TmmbEntry {
            ssrc: 2,
            bitrate: 299_000,
            overhead: 40,
        };
        let mut tmmb = [
            0x83, 205, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0x0a, 0x47, 0xfc, 0x28,
        ];
        assert_eq!(Writer::new(1).max_bitrate_request(&[entry]).finish(), tmmb);
        let trade_off = TradeOffEntry {
            ssrc: 2,
            sequence: 7,
            index: 31,
        };
        let mut tst = [
            0x85, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 7, 0, 0, 31,
        ];
        assert_eq!(Writer::new(1).trade_off_request(&[trade_off]).finish(), tst);
        tst[0] = 0x86;
        let packet = Writer::new(1).trade_off_notification(&[trade_off]);
        assert_eq!(packet.finish(), tst);
        tmmb[0] = 0x84;
        assert_eq!(
            Writer::new(1).max_bitrate_notification(&[entry]).finish(),
            tmmb
        );
    }

    #[test]
    fn a_long_name_is_cut_at_a_character() {
        let name = "ü".repeat(200);
        let packet = Writer::new(1).canonical_name(&name).finish();
        let expected = crate::Message::CanonicalName {
            ssrc: 1,
            name: "ü".repeat(127).into_bytes(),
        };
        assert_eq!(crate::parse(&packet).unwrap(), [expected]);
    }
}
