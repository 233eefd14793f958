//! The elements upstream of a pad, through bins.

use gst::prelude::*;

/// Longest chain that is followed.
const MAX_ELEMENTS: usize = 32;

/// The elements before `sink_pad`, the nearest first, as long as each has one input.
pub(crate) fn upstream(sink_pad: &gst::Pad) -> impl Iterator<Item = gst::Element> {
    let first = element_before(sink_pad);
    let next = |element: &gst::Element| {
        let pads = element.sink_pads();
        match &pads[..] {
            [pad] => element_before(pad),
            _ => None,
        }
    };
    std::iter::successors(first, next).take(MAX_ELEMENTS)
}

/// The element that feeds `sink_pad`; never a bin, but what is in it.
fn element_before(sink_pad: &gst::Pad) -> Option<gst::Element> {
    let mut pad = sink_pad.peer()?;
    for _ in 0..MAX_ELEMENTS {
        if let Some(ghost) = pad.downcast_ref::<gst::GhostPad>() {
            // A bin: on to what its source pad stands for.
            pad = ghost.target()?;
        } else if let Some(ghost) = pad.parent().and_downcast::<gst::GhostPad>() {
            // The inner side of our own bin's sink pad: on to what feeds the bin.
            pad = ghost.peer()?;
        } else {
            return pad.parent_element();
        }
    }
    None
}
