//! The rules a database must keep (HAP R1 §5.10).

use std::collections::HashSet;

use super::{Accessory, Characteristic, Service, Uuid};
use crate::host::CharId;
use crate::value::Format;

const ACCESSORY_INFORMATION: Uuid = Uuid::short(0x3E);

/// Identify, Manufacturer, Model, Name, Serial Number and Firmware Revision: iOS removes the
/// pairing of an accessory that lacks one.
const INFORMATION: [Uuid; 6] = [
    Uuid::short(0x14),
    Uuid::short(0x20),
    Uuid::short(0x21),
    Uuid::short(0x23),
    Uuid::short(0x30),
    Uuid::short(0x52),
];

const MAX_ACCESSORIES: usize = 150;
const MAX_SERVICES: usize = 100;
const MAX_CHARACTERISTICS: usize = 100;
const MAX_TEXT: u16 = 256;

/// Why a database is refused. All of these are mistakes of the program that describes accessories.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// There are no accessories, or too many.
    #[error("{count} accessories; 1 to {MAX_ACCESSORIES} are allowed")]
    AccessoryCount {
        /// How many there are.
        count: usize,
    },
    /// No accessory has the instance ID 1.
    #[error("no accessory has the instance ID 1")]
    NoFirstAccessory,
    /// An accessory instance ID is 0 or used twice.
    #[error("accessory instance ID {aid} is 0 or used twice")]
    AccessoryId {
        /// The instance ID.
        aid: u64,
    },
    /// An accessory has no services, or too many.
    #[error("accessory {aid} has {count} services; 1 to {MAX_SERVICES} are allowed")]
    ServiceCount {
        /// The accessory.
        aid: u64,
        /// How many there are.
        count: usize,
    },
    /// A service has no characteristics, or too many.
    #[error(
        "service {iid} of accessory {aid} has {count} characteristics; 1 to {MAX_CHARACTERISTICS} are allowed"
    )]
    CharacteristicCount {
        /// The accessory.
        aid: u64,
        /// The service.
        iid: u64,
        /// How many there are.
        count: usize,
    },
    /// An instance ID is 0 or used twice in an accessory.
    #[error("instance ID {iid} of accessory {aid} is 0 or used twice")]
    InstanceId {
        /// The accessory.
        aid: u64,
        /// The instance ID.
        iid: u64,
    },
    /// A service has two characteristics of one type.
    #[error("service {iid} of accessory {aid} has two characteristics of type {kind}")]
    DuplicateType {
        /// The accessory.
        aid: u64,
        /// The service.
        iid: u64,
        /// The type.
        kind: Uuid,
    },
    /// The accessory information service is missing, there twice, or its instance ID is not 1.
    #[error("accessory {aid} needs exactly one accessory information service, with instance ID 1")]
    InformationService {
        /// The accessory.
        aid: u64,
    },
    /// The accessory information service lacks a characteristic.
    #[error("the accessory information service of accessory {aid} lacks characteristic {kind}")]
    InformationLacks {
        /// The accessory.
        aid: u64,
        /// The type that is missing.
        kind: Uuid,
    },
    /// A service links to itself or to what is no service of its accessory.
    #[error("service {iid} of accessory {aid} links to {linked}, which is no other service of it")]
    Link {
        /// The accessory.
        aid: u64,
        /// The service.
        iid: u64,
        /// What it links to.
        linked: u64,
    },
    /// A characteristic contradicts itself.
    #[error("characteristic {}.{}: {reason}", id.aid, id.iid)]
    Characteristic {
        /// The characteristic.
        id: CharId,
        /// What is wrong.
        reason: &'static str,
    },
}

/// Checks everything.
pub(super) fn check(accessories: &[Accessory]) -> Result<(), DatabaseError> {
    let count = accessories.len();
    if !(1..=MAX_ACCESSORIES).contains(&count) {
        return Err(DatabaseError::AccessoryCount { count });
    }
    let mut seen = HashSet::new();
    for accessory in accessories {
        let aid = accessory.aid;
        if aid == 0 || !seen.insert(aid) {
            return Err(DatabaseError::AccessoryId { aid });
        }
        check_accessory(accessory)?;
    }
    seen.contains(&1)
        .then_some(())
        .ok_or(DatabaseError::NoFirstAccessory)
}

fn check_accessory(accessory: &Accessory) -> Result<(), DatabaseError> {
    let (aid, count) = (accessory.aid, accessory.services.len());
    if !(1..=MAX_SERVICES).contains(&count) {
        return Err(DatabaseError::ServiceCount { aid, count });
    }
    check_instance_ids(accessory)?;
    check_information(accessory)?;
    for service in &accessory.services {
        check_service(accessory, service)?;
    }
    Ok(())
}

/// Services and characteristics share one space of instance IDs.
fn check_instance_ids(accessory: &Accessory) -> Result<(), DatabaseError> {
    let aid = accessory.aid;
    let mut seen = HashSet::new();
    for service in &accessory.services {
        let characteristics = service.characteristics.iter().map(|c| c.iid);
        for iid in characteristics.chain([service.iid]) {
            if iid == 0 || !seen.insert(iid) {
                return Err(DatabaseError::InstanceId { aid, iid });
            }
        }
    }
    Ok(())
}

fn check_information(accessory: &Accessory) -> Result<(), DatabaseError> {
    let aid = accessory.aid;
    let services = accessory.services.iter();
    let mut found = services.filter(|service| service.kind == ACCESSORY_INFORMATION);
    let (Some(service), None) = (found.next(), found.next()) else {
        return Err(DatabaseError::InformationService { aid });
    };
    if service.iid != 1 {
        return Err(DatabaseError::InformationService { aid });
    }
    for kind in INFORMATION {
        if !service.characteristics.iter().any(|c| c.kind == kind) {
            return Err(DatabaseError::InformationLacks { aid, kind });
        }
    }
    Ok(())
}

fn check_service(accessory: &Accessory, service: &Service) -> Result<(), DatabaseError> {
    let (aid, iid, count) = (accessory.aid, service.iid, service.characteristics.len());
    if !(1..=MAX_CHARACTERISTICS).contains(&count) {
        return Err(DatabaseError::CharacteristicCount { aid, iid, count });
    }
    for &linked in &service.linked {
        let exists = accessory.services.iter().any(|other| other.iid == linked);
        if linked == iid || !exists {
            return Err(DatabaseError::Link { aid, iid, linked });
        }
    }
    let mut kinds = HashSet::new();
    for characteristic in &service.characteristics {
        let kind = characteristic.kind;
        if !kinds.insert(kind) {
            return Err(DatabaseError::DuplicateType { aid, iid, kind });
        }
        let id = CharId {
            aid,
            iid: characteristic.iid,
        };
        check_characteristic(characteristic)
            .map_err(|reason| DatabaseError::Characteristic { id, reason })?;
    }
    Ok(())
}

fn check_characteristic(c: &Characteristic) -> Result<(), &'static str> {
    let bounded = c.min.is_some() || c.max.is_some() || c.step.is_some();
    let listed = !c.valid_values.is_empty() || c.valid_range.is_some();
    let rules = [
        (c.perms.is_empty(), "has no permission"),
        (
            c.perms.can_notify() && !c.perms.can_read(),
            "notifies but cannot be read",
        ),
        (
            c.perms.needs_timed_write() && !c.perms.can_write(),
            "has tw without pw",
        ),
        (
            c.perms.can_respond() && !c.perms.can_write(),
            "has wr without pw",
        ),
        (
            bounded && !c.format.is_numeric(),
            "has bounds but is no number",
        ),
        (
            listed && c.format.integer_range().is_none(),
            "has valid values but is no integer",
        ),
        (
            c.min.zip(c.max).is_some_and(|(min, max)| min > max),
            "has min above max",
        ),
        (
            c.max_len.is_some_and(|len| len > MAX_TEXT),
            "has maxLen above 256",
        ),
        (
            c.max_len.is_some() && c.format != Format::String,
            "has maxLen but is no string",
        ),
        (
            c.initial.as_ref().is_some_and(|value| !c.allows(value)),
            "has a constant it does not allow",
        ),
        (
            c.initial.is_some() && c.perms.can_write(),
            "has a constant but can be written",
        ),
        (
            c.initial.is_some() && c.event_only,
            "has a constant but exists only in events",
        ),
    ];
    let broken = rules.iter().find(|(broken, _)| *broken);
    broken.map_or(Ok(()), |(_, reason)| Err(reason))
}
