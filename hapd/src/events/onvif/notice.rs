//! Notifications of a camera, and what they mean (ONVIF Core Specification §9.5, Analytics and Device IO topics).

use std::collections::BTreeSet;

use super::xml::Element;
use crate::events::signal::{Change, Kind, MOTION_OFF, Signal};

/// Sensors of one camera that are kept track of.
const MAX_MOVING: usize = 64;
/// Items whose value tells whether something is the case.
const STATES: [&str; 5] = ["IsMotion", "IsInside", "State", "LogicalState", "Value"];

/// One notification.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Notice {
    /// Segments without prefixes: `RuleEngine/CellMotionDetector/Motion`.
    topic: String,
    /// How it stood before the subscription, not news.
    initial: bool,
    /// Which video source, rule or input.
    source: Vec<String>,
    /// Whether it is the case; `None` for what simply happens.
    state: Option<bool>,
}

/// The notifications in the body of a `PullMessagesResponse`.
pub(super) fn all(body: &Element) -> Vec<Notice> {
    let Some(response) = body.find("PullMessagesResponse") else {
        return Vec::new();
    };
    let messages = response
        .children
        .iter()
        .filter(|c| c.name == "NotificationMessage");
    messages.filter_map(Notice::read).collect()
}

impl Notice {
    fn read(notification: &Element) -> Option<Self> {
        let topic = notification.child("Topic")?.trimmed();
        let message = notification.at(&["Message", "Message"])?;
        let operation = message.attribute("PropertyOperation");
        if operation == Some("Deleted") {
            return None;
        }
        let source = items(message, "Source").map(|(_, value)| value.to_owned());
        Some(Self {
            topic: without_prefixes(topic),
            initial: operation == Some("Initialized"),
            source: source.collect(),
            state: state(message),
        })
    }
}

fn without_prefixes(topic: &str) -> String {
    let local = |segment: &str| segment.rsplit(':').next().unwrap_or_default().to_owned();
    let segments: Vec<_> = topic.split('/').map(local).collect();
    segments.join("/")
}

fn items<'m>(message: &'m Element, part: &str) -> impl Iterator<Item = (&'m str, &'m str)> {
    let items = message.child(part).map_or(&[][..], |p| &p.children).iter();
    items
        .filter(|i| i.name == "SimpleItem")
        .filter_map(|item| Some((item.attribute("Name")?, item.attribute("Value")?)))
}

fn state(message: &Element) -> Option<bool> {
    let named = |wanted: &&str| items(message, "Data").find(|(name, _)| name == wanted);
    let item = STATES.iter().find_map(named);
    // Cameras name the item after what they see: IsPeople, IsVehicle.
    let item = item.or_else(|| items(message, "Data").find(|(name, _)| name.starts_with("Is")));
    match item?.1.to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// What a topic is about; `None` for what is no concern of ours.
fn kind(topic: &str, digital_input: Option<Kind>) -> Option<Kind> {
    let lower = topic.to_ascii_lowercase();
    if lower.contains("doorbell") || lower.contains("visitor") {
        return Some(Kind::Ring);
    }
    match topic {
        "Device/Trigger/DigitalInput" => digital_input,
        "VideoSource/MotionAlarm" => Some(Kind::Motion),
        _ if lower.contains("tamper") => None,
        _ if topic.starts_with("RuleEngine/") => Some(Kind::Motion),
        _ => None,
    }
}

/// What a camera's notifications come down to. A camera has several detectors: something moves while any of them says so.
#[derive(Debug)]
pub(super) struct Judge {
    digital_input: Option<Kind>,
    source: Option<String>,
    moving: BTreeSet<String>,
}

impl Judge {
    /// `source`: only events of this video source count.
    pub(super) const fn new(digital_input: Option<Kind>, source: Option<String>) -> Self {
        Self {
            digital_input,
            source,
            moving: BTreeSet::new(),
        }
    }

    /// What the camera is to be told.
    pub(super) fn judge(&mut self, notice: &Notice) -> Option<Signal> {
        let kind = kind(&notice.topic, self.digital_input).filter(|_| self.is_ours(notice))?;
        match (kind, notice.state) {
            (Kind::Ring, state) => {
                (!notice.initial && state != Some(false)).then_some(Signal::RING)
            }
            (Kind::Motion, Some(on)) => self.motion(notice, on),
            (kind, Some(on)) => Signal::new(kind, Some(on.into())).ok(),
            (Kind::Motion, None) if !notice.initial && self.moving.is_empty() => {
                Signal::new(kind, Some(Change::Pulse)).ok()
            }
            _ => None,
        }
    }

    fn is_ours(&self, notice: &Notice) -> bool {
        let wanted = self.source.as_ref();
        wanted.is_none_or(|wanted| notice.source.is_empty() || notice.source.contains(wanted))
    }

    fn motion(&mut self, notice: &Notice, on: bool) -> Option<Signal> {
        let detector = format!("{} {}", notice.topic, notice.source.join(" "));
        if !on {
            let was = self.moving.remove(&detector);
            return (was && self.moving.is_empty()).then_some(MOTION_OFF);
        }
        if self.moving.len() < MAX_MOVING {
            self.moving.insert(detector);
        }
        Signal::new(Kind::Motion, Some(Change::On)).ok()
    }

    /// Nobody knows any more whether something moves: it must not move for ever.
    pub(super) fn release(&mut self) -> Option<Signal> {
        let was = !std::mem::take(&mut self.moving).is_empty();
        was.then_some(MOTION_OFF)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As cameras of several makers write it.
    fn message(topic: &str, operation: &str, source: &str, data: &str) -> String {
        let operation = match operation {
            "" => String::new(),
            operation => format!(" PropertyOperation=\"{operation}\""),
        };
        let item = |text: &str| match text.split_once('=') {
            Some((name, value)) => format!("<tt:SimpleItem Name=\"{name}\" Value=\"{value}\"/>"),
            None => String::new(),
        };
        format!(
            "<wsnt:NotificationMessage><wsnt:Topic Dialect=\"http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet\">{topic}</wsnt:Topic>\
             <wsnt:Message><tt:Message UtcTime=\"2026-01-01T00:00:00Z\"{operation}><tt:Source>{}</tt:Source><tt:Key/><tt:Data>{}</tt:Data>\
             </tt:Message></wsnt:Message></wsnt:NotificationMessage>",
            item(source),
            item(data)
        )
    }

    fn notices(messages: &[String]) -> Vec<Notice> {
        let xml = format!(
            "<Body xmlns:wsnt=\"http://docs.oasis-open.org/wsn/b-2\" xmlns:tt=\"http://www.onvif.org/ver10/schema\">\
             <PullMessagesResponse><CurrentTime>x</CurrentTime>{}</PullMessagesResponse></Body>",
            messages.concat()
        );
        all(&Element::parse(xml.as_bytes()).expect("it is well-formed"))
    }

    fn judged(judge: &mut Judge, topic: &str, operation: &str, source: &str, data: &str) -> String {
        let notices = notices(&[message(topic, operation, source, data)]);
        let signal = notices.first().and_then(|n| judge.judge(n));
        signal.map_or_else(|| "nothing".into(), |s| s.to_string())
    }

    fn judge() -> Judge {
        Judge::new(Some(Kind::Ring), None)
    }

    #[test]
    fn topics_of_cameras() {
        for (topic, data, meaning) in [
            (
                "tns1:RuleEngine/CellMotionDetector/Motion",
                "IsMotion=true",
                "motion on",
            ),
            ("tns1:VideoSource/MotionAlarm", "State=1", "motion on"),
            (
                "tns1:RuleEngine/MyRuleDetector/PeopleDetect",
                "State=true",
                "motion on",
            ),
            (
                "tns1:RuleEngine/MyRuleDetector/Visitor",
                "State=true",
                "ring",
            ),
            (
                "tns1:RuleEngine/MyRuleDetector/Visitor",
                "State=false",
                "nothing",
            ),
            (
                "tns1:RuleEngine/FieldDetector/ObjectsInside",
                "IsInside=true",
                "motion on",
            ),
            (
                "tns1:RuleEngine/PeopleDetector/People",
                "IsPeople=true",
                "motion on",
            ),
            (
                "tns1:RuleEngine/LineDetector/Crossed",
                "ObjectId=7",
                "motion pulse",
            ),
            (
                "tns1:Device/Trigger/DigitalInput",
                "LogicalState=true",
                "ring",
            ),
            ("tns1:Device/tns2:Doorbell/Pressed", "", "ring"),
            (
                "tns1:RuleEngine/TamperDetector/Tamper",
                "IsTamper=true",
                "nothing",
            ),
            (
                "tns1:VideoSource/GlobalSceneChange/ImagingService",
                "State=true",
                "nothing",
            ),
            ("tns1:Monitoring/ProcessorUsage", "Value=1", "nothing"),
            ("", "State=true", "nothing"),
        ] {
            assert_eq!(
                judged(&mut judge(), topic, "Changed", "a=b", data),
                meaning,
                "{topic} {data}"
            );
        }
    }

    #[test]
    fn how_things_stood_before_rings_no_bell() {
        let bell = "tns1:Device/Trigger/DigitalInput";
        assert_eq!(
            judged(
                &mut judge(),
                bell,
                "Initialized",
                "i=1",
                "LogicalState=true"
            ),
            "nothing"
        );
        let motion = "tns1:VideoSource/MotionAlarm";
        assert_eq!(
            judged(&mut judge(), motion, "Initialized", "s=1", "State=true"),
            "motion on"
        );
        assert_eq!(
            judged(&mut judge(), motion, "Deleted", "s=1", "State=true"),
            "nothing"
        );
        let mut input = Judge::new(Some(Kind::Occupancy), None);
        assert_eq!(
            judged(&mut input, bell, "Initialized", "i=1", "LogicalState=1"),
            "occupancy on"
        );
        let mut none = Judge::new(None, None);
        assert_eq!(
            judged(&mut none, bell, "Changed", "i=1", "LogicalState=true"),
            "nothing"
        );
    }

    #[test]
    fn motion_ends_with_the_last_detector() {
        let mut j = judge();
        let (cell, alarm) = (
            "tns1:RuleEngine/CellMotionDetector/Motion",
            "tns1:VideoSource/MotionAlarm",
        );
        assert_eq!(
            judged(&mut j, cell, "Changed", "s=1", "IsMotion=true"),
            "motion on"
        );
        assert_eq!(
            judged(&mut j, alarm, "Changed", "s=1", "State=true"),
            "motion on"
        );
        assert_eq!(
            judged(&mut j, cell, "Changed", "s=1", "IsMotion=false"),
            "nothing"
        );
        assert_eq!(
            judged(&mut j, alarm, "Changed", "s=1", "State=false"),
            "motion off"
        );
        assert_eq!(
            judged(&mut j, alarm, "Changed", "s=1", "State=false"),
            "nothing"
        );
        assert_eq!(j.release(), None);
        judged(&mut j, alarm, "Changed", "s=1", "State=true");
        assert_eq!(j.release(), Some(MOTION_OFF));
    }

    #[test]
    fn other_video_sources_do_not_count() {
        let mut j = Judge::new(None, Some("VS_2".into()));
        let alarm = "tns1:VideoSource/MotionAlarm";
        assert_eq!(
            judged(&mut j, alarm, "Changed", "Source=VS_1", "State=true"),
            "nothing"
        );
        assert_eq!(
            judged(&mut j, alarm, "Changed", "Source=VS_2", "State=true"),
            "motion on"
        );
    }

    #[test]
    fn many_at_once_in_their_order() {
        let alarm = |state: &str| message("tns1:VideoSource/MotionAlarm", "Changed", "s=1", state);
        let all = notices(&[alarm("State=true"), alarm("State=false")]);
        let states: Vec<_> = all.iter().map(|n| n.state).collect();
        assert_eq!(states, [Some(true), Some(false)]);
        let many: Vec<_> = (0..1000)
            .map(|i| {
                message(
                    "tns1:VideoSource/MotionAlarm",
                    "Changed",
                    &format!("s={i}"),
                    "State=true",
                )
            })
            .collect();
        let mut j = judge();
        notices(&many)
            .iter()
            .for_each(|n| assert!(j.judge(n).is_some()));
        assert_eq!(j.moving.len(), MAX_MOVING);
    }
}
