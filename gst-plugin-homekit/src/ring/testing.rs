//! Frames for tests.

use std::sync::{Arc, Weak};

use super::Frame;

/// A frame of 100 bytes.
pub(super) fn frame(ms: u64, key: bool) -> Frame {
    gst::init().unwrap();
    let mut buffer = gst::Buffer::with_size(100).unwrap();
    buffer
        .get_mut()
        .unwrap()
        .set_pts(gst::ClockTime::from_mseconds(ms));
    Frame {
        buffer,
        caps: gst::Caps::builder("video/x-h264").build(),
        key,
    }
}

/// A frame of one memory for each of these pieces, and whether their bytes are still held.
pub(super) fn owned(ms: u64, pieces: &[&[u8]]) -> (Frame, Weak<Vec<u8>>) {
    struct Piece(Arc<Vec<u8>>, std::ops::Range<usize>);
    impl AsRef<[u8]> for Piece {
        fn as_ref(&self) -> &[u8] {
            &self.0[self.1.clone()]
        }
    }
    let mut frame = frame(ms, false);
    let all = Arc::new(pieces.concat());
    let buffer = frame.buffer.make_mut();
    buffer.remove_all_memory();
    let mut start = 0;
    for piece in pieces {
        let range = start..start + piece.len();
        start = range.end;
        buffer.append_memory(gst::Memory::from_slice(Piece(all.clone(), range)));
    }
    (frame, Arc::downgrade(&all))
}
