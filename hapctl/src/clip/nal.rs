//! NAL units with their lengths before them (ISO/IEC 14496-15 §5.3.2).

/// More units than this in one picture are nonsense.
const MAX_UNITS: usize = 4000;

/// The units of a sample; none when lengths and sample do not fit.
pub(crate) fn units(sample: &[u8]) -> Option<Vec<&[u8]>> {
    let (mut rest, mut out) = (sample, Vec::new());
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest.get(..4)?.try_into().ok()?);
        let end = usize::try_from(length).ok()?.checked_add(4)?;
        let unit = rest.get(4..end).filter(|u| !u.is_empty())?;
        // forbidden_zero_bit
        if unit[0] & 0x80 != 0 || out.len() == MAX_UNITS {
            return None;
        }
        out.push(unit);
        rest = &rest[end..];
    }
    (!out.is_empty()).then_some(out)
}

/// What the units of a picture are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Picture {
    /// A decoder can start with it.
    Key,
    /// It needs others.
    Inter,
    /// There is no slice in it.
    None,
}

/// Whether the slices of an H.264 picture are those of an IDR picture (ISO/IEC 14496-10 table 7-1).
pub(crate) fn h264(units: &[&[u8]]) -> Picture {
    of(units.iter().filter_map(|u| match u[0] & 0x1F {
        5 => Some(true),
        1..=4 => Some(false),
        _ => None,
    }))
}

/// Whether the slices of an H.265 picture are those of an IRAP picture (ISO/IEC 23008-2 table 7-1).
pub(crate) fn h265(units: &[&[u8]]) -> Picture {
    of(units.iter().filter_map(|u| match u[0] >> 1 & 0x3F {
        16..=23 => Some(true),
        0..=31 => Some(false),
        _ => None,
    }))
}

fn of(mut slices: impl Iterator<Item = bool>) -> Picture {
    match slices.next() {
        None => Picture::None,
        Some(first) if first && slices.all(|s| s) => Picture::Key,
        Some(_) => Picture::Inter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_fill_the_sample() {
        let sample = [0, 0, 0, 2, 0x67, 1, 0, 0, 0, 1, 0x65];
        assert_eq!(units(&sample).unwrap(), [&[0x67, 1][..], &[0x65]]);
        for bad in [
            &[][..],
            &[0, 0, 0],
            &[0, 0, 0, 0],
            &[0, 0, 0, 2, 0x65],
            &[0, 0, 0, 1, 0xE5],
            &[0, 0, 0, 1, 0x65, 0],
            &[0xFF, 0xFF, 0xFF, 0xFF, 0x65],
        ] {
            assert_eq!(units(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn key_pictures_are_told_by_their_slices() {
        assert_eq!(h264(&[&[0x67], &[0x68], &[0x65]]), Picture::Key);
        assert_eq!(h264(&[&[0x06], &[0x41]]), Picture::Inter);
        assert_eq!(h264(&[&[0x65], &[0x41]]), Picture::Inter);
        assert_eq!(h264(&[&[0x09]]), Picture::None);
        assert_eq!(h265(&[&[0x40, 1], &[0x26, 1]]), Picture::Key);
        assert_eq!(h265(&[&[0x02, 1]]), Picture::Inter);
        assert_eq!(h265(&[&[0x42, 1]]), Picture::None);
    }

    proptest! {
        #[test]
        fn any_sample_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Some(units) = units(&bytes) {
                prop_assert_eq!(units.iter().map(|u| u.len() + 4).sum::<usize>(), bytes.len());
                let _ = (h264(&units), h265(&units));
            }
        }
    }
}
