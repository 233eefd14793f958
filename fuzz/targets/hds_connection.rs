//! Frames with the right key and any content, at both ends of a HomeKit Data Stream; and bytes without a key.
#![no_main]

use std::time::Instant;

use hds_proto::frame::Sealer;
use hds_proto::{Connection, Pending, SessionKeys};

libfuzzer_sys::fuzz_target!(|payloads: Vec<&[u8]>| {
    let now = Instant::now();
    let keys = || SessionKeys::derive(&[1; 32], &[2; 32], &[3; 32]);
    let mut pending = Pending::new();
    let _ = Connection::accessory(now).input(&payloads.concat(), now, &mut pending);
    let _ = pending.add(1, keys(), now);
    let ends = [
        (
            Connection::accessory(now),
            keys().controller_to_accessory().clone(),
        ),
        (
            Connection::controller(&keys(), now),
            keys().accessory_to_controller().clone(),
        ),
    ];
    for (mut connection, key) in ends {
        let mut sealer = Sealer::new(&key);
        for payload in &payloads {
            let Ok(frame) = sealer.seal(payload.len(), |out| out.extend_from_slice(payload)) else {
                return;
            };
            if connection.input(&frame, now, &mut pending).is_err() {
                break;
            }
            while connection.poll_event().is_some() {}
            while connection.poll_output().is_some() {}
        }
    }
});
