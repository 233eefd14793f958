//! Selected RTP Stream Configuration, 117 (HAP R1 §8.76).

use hap_tlv8::{Tlv, Writer};

use super::types::{
    AudioCodec, AudioSelection, H264Level, H264Profile, RtpParameters, SampleRate, SessionId,
    StreamCommand, VideoAttributes, VideoSelection, interval,
};
use crate::tlv::{DecodeError, narrow};

/// What a reconfiguration changes; whatever is absent stays as it was.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VideoChange {
    /// New picture size and rate.
    pub attributes: Option<VideoAttributes>,
    /// New limit in kbit/s.
    pub max_bitrate_kbps: Option<u16>,
    /// New RTCP interval in seconds. Controllers write 0, which keeps the old one.
    pub min_rtcp_interval_s: Option<f32>,
}

/// What the controller writes: one command with what it needs.
#[derive(Debug, Clone, PartialEq)]
pub enum SelectedStreamConfiguration {
    /// Start a session that was set up.
    Start {
        /// The session.
        session_id: SessionId,
        /// The video selected.
        video: VideoSelection,
        /// The audio selected; absent when the controller wants none.
        audio: Option<AudioSelection>,
    },
    /// Change the running video.
    Reconfigure {
        /// The session.
        session_id: SessionId,
        /// What changes.
        video: VideoChange,
    },
    /// End, suspend or resume.
    Control {
        /// The session.
        session_id: SessionId,
        /// One of [`StreamCommand::End`], [`StreamCommand::Suspend`], [`StreamCommand::Resume`].
        command: StreamCommand,
    },
}

impl SelectedStreamConfiguration {
    /// What is read while no session runs: a suspend without session identifier.
    pub const IDLE: [u8; 5] = [0x01, 0x03, 0x02, 0x01, 0x02];

    /// The session that the command is for.
    #[must_use]
    pub const fn session_id(&self) -> &SessionId {
        match self {
            Self::Start { session_id, .. }
            | Self::Reconfigure { session_id, .. }
            | Self::Control { session_id, .. } => session_id,
        }
    }

    /// Reads a command.
    ///
    /// # Errors
    /// [`DecodeError`] names the first member that is missing or wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let tlv = Tlv::parse(bytes)?;
        let control = tlv.nested(1)?;
        let session_id = control.array(1)?;
        Ok(match StreamCommand::from_wire(control.uint(2)?)? {
            StreamCommand::Start => Self::Start {
                session_id,
                video: decode_video(&tlv.nested(2)?)?,
                audio: tlv
                    .first(3)
                    .map(|_| decode_audio(&tlv.nested(3)?))
                    .transpose()?,
            },
            StreamCommand::Reconfigure => Self::Reconfigure {
                session_id,
                video: tlv
                    .first(2)
                    .map(|_| VideoChange::decode(&tlv.nested(2)?))
                    .transpose()?
                    .unwrap_or_default(),
            },
            command => Self::Control {
                session_id,
                command,
            },
        })
    }

    /// Writes a command.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.nested(1, |w| {
            w.bytes(1, self.session_id())
                .u8(2, self.command().to_wire());
        });
        match self {
            Self::Start { video, audio, .. } => {
                w.nested(2, |w| encode_video(video, w));
                if let Some(audio) = audio {
                    w.nested(3, |w| encode_audio(audio, w));
                }
            }
            Self::Reconfigure { video, .. } => {
                w.nested(2, |w| video.encode(w));
            }
            Self::Control { .. } => {}
        }
        w.into_vec()
    }

    const fn command(&self) -> StreamCommand {
        match self {
            Self::Start { .. } => StreamCommand::Start,
            Self::Reconfigure { .. } => StreamCommand::Reconfigure,
            Self::Control { command, .. } => *command,
        }
    }
}

impl VideoChange {
    fn decode(tlv: &Tlv) -> Result<Self, DecodeError> {
        let attributes = tlv
            .first(3)
            .map(|_| VideoAttributes::decode(&tlv.nested(3)?))
            .transpose()?;
        let mut change = Self {
            attributes,
            ..Self::default()
        };
        if tlv.first(4).is_some() {
            let rtp = tlv.nested(4)?;
            change.max_bitrate_kbps = rtp
                .opt_uint(3)?
                .map(|v| narrow("maximum bitrate", v))
                .transpose()?;
            change.min_rtcp_interval_s = interval(&rtp)?;
        }
        Ok(change)
    }

    fn encode(&self, w: &mut Writer) {
        if let Some(attributes) = self.attributes {
            w.nested(3, |w| attributes.encode(w));
        }
        w.nested(4, |w| {
            if let Some(kbps) = self.max_bitrate_kbps {
                w.u16(3, kbps);
            }
            if let Some(seconds) = self.min_rtcp_interval_s {
                w.f32(4, seconds);
            }
        });
    }
}

fn decode_video(tlv: &Tlv) -> Result<VideoSelection, DecodeError> {
    let codec = tlv.uint(1)?;
    if codec != 0 {
        return Err(DecodeError::Unknown {
            field: "video codec",
            value: codec,
        });
    }
    let parameters = tlv.nested(2)?;
    Ok(VideoSelection {
        profile: H264Profile::from_wire(parameters.uint(1)?)?,
        level: H264Level::from_wire(parameters.uint(2)?)?,
        attributes: VideoAttributes::decode(&tlv.nested(3)?)?,
        rtp: RtpParameters::decode(&tlv.nested(4)?)?,
    })
}

fn encode_video(video: &VideoSelection, w: &mut Writer) {
    w.u8(1, 0);
    w.nested(2, |w| {
        w.u8(1, video.profile.to_wire())
            .u8(2, video.level.to_wire())
            .u8(3, 0);
    });
    w.nested(3, |w| video.attributes.encode(w));
    w.nested(4, |w| video.rtp.encode(w));
}

fn decode_audio(tlv: &Tlv) -> Result<AudioSelection, DecodeError> {
    let codec = AudioCodec::from_wire(tlv.uint(1)?)?;
    let parameters = tlv.nested(2)?;
    let packet_time_ms: u8 = narrow("packet time", parameters.opt_uint(4)?.unwrap_or(20))?;
    if !(2..=120).contains(&packet_time_ms) {
        return Err(DecodeError::OutOfRange {
            field: "packet time",
            value: packet_time_ms.into(),
        });
    }
    Ok(AudioSelection {
        codec,
        channels: narrow("channels", parameters.uint(1)?)?,
        constant_bitrate: parameters.opt_uint(2)? == Some(1),
        sample_rate: SampleRate::from_wire(parameters.uint(3)?)?,
        packet_time_ms,
        rtp: RtpParameters::decode(&tlv.nested(3)?)?,
        comfort_noise: tlv.opt_uint(4)? == Some(1),
    })
}

fn encode_audio(audio: &AudioSelection, w: &mut Writer) {
    w.u8(1, audio.codec.to_wire());
    w.nested(2, |w| {
        w.u8(1, audio.channels).u8(2, audio.constant_bitrate.into());
        w.u8(3, audio.sample_rate.to_wire())
            .u8(4, audio.packet_time_ms);
    });
    w.nested(3, |w| audio.rtp.encode(w));
    w.u8(4, audio.comfort_noise.into());
}
