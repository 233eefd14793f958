//! What caps say of the input.

use rtp_payload::{aac, nal};

/// The media of the input, and how they come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    H264(Framing),
    H265(Framing),
    Opus { is_rtp: bool },
    AacEld { is_rtp: bool, config: aac::Config },
}

/// How pictures come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Access units with start codes.
    ByteStream,
    /// Access units with lengths; the codec data say how long these are.
    Record(Vec<u8>),
    /// In RTP.
    Rtp,
}

/// What is sent; it stays the same for the life of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    H264,
    H265,
    Opus,
    AacEld,
}

impl Codec {
    pub(crate) fn is_video(self) -> bool {
        matches!(self, Self::H264 | Self::H265)
    }

    /// Payload type by the habit of iOS.
    pub(crate) fn default_payload_type(self) -> u8 {
        match self.is_video() {
            true => 99,
            false => 110,
        }
    }
}

impl Framing {
    /// Format of the access units, before the codec data are read.
    pub(crate) fn format(&self) -> nal::Format {
        match self {
            Self::Record(_) => nal::Format::Avc { length_size: 4 },
            _ => nal::Format::AnnexB,
        }
    }
}

impl Input {
    /// Caps of the sink pad: all that [`from_caps`](Self::from_caps) understands.
    pub(crate) fn template() -> gst::Caps {
        let rtp = |media: &str, encoding: &str| {
            gst::Structure::builder("application/x-rtp")
                .field("media", media)
                .field("encoding-name", encoding)
        };
        let video = |name: &str, formats: &[&str]| {
            gst::Structure::builder(name)
                .field("stream-format", gst::List::new(formats.iter().copied()))
                .field("alignment", "au")
                .build()
        };
        let opus = gst::Structure::builder("audio/x-opus").field("channel-mapping-family", 0i32);
        let aac = gst::Structure::builder("audio/mpeg")
            .field("mpegversion", 4i32)
            .field("stream-format", "raw");
        gst::Caps::from_iter([
            video("video/x-h264", &["avc", "byte-stream"]),
            video("video/x-h265", &["hvc1", "hev1", "byte-stream"]),
            opus.build(),
            aac.build(),
            rtp("video", "H264").build(),
            rtp("video", "H265").build(),
            rtp("audio", "OPUS").build(),
            rtp("audio", "MPEG4-GENERIC")
                .field("mode", "AAC-hbr")
                .build(),
        ])
    }

    /// Reads fixed caps that fit the template. `None` if they do not, or lack the codec data.
    pub(crate) fn from_caps(caps: &gst::CapsRef) -> Option<Self> {
        let structure = caps.structure(0)?;
        let text = |field: &str| structure.get::<&str>(field).ok();
        Some(match (structure.name().as_str(), text("encoding-name")) {
            ("video/x-h264", _) => Self::H264(framing(structure)?),
            ("video/x-h265", _) => Self::H265(framing(structure)?),
            ("audio/x-opus", _) => Self::Opus { is_rtp: false },
            ("audio/mpeg", _) => Self::aac_eld(false, &codec_data(structure)?)?,
            ("application/x-rtp", Some("H264")) => Self::H264(Framing::Rtp),
            ("application/x-rtp", Some("H265")) => Self::H265(Framing::Rtp),
            ("application/x-rtp", Some("OPUS")) => Self::Opus { is_rtp: true },
            ("application/x-rtp", Some("MPEG4-GENERIC")) => {
                Self::aac_eld(true, &from_hex(text("config")?)?)?
            }
            _ => return None,
        })
    }

    pub(crate) fn codec(&self) -> Codec {
        match self {
            Self::H264(_) => Codec::H264,
            Self::H265(_) => Codec::H265,
            Self::Opus { .. } => Codec::Opus,
            Self::AacEld { .. } => Codec::AacEld,
        }
    }

    fn aac_eld(is_rtp: bool, config: &[u8]) -> Option<Self> {
        let config = aac::Config::parse(config).ok()?;
        Some(Self::AacEld { is_rtp, config })
    }
}

fn framing(structure: &gst::StructureRef) -> Option<Framing> {
    match structure.get::<&str>("stream-format").ok()? {
        "byte-stream" => Some(Framing::ByteStream),
        _ => Some(Framing::Record(codec_data(structure)?)),
    }
}

fn codec_data(structure: &gst::StructureRef) -> Option<Vec<u8>> {
    let buffer = structure.get::<gst::Buffer>("codec_data").ok()?;
    Some(buffer.map_readable().ok()?.to_vec())
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(caps: &str) -> Option<Input> {
        gst::init().unwrap();
        let caps: gst::Caps = caps.parse().unwrap();
        assert!(caps.can_intersect(&Input::template()), "{caps}");
        Input::from_caps(&caps)
    }

    const ELD_16: aac::Config = aac::Config {
        sample_rate: 16_000,
        channels: 1,
        samples: 480,
    };

    #[test]
    fn caps_of_video() {
        let record = || Framing::Record(vec![1, 2, 3]);
        let cases = [
            (
                "video/x-h264,stream-format=byte-stream,alignment=au",
                Input::H264(Framing::ByteStream),
            ),
            (
                "video/x-h264,stream-format=avc,alignment=au,codec_data=(buffer)010203",
                Input::H264(record()),
            ),
            (
                "video/x-h265,stream-format=byte-stream,alignment=au",
                Input::H265(Framing::ByteStream),
            ),
            (
                "video/x-h265,stream-format=hvc1,alignment=au,codec_data=(buffer)010203",
                Input::H265(record()),
            ),
            (
                "video/x-h265,stream-format=hev1,alignment=au,codec_data=(buffer)010203",
                Input::H265(record()),
            ),
            (
                "application/x-rtp,media=video,encoding-name=H264",
                Input::H264(Framing::Rtp),
            ),
            (
                "application/x-rtp,media=video,encoding-name=H265",
                Input::H265(Framing::Rtp),
            ),
        ];
        for (caps, expected) in cases {
            assert_eq!(read(caps), Some(expected), "{caps}");
        }
        assert_eq!(read("video/x-h264,stream-format=avc,alignment=au"), None);
    }

    #[test]
    fn caps_of_audio() {
        let eld = |is_rtp| Input::AacEld {
            is_rtp,
            config: ELD_16,
        };
        let cases = [
            (
                "audio/x-opus,channel-mapping-family=0",
                Input::Opus { is_rtp: false },
            ),
            (
                "application/x-rtp,media=audio,encoding-name=OPUS",
                Input::Opus { is_rtp: true },
            ),
            (
                "audio/mpeg,mpegversion=4,stream-format=raw,codec_data=(buffer)f8f03000",
                eld(false),
            ),
            (
                "application/x-rtp,media=audio,encoding-name=MPEG4-GENERIC,mode=AAC-hbr,\
                 config=(string)f8f03000",
                eld(true),
            ),
        ];
        for (caps, expected) in cases {
            assert_eq!(read(caps), Some(expected), "{caps}");
        }
    }

    #[test]
    fn aac_that_is_not_eld_is_refused() {
        for caps in [
            "audio/mpeg,mpegversion=4,stream-format=raw,codec_data=(buffer)1210",
            "audio/mpeg,mpegversion=4,stream-format=raw",
            "application/x-rtp,media=audio,encoding-name=MPEG4-GENERIC,mode=AAC-hbr,config=(string)zz",
        ] {
            assert_eq!(read(caps), None, "{caps}");
        }
    }
}
