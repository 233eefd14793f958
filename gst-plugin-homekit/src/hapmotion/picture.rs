//! Luma of GStreamer's buffers.

use gst_video::VideoFormat;
use gst_video::prelude::*;

use super::luma::Luma;

/// Formats whose luma is one byte per pixel, packed or not; of `P010_10LE` that is the upper byte of two.
pub(super) const FORMATS: [VideoFormat; 19] = [
    VideoFormat::I420,
    VideoFormat::Nv12,
    VideoFormat::Gray8,
    VideoFormat::Yv12,
    VideoFormat::Nv21,
    VideoFormat::Y42b,
    VideoFormat::Nv16,
    VideoFormat::Nv61,
    VideoFormat::Y444,
    VideoFormat::Nv24,
    VideoFormat::Y41b,
    VideoFormat::Yuv9,
    VideoFormat::Yvu9,
    VideoFormat::Yuy2,
    VideoFormat::Uyvy,
    VideoFormat::Yvyu,
    VideoFormat::Vyuy,
    VideoFormat::Ayuv,
    VideoFormat::P01010le,
];

/// The luma of a picture that is mapped; none if it has another layout than its caps say.
pub(super) fn luma<'a>(frame: &'a gst_video::VideoFrameRef<&gst::BufferRef>) -> Option<Luma<'a>> {
    let upper = usize::from(frame.format() == VideoFormat::P01010le);
    Some(Luma {
        data: frame.comp_data(0).ok()?.get(upper..)?,
        stride: usize::try_from(frame.comp_stride(0)).ok()?,
        step: usize::try_from(frame.comp_pstride(0)).ok()?,
        width: usize::try_from(frame.width()).ok()?,
        height: usize::try_from(frame.height()).ok()?,
    })
}
