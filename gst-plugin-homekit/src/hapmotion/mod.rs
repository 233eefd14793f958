//! `hapmotion` says when something moves: put behind a decoder or a raw source, it changes nothing of what passes.
//!
//! It looks at the luma of at most `max-fps` pictures a second, coarsely: a grid of 64 cells along the longer side. Each
//! cell has a background of its own, with how much it varies by itself (noise, leaves, rain). What differs from it in
//! several connected cells, moves, and is there in more than one picture, is motion. A change that the whole picture has part in
//! is taken out first: exposure, dusk, clouds. After a lamp that is switched, the change between day and night (an
//! infrared filter), or a camera that is turned, the scene is learned anew for about a second, and no motion is
//! reported for it. A thing that comes to rest becomes part of the background within a minute.
//!
//! # Messages
//!
//! At the beginning and the end of motion an element message `hapmotion` is posted, from the streaming thread:
//!
//! | field | type | |
//! |---|---|---|
//! | `motion` | boolean | it begins, or ends |
//! | `score` | double | the largest share of the watched area that one moving object covered so far, 0 to 1 |
//! | `timestamp` | uint64 | running time of the picture in nanoseconds |
//!
//! The property `motion` says the same. Motion ends when nothing moved for `hold-time`, by the times of the pictures, and
//! when the element stops or `active` is unset.
//!
//! # Example
//!
//! ```text
//! gst-launch-1.0 -m videotestsrc is-live=true pattern=ball num-buffers=150 ! \
//!   video/x-raw,format=I420,width=640,height=360,framerate=15/1 ! \
//!   hapmotion sensitivity=0.6 zones="0,0 0.5,0 0.5,1 0,1; 0.7,0.2 1,0.2 1,0.8" ! fakesink
//! ```
//!
//! Since: 0.3

use gst::glib;
use gst::prelude::*;

mod background;
pub mod detector;
mod imp;
mod light;
mod lighting;
pub mod luma;
mod objects;
mod picture;
mod tracks;
pub mod zones;

glib::wrapper! {
    /// The element `hapmotion`.
    pub struct HapMotion(ObjectSubclass<imp::HapMotion>)
        @extends gst_base::BaseTransform, gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "hapmotion",
        gst::Rank::NONE,
        HapMotion::static_type(),
    )
}
