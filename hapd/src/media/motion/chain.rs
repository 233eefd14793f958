//! The pipeline of a detector, as a launch description.

use gsthomekit::hapmotion::luma::Grid;
use pipelines::{Chain, Element};

use super::super::decoders;
use super::super::track::Codec;
use super::pick::RATE;
use super::{Detector, MotionSettings};

/// Cells of motioncells: what it takes a picture for.
const COLUMNS: usize = 16;
const ROWS: usize = 12;

/// Name of the element whose input shows that pictures come.
pub(super) const DETECTOR: &str = "detector";

/// What a watched encoding goes through, for the `attempt`th try: after the last decoder follows the first again.
pub(super) fn description(
    settings: &MotionSettings,
    caps: &gst::Caps,
    attempt: usize,
) -> Result<String, String> {
    let detector = detector(settings)?;
    // Converts nothing where the detector takes what the decoder makes.
    let chain = Element::new("appsrc")
        .set("name", "in")
        .to(decoder(caps, attempt)?);
    let sink = Element::new("fakesink")
        .set("sync", false)
        .set("async", false);
    Ok(chain
        .to(Element::new("videoconvert"))
        .to(detector)
        .to(sink)
        .to_string())
}

/// Nothing for raw video.
fn decoder(caps: &gst::Caps, attempt: usize) -> Result<Chain, String> {
    if Codec::of(caps) == Some(Codec::RawVideo) {
        return Ok(std::iter::empty().collect());
    }
    let all = decoders::of(caps);
    let Some(name) = all.get(attempt % all.len().max(1)) else {
        let name = caps.structure(0).map_or("it", |s| s.name().as_str());
        return Err(format!("there is no decoder for {name}"));
    };
    Ok(decoders::for_single_pictures(name).into())
}

fn detector(settings: &MotionSettings) -> Result<Chain, String> {
    let needed = match settings.detector {
        Detector::Hapmotion => return Ok(hapmotion(settings).into()),
        Detector::Motioncells => "motioncells",
        Detector::Message(_) => return Err("messages need no pipeline".to_owned()),
    };
    match gst::ElementFactory::find(needed) {
        Some(_) => Ok(motioncells(settings)),
        None => Err(format!("there is no element {needed} here")),
    }
}

fn hapmotion(settings: &MotionSettings) -> Element {
    Element::new("hapmotion")
        .set("name", DETECTOR)
        .set("max-fps", RATE)
        .set("sensitivity", settings.sensitivity)
        .set("hold-time", settings.hold.as_millis())
        .set("zones", &settings.zones)
}

fn motioncells(settings: &MotionSettings) -> Chain {
    let rate = Element::new("videorate")
        .set("name", DETECTOR)
        .set("drop-only", true)
        .set("max-rate", RATE);
    let cells = Element::new("motioncells")
        .set("display", false)
        .set("sensitivity", settings.sensitivity)
        .set("gridx", COLUMNS)
        .set("gridy", ROWS)
        .set("motioncellsidx", cells(settings))
        .set("gap", settings.hold.as_secs().clamp(1, 60));
    rate.to(Element::new("videoconvert")).to(cells)
}

/// The cells in a zone, as line and column; nothing for everywhere.
fn cells(settings: &MotionSettings) -> String {
    let grid = Grid {
        width: COLUMNS,
        height: ROWS,
        columns: COLUMNS,
        rows: ROWS,
    };
    let mask = settings.zones.mask(&grid);
    if mask.iter().all(|&inside| inside) {
        return String::new();
    }
    let inside = mask.iter().enumerate().filter(|(_, inside)| **inside);
    let cells = inside.map(|(cell, _)| format!("{}:{}", cell / COLUMNS, cell % COLUMNS));
    cells.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use super::super::Zones;
    use super::*;

    fn caps(text: &str) -> gst::Caps {
        super::super::super::init().unwrap();
        gst::Caps::from_str(text).unwrap()
    }

    #[test]
    fn descriptions_can_be_built() {
        let mut settings = MotionSettings {
            zones: Zones::parse("0,0 0.5,0 0.5,1 0,1; 0.7,0 1,0 1,1").unwrap(),
            ..MotionSettings::default()
        };
        for detector in [Detector::Hapmotion, Detector::Motioncells] {
            settings.detector = detector;
            for text in [
                "video/x-raw,format=I420",
                "image/jpeg,parsed=true",
                "video/x-h264,stream-format=byte-stream",
            ] {
                let caps = caps(text);
                match description(&settings, &caps, 0) {
                    Ok(text) => drop(gst::parse::launch(&text).unwrap()),
                    Err(reason) => assert!(reason.contains("motioncells"), "{reason}"),
                }
            }
        }
    }

    #[test]
    fn zones_reach_the_element() {
        let settings = MotionSettings {
            zones: Zones::parse("0,0 0.5,0 0.5,1 0,1; 0.7,0 1,0 1,1").unwrap(),
            ..MotionSettings::default()
        };
        let text = description(&settings, &caps("video/x-raw,format=I420"), 0).unwrap();
        let bin = gst::parse::bin_from_description(&text, false).unwrap();
        use gst::prelude::*;
        let element = bin.by_name(DETECTOR).unwrap();
        assert_eq!(
            element.property::<String>("zones"),
            settings.zones.to_string()
        );
        assert_eq!(element.property::<u32>("hold-time"), 2000);
    }

    #[test]
    fn every_decoder_has_its_turn() {
        let caps = caps("video/x-h264,stream-format=byte-stream,alignment=au");
        let all = decoders::of(&caps);
        for attempt in 0..all.len() + 1 {
            let text = description(&MotionSettings::default(), &caps, attempt).unwrap();
            assert!(text.contains(&all[attempt % all.len()]), "{text}");
        }
        let none = description(
            &MotionSettings::default(),
            &gst::Caps::builder("video/x-nothing").build(),
            0,
        );
        assert!(none.unwrap_err().contains("video/x-nothing"));
    }

    #[test]
    fn cells_in_a_zone_are_named_by_line_and_column() {
        let mut settings = MotionSettings::default();
        assert_eq!(cells(&settings), "");
        settings.zones = Zones::parse("0,0 0.13,0 0.13,0.1 0,0.1").unwrap();
        assert_eq!(cells(&settings), "0:0,0:1");
    }
}
