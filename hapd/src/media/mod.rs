//! Media of the cameras: sources, streams in memory, viewers and snapshots.
//!
//! ```text
//!  source (one pipeline, supervised) ─► Ring: newest groups of pictures ──┬─► hapsrtpsink              passthrough viewer
//!                                                                         ├─► derived stream ─► Ring ─► viewers
//!                                                                         └─► newest key frame ─► JPEG  snapshot
//! ```
//!
//! - [`source`]: what feeds a camera, and its supervision.
//! - The streams in memory are rings ([`gsthomekit::ring`]); `intake` fills them, `feed` empties them into pipelines.
//! - `derived`: streams made for viewers, shared: `transcode` of video, `sound`.
//! - `session`: one viewer; `leg` is one medium of it and ends in a `srtp_sink`, `select` chooses what it gets.
//! - [`motion`]: whether something moves.
//! - `record`: recordings, which begin in the past.
//! - `snapshot`: still pictures; `placeholder` draws what is shown when there is none.
//!
//! Everything that may block - state changes of pipelines, devices, decoders - happens on threads of this module. No
//! function here blocks its caller.

mod adapt;
mod camera;
mod clock;
mod decoders;
mod demand;
mod derived;
mod drift;
mod feed;
mod h264;
mod intake;
mod leg;
pub mod motion;
mod params;
mod placeholder;
mod record;
pub mod redact;
mod running;
mod select;
mod session;
mod snapshot;
mod sound;
pub mod source;
mod srtp_sink;
mod status;
mod switch;
mod talkback;
mod track;
mod tracks;
mod transcode;
mod video;

pub use camera::Camera;
pub use motion::{Detector, MotionSettings, MotionWatch};
pub use params::{
    AudioParams, CameraSource, H264Level, H264Profile, MediaEndpoint, MediaError, Passthrough,
    RtspTransport, SALT_LENGTH, Secret, SessionEndpoints, Source, SrtpKey, SrtpSuite, Talkback,
    VideoChange, VideoParams,
};
pub use record::{
    Piece, RecordingAudio, RecordingCodec, RecordingEvent, RecordingParams, RecordingVideo, Tell,
};
pub use running::live_pipelines;
pub use session::{Session, SessionEvent, SessionStats};
pub use snapshot::{Snapshot, SnapshotKind};
pub(crate) use source::{RtspUrl, authority, unescaped};
pub use srtp_sink::StreamStats;
pub use status::{AudioInfo, State, Status, VideoInfo};
pub use talkback::Loudness;

/// Makes GStreamer and the elements of this project known to the process. Called where it is needed; calling it earlier
/// saves the first viewer that time.
///
/// # Errors
/// [`MediaError::MissingElement`] if GStreamer cannot be used.
pub fn init() -> Result<(), MediaError> {
    static REGISTERED: std::sync::OnceLock<Result<(), MediaError>> = std::sync::OnceLock::new();
    let register = || {
        gst::init().map_err(|_| MediaError::MissingElement("GStreamer".into()))?;
        gsthomekit::plugin_register_static()
            .map_err(|_| MediaError::MissingElement("hapsrtpsink".into()))
    };
    REGISTERED.get_or_init(register).clone()
}
