//! One camera's state file.

use std::collections::BTreeMap;

use hap_camera::camera::{CameraState, Sound};
use hap_proto::database::next_configuration_number;
use hap_proto::{Identity, Pairing, PairingState, SetupCode, SetupId, SetupVerifier};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::hex::{hex, unhex, unhex_array};
use super::recording::{OperatingModeRecord, Picture, RecordingRecord};

/// Raised when an older daemon could not read the file. 2 knows about recordings.
const VERSION: u32 = 2;

/// Everything about a camera that must survive.
#[derive(Clone)]
pub struct CameraRecord {
    /// Name when it last ran, for `pairing-info` without a config.
    pub name: String,
    /// Device identifier and long-term key.
    pub identity: Identity,
    /// Setup identifier, part of the QR code.
    pub setup_id: SetupId,
    /// SRP salt and verifier of the setup code.
    pub verifier: SetupVerifier,
    /// Accessory category.
    pub category: u8,
    /// TCP port that was used last; 0 before the first start.
    pub port: u16,
    /// Configuration number, `c#`.
    pub config_number: u16,
    /// Digest of the accessory database that goes with `config_number`.
    pub database_digest: [u8; 32],
    /// Pairings and failed attempts.
    pub pairings: PairingState,
    /// Active, mute and volume.
    pub camera: CameraState,
    /// The source's picture when it was last seen.
    pub picture: Option<Picture>,
    /// The privacy switch, as it was last heard of: a restart must not open a camera's eye.
    pub privacy: bool,
}

impl std::fmt::Debug for CameraRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let paired = self.pairings.pairings.len();
        f.debug_struct("CameraRecord")
            .field("name", &self.name)
            .field("pairings", &paired)
            .finish_non_exhaustive()
    }
}

impl CameraRecord {
    /// A new accessory, with its setup code; `random` fills a slice from a secure generator.
    #[must_use]
    pub fn generate(
        name: &str,
        category: u8,
        mut random: impl FnMut(&mut [u8]),
    ) -> (Self, SetupCode) {
        let code = SetupCode::generate(&mut random);
        let record = Self {
            name: name.to_owned(),
            identity: Identity::generate(&mut random),
            setup_id: SetupId::generate(&mut random),
            verifier: SetupVerifier::derive(&code, SetupVerifier::random_salt(&mut random)),
            category,
            port: 0,
            config_number: 1,
            database_digest: [0; 32],
            pairings: PairingState::default(),
            camera: CameraState::default(),
            picture: None,
            privacy: false,
        };
        (record, code)
    }

    /// Raises the configuration number when the database is not the one that went with it. It wraps to 1.
    pub fn note_database(&mut self, digest: [u8; 32]) -> bool {
        if self.database_digest == digest {
            return false;
        }
        if self.database_digest != [0; 32] {
            self.config_number = next_configuration_number(self.config_number);
        }
        self.database_digest = digest;
        true
    }

    pub(super) fn to_json(&self) -> Zeroizing<Vec<u8>> {
        let file = File::from(self);
        let mut bytes = Zeroizing::new(
            serde_json::to_vec_pretty(&file).expect("plain maps and strings always serialise"),
        );
        bytes.push(b'\n');
        bytes
    }

    pub(super) fn from_json(bytes: &[u8]) -> Result<Self, String> {
        let version: Version =
            serde_json::from_slice(bytes).map_err(|e| format!("not valid JSON state ({e})"))?;
        if !(1..=VERSION).contains(&version.version) {
            return Err(format!(
                "it has version {}, this hapd knows versions up to {VERSION}",
                version.version
            ));
        }
        let file: File = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        file.try_into()
    }
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// The file as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    name: String,
    device_id: String,
    ltsk: String,
    setup_id: String,
    srp_salt: String,
    srp_verifier: String,
    category: u8,
    port: u16,
    config_number: u16,
    database_digest: String,
    failed_attempts: u32,
    /// Pairing identifier to key and permissions.
    pairings: BTreeMap<String, PairingRecord>,
    streams_active: Vec<bool>,
    microphone: SoundRecord,
    speaker: SoundRecord,
    #[serde(default)]
    operating_mode: OperatingModeRecord,
    #[serde(default)]
    recording: RecordingRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    picture: Option<Picture>,
    #[serde(default)]
    privacy: bool,
}

impl Drop for File {
    fn drop(&mut self) {
        self.ltsk.zeroize();
        self.srp_verifier.zeroize();
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PairingRecord {
    ltpk: String,
    admin: bool,
}

/// Mute and volume as they are written.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoundRecord {
    mute: bool,
    volume: u8,
}

impl From<Sound> for SoundRecord {
    fn from(sound: Sound) -> Self {
        Self {
            mute: sound.mute,
            volume: sound.volume,
        }
    }
}

impl From<SoundRecord> for Sound {
    fn from(record: SoundRecord) -> Self {
        Self {
            mute: record.mute,
            volume: record.volume.min(100),
        }
    }
}

impl From<&CameraRecord> for File {
    fn from(r: &CameraRecord) -> Self {
        let pairing = |p: &Pairing| {
            (
                p.id.clone(),
                PairingRecord {
                    ltpk: hex(&p.ltpk),
                    admin: p.admin,
                },
            )
        };
        Self {
            version: VERSION,
            name: r.name.clone(),
            device_id: r.identity.device_id().as_str().to_owned(),
            ltsk: hex(&*r.identity.ltsk()),
            setup_id: r.setup_id.as_str().to_owned(),
            srp_salt: hex(r.verifier.salt()),
            srp_verifier: hex(r.verifier.verifier()),
            category: r.category,
            port: r.port,
            config_number: r.config_number,
            database_digest: hex(&r.database_digest),
            failed_attempts: r.pairings.failed_attempts,
            pairings: r.pairings.pairings.iter().map(pairing).collect(),
            streams_active: r.camera.streams_active.clone(),
            microphone: r.camera.microphone.into(),
            speaker: r.camera.speaker.into(),
            operating_mode: r.camera.operating_mode.into(),
            recording: (&r.camera.recording).into(),
            picture: r.picture,
            privacy: r.privacy,
        }
    }
}

impl TryFrom<File> for CameraRecord {
    type Error = String;

    fn try_from(file: File) -> Result<Self, String> {
        let mut pairings = Vec::new();
        for (id, p) in &file.pairings {
            pairings.push(Pairing {
                id: id.clone(),
                ltpk: unhex_array("ltpk", &p.ltpk)?,
                admin: p.admin,
            });
        }
        if file.config_number == 0 {
            return Err("config_number is 0".into());
        }
        let verifier = unhex("srp_verifier", &file.srp_verifier)?.to_vec();
        let device_id = file
            .device_id
            .parse()
            .map_err(|e| format!("device_id: {e}"))?;
        Ok(Self {
            name: file.name.clone(),
            identity: Identity::new(device_id, &Zeroizing::new(unhex_array("ltsk", &file.ltsk)?)),
            setup_id: file
                .setup_id
                .parse()
                .map_err(|e| format!("setup_id: {e}"))?,
            verifier: SetupVerifier::from_parts(unhex_array("srp_salt", &file.srp_salt)?, verifier)
                .map_err(|e| format!("srp_verifier: {e}"))?,
            category: file.category,
            port: file.port,
            config_number: file.config_number,
            database_digest: unhex_array("database_digest", &file.database_digest)?,
            pairings: PairingState {
                pairings,
                failed_attempts: file.failed_attempts,
            },
            camera: CameraState {
                streams_active: file.streams_active.clone(),
                microphone: file.microphone.into(),
                speaker: file.speaker.into(),
                operating_mode: file.operating_mode.into(),
                recording: (&file.recording).try_into()?,
            },
            picture: file.picture,
            privacy: file.privacy,
        })
    }
}
