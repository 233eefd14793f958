//! The size in the header of a JPEG picture (ITU-T T.81 §B.2.2).

/// Width and height, from the frame header; none when there is none.
#[must_use]
pub fn size(bytes: &[u8]) -> Option<(u16, u16)> {
    let mut rest = bytes.strip_prefix(&[0xFF, 0xD8])?;
    loop {
        let (marker, tail) = marker(rest)?;
        // Markers without a segment.
        if matches!(marker, 0x01 | 0xD0..=0xD7) {
            rest = tail;
            continue;
        }
        let length = usize::from(u16::from_be_bytes([*tail.first()?, *tail.get(1)?]));
        let segment = tail.get(2..length)?;
        match marker {
            // Start of frame, other than DHT (C4), JPG (C8) and DAC (CC).
            0xC0..=0xCF if !matches!(marker, 0xC4 | 0xC8 | 0xCC) => return frame_size(segment),
            // Start of scan, end of image: the frame header stands before these.
            0xDA | 0xD9 => return None,
            _ => rest = &tail[length..],
        }
    }
}

/// A marker, after any number of fill bytes, and what follows it.
fn marker(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let rest = bytes.strip_prefix(&[0xFF])?;
    let at = rest.iter().position(|b| *b != 0xFF)?;
    Some((rest[at], &rest[at + 1..]))
}

fn frame_size(segment: &[u8]) -> Option<(u16, u16)> {
    let &[_precision, h1, h0, w1, w0, ..] = segment else {
        return None;
    };
    Some((u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// SOI, APP0, a fill byte, DHT (empty), SOF0 640x360, SOS.
    const PICTURE: &[u8] = &[
        0xFF, 0xD8, 0xFF, 0xE0, 0, 4, b'J', b'F', 0xFF, 0xFF, 0xC4, 0, 2, 0xFF, 0xC0, 0, 11, 8,
        0x01, 0x68, 0x02, 0x80, 1, 1, 0x11, 0, 0xFF, 0xDA, 0, 2,
    ];

    #[test]
    fn size_stands_in_the_frame_header() {
        assert_eq!(size(PICTURE), Some((640, 360)));
    }

    #[test]
    fn what_is_no_picture_has_no_size() {
        for end in 0..22 {
            assert_eq!(size(&PICTURE[..end]), None, "{end}");
        }
        assert_eq!(size(b"GIF89a"), None);
        assert_eq!(size(&[0xFF, 0xD8, 0xFF, 0xDA, 0, 2]), None);
        assert_eq!(size(&[0xFF, 0xD8, 0xFF, 0xE0, 0, 0, 0xFF]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_searched(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut picture = vec![0xFF, 0xD8];
            picture.extend(bytes);
            let _ = size(&picture);
        }
    }
}
