//! What the controller causes: events and messages of the element.

use std::sync::atomic::Ordering;
use std::time::Instant;

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use rtp_feedback::Event;

use super::imp::{CAT, HapSrtpSink, lock};
use super::moment::Moment;
use super::receive_thread::Listener;
use super::stream::{Incoming, Stream};
use super::talkback;
use crate::upstream;

impl HapSrtpSink {
    /// Does what the session asks for, one by one, with nothing locked.
    pub(super) fn dispatch_events(&self) {
        loop {
            let event = self.state().stream.as_mut().and_then(Stream::poll_event);
            match event {
                Some(event) => self.dispatch(event),
                None => return,
            }
        }
    }

    fn dispatch(&self, event: Event) {
        gst::debug!(CAT, imp = self, "{event:?}");
        match event {
            Event::FirstRtcp => self.post("hapsrtpsink-first-rtcp", &[]),
            Event::Silent { age } => {
                let name = "hapsrtpsink-rtcp-timeout";
                let age = age.as_millis() as u64;
                let structure = gst::Structure::builder(name).field("age-ms", age);
                self.post_structure(structure.build());
            }
            Event::Bye => self.post("hapsrtpsink-bye", &[]),
            Event::MaxBitrate(bitrate) => {
                let bitrate = bitrate.clamp(1, u32::MAX.into());
                self.cap_bitrate(bitrate as u32);
            }
            Event::TradeOff(index) => {
                self.say_upstream(upstream::trade_off(&self.sink_pad(), index.into()));
                self.post("hapsrtpsink-trade-off", &[("index", index.into())]);
            }
            Event::KeyFrameWanted(_) => self.say_upstream(upstream::key_frame(&self.sink_pad())),
            event => gst::warning!(CAT, imp = self, "unknown event {event:?}"),
        }
    }

    fn post(&self, name: &str, fields: &[(&str, u32)]) {
        let fields = fields.iter();
        let structure = fields
            .fold(gst::Structure::builder(name), |s, (k, v)| s.field(*k, *v))
            .build();
        self.post_structure(structure);
    }

    fn post_structure(&self, structure: gst::Structure) {
        let message = gst::message::Element::builder(structure).src(&*self.obj());
        self.post_message(message.build());
    }

    pub(super) fn set_max_bitrate(&self, bitrate: u32) -> bool {
        let changed = self.max_bitrate.swap(bitrate, Ordering::Relaxed) != bitrate;
        if changed {
            self.obj().notify("max-bitrate");
        }
        changed
    }

    fn cap_bitrate(&self, bitrate: u32) {
        if self.set_max_bitrate(bitrate) {
            self.say_upstream(upstream::max_bitrate(&self.sink_pad(), bitrate));
            self.post("hapsrtpsink-max-bitrate", &[("bitrate", bitrate)]);
        }
    }

    fn say_upstream(&self, heard: bool) {
        if !heard {
            gst::debug!(CAT, imp = self, "nobody upstream obeys");
        }
    }

    fn sink_pad(&self) -> gst::Pad {
        self.obj().sink_pad().clone()
    }

    /// Passes on a packet of the controller's sound; the first one makes the pad.
    fn talk_back(&self, packet: &[u8], moment: &Moment) {
        let mut buffer = gst::Buffer::from_slice(packet.to_vec());
        if let (Some(time), Some(buffer)) = (moment.running_time, buffer.get_mut()) {
            buffer.set_pts(gst::ClockTime::try_from(time).ok());
        }
        if lock(&self.talkback_pad).is_none() {
            self.add_talkback_pad();
        }
        self.talkback.push(buffer);
    }

    fn add_talkback_pad(&self) {
        let talkback = self.state().stream.as_ref().and_then(Stream::talkback);
        let Some(talkback) = talkback else { return };
        let obj = self.obj();
        match talkback::pad(obj.upcast_ref(), &talkback, &self.talkback) {
            Ok(pad) => {
                *lock(&self.talkback_pad) = Some(pad.clone());
                if let Err(error) = obj.add_pad(&pad) {
                    gst::warning!(CAT, imp = self, "{error}");
                }
                // What plays the sound had no answer to its latency query so far.
                let message = gst::message::Latency::builder().src(&*obj).build();
                self.post_message(message);
            }
            Err(error) => gst::warning!(CAT, imp = self, "talkback: {error}"),
        }
    }

    pub(super) fn remove_talkback_pad(&self) {
        let pad = lock(&self.talkback_pad).take();
        if let Some(pad) = pad {
            let _ = pad.set_active(false);
            let _ = self.obj().remove_pad(&pad);
        }
    }
}

/// What the receiving thread calls.
pub(crate) struct SinkListener(pub(crate) glib::WeakRef<super::HapSrtpSink>);

impl Listener for SinkListener {
    fn datagram(&self, datagram: &mut [u8]) {
        let Some(obj) = self.0.upgrade() else { return };
        let imp = obj.imp();
        let moment = imp.moment();
        let incoming = match &mut imp.state().stream {
            Some(stream) => stream.handle_datagram(datagram, &moment),
            None => Incoming::Done,
        };
        if let Incoming::Talkback { len } = incoming {
            imp.talk_back(&datagram[..len], &moment);
        }
    }

    fn update(&self) -> Option<Instant> {
        let obj = self.0.upgrade()?;
        let imp = obj.imp();
        imp.dispatch_events();
        let moment = imp.moment();
        if let Some(stream) = &mut imp.state().stream {
            stream.handle_timeout(moment.now);
        }
        imp.send_report(&moment);
        let waiting = (!imp.may_block()).then(|| imp.send_waiting()).flatten();
        imp.dispatch_events();
        let mut state = imp.state();
        let deadline = state.running()?.stream.poll_timeout();
        [deadline, waiting].into_iter().flatten().min()
    }
}
