//! What the controller causes: events, messages, and RTCP of our own.

use std::sync::atomic::Ordering;
use std::time::Instant;

use gst::prelude::*;
use gst::subclass::prelude::*;
use rtp_feedback::{Cause, Event};

use super::Role;
use super::imp::{CAT, HapRtcpFb};
use super::shared::Shared;
use crate::upstream;

impl Shared {
    /// Does what the session asks for, with nothing locked: events first, so that a new bitrate
    /// holds for the key frame asked for.
    pub(super) fn dispatch(&self) {
        loop {
            let event = self.feedback().poll_event();
            match event {
                Some(event) => self.obey(event),
                None => break,
            }
        }
        let Some(sender) = self.element(Role::RtcpOut) else {
            return;
        };
        let report = self.feedback().poll_report(Instant::now());
        if let Some(report) = report {
            sender.imp().push_report(report);
        }
    }

    fn obey(&self, event: Event) {
        let Some(media) = self.element(Role::Media) else {
            return;
        };
        match event {
            Event::MaxBitrate(bitrate) => {
                let bitrate = bitrate.clamp(1, u32::MAX.into()) as u32;
                if self.max_bitrate.swap(bitrate, Ordering::Relaxed) != bitrate {
                    media.imp().cap(bitrate);
                }
            }
            Event::TradeOff(index) => media.imp().trade_off(index.into()),
            Event::KeyFrameWanted(cause) => media.imp().request_key_frame(cause),
            // rtpbin tells of packets, of silence and of a BYE by itself.
            _ => {}
        }
    }
}

impl HapRtcpFb {
    fn push_report(&self, report: Vec<u8>) {
        let pushed = self.src_pad().push(gst::Buffer::from_slice(report));
        gst::debug!(CAT, imp = self, "a report of our own: {pushed:?}");
    }

    fn cap(&self, bitrate: u32) {
        gst::debug!(CAT, imp = self, "at most {bitrate} bit/s");
        upstream::max_bitrate(self.sink_pad(), bitrate);
        self.obj().notify("max-bitrate");
        self.post("haprtcpfb-max-bitrate", "bitrate", bitrate);
    }

    fn trade_off(&self, index: u32) {
        gst::debug!(CAT, imp = self, "trade-off {index}");
        upstream::trade_off(self.sink_pad(), index);
        self.post("haprtcpfb-trade-off", "index", index);
    }

    fn request_key_frame(&self, cause: Cause) {
        gst::debug!(CAT, imp = self, "a key frame is wanted: {cause:?}");
        if !upstream::key_frame(self.sink_pad()) {
            gst::debug!(CAT, imp = self, "nobody upstream makes key frames");
        }
    }

    fn post(&self, name: &str, field: &str, value: u32) {
        let structure = gst::Structure::builder(name).field(field, value).build();
        let message = gst::message::Element::builder(structure).src(&*self.obj());
        self.post_message(message.build());
    }
}
