//! Opus and AAC-ELD: regrouped into packets of one duration.

use std::fmt::Debug;
use std::time::Duration;

use rtp_payload::opus::{Repacketized, Repacketizer};
use rtp_payload::{Error, Packet, aac};

use super::media::Input;
use super::outgoing::Outgoing;
use super::payloader::{ConfigureError, Cutter, Payloaded};
use super::timeline::Timeline;

#[derive(Debug)]
pub(crate) struct Audio<C> {
    codec: C,
    is_rtp: bool,
    payload_limit: usize,
    scratch: Vec<u8>,
}

/// How a codec's frames share packets.
pub(crate) trait Grouping: Debug + Send {
    /// The marker bit of a packet.
    const MARKER: bool;
    fn new(packet_time: Option<Duration>) -> Self;
    /// Takes what `input` says, and returns whether it comes in RTP.
    fn configure(&mut self, input: &Input) -> Option<bool>;
    fn push(&mut self, frame: &[u8], time: Duration) -> Result<(), Error>;
    /// Takes the payload of an RTP packet.
    fn push_payload(&mut self, payload: &[u8], time: Duration) -> Result<(), Error>;
    fn pull(&mut self, out: &mut Vec<u8>) -> Option<Repacketized>;
    fn flush(&mut self);
    fn clear(&mut self);
}

impl<C: Grouping> Audio<C> {
    pub(crate) fn new(payload_limit: usize, packet_time: Option<Duration>) -> Self {
        Self {
            codec: C::new(packet_time),
            is_rtp: false,
            payload_limit,
            scratch: Vec::new(),
        }
    }

    fn take(&mut self, data: &[u8], time: Duration) -> Result<(), Error> {
        match self.is_rtp {
            true => self.codec.push_payload(Packet::parse(data)?.payload, time),
            false => self.codec.push(data, time),
        }
    }

    fn pull(&mut self, timeline: &mut Timeline, out: &mut Outgoing) -> Payloaded {
        let mut done = Payloaded::default();
        self.scratch.clear();
        while let Some(packet) = self.codec.pull(&mut self.scratch) {
            done += match timeline.audio(packet.time, packet.duration) {
                Some(timestamp) => self.send(timestamp, out),
                None => Payloaded::invalid(),
            };
            self.scratch.clear();
        }
        done
    }

    fn send(&self, timestamp: u32, out: &mut Outgoing) -> Payloaded {
        let fits = self.scratch.len() <= self.payload_limit;
        let write = |out: &mut Vec<u8>| out.extend_from_slice(&self.scratch);
        if !fits || out.push(C::MARKER, timestamp, None, write).is_err() {
            return Payloaded::invalid();
        }
        Payloaded {
            frames: 1,
            ..Payloaded::default()
        }
    }
}

impl<C: Grouping> Cutter for Audio<C> {
    fn configure(&mut self, input: &Input) -> Result<(), ConfigureError> {
        let is_rtp = self.codec.configure(input);
        self.is_rtp = is_rtp.ok_or(ConfigureError::OtherCodec)?;
        Ok(())
    }

    fn set_payload_limit(&mut self, payload_limit: usize) {
        self.payload_limit = payload_limit;
    }

    fn restart(&mut self) {
        self.codec.clear();
    }

    fn push(
        &mut self,
        data: &[u8],
        time: Duration,
        timeline: &mut Timeline,
        out: &mut Outgoing,
    ) -> Payloaded {
        let taken = self.take(data, time);
        let mut done = self.pull(timeline, out);
        if taken.is_err() {
            done += Payloaded::invalid();
        }
        done
    }

    fn finish(&mut self, timeline: &mut Timeline, out: &mut Outgoing) -> Payloaded {
        self.codec.flush();
        self.pull(timeline, out)
    }
}

/// Opus (RFC 7587).
#[derive(Debug)]
pub(crate) struct Opus(Repacketizer);

impl Grouping for Opus {
    const MARKER: bool = false;

    fn new(packet_time: Option<Duration>) -> Self {
        Self(Repacketizer::new(packet_time))
    }

    fn configure(&mut self, input: &Input) -> Option<bool> {
        match input {
            Input::Opus { is_rtp } => Some(*is_rtp),
            _ => None,
        }
    }

    fn push(&mut self, frame: &[u8], time: Duration) -> Result<(), Error> {
        self.0.push(frame, time)
    }

    fn push_payload(&mut self, payload: &[u8], time: Duration) -> Result<(), Error> {
        self.0.push(payload, time)
    }

    fn pull(&mut self, out: &mut Vec<u8>) -> Option<Repacketized> {
        self.0.pull(out)
    }

    fn flush(&mut self) {
        self.0.flush();
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

/// AAC-ELD (RFC 3640).
#[derive(Debug)]
pub(crate) struct AacEld {
    packetizer: aac::Packetizer,
    packet_time: Option<Duration>,
    frame: Duration,
}

impl Grouping for AacEld {
    /// Its access units are complete (RFC 3640 §3.1).
    const MARKER: bool = true;

    fn new(packet_time: Option<Duration>) -> Self {
        Self {
            packetizer: aac::Packetizer::new(Duration::ZERO, packet_time),
            packet_time,
            frame: Duration::ZERO,
        }
    }

    fn configure(&mut self, input: &Input) -> Option<bool> {
        let Input::AacEld { is_rtp, config } = input else {
            return None;
        };
        if self.frame != config.duration() {
            self.frame = config.duration();
            self.packetizer = aac::Packetizer::new(self.frame, self.packet_time);
        }
        Some(*is_rtp)
    }

    fn push(&mut self, frame: &[u8], time: Duration) -> Result<(), Error> {
        self.packetizer.push(frame, time)
    }

    fn push_payload(&mut self, payload: &[u8], time: Duration) -> Result<(), Error> {
        let mut time = time;
        for access_unit in aac::AccessUnits::parse(payload)? {
            self.packetizer.push(access_unit, time)?;
            time += self.frame;
        }
        Ok(())
    }

    fn pull(&mut self, out: &mut Vec<u8>) -> Option<Repacketized> {
        self.packetizer.pull(out)
    }

    fn flush(&mut self) {
        self.packetizer.flush();
    }

    fn clear(&mut self) {
        self.packetizer.clear();
    }
}
