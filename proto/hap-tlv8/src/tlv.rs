//! Reading an item list.

use std::fmt;

use crate::{Error, MAX_FRAGMENT, SEPARATOR_CHARACTERISTIC, SEPARATOR_PAIRING, wipe};

/// How much a list may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole list.
    pub bytes: usize,
    /// Items, where the fragments of one value count once.
    pub items: usize,
}

impl Default for Limits {
    /// 64 KiB and 1024 items: the largest lists in HAP, a full pairing list and the supported
    /// recording configurations, stay far below.
    fn default() -> Self {
        Self {
            bytes: 64 * 1024,
            items: 1024,
        }
    }
}

/// One item, its fragments joined.
#[derive(Clone, PartialEq, Eq)]
pub struct Item {
    /// The type.
    pub tag: u8,
    /// The value; empty for separators.
    pub value: Vec<u8>,
}

impl Item {
    /// Whether this is one of the two separators, `FF 00` and `00 00`.
    pub fn is_separator(&self) -> bool {
        let separator = matches!(self.tag, SEPARATOR_PAIRING | SEPARATOR_CHARACTERISTIC);
        separator && self.value.is_empty()
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        wipe(&mut self.value);
    }
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#04x}({} bytes)", self.tag, self.value.len())
    }
}

/// A decoded item list, in the order it arrived; separators are kept as items.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tlv {
    items: Vec<Item>,
}

impl Tlv {
    /// Decodes `bytes` within the default [`Limits`].
    ///
    /// # Errors
    /// [`Error::Truncated`], [`Error::TooLarge`] or [`Error::TooManyItems`]; unknown types are no error.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        Self::parse_within(bytes, Limits::default())
    }

    /// Decodes `bytes` within `limits`.
    ///
    /// # Errors
    /// As [`Tlv::parse`].
    pub fn parse_within(bytes: &[u8], limits: Limits) -> Result<Self, Error> {
        if bytes.len() > limits.bytes {
            return Err(Error::TooLarge {
                limit: limits.bytes,
                actual: bytes.len(),
            });
        }
        let mut joiner = Joiner::new(limits.items);
        let mut offset = 0;
        while offset < bytes.len() {
            let (tag, value) = fragment(bytes, offset)?;
            joiner.push(tag, value)?;
            offset += 2 + value.len();
        }
        Ok(Self {
            items: joiner.items,
        })
    }

    /// All items, in order, separators included.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Whether there is no item at all.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The value of the first item of type `tag`.
    pub fn first(&self, tag: u8) -> Option<&[u8]> {
        self.all(tag).next()
    }

    /// The values of all items of type `tag`, whichever separator stands between them, or none.
    pub fn all(&self, tag: u8) -> impl Iterator<Item = &[u8]> {
        let wanted = move |item: &&Item| item.tag == tag && !item.is_separator();
        self.items
            .iter()
            .filter(wanted)
            .map(|item| item.value.as_slice())
    }

    /// The value of the first item of type `tag`.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub fn bytes(&self, tag: u8) -> Result<&[u8], Error> {
        self.first(tag).ok_or(Error::Missing { tag })
    }

    /// The value of the first item of type `tag`, which must have exactly `N` bytes.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Length`].
    pub fn array<const N: usize>(&self, tag: u8) -> Result<[u8; N], Error> {
        let value = self.bytes(tag)?;
        value.try_into().map_err(|_| Error::Length {
            tag,
            expected: N,
            actual: value.len(),
        })
    }

    /// The integer of type `tag`: little endian, 1 to 8 bytes.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Length`].
    pub fn uint(&self, tag: u8) -> Result<u64, Error> {
        integer(tag, self.bytes(tag)?)
    }

    /// The integer of type `tag` if there is one.
    ///
    /// # Errors
    /// [`Error::Length`].
    pub fn opt_uint(&self, tag: u8) -> Result<Option<u64>, Error> {
        self.first(tag).map(|value| integer(tag, value)).transpose()
    }

    /// The IEEE 754 single of type `tag`, little endian.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Length`].
    pub fn f32(&self, tag: u8) -> Result<f32, Error> {
        self.array(tag).map(f32::from_le_bytes)
    }

    /// The text of type `tag`.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::NotUtf8`].
    pub fn str(&self, tag: u8) -> Result<&str, Error> {
        std::str::from_utf8(self.bytes(tag)?).map_err(|_| Error::NotUtf8 { tag })
    }

    /// The item list within the first item of type `tag`.
    ///
    /// # Errors
    /// [`Error::Missing`], or what is wrong with the inner list.
    pub fn nested(&self, tag: u8) -> Result<Tlv, Error> {
        Tlv::parse(self.bytes(tag)?)
    }

    /// The lists between separators of either kind, as in a pairing list; empty ones are left out.
    pub fn groups(&self) -> Vec<Tlv> {
        let groups = self.items.split(Item::is_separator);
        groups
            .filter(|items| !items.is_empty())
            .map(|items| Tlv {
                items: items.to_vec(),
            })
            .collect()
    }
}

/// Joins fragments to items.
struct Joiner {
    items: Vec<Item>,
    limit: usize,
    /// Whether the fragment before had length 255, so that the same type continues it.
    open: bool,
}

impl Joiner {
    fn new(limit: usize) -> Self {
        Self {
            items: Vec::new(),
            limit,
            open: false,
        }
    }

    fn push(&mut self, tag: u8, value: &[u8]) -> Result<(), Error> {
        let continued = self.open;
        self.open = value.len() == MAX_FRAGMENT;
        match self.items.last_mut() {
            Some(last) if continued && last.tag == tag => extend(&mut last.value, value),
            _ => self.add(tag, value)?,
        }
        Ok(())
    }

    fn add(&mut self, tag: u8, value: &[u8]) -> Result<(), Error> {
        if self.items.len() == self.limit {
            return Err(Error::TooManyItems { limit: self.limit });
        }
        let value = value.to_vec();
        self.items.push(Item { tag, value });
        Ok(())
    }
}

/// Appends to `value`; the old allocation is wiped when it has to move.
fn extend(value: &mut Vec<u8>, more: &[u8]) {
    let mut longer = Vec::with_capacity(value.len() + more.len());
    longer.extend_from_slice(value);
    longer.extend_from_slice(more);
    wipe(value);
    *value = longer;
}

fn fragment(bytes: &[u8], offset: usize) -> Result<(u8, &[u8]), Error> {
    let rest = &bytes[offset..];
    let truncated = |expected| Error::Truncated {
        offset,
        expected,
        actual: rest.len(),
    };
    let [tag, length, value @ ..] = rest else {
        return Err(truncated(2));
    };
    let length = usize::from(*length);
    let value = value.get(..length).ok_or_else(|| truncated(2 + length))?;
    Ok((*tag, value))
}

fn integer(tag: u8, value: &[u8]) -> Result<u64, Error> {
    let mut wide = [0; 8];
    if value.is_empty() || value.len() > wide.len() {
        return Err(Error::Length {
            tag,
            expected: wide.len(),
            actual: value.len(),
        });
    }
    wide[..value.len()].copy_from_slice(value);
    Ok(u64::from_le_bytes(wide))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(bytes: &[u8], tag: u8) -> Vec<Vec<u8>> {
        let tlv = Tlv::parse(bytes).expect("well-formed");
        tlv.all(tag).map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn empty_input_is_an_empty_list() {
        assert!(Tlv::parse(&[]).unwrap().is_empty());
    }

    #[test]
    fn fragments_are_joined() {
        let bytes = [&[9, 0xFF][..], &[7; 255], &[9, 0x2D], &[7; 45], &[6, 1, 3]].concat();
        let tlv = Tlv::parse(&bytes).unwrap();
        assert_eq!(tlv.bytes(9).unwrap(), [7; 300]);
        assert_eq!(tlv.uint(6).unwrap(), 3);
        assert_eq!(tlv.items().len(), 2);
    }

    #[test]
    fn three_fragments_are_joined() {
        let bytes = [
            &[1, 255][..],
            &[1; 255],
            &[1, 255],
            &[2; 255],
            &[1, 105],
            &[3; 105],
        ]
        .concat();
        assert_eq!(values(&bytes, 1)[0].len(), 615);
    }

    #[test]
    fn exactly_255_bytes_need_no_follow_up() {
        let bytes = [&[1, 255][..], &[4; 255]].concat();
        assert_eq!(values(&bytes, 1), [vec![4; 255]]);
    }

    #[test]
    fn exactly_255_bytes_with_an_empty_follow_up_are_one_value() {
        let bytes = [&[1, 255][..], &[4; 255], &[1, 0]].concat();
        assert_eq!(values(&bytes, 1), [vec![4; 255]]);
    }

    #[test]
    fn other_type_after_255_bytes_is_another_item() {
        let bytes = [&[1, 255][..], &[4; 255], &[2, 1, 9], &[1, 1, 8]].concat();
        assert_eq!(values(&bytes, 1), [vec![4; 255], vec![8]]);
    }

    #[test]
    fn siblings_with_either_separator_or_none() {
        for bytes in [
            &[1, 1, 5, 0, 0, 1, 1, 6][..],
            &[1, 1, 5, 0xFF, 0, 1, 1, 6],
            &[1, 1, 5, 1, 1, 6],
        ] {
            assert_eq!(values(bytes, 1), [vec![5], vec![6]], "{bytes:02x?}");
        }
    }

    #[test]
    fn separator_keeps_a_sibling_of_a_255_byte_value_apart() {
        let bytes = [&[1, 255][..], &[4; 255], &[0, 0, 1, 1, 8]].concat();
        assert_eq!(values(&bytes, 1), [vec![4; 255], vec![8]]);
    }

    #[test]
    fn type_zero_with_a_value_is_no_separator() {
        let tlv = Tlv::parse(&[0, 1, 5, 6, 1, 1]).unwrap();
        assert_eq!(tlv.uint(0).unwrap(), 5);
        assert_eq!(Tlv::parse(&[0, 0]).unwrap().first(0), None);
    }

    #[test]
    fn descending_and_unknown_types_are_fine() {
        let tlv = Tlv::parse(&[0xEE, 2, 1, 2, 2, 1, 7, 1, 1, 8]).unwrap();
        assert_eq!((tlv.uint(2).unwrap(), tlv.uint(1).unwrap()), (7, 8));
    }

    #[test]
    fn groups_split_a_pairing_list() {
        let bytes = [6, 1, 2, 1, 1, b'a', 0xFF, 0, 1, 1, b'b', 0xFF, 0];
        let groups = Tlv::parse(&bytes).unwrap().groups();
        assert_eq!(groups.len(), 2);
        assert_eq!(groups[1].str(1).unwrap(), "b");
    }

    #[test]
    fn truncation_says_where() {
        let truncated = |offset, expected, actual| Error::Truncated {
            offset,
            expected,
            actual,
        };
        assert_eq!(Tlv::parse(&[1]).unwrap_err(), truncated(0, 2, 1));
        assert_eq!(Tlv::parse(&[1, 2, 3]).unwrap_err(), truncated(0, 4, 3));
        assert_eq!(
            Tlv::parse(&[6, 1, 1, 3, 9, 0]).unwrap_err(),
            truncated(3, 11, 3)
        );
    }

    #[test]
    fn integers_of_every_width() {
        for (bytes, expected) in [
            (&[1, 1, 0xFF][..], 255),
            (&[1, 2, 1, 2], 0x0201),
            (&[1, 3, 1, 2, 3], 0x03_0201),
            (&[1, 4, 1, 0, 0, 1], 0x0100_0001),
            (&[1, 8, 1, 0, 0, 0, 0, 0, 0, 0x80], 0x8000_0000_0000_0001),
        ] {
            assert_eq!(Tlv::parse(bytes).unwrap().uint(1).unwrap(), expected);
        }
    }

    #[test]
    fn integers_without_bytes_or_with_nine_are_refused() {
        let length = |actual| Error::Length {
            tag: 1,
            expected: 8,
            actual,
        };
        assert_eq!(Tlv::parse(&[1, 0]).unwrap().uint(1), Err(length(0)));
        let nine = [1, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(Tlv::parse(&nine).unwrap().uint(1), Err(length(9)));
        assert_eq!(Tlv::parse(&nine).unwrap().opt_uint(1), Err(length(9)));
        assert_eq!(Tlv::parse(&nine).unwrap().opt_uint(2), Ok(None));
    }

    #[test]
    fn typed_accessors_say_what_is_wrong() {
        let tlv = Tlv::parse(&[1, 2, 0xC3, 0x28, 5, 4, 0, 0, 0, 0x3f]).unwrap();
        assert_eq!(tlv.str(1), Err(Error::NotUtf8 { tag: 1 }));
        assert_eq!(tlv.bytes(9), Err(Error::Missing { tag: 9 }));
        assert_eq!(tlv.f32(5), Ok(0.5));
        let length = Error::Length {
            tag: 1,
            expected: 4,
            actual: 2,
        };
        assert_eq!(tlv.f32(1), Err(length));
        assert!(tlv.nested(1).is_err());
    }

    #[test]
    fn limits_hold() {
        let limits = Limits { bytes: 6, items: 2 };
        assert!(Tlv::parse_within(&[1, 0, 2, 0], limits).is_ok());
        assert_eq!(
            Tlv::parse_within(&[1, 0, 2, 0, 3, 0], limits),
            Err(Error::TooManyItems { limit: 2 })
        );
        assert_eq!(
            Tlv::parse_within(&[0; 7], limits),
            Err(Error::TooLarge {
                limit: 6,
                actual: 7
            })
        );
    }

    #[test]
    fn debug_does_not_show_values() {
        let tlv = Tlv::parse(&[1, 2, 0xAB, 0xCD]).unwrap();
        assert_eq!(format!("{tlv:?}"), "Tlv { items: [0x01(2 bytes)] }");
    }
}
