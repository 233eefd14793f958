//! Datagrams on their way out.

use std::ops::Range;

/// Datagrams that are sent together, one behind the other in memory that is used again.
#[derive(Debug, Default)]
pub(crate) struct SendBuffer {
    bytes: Vec<u8>,
    /// Where each datagram ends.
    ends: Vec<usize>,
}

/// Datagrams that one system call can send: all of one size, the last may be shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Batch<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) segment_size: usize,
}

/// Most bytes in one call: an IP packet's 65535, less the headers.
const MAX_BATCH: usize = 65_000;

impl SendBuffer {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Datagrams waiting.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of all datagrams.
    pub(crate) fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds the datagram that `write` appends; takes it back if that fails.
    pub(crate) fn push<E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.bytes.len();
        let result = write(&mut self.bytes);
        match result {
            Ok(()) => self.ends.push(self.bytes.len()),
            Err(_) => self.bytes.truncate(start),
        }
        result
    }

    /// Bytes of the datagrams of `range`.
    pub(crate) fn bytes_in(&self, range: &Range<usize>) -> usize {
        self.start(range.end) - self.start(range.start)
    }

    /// Index behind the datagrams from `first` on that fit into `bytes`; at least one does.
    pub(crate) fn end_within(&self, first: usize, bytes: usize) -> usize {
        let limit = self.start(first) + bytes;
        let fitting = self.ends[first..].partition_point(|&end| end <= limit);
        self.len().min(first + fitting.max(1))
    }

    /// The datagrams of `range`, in batches of at most `max_segments`.
    pub(crate) fn batches(
        &self,
        range: Range<usize>,
        max_segments: usize,
    ) -> impl Iterator<Item = Batch<'_>> {
        let mut next = range.start;
        std::iter::from_fn(move || {
            let first = next;
            next = self.batch_end(first, range.end, max_segments.max(1))?;
            Some(Batch {
                bytes: &self.bytes[self.start(first)..self.ends[next - 1]],
                segment_size: self.size(first),
            })
        })
    }

    /// Index behind the batch that begins with datagram `first`, not beyond `last`.
    fn batch_end(&self, first: usize, last: usize, max_segments: usize) -> Option<usize> {
        (first < last).then_some(())?;
        let size = self.size(first);
        let mut end = first + 1;
        while end < last && end - first < max_segments {
            let fits = self.ends[end] - self.start(first) <= MAX_BATCH;
            if !fits || self.size(end) > size || self.size(end - 1) < size {
                break;
            }
            end += 1;
        }
        Some(end)
    }

    fn start(&self, index: usize) -> usize {
        match index {
            0 => 0,
            _ => self.ends[index - 1],
        }
    }

    fn size(&self, index: usize) -> usize {
        self.ends[index] - self.start(index)
    }
}

impl Batch<'_> {
    /// Datagrams in the batch.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len().div_ceil(self.segment_size.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(sizes: &[usize]) -> SendBuffer {
        let mut buffer = SendBuffer::default();
        for &size in sizes {
            let write = |out: &mut Vec<u8>| {
                out.resize(out.len() + size, 0);
                Ok::<_, ()>(())
            };
            buffer.push(write).unwrap();
        }
        buffer
    }

    fn batches(sizes: &[usize], max_segments: usize) -> Vec<(usize, usize, usize)> {
        let buffer = buffer(sizes);
        let batches = buffer.batches(0..buffer.len(), max_segments);
        batches
            .map(|batch| (batch.segment_size, batch.len(), batch.bytes.len()))
            .collect()
    }

    #[test]
    fn datagrams_of_one_size_go_together_with_a_shorter_last_one() {
        let expected = [(30, 1, 30), (100, 4, 350)];
        assert_eq!(batches(&[30, 100, 100, 100, 50], 64), expected);
    }

    #[test]
    fn nothing_follows_a_shorter_one() {
        let expected = [(100, 2, 120), (20, 2, 40), (100, 1, 100)];
        assert_eq!(batches(&[100, 20, 20, 20, 100], 64), expected);
    }

    #[test]
    fn batches_are_bounded_in_number_and_bytes() {
        assert_eq!(
            batches(&[10; 5], 2),
            [(10, 2, 20), (10, 2, 20), (10, 1, 10)]
        );
        assert_eq!(batches(&[10; 2], 1), [(10, 1, 10), (10, 1, 10)]);
        let counts: Vec<usize> = batches(&[1378; 100], 1000).iter().map(|b| b.1).collect();
        assert_eq!(counts, [47, 47, 6]);
    }

    #[test]
    fn parts_of_a_frame_are_whole_datagrams() {
        let buffer = buffer(&[30, 100, 100, 50]);
        assert_eq!(buffer.end_within(0, 0), 1, "at least one");
        assert_eq!(buffer.end_within(0, 129), 1);
        assert_eq!(buffer.end_within(0, 130), 2);
        assert_eq!(buffer.end_within(2, usize::MAX >> 1), 4);
        assert_eq!(buffer.bytes_in(&(1..3)), 200);
        let part: Vec<_> = buffer.batches(1..3, 64).map(|b| b.bytes.len()).collect();
        assert_eq!(part, [200]);
    }

    #[test]
    fn a_datagram_that_fails_leaves_no_trace() {
        let mut buffer = buffer(&[10]);
        let result = buffer.push(|out| {
            out.push(1);
            Err("no")
        });
        assert_eq!(result, Err("no"));
        assert_eq!((buffer.len(), buffer.byte_len()), (1, 10));
        buffer.clear();
        assert!(buffer.is_empty());
    }
}
