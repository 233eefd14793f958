//! One camera: its source, and all that is made of it.

use std::sync::Arc;

use tokio::sync::watch;

use super::derived::{Derived, Streams};
use super::motion::{MotionSettings, MotionWatch};
use super::params::{CameraSource, MediaError, SessionEndpoints};
use super::record::{self, Recorder, RecordingParams, Tell};
use super::select::Encoding;
use super::session::Session;
use super::snapshot::{Snapshot, Snapshots};
use super::source::{self, Handle};
use super::status::{State, Status, VideoInfo};
use super::talkback::{Loudness, Talkback};
use super::tracks::Tracks;
use super::transcode::{Transcode, Variant};

/// A running camera; clones are the same camera. The last one dropped ends its source.
#[derive(Clone, Debug)]
pub struct Camera {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    snapshots: Snapshots,
    recorder: Recorder,
    sources: Vec<Handle>,
}

/// What a camera's sessions use; they do not keep the source running.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) source: CameraSource,
    pub(super) tracks: Arc<Tracks>,
    /// The camera's lower encodings, in the order of the configuration.
    lower: Vec<Arc<Tracks>>,
    pub(super) talkback: Arc<Talkback>,
    pub(super) variants: Streams<Variant>,
    /// By kbit/s.
    pub(super) sounds: Streams<u32>,
}

impl Shared {
    /// The encoding of this number; 0 is the camera's best.
    pub(super) fn tracks(&self, index: usize) -> &Arc<Tracks> {
        index
            .checked_sub(1)
            .and_then(|index| self.lower.get(index))
            .unwrap_or(&self.tracks)
    }

    /// All encodings, the best first.
    pub(super) fn all_tracks(&self) -> impl Iterator<Item = &Arc<Tracks>> {
        std::iter::once(&self.tracks).chain(&self.lower)
    }

    /// The transcode of this kind: the running one, or a new one.
    pub(super) fn transcode(&self, variant: Variant) -> Arc<Derived> {
        let tracks = self.tracks(variant.origin);
        self.variants.get(&variant, tracks, |demands| Transcode {
            tracks: tracks.clone(),
            variant,
            demands: demands.clone(),
            encoder: self.source.encoder.clone(),
        })
    }

    /// What each encoding is now.
    pub(super) fn encodings(&self) -> Vec<Encoding> {
        let encoding = |tracks: &Arc<Tracks>| Encoding {
            info: tracks.status().video,
            bitrate: tracks.video.bitrate(),
        };
        self.all_tracks().map(encoding).collect()
    }
}

impl Camera {
    /// Starts a camera. Never fails: what goes wrong is told by [`Camera::status`] and tried again for ever.
    pub fn start(source: CameraSource) -> Self {
        let tracks = Tracks::new();
        let mut sources = vec![source::spawn(source.clone(), tracks.clone())];
        let mut lower = Vec::new();
        for camera in source.lower_streams() {
            let tracks = Tracks::new();
            sources.push(source::spawn(camera, tracks.clone()));
            lower.push(tracks);
        }
        let snapshots = Snapshots::new(source.name.clone(), tracks.clone());
        let talkback = Talkback::new(&source.name, &source.talkback);
        let shared = Shared {
            source,
            tracks,
            lower,
            talkback,
            variants: Streams::default(),
            sounds: Streams::default(),
        };
        let shared = Arc::new(shared);
        Self {
            inner: Arc::new(Inner {
                recorder: Recorder::new(shared.clone()),
                shared,
                snapshots,
                sources,
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

    /// Whether what viewers say can be played.
    pub fn has_speaker(&self) -> bool {
        self.inner.shared.talkback.is_there()
    }

    /// Sets mute and volume of what viewers say.
    pub fn set_speaker(&self, loudness: Loudness) {
        self.inner.shared.talkback.set_loudness(loudness);
    }

    /// The picture that recordings will have, of at most this size, as far as it is known.
    pub fn recorded(&self, most: (u16, u16)) -> Option<VideoInfo> {
        let shared = &self.inner.shared;
        record::recorded(&shared.encodings(), shared.source.recording_codec, most)
    }

    /// Keeps the past for recordings like these; `None`: no longer. Without it a recording begins with what live view keeps.
    pub fn arm(&self, params: Option<RecordingParams>) {
        self.inner.recorder.arm(params);
    }

    /// Something happened: a recording that starts soon begins before this moment, and snapshots show it.
    pub fn motion(&self) {
        self.inner.snapshots.remember();
        self.inner.recorder.motion();
    }

    /// Watches for motion until the returned value is dropped; `tell` hears of each change from a thread of its own.
    pub fn watch_motion(
        &self,
        settings: MotionSettings,
        tell: impl Fn(bool) + Send + 'static,
    ) -> MotionWatch {
        MotionWatch::start(&self.inner.shared, settings, tell)
    }

    /// Starts the recording `id`. `tell` hears of it, from any thread, until its last fragment, its failure or
    /// [`stop_recording`](Self::stop_recording), and must not block.
    pub fn start_recording(&self, id: u64, params: RecordingParams, tell: Tell) {
        self.inner.recorder.start(id, params, tell);
    }

    /// Ends a recording with the fragment under way.
    pub fn finish_recording(&self, id: u64) {
        self.inner.recorder.finish(id);
    }

    /// Ends a recording at once.
    pub fn stop_recording(&self, id: u64) {
        self.inner.recorder.stop(id);
    }

    /// Encoders that run for viewers now: of video and of audio.
    pub fn encoders(&self) -> (usize, usize) {
        let shared = &self.inner.shared;
        (shared.variants.len(), shared.sounds.len())
    }

    /// Ends the sources; sessions end with them. Returns at once.
    pub fn stop(&self) {
        self.inner.sources.iter().for_each(Handle::stop);
    }
}
