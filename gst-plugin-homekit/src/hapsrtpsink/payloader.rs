//! From buffers to RTP packets, per kind of input.

use std::fmt::Debug;
use std::time::Duration;

use rtp_payload::Orientation;
use rtp_payload::h264::H264;
use rtp_payload::h265::H265;

use super::audio::{AacEld, Audio, Opus};
use super::media::{Codec, Input};
use super::outgoing::Outgoing;
use super::timeline::Timeline;
use super::video::Video;

/// What became of one buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Payloaded {
    /// Access units or audio packets that are ready to be sent.
    pub(crate) frames: u64,
    /// How many of them are key frames.
    pub(crate) key_frames: u64,
    /// Frames left out because no key frame has come yet.
    pub(crate) before_key: u64,
    /// Frames left out because they cannot be sent.
    pub(crate) invalid: u64,
}

/// Cuts the input into RTP packets.
#[derive(Debug)]
pub(crate) struct Payloader {
    codec: Codec,
    cutter: Box<dyn Cutter>,
}

/// What every kind of media does in its own way.
pub(crate) trait Cutter: Debug + Send {
    /// Takes new caps of the same codec; what was sent goes on without a break.
    fn configure(&mut self, input: &Input) -> Result<(), ConfigureError>;

    fn set_payload_limit(&mut self, payload_limit: usize);

    /// Says how a receiver has to turn the pictures, under the negotiated id (HAP R1 §11.4.2).
    fn set_orientation(&mut self, _id: u8, _orientation: Orientation) {}

    /// Begins anew after a pause: with a key frame, and without rests.
    fn restart(&mut self);

    /// Cuts one buffer, which is presented at `time`.
    fn push(
        &mut self,
        data: &[u8],
        time: Duration,
        timeline: &mut Timeline,
        out: &mut Outgoing,
    ) -> Payloaded;

    /// Sends what is left over at the end.
    fn finish(&mut self, _timeline: &mut Timeline, _out: &mut Outgoing) -> Payloaded {
        Payloaded::default()
    }
}

/// The stream or its input cannot go on; the caps are at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConfigureError {
    #[error("codec data is no decoder configuration record")]
    CodecData,
    #[error("another codec in the same stream")]
    OtherCodec,
}

impl Payloader {
    pub(crate) fn new(
        input: &Input,
        payload_limit: usize,
        packet_time: Option<Duration>,
    ) -> Result<Self, ConfigureError> {
        let mut cutter: Box<dyn Cutter> = match input {
            Input::H264(_) => Box::new(Video::<H264>::new(payload_limit)),
            Input::H265(_) => Box::new(Video::<H265>::new(payload_limit)),
            Input::Opus { .. } => Box::new(Audio::<Opus>::new(payload_limit, packet_time)),
            Input::AacEld { .. } => Box::new(Audio::<AacEld>::new(payload_limit, packet_time)),
        };
        cutter.configure(input)?;
        let codec = input.codec();
        Ok(Self { codec, cutter })
    }

    /// Takes new caps of the same codec.
    pub(crate) fn configure(&mut self, input: &Input) -> Result<(), ConfigureError> {
        match input.codec() == self.codec {
            true => self.cutter.configure(input),
            false => Err(ConfigureError::OtherCodec),
        }
    }

    pub(crate) fn codec(&self) -> Codec {
        self.codec
    }
}

impl std::ops::Deref for Payloader {
    type Target = dyn Cutter;

    fn deref(&self) -> &Self::Target {
        &*self.cutter
    }
}

impl std::ops::DerefMut for Payloader {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut *self.cutter
    }
}

impl Payloaded {
    pub(crate) fn invalid() -> Self {
        Self {
            invalid: 1,
            ..Self::default()
        }
    }
}

impl std::ops::AddAssign for Payloaded {
    fn add_assign(&mut self, other: Self) {
        self.frames += other.frames;
        self.key_frames += other.key_frames;
        self.before_key += other.before_key;
        self.invalid += other.invalid;
    }
}
