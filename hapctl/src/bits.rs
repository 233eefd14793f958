//! Bits of an H.264 NAL unit, most significant first (H.264 §7.2, §9.1).

/// Reads bits of a NAL unit's payload, skipping emulation prevention bytes.
#[derive(Debug)]
pub(crate) struct Bits<'a> {
    bytes: &'a [u8],
    next: usize,
    zeros: u8,
    current: u8,
    left: u8,
}

impl<'a> Bits<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            next: 0,
            zeros: 0,
            current: 0,
            left: 0,
        }
    }

    fn byte(&mut self) -> Option<u8> {
        let mut byte = *self.bytes.get(self.next)?;
        self.next += 1;
        // 00 00 03 stands for 00 00 (H.264 §7.4.1.1).
        if self.zeros >= 2 && byte == 3 {
            self.zeros = 0;
            byte = *self.bytes.get(self.next)?;
            self.next += 1;
        }
        self.zeros = if byte == 0 {
            self.zeros.saturating_add(1)
        } else {
            0
        };
        Some(byte)
    }

    pub(crate) fn bit(&mut self) -> Option<bool> {
        if self.left == 0 {
            self.current = self.byte()?;
            self.left = 8;
        }
        self.left -= 1;
        Some(self.current >> self.left & 1 == 1)
    }

    /// `count` bits, at most 32.
    pub(crate) fn bits(&mut self, count: u8) -> Option<u32> {
        (0..count).try_fold(0, |n: u32, _| Some(n << 1 | u32::from(self.bit()?)))
    }

    /// `ue(v)`; none for a code of more than 32 bits.
    pub(crate) fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some(self.bits(zeros)? + ((1u64 << zeros) - 1) as u32)
    }

    /// `se(v)`.
    pub(crate) fn se(&mut self) -> Option<i64> {
        let n = i64::from(self.ue()?);
        Some(if n % 2 == 0 { -(n / 2) } else { (n + 1) / 2 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn exponential_golomb_codes() {
        // 1 | 010 | 011 | 00100 | 00101 → 0 1 2 3 4
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        assert_eq!(
            (0..5).map(|_| bits.ue().unwrap()).collect::<Vec<_>>(),
            [0, 1, 2, 3, 4]
        );
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        assert_eq!(
            (0..5).map(|_| bits.se().unwrap()).collect::<Vec<_>>(),
            [0, 1, -1, 2, -2]
        );
    }

    #[test]
    fn emulation_prevention_bytes_vanish() {
        let mut bits = Bits::new(&[0, 0, 3, 1, 0, 0, 3]);
        assert_eq!(bits.bits(24), Some(1));
        assert_eq!(bits.bits(16), Some(0));
        assert_eq!(bits.bit(), None);
    }

    #[test]
    fn a_code_without_end_is_none() {
        assert_eq!(Bits::new(&[0; 3]).ue(), None);
        assert_eq!(Bits::new(&[0, 0, 0, 0, 0xFF]).ue(), None);
        assert_eq!(Bits::new(&[]).bit(), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut bits = Bits::new(&bytes);
            while bits.ue().is_some() {}
            let _ = bits.se();
        }
    }
}
