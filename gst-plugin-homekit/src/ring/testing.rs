//! Frames for tests.

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
