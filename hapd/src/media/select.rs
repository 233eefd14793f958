//! Whether a viewer gets the source's own H.264 or a transcode.

use super::params::{H264Profile, Passthrough, VideoParams};
use super::status::VideoInfo;

/// `Ok` if the source's own video will do for the viewer, else why not.
pub(super) fn passthrough(
    source: &VideoInfo,
    wanted: &VideoParams,
    policy: Passthrough,
) -> Result<(), &'static str> {
    if policy == Passthrough::Never {
        return Err("configured");
    }
    if source.codec != "h264" {
        return Err("codec");
    }
    if policy == Passthrough::Always {
        return Ok(());
    }
    let Some(profile) = source.profile.as_deref().and_then(profile) else {
        return Err("profile");
    };
    if profile > wanted.profile {
        return Err("profile");
    }
    if source.reordered {
        return Err("B-frames");
    }
    if !fits(source, wanted) {
        return Err("size");
    }
    Ok(())
}

fn fits(source: &VideoInfo, wanted: &VideoParams) -> bool {
    let (width, height) = (u32::from(wanted.width), u32::from(wanted.height));
    (1..=width).contains(&source.width) && (1..=height).contains(&source.height)
}

/// The profile a decoder needs for what caps call `name`. Nobody uses what Baseline has beyond Constrained Baseline.
fn profile(name: &str) -> Option<H264Profile> {
    Some(match name {
        "constrained-baseline" | "baseline" => H264Profile::ConstrainedBaseline,
        "main" => H264Profile::Main,
        "high" | "constrained-high" | "progressive-high" => H264Profile::High,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::H264Level;

    fn source() -> VideoInfo {
        VideoInfo {
            codec: "h264".into(),
            profile: Some("main".into()),
            level: Some("4".into()),
            width: 1280,
            height: 720,
            fps: 25.0,
            reordered: false,
        }
    }

    fn wanted() -> VideoParams {
        VideoParams {
            profile: H264Profile::Main,
            level: H264Level::L3_1,
            width: 1280,
            height: 720,
            fps: 30,
            max_bitrate_kbps: 299,
            payload_type: 99,
            remote_ssrc: 1,
            mtu: None,
            rtcp_interval: None,
        }
    }

    fn auto(source: &VideoInfo) -> Result<(), &'static str> {
        passthrough(source, &wanted(), Passthrough::Auto)
    }

    #[test]
    fn what_suits_is_passed_through() {
        assert_eq!(auto(&source()), Ok(()));
        assert_eq!(
            auto(&VideoInfo {
                width: 640,
                height: 360,
                ..source()
            }),
            Ok(())
        );
        assert_eq!(
            auto(&VideoInfo {
                profile: Some("baseline".into()),
                ..source()
            }),
            Ok(())
        );
    }

    #[test]
    fn what_does_not_is_transcoded() {
        assert_eq!(
            auto(&VideoInfo {
                codec: "h265".into(),
                ..source()
            }),
            Err("codec")
        );
        assert_eq!(
            auto(&VideoInfo {
                profile: Some("high".into()),
                ..source()
            }),
            Err("profile")
        );
        assert_eq!(
            auto(&VideoInfo {
                profile: Some("high-10".into()),
                ..source()
            }),
            Err("profile")
        );
        assert_eq!(
            auto(&VideoInfo {
                profile: None,
                ..source()
            }),
            Err("profile")
        );
        assert_eq!(
            auto(&VideoInfo {
                reordered: true,
                ..source()
            }),
            Err("B-frames")
        );
        assert_eq!(
            auto(&VideoInfo {
                width: 1920,
                height: 1080,
                ..source()
            }),
            Err("size")
        );
        assert_eq!(
            auto(&VideoInfo {
                width: 720,
                height: 1280,
                ..source()
            }),
            Err("size")
        );
        assert_eq!(
            auto(&VideoInfo {
                width: 0,
                height: 0,
                ..source()
            }),
            Err("size")
        );
    }

    #[test]
    fn the_configuration_decides_first() {
        let large = VideoInfo {
            width: 4096,
            reordered: true,
            ..source()
        };
        assert_eq!(passthrough(&large, &wanted(), Passthrough::Always), Ok(()));
        assert_eq!(
            passthrough(&source(), &wanted(), Passthrough::Never),
            Err("configured")
        );
        let h265 = VideoInfo {
            codec: "h265".into(),
            ..source()
        };
        assert_eq!(
            passthrough(&h265, &wanted(), Passthrough::Always),
            Err("codec")
        );
    }
}
