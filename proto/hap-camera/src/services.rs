//! The accessory database of a camera.
//!
//! Instance identifiers are fixed here once and for all: a controller's automations, and its pairing after an
//! update, hang on them (HAP R1 §2.6.1). A service or characteristic that goes away leaves its number unused.

use hap_proto::database::{Accessory, Characteristic, Format, Perms, Service, Unit, Uuid};
use hap_proto::{CharId, Value};

use crate::rtp::{SupportedAudio, SupportedRtp, SupportedVideo};

/// The only accessory of a camera.
pub const AID: u64 = 1;

/// Most concurrent streams of one camera.
pub const MAX_STREAMS: u8 = 10;

/// Instance identifiers. `0x40`–`0xff` are set aside for sensors, doorbell and recording.
pub mod iid {
    /// Accessory Information.
    pub const ACCESSORY_INFORMATION: u64 = 1;
    /// Identify.
    pub const IDENTIFY: u64 = 2;
    /// Manufacturer.
    pub const MANUFACTURER: u64 = 3;
    /// Model.
    pub const MODEL: u64 = 4;
    /// Name.
    pub const NAME: u64 = 5;
    /// Serial Number.
    pub const SERIAL_NUMBER: u64 = 6;
    /// Firmware Revision.
    pub const FIRMWARE_REVISION: u64 = 7;
    /// HAP Protocol Information.
    pub const PROTOCOL_INFORMATION: u64 = 0x10;
    /// Version of the protocol.
    pub const VERSION: u64 = 0x11;
    /// Microphone.
    pub const MICROPHONE: u64 = 0x20;
    /// Mute of the microphone.
    pub const MICROPHONE_MUTE: u64 = 0x21;
    /// Volume of the microphone.
    pub const MICROPHONE_VOLUME: u64 = 0x22;
    /// Speaker.
    pub const SPEAKER: u64 = 0x30;
    /// Mute of the speaker.
    pub const SPEAKER_MUTE: u64 = 0x31;
    /// Volume of the speaker.
    pub const SPEAKER_VOLUME: u64 = 0x32;
    /// First of the Camera RTP Stream Management services; each has [`STREAM_STEP`] numbers.
    pub const STREAM: u64 = 0x100;
    /// Distance between two of them.
    pub const STREAM_STEP: u64 = 0x10;
}

/// The characteristics of one Camera RTP Stream Management service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamCharacteristic {
    /// Streaming Status, 120.
    StreamingStatus = 1,
    /// Supported Video Stream Configuration, 114.
    SupportedVideo = 2,
    /// Supported Audio Stream Configuration, 115.
    SupportedAudio = 3,
    /// Supported RTP Configuration, 116.
    SupportedRtp = 4,
    /// Setup Endpoints, 118.
    SetupEndpoints = 5,
    /// Selected RTP Stream Configuration, 117.
    Selected = 6,
    /// Active, B0.
    Active = 7,
}

impl StreamCharacteristic {
    const ALL: [Self; 7] = [
        Self::StreamingStatus,
        Self::SupportedVideo,
        Self::SupportedAudio,
        Self::SupportedRtp,
        Self::SetupEndpoints,
        Self::Selected,
        Self::Active,
    ];

    /// The identifier in stream service number `slot`.
    #[must_use]
    pub const fn id(self, slot: usize) -> CharId {
        CharId {
            aid: AID,
            iid: iid::STREAM + slot as u64 * iid::STREAM_STEP + self as u64,
        }
    }

    /// Which stream service and characteristic `id` is.
    #[must_use]
    pub fn of(id: CharId) -> Option<(usize, Self)> {
        let offset = id.iid.checked_sub(iid::STREAM)?;
        let slot = offset / iid::STREAM_STEP;
        if id.aid != AID || slot >= u64::from(MAX_STREAMS) {
            return None;
        }
        let which = Self::ALL
            .into_iter()
            .find(|c| *c as u64 == offset % iid::STREAM_STEP)?;
        Some((usize::try_from(slot).ok()?, which))
    }
}

/// What tells one camera from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Shown in Home; also the mDNS instance name.
    pub name: String,
    /// Manufacturer.
    pub manufacturer: String,
    /// Model.
    pub model: String,
    /// Serial number.
    pub serial_number: String,
    /// Firmware revision, `x.y.z`.
    pub firmware_revision: String,
    /// Concurrent streams, `1..=MAX_STREAMS`.
    pub streams: u8,
    /// Sizes, profiles and levels offered.
    pub video: SupportedVideo,
    /// Audio codecs offered.
    pub audio: SupportedAudio,
    /// SRTP suites offered.
    pub rtp: SupportedRtp,
    /// With a Speaker service, for which controllers show the talk button.
    pub speaker: bool,
}

/// The accessory that `description` asks for.
#[must_use]
pub fn accessory(description: &Description) -> Accessory {
    let mut services = vec![information(description), protocol()];
    services.extend((0..usize::from(description.streams)).map(|slot| stream(description, slot)));
    services.push(sound(0x112, iid::MICROPHONE));
    if description.speaker {
        services.push(sound(0x113, iid::SPEAKER));
    }
    Accessory { aid: AID, services }
}

fn service(kind: u32, iid: u64, characteristics: Vec<Characteristic>) -> Service {
    Service::new(iid, Uuid::short(kind), characteristics)
}

fn information(d: &Description) -> Service {
    let text = |iid, kind, value: &str| {
        Characteristic::constant(
            iid,
            Uuid::short(kind),
            Format::String,
            Value::String(value.into()),
        )
    };
    service(
        0x3E,
        iid::ACCESSORY_INFORMATION,
        vec![
            Characteristic::new(
                iid::IDENTIFY,
                Uuid::short(0x14),
                Format::Bool,
                Perms::new().pw(),
            ),
            text(iid::MANUFACTURER, 0x20, &d.manufacturer),
            text(iid::MODEL, 0x21, &d.model),
            text(iid::NAME, 0x23, &d.name),
            text(iid::SERIAL_NUMBER, 0x30, &d.serial_number),
            text(iid::FIRMWARE_REVISION, 0x52, &d.firmware_revision),
        ],
    )
}

fn protocol() -> Service {
    let value = Value::String("1.1.0".into());
    let version = Characteristic::constant(iid::VERSION, Uuid::short(0x37), Format::String, value);
    service(0xA2, iid::PROTOCOL_INFORMATION, vec![version])
}

fn stream(d: &Description, slot: usize) -> Service {
    use StreamCharacteristic as C;
    let id = |which: C| which.id(slot).iid;
    let tlv =
        |which, kind, perms| Characteristic::new(id(which), Uuid::short(kind), Format::Tlv8, perms);
    let fixed = |which, kind, value| {
        Characteristic::constant(
            id(which),
            Uuid::short(kind),
            Format::Tlv8,
            Value::Tlv8(value),
        )
    };
    let read_write = Perms::new().pr().pw();
    let active = Characteristic {
        min: Some(0.0),
        max: Some(1.0),
        admin_only_write: true,
        ..Characteristic::new(
            id(C::Active),
            Uuid::short(0xB0),
            Format::UInt8,
            read_write.ev(),
        )
    };
    service(
        0x110,
        iid::STREAM + slot as u64 * iid::STREAM_STEP,
        vec![
            tlv(C::StreamingStatus, 0x120, Perms::new().pr().ev()),
            fixed(C::SupportedVideo, 0x114, d.video.encode()),
            fixed(C::SupportedAudio, 0x115, d.audio.encode()),
            fixed(C::SupportedRtp, 0x116, d.rtp.encode()),
            tlv(C::SetupEndpoints, 0x118, read_write),
            tlv(C::Selected, 0x117, read_write),
            active,
        ],
    )
}

/// Microphone or Speaker: service and characteristics in the order `base`, mute, volume.
fn sound(kind: u32, base: u64) -> Service {
    let perms = Perms::new().pr().pw().ev();
    let mute = Characteristic::new(base + 1, Uuid::short(0x11A), Format::Bool, perms);
    let volume = Characteristic {
        unit: Some(Unit::Percentage),
        min: Some(0.0),
        max: Some(100.0),
        step: Some(1.0),
        ..Characteristic::new(base + 2, Uuid::short(0x119), Format::UInt8, perms)
    };
    service(kind, base, vec![mute, volume])
}
