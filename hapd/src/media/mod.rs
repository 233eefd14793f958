//! Media of the cameras: sources, streams in memory, viewers and snapshots.

mod params;
pub mod redact;
mod status;

use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, watch};

pub use params::{
    AudioParams, CameraSource, H264Level, H264Profile, MediaEndpoint, MediaError, Passthrough,
    RtspTransport, SALT_LENGTH, Secret, SessionEndpoints, Source, SrtpKey, SrtpSuite, VideoChange,
    VideoParams,
};
pub use status::{AudioInfo, State, Status, VideoInfo};

/// A running camera; clones are the same camera.
#[derive(Clone, Debug)]
pub struct Camera {
    status: Arc<watch::Sender<Status>>,
}

/// Where a snapshot's picture comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotKind {
    /// A picture of the running source.
    Live,
    /// The last picture before the source failed.
    Last,
    /// No picture: a card that says so.
    Placeholder,
}

/// A JPEG picture.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The file.
    pub jpeg: Arc<[u8]>,
    /// Where it comes from.
    pub kind: SnapshotKind,
}

impl Camera {
    /// Starts a camera. Never fails: what goes wrong is told by [`Camera::status`] and tried again for ever.
    pub fn start(_source: CameraSource) -> Self {
        let (status, _) = watch::channel(Status::starting());
        Self {
            status: Arc::new(status),
        }
    }

    /// State and media now.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Follows the status.
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// A picture of exactly `width` x `height` pixels within 2 seconds, whatever the source does.
    ///
    /// # Errors
    /// [`MediaError::Invalid`] for sizes outside 16..=4096.
    pub async fn snapshot(&self, _width: u16, _height: u16) -> Result<Snapshot, MediaError> {
        Err(MediaError::Stopped)
    }

    /// Opens the ports for one viewer.
    ///
    /// # Errors
    /// [`MediaError`] if the ports cannot be opened or a parameter is invalid.
    pub fn open_session(&self, _endpoints: SessionEndpoints) -> Result<Session, MediaError> {
        Err(MediaError::Stopped)
    }

    /// Ends the source and every session.
    pub fn stop(&self) {}
}

/// What a session tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionEvent {
    /// The first RTCP of the controller came.
    FirstRtcp,
    /// No RTCP came for 30 seconds.
    RtcpTimeout,
    /// The controller said goodbye.
    Bye,
    /// The session broke; nothing more is sent.
    Failed(String),
}

/// Counters of a session.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SessionStats {
    /// Whether the source's own H.264 is sent.
    pub passthrough: bool,
    /// Frames left out because the viewer was too slow.
    pub dropped: u64,
}

/// One viewer. Dropping it stops it.
#[derive(Debug)]
pub struct Session {
    events: Mutex<Option<mpsc::UnboundedReceiver<SessionEvent>>>,
}

impl Session {
    /// The UDP port of our video.
    pub fn video_port(&self) -> u16 {
        0
    }

    /// The UDP port of our audio.
    pub fn audio_port(&self) -> u16 {
        0
    }

    /// Starts sending. Returns at once; later failures come as [`SessionEvent::Failed`].
    ///
    /// # Errors
    /// [`MediaError`] for parameters out of range and for a second start.
    pub fn start(
        &self,
        _video: VideoParams,
        _audio: Option<AudioParams>,
    ) -> Result<(), MediaError> {
        Err(MediaError::Stopped)
    }

    /// Changes size or bitrate; SSRC, sequence and time go on.
    ///
    /// # Errors
    /// [`MediaError`] for parameters out of range and before the start.
    pub fn reconfigure(&self, _change: VideoChange) -> Result<(), MediaError> {
        Err(MediaError::Stopped)
    }

    /// Sends nothing but RTCP until [`Session::resume`].
    pub fn suspend(&self) {}

    /// Goes on with the next key frame.
    pub fn resume(&self) {}

    /// Ends the session; returns at once.
    pub fn stop(self) {}

    /// What happens to the session; `None` when taken already.
    pub fn events(&self) -> Option<mpsc::UnboundedReceiver<SessionEvent>> {
        self.events.lock().ok()?.take()
    }

    /// Counters now.
    pub fn stats(&self) -> SessionStats {
        SessionStats::default()
    }
}
