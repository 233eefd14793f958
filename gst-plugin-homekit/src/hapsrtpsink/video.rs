//! H.264 and H.265: key frames first, then all.

use std::time::Duration;

use rtp_payload::nal::{Codec, Depacketizer, Format, Packetizer};
use rtp_payload::{Error, Extension, Orientation, Packet};

use super::media::{Framing, Input};
use super::outgoing::Outgoing;
use super::payloader::{ConfigureError, Cutter, Payloaded};
use super::timeline::Timeline;

#[derive(Debug)]
pub(crate) struct Video<C: Codec> {
    packetizer: Packetizer<C>,
    format: Format,
    /// Puts the access units of RTP input together again.
    depacketizer: Option<Depacketizer<C>>,
    /// Nothing goes out until a key frame comes.
    wants_key_frame: bool,
    /// What the last packet of a key frame says of the orientation, if it was negotiated.
    orientation: Option<Extension>,
    /// What was last said of it.
    told: Option<Extension>,
}

impl<C: Codec> Video<C> {
    pub(crate) fn new(payload_limit: usize) -> Self {
        Self {
            packetizer: Packetizer::new(payload_limit),
            format: Format::AnnexB,
            depacketizer: None,
            wants_key_frame: true,
            orientation: None,
            told: None,
        }
    }

    fn access_unit(&mut self, data: &[u8], timestamp: u32, out: &mut Outgoing) -> Payloaded {
        let access_unit = match self.packetizer.access_unit(data, self.format) {
            Ok(access_unit) => access_unit,
            Err(error) => return refuse(error, self.wants_key_frame, out),
        };
        let is_key = access_unit.is_key();
        if self.wants_key_frame && !is_key {
            return Payloaded {
                before_key: 1,
                ..Payloaded::default()
            };
        }
        self.wants_key_frame = false;
        // In each key frame, and where it changes (HAP R1 §11.4.2).
        let turned = self.orientation.filter(|o| is_key || self.told != Some(*o));
        for payload in access_unit.payloads() {
            let write = |out: &mut Vec<u8>| payload.write_to(out);
            let extension = turned.as_ref().filter(|_| payload.marker);
            let pushed = out.push(payload.marker, timestamp, extension, write);
            if pushed.is_err() {
                return Payloaded::invalid();
            }
        }
        self.told = turned.or(self.told);
        Payloaded {
            frames: 1,
            key_frames: is_key.into(),
            ..Payloaded::default()
        }
    }
}

impl<C: Codec + Send> Cutter for Video<C> {
    fn configure(&mut self, input: &Input) -> Result<(), ConfigureError> {
        let (Input::H264(framing) | Input::H265(framing)) = input else {
            return Err(ConfigureError::OtherCodec);
        };
        self.format = framing.format();
        if let Framing::Record(codec_data) = framing {
            let format = self.packetizer.set_codec_data(codec_data);
            self.format = format.map_err(|_| ConfigureError::CodecData)?;
        }
        let is_rtp = *framing == Framing::Rtp;
        self.depacketizer = is_rtp.then(Depacketizer::new);
        Ok(())
    }

    fn set_payload_limit(&mut self, payload_limit: usize) {
        self.packetizer.set_payload_limit(payload_limit);
    }

    fn set_orientation(&mut self, id: u8, orientation: Orientation) {
        self.orientation = orientation.extension(id);
    }

    fn restart(&mut self) {
        self.wants_key_frame = true;
    }

    fn push(
        &mut self,
        data: &[u8],
        time: Duration,
        timeline: &mut Timeline,
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
}

fn push_rtp<C: Codec>(depacketizer: &mut Depacketizer<C>, data: &[u8]) -> Payloaded {
    let pushed = Packet::parse(data).and_then(|packet| depacketizer.push(&packet));
    match pushed {
        Ok(()) => Payloaded::default(),
        Err(_) => Payloaded::invalid(),
    }
}

/// An access unit cannot be sent. A picture that is missing is a loss to the receiver, which learns
/// of it by a gap in the sequence and asks for a key frame.
fn refuse(error: Error, wants_key_frame: bool, out: &mut Outgoing) -> Payloaded {
    if error != Error::NoPicture && !wants_key_frame {
        out.skip();
    }
    Payloaded::invalid()
}
