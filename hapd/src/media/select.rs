//! Whether a viewer gets H.264 of the camera's own, which of its encodings, or a transcode.

use super::params::{H264Profile, Passthrough, VideoParams};
use super::status::VideoInfo;

/// What a camera offers, the best first.
#[derive(Clone, Debug)]
pub(super) struct Encoding {
    /// `None` while it delivers nothing.
    pub(super) info: Option<VideoInfo>,
    /// Bits per second; `None` before it is known.
    pub(super) bitrate: Option<u64>,
}

/// Bits per second a viewer may get.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limit {
    /// What the controller asked for. Controllers ask for less than their network takes: a camera's only encoding is
    /// passed through above it.
    pub(super) requested: Option<u64>,
    /// What the network was seen not to take more than, or the controller has capped.
    pub(super) hard: Option<u64>,
}

/// What a viewer gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// The encoding of this number as it is.
    Own(usize),
    /// A transcode of the encoding of this number.
    Made(usize),
}

/// Chooses for a viewer that has `current` now; `settled` says that this was chosen long enough ago to try more.
/// `None` while the camera delivers nothing.
pub(super) fn choose(
    encodings: &[Encoding],
    wanted: &VideoParams,
    policy: Passthrough,
    limit: Limit,
    current: Option<Choice>,
    settled: bool,
) -> Option<Choice> {
    let origin = origin(encodings, wanted.width.into(), wanted.height.into())?;
    let suitable = |index: &usize| {
        let info = encodings[*index].info.as_ref();
        info.is_some_and(|info| passthrough(info, wanted, policy).is_ok())
    };
    let own: Vec<usize> = (0..encodings.len()).filter(suitable).collect();
    let Some(&lowest) = own.last() else {
        return Some(Choice::Made(origin));
    };
    let holds = |index: usize, limit: Option<u64>, (tolerance, upwards): (f64, f64)| {
        let better = current.is_some_and(|current| is_better(index, current));
        let margin = if better { upwards } else { tolerance };
        let rate = encodings[index].bitrate.zip(limit);
        rate.is_none_or(|(rate, limit)| rate as f64 <= limit as f64 * margin)
    };
    let fits = |index: &&usize| {
        holds(**index, limit.hard, TOLERANCE) && holds(**index, limit.requested, GENEROSITY)
    };
    let best = own.iter().find(fits).copied();
    let chosen = match best {
        Some(index) => Choice::Own(index),
        None if holds(lowest, limit.hard, TOLERANCE) => Choice::Own(lowest),
        None if policy == Passthrough::Always => Choice::Own(lowest),
        None => Choice::Made(origin),
    };
    // Not up again at once: what went down went down for a reason.
    let upwards = |current| matches!(chosen, Choice::Own(index) if is_better(index, current));
    let stays =
        current.filter(|&current| upwards(current) && !settled && is_possible(current, &own));
    Some(stays.unwrap_or(chosen))
}

/// Share of a hard limit that the bitrate may have (bitrates sway), and that of a better encoding, which has to leave
/// some room.
const TOLERANCE: (f64, f64) = (1.15, 0.8);
/// The same for the wish.
const GENEROSITY: (f64, f64) = (1.5, 1.2);

fn is_better(index: usize, current: Choice) -> bool {
    match current {
        Choice::Own(now) => index < now,
        Choice::Made(_) => true,
    }
}

fn is_possible(choice: Choice, own: &[usize]) -> bool {
    match choice {
        Choice::Own(index) => own.contains(&index),
        Choice::Made(_) => true,
    }
}

/// The encoding to transcode from: the smallest that is not smaller than what is wanted.
pub(super) fn origin(encodings: &[Encoding], width: u32, height: u32) -> Option<usize> {
    let delivers = |index: &usize| encodings[*index].info.is_some();
    let large_enough = |index: &usize| {
        encodings[*index]
            .info
            .as_ref()
            .is_some_and(|info| info.width >= width && info.height >= height)
    };
    let mut delivering = (0..encodings.len()).filter(delivers);
    let first = delivering.next()?;
    Some(delivering.rfind(large_enough).unwrap_or(first))
}

/// `Ok` if the source's own video will do for the viewer, else why not.
fn passthrough(
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

    fn encoding(width: u32, height: u32, kbps: u64) -> Encoding {
        Encoding {
            info: Some(VideoInfo {
                width,
                height,
                ..source()
            }),
            bitrate: Some(kbps * 1000),
        }
    }

    /// A camera of 720p at 2 Mbit/s, with 360p at 400 kbit/s beside it.
    fn two() -> Vec<Encoding> {
        vec![encoding(1280, 720, 2000), encoding(640, 360, 400)]
    }

    fn limit(requested: u64, hard: Option<u64>) -> Limit {
        Limit {
            requested: Some(requested * 1000),
            hard: hard.map(|kbps| kbps * 1000),
        }
    }

    fn chosen(
        encodings: &[Encoding],
        limit: Limit,
        current: Option<Choice>,
        settled: bool,
    ) -> Choice {
        let policy = Passthrough::Auto;
        choose(encodings, &wanted(), policy, limit, current, settled).unwrap()
    }

    #[test]
    fn the_best_encoding_within_the_wish_is_taken() {
        assert_eq!(
            chosen(&two(), limit(2000, None), None, true),
            Choice::Own(0)
        );
        assert_eq!(chosen(&two(), limit(299, None), None, true), Choice::Own(1));
        let single = &two()[..1];
        assert_eq!(chosen(single, limit(299, None), None, true), Choice::Own(0));
    }

    #[test]
    fn a_cap_leads_to_the_lower_encoding_and_below_that_to_a_transcode() {
        let now = Some(Choice::Own(0));
        assert_eq!(
            chosen(&two(), limit(2000, Some(1000)), now, true),
            Choice::Own(1)
        );
        assert_eq!(
            chosen(&two(), limit(2000, Some(100)), now, true),
            Choice::Made(0)
        );
        let policy = Passthrough::Always;
        let always = choose(&two(), &wanted(), policy, limit(2000, Some(100)), now, true);
        assert_eq!(always, Some(Choice::Own(1)));
    }

    #[test]
    fn the_way_up_takes_time_and_room() {
        let now = Some(Choice::Own(1));
        assert_eq!(
            chosen(&two(), limit(4000, None), now, false),
            Choice::Own(1)
        );
        assert_eq!(chosen(&two(), limit(4000, None), now, true), Choice::Own(0));
        assert_eq!(
            chosen(&two(), limit(4000, Some(2100)), now, true),
            Choice::Own(1)
        );
        assert_eq!(
            chosen(&two(), limit(4000, Some(2600)), now, true),
            Choice::Own(0)
        );
        // A wish is no limit of the network: as much as was good enough at first is so again.
        assert_eq!(
            chosen(&two(), limit(1700, Some(4000)), now, true),
            Choice::Own(0)
        );
        let made = Choice::Made(0);
        assert_eq!(
            chosen(&two(), limit(4000, Some(600)), Some(made), false),
            made
        );
        assert_eq!(
            chosen(&two(), limit(4000, Some(600)), Some(made), true),
            Choice::Own(1)
        );
    }

    #[test]
    fn transcodes_are_made_from_the_smallest_that_is_large_enough() {
        let encodings = [
            encoding(1920, 1080, 4000),
            encoding(1280, 720, 2000),
            encoding(640, 360, 400),
        ];
        let never = |encodings: &[Encoding]| {
            choose(
                encodings,
                &wanted(),
                Passthrough::Never,
                Limit::default(),
                None,
                true,
            )
        };
        assert_eq!(never(&encodings), Some(Choice::Made(1)));
        let silent = Encoding {
            info: None,
            bitrate: None,
        };
        assert_eq!(
            never(&[encodings[0].clone(), silent.clone()]),
            Some(Choice::Made(0))
        );
        assert_eq!(
            never(&[silent.clone(), encodings[2].clone()]),
            Some(Choice::Made(1))
        );
        assert_eq!(never(&[silent]), None);
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
