//! What the application asks for.

use std::os::fd::RawFd;
use std::sync::LazyLock;
use std::time::Duration;

use gst::glib;
use gst::prelude::*;
use hds_proto::frame::Sealer;
use zeroize::Zeroizing;

use crate::secret;

/// Long enough for a muxer to follow its last fragment with the end, short beside a fragment.
const DEFAULT_END_WAIT: u32 = 100;
const DEFAULT_FD: RawFd = -1;

/// Values of the properties. Has no `Debug`: it holds a key.
pub(super) struct Settings {
    pub(super) stream_id: i64,
    key: Zeroizing<Vec<u8>>,
    pub(super) counter: u64,
    pub(super) fd: RawFd,
    end_wait: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            stream_id: 0,
            key: Zeroizing::default(),
            counter: 0,
            fd: DEFAULT_FD,
            end_wait: DEFAULT_END_WAIT,
        }
    }
}

impl Settings {
    /// What encrypts; `None` without a key.
    pub(super) fn sealer(&self) -> Result<Option<Sealer>, String> {
        if self.key.is_empty() {
            return Ok(None);
        }
        let key = <&[u8; 32]>::try_from(self.key.as_slice());
        let key = key.map_err(|_| format!("key has {} bytes, not 32", self.key.len()))?;
        Ok(Some(Sealer::from_counter(key, self.counter)))
    }

    pub(super) fn end_wait(&self) -> Duration {
        Duration::from_millis(self.end_wait.into())
    }

    /// Sets a property; its type and range were checked by its `ParamSpec`.
    pub(super) fn set(&mut self, name: &str, value: &glib::Value) {
        match name {
            "stream-id" => self.stream_id = value.get().unwrap_or_default(),
            "key" => self.key = secret::bytes(value),
            "counter" => self.counter = value.get().unwrap_or_default(),
            "fd" => self.fd = value.get().unwrap_or(DEFAULT_FD),
            "end-wait" => self.end_wait = value.get().unwrap_or_default(),
            _ => unreachable!("GObject passes on known properties only"),
        }
    }

    /// The value of a property that can be read.
    pub(super) fn get(&self, name: &str) -> glib::Value {
        match name {
            "stream-id" => self.stream_id.to_value(),
            "fd" => self.fd.to_value(),
            "end-wait" => self.end_wait.to_value(),
            _ => unreachable!("GObject asks for readable properties only"),
        }
    }
}

pub(super) fn properties() -> &'static [glib::ParamSpec] {
    static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
        vec![
            glib::ParamSpecInt64::builder("stream-id")
                .nick("Stream identifier")
                .blurb("The hub's name for the stream, from its open request")
                .minimum(0)
                .mutable_ready()
                .build(),
            glib::ParamSpecBoxed::builder::<gst::Buffer>("key")
                .nick("Key")
                .blurb("Key of what the accessory sends, 32 bytes; unset = messages are not encrypted")
                .write_only()
                .mutable_ready()
                .build(),
            glib::ParamSpecUInt64::builder("counter")
                .nick("Counter")
                .blurb("Number of the next frame under the key, from 0; counts on with every frame")
                .mutable_ready()
                .build(),
            glib::ParamSpecInt::builder("fd")
                .nick("File descriptor")
                .blurb("Where frames are written to, such as the socket to the hub; it stays open. Needs a key; -1 = nowhere")
                .minimum(-1)
                .default_value(DEFAULT_FD)
                .mutable_ready()
                .build(),
            glib::ParamSpecUInt::builder("end-wait")
                .nick("Wait for the end")
                .blurb("How many ms the last chunk of a fragment waits for the end of the stream; 0 = not at all")
                .maximum(10_000)
                .default_value(DEFAULT_END_WAIT)
                .mutable_playing()
                .build(),
            glib::ParamSpecBoxed::builder::<gst::Structure>("stats")
                .nick("Statistics")
                .blurb("What has been sent since PAUSED")
                .read_only()
                .build(),
        ]
    });
    &PROPERTIES
}
