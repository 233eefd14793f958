//! The few bytes that are added to what the muxer wrote (ISO/IEC 14496-12).

/// NTP begins in 1900, Unix time in 1970.
const NTP_UNIX_SECONDS: u64 = 2_208_988_800;

/// `ProducerReferenceTimeBox` with a media time of 64 bits.
pub(super) const PRFT_LEN: usize = 32;

/// The time is when the pictures were captured (§8.16.5).
const CAPTURE_TIME: u32 = 24;

/// When the first sample of a fragment was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReferenceTime {
    /// Nanoseconds since 1970.
    pub(super) unix: u64,
    /// In the timescale of track 1.
    pub(super) media: u64,
}

impl ReferenceTime {
    /// The whole `prft` box for track 1.
    ///
    /// ```text
    /// size 32 | 'prft' | version 1, flags | track id | NTP time (64 bits) | media time (64 bits)
    /// ```
    pub(super) fn prft(self) -> [u8; PRFT_LEN] {
        let mut out = [0; PRFT_LEN];
        out[..4].copy_from_slice(&(PRFT_LEN as u32).to_be_bytes());
        out[4..8].copy_from_slice(b"prft");
        out[8..12].copy_from_slice(&((1 << 24) | CAPTURE_TIME).to_be_bytes());
        out[12..16].copy_from_slice(&1_u32.to_be_bytes());
        out[16..24].copy_from_slice(&ntp(self.unix).to_be_bytes());
        out[24..].copy_from_slice(&self.media.to_be_bytes());
        out
    }
}

/// Seconds since 1900 in the upper half (they wrap in 2036), fractions of 2^-32 in the lower.
fn ntp(unix: u64) -> u64 {
    let seconds = unix / 1_000_000_000 + NTP_UNIX_SECONDS;
    let fraction = ((unix % 1_000_000_000) << 32) / 1_000_000_000;
    (seconds << 32) | fraction
}

/// A box at the start of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    kind: [u8; 4],
    size: usize,
}

fn header(bytes: &[u8]) -> Option<Header> {
    let size = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?);
    let kind = bytes.get(4..8)?.try_into().ok()?;
    Some(Header {
        kind,
        size: usize::try_from(size).ok().filter(|size| *size >= 8)?,
    })
}

/// Whether bytes begin an init segment.
pub(super) fn is_init(bytes: &[u8]) -> bool {
    header(bytes).is_some_and(|header| &header.kind == b"ftyp")
}

/// Offset of the `moof` among the boxes that begin a fragment.
pub(super) fn moof_offset(bytes: &[u8]) -> Option<usize> {
    let mut offset = 0;
    loop {
        let header = header(bytes.get(offset..)?)?;
        if &header.kind == b"moof" {
            return Some(offset);
        }
        offset = offset.checked_add(header.size)?;
    }
}

/// Numbers a `moof`, whose first child is `mfhd` (§8.8.5).
pub(super) fn set_sequence_number(moof: &mut [u8], number: u32) -> Option<()> {
    let mfhd = moof.get_mut(8..24)?;
    if &header(mfhd)?.kind != b"mfhd" {
        return None;
    }
    mfhd[12..].copy_from_slice(&number.to_be_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prft_as_on_paper() {
        // 2025-01-01T00:00:00.5Z is 3944678400.5 s since 1900.
        let time = ReferenceTime {
            unix: 1_735_689_600_500_000_000,
            media: 360_000,
        };
        let expected = [
            0, 0, 0, 32, b'p', b'r', b'f', b't', 1, 0, 0, 24, 0, 0, 0, 1, 0xeb, 0x1f, 0x04, 0x00,
            0x80, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0x7e, 0x40,
        ];
        assert_eq!(time.prft(), expected);
    }

    #[test]
    fn moof_is_found_after_other_boxes_and_numbered() {
        let mut bytes =
            b"\0\0\0\x0cstyp\0\0\0\0\0\0\0\x18moof\0\0\0\x10mfhd\0\0\0\0\0\0\0\x09".to_vec();
        let offset = moof_offset(&bytes).expect("there is one");
        assert_eq!(offset, 12);
        set_sequence_number(&mut bytes[offset..], 0x0102_0304).expect("it begins with mfhd");
        assert_eq!(bytes[bytes.len() - 4..], [1, 2, 3, 4]);
    }

    #[test]
    fn bad_boxes_are_refused() {
        assert_eq!(moof_offset(b""), None);
        assert_eq!(moof_offset(b"\0\0\0\0styp\0\0\0\0"), None);
        assert_eq!(moof_offset(b"\0\0\0\x0cstyp\0\0\0\0"), None);
        assert_eq!(set_sequence_number(&mut [0; 23], 1), None);
        assert_eq!(set_sequence_number(&mut [0; 24], 1), None);
        assert!(!is_init(b"\0\0\0\x0cst"));
    }
}
