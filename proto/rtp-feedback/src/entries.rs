use std::marker::PhantomData;

use rtcp_types::prelude::*;
use rtcp_types::{FciBuilder, FciFeedbackPacketType, FciParser, RtcpParseError, RtcpWriteError};

/// An entry of feedback control information that is a list of such (RFC 5104 §4).
pub(crate) trait Entry: Copy + std::fmt::Debug + Send + Sync {
    fn from_bytes(bytes: &[u8; LEN]) -> Self;
    fn to_bytes(self) -> [u8; LEN];
}

/// Which packets hold the entries.
pub(crate) trait Place: std::fmt::Debug + Send + Sync {
    const PACKET_TYPE: FciFeedbackPacketType;
    const FORMAT: u8;
}

/// Length of an entry.
pub(crate) const LEN: usize = 8;

/// Most entries that are read from one packet.
const MAX_ENTRIES: usize = 32;

/// A list of entries, as feedback control information.
#[derive(Debug)]
pub(crate) struct Entries<E, P> {
    pub(crate) list: Vec<E>,
    place: PhantomData<P>,
}

impl<E: Entry, P: Place> Entries<E, P> {
    pub(crate) fn new(list: &[E]) -> Self {
        Self {
            list: list.to_vec(),
            place: PhantomData,
        }
    }
}

impl<E: Entry, P: Place> FciParser<'_> for Entries<E, P> {
    const PACKET_TYPE: FciFeedbackPacketType = P::PACKET_TYPE;
    const FCI_FORMAT: u8 = P::FORMAT;

    fn parse(data: &[u8]) -> Result<Self, RtcpParseError> {
        let entries = data.chunks_exact(LEN).take(MAX_ENTRIES);
        let entry = |bytes: &[u8]| {
            let bytes = bytes.try_into().expect("chunks_exact gives LEN bytes");
            E::from_bytes(bytes)
        };
        Ok(Self {
            list: entries.map(entry).collect(),
            place: PhantomData,
        })
    }
}

impl<E: Entry, P: Place> FciBuilder<'_> for Entries<E, P> {
    fn format(&self) -> u8 {
        P::FORMAT
    }

    fn supports_feedback_type(&self) -> FciFeedbackPacketType {
        P::PACKET_TYPE
    }
}

impl<E: Entry, P: Place> RtcpPacketWriter for Entries<E, P> {
    fn calculate_size(&self) -> Result<usize, RtcpWriteError> {
        Ok(LEN * self.list.len())
    }

    fn write_into_unchecked(&self, buf: &mut [u8]) -> usize {
        for (out, entry) in buf.chunks_exact_mut(LEN).zip(&self.list) {
            out.copy_from_slice(&entry.to_bytes());
        }
        LEN * self.list.len()
    }

    fn get_padding(&self) -> Option<u8> {
        None
    }
}
