//! When the bytes of a frame may leave.

use std::time::{Duration, Instant};

use super::meter::Meter;

/// What the application and the controller say of the stream's pace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pace {
    /// Multiple of the bitrate at which a large frame leaves; 0: all at once.
    pub(crate) factor: f64,
    /// Bitrate that is meant or allowed, in bit/s; 0: unknown.
    pub(crate) bitrate: u64,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Send as many bytes, in whole packets, but at least one packet.
    Send(usize),
    /// Ask again then.
    Wait(Instant),
}

/// A token bucket (in bytes) that lets ordinary frames pass whole and spreads large ones.
///
/// Its depth is what [`BURST`] of the bitrate holds, some three ordinary frames; it fills at
/// `factor` times the bitrate. Where that would hold a frame back for more than [`MAX_DELAY`]
/// against the time line of the frames before it, it fills faster.
#[derive(Debug, Default)]
pub(crate) struct Pacer {
    meter: Meter,
    /// Bytes that were sent ahead of the rate, when last looked.
    debt: f64,
    looked: Option<Instant>,
    /// Bytes per second for the frame at hand; `None`: no limit.
    rate: Option<f64>,
    depth: f64,
    /// Since when frames follow each other without a pause.
    busy: Option<Busy>,
}

/// A run of frames, each waiting for the one before: the first one's arrival and running time.
#[derive(Debug, Clone, Copy)]
struct Busy {
    since: Instant,
    time: Duration,
    until: Instant,
}

/// The bitrate where nothing is known: a local network takes this, and a first key frame is not late.
const DEFAULT_BITRATE: f64 = 4e6;

/// How much of the bitrate may leave in one go.
const BURST: f64 = 0.1;

/// Bytes that may always leave in one go: a dozen packets.
const MIN_DEPTH: f64 = 16_384.0;

/// Pause between two parts of a frame; shorter ones would only cost wakeups.
const PAUSE: f64 = 0.005;

/// Most that pacing may hold back a frame.
pub(crate) const MAX_DELAY: Duration = Duration::from_millis(250);

/// A frame that comes later than this after the one before did not wait for it.
const IDLE: Duration = Duration::from_millis(1);

impl Pacer {
    /// Begins a frame of `bytes`, which is presented at running time `time`. Returns whether the
    /// rate had to be raised for it.
    pub(crate) fn begin(&mut self, pace: Pace, bytes: usize, time: Duration, now: Instant) -> bool {
        self.meter.add(bytes, now);
        if pace.factor <= 0.0 {
            self.rate = None;
            return false;
        }
        let bitrate = self.bitrate(pace);
        let rate = bitrate / 8.0 * pace.factor.max(1.0);
        self.depth = (bitrate / 8.0 * BURST).max(MIN_DEPTH);
        self.settle(rate, now);
        let excess = self.debt + bytes as f64 - self.depth;
        let left = self.time_left(time, now);
        let raised = excess > rate * left;
        self.rate = match raised {
            true if left <= 0.0 => None,
            true => Some(excess / left),
            false => Some(rate),
        };
        raised
    }

    /// What to do with the `left` bytes of the frame that are not sent yet.
    pub(crate) fn turn(&mut self, left: usize, now: Instant) -> Turn {
        let Some(rate) = self.rate else {
            return Turn::Send(left);
        };
        self.settle(rate, now);
        let room = self.depth - self.debt;
        let wanted = (left as f64).min((rate * PAUSE).min(self.depth));
        if room + 0.5 >= wanted {
            return Turn::Send(left.min(room.ceil() as usize));
        }
        let pause = Duration::from_secs_f64((wanted - room) / rate);
        Turn::Wait(now + pause)
    }

    /// As many bytes were sent.
    pub(crate) fn sent(&mut self, bytes: usize) {
        if self.rate.is_some() {
            self.debt += bytes as f64;
        }
    }

    /// The frame has left, or was given up.
    pub(crate) fn finish(&mut self, now: Instant) {
        if let Some(busy) = &mut self.busy {
            busy.until = now;
        }
    }

    /// The bitrate to be multiplied, in bit/s.
    fn bitrate(&self, pace: Pace) -> f64 {
        let known = match pace.bitrate {
            0 => DEFAULT_BITRATE,
            bitrate => bitrate as f64,
        };
        known.max(self.meter.bitrate() as f64)
    }

    /// Pays back what the time since the last look allows.
    fn settle(&mut self, rate: f64, now: Instant) {
        if let Some(looked) = self.looked {
            let elapsed = now.saturating_duration_since(looked);
            self.debt = (self.debt - rate * elapsed.as_secs_f64()).max(0.0);
        }
        self.looked = Some(now);
    }

    /// Seconds in which a frame of running time `time` has to be gone.
    fn time_left(&mut self, time: Duration, now: Instant) -> f64 {
        let busy = self.busy.filter(|busy| {
            let idle = now.saturating_duration_since(busy.until) > IDLE;
            !idle && time >= busy.time
        });
        let busy = busy.unwrap_or(Busy {
            since: now,
            time,
            until: now,
        });
        self.busy = Some(busy);
        let media = time - busy.time;
        let wall = now.saturating_duration_since(busy.since);
        (media + MAX_DELAY).saturating_sub(wall).as_secs_f64()
    }
}

#[cfg(test)]
#[path = "pacer_tests.rs"]
mod tests;
