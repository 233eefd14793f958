//! Microseconds for one RTP packet of 1200 bytes: protected, accepted, and the cryptography of it alone.
//!
//! ```text
//! cargo run --release -p hap-srtp --example throughput
//! ```
//!
//! One line each: name, microseconds per packet (median of many short slices).

use std::time::Instant;

use aes::Aes128;
use aes::cipher::{InnerIvInit, KeyInit, StreamCipher, StreamCipherCoreWrapper};
use ctr::{CtrCore, flavors::Ctr32BE};
use hmac::{Hmac, Mac};
use sha1::Sha1;
use srtp::{MasterKey, RTP_OVERHEAD, Receiver, Sender, Suite};

const PACKET: usize = 1200;
const HEADER: usize = 12;
const SLICES: usize = 101;
const PACKETS: u16 = 1000;

type Buffer = [u8; PACKET + RTP_OVERHEAD];

fn main() {
    println!("protect-128 {:.4}", protect(Suite::AesCm128HmacSha1_80));
    println!("protect-256 {:.4}", protect(Suite::AesCm256HmacSha1_80));
    println!("accept-128 {:.4}", accept(Suite::AesCm128HmacSha1_80));
    println!("RustCrypto {:.4}", raw(true, true));
    println!("cipher-RustCrypto {:.4}", raw(true, false));
    println!("mac-RustCrypto {:.4}", raw(false, true));
}

fn key(suite: Suite) -> MasterKey {
    let joined = vec![7; suite.key_len() + suite.salt_len()];
    MasterKey::from_key_and_salt(suite, &joined).expect("length comes from the suite")
}

fn packet(sequence: u16) -> Buffer {
    let mut packet = [0; PACKET + RTP_OVERHEAD];
    packet[0] = 0x80;
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet
}

fn protect(suite: Suite) -> f64 {
    let (mut sender, mut buffer, mut sequence) = (Sender::new(&key(suite)), packet(0), 0u16);
    median(|| {
        for _ in 0..PACKETS {
            sequence = sequence.wrapping_add(1);
            buffer[2..4].copy_from_slice(&sequence.to_be_bytes());
            let protected = sender.protect_rtp_in_place(&mut buffer, PACKET);
            protected.expect("sequence numbers rise");
        }
    })
}

/// Packets protected beforehand, slice by slice.
fn accept(suite: Suite) -> f64 {
    let (mut sender, mut receiver) = (Sender::new(&key(suite)), Receiver::new(&key(suite)));
    let mut sequence = 0u16;
    let mut slices = Vec::new();
    for _ in 0..SLICES {
        let mut packets: Vec<Buffer> = (0..PACKETS)
            .map(|n| packet(sequence.wrapping_add(n)))
            .collect();
        for packet in &mut packets {
            let protected = sender.protect_rtp_in_place(packet, PACKET);
            protected.expect("sequence numbers rise");
        }
        sequence = sequence.wrapping_add(PACKETS);
        slices.push(microseconds(|| {
            for packet in &mut packets {
                receiver.unprotect_rtp(packet).expect("just protected");
            }
        }));
    }
    middle(slices)
}

/// The same bytes through the same crates with nothing around them.
fn raw(encrypts: bool, authenticates: bool) -> f64 {
    let aes = Aes128::new(&[1; 16].into());
    let keyed =
        <Hmac<Sha1> as Mac>::new_from_slice(&[2; 20]).expect("HMAC takes a key of any length");
    let (mut buffer, mut n) = (packet(0), 0u128);
    median(|| {
        for _ in 0..PACKETS {
            n += 1 << 16;
            if encrypts {
                let core = CtrCore::<_, Ctr32BE>::inner_iv_init(&aes, &n.to_be_bytes().into());
                let mut stream = StreamCipherCoreWrapper::from_core(core);
                stream.apply_keystream(&mut buffer[HEADER..PACKET]);
            }
            if authenticates {
                let mut mac = keyed.clone();
                mac.update(&buffer[..PACKET]);
                mac.update(&[0; 4]);
                let tag = mac.finalize().into_bytes();
                buffer[PACKET..].copy_from_slice(&tag[..RTP_OVERHEAD]);
            }
        }
    })
}

fn median(mut slice: impl FnMut()) -> f64 {
    middle((0..SLICES).map(|_| microseconds(&mut slice)).collect())
}

fn microseconds(slice: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    slice();
    begun.elapsed().as_secs_f64() * 1e6 / f64::from(PACKETS)
}

fn middle(mut slices: Vec<f64>) -> f64 {
    slices.sort_by(f64::total_cmp);
    slices[slices.len() / 2]
}
