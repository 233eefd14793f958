//! What a stream is, told from its caps.

use super::status::{AudioInfo, VideoInfo};

/// Picture or sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Medium {
    Video,
    Audio,
}

impl Medium {
    /// Of a stream with these caps; `None` for subtitles, metadata and the like.
    pub(super) fn of(caps: &gst::CapsRef) -> Option<Self> {
        let s = caps.structure(0)?;
        let name = match s.name().as_str() {
            // The second is what rtspsrc calls a stream before it is set up.
            "application/x-rtp" | "application/x-unknown" => s.get::<&str>("media").ok()?,
            name => name,
        };
        match name.split('/').next()? {
            "video" | "image" => Some(Self::Video),
            "audio" => Some(Self::Audio),
            _ => None,
        }
    }
}

/// How frames of a stream are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    H264,
    H265,
    Opus,
    RawVideo,
    RawAudio,
    OtherVideo,
    OtherAudio,
}

impl Codec {
    /// Of a stream with these caps (not RTP).
    pub(super) fn of(caps: &gst::CapsRef) -> Option<Self> {
        Some(match (media_type(caps)?, Medium::of(caps)?) {
            ("video/x-h264", _) => Self::H264,
            ("video/x-h265", _) => Self::H265,
            ("audio/x-opus", _) => Self::Opus,
            ("video/x-raw", _) => Self::RawVideo,
            ("audio/x-raw", _) => Self::RawAudio,
            (_, Medium::Video) => Self::OtherVideo,
            (_, Medium::Audio) => Self::OtherAudio,
        })
    }

    /// Elements that bring it into the one form kept in memory.
    pub(super) fn normalise(self) -> &'static str {
        match self {
            Self::H264 => {
                "h264parse config-interval=-1 disable-passthrough=true \
                 ! capsfilter caps=video/x-h264,stream-format=byte-stream,alignment=au"
            }
            Self::H265 => {
                "h265parse config-interval=-1 disable-passthrough=true \
                 ! capsfilter caps=video/x-h265,stream-format=byte-stream,alignment=au"
            }
            Self::Opus => "opusparse",
            Self::RawVideo => "capsfilter caps=video/x-raw",
            Self::RawAudio => "capsfilter caps=audio/x-raw",
            Self::OtherVideo | Self::OtherAudio => "identity silent=true",
        }
    }
}

fn media_type(caps: &gst::CapsRef) -> Option<&str> {
    caps.structure(0).map(|s| s.name().as_str())
}

/// Describes a video stream.
pub(super) fn video_info(caps: &gst::CapsRef, reordered: bool) -> Option<VideoInfo> {
    let s = caps.structure(0)?;
    let text = |field| s.get::<&str>(field).ok().map(str::to_owned);
    let pixels = |field| s.get::<i32>(field).ok().and_then(|n| u32::try_from(n).ok());
    Some(VideoInfo {
        codec: codec_name(s.name()),
        profile: text("profile"),
        level: text("level"),
        width: pixels("width").unwrap_or(0),
        height: pixels("height").unwrap_or(0),
        fps: fps(s).unwrap_or(0.0),
        reordered,
    })
}

fn fps(s: &gst::StructureRef) -> Option<f64> {
    let rate = s.get::<gst::Fraction>("framerate").ok()?;
    (rate.denom() != 0).then(|| f64::from(rate.numer()) / f64::from(rate.denom()))
}

/// Describes an audio stream.
pub(super) fn audio_info(caps: &gst::CapsRef) -> Option<AudioInfo> {
    let s = caps.structure(0)?;
    let number = |field| s.get::<i32>(field).ok().and_then(|n| u32::try_from(n).ok());
    Some(AudioInfo {
        codec: codec_name(s.name()),
        rate: number("rate").unwrap_or(0),
        channels: number("channels").unwrap_or(0),
    })
}

/// Short name of a media type.
fn codec_name(media_type: &str) -> String {
    match media_type {
        "video/x-raw" | "audio/x-raw" => "raw",
        "image/jpeg" => "jpeg",
        "audio/mpeg" => "aac",
        "audio/x-mulaw" => "pcmu",
        "audio/x-alaw" => "pcma",
        other => other
            .rsplit('/')
            .next()
            .map_or(other, |name| name.trim_start_matches("x-")),
    }
    .to_owned()
}

/// Whether a decoder set up for `old` can go on with `new`.
pub(super) fn same_shape(old: &gst::CapsRef, new: &gst::CapsRef) -> bool {
    let (Some(a), Some(b)) = (old.structure(0), new.structure(0)) else {
        return false;
    };
    let same = |field| a.get::<i32>(field).ok() == b.get::<i32>(field).ok();
    a.name() == b.name()
        && ["width", "height", "rate", "channels"]
            .into_iter()
            .all(same)
        && a.get::<&str>("format").ok() == b.get::<&str>("format").ok()
}

/// Milliseconds of sound in an Opus packet times its frames (RFC 6716 §3.1, §3.2); `None` if it is malformed.
pub(super) fn opus_packet_ms(packet: &[u8]) -> Option<f32> {
    let toc = *packet.first()?;
    let config = toc >> 3;
    let frame = match config {
        0..12 => [10.0, 20.0, 40.0, 60.0][usize::from(config & 3)],
        12..16 => [10.0, 20.0][usize::from(config & 1)],
        _ => [2.5, 5.0, 10.0, 20.0][usize::from(config & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => *packet.get(1)? & 0x3f,
    };
    Some(frame * f32::from(frames))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::str::FromStr;

    fn caps(text: &str) -> gst::Caps {
        gst::init().unwrap();
        gst::Caps::from_str(text).unwrap()
    }

    #[test]
    fn media_are_told_apart() {
        for (text, medium) in [
            ("video/x-h264", Some(Medium::Video)),
            ("image/jpeg", Some(Medium::Video)),
            ("audio/x-raw", Some(Medium::Audio)),
            ("application/x-rtp,media=(string)audio", Some(Medium::Audio)),
            ("application/x-rtp,media=(string)application", None),
            ("text/x-raw", None),
        ] {
            assert_eq!(Medium::of(&caps(text)), medium, "{text}");
        }
    }

    #[test]
    fn video_is_described() {
        let caps = caps(
            "video/x-h264,profile=main,level=(string)3.1,width=640,height=360,framerate=30000/1001",
        );
        let info = video_info(&caps, false).unwrap();
        assert_eq!(
            (
                info.codec.as_str(),
                info.profile.as_deref(),
                info.level.as_deref()
            ),
            ("h264", Some("main"), Some("3.1"))
        );
        assert_eq!((info.width, info.height), (640, 360));
        assert!((info.fps - 29.97).abs() < 0.01);
    }

    #[test]
    fn unknown_values_are_zero() {
        let info = video_info(&caps("image/jpeg,framerate=0/1"), true).unwrap();
        assert_eq!(
            (info.codec.as_str(), info.width, info.height, info.fps),
            ("jpeg", 0, 0, 0.0)
        );
        assert_eq!(
            audio_info(&caps("audio/x-mulaw,rate=8000")).unwrap(),
            AudioInfo {
                codec: "pcmu".into(),
                rate: 8000,
                channels: 0
            }
        );
    }

    #[test]
    fn another_size_is_another_shape() {
        let a = caps("video/x-h264,width=640,height=360,framerate=30/1");
        assert!(same_shape(
            &a,
            &caps("video/x-h264,width=640,height=360,framerate=25/1")
        ));
        assert!(!same_shape(&a, &caps("video/x-h264,width=1280,height=720")));
        assert!(!same_shape(&a, &caps("video/x-h265,width=640,height=360")));
    }

    #[test]
    fn opus_packets_tell_their_length() {
        for (packet, ms) in [
            (&[0x48_u8][..], Some(20.0)),    // SILK WB 20 ms
            (&[0x4b, 0x83][..], Some(60.0)), // three of them
            (&[0xe0][..], Some(2.5)),        // CELT FB 2.5 ms
            (&[0xfc][..], Some(20.0)),       // CELT FB 20 ms stereo
            (&[0x69][..], Some(40.0)),       // hybrid SWB 20 ms, two frames
            (&[0x03][..], None),             // count missing
            (&[][..], None),
        ] {
            assert_eq!(opus_packet_ms(packet), ms, "{packet:x?}");
        }
    }
}
