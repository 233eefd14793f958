//! Sound whose times part from its samples.

/// What may lie between the two. A picture and a sound that are further apart are noticed sooner or later.
const TOLERANCE: gst::ClockTime = gst::ClockTime::from_mseconds(5);

/// Counts samples against timestamps. Resamplers and encoders do the same with a tolerance of 30 ms and more: within
/// that, what a file adds at each loop or a camera's clock loses would add up between picture and sound.
#[derive(Debug, Default)]
pub(super) struct Drift {
    /// When the next buffer begins, by the samples so far.
    next: Option<gst::ClockTime>,
}

impl Drift {
    /// Whether a buffer that begins at `time` and lasts for `duration` does not follow what came before.
    pub(super) fn parts(&mut self, time: gst::ClockTime, duration: gst::ClockTime) -> bool {
        let parts = self
            .next
            .is_some_and(|next| next.max(time) - next.min(time) > TOLERANCE);
        let begins = self.next.filter(|_| !parts).unwrap_or(time);
        self.next = Some(begins + duration);
        parts
    }
}

/// Marks buffers that do not follow what came before as discontinuous, so that all behind the pad begins anew.
pub(super) fn watch(pad: &gst::Pad) {
    use gst::prelude::*;
    let drift = std::sync::Mutex::new(Drift::default());
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let Some(buffer) = info.buffer_mut() {
            let mut drift = drift
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            if let (Some(time), Some(duration)) = (buffer.pts(), buffer.duration()) {
                if drift.parts(time, duration) {
                    buffer.make_mut().set_flags(gst::BufferFlags::DISCONT);
                }
            }
        }
        gst::PadProbeReturn::Ok
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parted(times: &[u64]) -> Vec<bool> {
        let mut drift = Drift::default();
        let block = gst::ClockTime::from_mseconds(20);
        let parts = |ms: &u64| drift.parts(gst::ClockTime::from_mseconds(*ms), block);
        times.iter().map(parts).collect()
    }

    #[test]
    fn jitter_is_no_drift() {
        assert_eq!(parted(&[100, 123, 138, 161, 180]), [false; 5]);
    }

    #[test]
    fn small_steps_add_up() {
        let steps = parted(&[0, 22, 44, 66, 86]);
        assert_eq!(steps, [false, false, false, true, false]);
        assert_eq!(parted(&[100, 114, 134]), [false, true, false], "back, too");
    }
}
