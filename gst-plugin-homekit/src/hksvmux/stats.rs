//! What was written.

use std::time::Duration;

/// Counted since the start.
#[derive(Debug, Default)]
pub(super) struct Stats {
    fragments: u64,
    bytes: u64,
    longest: gst::ClockTime,
    /// Spent on writing.
    busy: Duration,
    pub(super) key_requests: u64,
}

impl Stats {
    pub(super) fn fragment(&mut self, bytes: usize, duration: gst::ClockTime, busy: Duration) {
        self.fragments += 1;
        self.bytes += bytes as u64;
        self.longest = self.longest.max(duration);
        self.busy += busy;
    }

    pub(super) fn structure(&self, sound_left_out: u64) -> gst::Structure {
        gst::Structure::builder("application/x-hksvmux-stats")
            .field("fragments", self.fragments)
            .field("bytes", self.bytes)
            .field("longest-fragment", self.longest.mseconds())
            .field("key-requests", self.key_requests)
            .field("audio-frames-left-out", sound_left_out)
            .field("writing-time", self.busy.as_micros() as u64)
            .build()
    }
}
