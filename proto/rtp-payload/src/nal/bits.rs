/// Reads bits, without the bytes that prevent the emulation of start codes (H.264 §7.4.1).
pub(crate) struct Bits<'a> {
    bytes: &'a [u8],
    /// Zero bytes right before the next one.
    zeros: usize,
    /// The byte being read, and how many of its bits are left.
    byte: u8,
    left: u32,
    /// No byte prevents an emulation.
    raw: bool,
}

impl<'a> Bits<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            zeros: 0,
            byte: 0,
            left: 0,
            raw: false,
        }
    }

    /// Of data that know no start codes.
    pub(crate) fn raw(bytes: &'a [u8]) -> Self {
        Self {
            raw: true,
            ..Self::new(bytes)
        }
    }

    pub(crate) fn bit(&mut self) -> Option<u32> {
        if self.left == 0 {
            self.byte = self.next_byte()?;
            self.left = 8;
        }
        self.left -= 1;
        Some((self.byte >> self.left & 1).into())
    }

    /// `u(count)`, up to 32 bits.
    pub(crate) fn bits(&mut self, count: u32) -> Option<u32> {
        (0..count).try_fold(0, |value, _| Some(value << 1 | self.bit()?))
    }

    pub(crate) fn skip(&mut self, count: u32) -> Option<()> {
        (0..count).try_for_each(|_| self.bit().map(|_| ()))
    }

    /// `ue(v)` (H.264 §9.1), up to 16 leading zeros.
    pub(crate) fn exp_golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.bit()? == 0 {
            zeros += 1;
            if zeros > 16 {
                return None;
            }
        }
        Some((1 << zeros | self.bits(zeros)?) - 1)
    }

    fn next_byte(&mut self) -> Option<u8> {
        if !self.raw && self.zeros >= 2 && self.bytes.first() == Some(&3) {
            self.bytes = &self.bytes[1..];
            self.zeros = 0;
        }
        let (&byte, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        self.zeros = if byte == 0 { self.zeros + 1 } else { 0 };
        Some(byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_and_exp_golomb_codes() {
        let mut bits = Bits::new(&[0b1010_1100, 0b1000_0000]);
        assert_eq!(bits.exp_golomb(), Some(0));
        assert_eq!(bits.exp_golomb(), Some(1));
        assert_eq!(bits.bits(2), Some(0b11));
        assert_eq!(bits.exp_golomb(), Some(3));
        assert_eq!(bits.bits(32), None);
        assert_eq!(Bits::new(&[0; 4]).exp_golomb(), None);
    }

    #[test]
    fn emulation_prevention_is_no_data() {
        let mut bits = Bits::new(&[0, 0, 3, 1, 3, 0, 0, 3, 0, 0, 3, 0x80]);
        let bytes: Vec<_> = std::iter::from_fn(|| bits.bits(8)).collect();
        assert_eq!(bytes, [0, 0, 1, 3, 0, 0, 0, 0, 0x80]);
    }
}
