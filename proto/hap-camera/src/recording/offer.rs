//! Sizes and rates that are offered for recordings.

use crate::rtp::VideoAttributes;

/// Macroblocks of a picture and per second at level 4.0 (ITU-T H.264 table A-1), the highest level offered.
const LEVEL_4_0: (u32, u32) = (8_192, 245_760);

/// What retail cameras offer and hubs were seen to select.
const WIDE: [(u16, u16); 2] = [(1920, 1080), (1280, 720)];

/// Heights that sources of another shape are scaled to.
const HEIGHTS: [u16; 4] = [1200, 960, 720, 480];

/// Sizes and rates for a source of at most `width` x `height` at `fps`, best first; never empty.
///
/// A source is recorded in its own shape: a hub was seen to select a wide picture of an upright source and then to
/// never record, and pictures above the level's limit of macroblocks failed.
pub(super) fn attributes(width: u16, height: u16, fps: u8) -> Vec<VideoAttributes> {
    let (width, height) = (even(width), even(height));
    let rates = rates(fps);
    let upright = height > width;
    let sizes = sizes(width.max(height), width.min(height), rates[0]);
    let each_rate = |(long, short): (u16, u16)| {
        let (w, h) = if upright {
            (short, long)
        } else {
            (long, short)
        };
        rates
            .iter()
            .map(move |&fps| VideoAttributes::new(w, h, fps))
    };
    sizes.into_iter().flat_map(each_rate).collect()
}

/// 15 and, for faster sources, 24 or 30: the first that is not below the source's rate, if there is one.
fn rates(fps: u8) -> &'static [u8] {
    match fps {
        0..=15 => &[15],
        16..=24 => &[24, 15],
        _ => &[30, 15],
    }
}

/// At most two sizes, with the long side first.
fn sizes(long: u16, short: u16, fps: u8) -> Vec<(u16, u16)> {
    let mut sizes = vec![(long, short)];
    if is_wide(long, short) {
        sizes = WIDE.to_vec();
        sizes.retain(|&(w, h)| w <= long && h <= short);
        if sizes.is_empty() {
            sizes.push((long, short));
        }
    } else {
        let scaled = HEIGHTS.into_iter().filter(|&height| height < short);
        sizes.extend(scaled.map(|height| (scale(long, short, height), height)));
    }
    sizes.retain(|&(w, h)| within_level(w, h, fps));
    sizes.truncate(2);
    if sizes.is_empty() {
        sizes.push(WIDE[1]);
    }
    sizes
}

/// 16:9, give or take a twentieth.
fn is_wide(long: u16, short: u16) -> bool {
    let (sixteen, nine) = (u32::from(short) * 16, u32::from(long) * 9);
    sixteen.abs_diff(nine) * 20 <= nine
}

fn within_level(width: u16, height: u16, fps: u8) -> bool {
    let blocks = u32::from(width).div_ceil(16) * u32::from(height).div_ceil(16);
    blocks <= LEVEL_4_0.0 && blocks * u32::from(fps) <= LEVEL_4_0.1
}

/// The width that goes with `height`, in the shape `long` x `short`.
fn scale(long: u16, short: u16, height: u16) -> u16 {
    let width = u32::from(long) * u32::from(height) / u32::from(short.max(1));
    even(u16::try_from(width).unwrap_or(u16::MAX))
}

/// Encoders take even sizes only, and decoders none that is smaller than a macroblock.
fn even(size: u16) -> u16 {
    (size & !1).clamp(16, 8192)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(width: u16, height: u16, fps: u8) -> Vec<String> {
        let each = attributes(width, height, fps);
        each.iter()
            .map(|a| format!("{}x{}@{}", a.width, a.height, a.fps))
            .collect()
    }

    #[test]
    fn wide_sources_offer_the_usual_sizes() {
        let full = ["1920x1080@30", "1920x1080@15", "1280x720@30", "1280x720@15"];
        assert_eq!(offered(1920, 1080, 30), full);
        assert_eq!(offered(3840, 2160, 60), full);
        assert_eq!(offered(1920, 1080, 25), full);
        assert_eq!(offered(1280, 720, 24), ["1280x720@24", "1280x720@15"]);
        assert_eq!(offered(640, 360, 10), ["640x360@15"]);
    }

    #[test]
    fn other_shapes_are_kept() {
        assert_eq!(offered(1600, 1200, 15), ["1600x1200@15", "1280x960@15"]);
        assert_eq!(
            offered(1200, 1600, 20),
            ["1200x1600@24", "1200x1600@15", "960x1280@24", "960x1280@15"]
        );
        assert_eq!(offered(1080, 1920, 15), ["1080x1920@15", "720x1280@15"]);
        assert_eq!(offered(640, 480, 15), ["640x480@15"]);
    }

    #[test]
    fn sizes_above_the_level_are_scaled() {
        assert_eq!(offered(1920, 1440, 15), ["1600x1200@15", "1280x960@15"]);
        assert_eq!(offered(2560, 1080, 15), ["1706x720@15", "1136x480@15"]);
    }

    #[test]
    fn every_source_offers_something_that_level_4_0_allows() {
        for width in (0..=u16::MAX).step_by(487) {
            for height in (0..=u16::MAX).step_by(491) {
                let offer = attributes(width, height, 255);
                assert!(!offer.is_empty() && offer.len() <= 4);
                let fits = |a: &VideoAttributes| within_level(a.width, a.height, a.fps);
                assert!(offer.iter().all(fits), "{width}x{height}: {offer:?}");
            }
        }
    }
}
