//! `GET /accessories`: the whole attribute database as JSON (HAP R1 §5.6).

use serde::Serialize;
use serde_json::Value as Json;

use crate::database::{Accessory, Characteristic, Database, Metadata, Perms, Service, Uuid};
use crate::host::CharId;

/// What changes in the database: values and subscriptions.
pub(crate) trait Live {
    /// The value of a characteristic with paired read.
    fn value(&mut self, id: CharId, characteristic: &Characteristic) -> Json;
    /// Whether the connection that asks has subscribed to the events of a characteristic.
    fn subscribed(&self, id: CharId) -> bool;
}

/// The database with its present values.
pub(crate) fn body(database: &Database, live: &mut impl Live) -> Vec<u8> {
    let accessories = database.accessories().iter();
    let accessories = accessories
        .map(|accessory| accessory_json(accessory, live))
        .collect();
    to_vec(&DatabaseJson { accessories })
}

/// The database with constant values only, in a form that changes if and only if it does.
pub(crate) fn description(database: &Database) -> Vec<u8> {
    body(database, &mut Constants)
}

struct Constants;

impl Live for Constants {
    fn value(&mut self, _id: CharId, characteristic: &Characteristic) -> Json {
        let value = characteristic.initial.as_ref();
        value.map_or(Json::Null, |value| value.to_json(characteristic.format))
    }

    fn subscribed(&self, _id: CharId) -> bool {
        false
    }
}

#[derive(Serialize)]
struct DatabaseJson<'a> {
    accessories: Vec<AccessoryJson<'a>>,
}

#[derive(Serialize)]
struct AccessoryJson<'a> {
    aid: u64,
    services: Vec<ServiceJson<'a>>,
}

#[derive(Serialize)]
struct ServiceJson<'a> {
    iid: u64,
    #[serde(rename = "type")]
    kind: Uuid,
    #[serde(skip_serializing_if = "is_false")]
    primary: bool,
    #[serde(skip_serializing_if = "is_false")]
    hidden: bool,
    #[serde(skip_serializing_if = "<[u64]>::is_empty")]
    linked: &'a [u64],
    characteristics: Vec<CharacteristicJson<'a>>,
}

#[derive(Serialize)]
struct CharacteristicJson<'a> {
    iid: u64,
    #[serde(rename = "type")]
    kind: Uuid,
    perms: Perms,
    #[serde(flatten)]
    metadata: Metadata,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(rename = "maxDataLen", skip_serializing_if = "Option::is_none")]
    max_data_len: Option<u32>,
    #[serde(rename = "valid-values", skip_serializing_if = "<[i64]>::is_empty")]
    valid_values: &'a [i64],
    #[serde(rename = "valid-values-range", skip_serializing_if = "Option::is_none")]
    valid_range: Option<[i64; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ev: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Json>,
}

fn accessory_json<'a>(accessory: &'a Accessory, live: &mut impl Live) -> AccessoryJson<'a> {
    let aid = accessory.aid;
    let services = accessory.services.iter();
    let services = services
        .map(|service| service_json(aid, service, live))
        .collect();
    AccessoryJson { aid, services }
}

fn service_json<'a>(aid: u64, service: &'a Service, live: &mut impl Live) -> ServiceJson<'a> {
    let characteristics = service.characteristics.iter();
    ServiceJson {
        iid: service.iid,
        kind: service.kind,
        primary: service.primary,
        hidden: service.hidden,
        linked: &service.linked,
        characteristics: characteristics
            .map(|c| characteristic_json(aid, c, live))
            .collect(),
    }
}

/// `value` is there if and only if the characteristic can be read, `ev` if and only if it notifies
/// (HAP R1 §5.3.3, Tables 5-3 and 5-4).
fn characteristic_json<'a>(
    aid: u64,
    c: &'a Characteristic,
    live: &mut impl Live,
) -> CharacteristicJson<'a> {
    let id = CharId { aid, iid: c.iid };
    CharacteristicJson {
        iid: c.iid,
        kind: c.kind,
        perms: c.perms,
        metadata: c.metadata(),
        description: c.description.as_deref(),
        max_data_len: c.max_data_len,
        valid_values: &c.valid_values,
        valid_range: c.valid_range.map(|(first, last)| [first, last]),
        ev: c.perms.can_notify().then(|| live.subscribed(id)),
        value: c.perms.can_read().then(|| live.value(id, c)),
    }
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

/// JSON of a structure whose keys are all texts.
pub(crate) fn to_vec(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("keys are texts and no number is infinite, so this is JSON")
}
