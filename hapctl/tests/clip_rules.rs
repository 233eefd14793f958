//! Each rule of a recording is found when it is broken, and none when the clip is good.

#[path = "accessory/fmp4.rs"]
mod fmp4;

use std::time::Duration;

use fmp4::Media;
use hapctl::clip::checker::{Checker, Summary};
use hapctl::clip::clock::Stamp;
use hapctl::clip::rule::Rule;
use hapctl::clip::wanted::{Wanted, WantedAudio, WantedVideo};

/// Rules about packets, connections and settings: tested where those are.
const ELSEWHERE: [Rule; 15] = [
    Rule::Framing,
    Rule::Accepted,
    Rule::OneRecording,
    Rule::PacketKind,
    Rule::SequenceNumber,
    Rule::ChunkNumber,
    Rule::ChunkSize,
    Rule::TotalSize,
    Rule::LastChunk,
    Rule::EndOfStream,
    Rule::DataAfterEnd,
    Rule::CloseReason,
    Rule::Silence,
    Rule::Poster,
    Rule::Settings,
];

/// Instead of behind the name, at the name.
const RENAME: usize = usize::MAX;

/// A recording as it comes: pieces, and when.
struct Clip {
    opened: Stamp,
    event: Stamp,
    wanted: Wanted,
    init: Vec<u8>,
    /// A second initialization.
    again: bool,
    /// A fragment comes before the initialization.
    early: bool,
    fragments: Vec<(Vec<u8>, Duration)>,
}

impl Clip {
    /// Starts 5 s before the event; five fragments are there at once, then one comes each second.
    fn of(media: &Media, count: usize) -> Self {
        let opened = Stamp::now();
        let wall = opened.wall - Duration::from_secs(5);
        let fragments = media.fragments.iter().take(count).enumerate();
        Self {
            opened,
            event: opened,
            wanted: wanted(),
            init: media.init.clone(),
            again: false,
            early: false,
            fragments: fragments
                .map(|(n, f)| {
                    (
                        f.clocked(wall),
                        Duration::from_secs(n.saturating_sub(4) as u64),
                    )
                })
                .collect(),
        }
    }

    fn good() -> Self {
        Self::of(&fmp4::h264(), 8)
    }

    fn check(&self) -> Summary {
        let mut checker = Checker::live(self.wanted.clone(), self.opened, self.event);
        if self.early {
            checker.fragment(1, &self.fragments[0].0, false, self.opened);
        }
        checker.init(1 + u64::from(self.early), &self.init, self.opened);
        if self.again {
            checker.init(2, &self.init, self.opened);
        }
        for (n, (bytes, at)) in self.fragments.iter().enumerate() {
            checker.fragment(n as u64 + 2, bytes, false, self.opened + *at);
        }
        checker.finish()
    }

    /// Writes `with` where the `n`-th `what` of fragment `at` is, `skip` bytes behind its name.
    fn patch(&mut self, at: usize, (what, n): (&[u8], usize), skip: usize, with: &[u8]) {
        patch(&mut self.fragments[at].0, (what, n), skip, with);
    }

    fn each(&mut self, what: (&[u8], usize), skip: usize, with: &[u8]) {
        for (bytes, _) in &mut self.fragments {
            patch(bytes, what, skip, with);
        }
    }
}

fn patch(bytes: &mut [u8], (what, n): (&[u8], usize), skip: usize, with: &[u8]) {
    let mut found = bytes.windows(what.len()).enumerate();
    let at = found.by_ref().filter(|(_, w)| *w == what).nth(n);
    let at = at.unwrap().0;
    let at = if skip == RENAME {
        at
    } else {
        at + what.len() + skip
    };
    assert_ne!(&bytes[at..at + with.len()], with, "nothing changes");
    bytes[at..at + with.len()].copy_from_slice(with);
}

fn wanted() -> Wanted {
    Wanted {
        prebuffer: Some(Duration::from_secs(4)),
        fragment: Duration::from_secs(4),
        video: Some(WantedVideo {
            width: 640,
            height: 360,
            fps: 15,
            profile: 100,
            level: 40,
            kbps: 500,
        }),
        audio: Some(WantedAudio {
            rate: 32_000,
            channels: 1,
        }),
        h264_only: true,
    }
}

/// How the clip breaks a rule.
type Breaker = fn(&mut Clip);

fn breakers() -> Vec<(Rule, Breaker)> {
    [init_breakers(), fragment_breakers(), time_breakers()].concat()
}

fn init_breakers() -> Vec<(Rule, Breaker)> {
    vec![
        (Rule::OneInit, |c| c.again = true),
        (Rule::InitBoxes, |c| {
            let mut longer = c.init.clone();
            longer.extend(b"\0\0\0\x08free");
            c.init = longer;
        }),
        (Rule::InitBoxes, |c| c.init.truncate(c.init.len() - 3)),
        (Rule::Tracks, |c| {
            patch(&mut c.init, (b"vide", 0), RENAME, b"meta")
        }),
        (Rule::SampleEntry, |c| {
            let media = fmp4::h265("hev1");
            *c = Clip::of(&media, 3);
            c.wanted.h264_only = false;
        }),
        (Rule::SampleEntry, |c| {
            *c = Clip::of(&fmp4::h265("hvc1"), 3);
        }),
        (Rule::ParameterSets, |c| {
            patch(&mut c.init, (b"avcC", 0), 4, &[0xFD])
        }),
        (Rule::ParameterSets, |c| {
            patch(&mut c.init, (b"avcC", 0), 3, &[9])
        }),
        // The AudioSpecificConfig behind its tag, length and that of AAC-LC.
        (Rule::AudioCodec, |c| {
            patch(&mut c.init, (b"\x80\x80\x05", 0), 0, &[0x2A])
        }),
        (Rule::AudioConfig, |c| {
            c.wanted.audio = Some(WantedAudio {
                rate: 16_000,
                channels: 1,
            });
        }),
        (Rule::TrackExtends, |c| {
            patch(&mut c.init, (b"trex", 1), RENAME, b"free")
        }),
        (Rule::InitSamples, |c| {
            patch(&mut c.init, (b"stsz", 0), 11, &[1])
        }),
        (Rule::PictureSize, |c| {
            c.wanted.video.as_mut().unwrap().width = 1280
        }),
        (Rule::ProfileLevel, |c| {
            c.wanted.video.as_mut().unwrap().profile = 77
        }),
        (Rule::ProfileLevel, |c| {
            c.wanted.video.as_mut().unwrap().level = 20
        }),
        (Rule::FrameRate, |c| {
            c.wanted.video.as_mut().unwrap().fps = 10
        }),
        (Rule::Bitrate, |c| {
            c.wanted.video.as_mut().unwrap().kbps = 50
        }),
    ]
}

fn fragment_breakers() -> Vec<(Rule, Breaker)> {
    vec![
        (Rule::FragmentBoxes, |c| {
            let bytes = &mut c.fragments[2].0;
            bytes.splice(0..0, *b"\0\0\0\x18styp\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        }),
        (Rule::FragmentBoxes, |c| {
            let length = c.fragments[2].0.len();
            c.fragments[2].0.truncate(length - 1);
        }),
        (Rule::Prft, |c| drop(c.fragments[1].0.drain(..32))),
        (Rule::Prft, |c| {
            // Version 0 has a media time of four bytes.
            let bytes = &mut c.fragments[0].0;
            bytes[3] = 28;
            bytes[8] = 0;
            bytes.drain(24..28);
        }),
        (Rule::PrftMediaTime, |c| c.patch(1, (b"prft", 0), 22, &[0])),
        (Rule::PrftMediaTime, |c| c.patch(1, (b"prft", 0), 7, &[9])),
        (Rule::FragmentSequence, |c| {
            c.patch(3, (b"mfhd", 0), 7, &[2])
        }),
        (Rule::DecodeTimeStart, |c| {
            c.patch(0, (b"tfdt", 0), 10, &[1])
        }),
        (Rule::DecodeTimeStart, |c| {
            c.patch(0, (b"tfdt", 0), RENAME, b"free")
        }),
        (Rule::DecodeTimeGap, |c| {
            c.patch(3, (b"tfdt", 0), 10, &[0xFF])
        }),
        (Rule::DecodeTimeGap, |c| drop(c.fragments.remove(3))),
        (Rule::KeyFrame, |c| {
            // The IDR slice becomes one of another picture; SEI before it is of the first alone.
            c.patch(2, (b"mdat", 0), 4, &[0x41]);
        }),
        (Rule::SampleFlags, |c| {
            // First sample flags: as those of the others.
            c.patch(2, (b"trun", 0), 12, &[1, 1, 0, 0]);
        }),
        (Rule::FragmentDuration, |c| {
            c.wanted.fragment = Duration::from_millis(800)
        }),
        (Rule::ShortFragment, |c| {
            let wanted = c.wanted.clone();
            *c = Clip::of(&fmp4::short(), 6);
            c.wanted = wanted;
        }),
        (Rule::DataOffset, |c| c.patch(2, (b"trun", 0), 11, &[0])),
        (Rule::DataOffset, |c| {
            // The sound lies where the picture does.
            let bytes = &c.fragments[2].0;
            let at = bytes.windows(4).position(|w| w == b"trun").unwrap() + 12;
            let offset: [u8; 4] = bytes[at..at + 4].try_into().unwrap();
            c.patch(2, (b"trun", 1), 8, &offset);
        }),
        (Rule::NalUnits, |c| c.patch(2, (b"mdat", 0), 0, &[1])),
        (Rule::RawAac, |c| {
            for n in 0..c.fragments.len() {
                let_adts(&mut c.fragments[n].0);
            }
        }),
        (Rule::FragmentTracks, |c| c.patch(2, (b"tfhd", 1), 7, &[7])),
        (Rule::AvOffset, |c| c.each((b"tfdt", 1), 9, &[9])),
    ]
}

fn time_breakers() -> Vec<(Rule, Breaker)> {
    vec![
        (Rule::InitFirst, |c| c.early = true),
        (Rule::PrftClock, |c| shift(c, 3_600)),
        (Rule::PrftClock, |c| shift(c, -3_600)),
        (Rule::PrftSteps, |c| {
            let seconds = u32::from_be_bytes(c.fragments[3].0[16..20].try_into().unwrap());
            c.patch(3, (b"prft", 0), 8, &(seconds + 1).to_be_bytes());
        }),
        (Rule::FirstData, |c| {
            for (_, at) in &mut c.fragments {
                *at += Duration::from_millis(5_200);
            }
        }),
        (Rule::FragmentGap, |c| {
            c.fragments[7].1 += Duration::from_secs(5)
        }),
        (Rule::Prebuffer, |c| c.event = c.event_at(-2)),
    ]
}

impl Clip {
    fn event_at(&self, seconds: i64) -> Stamp {
        let wall = self.opened.wall.as_secs() as i64 + seconds;
        Stamp {
            at: self.opened.at,
            wall: Duration::from_secs(wall as u64),
        }
    }
}

fn shift(clip: &mut Clip, seconds: i64) {
    for (bytes, _) in &mut clip.fragments {
        let old = u32::from_be_bytes(bytes[16..20].try_into().unwrap());
        let new = u32::try_from(i64::from(old) + seconds).unwrap();
        bytes[16..20].copy_from_slice(&new.to_be_bytes());
    }
}

/// Makes every frame of sound begin as ADTS does.
fn let_adts(bytes: &mut [u8]) {
    let moof = bytes.windows(4).position(|w| w == b"moof").unwrap() - 4;
    let read: mp4_atom::Moof = mp4_atom::Decode::decode(&mut &bytes[moof..]).unwrap();
    let sound = &read.traf[1];
    let default = sound.tfhd.default_sample_size.unwrap() as usize;
    for run in &sound.trun {
        let mut at = moof + run.data_offset.unwrap() as usize;
        for entry in &run.entries {
            bytes[at..at + 2].copy_from_slice(&[0xFF, 0xF1]);
            at += entry.size.map_or(default, |s| s as usize);
        }
    }
}

#[test]
fn a_good_clip_has_no_findings() {
    let summary = Clip::good().check();
    assert_eq!(summary.findings.lines(), [""; 0]);
    assert_eq!(summary.fragments, 8);
    assert_eq!(summary.prebuffer_ms, Some(5000));
    assert!((7_900..8_200).contains(&summary.duration_ms), "{summary:?}");
    assert_eq!(summary.open_to_init_ms, Some(0));
    assert_eq!(summary.video_codec.as_deref(), Some("avc1.64001F"));
    assert_eq!(summary.audio_codec.as_deref(), Some("mp4a.40.2"));
}

#[test]
fn h265_with_the_right_sample_entry_is_good_where_it_is_taken() {
    let mut clip = Clip::of(&fmp4::h265("hvc1"), 3);
    clip.wanted.h264_only = false;
    clip.wanted.prebuffer = None;
    clip.wanted.video = None;
    let summary = clip.check();
    assert_eq!(summary.findings.lines(), [""; 0]);
    assert!(summary.video_codec.unwrap().starts_with("hvc1.1.6.L"));
}

#[test]
fn every_rule_is_found_when_it_is_broken() {
    let (mut shown, mut unseen) = (ELSEWHERE.to_vec(), Vec::new());
    for (n, (rule, breaker)) in breakers().into_iter().enumerate() {
        let mut clip = Clip::good();
        breaker(&mut clip);
        let summary = clip.check();
        let broken: Vec<Rule> = summary.findings.rules().collect();
        let lines = summary.findings.lines();
        if !broken.contains(&rule) {
            unseen.push(format!("{n}: {rule:?} not in {lines:?}"));
        }
        assert!(lines.iter().all(|l| l.ends_with(']')), "{lines:?}");
        shown.push(rule);
    }
    assert!(unseen.is_empty(), "{unseen:#?}");
    let missing: Vec<&Rule> = Rule::ALL.iter().filter(|r| !shown.contains(r)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn without_prft_the_prebuffer_is_estimated() {
    let mut clip = Clip::good();
    for (bytes, _) in &mut clip.fragments {
        bytes.drain(..32);
    }
    let summary = clip.check();
    let prebuffer = summary.prebuffer_ms.unwrap();
    assert!((4_900..5_200).contains(&prebuffer), "{prebuffer}");
    let lines = summary.findings.lines().concat();
    assert!(lines.contains("estimated"), "{lines}");
}

#[test]
fn sound_that_is_missing_is_found_and_sound_that_is_off_is_not() {
    let mut clip = Clip::good();
    clip.wanted.audio = None;
    assert!(clip.check().findings.is_empty());
    patch(&mut clip.init, (b"soun", 0), RENAME, b"meta");
    clip.wanted.audio = wanted().audio;
    let broken: Vec<Rule> = clip.check().findings.rules().collect();
    assert!(broken.contains(&Rule::AudioCodec), "{broken:?}");
}

#[test]
fn damaged_clips_do_no_harm() {
    let mut seed = 1u32;
    let mut random = |limit: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as usize % limit
    };
    for _ in 0..400 {
        let mut clip = Clip::of(&fmp4::h264(), 2);
        for _ in 0..4 {
            let at = random(clip.init.len());
            clip.init[at] = random(256) as u8;
            let (bytes, _) = &mut clip.fragments[random(2)];
            // Boxes stand at the start.
            let at = random(600);
            bytes[at] = random(256) as u8;
        }
        let _ = clip.check();
    }
}

#[test]
fn a_moof_that_promises_too_much_is_refused() {
    let mut clip = Clip::of(&fmp4::h264(), 1);
    clip.patch(0, (b"trun", 0), 4, &[0xFF, 0xFF, 0xFF, 0xFF]);
    let broken: Vec<Rule> = clip.check().findings.rules().collect();
    assert!(broken.contains(&Rule::FragmentBoxes), "{broken:?}");
}
