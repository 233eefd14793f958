//! What controllers see of the services.

use std::collections::BTreeMap;

use hap_camera::services::{
    AID, Description, StreamCharacteristic as C, accessory, admin_only, iid,
};
use hap_camera::{Camera, CameraState};
use hap_proto::database::{Accessory, Characteristic, Database, Format, Service, Uuid};
use hap_proto::{CharId, Value};

use crate::bench::{description, doorbell, id, phone};

fn service(accessory: &Accessory, kind: u32) -> Option<&Service> {
    let mut services = accessory.services.iter();
    services.find(|s| s.kind == Uuid::short(kind))
}

fn perms(c: &Characteristic) -> String {
    c.perms.names().collect::<Vec<_>>().join(",")
}

/// Each characteristic of a service: type, identifier, permissions.
fn listed(service: &Service) -> Vec<(String, u64, String)> {
    let each = service.characteristics.iter();
    each.map(|c| (c.kind.to_string(), c.iid, perms(c)))
        .collect()
}

/// Type, identifier and permissions of a characteristic.
type Row<'a> = (u32, u64, &'a str);

fn expected(rows: &[Row<'_>]) -> Vec<(String, u64, String)> {
    let each = rows.iter();
    each.map(|(kind, iid, perms)| (Uuid::short(*kind).to_string(), *iid, (*perms).to_owned()))
        .collect()
}

#[test]
fn identifiers_never_move() {
    let mut ten = description();
    ten.streams = 10;
    let database = Database::new(vec![accessory(&ten)]).unwrap();
    assert_ne!(database.digest(), [0; 32]);
    let iids = |d: &Description| {
        let services = accessory(d).services;
        services.iter().map(|s| s.iid).collect::<Vec<_>>()
    };
    assert_eq!(iids(&description()), [1, 0x10, 0x100, 0x110, 0x20, 0x30]);
    assert_eq!(
        iids(&doorbell()),
        [
            1, 0x10, 0x100, 0x110, 0x20, 0x30, 0x40, 0x60, 0x80, 0x90, 0xa0, 0xb0
        ]
    );
    assert_eq!(C::Selected.id(9), CharId { aid: 1, iid: 0x196 });
    assert_eq!(C::of(CharId { aid: 1, iid: 0x196 }), Some((9, C::Selected)));
    assert_eq!(C::of(CharId { aid: 1, iid: 0x1a6 }), None);
}

#[test]
fn services_have_the_types_and_permissions_that_hubs_look_for() {
    let doorbell = accessory(&doorbell());
    let rows: [(u32, &[Row<'_>]); 6] = [
        (
            0x21A,
            &[
                (0x223, 0x41, "pr,pw,ev"),
                (0x21B, 0x42, "pr,pw,ev"),
                (0x225, 0x43, "pr,pw,ev"),
                (0x227, 0x44, "pr,ev"),
            ],
        ),
        (
            0x204,
            &[
                (0xB0, 0x61, "pr,pw,ev"),
                (0x205, 0x62, "pr,ev"),
                (0x206, 0x63, "pr,ev"),
                (0x207, 0x64, "pr,ev"),
                (0x209, 0x65, "pr,pw,ev"),
                (0x226, 0x66, "pr,pw,ev,tw"),
            ],
        ),
        (
            0x129,
            &[
                (0x130, 0x81, "pr"),
                (0x131, 0x82, "pr,pw,wr"),
                (0x37, 0x83, "pr"),
            ],
        ),
        (0x85, &[(0x22, 0x91, "pr,ev"), (0x75, 0x92, "pr,ev")]),
        (0x86, &[(0x71, 0xA1, "pr,ev"), (0x75, 0xA2, "pr,ev")]),
        (0x121, &[(0x73, 0xB1, "pr,ev")]),
    ];
    for (kind, characteristics) in rows {
        let service = service(&doorbell, kind).unwrap();
        assert_eq!(listed(service), expected(characteristics), "{kind:x}");
    }
    let management = service(&doorbell, 0x204).unwrap();
    assert_eq!(
        management.linked,
        [iid::DATA_STREAM, iid::MOTION, iid::OCCUPANCY]
    );
    let primary: Vec<_> = doorbell.services.iter().filter(|s| s.primary).collect();
    assert_eq!(primary, [service(&doorbell, 0x121).unwrap()]);
    assert!(service(&doorbell, 0x121).unwrap().characteristics[0].event_only);
}

#[test]
fn without_occupancy_recordings_link_to_motion_alone() {
    let mut d = doorbell();
    d.occupancy = false;
    d.privacy_switch = false;
    let camera = accessory(&d);
    assert_eq!(
        service(&camera, 0x204).unwrap().linked,
        [iid::DATA_STREAM, iid::MOTION]
    );
    assert_eq!(service(&camera, 0x21A).unwrap().characteristics.len(), 3);
}

#[test]
fn only_admins_write_what_decides_over_the_camera() {
    let doorbell = accessory(&doorbell());
    let characteristics = doorbell.services.iter().flat_map(|s| &s.characteristics);
    let flagged: Vec<u64> = characteristics
        .filter(|c| c.admin_only_write)
        .map(|c| c.iid)
        .collect();
    assert_eq!(flagged, [0x107, 0x117, 0x41, 0x42, 0x43, 0x61, 0x65]);
    assert!(flagged.iter().all(|iid| admin_only(id(*iid))));
    assert!(!admin_only(id(iid::RECORDING_AUDIO_ACTIVE)));
}

/// Every combination of what can be there.
fn descriptions() -> impl Iterator<Item = Description> {
    (0..64u32).map(|bits| {
        let has = |bit: u32| bits & (1 << bit) != 0;
        Description {
            recording: doorbell().recording.filter(|_| has(0)),
            motion: has(1),
            occupancy: has(2),
            doorbell: has(3),
            privacy_switch: has(4),
            speaker: has(5),
            ..description()
        }
    })
}

#[test]
fn each_combination_is_sound_and_readable() {
    let mut meanings: BTreeMap<u64, (String, String)> = BTreeMap::new();
    for d in descriptions() {
        let accessory = accessory(&d);
        Database::new(vec![accessory.clone()]).unwrap();
        let camera = Camera::new(&d, CameraState::default());
        for service in &accessory.services {
            for c in &service.characteristics {
                let meaning = (service.kind.to_string(), c.kind.to_string());
                let known = meanings.entry(c.iid).or_insert_with(|| meaning.clone());
                assert_eq!(*known, meaning, "an identifier has one meaning for ever");
                readable(&camera, c);
            }
        }
    }
}

/// What is neither constant nor event-only is answered, in the right format.
fn readable(camera: &Camera, c: &Characteristic) {
    if c.initial.is_some() || c.event_only || !c.perms.can_read() {
        return;
    }
    let value = camera.read(
        CharId {
            aid: AID,
            iid: c.iid,
        },
        &phone(1),
    );
    match value {
        Ok(value) => assert!(c.allows(&value), "{:#x}: {value:?}", c.iid),
        Err(status) => assert_eq!(
            (c.iid, status.code()),
            (iid::SELECTED_RECORDING, -70402),
            "only a selection that was never made cannot be read"
        ),
    }
}

#[test]
fn what_depends_on_what() {
    for d in descriptions() {
        let accessory = accessory(&d);
        let has = |kind| service(&accessory, kind).is_some();
        let records = d.recording.is_some();
        assert_eq!((has(0x204), has(0x129)), (records, records));
        assert_eq!(has(0x21A), records || d.privacy_switch);
        assert_eq!(has(0x85), records || d.motion);
        assert_eq!(has(0x86), d.occupancy);
        assert_eq!(has(0x121), d.doorbell);
        assert_eq!(has(0x113), d.speaker || d.doorbell);
        assert!(has(0x112));
    }
}

#[test]
fn another_offer_is_another_database() {
    let digest = |d: &Description| Database::new(vec![accessory(d)]).unwrap().digest();
    let mut other = doorbell();
    other.recording.as_mut().unwrap().prebuffer *= 2;
    assert_ne!(digest(&doorbell()), digest(&other));
}

#[test]
fn transport_is_hds_over_tcp() {
    let doorbell = accessory(&doorbell());
    let transport = service(&doorbell, 0x129).unwrap();
    let constant = |n: usize| transport.characteristics[n].initial.clone();
    let format = |n: usize| transport.characteristics[n].format;
    assert_eq!(constant(0), Some(Value::Tlv8(vec![1, 3, 1, 1, 0])));
    assert_eq!(constant(2), Some(Value::String("1.0".into())));
    assert_eq!((format(0), format(1)), (Format::Tlv8, Format::Tlv8));
}
