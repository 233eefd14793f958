//! RTCP of any bytes at the parser and at a session that has sent something.
#![no_main]

use std::time::{Duration, Instant};

use rtp_feedback::{NtpTime, ReportTime, SenderConfig, SenderSession, parse};

libfuzzer_sys::fuzz_target!(|packets: Vec<&[u8]>| {
    let mut session = SenderSession::new(SenderConfig {
        ssrc: 1,
        remote_ssrc: None,
        canonical_name: "x".into(),
        report_interval: Duration::from_millis(500),
        silence_timeout: Some(Duration::from_secs(30)),
        key_frame_interval: Some(Duration::from_secs(5)),
    });
    let mut now = Instant::now();
    session.media_sent(1, 1000, now);
    session.key_frame_sent(now);
    for packet in packets {
        let _ = parse(packet);
        let _ = session.handle_input(packet, now, NtpTime::from_unix(Duration::from_secs(1)));
        while session.poll_event().is_some() {}
        now += Duration::from_millis(u64::from(packet.first().copied().unwrap_or_default()));
        session.handle_timeout(now);
        let time = ReportTime {
            ntp: NtpTime::from_unix(Duration::from_secs(2)),
            rtp_timestamp: 3,
        };
        if let Some(report) = session.poll_report(now, time) {
            parse(&report).expect("our own reports can be read");
        }
    }
});
