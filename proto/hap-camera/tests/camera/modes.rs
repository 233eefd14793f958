//! Home's four modes and the privacy switch, against everything that can be asked of a camera.

use hap_camera::services::{StreamCharacteristic as C, iid};
use hap_camera::{Event, Reason};
use hap_proto::{Status, Value};

use crate::bench::{Bench, id, phone, request, start};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Off,
    DetectActivity,
    Stream,
    StreamAndRecord,
}

use Mode::{DetectActivity, Off, Stream, StreamAndRecord};

const ALL: [Mode; 4] = [Off, DetectActivity, Stream, StreamAndRecord];

impl Mode {
    /// What a hub writes: Active of the streams, HomeKit Camera Active, Active of recordings.
    const fn values(self) -> [bool; 3] {
        match self {
            Off => [false, false, false],
            DetectActivity => [false, true, false],
            Stream => [true, true, false],
            StreamAndRecord => [true, true, true],
        }
    }

    fn write(self, b: &mut Bench) {
        let [streams, camera, recording] = self.values();
        b.set_flag(C::Active.id(0).iid, streams);
        b.set_flag(C::Active.id(1).iid, streams);
        b.set_flag(iid::CAMERA_ACTIVE, camera);
        b.set_flag(iid::RECORDING_ACTIVE, recording);
    }
}

/// What a camera does.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
struct Does {
    stream: bool,
    snapshot: bool,
    sense: bool,
    record: bool,
}

const fn does(stream: bool, snapshot: bool, sense: bool, record: bool) -> Does {
    Does {
        stream,
        snapshot,
        sense,
        record,
    }
}

/// The table: each mode, by itself and while the privacy switch is thrown.
const TABLE: [(Mode, bool, Does); 8] = [
    (Off, false, does(false, false, false, false)),
    (DetectActivity, false, does(false, false, true, false)),
    (Stream, false, does(true, true, true, false)),
    (StreamAndRecord, false, does(true, true, true, true)),
    (Off, true, does(false, false, false, false)),
    (DetectActivity, true, does(false, false, false, false)),
    (Stream, true, does(false, false, false, false)),
    (StreamAndRecord, true, does(false, false, false, false)),
];

fn setup(b: &mut Bench) -> Result<(), Status> {
    let value = Value::Tlv8(request(7).encode());
    b.write(C::SetupEndpoints.id(0), value, phone(1))
        .map(|_| ())
}

fn gate(allowed: bool) -> Result<(), Status> {
    if allowed {
        Ok(())
    } else {
        Err(Status::NotAllowedInCurrentState)
    }
}

#[test]
fn each_mode_does_what_it_says_and_nothing_else() {
    for (mode, disabled, expected) in TABLE {
        let mut b = Bench::armed();
        b.manually_disabled(disabled);
        mode.write(&mut b);
        check(&mut b, expected, &format!("{mode:?}, switch {disabled}"));
        assert_eq!(b.camera.state().operating_mode.camera_active, mode != Off);
    }
}

fn check(b: &mut Bench, expected: Does, what: &str) {
    let available = u8::from(!expected.stream) * 2;
    assert_eq!(b.status(0), [1, 1, available], "{what}");
    assert_eq!(setup(b), gate(expected.stream), "{what}");
    assert_eq!(b.read_setup(0, phone(1)).result.is_ok(), expected.stream);
    let started = b.select(0, &start(7), phone(1));
    assert_eq!(started, gate(expected.stream), "{what}");
    for reason in [None, Some(0), Some(1)] {
        let allowed = b.camera.snapshot_allowed(reason);
        assert_eq!(allowed, gate(expected.snapshot), "{what}, {reason:?}");
    }
    let hds = b.camera.snapshot_stream_allowed(Some("event"));
    assert_eq!(hds.is_ok(), expected.snapshot, "{what}");
    assert_eq!(b.camera.is_armed(), expected.record, "{what}");
    assert_eq!(b.camera.armed().is_some(), expected.record, "{what}");
    b.motion(true);
    b.camera.occupancy(true, b.now, &mut b.media);
    for iid in [
        iid::MOTION_DETECTED,
        iid::MOTION_STATUS_ACTIVE,
        iid::OCCUPANCY_STATUS_ACTIVE,
    ] {
        assert_eq!(b.read(iid), Value::Bool(expected.sense), "{what}");
    }
    let occupied = Value::UInt(expected.sense.into());
    assert_eq!(b.read(iid::OCCUPANCY_DETECTED), occupied, "{what}");
    match b.open(4) {
        Ok(_) => assert!(expected.record, "{what}"),
        Err(reason) => assert_eq!((reason, expected.record), (Reason::NotAllowed, false)),
    }
    b.events();
    assert!(b.camera.ring(b.now, &mut b.media));
    assert!(b.events().contains(&Event::Rang), "every press is told");
}

/// From recording and streaming into each mode, by itself and by the switch.
#[test]
fn changes_in_the_middle_end_what_may_not_go_on() {
    for (mode, disabled, expected) in TABLE {
        let what = format!("{mode:?}, switch {disabled}");
        let mut b = Bench::armed();
        b.motion(true);
        b.setup(0, 7, phone(1));
        b.select(0, &start(7), phone(1)).unwrap();
        b.open(4).unwrap();
        b.media.calls.clear();
        b.events();
        b.manually_disabled(disabled);
        mode.write(&mut b);
        let ended = |call: &str| b.media.calls.iter().filter(|c| *c == call).count();
        assert_eq!(ended("close 0/1"), usize::from(!expected.stream), "{what}");
        assert_eq!(ended("stop 1"), usize::from(!expected.record), "{what}");
        let closed = closes(&b.events());
        let expected_close = (!expected.record).then_some(Reason::NotAllowed);
        assert_eq!(closed, Vec::from_iter(expected_close), "{what}");
        assert_eq!(
            b.read(iid::MOTION_DETECTED),
            Value::Bool(expected.sense),
            "{what}"
        );
    }
}

fn closes(events: &[Event]) -> Vec<Reason> {
    let each = events.iter();
    each.filter_map(|e| match e {
        Event::CloseRecording { reason, .. } => Some(*reason),
        _ => None,
    })
    .collect()
}

#[test]
fn every_mode_can_follow_every_other() {
    let mut b = Bench::armed();
    for from in ALL {
        for to in ALL {
            from.write(&mut b);
            to.write(&mut b);
            let recording = to == StreamAndRecord;
            assert_eq!(b.camera.is_armed(), recording, "{from:?} to {to:?}");
            assert_eq!(b.camera.is_active(), to != Off, "{from:?} to {to:?}");
        }
    }
}

#[test]
fn the_switch_leaves_what_is_stored_and_comes_back_to_it() {
    let mut b = Bench::armed();
    let before = b.camera.state();
    b.motion(true);
    b.events();
    b.manually_disabled(true);
    assert_eq!(b.read(iid::MANUALLY_DISABLED), Value::Bool(true));
    assert_eq!(b.read(iid::CAMERA_ACTIVE), Value::UInt(1));
    let events = b.events();
    for (iid, value) in [
        (iid::MANUALLY_DISABLED, Value::Bool(true)),
        (iid::MOTION_STATUS_ACTIVE, Value::Bool(false)),
        (iid::MOTION_DETECTED, Value::Bool(false)),
        (iid::OCCUPANCY_STATUS_ACTIVE, Value::Bool(false)),
    ] {
        let told = Event::Changed {
            id: id(iid),
            value,
            origin: None,
        };
        assert!(events.contains(&told), "{iid:#x} in {events:?}");
    }
    assert!(events.contains(&Event::ActiveChanged(false)));
    assert!(events.contains(&Event::ArmedChanged));
    assert!(!events.contains(&Event::Persist), "{events:?}");
    b.manually_disabled(true);
    assert_eq!(b.events(), [], "told once");
    b.manually_disabled(false);
    assert_eq!(b.camera.state(), before);
    assert!(b.camera.is_armed());
    assert_eq!(
        b.read(iid::MOTION_DETECTED),
        Value::Bool(true),
        "still seen"
    );
}

#[test]
fn snapshots_are_refused_by_their_reason() {
    use Status::{InsufficientPrivileges as Privileges, NotAllowedInCurrentState as State};
    // Event Snapshots Active, Periodic Snapshots Active; answers without reason, periodic, event.
    let table = [
        (true, true, [Ok(()), Ok(()), Ok(())]),
        (false, true, [Err(Privileges), Ok(()), Err(State)]),
        (true, false, [Err(Privileges), Err(State), Ok(())]),
        (false, false, [Err(Privileges), Err(State), Err(State)]),
    ];
    for (event, periodic, answers) in table {
        let mut b = Bench::armed();
        b.set_flag(iid::EVENT_SNAPSHOTS_ACTIVE, event);
        b.set_flag(iid::PERIODIC_SNAPSHOTS_ACTIVE, periodic);
        let asked = [None, Some(0), Some(1)].map(|reason| b.camera.snapshot_allowed(reason));
        assert_eq!(asked, answers, "event {event}, periodic {periodic}");
        assert_eq!(b.camera.snapshot_allowed(Some(9)), answers[0]);
        let by_text = [None, Some("periodic"), Some("event")]
            .map(|reason| b.camera.snapshot_stream_allowed(reason));
        let expected = answers.map(|a| a.map_err(|_| Reason::NotAllowed));
        assert_eq!(by_text, expected);
    }
}

#[test]
fn guests_change_nothing_of_it() {
    let mut b = Bench::armed();
    let guest = hap_camera::Requester {
        admin: false,
        ..phone(3)
    };
    let selection = crate::bench::real_selection();
    for (iid, value) in [
        (iid::EVENT_SNAPSHOTS_ACTIVE, Value::UInt(0)),
        (iid::CAMERA_ACTIVE, Value::UInt(0)),
        (iid::PERIODIC_SNAPSHOTS_ACTIVE, Value::UInt(0)),
        (iid::RECORDING_ACTIVE, Value::UInt(0)),
        (iid::SELECTED_RECORDING, Value::Tlv8(selection)),
        (C::Active.id(0).iid, Value::UInt(0)),
    ] {
        let refused = b.write(id(iid), value, guest);
        assert_eq!(refused, Err(Status::InsufficientPrivileges), "{iid:#x}");
    }
    assert_eq!(b.events(), []);
    let audio = b.write(id(iid::RECORDING_AUDIO_ACTIVE), Value::UInt(1), guest);
    assert_eq!(audio, Ok(None));
}

#[test]
fn a_camera_without_modes_does_not_obey_what_was_stored_before() {
    let mut off = Bench::armed();
    Off.write(&mut off);
    let mut d = crate::bench::doorbell();
    d.recording = None;
    d.privacy_switch = false;
    let camera = hap_camera::Camera::new(&d, off.camera.state());
    assert!(camera.is_active());
    assert_eq!(
        camera.state(),
        off.camera.state(),
        "and forgets none of it either"
    );
}
