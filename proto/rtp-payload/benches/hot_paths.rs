//! Access units to payloads and back, as for 1080p at 4 Mbit/s.

#[path = "../../hot_paths.rs"]
mod hot_paths;

use std::time::Duration;

use hot_paths::{HotPath, run};
use rtp_payload::h264::{Depacketizer, Format, Packetizer};
use rtp_payload::{Header, Packet, h265, opus};

/// What a UDP payload of 1378 bytes leaves.
const LIMIT: usize = 1378 - 12 - 10;
const PICTURE: usize = 15_000;
const KEY_PICTURE: usize = 130_000;

fn main() {
    run(vec![
        h264("h264-picture-15k", picture(PICTURE, &[0x41])),
        h264("h264-key-picture-130k", key_picture(KEY_PICTURE)),
        h265("h265-picture-15k", picture(PICTURE, &[0x02, 0x01])),
        back("h264-picture-15k-back", &picture(PICTURE, &[0x41])),
        opus_packets("opus-3-to-1"),
    ]);
}

/// A start code, a header, and bytes that look like coded data: no two zeros in a row.
fn picture(len: usize, header: &[u8]) -> Vec<u8> {
    let mut unit = [&[0, 0, 0, 1], header].concat();
    let mut state = 1u32;
    unit.extend((0..len).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8 | 1
    }));
    unit
}

fn key_picture(len: usize) -> Vec<u8> {
    let sets = [
        0, 0, 0, 1, 0x67, 77, 64, 40, 0x80, 0, 0, 0, 1, 0x68, 0xee, 0x80,
    ];
    [&sets[..], &picture(len, &[0x65])].concat()
}

fn h264(name: &'static str, unit: Vec<u8>) -> HotPath {
    let (mut packetizer, mut packet) = (Packetizer::new(LIMIT), Vec::with_capacity(LIMIT));
    let path = move || {
        let cut = packetizer.access_unit(&unit, Format::AnnexB);
        for payload in cut.expect("an access unit").payloads() {
            packet.clear();
            payload.write_to(&mut packet);
        }
    };
    (name, Box::new(path))
}

fn h265(name: &'static str, unit: Vec<u8>) -> HotPath {
    let (mut packetizer, mut packet) = (h265::Packetizer::new(LIMIT), Vec::with_capacity(LIMIT));
    let path = move || {
        let cut = packetizer.access_unit(&unit, h265::Format::AnnexB);
        for payload in cut.expect("an access unit").payloads() {
            packet.clear();
            payload.write_to(&mut packet);
        }
    };
    (name, Box::new(path))
}

/// The receiver: packets of one picture to an access unit, again and again.
fn back(name: &'static str, unit: &[u8]) -> HotPath {
    let mut packetizer = Packetizer::new(LIMIT);
    let cut = packetizer.access_unit(unit, Format::AnnexB);
    let mut payloads = Vec::new();
    for payload in cut.expect("an access unit").payloads() {
        let mut bytes = Vec::new();
        payload.write_to(&mut bytes);
        payloads.push((payload.marker, bytes));
    }
    let (mut depacketizer, mut sequence, mut timestamp) = (Depacketizer::new(), 0u16, 0u32);
    let path = move || {
        timestamp = timestamp.wrapping_add(3000);
        for (marker, payload) in &payloads {
            sequence = sequence.wrapping_add(1);
            let header = Header {
                marker: *marker,
                payload_type: 99,
                sequence,
                timestamp,
                ssrc: 1,
            };
            let pushed = depacketizer.push(&Packet::new(header, payload));
            pushed.expect("well-formed");
        }
        depacketizer.poll().expect("a whole picture");
    };
    (name, Box::new(path))
}

/// Three packets of 20 ms become one of 60 ms.
fn opus_packets(name: &'static str) -> HotPath {
    let step = Duration::from_millis(20);
    let mut repacketizer = opus::Repacketizer::new(Some(3 * step));
    let (mut time, mut packet) = (Duration::ZERO, Vec::new());
    let frame = [&[0x48][..], &[0xaa; 59]].concat();
    let path = move || {
        for _ in 0..3 {
            repacketizer.push(&frame, time).expect("well-formed");
            time += step;
        }
        packet.clear();
        repacketizer.pull(&mut packet).expect("a whole packet");
    };
    (name, Box::new(path))
}
