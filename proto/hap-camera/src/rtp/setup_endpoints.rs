//! Setup Endpoints, 118 (HAP R1 §8.75).

use std::net::IpAddr;

use hap_tlv8::{Tlv, Writer};

use super::types::{SessionId, SrtpParameters};
use crate::tlv::{DecodeError, narrow};

/// An IP address with one UDP port per medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// Address, IPv4 or IPv6.
    pub address: IpAddr,
    /// UDP port of video RTP and RTCP.
    pub video_port: u16,
    /// UDP port of audio RTP and RTCP.
    pub audio_port: u16,
}

impl Endpoint {
    fn decode(tlv: &Tlv) -> Result<Self, DecodeError> {
        let version = tlv.uint(1)?;
        // Zone identifiers have no meaning at the other end.
        let text = tlv.str(2)?.split('%').next().unwrap_or_default();
        let address: IpAddr = text.parse().map_err(|_| DecodeError::Address)?;
        if version > 1 || (version == 1) != address.is_ipv6() {
            return Err(DecodeError::Address);
        }
        Ok(Self {
            address: address.to_canonical(),
            video_port: Self::port("video port", tlv.uint(3)?)?,
            audio_port: Self::port("audio port", tlv.uint(4)?)?,
        })
    }

    fn port(field: &'static str, value: u64) -> Result<u16, DecodeError> {
        match narrow(field, value)? {
            0 => Err(DecodeError::OutOfRange { field, value }),
            port => Ok(port),
        }
    }

    fn encode(&self, w: &mut Writer) {
        let address = self.address.to_canonical();
        w.u8(1, address.is_ipv6().into())
            .str(2, &address.to_string());
        w.u16(3, self.video_port).u16(4, self.audio_port);
    }
}

/// What the controller writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupEndpointsRequest {
    /// The session to be.
    pub session_id: SessionId,
    /// Where the controller receives.
    pub controller: Endpoint,
    /// Protects the video RTP and RTCP that the controller sends.
    pub video_srtp: SrtpParameters,
    /// Protects the audio RTP and RTCP that the controller sends.
    pub audio_srtp: SrtpParameters,
}

impl SetupEndpointsRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// [`DecodeError`] names the first member that is missing or wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let tlv = Tlv::parse(bytes)?;
        Ok(Self {
            session_id: tlv.array(1)?,
            controller: Endpoint::decode(&tlv.nested(3)?)?,
            video_srtp: SrtpParameters::decode(&tlv.nested(4)?)?,
            audio_srtp: SrtpParameters::decode(&tlv.nested(5)?)?,
        })
    }

    /// Reads only the session identifier, for answering a request that is otherwise broken.
    #[must_use]
    pub fn decode_session_id(bytes: &[u8]) -> Option<SessionId> {
        Tlv::parse(bytes).ok()?.array(1).ok()
    }

    /// Writes a request.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.bytes(1, &self.session_id);
        w.nested(3, |w| self.controller.encode(w));
        w.nested(4, |w| self.video_srtp.encode(w));
        w.nested(5, |w| self.audio_srtp.encode(w));
        w.into_vec()
    }
}

/// How the accessory takes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetupStatus {
    /// Ports and keys follow.
    Success = 0,
    /// This service already has a session.
    Busy = 1,
    /// The request could not be served.
    Error = 2,
}

/// The accessory's half of a successful set-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupEndpointsAnswer {
    /// Where the accessory sends from and receives.
    pub accessory: Endpoint,
    /// Protects the video RTP and RTCP that the accessory sends.
    pub video_srtp: SrtpParameters,
    /// Protects the audio RTP and RTCP that the accessory sends.
    pub audio_srtp: SrtpParameters,
    /// The accessory's video SSRC.
    pub video_ssrc: u32,
    /// The accessory's audio SSRC.
    pub audio_ssrc: u32,
}

/// What the controller reads back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupEndpointsResponse {
    /// The session that the request named; absent before the first request.
    pub session_id: Option<SessionId>,
    /// Busy, failed, or what the controller needs to know.
    pub result: Result<SetupEndpointsAnswer, SetupStatus>,
}

impl SetupEndpointsResponse {
    /// What is read while there is no session: status "error" alone.
    #[must_use]
    pub const fn idle() -> Self {
        Self {
            session_id: None,
            result: Err(SetupStatus::Error),
        }
    }

    /// Reads a response.
    ///
    /// # Errors
    /// [`DecodeError`] names the first member that is missing or wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let tlv = Tlv::parse(bytes)?;
        let session_id = tlv.first(1).map(|_| tlv.array(1)).transpose()?;
        let result = match tlv.uint(2)? {
            0 => Ok(SetupEndpointsAnswer::decode(&tlv)?),
            1 => Err(SetupStatus::Busy),
            2 => Err(SetupStatus::Error),
            value => {
                return Err(DecodeError::Unknown {
                    field: "set-up status",
                    value,
                });
            }
        };
        Ok(Self { session_id, result })
    }

    /// Writes a response.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        if let Some(id) = &self.session_id {
            w.bytes(1, id);
        }
        match &self.result {
            Ok(answer) => {
                w.u8(2, SetupStatus::Success as u8);
                answer.encode(&mut w);
            }
            Err(status) => {
                w.u8(2, *status as u8);
            }
        }
        w.into_vec()
    }
}

impl SetupEndpointsAnswer {
    fn decode(tlv: &Tlv) -> Result<Self, DecodeError> {
        Ok(Self {
            accessory: Endpoint::decode(&tlv.nested(3)?)?,
            video_srtp: SrtpParameters::decode(&tlv.nested(4)?)?,
            audio_srtp: SrtpParameters::decode(&tlv.nested(5)?)?,
            video_ssrc: narrow("video SSRC", tlv.uint(6)?)?,
            audio_ssrc: narrow("audio SSRC", tlv.uint(7)?)?,
        })
    }

    fn encode(&self, w: &mut Writer) {
        w.nested(3, |w| self.accessory.encode(w));
        w.nested(4, |w| self.video_srtp.encode(w));
        w.nested(5, |w| self.audio_srtp.encode(w));
        w.u32(6, self.video_ssrc).u32(7, self.audio_ssrc);
    }
}
