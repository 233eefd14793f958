//! H.264 encoders: which, and how to set each up for live view.

use crate::Element;

/// Encoders in order of preference: hardware first.
pub const H264_ENCODERS: [&str; 12] = [
    "v4l2h264enc",
    "vah264enc",
    "vah264lpenc",
    "vaapih264enc",
    "nvh264enc",
    "nvcudah264enc",
    "qsvh264enc",
    "msdkh264enc",
    "mpph264enc",
    "omxh264enc",
    "x264enc",
    "openh264enc",
];

/// H.264 profile, in ascending order of what a decoder must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum H264Profile {
    /// Constrained Baseline.
    ConstrainedBaseline,
    /// Main.
    Main,
    /// High.
    High,
}

impl H264Profile {
    /// As caps name it.
    pub fn caps_name(self) -> &'static str {
        match self {
            Self::ConstrainedBaseline => "constrained-baseline",
            Self::Main => "main",
            Self::High => "high",
        }
    }
}

/// H.264 level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum H264Level {
    /// 3.1: 1280x720 at 30.
    L3_1,
    /// 3.2: 1280x1024 at 42.
    L3_2,
    /// 4.0: 1920x1080 at 30.
    L4_0,
}

impl H264Level {
    /// As caps name it.
    pub fn caps_name(self) -> &'static str {
        match self {
            Self::L3_1 => "3.1",
            Self::L3_2 => "3.2",
            Self::L4_0 => "4",
        }
    }

    /// The lowest of these levels that holds the picture (H.264 table A-1: macroblocks per frame and second).
    pub fn for_picture(width: u32, height: u32, fps: u32) -> Self {
        let blocks = u64::from(width.div_ceil(16)) * u64::from(height.div_ceil(16));
        let rate = blocks * u64::from(fps);
        match (blocks, rate) {
            (..=3600, ..=108_000) => Self::L3_1,
            (..=5120, ..=216_000) => Self::L3_2,
            _ => Self::L4_0,
        }
    }
}

/// What a viewer's encoder is to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncoderSettings {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Frames per second.
    pub fps: u32,
    /// kbit/s.
    pub kbps: u32,
    /// Profile.
    pub profile: H264Profile,
    /// Level.
    pub level: H264Level,
    /// Seconds from one key frame to the next.
    pub key_interval_s: u32,
}

impl EncoderSettings {
    fn key_interval(&self) -> u32 {
        (self.fps * self.key_interval_s).max(1)
    }

    fn bps(&self) -> u64 {
        u64::from(self.kbps) * 1000
    }
}

/// Sets one of [`H264_ENCODERS`] up: no B-frames, no delay, constant bitrate. `None` for any other name.
///
/// Settings an installed version lacks are to be left out by [`Element::retain`].
pub fn h264_encoder(factory: &str, s: &EncoderSettings) -> Option<Element> {
    let element = Element::new(factory);
    Some(match factory {
        "x264enc" => x264(element, s),
        "openh264enc" => openh264(element, s),
        "v4l2h264enc" => v4l2(element, s),
        "vah264enc" | "vah264lpenc" => va(element, s),
        "vaapih264enc" => vaapi(element, s),
        "nvh264enc" | "nvcudah264enc" => nvidia(element, s),
        "qsvh264enc" | "msdkh264enc" => quicksync(element, s),
        "mpph264enc" => rockchip(element, s),
        "omxh264enc" => omx(element, s),
        _ => return None,
    })
}

/// A launch fragment of the user's with `{kbps}`, `{bps}`, `{fps}` and `{keyint}` replaced.
pub fn custom_encoder(fragment: &str, s: &EncoderSettings) -> Element {
    Element::verbatim(
        fragment
            .replace("{kbps}", &s.kbps.to_string())
            .replace("{bps}", &s.bps().to_string())
            .replace("{fps}", &s.fps.to_string())
            .replace("{keyint}", &s.key_interval().to_string()),
    )
}

/// Caps that make an encoder choose the profile and level.
pub fn h264_caps(factory: &str, s: &EncoderSettings) -> Element {
    let profile = match (factory, s.profile) {
        // These have no name for the constrained profile, or no profile above it.
        ("openh264enc", _) | ("msdkh264enc", H264Profile::ConstrainedBaseline) => {
            "constrained-baseline"
        }
        (_, profile) => profile.caps_name(),
    };
    // The others derive the level themselves; only these take it from caps, and the first refuses to start without.
    let level = match factory {
        "v4l2h264enc" | "x264enc" => format!(",level=(string){}", s.level.caps_name()),
        _ => String::new(),
    };
    Element::caps(format!("video/x-h264,profile=(string){profile}{level}"))
}

fn x264(e: Element, s: &EncoderSettings) -> Element {
    let preset = if s.width * s.height > 640 * 480 {
        "superfast"
    } else {
        "veryfast"
    };
    e.set("tune", "zerolatency")
        .set("speed-preset", preset)
        .set("bitrate", s.kbps.max(1))
        .set("vbv-buf-capacity", 1000)
        .set("key-int-max", s.key_interval())
        .set("bframes", 0)
        .set("b-adapt", false)
        .set("byte-stream", true)
        .set("aud", false)
        .set("option-string", "scenecut=0")
}

fn openh264(e: Element, s: &EncoderSettings) -> Element {
    e.set("usage-type", "camera")
        .set("complexity", "low")
        .set("rate-control", "bitrate")
        .set("bitrate", s.bps())
        .set("max-bitrate", s.bps() * 5 / 4)
        .set("gop-size", s.key_interval())
        .set("scene-change-detection", false)
        .set("background-detection", false)
}

fn v4l2(e: Element, s: &EncoderSettings) -> Element {
    let interval = s.key_interval();
    e.set(
        "extra-controls",
        format!(
            "controls,repeat_sequence_header=1,video_bitrate_mode=1,video_bitrate={},h264_i_frame_period={interval},\
             video_gop_size={interval},video_b_frames=0",
            s.bps()
        ),
    )
}

fn va(e: Element, s: &EncoderSettings) -> Element {
    e.set("rate-control", "cbr")
        .set("bitrate", s.kbps)
        .set("b-frames", 0)
        .set("ref-frames", 1)
        .set("key-int-max", s.key_interval())
        .set("aud", false)
}

fn vaapi(e: Element, s: &EncoderSettings) -> Element {
    e.set("rate-control", "cbr")
        .set("bitrate", s.kbps)
        .set("max-bframes", 0)
        .set("refs", 1)
        .set("keyframe-period", s.key_interval())
}

fn nvidia(e: Element, s: &EncoderSettings) -> Element {
    e.set("rc-mode", "cbr")
        .set("bitrate", s.kbps)
        .set("bframes", 0)
        .set("b-frames", 0)
        .set("gop-size", s.key_interval())
        .set("zerolatency", true)
        .set("zero-reorder-delay", true)
        .set("rc-lookahead", 0)
}

fn quicksync(e: Element, s: &EncoderSettings) -> Element {
    e.set("rate-control", "cbr")
        .set("bitrate", s.kbps)
        .set("b-frames", 0)
        .set("low-latency", true)
        .set("gop-size", s.key_interval())
}

fn rockchip(e: Element, s: &EncoderSettings) -> Element {
    e.set("rc-mode", "cbr")
        .set("bps", s.bps())
        .set("gop", s.key_interval())
        .set("header-mode", "each-idr")
}

fn omx(e: Element, s: &EncoderSettings) -> Element {
    e.set("control-rate", "variable")
        .set("target-bitrate", s.bps())
        .set("interval-intraframes", s.key_interval())
        .set("b-frames", 0)
        .set("inline-header", true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: EncoderSettings = EncoderSettings {
        width: 1280,
        height: 720,
        fps: 30,
        kbps: 299,
        profile: H264Profile::Main,
        level: H264Level::L3_1,
        key_interval_s: 2,
    };

    #[test]
    fn every_listed_encoder_can_be_set_up() {
        for factory in H264_ENCODERS {
            let element = h264_encoder(factory, &SETTINGS).unwrap();
            assert!(element.to_string().contains("299"), "{element}");
            assert!(element.to_string().contains("60"), "{element}");
        }
        assert_eq!(h264_encoder("x265enc", &SETTINGS), None);
    }

    #[test]
    fn levels_follow_the_macroblock_limits() {
        assert_eq!(H264Level::for_picture(1280, 720, 30), H264Level::L3_1);
        assert_eq!(H264Level::for_picture(1280, 960, 30), H264Level::L3_2);
        assert_eq!(H264Level::for_picture(1280, 720, 60), H264Level::L3_2);
        assert_eq!(H264Level::for_picture(1920, 1080, 30), H264Level::L4_0);
    }

    #[test]
    fn placeholders_of_the_user_are_replaced() {
        let text = custom_encoder(
            "enc a={kbps} b={bps} c={fps} d={keyint} e={other}",
            &SETTINGS,
        )
        .to_string();
        assert_eq!(text, "enc a=299 b=299000 c=30 d=60 e={other}");
    }
}
