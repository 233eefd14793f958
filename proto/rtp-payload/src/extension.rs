//! RTP header extensions (RFC 8285).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |       0xBE    |    0xDE       |        words behind this      |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |  id   | len-1 |  data ...                        padding      |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

/// One element of a header extension, in the one-byte form (RFC 8285 §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extension {
    id: u8,
    data: [u8; MAX_DATA],
    len: u8,
}

const MAX_DATA: usize = 16;

/// Profile of the one-byte form.
const ONE_BYTE: u16 = 0xbede;

/// Profile of the two-byte form, but for four bits the application may use.
const TWO_BYTES: u16 = 0x1000;

impl Extension {
    /// An element of 1 to 16 bytes with an id of 1 to 14; `None` if it is not such.
    pub fn new(id: u8, data: &[u8]) -> Option<Self> {
        if !(1..=14).contains(&id) || !(1..=MAX_DATA).contains(&data.len()) {
            return None;
        }
        let mut bytes = [0; MAX_DATA];
        bytes[..data.len()].copy_from_slice(data);
        Some(Self {
            id,
            data: bytes,
            len: data.len() as u8,
        })
    }

    /// Length on the wire, the common header and padding included.
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        4 + (1 + usize::from(self.len)).next_multiple_of(4)
    }

    /// Appends the header extension that holds only this element.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let end = out.len() + self.len();
        let words = (self.len() / 4 - 1) as u16;
        out.extend(ONE_BYTE.to_be_bytes());
        out.extend(words.to_be_bytes());
        out.push(self.id << 4 | (self.len - 1));
        out.extend(&self.data[..self.len.into()]);
        out.resize(end, 0);
    }
}

/// The header extension of a packet that was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extensions<'a> {
    profile: u16,
    bytes: &'a [u8],
}

impl<'a> Extensions<'a> {
    /// `bytes` are what stands behind profile and length.
    pub(crate) fn new(profile: u16, bytes: &'a [u8]) -> Self {
        Self { profile, bytes }
    }

    /// The element with this id, in the one-byte or two-byte form.
    pub fn find(&self, id: u8) -> Option<&'a [u8]> {
        let header = match self.profile {
            ONE_BYTE => one_byte_header,
            profile if profile & 0xfff0 == TWO_BYTES => two_byte_header,
            _ => return None,
        };
        let mut rest = self.bytes;
        loop {
            // A byte of zero pads, wherever it stands (RFC 8285 §4.1.1).
            while let [0, after @ ..] = rest {
                rest = after;
            }
            let (found, len, after) = header(rest)?;
            let (data, after) = after.split_at_checked(len)?;
            if found == id {
                return Some(data);
            }
            rest = after;
        }
    }
}

/// Id, length and what follows; the ids 0, where it does not pad, and 15 end the list
/// (RFC 8285 §4.2).
fn one_byte_header(bytes: &[u8]) -> Option<(u8, usize, &[u8])> {
    let (&byte, rest) = bytes.split_first()?;
    let id = byte >> 4;
    (1..15)
        .contains(&id)
        .then_some((id, usize::from(byte & 15) + 1, rest))
}

fn two_byte_header(bytes: &[u8]) -> Option<(u8, usize, &[u8])> {
    let ([id, len], rest) = bytes.split_first_chunk()?;
    Some((*id, usize::from(*len), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(id: u8, data: &[u8]) -> Vec<u8> {
        let extension = Extension::new(id, data).unwrap();
        let mut out = Vec::new();
        extension.write_to(&mut out);
        assert_eq!(out.len(), extension.len());
        out
    }

    #[test]
    fn one_byte_form() {
        assert_eq!(written(4, &[9]), [0xbe, 0xde, 0, 1, 0x40, 9, 0, 0]);
        let long = written(14, &[7; 4]);
        assert_eq!(long, [0xbe, 0xde, 0, 2, 0xe3, 7, 7, 7, 7, 0, 0, 0]);
        assert_eq!(written(1, &[7; 3]).len(), 8);
    }

    #[test]
    fn ids_and_lengths_that_do_not_exist() {
        for (id, len) in [(0, 1), (15, 1), (1, 0), (1, 17)] {
            assert_eq!(Extension::new(id, &[0; 17][..len]), None, "{id} {len}");
        }
    }

    #[test]
    fn elements_are_found_between_others_and_padding() {
        let bytes = [0x10, 1, 0, 0, 0x21, 2, 3, 0x30, 4, 0, 0, 0];
        let extensions = Extensions::new(ONE_BYTE, &bytes);
        assert_eq!(extensions.find(1), Some(&[1][..]));
        assert_eq!(extensions.find(2), Some(&[2, 3][..]));
        assert_eq!(extensions.find(3), Some(&[4][..]));
        assert_eq!(extensions.find(4), None);
        let bytes = [1, 0, 0, 2, 3, 7, 8, 9];
        let extensions = Extensions::new(TWO_BYTES | 5, &bytes);
        assert_eq!(extensions.find(1), Some(&[][..]));
        assert_eq!(extensions.find(2), Some(&[7, 8, 9][..]));
    }

    #[test]
    fn lengths_beyond_the_end_and_unknown_profiles_hold_nothing() {
        let bytes = [0x13, 1, 2];
        assert_eq!(Extensions::new(ONE_BYTE, &bytes).find(1), None);
        assert_eq!(Extensions::new(0x1234, &[0x10, 1]).find(1), None);
        for end in [0xf0, 0x01] {
            let ends = [end, 1, 0x10, 2];
            assert_eq!(Extensions::new(ONE_BYTE, &ends).find(1), None);
        }
        assert_eq!(Extensions::default().find(1), None);
    }
}
