//! Stream sessions, with a recording media side and a clock of its own.

use std::time::Duration;

use hap_camera::rtp::*;
use hap_camera::services::StreamCharacteristic as C;
use hap_camera::{Camera, Event, Requester, StreamKey};
use hap_proto::{CharId, ConnId, Status, Value};

use crate::bench::{Bench, LOCAL, control, description, phone, request, start};

#[test]
fn a_session_from_setup_to_end() {
    let mut b = Bench::new();
    assert_eq!(b.read_setup(0, phone(1)), SetupEndpointsResponse::idle());
    let answer = b.setup(0, 7, phone(1)).result.unwrap();
    assert_eq!(
        (answer.accessory.video_port, answer.accessory.audio_port),
        (40000, 40002)
    );
    assert_eq!(answer.accessory.address, LOCAL);
    assert_ne!(answer.video_srtp.key, answer.audio_srtp.key);
    assert_ne!(answer.video_ssrc, answer.audio_ssrc);
    assert_eq!(b.status(0), [1, 1, 1]);
    b.select(0, &start(7), phone(1)).unwrap();
    b.select(0, &control(7, StreamCommand::Suspend), phone(1))
        .unwrap();
    b.select(0, &control(7, StreamCommand::Resume), phone(1))
        .unwrap();
    let change = VideoChange {
        max_bitrate_kbps: Some(132),
        ..VideoChange::default()
    };
    let reconfigure = SelectedStreamConfiguration::Reconfigure {
        session_id: [7; 16],
        video: change,
    };
    b.select(0, &reconfigure, phone(1)).unwrap();
    b.select(0, &control(7, StreamCommand::End), phone(1))
        .unwrap();
    let expected = [
        "open 0/1 at 192.0.2.1",
        "start 0/1 1280x720",
        "suspend 0/1 true",
        "suspend 0/1 false",
        "reconfigure 0/1 Some(132)",
        "close 0/1",
    ];
    assert_eq!(b.media.calls, expected);
    assert_eq!(b.status(0), [1, 1, 0]);
    assert_eq!(b.read_setup(0, phone(1)), SetupEndpointsResponse::idle());
    // Controllers were seen to reconfigure after a stop: refused, not left hanging.
    assert_eq!(
        b.select(0, &reconfigure, phone(1)),
        Err(Status::InvalidValue)
    );
}

#[test]
fn status_changes_are_announced_once() {
    let mut b = Bench::new();
    b.setup(0, 7, phone(1));
    b.select(0, &start(7), phone(1)).unwrap();
    b.camera.connection_closed(ConnId(1), &mut b.media);
    let id = C::StreamingStatus.id(0);
    let status = |s: StreamingStatus| Event::Changed {
        id,
        value: Value::Tlv8(s.encode()),
        origin: None,
    };
    assert_eq!(
        b.events(),
        [
            status(StreamingStatus::InUse),
            status(StreamingStatus::Available)
        ]
    );
}

#[test]
fn a_busy_service_says_so_only_to_the_second_controller() {
    let mut b = Bench::new();
    b.setup(0, 7, phone(1));
    let second = b.setup(0, 9, phone(2));
    assert_eq!(
        second,
        SetupEndpointsResponse {
            session_id: Some([9; 16]),
            result: Err(SetupStatus::Busy)
        }
    );
    assert!(b.read_setup(0, phone(1)).result.is_ok());
    assert!(
        b.setup(1, 9, phone(2)).result.is_ok(),
        "the other service is free"
    );
}

#[test]
fn endpoints_never_started_expire() {
    let mut b = Bench::new();
    b.setup(0, 7, phone(1));
    assert_eq!(
        b.camera.poll_timeout(),
        Some(b.now + Duration::from_secs(30))
    );
    b.camera
        .timeout(b.now + Duration::from_secs(29), &mut b.media);
    assert_eq!(b.status(0), [1, 1, 1]);
    b.camera
        .timeout(b.now + Duration::from_secs(30), &mut b.media);
    assert_eq!(b.status(0), [1, 1, 0]);
    assert_eq!(b.media.calls.last().unwrap(), "close 0/1");
    assert_eq!(b.camera.poll_timeout(), None);
    assert_eq!(b.select(0, &start(7), phone(1)), Err(Status::InvalidValue));
}

#[test]
fn a_started_session_does_not_expire() {
    let mut b = Bench::new();
    b.setup(0, 7, phone(1));
    b.select(0, &start(7), phone(1)).unwrap();
    assert_eq!(b.camera.poll_timeout(), None);
    assert_eq!(
        b.select(0, &start(7), phone(1)),
        Err(Status::NotAllowedInCurrentState)
    );
}

#[test]
fn the_same_connection_may_set_up_again_before_it_starts() {
    let mut b = Bench::new();
    b.setup(0, 7, phone(1));
    assert!(b.setup(0, 8, phone(1)).result.is_ok());
    assert_eq!(
        b.media.calls,
        [
            "open 0/1 at 192.0.2.1",
            "close 0/1",
            "open 0/2 at 192.0.2.1"
        ]
    );
    b.select(0, &start(8), phone(1)).unwrap();
    let again = b.setup(0, 9, phone(1));
    assert_eq!(
        again.result,
        Err(SetupStatus::Busy),
        "a running session is not replaced"
    );
}

#[test]
fn another_controllers_stream_cannot_be_ended() {
    let mut b = Bench::new();
    b.setup(0, 7, phone(1));
    b.select(0, &start(7), phone(1)).unwrap();
    let other = Requester {
        conn: ConnId(2),
        controller: Some("other"),
        local: LOCAL,
        admin: false,
        shared_secret: None,
    };
    assert_eq!(
        b.select(0, &control(7, StreamCommand::End), other),
        Err(Status::InsufficientPrivileges)
    );
    assert_eq!(b.status(0), [1, 1, 1]);
}

#[test]
fn a_lost_stream_frees_the_service_and_only_that_one() {
    let mut b = Bench::new();
    b.setup(0, 7, phone(1));
    b.select(0, &start(7), phone(1)).unwrap();
    b.setup(1, 8, phone(1));
    b.camera.stream_lost(
        StreamKey {
            slot: 0,
            serial: 99,
        },
        &mut b.media,
    );
    assert_eq!(
        b.status(0),
        [1, 1, 1],
        "an older session's end is not this one's"
    );
    b.camera
        .stream_lost(StreamKey { slot: 0, serial: 1 }, &mut b.media);
    assert_eq!((b.status(0), b.status(1)), (vec![1, 1, 0], vec![1, 1, 1]));
}

#[test]
fn active_off_ends_and_gates_and_persists() {
    let mut b = Bench::new();
    b.setup(0, 7, phone(1));
    b.select(0, &start(7), phone(1)).unwrap();
    b.events();
    b.write(C::Active.id(0), Value::UInt(0), phone(2)).unwrap();
    assert_eq!(b.media.calls.last().unwrap(), "close 0/1");
    let setup = b.write(
        C::SetupEndpoints.id(0),
        Value::Tlv8(request(8).encode()),
        phone(1),
    );
    assert_eq!(setup, Err(Status::NotAllowedInCurrentState));
    assert_eq!(
        b.select(0, &start(7), phone(1)),
        Err(Status::NotAllowedInCurrentState)
    );
    let events = b.events();
    assert!(events.contains(&Event::Persist));
    let active = Event::Changed {
        id: C::Active.id(0),
        value: Value::UInt(0),
        origin: Some(ConnId(2)),
    };
    assert!(events.contains(&active), "{events:?}");
    assert_eq!(b.camera.snapshot_allowed(Some(0)), Ok(()));
    b.write(C::Active.id(1), Value::UInt(0), phone(2)).unwrap();
    assert_eq!(
        b.camera.snapshot_allowed(Some(0)),
        Err(Status::NotAllowedInCurrentState)
    );
    let again = Camera::new(&description(), b.camera.state().clone());
    assert_eq!(again.read(C::Active.id(0), &phone(1)), Ok(Value::UInt(0)));
}

#[test]
fn failures_of_the_media_side_are_answered_and_leave_the_service_free() {
    let mut b = Bench::new();
    b.media.fail_open = true;
    assert_eq!(b.setup(0, 7, phone(1)).result, Err(SetupStatus::Error));
    b.media.fail_open = false;
    b.media.fail_start = true;
    b.setup(0, 7, phone(1));
    assert_eq!(
        b.select(0, &start(7), phone(1)),
        Err(Status::UnableToCommunicate)
    );
    assert_eq!(b.status(0), [1, 1, 0]);
    assert_eq!(b.media.calls.last().unwrap(), "close 0/2");
}

#[test]
fn unencrypted_or_foreign_family_requests_are_refused() {
    let mut b = Bench::new();
    let mut plain = request(7);
    plain.video_srtp = SrtpParameters {
        suite: SrtpSuite::None,
        key: vec![].into(),
        salt: vec![].into(),
    };
    b.write(
        C::SetupEndpoints.id(0),
        Value::Tlv8(plain.encode()),
        phone(1),
    )
    .unwrap();
    assert_eq!(b.read_setup(0, phone(1)).result, Err(SetupStatus::Error));
    let mut six = request(7);
    six.controller.address = "2001:db8::1".parse().unwrap();
    b.write(C::SetupEndpoints.id(0), Value::Tlv8(six.encode()), phone(1))
        .unwrap();
    assert_eq!(b.read_setup(0, phone(1)).result, Err(SetupStatus::Error));
    assert_eq!(
        b.write(C::SetupEndpoints.id(0), Value::Tlv8(vec![1, 2]), phone(1)),
        Err(Status::InvalidValue)
    );
    assert!(b.media.calls.is_empty());
}

#[test]
fn sound_characteristics_keep_their_values() {
    let mut b = Bench::new();
    let mute = CharId {
        aid: 1,
        iid: hap_camera::services::iid::SPEAKER_MUTE,
    };
    let volume = CharId {
        aid: 1,
        iid: hap_camera::services::iid::SPEAKER_VOLUME,
    };
    b.write(mute, Value::Bool(true), phone(1)).unwrap();
    b.write(volume, Value::UInt(40), phone(1)).unwrap();
    assert_eq!(
        b.write(volume, Value::UInt(101), phone(1)),
        Err(Status::InvalidValue)
    );
    assert_eq!(b.camera.read(mute, &phone(1)), Ok(Value::Bool(true)));
    assert_eq!(b.camera.read(volume, &phone(1)), Ok(Value::UInt(40)));
}
