//! What must hold for any bytes.

use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use rtp_feedback::{
    MAX_COMPOUND, Message, NtpTime, ReceiverStatistics, ReportBlock, SenderConfig, SenderSession,
    TmmbEntry, TradeOffEntry, Writer, parse,
};

/// Bytes that look like RTCP: version, known types, lengths that often fit.
fn rtcp_like() -> impl Strategy<Value = Vec<u8>> {
    let packet = (0u8..64, 190u8..215, vec(any::<u8>(), 0..80), any::<bool>()).prop_map(
        |(first, kind, mut body, fits)| {
            body.truncate(body.len() / 4 * 4);
            let words = body.len() / 4 + usize::from(!fits);
            let mut packet = vec![0x80 | first, kind, 0, words as u8];
            packet.append(&mut body);
            packet
        },
    );
    vec(packet, 0..6).prop_map(|packets| packets.concat())
}

fn session() -> SenderSession {
    SenderSession::new(SenderConfig {
        ssrc: 1,
        remote_ssrc: None,
        canonical_name: "x".into(),
        report_interval: Duration::from_millis(500),
        silence_timeout: None,
        key_frame_interval: None,
    })
}

proptest! {
    #[test]
    fn parsing_never_panics_and_is_bounded(
        bytes in prop_oneof![rtcp_like(), vec(any::<u8>(), 0..2100)],
    ) {
        if let Ok(messages) = parse(&bytes) {
            prop_assert!(bytes.len() <= MAX_COMPOUND);
            prop_assert!(messages.len() <= MAX_COMPOUND / 4);
        }
    }

    #[test]
    fn a_session_survives_any_input(packets in vec(rtcp_like(), 1..5)) {
        let mut session = session();
        let now = Instant::now();
        for packet in packets {
            let _ = session.handle_input(&packet, now, NtpTime::default());
        }
        let events = std::iter::from_fn(|| session.poll_event()).count();
        prop_assert!(events < 2000);
    }

    #[test]
    fn what_is_written_is_read(
        ssrc: u32, media: u32, sequence: u8, bitrate in 0u64..0x2_0000, overhead in 0u16..512,
        index in 0u8..32, jitter: u32, cumulative_lost in -0x80_0000i32..0x80_0000,
    ) {
        let block = ReportBlock { ssrc: media, jitter, cumulative_lost, ..ReportBlock::default() };
        let entry = TmmbEntry { ssrc: media, bitrate, overhead };
        let trade_off = TradeOffEntry { ssrc: media, sequence, index };
        let packet = Writer::new(ssrc)
            .receiver_report(&[block])
            .picture_loss(media)
            .full_intra_request(media, sequence)
            .max_bitrate_request(&[entry])
            .trade_off_request(&[trade_off])
            .finish();
        let expected = [
            Message::ReceiverReport { ssrc, blocks: vec![block] },
            Message::PictureLoss { sender: ssrc, media },
            Message::FullIntraRequest { sender: ssrc, entries: vec![(media, sequence)] },
            Message::MaxBitrateRequest { sender: ssrc, entries: vec![entry] },
            Message::TradeOffRequest { sender: ssrc, entries: vec![trade_off] },
        ];
        prop_assert_eq!(parse(&packet).unwrap(), expected);
    }

    #[test]
    fn statistics_never_panic(packets in vec((any::<u16>(), any::<u32>(), any::<u32>()), 0..100)) {
        let mut statistics = ReceiverStatistics::new(1, 90_000);
        for (sequence, timestamp, arrival) in packets {
            let arrival = Duration::from_millis(arrival.into());
            statistics.packet(sequence, timestamp, arrival);
            let _ = statistics.report_block(arrival);
        }
    }
}
