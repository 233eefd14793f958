//! Names of service and characteristic types, in kebab case: `streaming-status`.
//!
//! The catalogue is the one of `hap-model`; what came after it is added here.

use hap_model::{CharacteristicType, ServiceType, Uuid};

/// Services newer than the catalogue.
const SERVICES: &[(&str, &str)] = &[
    ("129", "data-stream-transport-management"),
    ("204", "camera-recording-management"),
    ("21A", "camera-operating-mode"),
];

/// Characteristics newer than the catalogue.
const CHARACTERISTICS: &[(&str, &str)] = &[
    ("130", "supported-data-stream-transport-configuration"),
    ("131", "setup-data-stream-transport"),
    ("205", "supported-camera-recording-configuration"),
    ("206", "supported-video-recording-configuration"),
    ("207", "supported-audio-recording-configuration"),
    ("209", "selected-camera-recording-configuration"),
    ("21B", "homekit-camera-active"),
    ("21C", "third-party-camera-active"),
    ("21D", "camera-operating-mode-indicator"),
    ("223", "event-snapshots-active"),
    ("224", "diagonal-field-of-view"),
    ("225", "periodic-snapshots-active"),
    ("226", "recording-audio-active"),
    ("227", "manually-disabled"),
];

/// Name of a service type, or its short or full UUID.
#[must_use]
pub fn service(kind: &str) -> String {
    let Ok(uuid) = Uuid::parse(kind) else {
        return kind.into();
    };
    match ServiceType::from_uuid(&uuid) {
        ServiceType::Unknown(u) => later(SERVICES, &u),
        known => kebab(&format!("{known:?}")),
    }
}

/// Name of a characteristic type, or its short or full UUID.
#[must_use]
pub fn characteristic(kind: &str) -> String {
    let Ok(uuid) = Uuid::parse(kind) else {
        return kind.into();
    };
    match CharacteristicType::from_uuid(&uuid) {
        CharacteristicType::Unknown(u) => later(CHARACTERISTICS, &u),
        known => kebab(&format!("{known:?}")),
    }
}

/// True when two type texts, short or long, in any case, mean the same type.
#[must_use]
pub fn same_type(a: &str, b: &str) -> bool {
    match (Uuid::parse(a), Uuid::parse(b)) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}

fn later(table: &[(&str, &str)], uuid: &Uuid) -> String {
    let Some(short) = uuid.as_short() else {
        return uuid.as_full().into();
    };
    let known = table.iter().find(|(kind, _)| *kind == short);
    known.map_or(short, |(_, name)| (*name).into())
}

/// `CameraRtpStreamManagement` → `camera-rtp-stream-management`.
fn kebab(camel: &str) -> String {
    let mut out = String::with_capacity(camel.len() + 8);
    for (i, c) in camel.char_indices() {
        if c.is_ascii_uppercase() && i > 0 {
            out.push('-');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn catalogue_additions_and_strangers_have_names() {
        assert_eq!(service("110"), "camera-rtp-stream-management");
        assert_eq!(
            service("00000110-0000-1000-8000-0026BB765291"),
            "camera-rtp-stream-management"
        );
        assert_eq!(service("204"), "camera-recording-management");
        assert_eq!(characteristic("120"), "streaming-status");
        assert_eq!(characteristic("21b"), "homekit-camera-active");
        assert_eq!(characteristic("FFF"), "FFF");
        assert_eq!(
            characteristic("00112233-4455-6677-8899-AABBCCDDEEFF"),
            "00112233-4455-6677-8899-aabbccddeeff"
        );
        assert_eq!(characteristic("not a type"), "not a type");
    }

    #[test]
    fn short_and_long_forms_are_one_type() {
        assert!(same_type("B0", "000000b0-0000-1000-8000-0026bb765291"));
        assert!(!same_type("B0", "B1"));
    }
}
