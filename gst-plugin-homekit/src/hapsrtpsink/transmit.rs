//! Sending, with nothing locked that anybody waits for.

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
            done: 0,
        }
    }
}

impl HapSrtpSink {
    /// Sends what is in `outbox`, a large frame in parts; then a report, if one is due.
    pub(super) fn transmit(
        &self,
        outbox: &mut Outbox,
        mut frame: Frame,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let Outbox { packets, pacer } = outbox;
        let bytes = packets.byte_len();
        if pacer.begin(frame.pace, bytes, frame.time, frame.now) {
            self.with_stream(Stream::pace_raised);
        }
        while frame.done < packets.len() {
            let left = packets.bytes_in(&(frame.done..packets.len()));
            match pacer.turn(left, frame.now) {
                Turn::Send(bytes) => pacer.sent(self.send_part(packets, &mut frame, bytes)),
                Turn::Wait(until) => self.wait_for_turn(packets, &mut frame, until)?,
            }
        }
        pacer.finish(frame.now);
        let due = self.with_stream(|s| s.frame_left(frame.taken, frame.waited, frame.now));
        if due == Some(true) {
            self.send_report(&self.moment());
        }
        Ok(gst::FlowSuccess::Ok)
    }

    /// Sends the next datagrams of a frame, as many as fit into `bytes`; returns their bytes.
    fn send_part(&self, packets: &SendBuffer, frame: &mut Frame, bytes: usize) -> usize {
        let range = frame.done..packets.end_within(frame.done, bytes);
        let count = range.len() as u64;
        let bytes = packets.bytes_in(&range);
        frame.done = range.end;
        let payload_octets = match range.end == packets.len() {
            true => frame.taken.payload_octets,
            false => bytes as u64 - count * (HEADER_LEN + RTP_OVERHEAD) as u64,
        };
        frame.taken.payload_octets -= payload_octets;
        let errors = frame.peer.send(packets, range, Patience::of_media());
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
        let now = Instant::now();
        frame.waited += now.saturating_duration_since(frame.now);
        frame.now = now;
        if flow.is_err() {
            let left = (packets.len() - frame.done) as u64;
            self.with_stream(|stream| stream.frame_flushed(frame.taken, left));
        }
        flow.map(|_| ())
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
