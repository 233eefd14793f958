//! Recordings: the past from memory and then the present, as fragmented MP4.
//!
//! While a recording may be asked for, a camera is *armed*: [`stream`] chooses what is recorded - the camera's own
//! encoding if it will do, else a shared transcode - and keeps enough of its past in memory. [`run`] is one recording: a
//! pipeline that begins with that past. All of one camera's is done on one thread ([`actor`]), so that nobody waits.

mod actor;
mod relay;
mod run;
mod stream;

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

pub(super) use stream::recorded;

use super::camera::Shared;
use super::params::{H264Level, H264Profile};

/// What a recording is made of, as selected by the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingParams {
    /// The picture.
    pub video: RecordingVideo,
    /// The sound; `None`: the recording has none.
    pub audio: Option<RecordingAudio>,
    /// The longest fragment.
    pub fragment: Duration,
    /// How far before its cause a recording begins, at least.
    pub prebuffer: Duration,
}

/// The picture of a recording. What the camera has already is taken if it is not larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordingVideo {
    /// H.264 profile, if encoded here.
    pub profile: H264Profile,
    /// H.264 level, if encoded here.
    pub level: H264Level,
    /// Pixels, at most.
    pub width: u16,
    /// Pixels, at most.
    pub height: u16,
    /// Frames per second, at most, if encoded here.
    pub fps: u8,
    /// kbit/s, if encoded here.
    pub kbps: u32,
}

/// The sound of a recording: AAC-LC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordingAudio {
    /// Hz.
    pub rate: u32,
    /// Channels.
    pub channels: u8,
    /// kbit/s, at most.
    pub kbps: u32,
}

/// Which encodings of the camera are recorded as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordingCodec {
    /// H.264: what hubs of the classic era take.
    #[default]
    H264,
    /// Whatever the camera sends: H.264 or H.265.
    Source,
}

/// A piece of a recording, ready to be sent.
pub type Piece = gst::buffer::MappedBuffer<gst::buffer::Readable>;

/// What becomes of a recording.
#[derive(Debug)]
pub enum RecordingEvent {
    /// The initialization segment.
    Initialization(Piece),
    /// A fragment; after the last there is nothing more.
    Fragment {
        /// `prft`, `moof` and `mdat`.
        piece: Piece,
        /// Whether the recording ends with it.
        last: bool,
    },
    /// The recording ended and there was nothing left for a last fragment.
    Ended,
    /// It cannot be made, or not go on.
    Failed(String),
}

/// Told what becomes of recordings; called from streaming threads, must not block.
pub type Tell = Arc<dyn Fn(u64, RecordingEvent) + Send + Sync>;

/// Makes the recordings of one camera. No call blocks.
#[derive(Debug)]
pub(super) struct Recorder {
    shared: Arc<Shared>,
    actor: Mutex<Option<mpsc::Sender<Msg>>>,
}

enum Msg {
    Arm(Option<RecordingParams>),
    Motion,
    Start {
        id: u64,
        params: RecordingParams,
        tell: Tell,
    },
    Finish(u64),
    Stop(u64),
    /// The camera's status changed.
    Changed,
    Run(u64, run::Note),
    End,
}

impl Recorder {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            actor: Mutex::default(),
        }
    }

    /// Keeps the past for recordings like these; `None`: no longer.
    pub(super) fn arm(&self, params: Option<RecordingParams>) {
        self.send(Msg::Arm(params));
    }

    /// Something happened: a recording that starts soon begins before this moment.
    pub(super) fn motion(&self) {
        self.send(Msg::Motion);
    }

    /// Starts the recording `id`; `tell` hears of it until its last fragment, failure or [`stop`](Self::stop).
    pub(super) fn start(&self, id: u64, params: RecordingParams, tell: Tell) {
        self.send(Msg::Start { id, params, tell });
    }

    /// Ends a recording with the fragment under way.
    pub(super) fn finish(&self, id: u64) {
        self.send(Msg::Finish(id));
    }

    /// Ends a recording at once.
    pub(super) fn stop(&self, id: u64) {
        self.send(Msg::Stop(id));
    }

    /// Sends to the thread, which is started with the first message that needs one.
    fn send(&self, msg: Msg) {
        let mut actor = self.actor.lock().unwrap_or_else(PoisonError::into_inner);
        let needless = matches!(
            msg,
            Msg::Arm(None) | Msg::Motion | Msg::Finish(_) | Msg::Stop(_)
        );
        if actor.is_none() && needless {
            return;
        }
        let sender = actor.get_or_insert_with(|| actor::spawn(self.shared.clone()));
        let _ = sender.send(msg);
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let actor = self.actor.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = actor.take() {
            let _ = sender.send(Msg::End);
        }
    }
}
