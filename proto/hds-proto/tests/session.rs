//! Two ends talk.

mod common;

use std::time::Duration;

use common::{TOKEN, World, bytes, events, other_keys, output};
use hds_proto::frame::Sealer;
use hds_proto::{
    CHUNK, CONNECT_TIMEOUT, Connection, DataType, Error, Event, HELLO_TIMEOUT, MAX_PENDING,
    MAX_STREAMS, Open, Pending, Piece, RESPONSE_TIMEOUT, Reason, SendError, Status, StreamKind,
    Value,
};

/// What came for the only stream there is, piece by piece, and whether it has ended.
fn received(world: &mut World) -> (Vec<Vec<u8>>, bool) {
    let (mut pieces, mut ended) = (Vec::new(), false);
    for event in events(&mut world.controller) {
        let Event::Data(data) = event else {
            panic!("{event:?} instead of data")
        };
        assert!(!ended, "something follows the end");
        for packet in data.packets {
            if packet.chunk == 1 {
                pieces.push(Vec::new());
            }
            assert_eq!(packet.sequence, pieces.len() as u64);
            assert_eq!(packet.total_size.is_some(), packet.chunk == 1);
            pieces.last_mut().unwrap().extend(packet.data);
        }
        ended = data.end_of_stream;
    }
    (pieces, ended)
}

fn media(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 7 / 5) as u8).collect()
}

#[test]
fn hello_makes_both_ends_ready() {
    let mut world = World::new();
    assert!(!world.accessory.is_ready() && !world.controller.is_ready());
    assert_eq!(world.accessory.token(), None);
    world.exchange().unwrap();
    assert_eq!(world.accessory.token(), Some(TOKEN));
    assert!(world.pending.is_empty());
    assert_eq!(events(&mut world.accessory), [Event::Ready]);
    assert_eq!(events(&mut world.controller), [Event::Ready]);
    assert_eq!(world.accessory.poll_timeout(), None);
    assert_eq!(world.controller.poll_timeout(), None);
}

#[test]
fn a_recording_from_open_to_close() {
    let mut world = World::ready();
    let request = world.ask(&Open::recording(3));
    assert_eq!(request.kind, StreamKind::Recording);
    assert_eq!(request.reason.as_deref(), Some("record"));
    assert_eq!(request.size, None);
    assert!(
        !world
            .accessory
            .send_data(3, DataType::Initialization, 1, b"early", false)
    );
    assert!(world.accessory.accept(&request));
    assert!(!world.accessory.accept(&request));
    world.exchange().unwrap();
    let stream_id = 3;
    assert_eq!(events(&mut world.controller), [Event::Opened { stream_id }]);

    let sent = [
        media(700),
        media(500_000),
        media(2 * CHUNK),
        media(CHUNK + 1),
    ];
    for (index, piece) in sent.iter().enumerate() {
        let sequence = index as u64 + 1;
        let data_type = match index {
            0 => DataType::Initialization,
            _ => DataType::Fragment,
        };
        let last = index + 1 == sent.len();
        assert!(
            world
                .accessory
                .send_data(3, data_type, sequence, piece, last)
        );
    }
    assert!(
        !world
            .accessory
            .send_data(3, DataType::Fragment, 5, b"more", false)
    );
    world.exchange().unwrap();
    assert_eq!(received(&mut world), (sent.to_vec(), true));

    assert!(world.controller.ack(3));
    assert!(world.controller.close_stream(3, Reason::Normal));
    assert!(!world.controller.close_stream(3, Reason::Normal));
    world.exchange().unwrap();
    let ack = Event::Ack {
        stream_id,
        end_of_stream: true,
    };
    let reason = Reason::Normal;
    let close = Event::Close { stream_id, reason };
    assert_eq!(events(&mut world.accessory), [ack, close]);
    assert!(!world.accessory.close_stream(3, Reason::Normal));
}
