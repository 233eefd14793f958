use std::collections::BTreeMap;

/// Puts the packets of one source in order; waits for a missing one until `depth` later ones came.
///
/// A packet is its bytes, or whatever else stands for it.
#[derive(Debug)]
pub struct Reorder<T = Vec<u8>> {
    depth: usize,
    /// Extended sequence number that comes out next.
    next: Option<u64>,
    waiting: BTreeMap<u64, T>,
}

/// What comes out of a [`Reorder`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ordered<T = Vec<u8>> {
    /// The next packet.
    Packet(T),
    /// This many packets did not come.
    Lost(u64),
}

/// Where extended sequence numbers begin, so that early packets of the past stay positive.
const BASE: u64 = 1 << 32;

impl<T> Reorder<T> {
    /// Holds back up to `depth` packets (at least one, at most 1024).
    pub fn new(depth: usize) -> Self {
        Self {
            depth: depth.clamp(1, 1024),
            next: None,
            waiting: BTreeMap::new(),
        }
    }

    /// Takes a packet; late and repeated ones are dropped. Call [`pop`](Self::pop) until it is
    /// empty afterwards.
    pub fn push(&mut self, sequence: u16, packet: T) {
        let next = *self.next.get_or_insert(BASE + u64::from(sequence));
        let ahead = sequence.wrapping_sub(next as u16);
        if ahead < 0x8000 {
            self.waiting.insert(next + u64::from(ahead), packet);
        }
    }

    /// What is due now.
    pub fn pop(&mut self) -> Option<Ordered<T>> {
        let (&first, _) = self.waiting.first_key_value()?;
        let next = self.next?;
        if first > next && self.waiting.len() <= self.depth {
            return None;
        }
        self.release(next, first)
    }

    /// Whether packets wait for a missing one.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// What is left, in order, at the end of the stream; or the next part of it, for who has waited
    /// long enough.
    pub fn flush(&mut self) -> Option<Ordered<T>> {
        let (&first, _) = self.waiting.first_key_value()?;
        self.release(self.next?, first)
    }

    fn release(&mut self, next: u64, first: u64) -> Option<Ordered<T>> {
        if first > next {
            self.next = Some(first);
            return Some(Ordered::Lost(first - next));
        }
        self.next = Some(first + 1);
        self.waiting.remove(&first).map(Ordered::Packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(depth: usize, input: &[u16]) -> Vec<Ordered> {
        let mut reorder = Reorder::new(depth);
        let mut out = Vec::new();
        for &sequence in input {
            reorder.push(sequence, vec![sequence as u8]);
            out.extend(std::iter::from_fn(|| reorder.pop()));
        }
        out.extend(std::iter::from_fn(|| reorder.flush()));
        out
    }

    fn packet(n: u8) -> Ordered {
        Ordered::Packet(vec![n])
    }

    #[test]
    fn swapped_and_repeated_packets_come_out_in_order() {
        let out = run(4, &[0xffff, 1, 0, 0, 2, 1]);
        assert_eq!(out, [packet(255), packet(0), packet(1), packet(2)]);
    }

    #[test]
    fn a_missing_packet_is_given_up_after_depth_later_ones() {
        let mut reorder = Reorder::new(2);
        reorder.push(1, vec![1]);
        assert_eq!(reorder.pop(), Some(packet(1)));
        reorder.push(3, vec![3]);
        reorder.push(4, vec![4]);
        assert_eq!(reorder.pop(), None);
        assert!(reorder.is_waiting());
        reorder.push(5, vec![5]);
        assert_eq!(reorder.pop(), Some(Ordered::Lost(1)));
        assert_eq!(reorder.pop(), Some(packet(3)));
    }

    #[test]
    fn the_end_releases_what_waits() {
        let out = run(8, &[10, 12, 15]);
        let lost = Ordered::Lost;
        assert_eq!(out, [packet(10), lost(1), packet(12), lost(2), packet(15)]);
    }
}
