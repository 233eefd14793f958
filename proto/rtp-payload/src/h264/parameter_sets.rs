use super::nal::{kind, kind_of, parameter_set_id};
use crate::Error;

/// The parameter sets of a stream, newest of each id, SPS before PPS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ParameterSets {
    sps: Vec<Set>,
    pps: Vec<Set>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Set {
    id: u32,
    nal: Vec<u8>,
}

/// Most sets of a kind that are kept; cameras have one of each.
const MAX_SETS: usize = 8;

/// Largest set that is kept.
const MAX_SET_LEN: usize = 1024;

impl ParameterSets {
    /// Keeps an SPS or PPS; says whether anything changed. Other NAL units change nothing.
    pub(super) fn store(&mut self, nal: &[u8]) -> Result<bool, Error> {
        let sets = match nal.first().copied().map(kind_of) {
            Some(kind::SPS) => &mut self.sps,
            Some(kind::PPS) => &mut self.pps,
            _ => return Ok(false),
        };
        let id = parameter_set_id(nal).ok_or(Error::CodecData)?;
        if nal.len() > MAX_SET_LEN {
            return Err(Error::TooLarge {
                limit: MAX_SET_LEN,
                actual: nal.len(),
            });
        }
        Ok(replace(sets, id, nal))
    }

    /// Whether there is at least one SPS and one PPS.
    pub(super) fn are_complete(&self) -> bool {
        !self.sps.is_empty() && !self.pps.is_empty()
    }

    /// SPS first, then PPS.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.sps.iter().chain(&self.pps).map(|set| &*set.nal)
    }

    /// Writes all sets as one STAP-A (RFC 6184 §5.7.1): `78 | len SPS | SPS | len PPS | PPS`, with
    /// the highest importance (NRI) of its members.
    pub(super) fn write_stap_a(&self, out: &mut Vec<u8>) {
        out.clear();
        let importance = self.iter().map(|nal| nal[0] & 0x60).max().unwrap_or(0);
        out.push(importance | kind::STAP_A);
        for nal in self.iter() {
            let len = u16::try_from(nal.len()).expect("sets are at most MAX_SET_LEN long");
            out.extend(len.to_be_bytes());
            out.extend(nal);
        }
    }
}

/// Replaces the set with this id; where there are too many, the oldest goes.
fn replace(sets: &mut Vec<Set>, id: u32, nal: &[u8]) -> bool {
    if let Some(known) = sets.iter_mut().find(|set| set.id == id) {
        let changed = known.nal != nal;
        if changed {
            known.nal = nal.to_vec();
        }
        return changed;
    }
    if sets.len() == MAX_SETS {
        sets.remove(0);
    }
    let nal = nal.to_vec();
    sets.push(Set { id, nal });
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPS: &[u8] = &[0x67, 0x4d, 0x40, 0x1f, 0x80];
    const SPS_LARGER: &[u8] = &[0x67, 0x4d, 0x40, 0x28, 0x80];
    const PPS: &[u8] = &[0x28, 0xee];

    #[test]
    fn the_newest_of_an_id_wins() {
        let mut sets = ParameterSets::default();
        assert!(sets.store(PPS).unwrap());
        assert!(!sets.are_complete());
        assert!(sets.store(SPS).unwrap());
        assert!(!sets.store(SPS).unwrap());
        assert!(sets.store(SPS_LARGER).unwrap());
        assert_eq!(sets.iter().collect::<Vec<_>>(), [SPS_LARGER, PPS]);
    }

    #[test]
    fn stap_a_bytes() {
        let mut sets = ParameterSets::default();
        sets.store(PPS).unwrap();
        sets.store(SPS).unwrap();
        let mut out = Vec::new();
        sets.write_stap_a(&mut out);
        let expected = [0x78, 0, 5, 0x67, 0x4d, 0x40, 0x1f, 0x80, 0, 2, 0x28, 0xee];
        assert_eq!(out, expected);
    }

    #[test]
    fn sets_are_bounded_in_number_and_size() {
        let mut sets = ParameterSets::default();
        // Ids 0 to 14 in one byte of Exp-Golomb code.
        for id in 0u8..15 {
            let code = id + 1;
            let shift = 2 * code.leading_zeros() - 7;
            let nal = [0x68, code << shift];
            sets.store(&nal).unwrap();
        }
        assert_eq!(sets.iter().count(), MAX_SETS);
        let huge = [&[0x68, 0x80][..], &[1; MAX_SET_LEN]].concat();
        assert!(sets.store(&huge).is_err());
    }
}
