//! When pictures were taken, by the clock on the wall.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gst::prelude::*;

/// NTP begins in 1900, Unix time in 1970.
const NTP_UNIX: gst::ClockTime = gst::ClockTime::from_seconds(2_208_988_800);

/// What is older by the pipeline's clock was not taken by that clock.
const PLAUSIBLE: Duration = Duration::from_secs(10 * 60);

/// Maps running time to Unix time.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct WallClock {
    /// Unix time at running time zero, in nanoseconds.
    origin: Option<i128>,
    /// The application said it.
    is_fixed: bool,
}

impl WallClock {
    pub(super) fn is_known(&self) -> bool {
        self.origin.is_some()
    }

    /// `unix` nanoseconds since 1970 at `running_time`, by the application, for good.
    pub(super) fn fix(&mut self, running_time: u64, unix: u64) {
        self.set(running_time, unix);
        self.is_fixed = true;
    }

    /// As before, by the source: the newest counts.
    pub(super) fn set(&mut self, running_time: u64, unix: u64) {
        if !self.is_fixed {
            self.origin = Some(i128::from(unix) - i128::from(running_time));
        }
    }

    /// Unix time in nanoseconds; 0 if unknown.
    pub(super) fn unix(&self, running_time: u64) -> u64 {
        let unix = self.origin.map(|origin| origin + i128::from(running_time));
        unix.and_then(|unix| u64::try_from(unix).ok()).unwrap_or(0)
    }
}

/// Unix time in nanoseconds of a picture that has just come: what its age is by the pipeline's clock, if
/// that can be; else now.
pub(super) fn taken_at(element: &gst::Element, running_time: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default();
    let age = element.current_running_time().and_then(|present| {
        let age = present.nseconds().checked_sub(running_time);
        age.map(Duration::from_nanos)
    });
    let age = age.filter(|age| *age <= PLAUSIBLE).unwrap_or_default();
    u64::try_from(now.saturating_sub(age).as_nanos()).unwrap_or_default()
}

/// Unix time in nanoseconds that a buffer carries.
pub(super) fn carried(buffer: &gst::BufferRef) -> Option<u64> {
    let metas = buffer.iter_meta::<gst::ReferenceTimestampMeta>();
    let mut times = metas.filter_map(|meta| {
        let reference = meta.reference().structure(0)?;
        match reference.name().as_str() {
            "timestamp/x-unix" => Some(meta.timestamp()),
            "timestamp/x-ntp" => meta.timestamp().checked_sub(NTP_UNIX),
            _ => None,
        }
    });
    times.next().map(gst::ClockTime::nseconds)
}
