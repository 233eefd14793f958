//! RTP packets of any bytes at every depacketizer, and access units of any bytes at every packetizer.
#![no_main]

use std::time::Duration;

use rtp_payload::h264::{Format, H264, MAX_ACCESS_UNIT};
use rtp_payload::h265::H265;
use rtp_payload::{Packet, aac, nal, opus};

fn depacketized<C: nal::Codec>(packets: &[&[u8]]) {
    let mut depacketizer = nal::Depacketizer::<C>::new();
    for packet in packets.iter().filter_map(|bytes| Packet::parse(bytes).ok()) {
        let _ = depacketizer.push(&packet);
    }
    depacketizer.finish();
    while let Some(access_unit) = depacketizer.poll() {
        assert!(access_unit.annex_b.len() <= MAX_ACCESS_UNIT);
    }
}

fn packetized<C: nal::Codec>(bytes: &[u8], format: Format) {
    let mut packetizer = nal::Packetizer::<C>::new(200);
    let _ = packetizer.set_codec_data(bytes);
    if let Ok(access_unit) = packetizer.access_unit(bytes, format) {
        for payload in access_unit.payloads() {
            assert!(payload.len() <= 200);
        }
    }
}

libfuzzer_sys::fuzz_target!(|packets: Vec<&[u8]>| {
    depacketized::<H264>(&packets);
    depacketized::<H265>(&packets);
    let mut sound = (aac::Depacketizer::new(), opus::Depacketizer::new());
    let mut repacketizer = opus::Repacketizer::new(Some(Duration::from_millis(60)));
    for bytes in &packets {
        packetized::<H264>(bytes, Format::AnnexB);
        packetized::<H264>(bytes, Format::Avc { length_size: 4 });
        packetized::<H265>(bytes, Format::AnnexB);
        let _ = (aac::Config::parse(bytes), opus::Packet::parse(bytes));
        let _ = repacketizer.push(bytes, Duration::ZERO);
        while repacketizer.pull(&mut Vec::new()).is_some() {}
        if let Ok(packet) = Packet::parse(bytes) {
            let _ = (sound.0.push(&packet), sound.1.push(&packet));
        }
    }
});
