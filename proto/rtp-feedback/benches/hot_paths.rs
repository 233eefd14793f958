//! What a stream that is sent asks of its RTCP session.

#[path = "../../hot_paths.rs"]
mod hot_paths;

use std::time::{Duration, Instant};

use hot_paths::{HotPath, run};
use rtp_feedback::{NtpTime, ReportBlock, ReportTime, SenderConfig, SenderSession, Writer};

const OURS: u32 = 7;
const THEIRS: u32 = 9;
const FRAME: Duration = Duration::from_micros(33_333);
const INTERVAL: Duration = Duration::from_millis(500);

fn main() {
    run(vec![
        picture("picture-sent"),
        sender_report("sender-report"),
        answered("receiver-report", reception().finish()),
        answered("picture-loss", reception().picture_loss(OURS).finish()),
    ]);
}

fn session() -> SenderSession {
    SenderSession::new(SenderConfig {
        ssrc: OURS,
        remote_ssrc: Some(THEIRS),
        canonical_name: "camera".into(),
        report_interval: INTERVAL,
        silence_timeout: Some(Duration::from_secs(30)),
        key_frame_interval: None,
    })
}

/// As a controller sends it twice a second.
fn reception() -> Writer {
    let block = ReportBlock {
        ssrc: OURS,
        ..ReportBlock::default()
    };
    Writer::new(THEIRS)
        .receiver_report(&[block])
        .canonical_name("controller")
}

fn picture(name: &'static str) -> HotPath {
    let (mut session, mut now) = (session(), Instant::now());
    let path = move || {
        now += FRAME;
        session.media_sent(13, 16_000, now);
        assert!(session.poll_timeout().is_some());
    };
    (name, Box::new(path))
}

fn sender_report(name: &'static str) -> HotPath {
    let (mut session, mut now) = (session(), Instant::now());
    let mut ntp = NtpTime::from_unix(Duration::from_secs(1_700_000_000));
    session.media_sent(1, 1, now);
    let path = move || {
        now += INTERVAL;
        ntp = ntp.after(INTERVAL);
        let time = ReportTime {
            ntp,
            rtp_timestamp: 0,
        };
        assert!(session.poll_report(now, time).is_some());
    };
    (name, Box::new(path))
}

/// The key frame that is asked for, if one is, has left before the next packet comes.
fn answered(name: &'static str, compound: Vec<u8>) -> HotPath {
    let (mut session, mut now) = (session(), Instant::now());
    let mut ntp = NtpTime::from_unix(Duration::from_secs(1_700_000_000));
    let path = move || {
        now += INTERVAL;
        ntp = ntp.after(INTERVAL);
        let taken = session.handle_input(&compound, now, ntp);
        taken.expect("well-formed");
        while session.poll_event().is_some() {
            session.key_frame_sent(now);
        }
    };
    (name, Box::new(path))
}
