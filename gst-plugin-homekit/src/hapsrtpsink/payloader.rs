//! From buffers to RTP packets, per kind of input.

use std::time::Duration;

use rtp_payload::{Packet, h264, opus};

use super::media::{Input, Kind};
use super::outgoing::Outgoing;
use super::timeline::Timeline;

/// What became of one buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Payloaded {
    /// Access units or Opus packets that are ready to be sent.
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
pub(crate) enum Payloader {
    Video(Box<Video>),
    Audio(Audio),
}

/// H.264: key frames first, then all.
#[derive(Debug)]
pub(crate) struct Video {
    packetizer: h264::Packetizer,
    format: h264::Format,
    /// Puts the access units of RTP input together again.
    depacketizer: Option<h264::Depacketizer>,
    /// Nothing goes out until a key frame comes.
    wants_key_frame: bool,
}

/// Opus: regrouped into packets of one duration.
#[derive(Debug)]
pub(crate) struct Audio {
    repacketizer: opus::Repacketizer,
    is_rtp: bool,
    payload_limit: usize,
    scratch: Vec<u8>,
}

/// The stream or its input cannot go on; the caps are at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConfigureError {
    #[error("codec data is no AVC decoder configuration record")]
    CodecData,
    #[error("audio and video in one stream")]
    OtherKind,
}

impl Payloader {
    pub(crate) fn new(
        input: &Input,
        payload_limit: usize,
        packet_time: Option<Duration>,
    ) -> Result<Self, ConfigureError> {
        let mut this = match input.kind() {
            Kind::Video => Self::Video(Box::new(Video {
                packetizer: h264::Packetizer::new(payload_limit),
                format: input.h264_format(),
                depacketizer: None,
                wants_key_frame: true,
            })),
            Kind::Audio => Self::Audio(Audio {
                repacketizer: opus::Repacketizer::new(packet_time),
                is_rtp: false,
                payload_limit,
                scratch: Vec::new(),
            }),
        };
        this.configure(input)?;
        Ok(this)
    }

    /// Takes new caps of the same kind; what was sent goes on without a break.
    pub(crate) fn configure(&mut self, input: &Input) -> Result<(), ConfigureError> {
        match (self, input.kind()) {
            (Self::Video(video), Kind::Video) => video.configure(input),
            (Self::Audio(audio), Kind::Audio) => {
                audio.is_rtp = *input == Input::OpusRtp;
                Ok(())
            }
            _ => Err(ConfigureError::OtherKind),
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Video(_) => Kind::Video,
            Self::Audio(_) => Kind::Audio,
        }
    }

    pub(crate) fn set_payload_limit(&mut self, payload_limit: usize) {
        match self {
            Self::Video(video) => video.packetizer.set_payload_limit(payload_limit),
            Self::Audio(audio) => audio.payload_limit = payload_limit,
        }
    }

    /// Begins anew after a pause: with a key frame, and without rests.
    pub(crate) fn restart(&mut self) {
        match self {
            Self::Video(video) => video.wants_key_frame = true,
            Self::Audio(audio) => audio.repacketizer.clear(),
        }
    }

    /// Cuts one buffer, which is presented at `time`.
    pub(crate) fn push(
        &mut self,
        data: &[u8],
        time: Duration,
        timeline: &mut Timeline,
        out: &mut Outgoing,
    ) -> Payloaded {
        match self {
            Self::Video(video) => video.push(data, time, timeline, out),
            Self::Audio(audio) => audio.push(data, time, timeline, out),
        }
    }

    /// Sends what is left over at the end.
    pub(crate) fn finish(&mut self, timeline: &mut Timeline, out: &mut Outgoing) -> Payloaded {
        match self {
            Self::Video(_) => Payloaded::default(),
            Self::Audio(audio) => {
                audio.repacketizer.flush();
                audio.pull(timeline, out)
            }
        }
    }
}

impl Video {
    fn configure(&mut self, input: &Input) -> Result<(), ConfigureError> {
        self.format = input.h264_format();
        if let Input::H264Avc { codec_data } = input {
            let format = self.packetizer.set_codec_data(codec_data);
            self.format = format.map_err(|_| ConfigureError::CodecData)?;
        }
        let is_rtp = *input == Input::H264Rtp;
        self.depacketizer = is_rtp.then(h264::Depacketizer::new);
        Ok(())
    }

    fn push(
        &mut self,
        data: &[u8],
        time: Duration,
        timeline: &Timeline,
        out: &mut Outgoing,
    ) -> Payloaded {
        let timestamp = timeline.video(time);
        let Some(mut depacketizer) = self.depacketizer.take() else {
            return self.access_unit(data, timestamp, out);
        };
        let mut done = push_rtp(&mut depacketizer, data);
        while let Some(access_unit) = depacketizer.poll() {
            if !access_unit.complete && !self.wants_key_frame {
                out.skip();
            }
            done += self.access_unit(&access_unit.annex_b, timestamp, out);
        }
        self.depacketizer = Some(depacketizer);
        done
    }

    fn access_unit(&mut self, data: &[u8], timestamp: u32, out: &mut Outgoing) -> Payloaded {
        let Ok(access_unit) = self.packetizer.access_unit(data, self.format) else {
            return Payloaded::invalid();
        };
        if self.wants_key_frame && !access_unit.is_key() {
            return Payloaded {
                before_key: 1,
                ..Payloaded::default()
            };
        }
        self.wants_key_frame = false;
        for payload in access_unit.payloads() {
            let write = |out: &mut Vec<u8>| payload.write_to(out);
            if out.push(payload.marker, timestamp, write).is_err() {
                return Payloaded::invalid();
            }
        }
        Payloaded {
            frames: 1,
            key_frames: access_unit.is_key().into(),
            ..Payloaded::default()
        }
    }
}

fn push_rtp(depacketizer: &mut h264::Depacketizer, data: &[u8]) -> Payloaded {
    let pushed = Packet::parse(data).and_then(|packet| depacketizer.push(&packet));
    match pushed {
        Ok(()) => Payloaded::default(),
        Err(_) => Payloaded::invalid(),
    }
}

impl Audio {
    fn push(
        &mut self,
        data: &[u8],
        time: Duration,
        timeline: &mut Timeline,
        out: &mut Outgoing,
    ) -> Payloaded {
        let payload = match self.is_rtp {
            true => Packet::parse(data).map(|packet| packet.payload),
            false => Ok(data),
        };
        let pushed = payload.and_then(|packet| self.repacketizer.push(packet, time));
        let mut done = self.pull(timeline, out);
        if pushed.is_err() {
            done += Payloaded::invalid();
        }
        done
    }

    fn pull(&mut self, timeline: &mut Timeline, out: &mut Outgoing) -> Payloaded {
        let mut done = Payloaded::default();
        self.scratch.clear();
        while let Some(packet) = self.repacketizer.pull(&mut self.scratch) {
            let timestamp = timeline.audio(packet.time, packet.duration);
            done += self.send(timestamp, out);
            self.scratch.clear();
        }
        done
    }

    fn send(&self, timestamp: u32, out: &mut Outgoing) -> Payloaded {
        let fits = self.scratch.len() <= self.payload_limit;
        let write = |out: &mut Vec<u8>| out.extend_from_slice(&self.scratch);
        if !fits || out.push(false, timestamp, write).is_err() {
            return Payloaded::invalid();
        }
        Payloaded {
            frames: 1,
            ..Payloaded::default()
        }
    }
}

impl Payloaded {
    fn invalid() -> Self {
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
