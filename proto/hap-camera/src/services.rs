//! The accessory database of a camera.
//!
//! Instance identifiers are fixed here once and for all: a controller's automations, and its pairing after an
//! update, hang on them (HAP R1 §2.6.1). A service or characteristic that goes away leaves its number unused.

pub mod iid;
mod recording;
mod sensors;

use std::time::Duration;

use hap_proto::database::{Accessory, Characteristic, Format, Perms, Service, Unit, Uuid};
use hap_proto::{CharId, Value};

use crate::recording::SupportedRecording;
use crate::rtp::{SupportedAudio, SupportedRtp, SupportedVideo};

/// The only accessory of a camera.
pub const AID: u64 = 1;

/// How long motion is held where nothing else is asked for: hubs end a clip with it.
pub const MOTION_HOLD: Duration = Duration::from_secs(10);

/// Most concurrent streams of one camera.
pub const MAX_STREAMS: u8 = 10;

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
    /// With a Speaker service, for which controllers show the talk button; a doorbell has it in any case.
    pub speaker: bool,
    /// Records to a home hub what it offers here; brings Camera Operating Mode and Motion Sensor along.
    pub recording: Option<SupportedRecording>,
    /// With a Motion Sensor.
    pub motion: bool,
    /// With an Occupancy Sensor.
    pub occupancy: bool,
    /// A doorbell.
    pub doorbell: bool,
    /// Something beside Home can switch it off: [`Camera::set_manually_disabled`](crate::Camera::set_manually_disabled).
    pub privacy_switch: bool,
    /// How long the sensors read true after the last detection.
    pub motion_hold: Duration,
}

impl Description {
    /// Whether there is a Motion Sensor.
    #[must_use]
    pub const fn has_motion(&self) -> bool {
        self.motion || self.recording.is_some()
    }

    /// Whether there is Camera Operating Mode.
    #[must_use]
    pub const fn has_operating_mode(&self) -> bool {
        self.privacy_switch || self.recording.is_some()
    }
}

/// Whether only admins may write `id`.
#[must_use]
pub fn admin_only(id: CharId) -> bool {
    let settings = [
        iid::EVENT_SNAPSHOTS_ACTIVE,
        iid::CAMERA_ACTIVE,
        iid::PERIODIC_SNAPSHOTS_ACTIVE,
        iid::RECORDING_ACTIVE,
        iid::SELECTED_RECORDING,
    ];
    let stream = StreamCharacteristic::of(id).map(|(_, which)| which);
    id.aid == AID && (settings.contains(&id.iid) || stream == Some(StreamCharacteristic::Active))
}

/// The accessory that `description` asks for.
#[must_use]
pub fn accessory(description: &Description) -> Accessory {
    let mut services = vec![information(description), protocol()];
    services.extend((0..usize::from(description.streams)).map(|slot| stream(description, slot)));
    services.push(sound(0x112, iid::MICROPHONE));
    if description.speaker || description.doorbell {
        services.push(sound(0x113, iid::SPEAKER));
    }
    services.extend(recording::services(description));
    services.extend(sensors::services(description));
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
            switch(id(C::Active), 0xB0, read_write.ev()),
        ],
    )
}

/// A number that is 0 or 1.
fn switch(iid: u64, kind: u32, perms: Perms) -> Characteristic {
    Characteristic {
        min: Some(0.0),
        max: Some(1.0),
        admin_only_write: admin_only(CharId { aid: AID, iid }),
        ..Characteristic::new(iid, Uuid::short(kind), Format::UInt8, perms)
    }
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
