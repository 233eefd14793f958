//! One time for all pipelines of the process.
//!
//! Every buffer in memory carries the running time of one common base, so that any stream can be sent by any pipeline and
//! sender reports of audio and video agree.

use std::sync::OnceLock;
use std::time::Duration;

use gst::prelude::*;

/// Clock and base time of the process.
#[derive(Debug)]
struct Common {
    clock: gst::Clock,
    base: gst::ClockTime,
}

fn common() -> &'static Common {
    static COMMON: OnceLock<Common> = OnceLock::new();
    COMMON.get_or_init(|| {
        let clock = gst::SystemClock::obtain();
        // Frames may carry times from shortly before the first camera was started.
        let base = clock
            .time()
            .saturating_sub(gst::ClockTime::from_seconds(60));
        Common { clock, base }
    })
}

/// Running time now.
pub(super) fn now() -> gst::ClockTime {
    let common = common();
    common.clock.time().saturating_sub(common.base)
}

/// Time since a running time; zero if it lies ahead.
pub(super) fn since(time: gst::ClockTime) -> Duration {
    now().saturating_sub(time).into()
}

/// Makes a pipeline's running time the common one. For pipelines that are fed from memory.
pub(super) fn share(pipeline: &gst::Pipeline) {
    let common = common();
    pipeline.use_clock(Some(&common.clock));
    pipeline.set_start_time(gst::ClockTime::NONE);
    pipeline.set_base_time(common.base);
}

/// Gives a source's pipeline the common clock; its base time stays its own business (see [`offset`]).
pub(super) fn follow(pipeline: &gst::Pipeline) {
    pipeline.use_clock(Some(&common().clock));
}

/// What to add to an element's running time to get the common one, in nanoseconds.
pub(super) fn offset(element: &impl IsA<gst::Element>) -> i64 {
    let own = element.base_time().unwrap_or_default().nseconds();
    // Both are readings of one clock; the difference fits by far.
    own.wrapping_sub(common().base.nseconds()) as i64
}
