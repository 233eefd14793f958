//! Helpers and the master key that the published vectors share.

use crate::{MasterKey, Suite};

/// Master key of RFC 3711 §B.3.
pub(crate) fn master_128() -> MasterKey {
    MasterKey::new(
        Suite::AesCm128HmacSha1_80,
        &hex("e1f97a0d3e018be0d64fa32c06de4139"),
        &hex("0ec675ad498afeebb6960b3aabe6"),
    )
    .unwrap()
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let digit = |d: u8| (d as char).to_digit(16).unwrap() as u8;
    digits
        .chunks(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The n-th block of 16 bytes.
pub(crate) fn block(stream: &[u8], n: usize) -> String {
    to_hex(&stream[16 * n..16 * (n + 1)])
}

/// An RTP packet with 20 bytes of payload.
pub(crate) fn rtp(ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 99];
    packet.extend(sequence.to_be_bytes());
    packet.extend(1000u32.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0x5a; 20]);
    packet
}
