//! Selected Camera Recording Configuration, 209: what the hub wants recorded.

use std::time::Duration;

use hap_tlv8::{Tlv, Writer};

use super::types::{
    BitrateMode, General, RecordingAudioCodec, RecordingSampleRate, Triggers, as_milliseconds,
    milliseconds,
};
use crate::rtp::{H264Level, H264Profile, VideoAttributes};
use crate::tlv::{DecodeError, narrow};

/// Bitrates above this are nothing that a hub could mean, in kbit/s: the most of H.264 High at level 4.0.
const MOST_VIDEO_KBPS: u32 = 25_000;

/// As above, for AAC-LC mono at 48 kHz.
const MOST_AUDIO_KBPS: u32 = 512;

/// What the hub selected of [`SupportedRecording`](super::SupportedRecording).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectedRecording {
    /// How long before the trigger recordings have to start.
    pub prebuffer: Duration,
    /// What starts them.
    pub triggers: Triggers,
    /// Longest fragment.
    pub fragment: Duration,
    /// The video.
    pub video: SelectedVideo,
    /// The audio; recorded only while Recording Audio Active (226) is on.
    pub audio: SelectedAudio,
}

/// The video of a recording, in H.264.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectedVideo {
    /// Profile.
    pub profile: H264Profile,
    /// Level.
    pub level: H264Level,
    /// Bitrate in kbit/s.
    pub kbps: u32,
    /// Time between key frames.
    pub i_frame_interval: Duration,
    /// Picture size and rate.
    pub attributes: VideoAttributes,
}

/// The audio of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectedAudio {
    /// Codec.
    pub codec: RecordingAudioCodec,
    /// Channels.
    pub channels: u8,
    /// Bitrate mode.
    pub bitrate_mode: BitrateMode,
    /// Sample rate.
    pub sample_rate: RecordingSampleRate,
    /// Highest bitrate in kbit/s.
    pub kbps: u32,
}

impl SelectedRecording {
    /// Reads 209.
    ///
    /// # Errors
    /// [`DecodeError`] names the first member that is missing or wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let tlv = Tlv::parse(bytes)?;
        let General {
            prebuffer,
            triggers,
            fragment,
        } = General::decode(&tlv.nested(1)?)?;
        Ok(Self {
            prebuffer,
            triggers,
            fragment,
            video: SelectedVideo::decode(&tlv.nested(2)?)?,
            audio: SelectedAudio::decode(&tlv.nested(3)?)?,
        })
    }

    /// Writes 209.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let general = General {
            prebuffer: self.prebuffer,
            triggers: self.triggers,
            fragment: self.fragment,
        };
        let mut w = Writer::new();
        w.nested(1, |w| general.encode(w));
        w.nested(2, |w| self.video.encode(w));
        w.nested(3, |w| self.audio.encode(w));
        w.into_vec()
    }
}

impl SelectedVideo {
    fn decode(tlv: &Tlv) -> Result<Self, DecodeError> {
        let codec = tlv.uint(1)?;
        if codec != 0 {
            return Err(DecodeError::Unknown {
                field: "recording video codec",
                value: codec,
            });
        }
        let parameters = tlv.nested(2)?;
        Ok(Self {
            profile: H264Profile::from_wire(parameters.uint(1)?)?,
            level: H264Level::from_wire(parameters.uint(2)?)?,
            kbps: kbps("video bitrate", parameters.uint(3)?, MOST_VIDEO_KBPS)?,
            i_frame_interval: milliseconds("key frame interval", parameters.uint(4)?)?,
            attributes: VideoAttributes::decode(&tlv.nested(3)?)?,
        })
    }

    fn encode(&self, w: &mut Writer) {
        w.u8(1, 0);
        w.nested(2, |w| {
            w.u8(1, self.profile.to_wire()).u8(2, self.level.to_wire());
            w.u32(3, self.kbps)
                .u32(4, as_milliseconds(self.i_frame_interval));
        });
        w.nested(3, |w| self.attributes.encode(w));
    }
}

impl SelectedAudio {
    fn decode(tlv: &Tlv) -> Result<Self, DecodeError> {
        let parameters = tlv.nested(2)?;
        Ok(Self {
            codec: RecordingAudioCodec::from_wire(tlv.uint(1)?)?,
            channels: narrow("channels", parameters.uint(1)?)?,
            bitrate_mode: BitrateMode::from_wire(parameters.opt_uint(2)?.unwrap_or(0))?,
            sample_rate: RecordingSampleRate::from_wire(parameters.uint(3)?)?,
            kbps: kbps("audio bitrate", parameters.uint(4)?, MOST_AUDIO_KBPS)?,
        })
    }

    fn encode(&self, w: &mut Writer) {
        w.u8(1, self.codec.to_wire());
        w.nested(2, |w| {
            w.u8(1, self.channels).u8(2, self.bitrate_mode.to_wire());
            w.u8(3, self.sample_rate.to_wire()).u32(4, self.kbps);
        });
    }
}

fn kbps(field: &'static str, value: u64, most: u32) -> Result<u32, DecodeError> {
    let kbps = narrow(field, value)?;
    if kbps == 0 || kbps > most {
        return Err(DecodeError::OutOfRange { field, value });
    }
    Ok(kbps)
}
