//! Frames of the past, moved together into memory of their own.
//!
//! Depayloaders and parsers hand on parts of larger blocks, hundreds a second and made by many threads. Kept for seconds, they
//! hold twice their size, and the holes between them stay with the process when they go.

use std::ops::Range;
use std::sync::Arc;

use memmap2::MmapMut;

use super::frame::Frame;

/// Where one frame lies in its block. The system has the block's memory back when the last of its frames goes.
struct Part {
    block: Arc<MmapMut>,
    range: Range<usize>,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.block[self.range.clone()]
    }
}

/// Moves the bytes of these frames into one block that is exactly as large. Everything else of them stays. Without memory for
/// it, and where a frame cannot be read, nothing happens.
pub(super) fn together(frames: &mut [&mut Frame]) {
    let size = frames.iter().map(|frame| frame.buffer.size()).sum();
    if size == 0 {
        return;
    }
    let Some((block, ranges)) = copied(frames, size) else {
        return;
    };
    let block = Arc::new(block);
    for (frame, range) in frames.iter_mut().zip(ranges) {
        let block = block.clone();
        frame.buffer = moved(&frame.buffer, Part { block, range });
    }
}

fn copied(frames: &[&mut Frame], size: usize) -> Option<(MmapMut, Vec<Range<usize>>)> {
    let mut block = MmapMut::map_anon(size).ok()?;
    let mut ranges = Vec::with_capacity(frames.len());
    let mut end = 0;
    for frame in frames {
        let range = end..end + frame.buffer.size();
        frame
            .buffer
            .copy_to_slice(0, block.get_mut(range.clone())?)
            .ok()?;
        end = range.end;
        ranges.push(range);
    }
    Some((block, ranges))
}

/// The same buffer with its bytes elsewhere.
fn moved(buffer: &gst::BufferRef, part: Part) -> gst::Buffer {
    // `DEEP`: nothing that keeps the old memory comes along.
    const ALL_BUT_BYTES: gst::BufferCopyFlags = gst::BufferCopyFlags::FLAGS
        .union(gst::BufferCopyFlags::TIMESTAMPS)
        .union(gst::BufferCopyFlags::META)
        .union(gst::BufferCopyFlags::DEEP);
    let mut new = gst::Buffer::new();
    let new_ref = new.make_mut();
    if buffer.copy_into(new_ref, ALL_BUT_BYTES, ..).is_err() {
        return buffer.to_owned();
    }
    new_ref.append_memory(gst::Memory::from_slice(part));
    new
}

#[cfg(test)]
mod tests {
    use super::super::testing::owned;
    use super::*;

    fn bytes(frame: &Frame) -> Vec<u8> {
        frame.buffer.map_readable().unwrap().to_vec()
    }

    #[test]
    fn the_bytes_move_and_their_old_memory_goes() {
        let (mut one, first) = owned(1, &[b"several ", b"memories", b""]);
        let (mut two, second) = owned(2, &[b"one"]);
        let (mut none, _) = owned(3, &[]);
        together(&mut [&mut one, &mut none, &mut two]);
        assert_eq!(bytes(&one), b"several memories");
        assert_eq!(bytes(&two), b"one");
        assert_eq!(none.buffer.size(), 0);
        assert_eq!((one.buffer.n_memory(), two.buffer.n_memory()), (1, 1));
        assert_eq!((first.strong_count(), second.strong_count()), (0, 0));
    }

    #[test]
    fn a_frame_of_any_size_has_a_place() {
        let large: Vec<u8> = (0..3_000_000_u32).map(|n| (n >> 3) as u8).collect();
        let (mut frame, _) = owned(1, &[&large]);
        let (mut next, _) = owned(2, &[b"x"]);
        together(&mut [&mut frame, &mut next]);
        assert!(bytes(&frame) == large);
        assert_eq!(bytes(&next), b"x");
    }

    #[test]
    fn nothing_else_of_a_frame_changes() {
        let (mut frame, origin) = owned(40, &[b"bytes"]);
        let (parent, held) = owned(0, &[b"parent"]);
        let clock = gst::Caps::builder("timestamp/x-unix").build();
        let buffer = frame.buffer.make_mut();
        buffer.set_dts(gst::ClockTime::from_mseconds(30));
        buffer.set_duration(gst::ClockTime::from_mseconds(10));
        buffer.set_offset(7);
        buffer.set_flags(gst::BufferFlags::DELTA_UNIT | gst::BufferFlags::MARKER);
        gst::ReferenceTimestampMeta::add(buffer, &clock, gst::ClockTime::SECOND, None);
        gst::ParentBufferMeta::add(buffer, &parent.buffer);
        drop(parent);
        let before = frame.clone();
        together(&mut [&mut frame]);
        assert_eq!((frame.time(), frame.key), (before.time(), before.key));
        let (new, old) = (&frame.buffer, &before.buffer);
        assert_eq!((new.dts(), new.duration()), (old.dts(), old.duration()));
        assert_eq!((new.offset(), new.flags()), (7, old.flags()));
        let meta = new.meta::<gst::ReferenceTimestampMeta>().unwrap();
        assert_eq!(meta.timestamp(), gst::ClockTime::SECOND);
        assert!(new.meta::<gst::ParentBufferMeta>().is_none());
        drop(before);
        assert_eq!((origin.strong_count(), held.strong_count()), (0, 0));
    }

    #[test]
    fn who_has_a_frame_already_keeps_it() {
        let (mut frame, origin) = owned(1, &[b"bytes"]);
        let reader = frame.clone();
        together(&mut [&mut frame]);
        assert_eq!(origin.strong_count(), 1);
        drop(frame);
        assert_eq!(bytes(&reader), b"bytes");
    }

    #[test]
    fn a_block_goes_with_the_last_of_its_frames() {
        let (frame, _) = owned(1, &[b"abcd"]);
        let mut block = MmapMut::map_anon(8).unwrap();
        block.copy_from_slice(b"abcdefgh");
        let block = Arc::new(block);
        let place = |range| {
            let block = block.clone();
            moved(&frame.buffer, Part { block, range })
        };
        let (one, two) = (place(0..4), place(4..8));
        let held = Arc::downgrade(&block);
        drop(block);
        drop(one);
        assert_eq!(*two.map_readable().unwrap(), *b"efgh");
        assert_eq!(held.strong_count(), 1);
        drop(two);
        assert_eq!(held.strong_count(), 0);
    }
}
