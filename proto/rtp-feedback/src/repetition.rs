/// Tells new requests from repetitions, which carry the sequence number of their first sending:
/// FIR (RFC 5104 §4.3.1.1) and TSTR (RFC 5104 §4.3.2.1).
#[derive(Debug, Default)]
pub struct RepetitionFilter {
    /// Requester and its last sequence number.
    seen: Vec<(u32, u8)>,
}

/// Requesters that are told apart; a stream has one.
const MAX_REQUESTERS: usize = 8;

impl RepetitionFilter {
    /// Whether this request of `sender` is a new one.
    pub fn is_new(&mut self, sender: u32, sequence: u8) -> bool {
        if let Some((_, last)) = self.seen.iter_mut().find(|(known, _)| *known == sender) {
            return std::mem::replace(last, sequence) != sequence;
        }
        if self.seen.len() == MAX_REQUESTERS {
            self.seen.remove(0);
        }
        self.seen.push((sender, sequence));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_are_not_new() {
        let mut filter = RepetitionFilter::default();
        assert!(filter.is_new(1, 255));
        assert!(!filter.is_new(1, 255));
        assert!(filter.is_new(2, 255));
        assert!(filter.is_new(1, 0));
        assert!(!filter.is_new(1, 0));
    }

    #[test]
    fn requesters_are_bounded() {
        let mut filter = RepetitionFilter::default();
        (0..100).for_each(|sender| assert!(filter.is_new(sender, 0)));
        assert_eq!(filter.seen.len(), MAX_REQUESTERS);
    }
}
