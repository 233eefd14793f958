//! Time to protect one 1200-byte RTP packet, printed per suite.
//!
//! ```text
//! cargo run --release -p hap-srtp --example throughput
//! ```

use std::time::Instant;

use srtp::{MasterKey, RTP_OVERHEAD, Sender, Suite};

const PACKET: usize = 1200;
const ROUNDS: u32 = 400_000;

fn main() {
    for suite in [Suite::AesCm128HmacSha1_80, Suite::AesCm256HmacSha1_80] {
        println!("{suite:?}: {:.2} µs per packet", microseconds(suite));
    }
}

fn microseconds(suite: Suite) -> f64 {
    let joined = vec![7; suite.key_len() + suite.salt_len()];
    let key = MasterKey::from_key_and_salt(suite, &joined).expect("length comes from the suite");
    let mut sender = Sender::new(&key);
    let mut buffer = [0u8; PACKET + RTP_OVERHEAD];
    buffer[0] = 0x80;
    let start = Instant::now();
    for n in 0..ROUNDS {
        buffer[2..4].copy_from_slice(&(n as u16).to_be_bytes());
        let protected = sender.protect_rtp_in_place(&mut buffer, PACKET);
        protected.expect("sequence numbers rise");
    }
    start.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS)
}
