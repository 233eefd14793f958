//! The accessory attribute database: what the accessories offer (HAP R1 §5.3, §5.6).
//!
//! The description is static; values that change are asked from the [`Host`](crate::Host). Instance
//! IDs are given by the caller, since they must stay the same for ever; [`Database::new`] checks
//! the rules that make controllers refuse an accessory when broken (HAP R1 §5.10).

mod characteristic;
mod check;
mod perms;
mod uuid;

use std::collections::HashMap;

use sha2::{Digest, Sha256};

pub use characteristic::{Characteristic, Unit};
pub(crate) use characteristic::{Metadata, PROGRAMMABLE_SWITCH_EVENT};
pub use check::DatabaseError;
pub use perms::Perms;
pub use uuid::Uuid;

use crate::host::CharId;
pub use crate::value::Format;

/// One accessory.
#[derive(Debug, Clone, PartialEq)]
pub struct Accessory {
    /// Accessory instance ID; the first accessory has 1.
    pub aid: u64,
    /// The services, the accessory information service (iid 1) among them.
    pub services: Vec<Service>,
}

/// One service.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// Instance ID, unique within the accessory.
    pub iid: u64,
    /// Type.
    pub kind: Uuid,
    /// Whether this is the accessory's main service.
    pub primary: bool,
    /// Whether users shall not see the service.
    pub hidden: bool,
    /// Instance IDs of the services this one links to.
    pub linked: Vec<u64>,
    /// The characteristics, each of another type.
    pub characteristics: Vec<Characteristic>,
}

impl Service {
    /// A service that is neither primary nor hidden and links to none.
    pub fn new(iid: u64, kind: Uuid, characteristics: Vec<Characteristic>) -> Self {
        Self {
            iid,
            kind,
            primary: false,
            hidden: false,
            linked: Vec::new(),
            characteristics,
        }
    }
}

/// Where a characteristic stands: indices of accessory, service and characteristic.
type Place = (usize, usize, usize);

/// The accessories of one server, checked.
#[derive(Debug, Clone)]
pub struct Database {
    accessories: Vec<Accessory>,
    places: HashMap<CharId, Place>,
}

impl Database {
    /// Checks and indexes `accessories`.
    ///
    /// # Errors
    /// The first rule found broken.
    pub fn new(accessories: Vec<Accessory>) -> Result<Self, DatabaseError> {
        check::check(&accessories)?;
        let places = index(&accessories);
        Ok(Self {
            accessories,
            places,
        })
    }

    /// The accessories.
    pub fn accessories(&self) -> &[Accessory] {
        &self.accessories
    }

    /// Whether there is an accessory `aid`.
    pub fn has_accessory(&self, aid: u64) -> bool {
        self.accessories
            .iter()
            .any(|accessory| accessory.aid == aid)
    }

    /// The characteristic with this identifier.
    pub fn characteristic(&self, id: CharId) -> Option<&Characteristic> {
        let &(accessory, service, characteristic) = self.places.get(&id)?;
        let service = &self.accessories[accessory].services[service];
        Some(&service.characteristics[characteristic])
    }

    /// A digest of everything controllers cache: when it changes, the configuration number `c#` has
    /// to. Constant values count, so a new firmware revision changes it; values that the host
    /// supplies do not.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(crate::accessories::description(self)).into()
    }
}

/// The configuration number after `current`: 1..=65535, then 1 again.
pub fn next_configuration_number(current: u16) -> u16 {
    current.checked_add(1).unwrap_or(1)
}

fn index(accessories: &[Accessory]) -> HashMap<CharId, Place> {
    let mut places = HashMap::new();
    for (a, accessory) in accessories.iter().enumerate() {
        for (s, service) in accessory.services.iter().enumerate() {
            for (c, characteristic) in service.characteristics.iter().enumerate() {
                let (aid, iid) = (accessory.aid, characteristic.iid);
                places.insert(CharId { aid, iid }, (a, s, c));
            }
        }
    }
    places
}
