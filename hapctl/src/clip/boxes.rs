//! Boxes of ISO/IEC 14496-12, level by level: where each stands, and what is in it.
//!
//! `mp4-atom` reads what is inside; it tells neither places nor order, and a box may ask it for
//! more memory than its bytes are worth. So boxes are found here, and only those that are wanted
//! are given to it.

use mp4_atom::Decode;

/// Boxes on one level; more are no recording.
const MAX_BOXES: usize = 1000;

/// One box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mp4Box<'a> {
    /// Four characters, such as `moof`.
    pub kind: [u8; 4],
    /// Where it starts in the bytes searched.
    pub start: usize,
    /// The box with its header.
    pub whole: &'a [u8],
    /// What follows the header.
    pub body: &'a [u8],
}

/// A box that does not fit its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Malformed(pub String);

impl Mp4Box<'_> {
    pub(crate) fn is(&self, kind: &[u8; 4]) -> bool {
        self.kind == *kind
    }

    pub(crate) fn name(&self) -> String {
        name(&self.kind)
    }

    /// The contents, as `mp4-atom` reads them.
    pub(crate) fn read<T: Decode>(&self) -> Result<T, Malformed> {
        let mut bytes = self.whole;
        T::decode(&mut bytes).map_err(|e| Malformed(format!("{}: {e}", self.name())))
    }

    /// Version and flags of a full box.
    pub(crate) fn version_and_flags(&self) -> Option<(u8, u32)> {
        let word = u32::from_be_bytes(self.body.get(..4)?.try_into().ok()?);
        Some(((word >> 24) as u8, word & 0x00FF_FFFF))
    }

    /// A big-endian number at `at` in the body.
    pub(crate) fn u32_at(&self, at: usize) -> Option<u32> {
        let bytes = self.body.get(at..at.checked_add(4)?)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    }
}

/// Four characters as text.
pub(crate) fn name(kind: &[u8; 4]) -> String {
    kind.escape_ascii().to_string()
}

/// The boxes in `bytes`.
pub(crate) fn boxes(bytes: &[u8]) -> Result<Vec<Mp4Box<'_>>, Malformed> {
    let (mut out, mut start) = (Vec::new(), 0);
    while start < bytes.len() {
        let found = box_at(bytes, start)?;
        start += found.whole.len();
        out.push(found);
        if out.len() > MAX_BOXES {
            return Err(Malformed(format!("more than {MAX_BOXES} boxes")));
        }
    }
    Ok(out)
}

fn box_at(bytes: &[u8], start: usize) -> Result<Mp4Box<'_>, Malformed> {
    let rest = &bytes[start..];
    let &[a, b, c, d, k0, k1, k2, k3, ..] = rest else {
        return Err(Malformed(format!(
            "{} bytes after the last box",
            rest.len()
        )));
    };
    let kind = [k0, k1, k2, k3];
    let (header, size) = match u32::from_be_bytes([a, b, c, d]) {
        1 => (16, large_size(rest).unwrap_or(0)),
        size => (8, u64::from(size)),
    };
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if size < header || size > rest.len() {
        let (name, left) = (name(&kind), rest.len());
        return Err(Malformed(format!(
            "{name} says {size} bytes, where {left} are left"
        )));
    }
    let whole = &rest[..size];
    let body = &whole[header..];
    Ok(Mp4Box {
        kind,
        start,
        whole,
        body,
    })
}

fn large_size(rest: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(rest.get(8..16)?.try_into().ok()?))
}

/// The only box of its kind in `list`.
pub(crate) fn only<'a>(list: &[Mp4Box<'a>], kind: &[u8; 4]) -> Result<Mp4Box<'a>, Malformed> {
    let mut found = list.iter().filter(|b| b.is(kind));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(*one),
        (None, _) => Err(Malformed(format!("no {}", name(kind)))),
        _ => Err(Malformed(format!("more than one {}", name(kind)))),
    }
}

/// The only box at the end of a path such as `mdia/minf/stbl`.
pub(crate) fn descend<'a>(bytes: &'a [u8], path: &[&[u8; 4]]) -> Result<Mp4Box<'a>, Malformed> {
    let Some((first, rest)) = path.split_first() else {
        return Err(Malformed("an empty path".into()));
    };
    let found = only(&boxes(bytes)?, first)?;
    match rest {
        [] => Ok(found),
        _ => descend(found.body, rest),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A box around `body`.
    pub(crate) fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len() + 8).unwrap();
        [&size.to_be_bytes()[..], kind, body].concat()
    }

    #[test]
    fn boxes_are_found_with_their_places() {
        let inner = boxed(b"mfhd", &[0, 0, 0, 0, 0, 0, 0, 7]);
        let bytes = [boxed(b"prft", &[1]), boxed(b"moof", &inner)].concat();
        let found = boxes(&bytes).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[1].start, found[1].name()), (9, "moof".into()));
        let mfhd = descend(&bytes, &[b"moof", b"mfhd"]).unwrap();
        assert_eq!(mfhd.read::<mp4_atom::Mfhd>().unwrap().sequence_number, 7);
        assert_eq!(
            (mfhd.version_and_flags(), mfhd.u32_at(4)),
            (Some((0, 0)), Some(7))
        );
        assert_eq!(mfhd.u32_at(5), None);
    }

    #[test]
    fn a_large_size_is_read() {
        let mut bytes = vec![0, 0, 0, 1];
        bytes.extend(b"mdat");
        bytes.extend(20u64.to_be_bytes());
        bytes.extend([1, 2, 3, 4]);
        assert_eq!(boxes(&bytes).unwrap()[0].body, [1, 2, 3, 4]);
        bytes[15] = 21;
        assert!(boxes(&bytes).is_err());
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        for bytes in [
            &b"\0\0\0\x09moof"[..],
            b"\0\0\0\x07moof",
            b"\0\0\0\0moof",
            b"\0\0\0\x01moof",
            b"\0\0\0",
        ] {
            assert!(boxes(bytes).is_err(), "{bytes:?}");
        }
        let twice = [boxed(b"moof", &[]), boxed(b"moof", &[])].concat();
        assert!(only(&boxes(&twice).unwrap(), b"moof").is_err());
        assert!(descend(&twice, &[b"traf"]).is_err());
        assert!(boxes(&boxed(b"free", &[]).repeat(MAX_BOXES + 1)).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_searched(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(found) = boxes(&bytes) {
                prop_assert_eq!(found.iter().map(|b| b.whole.len()).sum::<usize>(), bytes.len());
            }
        }
    }
}
