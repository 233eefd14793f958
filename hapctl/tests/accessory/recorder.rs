//! What the test camera records: fragments made beforehand, handed out as if they came live.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hap_camera::MediaUnavailable;
use hap_camera::recording::RecordingKey;
use hds_proto::{Pending, SessionKeys};

use super::fmp4::{self, Media};

/// So much is recorded before a recording is asked for.
const BEFORE: Duration = Duration::from_secs(5);

/// What the camera does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Says nothing after the initialization.
    Silent,
    /// Closes instead of ending.
    NoEnd,
    /// Its encoder fails after a fragment.
    Fails,
    /// Sends a fragment after the end.
    AfterEnd,
    /// Sends bytes that are no frame.
    Garbage,
    /// Opens a second recording.
    TakesTwo,
    /// Sends data without metadata.
    Malformed,
    /// Has no picture.
    NoPicture,
}

/// The recording side of the camera.
pub(super) struct Recorder {
    /// Where data streams go.
    pub(super) port: u16,
    /// Data streams that were set up.
    pub(super) pending: Pending,
    pub(super) fault: Fault,
    media: Option<Media>,
    playing: Option<Playing>,
}

struct Playing {
    key: RecordingKey,
    opened: Instant,
    /// Wall clock of the first picture.
    wall: Duration,
    next: usize,
    finishing: bool,
}

/// One piece to be sent.
pub(super) struct Piece {
    pub(super) key: RecordingKey,
    pub(super) bytes: Vec<u8>,
    pub(super) last: bool,
}

impl Recorder {
    pub(super) fn new(port: u16) -> Self {
        Self {
            port,
            pending: Pending::new(),
            fault: Fault::None,
            media: None,
            playing: None,
        }
    }

    pub(super) fn is_playing(&self) -> bool {
        self.playing.is_some()
    }

    pub(super) fn set_up(&mut self, token: u64, secret: &[u8; 32], salts: [&[u8; 32]; 2]) -> u16 {
        let keys = SessionKeys::derive(secret, salts[0], salts[1]);
        self.pending.add(token, keys, Instant::now());
        self.port
    }

    pub(super) fn start(&mut self, key: RecordingKey) -> Result<(), MediaUnavailable> {
        self.media.get_or_insert_with(fmp4::h264);
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        self.playing = Some(Playing {
            key,
            opened: Instant::now(),
            wall: wall - BEFORE,
            next: 0,
            finishing: false,
        });
        Ok(())
    }

    pub(super) fn finish(&mut self) {
        if let Some(playing) = &mut self.playing {
            playing.finishing = true;
        }
    }

    pub(super) fn stop(&mut self) {
        self.playing = None;
    }

    /// The next piece, if it is complete by now.
    pub(super) fn due(&mut self, now: Instant) -> Option<Piece> {
        let (playing, media) = (self.playing.as_mut()?, self.media.as_ref()?);
        let piece = match playing.next {
            0 => media.init.clone(),
            _ if self.fault == Fault::Silent => return None,
            n => {
                let fragment = media.fragments.get(n - 1)?;
                if now + BEFORE < playing.opened + fragment.end() {
                    return None;
                }
                fragment.clocked(playing.wall)
            }
        };
        playing.next += 1;
        let last = playing.next > 1 && playing.finishing && self.is_newest(now);
        let key = self.playing.as_ref()?.key;
        if last {
            self.playing = None;
        }
        Some(Piece {
            key,
            bytes: piece,
            last,
        })
    }

    /// No further fragment is complete.
    fn is_newest(&self, now: Instant) -> bool {
        let (Some(playing), Some(media)) = (&self.playing, &self.media) else {
            return true;
        };
        let next = media.fragments.get(playing.next - 1);
        next.is_none_or(|f| now + BEFORE < playing.opened + f.end())
    }
}
