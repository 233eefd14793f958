//! What is told of each clip.

use std::fmt;
use std::path::PathBuf;

use hds_proto::Reason;
use serde::Serialize;

use crate::clip::checker::Summary;
use crate::clip::rule::{Findings, Rule};

/// One clip, as it is printed.
#[derive(Debug, Clone, Serialize)]
pub struct ClipReport {
    /// The clip; none when nothing of it was kept.
    pub file: Option<PathBuf>,
    /// The picture of the moment.
    pub poster: Option<PathBuf>,
    /// Duration of the video.
    pub duration_ms: u64,
    /// Of that, before the event.
    pub prebuffer_ms: Option<i64>,
    /// From `open` to the initialization.
    pub open_to_init_ms: Option<u64>,
    /// From `open` to the end of the first fragment.
    pub open_to_first_fragment_ms: Option<u64>,
    /// Fragments.
    pub fragments: u64,
    /// Bytes, the initialization included.
    pub bytes: u64,
    /// Codec of the video, as in RFC 6381: `avc1.64001F`.
    pub video_codec: Option<String>,
    /// Codec of the sound, as in RFC 6381: `mp4a.40.2`.
    pub audio_codec: Option<String>,
    /// Why it ended.
    pub ended: String,
    /// What is wrong with it.
    pub findings: Vec<String>,
}

/// Why a recording ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The camera said that this was all.
    EndOfStream,
    /// The camera did not open it.
    Refused(Reason),
    /// The camera closed it.
    ClosedByCamera(Reason),
    /// The hub had enough.
    ClosedByHub,
    /// The camera fell silent.
    Silence,
    /// The data stream broke.
    Lost(String),
    /// Somebody ended the program.
    Interrupted,
    /// The hub misbehaved.
    Aborted(&'static str),
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = |r: &Reason| format!("{r} ({})", r.code());
        match self {
            Self::EndOfStream => f.write_str("end of stream"),
            Self::Refused(reason) => write!(f, "refused: {}", code(reason)),
            Self::ClosedByCamera(reason) => write!(f, "closed by the camera: {}", code(reason)),
            Self::ClosedByHub => f.write_str("closed by the hub"),
            Self::Silence => f.write_str("the camera fell silent"),
            Self::Lost(why) => write!(f, "connection lost: {why}"),
            Self::Interrupted => f.write_str("interrupted"),
            Self::Aborted(what) => write!(f, "aborted on purpose: {what}"),
        }
    }
}

impl Ending {
    /// What rule the end breaks, `ended` when `endOfStream` came before.
    pub fn check(&self, ended: bool, fragments: u64, findings: &mut Findings) {
        match self {
            Self::EndOfStream if fragments == 0 => {
                findings.add(Rule::EndOfStream, "the stream ended without a fragment");
            }
            Self::Refused(_) => findings.add(Rule::Accepted, format!("open was {self}")),
            Self::ClosedByCamera(Reason::Normal) if !ended => findings.add(
                Rule::EndOfStream,
                "the camera closed before endOfStream: a hub throws such a clip away",
            ),
            Self::ClosedByCamera(reason) if *reason != Reason::Normal => {
                findings.add(Rule::CloseReason, self.to_string());
            }
            Self::Silence => findings.add(Rule::Silence, "nothing came for too long"),
            Self::Lost(why) => findings.add(Rule::Framing, why.clone()),
            _ => {}
        }
    }

    /// Whether a fragment under way ought to have come to its end.
    #[must_use]
    pub fn is_cameras(&self) -> bool {
        !matches!(
            self,
            Self::ClosedByHub | Self::Interrupted | Self::Aborted(_)
        )
    }
}

impl ClipReport {
    /// Of what was seen and kept.
    #[must_use]
    pub fn new(
        summary: Summary,
        ending: &Ending,
        file: Option<PathBuf>,
        poster: Option<PathBuf>,
    ) -> Self {
        Self {
            file,
            poster,
            duration_ms: summary.duration_ms,
            prebuffer_ms: summary.prebuffer_ms,
            open_to_init_ms: summary.open_to_init_ms,
            open_to_first_fragment_ms: summary.open_to_first_fragment_ms,
            fragments: summary.fragments,
            bytes: summary.bytes,
            video_codec: summary.video_codec,
            audio_codec: summary.audio_codec,
            ended: ending.to_string(),
            findings: summary.findings.lines(),
        }
    }

    /// Lines for people.
    #[must_use]
    pub fn human(&self, number: u64) -> String {
        let ms = |t: Option<u64>| t.map_or("never".into(), |t| format!("after {t} ms"));
        let before = self.prebuffer_ms.map_or(String::new(), |p| {
            format!(" ({:.1} s before the event)", p as f64 / 1000.0)
        });
        let codecs: Vec<&str> = [&self.video_codec, &self.audio_codec]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        let mut lines = vec![format!(
            "clip {number}  {:.1} s{before}, {} fragments, {} bytes, {}, first fragment {}, {}",
            self.duration_ms as f64 / 1000.0,
            self.fragments,
            self.bytes,
            codecs.join(" + "),
            ms(self.open_to_first_fragment_ms),
            self.ended,
        )];
        lines.extend(self.file.iter().map(|f| format!("  {}", f.display())));
        lines.extend(self.findings.iter().map(|f| format!("  ! {f}")));
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(ending: &Ending, ended: bool, fragments: u64) -> Vec<Rule> {
        let mut findings = Findings::default();
        ending.check(ended, fragments, &mut findings);
        findings.rules().collect()
    }

    #[test]
    fn ends_are_judged() {
        use Ending as E;
        let good = [
            (E::EndOfStream, true),
            (E::ClosedByCamera(Reason::Normal), true),
            (E::ClosedByHub, false),
            (E::Interrupted, false),
            (E::Aborted("vanished"), false),
        ];
        for (ending, ended) in good {
            assert_eq!(rules(&ending, ended, 3), [], "{ending}");
        }
        let bad = [
            (E::EndOfStream, true, 0, Rule::EndOfStream),
            (
                E::ClosedByCamera(Reason::Normal),
                false,
                3,
                Rule::EndOfStream,
            ),
            (
                E::ClosedByCamera(Reason::Cancelled),
                true,
                3,
                Rule::CloseReason,
            ),
            (E::Refused(Reason::NotAllowed), false, 0, Rule::Accepted),
            (E::Silence, false, 3, Rule::Silence),
            (E::Lost("reset".into()), false, 3, Rule::Framing),
        ];
        for (ending, ended, fragments, rule) in bad {
            assert_eq!(rules(&ending, ended, fragments), [rule], "{ending}");
        }
    }
}
