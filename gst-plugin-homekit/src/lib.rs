//! GStreamer elements for HomeKit cameras.
//!
//! - [`hapring`]: the newest pictures of an encoding in memory, for readers that come and go.
//! - [`hapencctl`]: makes an encoder obey a controller's bitrate; [`encoder`] sets it.
//! - [`hapmotion`]: says when something moves in raw video.
//! - [`haprtcpfb`]: the RTCP feedback rules of a camera beside an existing `rtpbin`.
//! - [`hdssink`]: a recording to the messages of a HomeKit Data Stream.
//! - [`hksvmux`]: init segment and fragments as a HomeKit hub records them.
//! - [`hapsrtpsink`]: video or audio to a HomeKit controller, by SRTP over UDP, with RTCP, and its sound back.
//!
//! As a plugin this is `libgsthomekit.so`; as a Rust library, [`plugin_register_static`] makes the elements
//! known to the process.

pub mod encoder;
pub mod hapencctl;
pub mod hapmotion;
pub mod hapring;
pub mod haprtcpfb;
pub mod hapsrtpsink;
pub mod hdssink;
pub mod hksvmux;
pub mod ring;
mod secret;
mod upstream;

pub use plugin::plugin_register_static;

mod plugin {
    #![expect(missing_docs, reason = "the macro documents nothing")]

    fn init(plugin: &gst::Plugin) -> Result<(), gst::glib::BoolError> {
        crate::hapring::register(plugin)?;
        crate::hapencctl::register(plugin)?;
        crate::hapmotion::register(plugin)?;
        crate::haprtcpfb::register(plugin)?;
        crate::hapsrtpsink::register(plugin)?;
        crate::hdssink::register(plugin)?;
        crate::hksvmux::register(plugin)
    }

    gst::plugin_define!(
        homekit,
        env!("CARGO_PKG_DESCRIPTION"),
        init,
        concat!(env!("CARGO_PKG_VERSION"), "-", env!("COMMIT_ID")),
        // The nearest to "MIT OR Apache-2.0" among the names GStreamer knows.
        "MIT/X11",
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_REPOSITORY"),
        env!("BUILD_REL_DATE")
    );
}
