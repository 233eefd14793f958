//! `hksvmux` with bare pads around it: no thread but the test's.

use std::sync::{Arc, Mutex, MutexGuard};

use gst::prelude::*;

use super::boxes::{self, Fragment};
use super::streams::Stream;

#[derive(Debug, Default)]
struct Received {
    buffers: Vec<gst::Buffer>,
    ended: bool,
}

/// The element between two source pads and one sink pad of the test.
pub(crate) struct Bench {
    pub(crate) mux: gst::Element,
    bus: gst::Bus,
    video: gst::Pad,
    audio: Option<gst::Pad>,
    output: gst::Pad,
    received: Arc<Mutex<Received>>,
    wanted: Arc<Mutex<Vec<Option<gst::ClockTime>>>>,
}

impl Bench {
    pub(crate) fn new(video: &Stream, audio: Option<&Stream>) -> Self {
        Self::with(video, audio, |_| {})
    }

    /// `set` sets properties before anything starts.
    pub(crate) fn with(
        video: &Stream,
        audio: Option<&Stream>,
        set: impl FnOnce(&gst::Element),
    ) -> Self {
        let bench = Self::make(video, audio.is_some(), set);
        if let Some(audio) = audio {
            bench.begin_audio(audio);
        }
        bench
    }

    /// The audio pad is there, but says nothing; `wait` is `audio-wait`.
    pub(crate) fn with_silent_audio(video: &Stream, wait: u32) -> Self {
        Self::make(video, true, |mux| mux.set_property("audio-wait", wait))
    }

    pub(crate) fn begin_audio(&self, audio: &Stream) {
        begin(self.audio.as_ref().unwrap(), &audio.caps);
    }

    fn make(video: &Stream, has_audio: bool, set: impl FnOnce(&gst::Element)) -> Self {
        crate::common::init();
        let mux = gst::ElementFactory::make("hksvmux").build().unwrap();
        let bus = gst::Bus::new();
        mux.set_bus(Some(&bus));
        set(&mux);
        let received = Arc::<Mutex<Received>>::default();
        let output = output(&received);
        mux.static_pad("src").unwrap().link(&output).unwrap();
        output.set_active(true).unwrap();
        let wanted = Arc::<Mutex<Vec<_>>>::default();
        let video_pad = source(&mux, "video", &wanted);
        let audio_pad = has_audio.then(|| source(&mux, "audio", &wanted));
        mux.set_state(gst::State::Playing).unwrap();
        begin(&video_pad, &video.caps);
        Self {
            mux,
            bus,
            video: video_pad,
            audio: audio_pad,
            output,
            received,
            wanted,
        }
    }

    pub(crate) fn push_video(
        &self,
        buffer: &gst::Buffer,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        self.video.push(buffer.clone())
    }

    pub(crate) fn push_audio(
        &self,
        buffer: &gst::Buffer,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        self.audio.as_ref().unwrap().push(buffer.clone())
    }

    pub(crate) fn set_video_caps(&self, caps: &gst::Caps) {
        self.video.push_event(gst::event::Caps::new(caps));
    }

    /// Both by their times.
    pub(crate) fn push_both(&self, video: &[gst::Buffer], audio: &[gst::Buffer]) {
        let mut all: Vec<(gst::ClockTime, bool, &gst::Buffer)> = Vec::new();
        let mut latest = gst::ClockTime::ZERO;
        // Pictures stay in decoding order.
        all.extend(video.iter().map(|buffer| {
            latest = latest.max(buffer.pts().unwrap());
            (latest, true, buffer)
        }));
        all.extend(
            audio
                .iter()
                .map(|buffer| (buffer.pts().unwrap(), false, buffer)),
        );
        all.sort_by_key(|(time, is_video, _)| (*time, *is_video));
        for (_, is_video, buffer) in all {
            let pushed = if is_video {
                self.push_video(buffer)
            } else {
                self.push_audio(buffer)
            };
            assert_eq!(pushed, Ok(gst::FlowSuccess::Ok));
        }
    }

    pub(crate) fn end(&self) {
        if let Some(audio) = &self.audio {
            audio.push_event(gst::event::Eos::new());
        }
        self.video.push_event(gst::event::Eos::new());
        assert!(self.has_ended());
    }

    pub(crate) fn end_video(&self) {
        self.video.push_event(gst::event::Eos::new());
    }

    pub(crate) fn flush(&self) {
        assert!(self.video.push_event(gst::event::FlushStart::new()));
        assert!(self.video.push_event(gst::event::FlushStop::new(true)));
        let segment = gst::FormattedSegment::<gst::ClockTime>::new();
        assert!(self.video.push_event(gst::event::Segment::new(&segment)));
    }

    /// From the beginning, with nothing received.
    pub(crate) fn restart(&self, video: &Stream, audio: Option<&Stream>) {
        self.mux.set_state(gst::State::Ready).unwrap();
        *self.received() = Received::default();
        self.output.set_active(false).unwrap();
        self.output.set_active(true).unwrap();
        self.mux.set_state(gst::State::Playing).unwrap();
        for (pad, stream) in [
            (Some(&self.video), Some(video)),
            (self.audio.as_ref(), audio),
        ] {
            if let (Some(pad), Some(stream)) = (pad, stream) {
                pad.set_active(false).unwrap();
                pad.set_active(true).unwrap();
                begin(pad, &stream.caps);
            }
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.received().ended
    }

    fn received(&self) -> MutexGuard<'_, Received> {
        self.received.lock().unwrap()
    }

    /// Init segment and fragments, as far as they came.
    pub(crate) fn buffers(&self) -> Vec<gst::Buffer> {
        self.received().buffers.clone()
    }

    pub(crate) fn file(&self) -> Vec<u8> {
        let bytes = |buffer: &gst::Buffer| buffer.map_readable().unwrap().to_vec();
        self.buffers().iter().flat_map(bytes).collect()
    }

    /// Fragments, as far as they came.
    pub(crate) fn fragments(&self) -> Vec<Fragment> {
        let buffers = self.buffers();
        let fragments = buffers.iter().skip(1);
        fragments
            .map(|buffer| boxes::fragment(&buffer.map_readable().unwrap()))
            .collect()
    }

    /// Running times of the key frames that were asked for.
    pub(crate) fn wanted(&self) -> Vec<Option<gst::ClockTime>> {
        self.wanted.lock().unwrap().clone()
    }

    /// Texts of the warnings and errors so far.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let kinds = [gst::MessageType::Warning, gst::MessageType::Error];
        let messages = std::iter::from_fn(|| self.bus.pop_filtered(&kinds));
        let text = |message: gst::Message| match message.view() {
            gst::MessageView::Warning(warning) => warning.debug().unwrap_or_default().to_string(),
            gst::MessageView::Error(error) => error.debug().unwrap_or_default().to_string(),
            _ => unreachable!("filtered"),
        };
        messages.map(text).collect()
    }

    pub(crate) fn stat(&self, field: &str) -> u64 {
        self.mux
            .property::<gst::Structure>("stats")
            .get(field)
            .unwrap()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.mux.set_state(gst::State::Null).unwrap();
    }
}

fn source(
    mux: &gst::Element,
    name: &str,
    wanted: &Arc<Mutex<Vec<Option<gst::ClockTime>>>>,
) -> gst::Pad {
    let wanted = Arc::clone(wanted);
    let pad = gst::Pad::builder(gst::PadDirection::Src)
        .event_function(move |_, _, event| {
            if let Ok(event) = gst_video::UpstreamForceKeyUnitEvent::parse(&event) {
                wanted.lock().unwrap().push(event.running_time);
            }
            true
        })
        .build();
    pad.set_active(true).unwrap();
    pad.link(&mux.request_pad_simple(name).unwrap()).unwrap();
    pad
}

fn begin(pad: &gst::Pad, caps: &gst::Caps) {
    let segment = gst::FormattedSegment::<gst::ClockTime>::new();
    assert!(pad.push_event(gst::event::StreamStart::new("test")));
    assert!(pad.push_event(gst::event::Caps::new(caps)));
    assert!(pad.push_event(gst::event::Segment::new(&segment)));
}

fn output(received: &Arc<Mutex<Received>>) -> gst::Pad {
    let (buffers, events) = (Arc::clone(received), Arc::clone(received));
    gst::Pad::builder(gst::PadDirection::Sink)
        .chain_function(move |_, _, buffer| {
            buffers.lock().unwrap().buffers.push(buffer);
            Ok(gst::FlowSuccess::Ok)
        })
        .event_function(move |_, _, event| {
            events.lock().unwrap().ended |= event.type_() == gst::EventType::Eos;
            true
        })
        .build()
}
