use super::H265;
use crate::Error;
use crate::nal::{Format, ParameterSets, Record};

/// Reads an `hvcC` record (ISO 14496-15 §8.3.3.1): the format of the access units, and the parameter
/// sets.
///
/// ```text
/// | version 1 | 20 bytes: profile, level, ... | ......|length_size-1 | number of arrays |
/// then for each array | .|0|  type    | count (2) | and for each NAL unit | length (2) | bytes |
/// ```
pub(super) fn read(record: &[u8]) -> Result<(Format, ParameterSets<H265>), Error> {
    let mut record = Record(record);
    if record.u8()? != 1 {
        return Err(Error::CodecData);
    }
    record.take(20)?;
    let length_size = (record.u8()? & 3) + 1;
    let mut sets = ParameterSets::default();
    for _ in 0..record.u8()? {
        record.take(1)?;
        let count = record.u16()?;
        record.sets(count, &mut sets)?;
    }
    Ok((Format::Avc { length_size }, sets))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VPS: &[u8] = &[0x40, 1, 0x0c];
    const SPS: &[u8] = &[0x42, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0x80];
    const PPS: &[u8] = &[0x44, 1, 0xc0];

    pub(super) fn record() -> Vec<u8> {
        let mut record = vec![1];
        record.extend([0; 20]);
        record.extend([0xff, 3]);
        for (kind, nal) in [(32, VPS), (33, SPS), (34, PPS)] {
            record.extend([0x80 | kind, 0, 1, 0, nal.len() as u8]);
            record.extend(nal);
        }
        record
    }

    #[test]
    fn parameter_sets_and_length_size() {
        let (format, sets) = read(&record()).unwrap();
        assert_eq!(format, Format::Avc { length_size: 4 });
        assert_eq!(sets.iter().collect::<Vec<_>>(), [VPS, SPS, PPS]);
        assert!(sets.are_complete());
    }

    #[test]
    fn truncated_records_are_refused() {
        let record = record();
        for len in 0..record.len() {
            assert_eq!(read(&record[..len]).unwrap_err(), Error::CodecData, "{len}");
        }
        let mut other_version = record;
        other_version[0] = 2;
        assert!(read(&other_version).is_err());
    }
}
