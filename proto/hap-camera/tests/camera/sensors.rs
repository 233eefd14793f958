//! Motion, occupancy and doorbell.

use std::time::Duration;

use hap_camera::Event;
use hap_camera::services::{MOTION_HOLD, iid};
use hap_proto::Value;

use crate::bench::{Bench, description, doorbell, id};

const MS: Duration = Duration::from_millis(1);

/// The values that were told of one characteristic.
fn told(events: &[Event], wanted: u64) -> Vec<Value> {
    let each = events.iter();
    each.filter_map(|e| match e {
        Event::Changed {
            id: told, value, ..
        } if *told == id(wanted) => Some(value.clone()),
        _ => None,
    })
    .collect()
}

#[test]
fn motion_is_told_at_once_and_held() {
    let mut b = Bench::of(&doorbell());
    b.motion(true);
    assert_eq!(told(&b.events(), iid::MOTION_DETECTED), [Value::Bool(true)]);
    b.motion(false);
    b.pass(MOTION_HOLD - MS);
    assert_eq!(b.events(), []);
    b.pass(MS);
    assert_eq!(
        told(&b.events(), iid::MOTION_DETECTED),
        [Value::Bool(false)]
    );
    assert_eq!(b.camera.poll_timeout(), None);
}

#[test]
fn motion_that_flaps_twenty_times_a_second_is_one_motion() {
    let mut b = Bench::of(&doorbell());
    for n in 0..20 * 60 {
        b.motion(n % 2 == 0);
        b.camera.occupancy(n % 2 == 0, b.now, &mut b.media);
        b.pass(50 * MS);
    }
    let events = b.events();
    assert_eq!(told(&events, iid::MOTION_DETECTED), [Value::Bool(true)]);
    assert_eq!(told(&events, iid::OCCUPANCY_DETECTED), [Value::UInt(1)]);
    assert_eq!(events.len(), 2);
    b.pass(MOTION_HOLD);
    let events = b.events();
    assert_eq!(told(&events, iid::MOTION_DETECTED), [Value::Bool(false)]);
    assert_eq!(told(&events, iid::OCCUPANCY_DETECTED), [Value::UInt(0)]);
}

#[test]
fn a_press_is_a_single_press_and_a_pulse_of_motion() {
    let mut b = Bench::of(&doorbell());
    assert!(b.camera.ring(b.now, &mut b.media));
    let events = b.events();
    assert_eq!(told(&events, iid::DOORBELL_EVENT), [Value::UInt(0)]);
    assert_eq!(told(&events, iid::MOTION_DETECTED), [Value::Bool(true)]);
    assert!(events.contains(&Event::Rang));
    assert!(
        matches!(events[0], Event::Changed { id: first, .. } if first == id(iid::DOORBELL_EVENT))
    );
    b.pass(MS);
    b.camera.ring(b.now, &mut b.media);
    let events = b.events();
    assert_eq!(told(&events, iid::DOORBELL_EVENT), [Value::UInt(0)], "each");
    assert_eq!(told(&events, iid::MOTION_DETECTED), []);
    b.pass(MOTION_HOLD);
    assert_eq!(b.read(iid::MOTION_DETECTED), Value::Bool(false));
}

#[test]
fn a_camera_without_sensors_says_nothing() {
    let mut b = Bench::of(&description());
    b.motion(true);
    b.camera.occupancy(true, b.now, &mut b.media);
    assert!(!b.camera.ring(b.now, &mut b.media));
    assert_eq!(b.events(), []);
    assert_eq!(b.camera.poll_timeout(), None);
}

#[test]
fn a_doorbell_that_does_not_record_rings_and_sees() {
    let mut d = description();
    d.doorbell = true;
    let mut b = Bench::of(&d);
    assert!(b.camera.ring(b.now, &mut b.media));
    assert_eq!(told(&b.events(), iid::DOORBELL_EVENT), [Value::UInt(0)]);
    d.motion = true;
    let mut b = Bench::of(&d);
    b.camera.ring(b.now, &mut b.media);
    assert_eq!(told(&b.events(), iid::MOTION_DETECTED), [Value::Bool(true)]);
}
