//! The accessory attribute database, read tolerantly (HAP R1 §5.3).
//!
//! `hap-model` refuses the whole database for one value that does not fit its format and leaves
//! out links and `primary`/`hidden`; a tool that looks for faults must show them instead.

use serde::Deserialize;
use serde_json::Value as Json;

use crate::failure::{Failure, Kind, Result};
use crate::names;

/// All accessories behind one connection.
#[derive(Debug, Clone, Deserialize)]
pub struct Database {
    /// The accessories; a camera has one, with `aid` 1.
    pub accessories: Vec<Accessory>,
}

/// One accessory.
#[derive(Debug, Clone, Deserialize)]
pub struct Accessory {
    /// Accessory instance ID.
    pub aid: u64,
    /// Its services.
    #[serde(default)]
    pub services: Vec<Service>,
}

/// One service.
#[derive(Debug, Clone, Deserialize)]
pub struct Service {
    /// Instance ID.
    pub iid: u64,
    /// Type as the accessory wrote it.
    #[serde(rename = "type")]
    pub kind: String,
    /// The service that stands for the accessory.
    #[serde(default)]
    pub primary: bool,
    /// Not shown to people.
    #[serde(default)]
    pub hidden: bool,
    /// Instance IDs of linked services.
    #[serde(default)]
    pub linked: Vec<u64>,
    /// Its characteristics.
    #[serde(default)]
    pub characteristics: Vec<Characteristic>,
}

/// One characteristic.
#[derive(Debug, Clone, Deserialize)]
pub struct Characteristic {
    /// Instance ID.
    pub iid: u64,
    /// Type as the accessory wrote it.
    #[serde(rename = "type")]
    pub kind: String,
    /// `bool`, `uint8` … `tlv8`, `data`.
    #[serde(default)]
    pub format: String,
    /// `pr`, `pw`, `ev`, `aa`, `tw`, `wr`, `hd`.
    #[serde(default)]
    pub perms: Vec<String>,
    /// The value, if it came along.
    #[serde(default)]
    pub value: Option<Json>,
}

impl Database {
    /// Reads the body of a `GET /accessories` response.
    ///
    /// # Errors
    /// [`Kind::Protocol`] when it is not an accessory database.
    pub fn parse(body: &[u8]) -> Result<Self> {
        serde_json::from_slice(body)
            .map_err(|e| Failure::new(Kind::Protocol, format!("/accessories is malformed: {e}")))
    }

    /// Every characteristic with its place.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.accessories.iter().flat_map(|accessory| {
            accessory.services.iter().flat_map(move |service| {
                service
                    .characteristics
                    .iter()
                    .map(move |characteristic| Entry {
                        aid: accessory.aid,
                        service,
                        characteristic,
                    })
            })
        })
    }

    /// The characteristic with these instance IDs.
    #[must_use]
    pub fn find(&self, id: CharId) -> Option<Entry<'_>> {
        self.entries().find(|e| e.id() == id)
    }

    /// The text value of the accessory information service, such as Name (type 23) of accessory 1.
    #[must_use]
    pub fn information(&self, kind: &str) -> Option<&str> {
        self.entries()
            .find(|e| {
                names::same_type(&e.service.kind, "3E")
                    && names::same_type(&e.characteristic.kind, kind)
            })?
            .characteristic
            .value
            .as_ref()?
            .as_str()
    }
}

impl Service {
    /// The characteristic of this type.
    #[must_use]
    pub fn characteristic(&self, kind: &str) -> Option<&Characteristic> {
        self.characteristics
            .iter()
            .find(|c| names::same_type(&c.kind, kind))
    }
}

impl Characteristic {
    /// True when `perm` (such as `ev`) is among the permissions.
    #[must_use]
    pub fn allows(&self, perm: &str) -> bool {
        self.perms.iter().any(|p| p == perm)
    }
}

/// A characteristic and where it is.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Accessory instance ID.
    pub aid: u64,
    /// The service it belongs to.
    pub service: &'a Service,
    /// The characteristic.
    pub characteristic: &'a Characteristic,
}

impl Entry<'_> {
    /// Both instance IDs.
    #[must_use]
    pub fn id(&self) -> CharId {
        CharId {
            aid: self.aid,
            iid: self.characteristic.iid,
        }
    }

    /// Name of the characteristic's type.
    #[must_use]
    pub fn name(&self) -> String {
        names::characteristic(&self.characteristic.kind)
    }

    /// Name of the service's type.
    #[must_use]
    pub fn service_name(&self) -> String {
        names::service(&self.service.kind)
    }
}

/// `AID.IID`, the address of a characteristic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CharId {
    /// Accessory instance ID.
    pub aid: u64,
    /// Characteristic instance ID.
    pub iid: u64,
}

impl CharId {
    /// Reads `AID.IID`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (aid, iid) = text.split_once('.')?;
        Some(Self {
            aid: aid.parse().ok()?,
            iid: iid.parse().ok()?,
        })
    }
}

impl std::fmt::Display for CharId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.aid, self.iid)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A camera with two streams, as an accessory would describe it.
    pub(crate) fn camera() -> Database {
        Database::parse(
            br#"{"accessories":[{"aid":1,"services":[
            {"iid":1,"type":"3E","characteristics":[
              {"iid":2,"type":"14","format":"bool","perms":["pw"]},
              {"iid":3,"type":"23","format":"string","perms":["pr"],"value":"Garden"}]},
            {"iid":10,"type":"110","primary":true,"linked":[20],"characteristics":[
              {"iid":11,"type":"120","format":"tlv8","perms":["pr","ev"],"value":"AQEA"},
              {"iid":12,"type":"118","format":"tlv8","perms":["pr","pw"],"value":"AgEC"}]},
            {"iid":20,"type":"00000110-0000-1000-8000-0026BB765291","characteristics":[
              {"iid":21,"type":"120","format":"tlv8","perms":["pr","ev"],"value":7}]}]}]}"#,
        )
        .unwrap()
    }

    #[test]
    fn a_value_of_the_wrong_kind_does_not_hide_the_rest() {
        let db = camera();
        assert_eq!(db.entries().count(), 5);
        let odd = db.find(CharId { aid: 1, iid: 21 }).unwrap();
        assert_eq!(odd.service_name(), "camera-rtp-stream-management");
        assert_eq!(odd.characteristic.value, Some(7.into()));
    }

    #[test]
    fn information_and_links_are_kept() {
        let db = camera();
        assert_eq!(db.information("23"), Some("Garden"));
        assert_eq!(db.information("21"), None);
        let stream = &db.accessories[0].services[1];
        assert!(stream.primary);
        assert_eq!(stream.linked, [20]);
        assert!(stream.characteristic("118").unwrap().allows("pw"));
    }

    #[test]
    fn what_is_no_database_is_refused() {
        for bad in [&b""[..], b"{}", b"[]", b"{\"accessories\":[{}]}"] {
            assert_eq!(Database::parse(bad).unwrap_err().kind(), Kind::Protocol);
        }
    }

    #[test]
    fn ids_are_two_numbers() {
        assert_eq!(CharId::parse("1.9"), Some(CharId { aid: 1, iid: 9 }));
        for bad in ["1", "1.", ".9", "1.9.2", "a.b", "-1.9"] {
            assert_eq!(CharId::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Database::parse(&bytes);
        }
    }
}
