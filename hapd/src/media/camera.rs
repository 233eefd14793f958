//! One camera: its source, and all that is made of it.

use std::sync::Arc;

use tokio::sync::watch;

use super::derived::Streams;
use super::params::{CameraSource, MediaError, SessionEndpoints};
use super::session::Session;
use super::snapshot::{Snapshot, Snapshots};
use super::source::{self, Handle};
use super::status::{State, Status};
use super::tracks::Tracks;
use super::transcode::Variant;

/// A running camera; clones are the same camera. The last one dropped ends its source.
#[derive(Clone, Debug)]
pub struct Camera {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    snapshots: Snapshots,
    source: Handle,
}

/// What a camera's sessions use; they do not keep the source running.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) source: CameraSource,
    pub(super) tracks: Arc<Tracks>,
    pub(super) variants: Streams<Variant>,
    /// By kbit/s.
    pub(super) sounds: Streams<u32>,
}

impl Camera {
    /// Starts a camera. Never fails: what goes wrong is told by [`Camera::status`] and tried again for ever.
    pub fn start(source: CameraSource) -> Self {
        let tracks = Tracks::new();
        let handle = source::spawn(source.clone(), tracks.clone());
        let snapshots = Snapshots::new(source.name.clone(), tracks.clone());
        let shared = Shared {
            source,
            tracks,
            variants: Streams::default(),
            sounds: Streams::default(),
        };
        Self {
            inner: Arc::new(Inner {
                shared: Arc::new(shared),
                snapshots,
                source: handle,
            }),
        }
    }

    /// State and media now.
    pub fn status(&self) -> Status {
        self.inner.shared.tracks.status()
    }

    /// Follows the status.
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.inner.shared.tracks.watch()
    }

    /// A picture of exactly `width` x `height` pixels within 2 seconds, whatever the source does.
    ///
    /// # Errors
    /// [`MediaError::Invalid`] for sizes outside 16..=4096; another one only where GStreamer cannot make a JPEG at all.
    pub async fn snapshot(&self, width: u16, height: u16) -> Result<Snapshot, MediaError> {
        self.inner.snapshots.take(width, height).await
    }

    /// Opens the ports for one viewer.
    ///
    /// # Errors
    /// [`MediaError`] if the ports cannot be opened or a parameter is invalid.
    pub fn open_session(&self, endpoints: SessionEndpoints) -> Result<Session, MediaError> {
        super::init()?;
        if self.status().state == State::Stopped {
            return Err(MediaError::Stopped);
        }
        Session::open(self.inner.shared.clone(), &endpoints)
    }

    /// Encoders that run for viewers now: of video and of audio.
    pub fn encoders(&self) -> (usize, usize) {
        let shared = &self.inner.shared;
        (shared.variants.len(), shared.sounds.len())
    }

    /// Ends the source; sessions end with it. Returns at once.
    pub fn stop(&self) {
        self.inner.source.stop();
    }
}
