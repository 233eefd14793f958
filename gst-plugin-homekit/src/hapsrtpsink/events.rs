//! What the controller causes: events and messages of the element.

use std::sync::atomic::Ordering;
use std::time::Instant;

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use rtp_feedback::{Cause, Event};

use super::imp::{CAT, HapSrtpSink};
use super::receive_thread::Listener;
use super::stream::Stream;

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
                let age = age.as_millis() as u64;
                self.post("hapsrtpsink-rtcp-timeout", &[("age-ms", age)]);
            }
            Event::Bye => self.post("hapsrtpsink-bye", &[]),
            Event::MaxBitrate(bitrate) => {
                let bitrate = bitrate.clamp(1, u32::MAX.into());
                self.set_max_bitrate(bitrate as u32);
            }
            Event::KeyFrameWanted(cause) => self.request_key_frame(cause),
            event => gst::warning!(CAT, imp = self, "unknown event {event:?}"),
        }
    }

    fn post(&self, name: &str, fields: &[(&str, u64)]) {
        let fields = fields.iter();
        let structure = fields
            .fold(gst::Structure::builder(name), |s, (k, v)| s.field(*k, *v))
            .build();
        let message = gst::message::Element::builder(structure).src(&*self.obj());
        self.post_message(message.build());
    }

    pub(super) fn set_max_bitrate(&self, bitrate: u32) {
        if self.max_bitrate.swap(bitrate, Ordering::Relaxed) != bitrate {
            self.obj().notify("max-bitrate");
        }
    }

    fn request_key_frame(&self, cause: Cause) {
        let event = gst_video::UpstreamForceKeyUnitEvent::builder()
            .all_headers(true)
            .build();
        let obj = self.obj();
        if !obj.sink_pad().push_event(event) {
            gst::debug!(
                CAT,
                imp = self,
                "nobody upstream makes key frames ({cause:?})"
            );
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
        if let Some(stream) = &mut imp.state().stream {
            stream.handle_datagram(datagram, &moment);
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
        imp.dispatch_events();
        let mut state = imp.state();
        state.running()?.stream.poll_timeout()
    }
}
