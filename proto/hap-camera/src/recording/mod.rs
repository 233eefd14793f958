//! Recording to a home hub: its TLVs both ways, what the controller selected, and the state machine of one recording.
//!
//! The TLVs tell what a camera can record (205, 206, 207) and what the hub selected of it (209). Unknown tags are
//! ignored, tag order never matters, and integers are taken in any width.

mod management;
mod offer;
mod selected;
mod session;
mod supported;
mod types;

pub use management::{Armed, KeptSelection, RecordingState};
pub use selected::{SelectedAudio, SelectedRecording, SelectedVideo};
pub use session::{
    ACKNOWLEDGEMENT, GIVE_UP, HdsId, LONGEST, Outgoing, RecordingKey, STALL, UNPROMPTED,
};
pub use supported::{SupportedRecording, SupportedRecordingAudio, SupportedRecordingVideo};
pub use types::{BitrateMode, RecordingAudioCodec, RecordingSampleRate, Triggers};

pub(crate) use management::Management;

pub(crate) use session::Recorder;
