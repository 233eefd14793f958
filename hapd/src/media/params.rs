//! What the rest of the daemon tells the media library: plain values, no HAP.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub use pipelines::{H264Level, H264Profile};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::record::RecordingCodec;
use super::redact;

/// Text that may hold credentials: never printed, wiped when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Secret(String);

impl Secret {
    /// Takes the text over.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// How RTP packets come from an RTSP camera.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RtspTransport {
    /// Inside the RTSP connection.
    Tcp,
    /// As datagrams.
    Udp,
    /// TCP first; UDP when the camera does not deliver by TCP, and so on in turn.
    #[default]
    Auto,
}

/// Where pictures and sound come from.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// A moving test picture with a clock, and ticks.
    Test,
    /// A media file, played in real time and from the start again at its end.
    File(PathBuf),
    /// An RTSP camera. The URL may hold credentials.
    Rtsp {
        /// `rtsp://[user:password@]host[:port]/path`, also `rtsps://`.
        url: Secret,
        /// How its RTP comes.
        transport: RtspTransport,
    },
    /// A Video4Linux capture device.
    V4l2(PathBuf),
    /// A libcamera camera, by name, or the first one.
    Libcamera(Option<String>),
    /// A GStreamer description whose open source pads are the camera (see [`super::source`]).
    Launch(Secret),
}

impl fmt::Display for Source {
    /// Names the source without its credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Test => f.write_str("test"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Rtsp { url, .. } => f.write_str(&redact::text(url.expose())),
            Self::V4l2(path) => write!(f, "v4l2:{}", path.display()),
            Self::Libcamera(name) => write!(f, "libcamera:{}", name.as_deref().unwrap_or("")),
            Self::Launch(text) => write!(f, "launch:{}", redact::text(text.expose())),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({self})")
    }
}

/// Whether the source's own H.264 goes to viewers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Passthrough {
    /// Where codec, profile and size suit the viewer; otherwise it is transcoded.
    #[default]
    Auto,
    /// Whenever it is H.264, whatever its profile and size.
    Always,
    /// Never.
    Never,
}

/// One camera.
#[derive(Clone, Debug)]
pub struct CameraSource {
    /// For logs and thread names.
    pub name: String,
    /// Where pictures and sound come from.
    pub source: Source,
    /// Lower encodings of the same picture that the camera offers, in descending order of bitrate.
    pub streams: Vec<Source>,
    /// Where what a viewer says is played.
    pub talkback: Talkback,
    /// Whether sound is taken from the source; without it viewers that ask for sound hear silence.
    pub audio: bool,
    /// Size asked of sources that can choose (`test`, `v4l2`, `libcamera`).
    pub size: Option<(u16, u16)>,
    /// Frame rate asked of sources that can choose.
    pub fps: Option<u8>,
    /// Whether the source's own H.264 goes to viewers.
    pub passthrough: Passthrough,
    /// Which encodings are recorded as they are.
    pub recording_codec: RecordingCodec,
    /// Encoder to use instead of the best one registered: a launch fragment in which `{kbps}`, `{bps}`, `{fps}` and
    /// `{keyint}` are replaced.
    pub encoder: Option<String>,
    /// How long the source may deliver no picture before it is restarted.
    pub stall_timeout: Duration,
}

impl CameraSource {
    /// A camera with every choice left at its default.
    pub fn new(name: impl Into<String>, source: Source) -> Self {
        Self {
            name: name.into(),
            source,
            streams: Vec::new(),
            talkback: Talkback::default(),
            audio: true,
            size: None,
            fps: None,
            passthrough: Passthrough::Auto,
            recording_codec: RecordingCodec::H264,
            encoder: None,
            stall_timeout: Duration::from_secs(10),
        }
    }

    /// The lower encodings as cameras of their own, without sound.
    pub(super) fn lower_streams(&self) -> impl Iterator<Item = Self> {
        let numbered = self.streams.iter().enumerate();
        numbered.map(|(index, source)| Self {
            name: format!("{}, stream {}", self.name, index + 1),
            source: source.clone(),
            streams: Vec::new(),
            audio: false,
            ..self.clone()
        })
    }
}

/// Where what a viewer says is played.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Talkback {
    /// By the sound system, if there is one.
    #[default]
    Auto,
    /// Nowhere: no talk button is shown.
    Off,
    /// By a GStreamer description that takes raw audio.
    Launch(Secret),
}

/// SRTP protection profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SrtpSuite {
    /// AES_CM_128_HMAC_SHA1_80: key of 16 bytes.
    Aes128,
    /// AES_CM_256_HMAC_SHA1_80: key of 32 bytes.
    Aes256,
}

impl SrtpSuite {
    /// Bytes of the master key.
    pub fn key_length(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes256 => 32,
        }
    }
}

/// Bytes of an SRTP master salt (RFC 3711 §8.2).
pub const SALT_LENGTH: usize = 14;

/// Master key and salt of one direction.
#[derive(Clone, PartialEq, Eq)]
pub struct SrtpKey {
    key_and_salt: Zeroizing<Vec<u8>>,
    suite: SrtpSuite,
}

impl SrtpKey {
    /// `key` of 16 or 32 bytes as `suite` wants, `salt` of 14 bytes.
    ///
    /// # Errors
    /// [`MediaError::Invalid`] if a length is wrong.
    pub fn new(suite: SrtpSuite, key: &[u8], salt: &[u8]) -> Result<Self, MediaError> {
        if key.len() != suite.key_length() || salt.len() != SALT_LENGTH {
            return Err(MediaError::Invalid(format!(
                "SRTP key of {} and salt of {} bytes; {suite:?} takes {} and {SALT_LENGTH}",
                key.len(),
                salt.len(),
                suite.key_length()
            )));
        }
        let key_and_salt = Zeroizing::new([key, salt].concat());
        Ok(Self {
            key_and_salt,
            suite,
        })
    }

    /// The suite the key is for.
    pub fn suite(&self) -> SrtpSuite {
        self.suite
    }

    /// Key and salt, one after the other.
    pub(super) fn bytes(&self) -> Zeroizing<Vec<u8>> {
        self.key_and_salt.clone()
    }
}

impl fmt::Debug for SrtpKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SrtpKey({:?}, ***)", self.suite)
    }
}

/// One media stream's addressing and keys.
#[derive(Clone, Debug)]
pub struct MediaEndpoint {
    /// The controller's address and port.
    pub remote: SocketAddr,
    /// The SSRC we send with; not 0.
    pub ssrc: u32,
    /// Protects what we send.
    pub key: SrtpKey,
    /// Protects what the controller sends.
    pub remote_key: SrtpKey,
}

/// What Setup Endpoints settled for one viewer.
#[derive(Clone, Debug)]
pub struct SessionEndpoints {
    /// Our address: the one the controller's HAP connection reached.
    pub local: IpAddr,
    /// Video.
    pub video: MediaEndpoint,
    /// Audio.
    pub audio: MediaEndpoint,
}

/// Video as selected by the controller.
#[derive(Clone, Debug, PartialEq)]
pub struct VideoParams {
    /// H.264 profile.
    pub profile: H264Profile,
    /// H.264 level.
    pub level: H264Level,
    /// Pixels.
    pub width: u16,
    /// Pixels.
    pub height: u16,
    /// Frames per second, at most.
    pub fps: u8,
    /// kbit/s, at most; 0 = no limit was given.
    pub max_bitrate_kbps: u32,
    /// RTP payload type.
    pub payload_type: u8,
    /// SSRC of the controller's RTCP; 0 = any.
    pub remote_ssrc: u32,
    /// Largest UDP payload in bytes.
    pub mtu: Option<u16>,
    /// Time between sender reports.
    pub rtcp_interval: Option<Duration>,
}

impl VideoParams {
    pub(super) fn check(&self) -> Result<(), MediaError> {
        check_picture(self.width, self.height, self.fps)?;
        check_payload_type(self.payload_type)?;
        match self.mtu {
            Some(mtu) if mtu < SMALLEST_MTU => {
                Err(MediaError::Invalid(format!("MTU of {mtu} bytes")))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn apply(&mut self, change: &VideoChange) {
        if let Some((width, height, fps)) = change.attributes {
            (self.width, self.height, self.fps) = (width, height, fps);
        }
        self.max_bitrate_kbps = change.max_bitrate_kbps.unwrap_or(self.max_bitrate_kbps);
        self.rtcp_interval = change.rtcp_interval.or(self.rtcp_interval);
    }
}

const SMALLEST_MTU: u16 = 200;

/// Sizes of pictures and snapshots.
pub(super) const PIXELS: std::ops::RangeInclusive<u16> = 16..=4096;

/// Refuses sizes nobody means.
pub(super) fn check_size(width: u16, height: u16) -> Result<(), MediaError> {
    if PIXELS.contains(&width) && PIXELS.contains(&height) {
        return Ok(());
    }
    Err(MediaError::Invalid(format!(
        "size {width}x{height}: each side has 16 to 4096 pixels"
    )))
}

fn check_picture(width: u16, height: u16, fps: u8) -> Result<(), MediaError> {
    check_size(width, height)?;
    if width % 2 != 0 || height % 2 != 0 {
        return Err(MediaError::Invalid(format!(
            "size {width}x{height}: H.264 has even sides"
        )));
    }
    match fps {
        1..=120 => Ok(()),
        _ => Err(MediaError::Invalid(format!("{fps} frames per second"))),
    }
}

fn check_payload_type(payload_type: u8) -> Result<(), MediaError> {
    match payload_type {
        // RTCP would be taken for it (RFC 5761 §4).
        0..64 | 96..128 => Ok(()),
        _ => Err(MediaError::Invalid(format!(
            "RTP payload type {payload_type}"
        ))),
    }
}

/// What a reconfigure changes; `None` keeps the value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VideoChange {
    /// Width, height, frames per second.
    pub attributes: Option<(u16, u16, u8)>,
    /// kbit/s.
    pub max_bitrate_kbps: Option<u32>,
    /// Time between sender reports.
    pub rtcp_interval: Option<Duration>,
}

impl VideoChange {
    pub(super) fn check(&self) -> Result<(), MediaError> {
        self.attributes.map_or(Ok(()), |(width, height, fps)| {
            check_picture(width, height, fps)
        })
    }
}

/// Opus audio as selected by the controller.
#[derive(Clone, Debug, PartialEq)]
pub struct AudioParams {
    /// Hz: the RTP clock (8000, 16000 or 24000).
    pub sample_rate: u32,
    /// Milliseconds of sound in one packet.
    pub packet_time_ms: u8,
    /// RTP payload type.
    pub payload_type: u8,
    /// SSRC of the controller's RTCP and talkback; 0 = any.
    pub remote_ssrc: u32,
    /// kbit/s, at most; 0 = no limit was given.
    pub max_bitrate_kbps: u32,
    /// Time between sender reports.
    pub rtcp_interval: Option<Duration>,
    /// Channels.
    pub channels: u8,
}

impl AudioParams {
    pub(super) fn check(&self) -> Result<(), MediaError> {
        check_payload_type(self.payload_type)?;
        if !matches!(self.sample_rate, 8000 | 12000 | 16000 | 24000 | 48000) {
            return Err(MediaError::Invalid(format!(
                "Opus clock of {} Hz",
                self.sample_rate
            )));
        }
        match self.packet_time_ms {
            20 | 40 | 60 | 80 | 100 | 120 => Ok(()),
            other => Err(MediaError::Invalid(format!("Opus packets of {other} ms"))),
        }
    }
}

/// Why the media library refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MediaError {
    /// A parameter out of range.
    #[error("invalid media parameter: {0}")]
    Invalid(String),
    /// GStreamer lacks an element.
    #[error("the GStreamer element \"{0}\" is missing")]
    MissingElement(String),
    /// The media ports could not be opened.
    #[error("cannot open the media ports: {0}")]
    Ports(String),
    /// The session or camera has been stopped.
    #[error("stopped")]
    Stopped,
    /// A session was started twice, or changed before its start.
    #[error("{0}")]
    State(&'static str),
}
