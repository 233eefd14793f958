//! SRTP and SRTCP packets in place, both ways.

#[path = "../../hot_paths.rs"]
mod hot_paths;

use hot_paths::{HotPath, run};
use srtp::{MasterKey, RTCP_OVERHEAD, RTP_OVERHEAD, Receiver, Sender, Suite};

const VIDEO: usize = 1200;
const AUDIO: usize = 80;
const REPORT: usize = 52;

fn main() {
    run(vec![
        protect("protect-1200", Suite::AesCm128HmacSha1_80, VIDEO),
        protect("protect-1200-aes-256", Suite::AesCm256HmacSha1_80, VIDEO),
        protect("protect-80", Suite::AesCm128HmacSha1_80, AUDIO),
        protect_and_accept("protect-accept-1200", VIDEO),
        protect_report("protect-rtcp-52"),
    ]);
}

fn key(suite: Suite) -> MasterKey {
    let joined = vec![7; suite.key_len() + suite.salt_len()];
    MasterKey::from_key_and_salt(suite, &joined).expect("length comes from the suite")
}

fn rtp(len: usize) -> Vec<u8> {
    let mut packet = vec![0; len + RTP_OVERHEAD];
    packet[0] = 0x80;
    packet
}

fn protect(name: &'static str, suite: Suite, len: usize) -> HotPath {
    let (mut sender, mut packet, mut sequence) = (Sender::new(&key(suite)), rtp(len), 0u16);
    let path = move || {
        sequence = sequence.wrapping_add(1);
        packet[2..4].copy_from_slice(&sequence.to_be_bytes());
        let protected = sender.protect_rtp_in_place(&mut packet, len);
        protected.expect("sequence numbers rise");
    };
    (name, Box::new(path))
}

/// Accepting alone would be refused as a replay.
fn protect_and_accept(name: &'static str, len: usize) -> HotPath {
    let key = key(Suite::AesCm128HmacSha1_80);
    let mut receiver = Receiver::new(&key);
    let (mut sender, mut packet, mut sequence) = (Sender::new(&key), rtp(len), 0u16);
    let path = move || {
        sequence = sequence.wrapping_add(1);
        packet[2..4].copy_from_slice(&sequence.to_be_bytes());
        let protected = sender.protect_rtp_in_place(&mut packet, len);
        protected.expect("sequence numbers rise");
        receiver.unprotect_rtp(&mut packet).expect("just protected");
    };
    (name, Box::new(path))
}

fn protect_report(name: &'static str) -> HotPath {
    let mut sender = Sender::new(&key(Suite::AesCm128HmacSha1_80));
    let mut packet = Vec::with_capacity(REPORT + RTCP_OVERHEAD);
    let path = move || {
        packet.clear();
        packet.extend([0x80, 200, 0, 12]);
        packet.resize(REPORT, 0);
        let protected = sender.protect_rtcp(&mut packet);
        protected.expect("fewer than 2^31 reports");
    };
    (name, Box::new(path))
}
