//! What survives a restart.

use std::time::Duration;

use hap_camera::recording::RecordingState;
use hap_camera::services::iid;
use hap_camera::{Camera, Event};
use hap_proto::{Status, Value};

use crate::bench::{Bench, doorbell, id, phone, real_selection};

fn restarted(b: &Bench, d: &hap_camera::services::Description) -> Bench {
    let mut again = Bench::of(d);
    again.camera = Camera::new(d, b.camera.state());
    again
}

#[test]
fn every_setting_survives() {
    let mut b = Bench::armed();
    b.set_flag(iid::EVENT_SNAPSHOTS_ACTIVE, false);
    b.set_flag(iid::PERIODIC_SNAPSHOTS_ACTIVE, false);
    b.set_flag(iid::RECORDING_AUDIO_ACTIVE, true);
    b.set_flag(iid::CAMERA_ACTIVE, false);
    b.set_flag(0x107, false);
    assert_eq!(
        b.events().iter().filter(|e| **e == Event::Persist).count(),
        5
    );
    let mut again = restarted(&b, &doorbell());
    for iid in [
        iid::EVENT_SNAPSHOTS_ACTIVE,
        iid::PERIODIC_SNAPSHOTS_ACTIVE,
        iid::RECORDING_AUDIO_ACTIVE,
        iid::CAMERA_ACTIVE,
        iid::RECORDING_ACTIVE,
        iid::SELECTED_RECORDING,
        0x107,
    ] {
        assert_eq!(again.read(iid), b.read(iid), "{iid:#x}");
    }
    assert_eq!(again.camera.state(), b.camera.state());
    assert_eq!(again.events(), [], "nothing has changed by that");
    assert_eq!(again.status(1), [1, 1, 2], "off from the start");
    again.set_flag(iid::CAMERA_ACTIVE, true);
    assert!(again.camera.is_armed());
}

#[test]
fn settings_written_again_are_not_news() {
    let mut b = Bench::armed();
    b.set_flag(iid::CAMERA_ACTIVE, true);
    b.set_flag(iid::RECORDING_ACTIVE, true);
    let selection = Value::Tlv8(real_selection());
    b.write(id(iid::SELECTED_RECORDING), selection, phone(9))
        .unwrap();
    assert_eq!(b.events(), []);
}

#[test]
fn nothing_is_armed_before_a_selection() {
    let mut b = Bench::of(&doorbell());
    assert_eq!(b.read(iid::RECORDING_ACTIVE), Value::UInt(0));
    assert_eq!(b.read(iid::RECORDING_AUDIO_ACTIVE), Value::UInt(0));
    assert_eq!(b.read(iid::CAMERA_ACTIVE), Value::UInt(1));
    let unset = b.camera.read(id(iid::SELECTED_RECORDING), &phone(9));
    assert_eq!(unset, Err(Status::UnableToCommunicate));
    b.set_flag(iid::RECORDING_ACTIVE, true);
    assert!(!b.camera.is_armed());
}

#[test]
fn a_selection_goes_when_the_offer_changes_and_only_then() {
    let b = Bench::armed();
    let mut other = doorbell();
    other.recording.as_mut().unwrap().prebuffer = Duration::from_secs(8);
    let mut again = restarted(&b, &other);
    assert_eq!(again.camera.state().recording.selected, None);
    assert!(
        again.camera.state().recording.active,
        "the rest of it stays"
    );
    assert_eq!(again.events(), [Event::Persist]);
    assert!(!again.camera.is_armed());
    let unset = again.camera.read(id(iid::SELECTED_RECORDING), &phone(9));
    assert_eq!(unset, Err(Status::UnableToCommunicate));

    let mut renamed = doorbell();
    renamed.name = "Other".into();
    renamed.doorbell = false;
    assert!(restarted(&b, &renamed).camera.is_armed());
}

#[test]
fn a_damaged_selection_is_dropped() {
    let b = Bench::armed();
    let mut state = b.camera.state();
    state.recording.selected.as_mut().unwrap().selected.pop();
    let mut camera = Camera::new(&doorbell(), state);
    assert_eq!(camera.state().recording.selected, None);
    assert_eq!(camera.poll_event(), Some(Event::Persist));
}

#[test]
fn a_camera_that_stops_recording_for_a_while_comes_back_as_it_was() {
    let b = Bench::armed();
    let mut without = doorbell();
    without.recording = None;
    let mut between = restarted(&b, &without);
    assert!(!between.camera.is_armed());
    assert_eq!(between.events(), []);
    assert!(restarted(&between, &doorbell()).camera.is_armed());
}

#[test]
fn impossible_selections_are_refused_and_the_old_one_stays() {
    let mut b = Bench::armed();
    let mut wrong = real_selection();
    let kbps = wrong.windows(2).position(|w| w == [0xD0, 0x07]).unwrap();
    wrong[kbps..kbps + 2].copy_from_slice(&[0, 0]);
    let mut long = real_selection();
    long.extend(std::iter::repeat_n([9, 255], 5).flat_map(|head| {
        let mut item = head.to_vec();
        item.extend([0; 255]);
        item
    }));
    for bytes in [wrong, long, vec![], vec![1, 2]] {
        for told in [1, 0] {
            let selection = Value::Tlv8(bytes.clone());
            let refused = b.write(id(iid::SELECTED_RECORDING), selection, phone(9));
            assert_eq!(refused, Err(Status::InvalidValue));
            let events = b.events();
            assert_eq!(events.len(), told, "the same reason is told once");
            let refused = |event: &Event| matches!(event, Event::SelectionRefused(_));
            assert!(events.iter().all(refused));
        }
    }
    let number = b.write(id(iid::SELECTED_RECORDING), Value::UInt(1), phone(9));
    assert_eq!(number, Err(Status::InvalidValue));
    assert_eq!(
        b.read(iid::SELECTED_RECORDING),
        Value::Tlv8(real_selection())
    );
    assert!(b.camera.is_armed());
    assert_ne!(b.camera.state().recording, RecordingState::default());
}
