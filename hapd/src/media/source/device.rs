//! Which of a capture device's formats to take.

use std::cmp::Reverse;

/// What a format of the device offers, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Offer {
    kind: Kind,
    width: i32,
    height: i32,
}

/// In order of preference: encoded as viewers want it, raw, to be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    H264,
    Raw,
    Jpeg,
}

/// The best of a device's formats for `size` and `fps`: the size itself or the next larger, H.264 before raw before JPEG,
/// except that raw formats which cannot reach the frame rate come last. `None` if it has no usable one.
pub(super) fn choose(offered: &gst::CapsRef, size: (u16, u16), fps: u8) -> Option<gst::Caps> {
    let candidates = offered.iter().filter_map(|s| {
        let rate = nearest_rate(s, fps)?;
        let offer = offer(s, size)?;
        Some((score(offer, size, rate, fps), offer, s, rate))
    });
    let (_, offer, s, rate) = candidates.min_by_key(|(score, ..)| *score)?;
    let mut fixed = s.to_owned();
    fixed.set("width", offer.width);
    fixed.set("height", offer.height);
    fixed.set("framerate", rate);
    fixed.fixate();
    Some(gst::Caps::from_iter([fixed]))
}

fn offer(s: &gst::StructureRef, size: (u16, u16)) -> Option<Offer> {
    let kind = match s.name().as_str() {
        "video/x-h264" => Kind::H264,
        "video/x-raw" => Kind::Raw,
        "image/jpeg" => Kind::Jpeg,
        _ => return None,
    };
    Some(Offer {
        kind,
        width: nearest(s, "width", size.0)?,
        height: nearest(s, "height", size.1)?,
    })
}

/// The value of an integer field nearest to `wanted`, not below where possible.
fn nearest(s: &gst::StructureRef, field: &str, wanted: u16) -> Option<i32> {
    let wanted = i32::from(wanted);
    if let Ok(value) = s.get::<i32>(field) {
        return Some(value);
    }
    if let Ok(range) = s.get::<gst::IntRange<i32>>(field) {
        return Some(wanted.clamp(range.min(), range.max()));
    }
    let list = s.get::<gst::List>(field).ok()?;
    let values = list.iter().filter_map(|v| v.get::<i32>().ok());
    values.min_by_key(|v| (*v < wanted, (v - wanted).abs()))
}

/// The frame rate nearest to `wanted`.
fn nearest_rate(s: &gst::StructureRef, wanted: u8) -> Option<gst::Fraction> {
    let wanted = gst::Fraction::new(i32::from(wanted), 1);
    if let Ok(rate) = s.get::<gst::Fraction>("framerate") {
        return Some(rate);
    }
    if let Ok(range) = s.get::<gst::FractionRange>("framerate") {
        return Some(wanted.clamp(range.min(), range.max()));
    }
    if let Ok(list) = s.get::<gst::List>("framerate") {
        let rates = list.iter().filter_map(|v| v.get::<gst::Fraction>().ok());
        return rates.min_by_key(|rate| (milli(*rate) - milli(wanted)).abs());
    }
    Some(wanted)
}

fn milli(rate: gst::Fraction) -> i64 {
    i64::from(rate.numer()) * 1000 / i64::from(rate.denom().max(1))
}

/// Less is better.
fn score(
    offer: Offer,
    size: (u16, u16),
    rate: gst::Fraction,
    fps: u8,
) -> (bool, Reverse<bool>, i32, Kind) {
    let (width, height) = (i32::from(size.0), i32::from(size.1));
    let smaller = offer.width < width || offer.height < height;
    let distance = (offer.width - width).abs() + (offer.height - height).abs();
    // 25 for 30 is all right, the 5 of a raw 1080p over USB 2 is not.
    let slow = milli(rate) * 10 < i64::from(fps) * 1000 * 8;
    (slow, Reverse(!smaller), distance, offer.kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::str::FromStr;

    fn chosen(offered: &str, size: (u16, u16)) -> String {
        gst::init().unwrap();
        let offered = gst::Caps::from_str(offered).unwrap();
        let caps = choose(&offered, size, 30).unwrap();
        let s = caps.structure(0).unwrap();
        format!(
            "{} {}x{}",
            s.name(),
            s.get::<i32>("width").unwrap(),
            s.get::<i32>("height").unwrap()
        )
    }

    const WEBCAM: &str = "video/x-raw,format=YUY2,width=640,height=480,framerate={30/1,15/1};\
        video/x-raw,format=YUY2,width=1280,height=720,framerate=10/1;\
        image/jpeg,width=1280,height=720,framerate=30/1;\
        image/jpeg,width=640,height=480,framerate=30/1";

    #[test]
    fn raw_is_taken_where_it_is_quick_enough() {
        assert_eq!(chosen(WEBCAM, (640, 480)), "video/x-raw 640x480");
        assert_eq!(chosen(WEBCAM, (1280, 720)), "image/jpeg 1280x720");
    }

    #[test]
    fn h264_is_preferred() {
        let offered = format!("{WEBCAM};video/x-h264,width=1280,height=720,framerate=30/1");
        assert_eq!(chosen(&offered, (1280, 720)), "video/x-h264 1280x720");
    }

    #[test]
    fn ranges_and_lists_are_met() {
        let ranges = "video/x-raw,format={YUY2,NV12},width=[32,1920,2],height=[32,1080,2],framerate=[1/1,60/1]";
        assert_eq!(chosen(ranges, (1280, 720)), "video/x-raw 1280x720");
        let lists = "video/x-raw,width={320,800,1600},height={240,600,1200},framerate=30/1";
        assert_eq!(chosen(lists, (640, 480)), "video/x-raw 800x600");
    }

    #[test]
    fn a_larger_picture_is_better_than_a_smaller_one() {
        let offered = "image/jpeg,width=640,height=480,framerate=30/1;image/jpeg,width=1920,height=1080,framerate=30/1";
        assert_eq!(chosen(offered, (800, 600)), "image/jpeg 1920x1080");
    }

    #[test]
    fn nothing_usable_is_said() {
        gst::init().unwrap();
        let caps = gst::Caps::from_str("video/x-bayer,width=640,height=480").unwrap();
        assert_eq!(choose(&caps, (640, 480), 30), None);
    }
}
