//! The last part of a live view: an encoded stream to one controller.

use std::net::IpAddr;

use crate::{Chain, Element};

/// Settings of one `hapsrtpsink`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SrtpSink {
    /// The controller's address.
    pub host: IpAddr,
    /// The controller's port.
    pub port: u16,
    /// Our SSRC.
    pub ssrc: u32,
    /// RTP payload type; 0 = HomeKit's usual one for the medium.
    pub payload_type: u8,
    /// SRTP master key and salt in hexadecimal digits.
    pub key_hex: String,
}

/// A sink that sends to one controller.
pub fn viewer(sink: &SrtpSink) -> Chain {
    Element::new("hapsrtpsink")
        .set("host", sink.host)
        .set("port", sink.port)
        .set("ssrc", sink.ssrc)
        .set("payload-type", sink.payload_type)
        .set("srtp-key", &sink.key_hex)
        .into()
}
