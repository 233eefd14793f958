//! A camera's `motion`: who finds out whether something moves.

use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fields::{Fields, known_keys};
use crate::media::motion::{Detector, MotionSettings, Zones};
use crate::media::{CameraSource, Source};

const MOTION: &[&str] = &["detector", "sensitivity", "zones", "hold", "stream"];

const DETECTORS: &str = "\"auto\", \"off\", \"hapmotion\", \"motioncells\", or \"message:\" and the name of an element's message";

/// Who was asked for.
#[derive(Clone, Debug, PartialEq)]
enum Choice {
    /// `hapmotion`, unless motion is told from elsewhere.
    Auto,
    Off,
    By(Detector),
}

/// How motion is watched for; `None`: it is not. `told`: somebody else tells of motion. Without recordings it is watched for
/// where the configuration says so.
pub(super) fn camera(
    f: &mut Fields<'_, '_, '_>,
    media: Option<&CameraSource>,
    recording: bool,
    told: bool,
) -> Option<MotionSettings> {
    let value = f.table.get("motion");
    let (choice, settings) = match value {
        None => (Choice::Auto, MotionSettings::default()),
        Some(value) => match value.get_ref().as_table() {
            Some(table) => from_table(f, table, value, media),
            None => (choice(f, "motion"), MotionSettings::default()),
        },
    };
    let detector = match choice {
        Choice::By(detector) => detector,
        Choice::Auto if !told => Detector::Hapmotion,
        Choice::Auto | Choice::Off => return None,
    };
    if value.is_some() {
        check(f, &detector, media);
    }
    (recording || value.is_some()).then_some(MotionSettings {
        detector,
        always: value.is_some(),
        ..settings
    })
}

fn check(f: &mut Fields<'_, '_, '_>, detector: &Detector, media: Option<&CameraSource>) {
    let launch = media.is_none_or(|media| matches!(media.source, Source::Launch(_)));
    if matches!(detector, Detector::Message(_)) && !launch {
        let reason = "only the elements of a launch: source have messages to listen to";
        f.complain("motion", reason);
    }
}

fn from_table(
    f: &mut Fields<'_, '_, '_>,
    table: &DeTable<'_>,
    value: &Spanned<DeValue<'_>>,
    media: Option<&CameraSource>,
) -> (Choice, MotionSettings) {
    let mut f = Fields {
        table,
        whole: value.span(),
        mistakes: f.mistakes,
    };
    known_keys(table, MOTION, "motion", f.mistakes);
    let defaults = MotionSettings::default();
    let hold = f.integer::<u16>("hold", 0, 120);
    let lower = media.map_or(super::document::MAX_STREAMS, |media| media.streams.len());
    let settings = MotionSettings {
        sensitivity: sensitivity(&mut f).unwrap_or(defaults.sensitivity),
        zones: zones(&mut f).unwrap_or_default(),
        hold: hold.map_or(defaults.hold, |seconds| Duration::from_secs(seconds.into())),
        stream: stream(&mut f, lower),
        ..defaults
    };
    (choice(&mut f, "detector"), settings)
}

fn choice(f: &mut Fields<'_, '_, '_>, key: &str) -> Choice {
    let Some(text) = f.string(key) else {
        return Choice::Auto;
    };
    match (text.as_str(), text.strip_prefix("message:")) {
        ("auto", _) => Choice::Auto,
        ("off", _) => Choice::Off,
        ("hapmotion", _) => Choice::By(Detector::Hapmotion),
        ("motioncells", _) => Choice::By(Detector::Motioncells),
        (_, Some(name)) if is_name(name) => Choice::By(Detector::Message(name.to_owned())),
        _ => {
            f.complain(key, format!("{key} is one of {DETECTORS}"));
            Choice::Off
        }
    }
}

/// Of a GStreamer structure.
fn is_name(name: &str) -> bool {
    let more = |c: char| c.is_ascii_alphanumeric() || "/-_.:+".contains(c);
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.len() <= 128
        && name.chars().all(more)
}

fn sensitivity(f: &mut Fields<'_, '_, '_>) -> Option<f64> {
    let value = f.table.get("sensitivity")?;
    let number = number(value.get_ref()).filter(|number| (0.0..=1.0).contains(number));
    if number.is_none() {
        f.complain("sensitivity", "sensitivity is a number from 0.0 to 1.0");
    }
    number
}

fn stream(f: &mut Fields<'_, '_, '_>, lower: usize) -> Option<usize> {
    let stream = f.integer::<usize>("stream", 0, 64)?;
    if stream > lower {
        let reason = match lower {
            0 => "there is only stream 0, the source itself: streams names no others".to_owned(),
            _ => format!("stream is 0, the source itself, or one of its streams, 1 to {lower}"),
        };
        f.complain("stream", reason);
        return None;
    }
    Some(stream)
}

fn zones(f: &mut Fields<'_, '_, '_>) -> Option<Zones> {
    let value = f.table.get("zones")?;
    let Some(list) = value.get_ref().as_array() else {
        f.complain(
            "zones",
            "zones is a list of areas, each a list of corners from 0.0 to 1.0, for example \
             [[[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]]]",
        );
        return None;
    };
    let mut polygons = Vec::new();
    for zone in list.iter() {
        let corners = polygon(f, zone)?;
        // Each for itself, so that the mistake has the line of its zone.
        if let Err(error) = Zones::new(vec![corners.clone()]) {
            f.mistakes.at(zone.span().start, error.to_string());
            return None;
        }
        polygons.push(corners);
    }
    Zones::new(polygons)
        .map_err(|error| f.complain("zones", error.to_string()))
        .ok()
}

fn polygon(f: &mut Fields<'_, '_, '_>, zone: &Spanned<DeValue<'_>>) -> Option<Vec<(f32, f32)>> {
    let corners = zone
        .get_ref()
        .as_array()
        .into_iter()
        .flat_map(|list| list.iter());
    let corners: Option<Vec<_>> = corners.map(|corner| pair(corner.get_ref())).collect();
    if corners.is_none() || zone.get_ref().as_array().is_none() {
        f.mistakes.at(
            zone.span().start,
            "a zone is a list of corners, each two numbers from 0.0 to 1.0: [0.1, 0.9]",
        );
        return None;
    }
    corners
}

fn pair(corner: &DeValue<'_>) -> Option<(f32, f32)> {
    let list = corner.as_array().filter(|list| list.len() == 2)?;
    let mut numbers = list.iter().map(|value| number(value.get_ref()));
    Some((numbers.next()?? as f32, numbers.next()?? as f32))
}

/// A number with or without a point.
fn number(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Float(float) => float.as_str().parse().ok(),
        DeValue::Integer(integer) => integer.as_str().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn config(motion: &str) -> String {
        format!(
            "[[camera]]\nname = \"x\"\nsource = \"launch:videotestsrc\"\nstreams = [\"test\"]\n{motion}\n"
        )
    }

    fn settings(motion: &str) -> Option<MotionSettings> {
        let text = config(motion);
        parse(&text)
            .unwrap_or_else(|e| panic!("{text}: {e}"))
            .cameras[0]
            .motion
            .clone()
    }

    /// What a camera that names no particulars gets: it is watched whatever Home wants.
    fn named() -> MotionSettings {
        MotionSettings {
            always: true,
            ..MotionSettings::default()
        }
    }

    fn detector(motion: &str) -> Option<Detector> {
        settings(motion).map(|settings| settings.detector)
    }

    #[test]
    fn detectors_are_named_by_a_text() {
        assert_eq!(settings(""), Some(MotionSettings::default()));
        assert_eq!(detector("motion = \"auto\""), Some(Detector::Hapmotion));
        assert_eq!(detector("motion = \"off\""), None);
        assert_eq!(
            detector("motion = \"hapmotion\""),
            Some(Detector::Hapmotion)
        );
        assert_eq!(
            detector("motion = \"motioncells\""),
            Some(Detector::Motioncells)
        );
        let message = Detector::Message("motion".into());
        assert_eq!(detector("motion = \"message:motion\""), Some(message));
    }

    #[test]
    fn a_table_says_more() {
        let text = "motion = { detector = \"hapmotion\", sensitivity = 0.75, hold = 5, stream = 1, \
                    zones = [[[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]], [[0, 0], [1, 0], [1, 1]]] }";
        let expected = MotionSettings {
            always: true,
            detector: Detector::Hapmotion,
            sensitivity: 0.75,
            zones: Zones::parse("0.1,0.1 0.9,0.1 0.5,0.9; 0,0 1,0 1,1").unwrap(),
            hold: Duration::from_secs(5),
            stream: Some(1),
        };
        assert_eq!(settings(text), Some(expected));
        assert_eq!(settings("motion = {}"), Some(named()));
        assert_eq!(
            settings("[camera.motion]\nsensitivity = 1")
                .unwrap()
                .sensitivity,
            1.0
        );
    }

    #[test]
    fn nobody_looks_where_motion_is_told() {
        let mqtt = "mqtt = { motion = \"front/motion\" }\n";
        let with = |motion: &str| {
            let text = format!(
                "[mqtt]\nurl = \"mqtt://127.0.0.1\"\n{}",
                config(&format!("{mqtt}{motion}"))
            );
            parse(&text).unwrap().cameras[0].motion.clone()
        };
        assert_eq!(with(""), None);
        assert_eq!(with("motion = \"auto\""), None);
        assert_eq!(with("motion = \"hapmotion\""), Some(named()));
        assert_eq!(settings("recording = false"), None);
        let alone = settings("recording = false\nmotion = \"hapmotion\"");
        assert_eq!(alone, Some(named()), "a motion sensor without recordings");
    }

    #[test]
    fn mistakes_have_their_line() {
        for (text, line, part) in [
            ("motion = \"of\"", 5, "motion is one of"),
            ("motion = 3", 5, "motion is a text"),
            ("motion = \"message:\"", 5, "message:"),
            ("motion = \"message:a b\"", 5, "message:"),
            (
                "motion = { detecter = \"off\" }",
                5,
                "did you mean \"detector\"?",
            ),
            ("motion = { detector = \"x\" }", 5, "detector is one of"),
            ("[camera.motion]\n\nsensitivity = 1.5", 7, "0.0 to 1.0"),
            ("motion = { sensitivity = nan }", 5, "0.0 to 1.0"),
            ("motion = { sensitivity = \"high\" }", 5, "0.0 to 1.0"),
            ("motion = { hold = -1 }", 5, "0 to 120"),
            ("motion = { stream = 2 }", 5, "1 to 1"),
            ("motion = { zones = 1 }", 5, "list of areas"),
            (
                "[camera.motion]\nzones = [\n [[0,0],[1,0],[1,1]],\n [[0,0],[1,1]]]",
                8,
                "3 to",
            ),
            (
                "[camera.motion]\nzones = [\n [[0,0],[1,0],[1,2]]]",
                7,
                "1,2",
            ),
            ("motion = { zones = [[[0,0],[1,0],[1]]] }", 5, "two numbers"),
            ("motion = { zones = [0.5] }", 5, "two numbers"),
        ] {
            let mistakes = parse(&config(text)).expect_err(text);
            let list: Vec<_> = mistakes
                .list()
                .iter()
                .map(|m| (m.line, m.reason.as_str()))
                .collect();
            assert!(
                list.len() == 1 && list[0].0 == line && list[0].1.contains(part),
                "{text}: {list:?}"
            );
        }
        let text = "[[camera]]\nname = \"x\"\nsource = \"test\"\nmotion = \"message:motion\"\n";
        assert!(parse(text).unwrap_err().to_string().contains("launch:"));
        let text = "[[camera]]\nname = \"x\"\nsource = \"test\"\nmotion = { stream = 1 }\n";
        assert!(
            parse(text)
                .unwrap_err()
                .to_string()
                .contains("only stream 0")
        );
    }
}
