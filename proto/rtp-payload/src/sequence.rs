/// Follows the sequence numbers of one source and says what is missing.
#[derive(Debug, Clone, Default)]
pub struct Sequence {
    next: Option<u16>,
    lost: u64,
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
            lost => {
                self.lost += u64::from(lost);
                Gap::Lost(lost)
            }
        }
    }

    /// Takes the next packet and says how many before it are missing; `None` for an
    /// [old](Gap::Old) one.
    pub fn lost_before(&mut self, sequence: u16) -> Option<u16> {
        match self.push(sequence) {
            Gap::Old => None,
            Gap::None => Some(0),
            Gap::Lost(lost) => Some(lost),
        }
    }

    /// How many packets were missing so far.
    pub fn lost(&self) -> u64 {
        self.lost
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
        assert_eq!(sequence.lost_before(3), None);
        assert_eq!(sequence.lost_before(6), Some(2));
        assert_eq!(sequence.lost(), 4);
    }
}
