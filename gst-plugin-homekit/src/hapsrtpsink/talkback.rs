//! The `talkback` pad: the controller's sound, pushed by a task of its own, so that a slow branch
//! holds up nothing else.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};

use gst::prelude::*;
use rtp_payload::aac;

use super::imp::lock;
use super::media::Codec;
use super::stream::Talkback;

/// Packets that wait for the pad's task; the oldest give way.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    bell: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    buffers: VecDeque<gst::Buffer>,
    /// The pad is active.
    open: bool,
    ends: bool,
    dropped: u64,
}

/// What the task does next.
#[derive(Debug)]
enum Next {
    Push(gst::Buffer),
    End,
    Stop,
}

/// A second or two of sound.
const CAPACITY: usize = 64;

pub(crate) const PAD: &str = "talkback";

impl Queue {
    /// Adds a packet; the oldest one makes room.
    pub(crate) fn push(&self, buffer: gst::Buffer) {
        let mut inner = lock(&self.inner);
        if !inner.open || inner.ends {
            inner.dropped += 1;
            return;
        }
        if inner.buffers.len() == CAPACITY {
            inner.buffers.pop_front();
            inner.dropped += 1;
        }
        inner.buffers.push_back(buffer);
        self.bell.notify_one();
    }

    /// Lets the pad end with what waits.
    pub(crate) fn end(&self) {
        lock(&self.inner).ends = true;
        self.bell.notify_one();
    }

    /// Packets that nobody took.
    pub(crate) fn dropped(&self) -> u64 {
        lock(&self.inner).dropped
    }

    fn drop_one(&self) {
        lock(&self.inner).dropped += 1;
    }

    fn open(&self) {
        *lock(&self.inner) = Inner {
            open: true,
            ..Inner::default()
        };
    }

    fn close(&self) {
        let mut inner = lock(&self.inner);
        inner.open = false;
        inner.buffers.clear();
        self.bell.notify_all();
    }

    fn next(&self) -> Next {
        let inner = lock(&self.inner);
        let idle = |inner: &mut Inner| inner.open && !inner.ends && inner.buffers.is_empty();
        let inner = self.bell.wait_while(inner, idle);
        let mut inner = inner.unwrap_or_else(std::sync::PoisonError::into_inner);
        match inner.buffers.pop_front() {
            _ if !inner.open => Next::Stop,
            Some(buffer) => Next::Push(buffer),
            None => Next::End,
        }
    }
}

/// The template of the pad.
pub(crate) fn template() -> gst::PadTemplate {
    let caps = |encoding: &str| {
        gst::Structure::builder("application/x-rtp")
            .field("media", "audio")
            .field("encoding-name", encoding)
            .build()
    };
    let caps = gst::Caps::from_iter([caps("OPUS"), caps("MPEG4-GENERIC")]);
    let direction = gst::PadDirection::Src;
    gst::PadTemplate::new(PAD, direction, gst::PadPresence::Sometimes, &caps)
        .expect("direction, presence and caps are valid")
}

/// Makes the pad, active and with all that comes before the first packet.
pub(crate) fn pad(
    element: &gst::Element,
    talkback: &Talkback,
    queue: &Arc<Queue>,
) -> Result<gst::Pad, gst::glib::BoolError> {
    let queue = queue.clone();
    let pad = gst::Pad::builder_from_template(&template())
        .activatemode_function(move |pad, _, mode, active| activate(pad, mode, active, &queue))
        .event_function(|_, _, event| {
            // Nothing of the rest concerns those that feed the other pad.
            use gst::EventType::{Latency, Reconfigure};
            matches!(event.type_(), Reconfigure | Latency)
        })
        .query_function(query_pad)
        .build();
    pad.set_active(true)?;
    let id = pad.create_stream_id(element, Some(PAD));
    let segment = gst::FormattedSegment::<gst::ClockTime>::new();
    for event in [
        gst::event::StreamStart::new(&id),
        gst::event::Caps::new(&caps(talkback)),
        gst::event::Segment::new(&segment),
    ] {
        let _ = pad.store_sticky_event(&event);
    }
    Ok(pad)
}

/// What downstream has to know of the packets.
fn caps(talkback: &Talkback) -> gst::Caps {
    let caps = gst::Caps::builder("application/x-rtp")
        .field("media", "audio")
        .field("payload", i32::from(talkback.payload_type))
        .field("clock-rate", talkback.clock_rate as i32);
    match (talkback.codec, talkback.config) {
        (Codec::AacEld, Some(config)) => aac_fields(caps, config).build(),
        _ => caps.field("encoding-name", "OPUS").build(),
    }
}

/// As a session description says it (RFC 3640 §4.1).
fn aac_fields(
    caps: gst::caps::Builder<gst::caps::NoFeature>,
    config: aac::Config,
) -> gst::caps::Builder<gst::caps::NoFeature> {
    let bytes = config.to_bytes().unwrap_or_default();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    caps.field("encoding-name", "MPEG4-GENERIC")
        .field("encoding-params", config.channels.to_string())
        .field("streamtype", "5")
        .field("mode", "AAC-hbr")
        .field("config", hex)
        .field("sizelength", "13")
        .field("indexlength", "3")
        .field("indexdeltalength", "3")
        .field("constantduration", config.samples.to_string())
}

fn activate(
    pad: &gst::Pad,
    mode: gst::PadMode,
    active: bool,
    queue: &Arc<Queue>,
) -> Result<(), gst::LoggableError> {
    if mode != gst::PadMode::Push {
        return Err(gst::loggable_error!(super::imp::CAT, "push mode only"));
    }
    let done = match active {
        true => {
            queue.open();
            let (queue, task) = (queue.clone(), pad.downgrade());
            pad.start_task(move || {
                if let Some(pad) = task.upgrade() {
                    step(&pad, &queue);
                }
            })
        }
        false => {
            queue.close();
            pad.stop_task()
        }
    };
    done.map_err(|error| gst::loggable_error!(super::imp::CAT, "{error}"))
}

/// One turn of the task. Where downstream does not take a packet it is lost, but the next one may be
/// taken: elements are linked and started while sound comes already.
fn step(pad: &gst::Pad, queue: &Queue) {
    match queue.next() {
        Next::Push(buffer) => {
            if let Err(error) = pad.push(buffer) {
                gst::debug!(super::imp::CAT, obj = pad, "not taken: {error}");
                queue.drop_one();
            }
            return;
        }
        Next::End => {
            pad.push_event(gst::event::Eos::new());
        }
        Next::Stop => {}
    }
    queue.close();
    let _ = pad.pause_task();
}

/// It is a live source without latency, whatever the other pad's stream needs.
fn query_pad(pad: &gst::Pad, parent: Option<&gst::Object>, query: &mut gst::QueryRef) -> bool {
    match query.view_mut() {
        gst::QueryViewMut::Latency(latency) => {
            latency.set(true, gst::ClockTime::ZERO, gst::ClockTime::NONE);
            true
        }
        _ => gst::Pad::query_default(pad, parent, query),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(tag: u8) -> gst::Buffer {
        gst::Buffer::from_slice([tag])
    }

    fn tag(next: Next) -> Option<u8> {
        match next {
            Next::Push(buffer) => Some(buffer.map_readable().unwrap()[0]),
            _ => None,
        }
    }

    #[test]
    fn the_oldest_packets_give_way() {
        gst::init().unwrap();
        let queue = Queue::default();
        queue.push(buffer(0));
        assert_eq!(queue.dropped(), 1, "nobody is there yet");
        queue.open();
        for n in 0..CAPACITY as u8 + 3 {
            queue.push(buffer(n));
        }
        assert_eq!(queue.dropped(), 3);
        assert_eq!(tag(queue.next()), Some(3));
        assert_eq!(tag(queue.next()), Some(4));
    }

    #[test]
    fn an_end_comes_after_what_waits_and_a_stop_before() {
        gst::init().unwrap();
        let queue = Queue::default();
        queue.open();
        queue.push(buffer(1));
        queue.end();
        queue.push(buffer(2));
        assert_eq!(tag(queue.next()), Some(1));
        assert!(matches!(queue.next(), Next::End));
        queue.close();
        assert!(matches!(queue.next(), Next::Stop));
        queue.open();
        queue.push(buffer(3));
        assert_eq!(tag(queue.next()), Some(3), "it can begin anew");
    }
}
