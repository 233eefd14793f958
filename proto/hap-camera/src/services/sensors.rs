//! Motion Sensor (HAP R1 §9.18), Occupancy Sensor (HAP R1 §9.19) and Doorbell (HAP R1 §9.30).

use hap_proto::database::{Characteristic, Format, Perms, Service, Uuid};

use super::{Description, iid, service, switch};

pub(super) fn services(d: &Description) -> Vec<Service> {
    [
        d.has_motion().then(motion),
        d.occupancy.then(occupancy),
        d.doorbell.then(doorbell),
    ]
    .into_iter()
    .flatten()
    .collect()
}

const fn perms() -> Perms {
    Perms::new().pr().ev()
}

fn flag(iid: u64, kind: u32) -> Characteristic {
    Characteristic::new(iid, Uuid::short(kind), Format::Bool, perms())
}

fn motion() -> Service {
    let characteristics = vec![
        flag(iid::MOTION_DETECTED, 0x22),
        flag(iid::MOTION_STATUS_ACTIVE, 0x75),
    ];
    service(0x85, iid::MOTION, characteristics)
}

fn occupancy() -> Service {
    let characteristics = vec![
        switch(iid::OCCUPANCY_DETECTED, 0x71, perms()),
        flag(iid::OCCUPANCY_STATUS_ACTIVE, 0x75),
    ];
    service(0x86, iid::OCCUPANCY, characteristics)
}

/// The main service of its accessory; knows single presses only.
fn doorbell() -> Service {
    let pressed = Characteristic {
        event_only: true,
        max: Some(0.0),
        ..switch(iid::DOORBELL_EVENT, 0x73, perms())
    };
    Service {
        primary: true,
        ..service(0x121, iid::DOORBELL, vec![pressed])
    }
}
