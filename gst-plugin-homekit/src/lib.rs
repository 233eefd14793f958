//! GStreamer elements for HomeKit cameras.
