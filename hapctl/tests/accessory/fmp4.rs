//! Fragmented MP4 as a camera records it: made by ffmpeg, with `prft` put in here.

use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

/// Units a second of the video track.
const TIMESCALE: u64 = 15_360;
/// Seconds from 1900 to 1970.
const NTP_OFFSET: u64 = 2_208_988_800;

/// An initialization and fragments of about a second.
#[derive(Clone)]
pub(crate) struct Media {
    pub(crate) init: Vec<u8>,
    pub(crate) fragments: Vec<Fragment>,
}

/// `moof` and `mdat`.
#[derive(Clone)]
pub(crate) struct Fragment {
    pub(crate) bytes: Vec<u8>,
    /// Its decode time.
    pub(crate) start: u64,
}

impl Fragment {
    /// With a `prft` before it that says when it was, for a recording that started at `wall`.
    pub(crate) fn clocked(&self, wall: Duration) -> Vec<u8> {
        let at = wall + Duration::from_micros(self.start * 1_000_000 / TIMESCALE);
        let fraction = (u64::from(at.subsec_nanos()) << 32) / 1_000_000_000;
        let ntp = (at.as_secs() + NTP_OFFSET) << 32 | fraction;
        let mut out = 32u32.to_be_bytes().to_vec();
        out.extend(b"prft\x01\0\0\0\0\0\0\x01");
        out.extend(ntp.to_be_bytes());
        out.extend(self.start.to_be_bytes());
        out.extend(&self.bytes);
        out
    }

    #[allow(dead_code)]
    /// When it ends, from the start of the recording.
    pub(crate) fn end(&self) -> Duration {
        Duration::from_micros(self.start * 1_000_000 / TIMESCALE) + Duration::from_secs(1)
    }
}

/// H.264 High 640x360 at 15 pictures a second, a key frame each second, AAC-LC at 32 kHz.
pub(crate) fn h264() -> Media {
    static MADE: OnceLock<Media> = OnceLock::new();
    let video = "-c:v libx264 -preset veryfast -profile:v high -level 3.1 -g 15 -keyint_min 15";
    let video = format!("{video} -sc_threshold 0 -b:v 400k");
    MADE.get_or_init(|| make("640x360", &video, 20)).clone()
}

/// As [`h264`], with a key frame every third of a second.
#[allow(dead_code)]
pub(crate) fn short() -> Media {
    make(
        "320x240",
        "-c:v libx264 -preset ultrafast -g 5 -keyint_min 5",
        3,
    )
}

/// H.265 with the sample entry `tag`.
#[allow(dead_code)]
pub(crate) fn h265(tag: &str) -> Media {
    let video =
        "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=15:min-keyint=15";
    make("320x240", &format!("{video} -tag:v {tag}"), 3)
}

fn make(size: &str, video: &str, seconds: u32) -> Media {
    let arguments = format!(
        "-v error -f lavfi -i testsrc2=s={size}:r=15 -f lavfi -i sine=440:r=32000 -t {seconds} \
         {video} -bf 0 -pix_fmt yuv420p -c:a aac -b:a 48k -ac 1 -ar 32000 \
         -video_track_timescale {TIMESCALE} -f mp4 \
         -movflags frag_keyframe+empty_moov+default_base_moof pipe:1"
    );
    let output = Command::new("ffmpeg")
        .args(arguments.split_whitespace())
        .output()
        .expect("ffmpeg runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    split(&output.stdout)
}

fn split(bytes: &[u8]) -> Media {
    let mut media = Media {
        init: Vec::new(),
        fragments: Vec::new(),
    };
    let (mut at, mut moof) = (0, Vec::new());
    while at < bytes.len() {
        let size = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let (kind, whole) = (&bytes[at + 4..at + 8], &bytes[at..at + size]);
        match kind {
            b"ftyp" | b"moov" => media.init.extend(whole),
            b"moof" => moof = whole.to_vec(),
            b"mdat" => {
                let start = decode_time(&moof);
                moof.extend(whole);
                let bytes = std::mem::take(&mut moof);
                media.fragments.push(Fragment { bytes, start });
            }
            _ => {}
        }
        at += size;
    }
    media
}

fn decode_time(moof: &[u8]) -> u64 {
    let at = moof.windows(4).position(|w| w == b"tfdt").unwrap() + 8;
    u64::from_be_bytes(moof[at..at + 8].try_into().unwrap())
}
