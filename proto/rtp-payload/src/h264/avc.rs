use super::H264;
use crate::Error;
use crate::nal::{Format, ParameterSets, Record};

/// Reads an `avcC` record: the format of the access units, and the parameter sets.
pub(super) fn read(record: &[u8]) -> Result<(Format, ParameterSets<H264>), Error> {
    let mut record = Record(record);
    let [1, _, _, _, sizes] = *record.take(5)? else {
        return Err(Error::CodecData);
    };
    let mut sets = ParameterSets::default();
    let sps_count = record.u8()? & 0x1f;
    record.sets(sps_count.into(), &mut sets)?;
    let pps_count = record.u8()?;
    record.sets(pps_count.into(), &mut sets)?;
    let length_size = (sizes & 3) + 1;
    Ok((Format::Avc { length_size }, sets))
}

/// Writes the `avcC` record (ISO 14496-15 §5.3.3.1) for one SPS and one PPS, with lengths of four
/// bytes. `None` if the SPS is too short to hold profile and level, or a set is over 65535 bytes.
pub fn codec_data(sps: &[u8], pps: &[u8]) -> Option<Vec<u8>> {
    let [profile, constraints, level] = *sps.get(1..4)? else {
        return None;
    };
    let mut out = vec![1, profile, constraints, level, 0xff, 0xe1];
    out.extend(u16::try_from(sps.len()).ok()?.to_be_bytes());
    out.extend(sps);
    out.push(1);
    out.extend(u16::try_from(pps.len()).ok()?.to_be_bytes());
    out.extend(pps);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPS: &[u8] = &[0x67, 0x4d, 0x40, 0x1f, 0x80];
    const PPS: &[u8] = &[0x68, 0xee];

    #[test]
    fn record_bytes() {
        let record = codec_data(SPS, PPS).unwrap();
        let expected = [
            1, 0x4d, 0x40, 0x1f, 0xff, 0xe1, 0, 5, 0x67, 0x4d, 0x40, 0x1f, 0x80, 1, 0, 2, 0x68,
            0xee,
        ];
        assert_eq!(record, expected);
        let (format, sets) = read(&record).unwrap();
        assert_eq!(format, Format::Avc { length_size: 4 });
        assert_eq!(sets.iter().collect::<Vec<_>>(), [SPS, PPS]);
    }

    #[test]
    fn truncated_records_are_refused() {
        let record = codec_data(SPS, PPS).unwrap();
        for len in 0..record.len() {
            assert_eq!(read(&record[..len]).unwrap_err(), Error::CodecData);
        }
        let mut wrong_version = record;
        wrong_version[0] = 0;
        assert!(read(&wrong_version).is_err());
    }
}
