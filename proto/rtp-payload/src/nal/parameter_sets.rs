use std::marker::PhantomData;

use super::Syntax;
use crate::Error;

/// The parameter sets of a stream, newest of each id, in the order of sending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParameterSets<C> {
    kinds: [Vec<Set>; MAX_KINDS],
    codec: PhantomData<C>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Set {
    id: u32,
    nal: Vec<u8>,
}

/// H.265 has three kinds.
const MAX_KINDS: usize = 3;

/// Most sets of a kind that are kept; cameras have one of each.
const MAX_SETS: usize = 8;

/// Largest set that is kept.
const MAX_SET_LEN: usize = 1024;

impl<C: Syntax> ParameterSets<C> {
    /// Keeps a parameter set; says whether anything changed. Other NAL units change nothing.
    pub(crate) fn store(&mut self, nal: &[u8]) -> Result<bool, Error> {
        let Some(kind) = nal.first().copied().and_then(C::set_kind) else {
            return Ok(false);
        };
        let id = C::set_id(nal).ok_or(Error::CodecData)?;
        if nal.len() > MAX_SET_LEN {
            return Err(Error::TooLarge {
                limit: MAX_SET_LEN,
                actual: nal.len(),
            });
        }
        Ok(replace(&mut self.kinds[kind], id, nal))
    }

    /// Whether there is at least one of each kind.
    pub(crate) fn are_complete(&self) -> bool {
        let kinds = &self.kinds[..C::SET_KINDS];
        kinds.iter().all(|sets| !sets.is_empty())
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.kinds.iter().flatten().map(|set| &*set.nal)
    }

    /// Writes all sets as one aggregation packet: `header | len | set | len | set | ...`.
    pub(crate) fn write_aggregate(&self, out: &mut Vec<u8>) {
        out.clear();
        C::begin_aggregate(self.iter(), out);
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

/// Reads a decoder configuration record (ISO 14496-15).
pub(crate) struct Record<'a>(pub(crate) &'a [u8]);

impl<'a> Record<'a> {
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let (taken, left) = self.0.split_at_checked(len).ok_or(Error::CodecData)?;
        self.0 = left;
        Ok(taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Error> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Error> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// Stores `count` sets, each behind its length of two bytes.
    pub(crate) fn sets<C: Syntax>(
        &mut self,
        count: u16,
        sets: &mut ParameterSets<C>,
    ) -> Result<(), Error> {
        for _ in 0..count {
            let len = self.u16()?;
            sets.store(self.take(len.into())?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h264::H264;

    const SPS: &[u8] = &[0x67, 0x4d, 0x40, 0x1f, 0x80];
    const SPS_LARGER: &[u8] = &[0x67, 0x4d, 0x40, 0x28, 0x80];
    const PPS: &[u8] = &[0x28, 0xee];

    #[test]
    fn the_newest_of_an_id_wins() {
        let mut sets = ParameterSets::<H264>::default();
        assert!(sets.store(PPS).unwrap());
        assert!(!sets.are_complete());
        assert!(sets.store(SPS).unwrap());
        assert!(!sets.store(SPS).unwrap());
        assert!(sets.store(SPS_LARGER).unwrap());
        assert_eq!(sets.iter().collect::<Vec<_>>(), [SPS_LARGER, PPS]);
    }

    #[test]
    fn stap_a_bytes() {
        let mut sets = ParameterSets::<H264>::default();
        sets.store(PPS).unwrap();
        sets.store(SPS).unwrap();
        let mut out = Vec::new();
        sets.write_aggregate(&mut out);
        let expected = [0x78, 0, 5, 0x67, 0x4d, 0x40, 0x1f, 0x80, 0, 2, 0x28, 0xee];
        assert_eq!(out, expected);
    }

    #[test]
    fn sets_are_bounded_in_number_and_size() {
        let mut sets = ParameterSets::<H264>::default();
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
