/// Follows the sequence numbers of one source and says what is missing.
#[derive(Debug, Clone, Default)]
pub struct Sequence {
    next: Option<u16>,
}

/// How a packet lies to the one expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// The packet expected, or the very first one.
    None,
    /// This many packets before it are missing.
    Lost(u16),
    /// A packet that is late, or was there before.
    Old,
}

impl Sequence {
    /// Takes the next packet. An [old](Gap::Old) one changes nothing.
    pub fn push(&mut self, sequence: u16) -> Gap {
        let ahead = sequence.wrapping_sub(self.next.unwrap_or(sequence));
        if ahead >= 0x8000 {
            return Gap::Old;
        }
        self.next = Some(sequence.wrapping_add(1));
        match ahead {
            0 => Gap::None,
            lost => Gap::Lost(lost),
        }
    }

    /// The sequence number that comes next, once a packet has come.
    pub fn expected(&self) -> Option<u16> {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_counted_across_the_wrap() {
        let mut sequence = Sequence::default();
        assert_eq!(sequence.push(0xfffe), Gap::None);
        assert_eq!(sequence.push(0xffff), Gap::None);
        assert_eq!(sequence.push(2), Gap::Lost(2));
        assert_eq!(sequence.push(1), Gap::Old);
        assert_eq!(sequence.push(2), Gap::Old);
        assert_eq!(sequence.push(3), Gap::None);
    }
}
