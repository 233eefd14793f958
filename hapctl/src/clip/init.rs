//! The initialization of a recording: `ftyp` and `moov`.

use mp4_atom::{Mdhd, Trex};

use super::boxes::{Malformed, Mp4Box, boxes, descend, only};
use super::codec::Codec;
use super::rule::{Findings, Rule};
use super::wanted::Wanted;

/// Beyond this it is no initialization.
const MAX_SIZE: usize = 256 * 1024;
/// Tables that are empty in an initialization, with the place of their count.
const TABLES: [(&[u8; 4], usize); 4] = [(b"stts", 4), (b"stsc", 4), (b"stsz", 8), (b"stco", 4)];

/// Defaults for the samples of a track.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Defaults {
    pub duration: u32,
    pub size: u32,
    pub flags: u32,
}

/// One track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Track {
    pub id: u32,
    /// Units a second; never 0.
    pub timescale: u32,
    pub codec: Codec,
    pub defaults: Defaults,
}

/// What an initialization says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Init {
    pub video: Option<Track>,
    pub audio: Option<Track>,
}

impl Init {
    /// Reads and checks `bytes`; what cannot be read is missing.
    pub(crate) fn read(bytes: &[u8], wanted: &Wanted, findings: &mut Findings) -> Self {
        let mut init = Self::default();
        if bytes.len() > MAX_SIZE {
            let length = bytes.len();
            findings.add(
                Rule::InitBoxes,
                format!("the initialization has {length} bytes"),
            );
            return init;
        }
        if let Err(Malformed(why)) = init.fill(bytes, findings) {
            findings.add(
                Rule::InitBoxes,
                format!("the initialization cannot be read: {why}"),
            );
        }
        init.check(wanted, findings);
        init
    }

    /// The track with this number.
    pub(crate) fn track(&self, id: u32) -> Option<&Track> {
        self.tracks().find(|t| t.id == id)
    }

    pub(crate) fn tracks(&self) -> impl Iterator<Item = &Track> {
        self.video.iter().chain(&self.audio)
    }

    fn fill(&mut self, bytes: &[u8], findings: &mut Findings) -> Result<(), Malformed> {
        let list = boxes(bytes)?;
        let names: Vec<String> = list.iter().map(Mp4Box::name).collect();
        if names != ["ftyp", "moov"] {
            let names = names.join(", ");
            findings.add(Rule::InitBoxes, format!("the initialization is {names}"));
        }
        let moov = boxes(only(&list, b"moov")?.body)?;
        let extends = extends(&moov, findings);
        for trak in moov.iter().filter(|b| b.is(b"trak")) {
            self.add(trak, &extends, findings)?;
        }
        Ok(())
    }

    fn add(
        &mut self,
        trak: &Mp4Box<'_>,
        extends: &[Trex],
        findings: &mut Findings,
    ) -> Result<(), Malformed> {
        let (handler, track) = read_track(trak, extends, findings)?;
        let place = match &handler {
            b"vide" => &mut self.video,
            b"soun" => &mut self.audio,
            _ => {
                let name = super::boxes::name(&handler);
                findings.add(Rule::Tracks, format!("track {} is {name}", track.id));
                return Ok(());
            }
        };
        if place.is_some() {
            findings.add(Rule::Tracks, "there are two tracks of one kind");
        } else {
            *place = Some(track);
        }
        Ok(())
    }

    fn check(&self, wanted: &Wanted, findings: &mut Findings) {
        match &self.video {
            None => findings.add(Rule::Tracks, "there is no video track"),
            Some(track) => check_video(&track.codec, wanted, findings),
        }
        check_audio(self.audio.as_ref().map(|t| &t.codec), wanted, findings);
    }
}

fn extends(moov: &[Mp4Box<'_>], findings: &mut Findings) -> Vec<Trex> {
    let read = || -> Result<Vec<Trex>, Malformed> {
        let list = boxes(only(moov, b"mvex")?.body)?;
        list.iter()
            .filter(|b| b.is(b"trex"))
            .map(Mp4Box::read)
            .collect()
    };
    read().unwrap_or_else(|Malformed(why)| {
        findings.add(Rule::TrackExtends, why);
        Vec::new()
    })
}

fn read_track(
    trak: &Mp4Box<'_>,
    extends: &[Trex],
    findings: &mut Findings,
) -> Result<([u8; 4], Track), Malformed> {
    let id = track_id(&descend(trak.body, &[b"tkhd"])?)?;
    let mdia = descend(trak.body, &[b"mdia"])?;
    let timescale = descend(mdia.body, &[b"mdhd"])?.read::<Mdhd>()?.timescale;
    if timescale == 0 {
        return Err(Malformed(format!("track {id} has the timescale 0")));
    }
    let handler = descend(mdia.body, &[b"hdlr"])?;
    let handler = handler.u32_at(8).unwrap_or_default().to_be_bytes();
    let stbl = descend(mdia.body, &[b"minf", b"stbl"])?;
    check_empty(id, &stbl, findings);
    let codec = Codec::read(&descend(stbl.body, &[b"stsd"])?, findings)?;
    let track = Track {
        id,
        timescale,
        codec,
        defaults: defaults(id, extends, findings),
    };
    Ok((handler, track))
}

fn defaults(id: u32, extends: &[Trex], findings: &mut Findings) -> Defaults {
    let Some(trex) = extends.iter().find(|t| t.track_id == id) else {
        findings.add(Rule::TrackExtends, format!("track {id} has no trex"));
        return Defaults::default();
    };
    Defaults {
        duration: trex.default_sample_duration,
        size: trex.default_sample_size,
        flags: trex.default_sample_flags,
    }
}

/// ISO/IEC 14496-12 §8.3.2: version 1 has times of 64 bits before it.
fn track_id(tkhd: &Mp4Box<'_>) -> Result<u32, Malformed> {
    let at = match tkhd.version_and_flags() {
        Some((1, _)) => 20,
        _ => 12,
    };
    match tkhd.u32_at(at) {
        Some(id) if id != 0 => Ok(id),
        _ => Err(Malformed("a track without a number".into())),
    }
}

fn check_empty(id: u32, stbl: &Mp4Box<'_>, findings: &mut Findings) {
    let list = boxes(stbl.body).unwrap_or_default();
    for (kind, at) in TABLES {
        let filled = list
            .iter()
            .filter(|b| b.is(kind))
            .any(|b| b.u32_at(at) != Some(0));
        if filled {
            let name = super::boxes::name(kind);
            findings.add(
                Rule::InitSamples,
                format!("{name} of track {id} is not empty"),
            );
        }
    }
}

fn check_video(codec: &Codec, wanted: &Wanted, findings: &mut Findings) {
    let picture = match codec {
        Codec::H264(picture) => picture,
        Codec::H265(picture) if !wanted.h264_only => picture,
        other => {
            let name = other.name();
            findings.add(
                Rule::SampleEntry,
                format!("video is {name}, which hubs do not take"),
            );
            return;
        }
    };
    let Some(video) = &wanted.video else { return };
    let (w, h) = (picture.width, picture.height);
    if (w, h) != (video.width, video.height) {
        let (width, height) = (video.width, video.height);
        findings.add(
            Rule::PictureSize,
            format!("the picture is {w}x{h}, {width}x{height} was selected"),
        );
    }
    if matches!(codec, Codec::H264(_))
        && (picture.profile > video.profile || picture.level > video.level)
    {
        let (profile, level) = (picture.profile, picture.level);
        findings.add(
            Rule::ProfileLevel,
            format!(
                "profile {profile}, level {level} were sent, {}, {} selected",
                video.profile, video.level
            ),
        );
    }
}

fn check_audio(codec: Option<&Codec>, wanted: &Wanted, findings: &mut Findings) {
    let (rate, channels) = match codec {
        None if wanted.audio.is_some() => {
            findings.add(Rule::AudioCodec, "there is no sound, though it is on");
            return;
        }
        None => return,
        Some(Codec::Aac { rate, channels }) => (*rate, *channels),
        Some(other) => {
            let name = other.name();
            findings.add(
                Rule::AudioCodec,
                format!("sound is {name} instead of AAC-LC"),
            );
            return;
        }
    };
    let Some(audio) = &wanted.audio else { return };
    if (rate, channels) != (audio.rate, audio.channels) {
        let (r, c) = (audio.rate, audio.channels);
        findings.add(
            Rule::AudioConfig,
            format!("sound has {rate} Hz and {channels} channels, {r} Hz and {c} were selected"),
        );
    }
}
