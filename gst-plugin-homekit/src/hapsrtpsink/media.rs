//! What caps say of the input.

use rtp_payload::h264;

/// The media of the input, and how they come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    /// H.264 access units with start codes.
    H264ByteStream,
    /// H.264 access units with lengths; the codec data says how long these are.
    H264Avc { codec_data: Vec<u8> },
    /// H.264 in RTP.
    H264Rtp,
    /// Opus packets.
    Opus,
    /// Opus in RTP.
    OpusRtp,
}

/// Video or audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Video,
    Audio,
}

impl Kind {
    /// Payload type by the habit of iOS.
    pub(crate) fn default_payload_type(self) -> u8 {
        match self {
            Self::Video => 99,
            Self::Audio => 110,
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
                .build()
        };
        let h264 = gst::Structure::builder("video/x-h264")
            .field("stream-format", gst::List::new(["avc", "byte-stream"]))
            .field("alignment", "au")
            .build();
        let opus = gst::Structure::builder("audio/x-opus")
            .field("channel-mapping-family", 0i32)
            .build();
        let structures = [h264, opus, rtp("video", "H264"), rtp("audio", "OPUS")];
        gst::Caps::from_iter(structures)
    }

    /// Reads fixed caps that fit the template. `None` if they do not, or lack the codec data.
    pub(crate) fn from_caps(caps: &gst::CapsRef) -> Option<Self> {
        let structure = caps.structure(0)?;
        let text = |field: &str| structure.get::<&str>(field).ok();
        match (
            structure.name().as_str(),
            text("stream-format"),
            text("encoding-name"),
        ) {
            ("video/x-h264", Some("byte-stream"), _) => Some(Self::H264ByteStream),
            ("video/x-h264", Some("avc"), _) => {
                let buffer = structure.get::<gst::Buffer>("codec_data").ok()?;
                let codec_data = buffer.map_readable().ok()?.to_vec();
                Some(Self::H264Avc { codec_data })
            }
            ("audio/x-opus", ..) => Some(Self::Opus),
            ("application/x-rtp", _, Some("H264")) => Some(Self::H264Rtp),
            ("application/x-rtp", _, Some("OPUS")) => Some(Self::OpusRtp),
            _ => None,
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::H264ByteStream | Self::H264Avc { .. } | Self::H264Rtp => Kind::Video,
            Self::Opus | Self::OpusRtp => Kind::Audio,
        }
    }

    /// Format of the access units, before the codec data is read.
    pub(crate) fn h264_format(&self) -> h264::Format {
        match self {
            Self::H264Avc { .. } => h264::Format::Avc { length_size: 4 },
            _ => h264::Format::AnnexB,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(caps: gst::Caps) -> Option<Input> {
        assert!(caps.can_intersect(&Input::template()), "{caps}");
        Input::from_caps(&caps)
    }

    #[test]
    fn caps_of_every_input() {
        gst::init().unwrap();
        let h264 = |format: &str| {
            gst::Caps::builder("video/x-h264")
                .field("stream-format", format)
                .field("alignment", "au")
        };
        assert_eq!(
            read(h264("byte-stream").build()),
            Some(Input::H264ByteStream)
        );
        assert_eq!(read(h264("avc").build()), None, "codec data is missing");
        let codec_data = vec![1, 2, 3];
        let buffer = gst::Buffer::from_slice(codec_data.clone());
        let avc = h264("avc").field("codec_data", buffer).build();
        assert_eq!(read(avc), Some(Input::H264Avc { codec_data }));
        let opus = gst::Caps::builder("audio/x-opus")
            .field("channel-mapping-family", 0i32)
            .build();
        assert_eq!(read(opus), Some(Input::Opus));
        let rtp = |media: &str, encoding: &str| {
            gst::Caps::builder("application/x-rtp")
                .field("media", media)
                .field("encoding-name", encoding)
                .build()
        };
        assert_eq!(read(rtp("video", "H264")), Some(Input::H264Rtp));
        assert_eq!(read(rtp("audio", "OPUS")), Some(Input::OpusRtp));
    }
}
