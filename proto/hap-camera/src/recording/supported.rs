//! What a camera can record: Supported Camera Recording Configuration (205), Supported Video Recording Configuration
//! (206) and Supported Audio Recording Configuration (207).

use std::time::Duration;

use hap_tlv8::{Tlv, Writer};

use super::offer;
use super::selected::{SelectedAudio, SelectedRecording, SelectedVideo};
use super::types::{BitrateMode, General, RecordingAudioCodec, RecordingSampleRate, Triggers};
use crate::rtp::{H264Level, H264Profile, VideoAttributes};
use crate::tlv::{DecodeError, each};

/// The shortest prebuffer that hubs take.
const LEAST_PREBUFFER: Duration = Duration::from_secs(4);

/// The fragment length that every known camera offers and every known hub selects.
const FRAGMENT: Duration = Duration::from_secs(4);

/// Everything that a camera offers to record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupportedRecording {
    /// How long before the trigger a recording can start; at least 4 s.
    pub prebuffer: Duration,
    /// What may start one.
    pub triggers: Triggers,
    /// Longest fragment.
    pub fragment: Duration,
    /// H.264 profiles, levels, sizes and rates.
    pub video: SupportedRecordingVideo,
    /// Audio codec and rates.
    pub audio: SupportedRecordingAudio,
}

/// What 206 holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupportedRecordingVideo {
    /// H.264 profiles.
    pub profiles: Vec<H264Profile>,
    /// H.264 levels.
    pub levels: Vec<H264Level>,
    /// Sizes and rates, best first.
    pub attributes: Vec<VideoAttributes>,
}

/// What 207 holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupportedRecordingAudio {
    /// Codec; hubs were seen never to arm a camera that offers another one than AAC-LC.
    pub codec: RecordingAudioCodec,
    /// Channels.
    pub channels: u8,
    /// Bitrate mode.
    pub bitrate_mode: BitrateMode,
    /// Sample rates.
    pub sample_rates: Vec<RecordingSampleRate>,
}

impl Default for SupportedRecordingAudio {
    fn default() -> Self {
        use RecordingSampleRate as Rate;
        Self {
            codec: RecordingAudioCodec::AacLc,
            channels: 1,
            bitrate_mode: BitrateMode::Variable,
            sample_rates: vec![Rate::Khz16, Rate::Khz24, Rate::Khz32],
        }
    }
}

impl SupportedRecording {
    /// What a source of at most `width` x `height` at `fps` can deliver, with fragments of 4 s: Main and High at all
    /// three levels, and AAC-LC. `prebuffer` is raised to the 4 s that hubs insist on.
    #[must_use]
    pub fn for_source(
        width: u16,
        height: u16,
        fps: u8,
        prebuffer: Duration,
        triggers: Triggers,
    ) -> Self {
        Self {
            prebuffer: prebuffer.max(LEAST_PREBUFFER),
            triggers,
            fragment: FRAGMENT,
            video: SupportedRecordingVideo {
                profiles: vec![H264Profile::Main, H264Profile::High],
                levels: vec![H264Level::L3_1, H264Level::L3_2, H264Level::L4_0],
                attributes: offer::attributes(width, height, fps),
            },
            audio: SupportedRecordingAudio::default(),
        }
    }

    const fn general(&self) -> General {
        General {
            prebuffer: self.prebuffer,
            triggers: self.triggers,
            fragment: self.fragment,
        }
    }

    /// Writes 205.
    #[must_use]
    pub fn encode_general(&self) -> Vec<u8> {
        let mut w = Writer::new();
        self.general().encode(&mut w);
        w.into_vec()
    }

    /// Reads 205, 206 and 207.
    ///
    /// # Errors
    /// [`DecodeError`] names the first member that is missing or wrong, or that nothing known is offered.
    pub fn decode(general: &[u8], video: &[u8], audio: &[u8]) -> Result<Self, DecodeError> {
        let General {
            prebuffer,
            triggers,
            fragment,
        } = General::decode(&Tlv::parse(general)?)?;
        Ok(Self {
            prebuffer,
            triggers,
            fragment,
            video: SupportedRecordingVideo::decode(video)?,
            audio: SupportedRecordingAudio::decode(audio)?,
        })
    }

    /// Whether `selected` was chosen from what is offered here.
    ///
    /// # Errors
    /// [`DecodeError::NotOffered`] names the first member that was not.
    pub fn check(&self, selected: &SelectedRecording) -> Result<(), DecodeError> {
        let rules = [
            ("prebuffer", selected.prebuffer <= self.prebuffer),
            ("trigger", self.triggers.contains(selected.triggers)),
            ("fragment length", selected.fragment == self.fragment),
        ];
        all_offered(&rules)?;
        self.video.check(&selected.video)?;
        self.audio.check(&selected.audio)
    }
}

impl SupportedRecordingVideo {
    /// Writes 206. Bitrate and key frame interval belong to 209 alone: a hub never arms a camera that offers them.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.nested(1, |w| {
            w.u8(1, 0);
            w.nested(2, |w| {
                each(w, &self.profiles, |w, p| {
                    w.u8(1, p.to_wire());
                });
                each(w, &self.levels, |w, l| {
                    w.u8(2, l.to_wire());
                });
            });
            each(w, &self.attributes, |w, a| {
                w.nested(3, |w| a.encode(w));
            });
        });
        w.into_vec()
    }

    /// Reads 206: the first configuration of H.264. Profiles and levels that are not known are left out.
    ///
    /// # Errors
    /// As [`SupportedRecording::decode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let tlv = first_codec(bytes, "H.264 for recordings", |codec| codec == 0)?;
        let parameters = tlv.nested(2)?;
        let attributes = tlv.all(3).map(|a| VideoAttributes::decode(&Tlv::parse(a)?));
        Ok(Self {
            profiles: known(&parameters, 1, H264Profile::from_wire)?,
            levels: known(&parameters, 2, H264Level::from_wire)?,
            attributes: attributes.collect::<Result<_, _>>()?,
        })
    }

    fn check(&self, selected: &SelectedVideo) -> Result<(), DecodeError> {
        all_offered(&[
            ("profile", self.profiles.contains(&selected.profile)),
            ("level", self.levels.contains(&selected.level)),
            (
                "picture size or rate",
                self.attributes.contains(&selected.attributes),
            ),
        ])
    }
}

impl SupportedRecordingAudio {
    /// Writes 207. The bitrate belongs to 209 alone.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.nested(1, |w| {
            w.u8(1, self.codec.to_wire());
            w.nested(2, |w| {
                w.u8(1, self.channels).u8(2, self.bitrate_mode.to_wire());
                each(w, &self.sample_rates, |w, rate| {
                    w.u8(3, rate.to_wire());
                });
            });
        });
        w.into_vec()
    }

    /// Reads 207: the first configuration whose codec is known.
    ///
    /// # Errors
    /// As [`SupportedRecording::decode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let tlv = first_codec(bytes, "an audio codec for recordings", |codec| {
            RecordingAudioCodec::from_wire(codec).is_ok()
        })?;
        let parameters = tlv.nested(2)?;
        Ok(Self {
            codec: RecordingAudioCodec::from_wire(tlv.uint(1)?)?,
            channels: crate::tlv::narrow("channels", parameters.uint(1)?)?,
            bitrate_mode: BitrateMode::from_wire(parameters.opt_uint(2)?.unwrap_or(0))?,
            sample_rates: known(&parameters, 3, RecordingSampleRate::from_wire)?,
        })
    }

    fn check(&self, selected: &SelectedAudio) -> Result<(), DecodeError> {
        all_offered(&[
            ("audio codec", self.codec == selected.codec),
            ("channels", self.channels == selected.channels),
            (
                "audio bitrate mode",
                self.bitrate_mode == selected.bitrate_mode,
            ),
            (
                "audio sample rate",
                self.sample_rates.contains(&selected.sample_rate),
            ),
        ])
    }
}

fn all_offered(rules: &[(&'static str, bool)]) -> Result<(), DecodeError> {
    match rules.iter().find(|(_, offered)| !offered) {
        Some(&(field, _)) => Err(DecodeError::NotOffered { field }),
        None => Ok(()),
    }
}

/// The first codec configuration whose codec is `wanted`.
fn first_codec(
    bytes: &[u8],
    field: &'static str,
    wanted: impl Fn(u64) -> bool,
) -> Result<Tlv, DecodeError> {
    for configuration in Tlv::parse(bytes)?.all(1) {
        let configuration = Tlv::parse(configuration)?;
        if wanted(configuration.uint(1)?) {
            return Ok(configuration);
        }
    }
    Err(DecodeError::NotOffered { field })
}

/// The values of `tag` that are known.
fn known<T>(
    tlv: &Tlv,
    tag: u8,
    from_wire: impl Fn(u64) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let values: Option<Vec<u64>> = tlv.all(tag).map(little_endian).collect();
    let values = values.ok_or(DecodeError::NotOffered { field: "a number" })?;
    Ok(values
        .into_iter()
        .filter_map(|v| from_wire(v).ok())
        .collect())
}

fn little_endian(value: &[u8]) -> Option<u64> {
    value.first()?;
    let mut wide = [0; 8];
    wide.get_mut(..value.len())?.copy_from_slice(value);
    Some(u64::from_le_bytes(wide))
}
