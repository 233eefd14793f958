//! Fitting into a size, JPEG.

use crate::{Chain, Element};

/// Fits raw video into exactly `width` x `height` square pixels: aspect ratio kept, borders added.
pub fn fit(width: u32, height: u32) -> Chain {
    Element::new("videoconvertscale")
        .set("add-borders", true)
        .to(Element::caps(format!(
            "video/x-raw,format=I420,width={width},height={height},pixel-aspect-ratio=1/1"
        )))
}

/// Encodes raw pictures as JPEG files.
pub fn jpeg(quality: u32) -> Element {
    Element::new("jpegenc").set("quality", quality.clamp(1, 100))
}
