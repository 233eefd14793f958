//! What outlives a restart: a camera that forgets that it was switched off, or on, is a camera nobody can trust.

use crate::operating_mode::OperatingModeState;
use crate::recording::RecordingState;
use crate::services::MAX_STREAMS;
use crate::sound::Sound;

/// Everything that a camera is to remember.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameraState {
    /// Active of each stream service; missing ones are on.
    pub streams_active: Vec<bool>,
    /// Microphone.
    pub microphone: Sound,
    /// Speaker.
    pub speaker: Sound,
    /// Camera Operating Mode.
    pub operating_mode: OperatingModeState,
    /// Camera Event Recording Management.
    pub recording: RecordingState,
}

impl Default for CameraState {
    fn default() -> Self {
        Self {
            streams_active: vec![true; MAX_STREAMS.into()],
            microphone: Sound::default(),
            speaker: Sound::default(),
            operating_mode: OperatingModeState::default(),
            recording: RecordingState::default(),
        }
    }
}
