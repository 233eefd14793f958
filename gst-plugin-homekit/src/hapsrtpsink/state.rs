//! What an element holds while it is in READY or above.

use std::net::SocketAddr;
use std::sync::Arc;

use srtp::KeyError;
use zeroize::Zeroizing;

use super::settings::{Settings, nonzero};
use super::socket::{Peer, Socket};
use super::stream::{Lots, Stream};

#[derive(Default)]
pub(crate) struct State {
    /// Open from READY on.
    pub(crate) socket: Option<Arc<Socket>>,
    /// Outlives a stop: see [`Stream::restart`].
    pub(crate) stream: Option<Stream>,
    /// Which keys `stream` was made for.
    key_generation: u64,
    /// Where packets go, from PAUSED on.
    pub(crate) peer: Option<SocketAddr>,
}

/// What is needed to send.
pub(crate) struct Running<'a> {
    pub(crate) stream: &'a mut Stream,
    pub(crate) peer: Peer,
}

impl State {
    /// The stream, while it runs.
    pub(crate) fn running(&mut self) -> Option<Running<'_>> {
        let (socket, address) = (self.socket.as_ref()?, self.peer?);
        Some(Running {
            stream: self.stream.as_mut()?,
            peer: Peer {
                socket: socket.clone(),
                address,
            },
        })
    }

    /// Makes a stream, or starts the old one again if keys and SSRC are still the same.
    pub(crate) fn prepare_stream(&mut self, settings: &Settings) -> Result<(), String> {
        let lots = lots(settings)?;
        let config = settings.stream_config();
        let same_keys = self.key_generation == settings.key_generation;
        if let Some(stream) = self.stream.as_mut().filter(|_| same_keys) {
            stream.restart(config, lots.timestamp);
            return Ok(());
        }
        let wrong = |name: &str, error: KeyError| format!("{name}: {error}");
        let key = settings.master_key().map_err(|e| wrong("srtp-key", e))?;
        let remote_key = settings.remote_master_key();
        let remote_key = remote_key.map_err(|e| wrong("srtp-remote-key", e))?;
        self.stream = Some(Stream::new(config, &key, &remote_key, lots));
        self.key_generation = settings.key_generation;
        Ok(())
    }
}

/// Draws what RFC 3550 wants to be random; the SSRC only where none is set.
fn lots(settings: &Settings) -> Result<Lots, String> {
    let mut bytes = Zeroizing::new([0; 10]);
    getrandom::fill(&mut *bytes).map_err(|error| format!("random numbers: {error}"))?;
    let [s0, s1, s2, s3, n0, n1, t0, t1, t2, t3] = *bytes;
    let random_ssrc = u32::from_be_bytes([s0, s1, s2, s3]).max(1);
    Ok(Lots {
        ssrc: nonzero(settings.ssrc).unwrap_or(random_ssrc),
        sequence: u16::from_be_bytes([n0, n1]) & 0x7fff,
        timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
    })
}
