//! The little that must be known of H.264 byte streams.

/// NAL unit type of a slice of an IDR picture (H.264 table 7-1).
const IDR: u8 = 5;

/// Whether an access unit in byte-stream format is an IDR picture: its first slice decides.
pub(super) fn is_idr(unit: &[u8]) -> bool {
    nal_types(unit).find(|kind| (1..=IDR).contains(kind)) == Some(IDR)
}

/// Types of the NAL units behind each start code.
fn nal_types(unit: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let starts = unit.windows(4).filter(|window| window[..3] == [0, 0, 1]);
    starts.map(|window| window[3] & 0x1f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idr_picture_is_found_behind_its_parameter_sets() {
        let unit = [
            0, 0, 0, 1, 0x09, 0xf0, 0, 0, 1, 0x67, 1, 2, 0, 0, 0, 1, 0x68, 3, 0, 0, 1, 0x65, 9,
        ];
        assert!(is_idr(&unit));
    }

    #[test]
    fn other_pictures_are_not() {
        assert!(!is_idr(&[0, 0, 0, 1, 0x41, 0x9a]));
        assert!(!is_idr(&[0, 0, 0, 1, 0x06, 5, 0, 0, 1, 0x41]));
        assert!(!is_idr(&[0, 0, 1]));
        assert!(!is_idr(&[]));
        assert!(!is_idr(&[0, 0, 1, 0x67, 1, 0, 0, 1, 0x68]));
    }
}
