//! Instance identifiers; a service's characteristics follow it.

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
/// Camera Operating Mode.
pub const OPERATING_MODE: u64 = 0x40;
/// Event Snapshots Active.
pub const EVENT_SNAPSHOTS_ACTIVE: u64 = 0x41;
/// HomeKit Camera Active.
pub const CAMERA_ACTIVE: u64 = 0x42;
/// Periodic Snapshots Active.
pub const PERIODIC_SNAPSHOTS_ACTIVE: u64 = 0x43;
/// Manually Disabled.
pub const MANUALLY_DISABLED: u64 = 0x44;
/// Camera Event Recording Management.
pub const RECORDING: u64 = 0x60;
/// Active of recordings.
pub const RECORDING_ACTIVE: u64 = 0x61;
/// Supported Camera Recording Configuration.
pub const SUPPORTED_RECORDING: u64 = 0x62;
/// Supported Video Recording Configuration.
pub const SUPPORTED_VIDEO_RECORDING: u64 = 0x63;
/// Supported Audio Recording Configuration.
pub const SUPPORTED_AUDIO_RECORDING: u64 = 0x64;
/// Selected Camera Recording Configuration.
pub const SELECTED_RECORDING: u64 = 0x65;
/// Recording Audio Active.
pub const RECORDING_AUDIO_ACTIVE: u64 = 0x66;
/// Data Stream Transport Management.
pub const DATA_STREAM: u64 = 0x80;
/// Supported Data Stream Transport Configuration.
pub const SUPPORTED_DATA_STREAM: u64 = 0x81;
/// Setup Data Stream Transport.
pub const SETUP_DATA_STREAM: u64 = 0x82;
/// Version of the data stream.
pub const DATA_STREAM_VERSION: u64 = 0x83;
/// Motion Sensor.
pub const MOTION: u64 = 0x90;
/// Motion Detected.
pub const MOTION_DETECTED: u64 = 0x91;
/// Status Active of the motion sensor.
pub const MOTION_STATUS_ACTIVE: u64 = 0x92;
/// Occupancy Sensor.
pub const OCCUPANCY: u64 = 0xA0;
/// Occupancy Detected.
pub const OCCUPANCY_DETECTED: u64 = 0xA1;
/// Status Active of the occupancy sensor.
pub const OCCUPANCY_STATUS_ACTIVE: u64 = 0xA2;
/// Doorbell.
pub const DOORBELL: u64 = 0xB0;
/// Programmable Switch Event of the doorbell.
pub const DOORBELL_EVENT: u64 = 0xB1;
/// First of the Camera RTP Stream Management services; each has [`STREAM_STEP`] numbers.
pub const STREAM: u64 = 0x100;
/// Distance between two of them.
pub const STREAM_STEP: u64 = 0x10;
