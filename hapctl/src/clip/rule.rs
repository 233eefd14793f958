//! What a recording must be like, and where that is written.

use std::collections::BTreeMap;

/// Findings of one rule that are told one by one; of the rest only how many there were.
const TOLD: usize = 3;

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident: $source:literal,)*) => {
        /// A rule a recording keeps or breaks.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $($(#[$doc])* $name,)*
        }

        impl Rule {
            /// Every rule.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Where the rule is written.
            #[must_use]
            pub fn source(self) -> &'static str {
                match self {
                    $(Self::$name => $source,)*
                }
            }
        }
    };
}

rules! {
    /// The connection of the data stream holds, its frames decrypt.
    Framing: "HomeKit Data Stream, frames",
    /// `dataSend/open` is accepted when recording is on.
    Accepted: "HomeKit Data Stream, dataSend/open",
    /// A second recording is refused as busy.
    OneRecording: "HomeKit Data Stream, dataSend/open",
    /// A packet is an initialization or a fragment, and belongs to the stream.
    PacketKind: "HomeKit Data Stream, dataSend/data",
    /// The initialization comes first, numbered 1.
    InitFirst: "HomeKit Data Stream, dataSend/data",
    /// There is one initialization.
    OneInit: "HomeKit Data Stream, dataSend/data",
    /// `dataSequenceNumber` counts 1, 2, 3 …
    SequenceNumber: "HomeKit Data Stream, dataSend/data",
    /// `dataChunkSequenceNumber` counts 1, 2, 3 … within a fragment.
    ChunkNumber: "HomeKit Data Stream, dataSend/data",
    /// A chunk is no longer than 262144 bytes, and not empty.
    ChunkSize: "HomeKit Data Stream, dataSend/data",
    /// `dataTotalSize` stands in chunk 1 alone, and is right.
    TotalSize: "HomeKit Data Stream, dataSend/data",
    /// `isLastDataChunk` stands at the last chunk of a fragment.
    LastChunk: "HomeKit Data Stream, dataSend/data",
    /// `endOfStream` stands at the last chunk of the last fragment.
    EndOfStream: "HomeKit Data Stream, dataSend/data",
    /// Nothing comes after the end.
    DataAfterEnd: "HomeKit Data Stream, dataSend/ack",
    /// The camera closes a stream only with a cause.
    CloseReason: "HomeKit Data Stream, dataSend/close",
    /// The initialization is `ftyp`, then `moov`.
    InitBoxes: "ISO/IEC 14496-12 §8.16.3",
    /// There is one video track, and at most one of sound.
    Tracks: "ISO/IEC 14496-12 §8.4.3",
    /// Video is `avc1` or `hvc1`; hubs give up on `hev1` after the third fragment (field reports).
    SampleEntry: "ISO/IEC 14496-15 §5.4.2, §8.4.1",
    /// Parameter sets stand in the sample entry, and lengths of NAL units have four bytes.
    ParameterSets: "ISO/IEC 14496-15 §5.3.3, §8.3.3",
    /// Sound is AAC-LC in `mp4a`, there when it was asked for.
    AudioCodec: "ISO/IEC 14496-3 §1.6.2.1",
    /// Sample rate and channels of the sound are the selected ones.
    AudioConfig: "HomeKit Secure Video, Selected Camera Recording Configuration (209)",
    /// Every track has defaults for its fragments.
    TrackExtends: "ISO/IEC 14496-12 §8.8.3",
    /// The initialization has no samples.
    InitSamples: "ISO/IEC 14496-12 §8.8.1",
    /// The picture has the selected size.
    PictureSize: "HomeKit Secure Video, Selected Camera Recording Configuration (209)",
    /// Profile and level are no higher than selected.
    ProfileLevel: "HomeKit Secure Video, Selected Camera Recording Configuration (209)",
    /// No more pictures a second than selected.
    FrameRate: "HomeKit Secure Video, Selected Camera Recording Configuration (209)",
    /// Not far above the selected bitrate.
    Bitrate: "HomeKit Secure Video, Selected Camera Recording Configuration (209)",
    /// A fragment is `prft`, `moof`, `mdat`.
    FragmentBoxes: "ISO/IEC 14496-12 §8.8.4, §8.1.1",
    /// `prft` of version 1 stands before every `moof`; some hubs crash without (field reports).
    Prft: "ISO/IEC 14496-12 §8.16.5",
    /// The media time of `prft` is the fragment's decode time.
    PrftMediaTime: "ISO/IEC 14496-12 §8.16.5",
    /// The wall clock of `prft` is neither in the future nor long gone.
    PrftClock: "ISO/IEC 14496-12 §8.16.5",
    /// The wall clock moves as the decode times do.
    PrftSteps: "ISO/IEC 14496-12 §8.16.5",
    /// Sequence numbers of `moof` rise.
    FragmentSequence: "ISO/IEC 14496-12 §8.8.5",
    /// Every track has a decode time, which starts at 0.
    DecodeTimeStart: "ISO/IEC 14496-12 §8.8.12",
    /// Decode times go on where the fragment before ended.
    DecodeTimeGap: "ISO/IEC 14496-12 §8.8.12",
    /// A fragment starts with a key frame.
    KeyFrame: "ISO/IEC 14496-12 §8.8.8; ISO/IEC 14496-10 §7.4.1.2.4",
    /// Sample flags tell which samples are key frames.
    SampleFlags: "ISO/IEC 14496-12 §8.8.3.1",
    /// A fragment is no longer than selected.
    FragmentDuration: "HomeKit Secure Video, Selected Camera Recording Configuration (209)",
    /// A fragment is not absurdly short; hubs gave up on 0.2 s (field reports).
    ShortFragment: "HomeKit Secure Video, fragments",
    /// Offsets and sizes of the samples fill `mdat`.
    DataOffset: "ISO/IEC 14496-12 §8.8.8",
    /// NAL units with their lengths fill their samples.
    NalUnits: "ISO/IEC 14496-15 §5.3.2",
    /// Sound is raw AAC without ADTS headers.
    RawAac: "ISO/IEC 14496-3 §1.6.2.2",
    /// Every fragment has samples of every track, and of no other.
    FragmentTracks: "ISO/IEC 14496-12 §8.8.6",
    /// Picture and sound of a fragment start at the same time.
    AvOffset: "ISO/IEC 14496-12 §8.8.12",
    /// Initialization and first fragment come within the hub's 5 s.
    FirstData: "HomeKit Secure Video, time limits of hubs",
    /// No more than 5 s pass between fragments.
    FragmentGap: "HomeKit Secure Video, time limits of hubs",
    /// A camera that says nothing more has to say so.
    Silence: "HomeKit Secure Video, time limits of hubs",
    /// The recording starts the selected time before the event.
    Prebuffer: "HomeKit Secure Video, Supported Camera Recording Configuration (205)",
    /// A picture of the moment can be had.
    Poster: "HAP R1 §11.5; HomeKit Data Stream, ipcamera.snapshot",
    /// Written settings survive.
    Settings: "HomeKit Secure Video, Camera Event Recording Management (204)",
}

/// What was found wrong, in the order it was found.
#[derive(Debug, Default)]
pub struct Findings {
    list: Vec<(Rule, String)>,
    counts: BTreeMap<Rule, usize>,
}

impl Findings {
    /// A rule was broken; `what` says how.
    pub fn add(&mut self, rule: Rule, what: impl Into<String>) {
        let count = self.counts.entry(rule).or_default();
        *count += 1;
        if *count <= TOLD {
            self.list.push((rule, what.into()));
        }
    }

    /// Nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The rules that were broken.
    pub fn rules(&self) -> impl Iterator<Item = Rule> + '_ {
        self.counts.keys().copied()
    }

    /// One line each, with its source; long series are counted.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let told = self
            .list
            .iter()
            .map(|(rule, what)| format!("{what} [{}]", rule.source()));
        let counted = self.counts.iter().filter(|(_, n)| **n > TOLD);
        let more = counted.map(|(rule, n)| {
            let more = n - TOLD;
            format!("{more} more of the kind {rule:?} [{}]", rule.source())
        });
        told.chain(more).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_series_are_counted() {
        let mut findings = Findings::default();
        assert!(findings.is_empty());
        for n in 0..10 {
            findings.add(Rule::KeyFrame, format!("fragment {n}"));
        }
        findings.add(Rule::Prft, "fragment 1: none");
        let lines = findings.lines();
        assert_eq!(lines.len(), TOLD + 2);
        assert!(lines[0].starts_with("fragment 0 [ISO/IEC 14496-12"));
        assert!(lines.last().unwrap().starts_with("7 more"));
        assert_eq!(findings.rules().count(), 2);
    }

    #[test]
    fn every_rule_has_a_source() {
        assert!(Rule::ALL.iter().all(|r| !r.source().is_empty()));
    }
}
