//! The rules of a database, and its digest.

mod common;

use common::{accessory, id, iid};
use hap_proto::database::{
    Accessory, Characteristic, Database, DatabaseError, Perms, Service, Uuid,
    next_configuration_number,
};
use hap_proto::{CharId, Format, Value};

/// The test accessory after `change`, refused.
fn error(change: impl FnOnce(&mut Accessory)) -> DatabaseError {
    let mut accessory = accessory();
    change(&mut accessory);
    Database::new(vec![accessory]).unwrap_err()
}

/// Why a characteristic of the test service is refused after `change`.
fn reason(change: impl FnOnce(&mut Characteristic)) -> &'static str {
    match error(|accessory| change(&mut accessory.services[1].characteristics[1])) {
        DatabaseError::Characteristic { id, reason } if id.iid == iid::LEVEL => reason,
        other => panic!("{other}"),
    }
}

fn read_only(iid: u64, kind: u32) -> Characteristic {
    Characteristic::new(iid, Uuid::short(kind), Format::Bool, Perms::new().pr())
}

#[test]
fn characteristics_are_found() {
    let database = Database::new(vec![accessory()]).unwrap();
    assert_eq!(
        database.characteristic(id(iid::LEVEL)).unwrap().kind,
        Uuid::short(0x8)
    );
    for missing in [
        id(8),
        id(999),
        CharId {
            aid: 2,
            iid: iid::LEVEL,
        },
    ] {
        assert!(database.characteristic(missing).is_none());
    }
    assert!(database.has_accessory(1) && !database.has_accessory(2));
}

#[test]
fn accessories_have_ids_and_services() {
    assert_eq!(
        Database::new(vec![]).unwrap_err(),
        DatabaseError::AccessoryCount { count: 0 }
    );
    assert_eq!(error(|a| a.aid = 0), DatabaseError::AccessoryId { aid: 0 });
    assert_eq!(error(|a| a.aid = 2), DatabaseError::NoFirstAccessory);
    assert_eq!(
        error(|a| a.services.clear()),
        DatabaseError::ServiceCount { aid: 1, count: 0 }
    );
    let twice = Database::new(vec![accessory(), accessory()]);
    assert_eq!(twice.unwrap_err(), DatabaseError::AccessoryId { aid: 1 });
    let second = Accessory {
        aid: 2,
        ..accessory()
    };
    assert!(
        Database::new(vec![accessory(), second]).is_ok(),
        "instance IDs are per accessory"
    );
}

#[test]
fn instance_ids_are_unique_among_services_and_characteristics() {
    let duplicate = |iid| DatabaseError::InstanceId { aid: 1, iid };
    assert_eq!(error(|a| a.services[1].iid = 1), duplicate(1));
    assert_eq!(error(|a| a.services[1].iid = iid::ON), duplicate(iid::ON));
    assert_eq!(
        error(|a| a.services[1].characteristics[0].iid = 0),
        duplicate(0)
    );
    assert_eq!(
        error(|a| a.services[1].characteristics[0].iid = iid::NAME),
        duplicate(iid::NAME)
    );
}

#[test]
fn the_information_service_is_there_once_and_complete() {
    let broken = DatabaseError::InformationService { aid: 1 };
    assert_eq!(error(|a| a.services[0].kind = Uuid::short(0x99)), broken);
    assert_eq!(error(|a| a.services[0].iid = 99), broken);
    assert_eq!(error(|a| a.services[1].kind = Uuid::short(0x3E)), broken);
    let lacking = DatabaseError::InformationLacks {
        aid: 1,
        kind: Uuid::short(0x52),
    };
    assert_eq!(
        error(|a| drop(a.services[0].characteristics.pop())),
        lacking
    );
}

#[test]
fn services_have_characteristics_of_different_types_and_link_to_services() {
    let empty = DatabaseError::CharacteristicCount {
        aid: 1,
        iid: 8,
        count: 0,
    };
    assert_eq!(error(|a| a.services[1].characteristics.clear()), empty);
    let many = DatabaseError::CharacteristicCount {
        aid: 1,
        iid: 100,
        count: 101,
    };
    let characteristics = (0..101)
        .map(|n| read_only(1000 + n, 0x1000 + n as u32))
        .collect();
    assert_eq!(
        error(|a| a
            .services
            .push(Service::new(100, Uuid::short(0x43), characteristics))),
        many
    );
    let twice = DatabaseError::DuplicateType {
        aid: 1,
        iid: 8,
        kind: Uuid::short(0x25),
    };
    assert_eq!(
        error(|a| a.services[1].characteristics.push(read_only(99, 0x25))),
        twice
    );
    for linked in [8, iid::ON, 77] {
        let broken = DatabaseError::Link {
            aid: 1,
            iid: 8,
            linked,
        };
        assert_eq!(error(|a| a.services[1].linked = vec![linked]), broken);
    }
}

#[test]
fn characteristics_do_not_contradict_themselves() {
    assert_eq!(reason(|c| c.perms = Perms::new()), "has no permission");
    assert_eq!(
        reason(|c| c.perms = Perms::new().pw().ev()),
        "notifies but cannot be read"
    );
    assert_eq!(
        reason(|c| c.perms = Perms::new().pr().tw()),
        "has tw without pw"
    );
    assert_eq!(
        reason(|c| c.perms = Perms::new().pr().wr()),
        "has wr without pw"
    );
    assert_eq!(
        reason(|c| c.format = Format::Bool),
        "has bounds but is no number"
    );
    assert_eq!(
        reason(|c| (c.format, c.valid_values) = (Format::Float, vec![1])),
        "has valid values but is no integer"
    );
    assert_eq!(reason(|c| c.min = Some(101.0)), "has min above max");
    assert_eq!(
        reason(|c| c.max_len = Some(64)),
        "has maxLen but is no string"
    );
    assert_eq!(
        reason(|c| c.initial = Some(Value::UInt(50))),
        "has a constant but can be written"
    );
    let constant = |value| {
        move |c: &mut Characteristic| (c.perms, c.initial) = (Perms::new().pr(), Some(value))
    };
    assert_eq!(
        reason(constant(Value::UInt(5))),
        "has a constant it does not allow"
    );
    assert_eq!(
        reason(constant(Value::Null)),
        "has a constant it does not allow"
    );
    let event_only = |c: &mut Characteristic| {
        (c.perms, c.initial, c.event_only) = (Perms::new().pr(), Some(Value::UInt(50)), true);
    };
    assert_eq!(
        reason(event_only),
        "has a constant but exists only in events"
    );
}

#[test]
fn digest_changes_with_everything_that_controllers_cache() {
    let digest = |change: &dyn Fn(&mut Accessory)| {
        let mut accessory = accessory();
        change(&mut accessory);
        Database::new(vec![accessory]).unwrap().digest()
    };
    let original = digest(&|_| {});
    assert_eq!(original, digest(&|_| {}));
    let level = |a: &mut Accessory, change: &dyn Fn(&mut Characteristic)| {
        change(&mut a.services[1].characteristics[1]);
    };
    let changes: [&dyn Fn(&mut Accessory); 9] = [
        &|a| drop(a.services[1].characteristics.pop()),
        &|a| a.services[1].primary = false,
        &|a| a.services[1].hidden = true,
        &|a| a.services[1].linked = vec![1],
        &|a| level(a, &|c| c.iid = 99),
        &|a| level(a, &|c| c.max = Some(99.0)),
        &|a| level(a, &|c| c.perms = c.perms.tw()),
        &|a| level(a, &|c| c.valid_values = vec![10, 20]),
        &|a| a.services[0].characteristics[5].initial = Some(Value::String("1.0.1".into())),
    ];
    let mut seen = vec![original];
    for change in changes {
        let changed = digest(change);
        assert!(!seen.contains(&changed));
        seen.push(changed);
    }
}

#[test]
fn configuration_numbers_wrap_to_1() {
    assert_eq!(next_configuration_number(1), 2);
    assert_eq!(next_configuration_number(65535), 1);
}
