//! Sending, with nothing locked that anybody waits for.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use gst::subclass::prelude::*;
use gst_base::prelude::*;
use rtp_payload::HEADER_LEN;
use srtp::RTP_OVERHEAD;

use super::imp::{HapSrtpSink, lock};
use super::moment::Moment;
use super::pacer::{Pace, Pacer, Turn};
use super::send_buffer::SendBuffer;
use super::socket::{Patience, Peer};
use super::state::Running;
use super::stream::{Sent, Stream, Taken};

/// Media that are being sent, and the pace they are sent at.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) packets: SendBuffer,
    pacer: Pacer,
    /// Frames whose turn comes later, the first of them perhaps sent in part. Only where nobody may
    /// be blocked.
    waiting: VecDeque<(SendBuffer, Frame)>,
}

/// What came in one call, on its way.
#[derive(Debug)]
pub(crate) struct Frame {
    peer: Peer,
    taken: Taken,
    pace: Pace,
    /// Running time.
    time: Duration,
    now: Instant,
    waited: Duration,
    begun: bool,
    /// Datagrams that have left.
    done: usize,
}

impl Frame {
    pub(crate) fn new(peer: Peer, taken: Taken, pace: Pace, time: Duration) -> Self {
        Self {
            peer,
            taken,
            pace,
            time,
            now: Instant::now(),
            waited: Duration::ZERO,
            begun: false,
            done: 0,
        }
    }

    /// Time has passed.
    fn resume(&mut self) {
        let now = Instant::now();
        self.waited += now.saturating_duration_since(self.now);
        self.now = now;
    }
}

impl HapSrtpSink {
    /// Sends what is in `outbox`, a large frame in parts; waits in between.
    pub(super) fn transmit(
        &self,
        outbox: &mut Outbox,
        mut frame: Frame,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let Outbox { packets, pacer, .. } = outbox;
        while let Some(until) = self.advance(pacer, packets, &mut frame, Patience::of_media) {
            self.wait_for_turn(packets, &mut frame, until)?;
        }
        Ok(gst::FlowSuccess::Ok)
    }

    /// Sends what is in `outbox` as far as its turn has come; the receiving thread sends the rest.
    pub(super) fn hand_over(&self, outbox: &mut Outbox, mut frame: Frame) {
        let Outbox {
            packets,
            pacer,
            waiting,
        } = outbox;
        let free = waiting.is_empty();
        if free
            && self
                .advance(pacer, packets, &mut frame, Patience::none)
                .is_none()
        {
            return;
        }
        waiting.push_back((std::mem::take(packets), frame));
        if free {
            self.wake_thread();
        }
    }

    /// Sends the frames that wait, as far as their turn has come; returns when the next part's is.
    pub(super) fn send_waiting(&self) -> Option<Instant> {
        let mut outbox = lock(&self.outbox);
        let Outbox {
            packets: spare,
            pacer,
            waiting,
        } = &mut *outbox;
        while let Some((packets, frame)) = waiting.front_mut() {
            frame.resume();
            let later = self.advance(pacer, packets, frame, Patience::none);
            if later.is_some() {
                return later;
            }
            // Its memory is of use for the next frame.
            let (packets, _) = waiting.pop_front()?;
            *spare = packets;
        }
        None
    }

    /// Waits until all that waits has left, or until nobody may wait any more.
    pub(super) fn drain(&self) {
        while let Some(until) = self.send_waiting() {
            let socket = self.state().socket.clone();
            if !socket.is_some_and(|socket| socket.pause(until)) {
                return;
            }
        }
    }

    /// Gives up all that waits.
    pub(super) fn discard(&self) {
        for (packets, frame) in lock(&self.outbox).waiting.drain(..) {
            self.give_up(&packets, &frame);
        }
    }

    /// Sends the parts of a frame whose turn has come; returns when the next one's is. After the
    /// last one comes a report, if one is due.
    fn advance(
        &self,
        pacer: &mut Pacer,
        packets: &SendBuffer,
        frame: &mut Frame,
        patience: fn() -> Patience,
    ) -> Option<Instant> {
        if !std::mem::replace(&mut frame.begun, true)
            && pacer.begin(frame.pace, packets.byte_len(), frame.time, frame.now)
        {
            self.with_stream(Stream::pace_raised);
        }
        while frame.done < packets.len() {
            let left = packets.bytes_in(&(frame.done..packets.len()));
            match pacer.turn(left, frame.now) {
                Turn::Send(bytes) => {
                    pacer.sent(self.send_part(packets, frame, bytes, patience()));
                }
                Turn::Wait(until) => return Some(until),
            }
        }
        pacer.finish(frame.now);
        let due = self.with_stream(|s| s.frame_left(frame.taken, frame.waited, frame.now));
        if due == Some(true) {
            self.send_report(&self.moment());
        }
        None
    }

    /// Sends the next datagrams of a frame, as many as fit into `bytes`; returns their bytes.
    fn send_part(
        &self,
        packets: &SendBuffer,
        frame: &mut Frame,
        bytes: usize,
        patience: Patience,
    ) -> usize {
        let range = frame.done..packets.end_within(frame.done, bytes);
        let count = range.len() as u64;
        let bytes = packets.bytes_in(&range);
        frame.done = range.end;
        let payload_octets = match range.end == packets.len() {
            true => frame.taken.payload_octets,
            false => bytes as u64 - count * (HEADER_LEN + RTP_OVERHEAD) as u64,
        };
        frame.taken.payload_octets -= payload_octets;
        let errors = frame.peer.send(packets, range, patience);
        let sent = Sent {
            packets: count,
            payload_octets,
            bytes: bytes as u64,
            errors,
        };
        self.with_stream(|stream| stream.sent(sent, frame.now));
        bytes
    }

    /// Waits for the next turn of a frame. Where the pipeline pauses, the rest follows later; where
    /// it flushes or stops, the rest is given up.
    fn wait_for_turn(
        &self,
        packets: &SendBuffer,
        frame: &mut Frame,
        until: Instant,
    ) -> Result<(), gst::FlowError> {
        let flow = match frame.peer.socket.pause(until) {
            true => Ok(gst::FlowSuccess::Ok),
            false => self.obj().wait_preroll(),
        };
        frame.resume();
        if flow.is_err() {
            self.give_up(packets, frame);
        }
        flow.map(|_| ())
    }

    fn give_up(&self, packets: &SendBuffer, frame: &Frame) {
        let left = (packets.len() - frame.done) as u64;
        self.with_stream(|stream| stream.frame_flushed(frame.taken, left));
    }

    /// Sends a report, if one is due.
    pub(super) fn send_report(&self, moment: &Moment) {
        self.send_rtcp(|stream, packets| stream.take_report(packets, moment));
    }

    /// Takes leave.
    pub(super) fn send_bye(&self, moment: &Moment) {
        self.send_rtcp(|stream, packets| stream.take_bye(packets, moment));
    }

    /// Sends the RTCP that `take` takes out of the stream. It waits for nothing: there will be more.
    fn send_rtcp(&self, take: impl FnOnce(&mut Stream, &mut SendBuffer) -> bool) {
        let mut packets = lock(&self.report);
        let peer = {
            let mut state = self.state();
            let Some(Running { stream, peer }) = state.running() else {
                return;
            };
            match take(stream, &mut packets) {
                true => peer,
                false => return,
            }
        };
        let range = 0..packets.len();
        if peer.send(&packets, range, Patience::none()) > 0 {
            self.with_stream(Stream::report_failed);
        }
    }

    fn with_stream<T>(&self, act: impl FnOnce(&mut Stream) -> T) -> Option<T> {
        self.state().stream.as_mut().map(act)
    }
}
