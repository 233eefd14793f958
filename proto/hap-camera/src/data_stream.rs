//! Data Stream Transport Management: how a hub learns where its HomeKit Data Stream goes.

use hap_proto::{ConnId, Status, Value};
use hap_tlv8::{Tlv, Writer};

use crate::camera::Requester;
use crate::media::MediaHost;
use crate::rtp::DecodeError;
use crate::tlv::narrow;

/// Supported Data Stream Transport Configuration, 130: HomeKit Data Stream over TCP.
pub const SUPPORTED: [u8; 5] = [0x01, 0x03, 0x01, 0x01, 0x00];

/// Version of the transport, 37.
pub const VERSION: &str = "1.0";

/// Bytes of either side's salt.
pub const SALT: usize = 32;

/// Setup Data Stream Transport, 131, as the controller writes it: starts a session over TCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataStreamRequest {
    /// The controller's salt.
    pub controller_salt: [u8; SALT],
}

impl DataStreamRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// [`DecodeError`] names the first member that is missing or wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let tlv = Tlv::parse(bytes)?;
        for (field, value) in [
            ("data stream command", tlv.uint(1)?),
            ("data stream transport", tlv.uint(2)?),
        ] {
            if value != 0 {
                return Err(DecodeError::Unknown { field, value });
            }
        }
        Ok(Self {
            controller_salt: tlv.array(3)?,
        })
    }

    /// Writes a request.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(1, 0).u8(2, 0).bytes(3, &self.controller_salt);
        w.into_vec()
    }
}

/// Why there is no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataStreamError {
    /// Something failed.
    Generic = 1,
    /// Too many sessions.
    Busy = 2,
}

/// The write-response of 131.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataStreamResponse {
    /// The accessory listens.
    Session {
        /// TCP port.
        port: u16,
        /// The accessory's salt.
        accessory_salt: [u8; SALT],
    },
    /// There is no session.
    Failed(DataStreamError),
}

impl DataStreamResponse {
    /// Reads a response.
    ///
    /// # Errors
    /// [`DecodeError`] names the first member that is missing or wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let tlv = Tlv::parse(bytes)?;
        match tlv.uint(1)? {
            0 => Ok(Self::Session {
                port: narrow("data stream port", tlv.nested(2)?.uint(1)?)?,
                accessory_salt: tlv.array(3)?,
            }),
            1 => Ok(Self::Failed(DataStreamError::Generic)),
            2 => Ok(Self::Failed(DataStreamError::Busy)),
            value => Err(DecodeError::Unknown {
                field: "data stream status",
                value,
            }),
        }
    }

    /// Writes a response.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        match self {
            Self::Session {
                port,
                accessory_salt,
            } => {
                w.u8(1, 0);
                w.nested(2, |w| {
                    w.u16(1, *port);
                });
                w.bytes(3, accessory_salt);
            }
            Self::Failed(error) => {
                w.u8(1, *error as u8);
            }
        }
        w.into_vec()
    }
}

/// What each connection was answered last; a plain read gives it again, to that connection only.
#[derive(Debug, Default)]
pub(crate) struct DataStreams {
    answers: Vec<(ConnId, Vec<u8>)>,
}

impl DataStreams {
    pub(crate) fn read(&self, conn: ConnId) -> Value {
        let answer = self.answers.iter().find(|(owner, _)| *owner == conn);
        Value::Tlv8(answer.map(|(_, bytes)| bytes.clone()).unwrap_or_default())
    }

    /// Sets up a session with keys from the very connection that asks.
    pub(crate) fn write(
        &mut self,
        value: &Value,
        from: &Requester<'_>,
        media: &mut dyn MediaHost,
    ) -> Result<Value, Status> {
        let Value::Tlv8(bytes) = value else {
            return Err(Status::InvalidValue);
        };
        let request = DataStreamRequest::decode(bytes).map_err(|_| Status::InvalidValue)?;
        let secret = from.shared_secret.ok_or(Status::InsufficientPrivileges)?;
        let mut accessory_salt = [0; SALT];
        media.random(&mut accessory_salt);
        let port =
            media.open_data_stream(from.conn, secret, &request.controller_salt, &accessory_salt);
        let response = match port {
            Ok(port) => DataStreamResponse::Session {
                port,
                accessory_salt,
            },
            Err(_) => DataStreamResponse::Failed(DataStreamError::Generic),
        };
        self.connection_closed(from.conn);
        self.answers.push((from.conn, response.encode()));
        Ok(Value::Tlv8(response.encode()))
    }

    pub(crate) fn connection_closed(&mut self, conn: ConnId) {
        self.answers.retain(|(owner, _)| *owner != conn);
    }
}
