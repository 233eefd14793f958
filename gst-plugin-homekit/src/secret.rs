//! Keys that come as properties.

use gst::glib;
use zeroize::Zeroizing;

/// The bytes of a write-only property of type `GstBuffer`; none if it was unset.
pub(crate) fn bytes(value: &glib::Value) -> Zeroizing<Vec<u8>> {
    let buffer = value.get::<Option<gst::Buffer>>().ok().flatten();
    let map = buffer
        .as_ref()
        .and_then(|buffer| buffer.map_readable().ok());
    Zeroizing::new(map.map(|map| map.to_vec()).unwrap_or_default())
}
