//! The services a hub needs of a camera, found by their types.

use crate::database::{Accessory, CharId, Database, Service};
use crate::failure::{Failure, Kind, Result};
use crate::names;

/// Camera Operating Mode.
const MODE: &str = "21A";
/// Camera Event Recording Management.
const RECORDING: &str = "204";
/// Data Stream Transport Management.
const TRANSPORT: &str = "129";
/// Camera RTP Stream Management.
const RTP: &str = "110";
/// Motion Sensor, Occupancy Sensor and Doorbell.
const SENSORS: [&str; 3] = ["85", "86", "121"];

/// Where everything is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Services {
    /// The camera.
    pub aid: u64,
    /// HomeKit Camera Active, 21B.
    pub camera_active: CharId,
    /// Event Snapshots Active, 223.
    pub event_snapshots: CharId,
    /// Periodic Snapshots Active, 225.
    pub periodic_snapshots: Option<CharId>,
    /// Active of every stream service.
    pub streams_active: Vec<CharId>,
    /// Active of the recording service.
    pub recording_active: CharId,
    /// Recording Audio Active, 226.
    pub audio_active: CharId,
    /// Supported configurations 205, 206 and 207.
    pub supported: [CharId; 3],
    /// Selected Camera Recording Configuration, 209.
    pub selected: CharId,
    /// Setup Data Stream Transport, 131.
    pub setup: CharId,
    /// Motion Detected, 22.
    pub motion: CharId,
    /// Programmable Switch Event, 73.
    pub doorbell: Option<CharId>,
    /// Everything of these services that has events.
    pub watched: Vec<CharId>,
    /// Of these, those that take timed writes alone (permission `tw`).
    pub timed: Vec<CharId>,
}

impl Services {
    /// The services of accessory `aid`, or of the first that records.
    ///
    /// # Errors
    /// [`Kind::NotFound`] says what is missing.
    pub fn find(database: &Database, aid: Option<u64>) -> Result<Self> {
        let mut accessories = database.accessories.iter();
        let accessory = accessories.find(|a| match aid {
            Some(aid) => a.aid == aid,
            None => service(a, RECORDING).is_some(),
        });
        let accessory = accessory.ok_or_else(|| {
            Failure::new(Kind::NotFound, "no accessory here records to a home hub").hint(
                "the camera needs the service 204; `hapctl accessories NAME` shows what it has",
            )
        })?;
        Self::of(accessory)
    }

    fn of(accessory: &Accessory) -> Result<Self> {
        let aid = accessory.aid;
        let needed = |kind| {
            service(accessory, kind).ok_or_else(|| missing(aid, &names::service(kind), kind))
        };
        let (mode, recording) = (needed(MODE)?, needed(RECORDING)?);
        let (transport, sensor) = (needed(TRANSPORT)?, needed(SENSORS[0])?);
        let id = |service: &Service, kind| {
            let found = service
                .characteristic(kind)
                .map(|c| CharId { aid, iid: c.iid });
            found.ok_or_else(|| missing(aid, &names::characteristic(kind), kind))
        };
        Ok(Self {
            aid,
            camera_active: id(mode, "21B")?,
            event_snapshots: id(mode, "223")?,
            periodic_snapshots: id(mode, "225").ok(),
            streams_active: each(accessory, RTP, "B0"),
            recording_active: id(recording, "B0")?,
            audio_active: id(recording, "226")?,
            supported: [
                id(recording, "205")?,
                id(recording, "206")?,
                id(recording, "207")?,
            ],
            selected: id(recording, "209")?,
            setup: id(transport, "131")?,
            motion: id(sensor, "22")?,
            doorbell: each(accessory, SENSORS[2], "73").first().copied(),
            watched: allowing(accessory, "ev"),
            timed: allowing(accessory, "tw"),
        })
    }
}

fn is_service(service: &Service, kind: &str) -> bool {
    names::same_type(&service.kind, kind)
}

fn service<'a>(accessory: &'a Accessory, kind: &str) -> Option<&'a Service> {
    accessory.services.iter().find(|s| is_service(s, kind))
}

fn each(accessory: &Accessory, service: &str, characteristic: &str) -> Vec<CharId> {
    let aid = accessory.aid;
    let services = accessory.services.iter().filter(|s| is_service(s, service));
    services
        .filter_map(|s| s.characteristic(characteristic))
        .map(|c| CharId { aid, iid: c.iid })
        .collect()
}

/// Characteristics of the services a hub cares for that allow `perm`.
fn allowing(accessory: &Accessory, perm: &str) -> Vec<CharId> {
    let kinds = [&[MODE, RECORDING, RTP][..], &SENSORS].concat();
    let aid = accessory.aid;
    let services = accessory
        .services
        .iter()
        .filter(|s| kinds.iter().any(|k| is_service(s, k)));
    services
        .flat_map(|s| &s.characteristics)
        .filter(|c| c.allows(perm))
        .map(|c| CharId { aid, iid: c.iid })
        .collect()
}

fn missing(aid: u64, name: &str, kind: &str) -> Failure {
    Failure::new(
        Kind::NotFound,
        format!("accessory {aid} has no {name} ({kind}): a hub never arms it"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};

    fn services(kinds: &[(&str, &[&str])]) -> Json {
        let mut iid = 0;
        let mut next = || {
            iid += 1;
            iid
        };
        let list: Vec<Json> = kinds
            .iter()
            .map(|(kind, characteristics)| {
                let list: Vec<Json> = characteristics
                    .iter()
                    .map(|c| json!({"type": c, "iid": next(), "perms": ["pr", "ev"]}))
                    .collect();
                json!({"type": kind, "iid": next(), "characteristics": list})
            })
            .collect();
        json!({"accessories": [{"aid": 1, "services": []}, {"aid": 2, "services": list}]})
    }

    const CAMERA: &[(&str, &[&str])] = &[
        ("110", &["120", "B0"]),
        ("110", &["120", "B0"]),
        (
            "0000021A-0000-1000-8000-0026BB765291",
            &["21B", "223", "225"],
        ),
        ("204", &["B0", "205", "206", "207", "209", "226"]),
        ("129", &["130", "131", "37"]),
        ("85", &["22", "75"]),
        ("121", &["73"]),
    ];

    fn find(kinds: &[(&str, &[&str])]) -> Result<Services> {
        let body = services(kinds).to_string();
        Services::find(&Database::parse(body.as_bytes()).unwrap(), None)
    }

    #[test]
    fn a_camera_that_records_is_found_behind_a_bridge() {
        let found = find(CAMERA).unwrap();
        assert_eq!((found.aid, found.streams_active.len()), (2, 2));
        assert!(found.doorbell.is_some());
        assert!(found.watched.contains(&found.motion));
        assert!(!found.watched.contains(&found.setup));
    }

    #[test]
    fn what_is_missing_is_told() {
        for kind in ["204", "129", "85"] {
            let left: Vec<_> = CAMERA.iter().copied().filter(|(k, _)| *k != kind).collect();
            let e = find(&left).unwrap_err();
            assert_eq!(e.kind(), Kind::NotFound);
            assert!(
                e.to_string().contains("record") || e.to_string().contains(kind),
                "{e}"
            );
        }
        let left: Vec<(&str, &[&str])> = CAMERA
            .iter()
            .map(|(k, c)| if *k == "204" { (*k, &c[..4]) } else { (*k, *c) })
            .collect();
        assert!(find(&left).unwrap_err().to_string().contains("226"));
    }
}
