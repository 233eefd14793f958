//! Building an item list.

use std::fmt;

use crate::{MAX_FRAGMENT, wipe};

/// Builds one TLV8 item list; items appear in the order of the calls.
#[derive(Default, Clone)]
pub struct Writer {
    out: Vec<u8>,
}

impl Writer {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends `value`, in fragments when it is longer than 255 bytes.
    ///
    /// A value of exactly 255 bytes is one item without an empty fragment behind it. An item of the
    /// same type right after it would read as its continuation: put a [`separator`](Self::separator)
    /// between siblings.
    pub fn bytes(&mut self, tag: u8, value: &[u8]) -> &mut Self {
        if value.is_empty() {
            return self.fragment(tag, &[]);
        }
        for fragment in value.chunks(MAX_FRAGMENT) {
            self.fragment(tag, fragment);
        }
        self
    }

    /// Appends one byte.
    pub fn u8(&mut self, tag: u8, value: u8) -> &mut Self {
        self.fragment(tag, &[value])
    }

    /// Appends two bytes, little endian.
    pub fn u16(&mut self, tag: u8, value: u16) -> &mut Self {
        self.fragment(tag, &value.to_le_bytes())
    }

    /// Appends four bytes, little endian.
    pub fn u32(&mut self, tag: u8, value: u32) -> &mut Self {
        self.fragment(tag, &value.to_le_bytes())
    }

    /// Appends eight bytes, little endian.
    pub fn u64(&mut self, tag: u8, value: u64) -> &mut Self {
        self.fragment(tag, &value.to_le_bytes())
    }

    /// Appends an integer in 1, 2, 4 or 8 bytes, whichever is the least that holds it.
    pub fn uint(&mut self, tag: u8, value: u64) -> &mut Self {
        let width = match value {
            0..=0xFF => 1,
            0x100..=0xFFFF => 2,
            0x1_0000..=0xFFFF_FFFF => 4,
            _ => 8,
        };
        self.fragment(tag, &value.to_le_bytes()[..width])
    }

    /// Appends an IEEE 754 single, little endian.
    pub fn f32(&mut self, tag: u8, value: f32) -> &mut Self {
        self.fragment(tag, &value.to_le_bytes())
    }

    /// Appends a text as UTF-8, without a terminating zero.
    pub fn str(&mut self, tag: u8, value: &str) -> &mut Self {
        self.bytes(tag, value.as_bytes())
    }

    /// Appends an empty item of type `tag`: [`SEPARATOR_PAIRING`](crate::SEPARATOR_PAIRING) or
    /// [`SEPARATOR_CHARACTERISTIC`](crate::SEPARATOR_CHARACTERISTIC).
    pub fn separator(&mut self, tag: u8) -> &mut Self {
        self.fragment(tag, &[])
    }

    /// Appends an item whose value is the list that `build` writes.
    pub fn nested(&mut self, tag: u8, build: impl FnOnce(&mut Writer)) -> &mut Self {
        let mut inner = Writer::new();
        build(&mut inner);
        self.bytes(tag, &inner.out)
    }

    /// The list so far.
    pub fn as_slice(&self) -> &[u8] {
        &self.out
    }

    /// The finished list.
    pub fn into_vec(mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// `value` holds at most 255 bytes: every caller passes a chunk or a fixed-width integer.
    fn fragment(&mut self, tag: u8, value: &[u8]) -> &mut Self {
        debug_assert!(value.len() <= MAX_FRAGMENT);
        self.out.push(tag);
        self.out.push(value.len() as u8);
        self.out.extend_from_slice(value);
        self
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        wipe(&mut self.out);
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Writer({} bytes)", self.out.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(build: impl FnOnce(&mut Writer)) -> Vec<u8> {
        let mut writer = Writer::new();
        build(&mut writer);
        writer.into_vec()
    }

    #[test]
    fn value_of_300_bytes_is_255_and_45() {
        let bytes = written(|w| {
            w.bytes(9, &[7; 300]);
        });
        let expected = [&[9, 0xFF][..], &[7; 255], &[9, 0x2D], &[7; 45]].concat();
        assert_eq!(bytes, expected);
    }

    #[test]
    fn value_of_615_bytes_is_255_255_and_105() {
        let bytes = written(|w| {
            w.bytes(1, &[0; 615]);
        });
        assert_eq!(bytes.len(), 615 + 6);
        assert_eq!(
            (bytes[1], bytes[258], bytes[515], bytes[514]),
            (255, 255, 0x69, 1)
        );
    }

    #[test]
    fn value_of_255_bytes_has_no_empty_follow_up() {
        let bytes = written(|w| {
            w.bytes(1, &[5; 255]);
        });
        assert_eq!(bytes, [&[1, 0xFF][..], &[5; 255]].concat());
    }

    #[test]
    fn value_of_510_bytes_is_two_fragments() {
        let bytes = written(|w| {
            w.bytes(1, &[5; 510]);
        });
        assert_eq!(bytes.len(), 514);
    }

    #[test]
    fn empty_value_and_separators_are_two_bytes() {
        let bytes = written(|w| {
            w.bytes(3, &[]).separator(0xFF).separator(0x00);
        });
        assert_eq!(bytes, [3, 0, 0xFF, 0, 0, 0]);
    }

    #[test]
    fn integers_are_little_endian() {
        let bytes = written(|w| {
            w.u8(1, 1).u16(2, 0x0102).u32(3, 0x0102_0304).u64(4, 5);
        });
        assert_eq!(
            bytes,
            [
                1, 1, 1, 2, 2, 2, 1, 3, 4, 4, 3, 2, 1, 4, 8, 5, 0, 0, 0, 0, 0, 0, 0
            ]
        );
    }

    #[test]
    fn uint_takes_the_least_width() {
        let bytes = written(|w| {
            w.uint(1, 0)
                .uint(1, 255)
                .uint(1, 256)
                .uint(1, 65536)
                .uint(1, 1 << 32);
        });
        assert_eq!(
            bytes,
            [
                1, 1, 0, 1, 1, 255, 1, 2, 0, 1, 1, 4, 0, 0, 1, 0, 1, 8, 0, 0, 0, 0, 1, 0, 0, 0
            ]
        );
    }

    /// `05 04 00 00 00 3f`: the minimum RTCP interval 0.5 s as controllers send it.
    #[test]
    fn float_is_ieee_754_little_endian() {
        let bytes = written(|w| {
            w.f32(5, 0.5);
        });
        assert_eq!(bytes, [5, 4, 0, 0, 0, 0x3f]);
    }

    #[test]
    fn nested_list_fragments_as_a_whole() {
        let bytes = written(|w| {
            w.nested(1, |w| {
                w.bytes(2, &[8; 253]).u8(3, 4);
            });
        });
        let expected = [&[1, 255, 2, 253][..], &[8; 253], &[1, 3, 3, 1, 4]].concat();
        assert_eq!(bytes, expected);
    }

    #[test]
    fn debug_does_not_show_values() {
        let mut writer = Writer::new();
        writer.str(1, "secret");
        assert_eq!(format!("{writer:?}"), "Writer(8 bytes)");
    }
}
