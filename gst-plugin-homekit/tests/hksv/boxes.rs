//! A reader of fragmented MP4 that knows nothing of how it was written (ISO/IEC 14496-12, 14496-14, 14496-15).
//!
//! It panics at whatever is not as a hub wants it.

use std::collections::BTreeMap;

/// Children of a box, or boxes of a file.
pub(crate) fn boxes(mut bytes: &[u8]) -> Vec<(String, &[u8])> {
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let size = number(&bytes[..4]) as usize;
        assert!(
            size >= 8 && size <= bytes.len(),
            "a box of {size} bytes in {}",
            bytes.len()
        );
        let kind = String::from_utf8(bytes[4..8].to_vec()).unwrap();
        out.push((kind, &bytes[8..size]));
        bytes = &bytes[size..];
    }
    out
}

pub(crate) fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

/// The box at a path such as `trak/mdia/mdhd`.
fn at<'a>(bytes: &'a [u8], path: &str) -> Option<&'a [u8]> {
    path.split('/').try_fold(bytes, |bytes, kind| {
        let found = boxes(bytes).into_iter().find(|(name, _)| name == kind);
        found.map(|(_, content)| content)
    })
}

/// What the init segment says of a track.
#[derive(Debug, Clone)]
pub(crate) struct Track {
    pub(crate) handler: String,
    pub(crate) timescale: u64,
    /// `avc1`, `hvc1`, `mp4a`.
    pub(crate) entry: String,
    /// `avcC` or `hvcC`; of `mp4a` the `esds`.
    pub(crate) configuration: Vec<u8>,
    pub(crate) has_edit_list: bool,
}

/// Tracks by their id.
pub(crate) fn init(bytes: &[u8]) -> BTreeMap<u64, Track> {
    let all = boxes(bytes);
    let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["ftyp", "moov"]);
    let moov = boxes(all[1].1);
    let traks = moov.iter().filter(|(name, _)| name == "trak");
    let tracks: BTreeMap<u64, Track> = traks.map(|(_, trak)| track(trak)).collect();
    let trex = boxes(at(all[1].1, "mvex").unwrap());
    let trex = trex.iter().filter(|(name, _)| name == "trex").count();
    assert_eq!(trex, tracks.len());
    tracks
}

fn track(trak: &[u8]) -> (u64, Track) {
    let tkhd = at(trak, "tkhd").unwrap();
    let id = number(if tkhd[0] == 1 {
        &tkhd[20..24]
    } else {
        &tkhd[12..16]
    });
    let mdhd = at(trak, "mdia/mdhd").unwrap();
    let timescale = number(if mdhd[0] == 1 {
        &mdhd[20..24]
    } else {
        &mdhd[12..16]
    });
    let handler = String::from_utf8(at(trak, "mdia/hdlr").unwrap()[8..12].to_vec()).unwrap();
    let stbl = at(trak, "mdia/minf/stbl").unwrap();
    for (name, table) in boxes(stbl) {
        let counts = if name == "stsz" { 8..12 } else { 4..8 };
        assert!(
            name == "stsd" || number(&table[counts]) == 0,
            "{name} is not empty"
        );
    }
    let (entry, content) = boxes(&at(stbl, "stsd").unwrap()[8..]).remove(0);
    // Of a visual entry, of an audio entry (§12.1.3, §12.2.3).
    let fields = if handler == "vide" { 78 } else { 28 };
    let wanted = ["avcC", "hvcC", "esds"];
    let children = boxes(&content[fields..]);
    let configuration = children
        .iter()
        .find(|(name, _)| wanted.contains(&name.as_str()));
    let track = Track {
        handler,
        timescale,
        entry,
        configuration: configuration.unwrap().1.to_vec(),
        has_edit_list: at(trak, "edts").is_some(),
    };
    (id, track)
}

#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) dts: u64,
    pub(crate) pts: i64,
    pub(crate) duration: u64,
    pub(crate) flags: u64,
    pub(crate) data: Vec<u8>,
}

impl Sample {
    /// Not `sample_is_non_sync_sample`, and `sample_depends_on` nothing.
    pub(crate) fn is_sync(&self) -> bool {
        self.flags & 0x0001_0000 == 0 && self.flags & 0x0300_0000 == 0x0200_0000
    }

    /// A non-sync sample that depends on others.
    pub(crate) fn is_delta(&self) -> bool {
        self.flags & 0x0001_0000 != 0 && self.flags & 0x0300_0000 == 0x0100_0000
    }
}

#[derive(Debug)]
pub(crate) struct Fragment {
    pub(crate) sequence_number: u64,
    /// Unix time in nanoseconds that `prft` names.
    pub(crate) unix: u64,
    /// Samples by track id.
    pub(crate) tracks: BTreeMap<u64, Vec<Sample>>,
}

impl Fragment {
    pub(crate) fn video(&self) -> &[Sample] {
        &self.tracks[&1]
    }

    pub(crate) fn audio(&self) -> &[Sample] {
        self.tracks.get(&2).map_or(&[], Vec::as_slice)
    }

    /// Of the video, in its timescale.
    pub(crate) fn duration(&self) -> u64 {
        self.video().iter().map(|sample| sample.duration).sum()
    }
}

/// `prft`, `moof` and `mdat`, and nothing else.
pub(crate) fn fragment(bytes: &[u8]) -> Fragment {
    let all = boxes(bytes);
    let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["prft", "moof", "mdat"]);
    let moof = boxes(all[1].1);
    assert_eq!(moof[0].0, "mfhd");
    // `prft` has 32 bytes with its header.
    let mut covered = Vec::new();
    let trafs = moof[1..].iter().map(|(name, content)| {
        assert_eq!(name, "traf");
        traf(content, &bytes[32..], &mut covered)
    });
    let tracks: BTreeMap<u64, Vec<Sample>> = trafs.collect();
    covered.sort_unstable();
    let mdat = all[1].1.len() + 16;
    let end = covered.iter().fold(mdat, |end, &(start, size)| {
        assert_eq!(start, end, "samples leave a gap or overlap in mdat");
        start + size
    });
    assert_eq!(end + 32, bytes.len(), "mdat holds more than samples");
    Fragment {
        sequence_number: number(&moof[0].1[4..8]),
        unix: prft(all[0].1, tracks[&1][0].dts),
        tracks,
    }
}

fn prft(content: &[u8], tfdt: u64) -> u64 {
    assert_eq!(content.len(), 24);
    assert_eq!(content[..4], [1, 0, 0, 24], "version and flags");
    assert_eq!(number(&content[4..8]), 1, "reference track");
    assert_eq!(number(&content[16..24]), tfdt, "media time");
    let seconds = number(&content[8..12]) - 2_208_988_800;
    let fraction = number(&content[12..16]) * 1_000_000_000;
    seconds * 1_000_000_000 + (fraction >> 32)
}

fn traf(content: &[u8], moof: &[u8], covered: &mut Vec<(usize, usize)>) -> (u64, Vec<Sample>) {
    let all = boxes(content);
    assert_eq!((all[0].0.as_str(), all[1].0.as_str()), ("tfhd", "tfdt"));
    let tfhd = Defaults::read(all[0].1);
    let tfdt = all[1].1;
    let mut dts = number(if tfdt[0] == 1 {
        &tfdt[4..12]
    } else {
        &tfdt[4..8]
    });
    let mut samples = Vec::new();
    for (name, trun) in &all[2..] {
        assert_eq!(name, "trun");
        run(trun, &tfhd, moof, &mut dts, &mut samples, covered);
    }
    (tfhd.track, samples)
}

#[derive(Debug)]
struct Defaults {
    track: u64,
    duration: Option<u64>,
    size: Option<u64>,
    flags: Option<u64>,
}

impl Defaults {
    fn read(tfhd: &[u8]) -> Self {
        let flags = number(&tfhd[1..4]);
        assert_eq!(flags & 0x02_0003, 0x02_0000, "offsets count from moof");
        let mut fields = tfhd[8..].chunks(4).map(number);
        let mut field = |bit: u64| (flags & bit != 0).then(|| fields.next().unwrap());
        Self {
            track: number(&tfhd[4..8]),
            duration: field(0x08),
            size: field(0x10),
            flags: field(0x20),
        }
    }
}

fn run(
    trun: &[u8],
    defaults: &Defaults,
    moof: &[u8],
    dts: &mut u64,
    samples: &mut Vec<Sample>,
    covered: &mut Vec<(usize, usize)>,
) {
    let flags = number(&trun[1..4]);
    let mut fields = trun[4..].chunks(4).map(number);
    let count = fields.next().unwrap();
    assert_ne!(flags & 1, 0, "there is a data offset");
    let mut offset = fields.next().unwrap() as usize;
    let mut first_flags = (flags & 4 != 0).then(|| fields.next().unwrap());
    for _ in 0..count {
        let mut field = |bit: u64| (flags & bit != 0).then(|| fields.next().unwrap());
        let duration = field(0x100).or(defaults.duration).unwrap();
        let size = field(0x200).or(defaults.size).unwrap() as usize;
        let own_flags = field(0x400).or(defaults.flags);
        let composition = field(0x800).unwrap_or(0) as u32;
        let composition = if trun[0] == 1 {
            i64::from(composition as i32)
        } else {
            i64::from(composition)
        };
        covered.push((offset, size));
        samples.push(Sample {
            dts: *dts,
            pts: *dts as i64 + composition,
            duration,
            flags: first_flags.take().or(own_flags).unwrap(),
            data: moof[offset..offset + size].to_vec(),
        });
        offset += size;
        *dts += duration;
    }
    assert!(fields.next().is_none(), "trun is longer than its samples");
}

/// NAL units of a sample with lengths of four bytes.
pub(crate) fn nal_units(sample: &[u8]) -> Vec<&[u8]> {
    let mut rest = sample;
    let mut units = Vec::new();
    while !rest.is_empty() {
        let end = 4 + number(&rest[..4]) as usize;
        units.push(&rest[4..end]);
        rest = &rest[end..];
    }
    units
}
