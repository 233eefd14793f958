//! One fragment by itself: its boxes, where its samples are, and what is in them.

use mp4_atom::Prft;

use super::boxes::{Malformed, Mp4Box, boxes};
use super::codec::Codec;
use super::init::{Init, Track};
use super::nal::{self, Picture};
use super::rule::{Findings, Rule};
use super::samples::{Moof, Run, Sample};

/// `moof` boxes of one fragment that are looked at; there ought to be one.
const MAX_GROUPS: usize = 4;

/// A wall clock for a moment of a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clock {
    pub track: u32,
    /// Time since 1900 in units of 2⁻³² s.
    pub ntp: u64,
    /// The moment, in units of the track.
    pub media_time: u64,
}

/// `prft`, `moof` and `mdat`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    pub clock: Option<Clock>,
    pub moof: Moof,
}

/// Reads and checks the fragment `bytes`, called `name` in findings.
pub(crate) fn read(name: &str, bytes: &[u8], init: &Init, findings: &mut Findings) -> Vec<Group> {
    let mut out = Vec::new();
    if let Err(Malformed(why)) = groups(name, bytes, init, &mut out, findings) {
        findings.add(Rule::FragmentBoxes, format!("{name} cannot be read: {why}"));
    }
    out
}

fn groups(
    name: &str,
    bytes: &[u8],
    init: &Init,
    out: &mut Vec<Group>,
    findings: &mut Findings,
) -> Result<(), Malformed> {
    let list = boxes(bytes)?;
    check_order(name, &list, findings);
    let (mut clock, mut moof) = (None, None);
    for found in &list {
        match &found.kind {
            b"prft" => clock = read_clock(name, found, findings)?,
            b"moof" => moof = Some(Moof::read(found, init, findings)?),
            b"mdat" => {
                let Some(moof) = moof.take() else { continue };
                let group = Group {
                    clock: clock.take(),
                    moof,
                };
                check_group(name, &group, bytes, found, init, findings);
                out.push(group);
            }
            _ => {}
        }
        if out.len() == MAX_GROUPS {
            break;
        }
    }
    Ok(())
}

fn check_order(name: &str, list: &[Mp4Box<'_>], findings: &mut Findings) {
    let kinds: Vec<[u8; 4]> = list.iter().map(|b| b.kind).collect();
    let without: Vec<[u8; 4]> = kinds.iter().copied().filter(|k| k != b"prft").collect();
    if without != [*b"moof", *b"mdat"] {
        let names: Vec<String> = list.iter().take(12).map(Mp4Box::name).collect();
        let names = names.join(", ");
        findings.add(Rule::FragmentBoxes, format!("{name} is {names}"));
    }
    for (n, _) in kinds.iter().enumerate().filter(|(_, k)| *k == b"moof") {
        if n == 0 || kinds[n - 1] != *b"prft" {
            findings.add(Rule::Prft, format!("{name} has no prft before moof"));
        }
    }
}

fn read_clock(
    name: &str,
    prft: &Mp4Box<'_>,
    findings: &mut Findings,
) -> Result<Option<Clock>, Malformed> {
    let read: Prft = prft.read()?;
    let version = prft.version_and_flags().map_or(0, |(v, _)| v);
    if version != 1 {
        findings.add(
            Rule::Prft,
            format!("{name} has a prft of version {version} instead of 1"),
        );
    }
    Ok(Some(Clock {
        track: read.reference_track_id,
        ntp: read.ntp_timestamp,
        media_time: read.media_time,
    }))
}

fn check_group(
    name: &str,
    group: &Group,
    bytes: &[u8],
    mdat: &Mp4Box<'_>,
    init: &Init,
    findings: &mut Findings,
) {
    if let Some(clock) = &group.clock {
        check_media_time(name, clock, &group.moof, findings);
    }
    check_tracks(name, &group.moof, init, findings);
    check_places(name, &group.moof, mdat, findings);
    for run in &group.moof.runs {
        let Some(track) = init.track(run.track) else {
            continue;
        };
        check_contents(name, run, track, bytes, findings);
    }
}

fn check_media_time(name: &str, clock: &Clock, moof: &Moof, findings: &mut Findings) {
    let Some(run) = moof.runs.iter().find(|r| r.track == clock.track) else {
        let track = clock.track;
        findings.add(
            Rule::PrftMediaTime,
            format!("{name}: prft is about track {track}, which is not in it"),
        );
        return;
    };
    if run.decode_time.is_some_and(|t| t != clock.media_time) {
        let (said, is) = (clock.media_time, run.decode_time.unwrap_or(0));
        findings.add(
            Rule::PrftMediaTime,
            format!("{name}: prft says media time {said}, the track starts at {is}"),
        );
    }
}

fn check_tracks(name: &str, moof: &Moof, init: &Init, findings: &mut Findings) {
    for run in moof.runs.iter().filter(|r| init.track(r.track).is_none()) {
        let track = run.track;
        findings.add(
            Rule::FragmentTracks,
            format!("{name} has track {track}, the initialization has not"),
        );
    }
    for track in init.tracks() {
        let mut runs = moof.runs.iter().filter(|r| r.track == track.id);
        let samples: usize = runs.clone().map(|r| r.samples.len()).sum();
        let codec = track.codec.name();
        if samples == 0 {
            findings.add(Rule::FragmentTracks, format!("{name} has no {codec}"));
        } else if runs.nth(1).is_some() {
            findings.add(Rule::FragmentTracks, format!("{name} has {codec} twice"));
        }
    }
}

/// Samples fill the payload of `mdat`, each byte once.
fn check_places(name: &str, moof: &Moof, mdat: &Mp4Box<'_>, findings: &mut Findings) {
    let end = mdat.start + mdat.whole.len();
    let start = end - mdat.body.len();
    let samples = moof.runs.iter().flat_map(|r| &r.samples);
    let mut places: Vec<(usize, usize)> = samples.map(|s| (s.data.start, s.data.end)).collect();
    places.sort_unstable();
    if places.iter().any(|(from, to)| *from < start || *to > end) {
        findings.add(
            Rule::DataOffset,
            format!("{name} has samples outside of mdat"),
        );
        return;
    }
    if places.windows(2).any(|w| w[1].0 < w[0].1) {
        findings.add(Rule::DataOffset, format!("{name} has samples that overlap"));
        return;
    }
    let used: usize = places.iter().map(|(from, to)| to - from).sum();
    if used != end - start {
        let left = end - start - used;
        findings.add(
            Rule::DataOffset,
            format!("{name} has {left} bytes in mdat that belong to no sample"),
        );
    }
}

fn check_contents(name: &str, run: &Run, track: &Track, bytes: &[u8], findings: &mut Findings) {
    match &track.codec {
        Codec::H264(_) => check_video(name, run, bytes, nal::h264, findings),
        Codec::H265(_) => check_video(name, run, bytes, nal::h265, findings),
        Codec::Aac { .. } => check_sound(name, run, bytes, findings),
        Codec::Other(_) => {}
    }
}

fn check_video(
    name: &str,
    run: &Run,
    bytes: &[u8],
    kind: impl Fn(&[&[u8]]) -> Picture,
    findings: &mut Findings,
) {
    for (n, sample) in run.samples.iter().enumerate() {
        let data = bytes.get(sample.data.clone()).unwrap_or_default();
        let Some(units) = nal::units(data) else {
            let length = data.len();
            findings.add(
                Rule::NalUnits,
                format!("{name}: picture {n} of {length} bytes is not made of NAL units"),
            );
            continue;
        };
        let picture = kind(&units);
        if n == 0 && picture != Picture::Key {
            findings.add(
                Rule::KeyFrame,
                format!("{name} does not start with a key frame"),
            );
        }
        check_flags(name, n, sample, picture, findings);
    }
}

fn check_flags(name: &str, n: usize, sample: &Sample, picture: Picture, findings: &mut Findings) {
    let (key, flags) = (picture == Picture::Key, sample.flags);
    let wrong_dependence = match picture {
        Picture::Key => sample.depends_on() == 1,
        _ => sample.depends_on() == 2,
    };
    if picture == Picture::None {
        findings.add(Rule::NalUnits, format!("{name}: picture {n} has no slice"));
    } else if sample.non_sync() == key || (key && wrong_dependence) {
        let is = if key { "a" } else { "no" };
        findings.add(
            Rule::SampleFlags,
            format!("{name}: picture {n} is {is} key frame, its flags are {flags:08x}"),
        );
    }
}

fn check_sound(name: &str, run: &Run, bytes: &[u8], findings: &mut Findings) {
    let header = |s: &Sample| {
        let data = bytes.get(s.data.clone()).unwrap_or_default();
        // The syncword, then layer 0: a raw frame can begin so by chance, not one after another.
        data.len() > 7 && data[0] == 0xFF && data[1] & 0xF6 == 0xF0
    };
    if run.samples.len() > 1 && run.samples.iter().all(header) {
        findings.add(Rule::RawAac, format!("{name}: the sound has ADTS headers"));
    }
    if run.samples.iter().any(|s| s.data.is_empty()) {
        findings.add(Rule::RawAac, format!("{name}: a frame of sound is empty"));
    }
}
