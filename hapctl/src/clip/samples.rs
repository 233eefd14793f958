//! The samples of a fragment: where each is, how long it lasts, and what its flags say.

use std::ops::Range;

use mp4_atom::{Mfhd, Tfdt, Tfhd, Trun};

use super::boxes::{Malformed, Mp4Box, boxes, only};
use super::init::{Defaults, Init};
use super::rule::{Findings, Rule};

/// Most samples of a fragment: four seconds of 1000 pictures and as much sound.
const MAX_SAMPLES: usize = 8000;
/// A `moof` beyond this is none.
const MAX_MOOF: usize = 512 * 1024;

/// One sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Where it is in the piece.
    pub data: Range<usize>,
    /// In units of its track.
    pub duration: u32,
    /// ISO/IEC 14496-12 §8.8.3.1.
    pub flags: u32,
}

impl Sample {
    /// `sample_is_non_sync_sample`.
    pub(crate) fn non_sync(&self) -> bool {
        self.flags & 0x0001_0000 != 0
    }

    /// `sample_depends_on`: 1 depends on others, 2 does not.
    pub(crate) fn depends_on(&self) -> u32 {
        self.flags >> 24 & 3
    }
}

/// The samples of one track.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Run {
    pub track: u32,
    /// `baseMediaDecodeTime`.
    pub decode_time: Option<u64>,
    pub samples: Vec<Sample>,
}

impl Run {
    /// Duration of all samples.
    pub(crate) fn duration(&self) -> u64 {
        self.samples.iter().map(|s| u64::from(s.duration)).sum()
    }
}

/// What a `moof` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Moof {
    pub sequence: u32,
    pub runs: Vec<Run>,
}

impl Moof {
    /// Reads `moof`; samples lie in the piece it stands in.
    pub(crate) fn read(
        moof: &Mp4Box<'_>,
        init: &Init,
        findings: &mut Findings,
    ) -> Result<Self, Malformed> {
        if moof.whole.len() > MAX_MOOF {
            return Err(Malformed(format!("moof has {} bytes", moof.whole.len())));
        }
        let list = boxes(moof.body)?;
        let sequence = only(&list, b"mfhd")?.read::<Mfhd>()?.sequence_number;
        let mut reader = Reader {
            moof: moof.start,
            end: moof.start,
            left: MAX_SAMPLES,
        };
        let mut runs = Vec::new();
        for traf in list.iter().filter(|b| b.is(b"traf")) {
            runs.push(reader.traf(traf, init, runs.is_empty(), findings)?);
        }
        Ok(Self { sequence, runs })
    }
}

struct Reader {
    /// Where `moof` starts.
    moof: usize,
    /// Where the data of the run before ended.
    end: usize,
    /// Samples still allowed.
    left: usize,
}

impl Reader {
    fn traf(
        &mut self,
        traf: &Mp4Box<'_>,
        init: &Init,
        first: bool,
        findings: &mut Findings,
    ) -> Result<Run, Malformed> {
        let list = boxes(traf.body)?;
        let tfhd: Tfhd = only(&list, b"tfhd")?.read()?;
        let mut run = Run {
            track: tfhd.track_id,
            decode_time: decode_time(&list)?,
            samples: Vec::new(),
        };
        let base = self.base(&tfhd, first, findings);
        let defaults = defaults(&tfhd, init);
        for trun in list.iter().filter(|b| b.is(b"trun")) {
            self.trun(trun, base, defaults, &mut run)?;
        }
        Ok(run)
    }

    /// What data offsets count from (ISO/IEC 14496-12 §8.8.7.1).
    fn base(&mut self, tfhd: &Tfhd, first: bool, findings: &mut Findings) -> usize {
        if tfhd.base_data_offset.is_some() {
            let track = tfhd.track_id;
            findings.add(
                Rule::DataOffset,
                format!("track {track} has offsets from the start of a file there is none of"),
            );
        }
        if tfhd.default_base_is_moof || first {
            self.moof
        } else {
            self.end
        }
    }

    fn trun(
        &mut self,
        trun: &Mp4Box<'_>,
        base: usize,
        defaults: Defaults,
        run: &mut Run,
    ) -> Result<(), Malformed> {
        let count = trun.u32_at(4).unwrap_or(0) as usize;
        self.left = self
            .left
            .checked_sub(count)
            .ok_or_else(|| Malformed(format!("more than {MAX_SAMPLES} samples")))?;
        let table: Trun = trun.read()?;
        let mut at = match table.data_offset {
            Some(offset) => base.checked_add_signed(offset as isize),
            None if run.samples.is_empty() => Some(base),
            None => Some(self.end),
        };
        for entry in table.entries {
            let start = at.ok_or_else(|| Malformed("an offset before the fragment".into()))?;
            let size = entry.size.unwrap_or(defaults.size) as usize;
            let end = start.saturating_add(size);
            run.samples.push(Sample {
                data: start..end,
                duration: entry.duration.unwrap_or(defaults.duration),
                flags: entry.flags.unwrap_or(defaults.flags),
            });
            at = Some(end);
        }
        self.end = at.unwrap_or(self.end);
        Ok(())
    }
}

fn decode_time(list: &[Mp4Box<'_>]) -> Result<Option<u64>, Malformed> {
    match list.iter().find(|b| b.is(b"tfdt")) {
        None => Ok(None),
        Some(tfdt) => Ok(Some(tfdt.read::<Tfdt>()?.base_media_decode_time)),
    }
}

fn defaults(tfhd: &Tfhd, init: &Init) -> Defaults {
    let track = init.track(tfhd.track_id).map(|t| t.defaults);
    let track = track.unwrap_or_default();
    Defaults {
        duration: tfhd.default_sample_duration.unwrap_or(track.duration),
        size: tfhd.default_sample_size.unwrap_or(track.size),
        flags: tfhd.default_sample_flags.unwrap_or(track.flags),
    }
}
