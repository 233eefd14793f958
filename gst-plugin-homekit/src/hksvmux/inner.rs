//! The element inside `hksvmux` that makes fragments of parsed video and audio.
//!
//! A fragment goes out within the call that completes it, in the thread of that call; with sound, in
//! whichever of the two threads comes last.

use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;

use super::cut::Verdict;
use super::fragmenter::VIDEO_TIMESCALE;
use super::recording::{CapsChange, Job, Recording, VideoError};
use super::settings::Settings;
use super::stats::Stats;
use super::wall_clock::taken_at;
use super::writer::{WriteError, Writer};

pub(super) static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "hksvmux",
        gst::DebugColorFlags::empty(),
        Some("HomeKit Secure Video fragments"),
    )
});

glib::wrapper! {
    /// Pads `video`, `audio` and `src`.
    pub struct Inner(ObjectSubclass<InnerImp>)
        @extends gst::Element, gst::Object;
}

/// Instance data.
#[derive(Debug)]
pub struct InnerImp {
    video: gst::Pad,
    audio: gst::Pad,
    src: gst::Pad,
    settings: Mutex<Settings>,
    /// Taken before `recording`, and held while a fragment is written and pushed, so that they stay in order.
    output: Mutex<Output>,
    recording: Mutex<Recording>,
    /// Something that `recording` waits for may have come.
    news: Condvar,
    stats: Mutex<Stats>,
}

#[derive(Debug, Default)]
struct Output {
    writer: Option<Writer>,
    has_ended: bool,
}

#[glib::object_subclass]
impl ObjectSubclass for InnerImp {
    const NAME: &'static str = "GstHksvMuxInner";
    type Type = Inner;
    type ParentType = gst::Element;

    fn with_class(class: &Self::Class) -> Self {
        let template = |name: &str| {
            let template = class.pad_template(name);
            template.expect("all templates are registered")
        };
        let video = gst::Pad::builder_from_template(&template("video"))
            .chain_function(|pad, parent, buffer| {
                let failed = || Err(gst::FlowError::Error);
                Self::catch_panic_pad_function(parent, failed, |it| it.video_chain(pad, &buffer))
            })
            .event_function(|pad, parent, event| {
                Self::catch_panic_pad_function(parent, || false, |it| it.sink_event(pad, event))
            })
            .build();
        let audio = gst::Pad::builder_from_template(&template("audio"))
            .chain_function(|pad, parent, buffer| {
                let failed = || Err(gst::FlowError::Error);
                Self::catch_panic_pad_function(parent, failed, |it| it.audio_chain(pad, buffer))
            })
            .event_function(|pad, parent, event| {
                Self::catch_panic_pad_function(parent, || false, |it| it.sink_event(pad, event))
            })
            .build();
        let src = gst::Pad::builder_from_template(&template("src"))
            .query_function(|pad, parent, query| {
                Self::catch_panic_pad_function(parent, || false, |it| it.src_query(pad, query))
            })
            .build();
        Self {
            video,
            audio,
            src,
            settings: Mutex::default(),
            output: Mutex::default(),
            recording: Mutex::new(Recording::new(&Settings::default(), false)),
            news: Condvar::new(),
            stats: Mutex::default(),
        }
    }
}

impl ObjectImpl for InnerImp {
    fn constructed(&self) {
        self.parent_constructed();
        let obj = self.obj();
        for pad in [&self.video, &self.audio, &self.src] {
            obj.add_pad(pad).expect("the names of the pads differ");
        }
    }
}

impl GstObjectImpl for InnerImp {}

impl ElementImpl for InnerImp {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "HomeKit Secure Video fragments",
                "Codec/Muxer",
                "Inside hksvmux",
                "The gst-plugin-homekit authors",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let template = |name, direction, caps: &gst::Caps| {
                gst::PadTemplate::new(name, direction, gst::PadPresence::Always, caps)
                    .expect("direction, presence and caps are valid")
            };
            vec![
                template("video", gst::PadDirection::Sink, &video_caps()),
                template("audio", gst::PadDirection::Sink, &audio_caps()),
                template("src", gst::PadDirection::Src, &super::src_caps()),
            ]
        });
        &TEMPLATES
    }

    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        match transition {
            gst::StateChange::ReadyToPaused => self.reset(),
            gst::StateChange::PausedToReady => {
                self.recording().is_flushing = true;
                self.news.notify_all();
            }
            _ => {}
        }
        let changed = self.parent_change_state(transition)?;
        if transition == gst::StateChange::PausedToReady {
            self.reset();
        }
        Ok(changed)
    }
}

fn video_caps() -> gst::Caps {
    let structure = |name, format| {
        gst::Structure::builder(name)
            .field("stream-format", format)
            .field("alignment", "au")
            .build()
    };
    let h264 = structure("video/x-h264", "avc");
    [h264, structure("video/x-h265", "hvc1")]
        .into_iter()
        .collect()
}

fn audio_caps() -> gst::Caps {
    gst::Caps::builder("audio/mpeg")
        .field("mpegversion", 4)
        .field("stream-format", "raw")
        .build()
}

/// What goes wrong while a fragment is written.
enum DrainError {
    Write(WriteError),
    Flow(gst::FlowError),
}

impl InnerImp {
    pub(super) fn set_settings(&self, settings: Settings) {
        *lock(&self.settings) = settings;
    }

    pub(super) fn stats(&self) -> gst::Structure {
        let left_out = self.recording().left_out();
        lock(&self.stats).structure(left_out)
    }

    /// The application has an audio pad, or gave it back.
    pub(super) fn expect_audio(&self, expected: bool) {
        self.recording().expect_sound(expected);
        self.news.notify_all();
    }

    fn recording(&self) -> MutexGuard<'_, Recording> {
        lock(&self.recording)
    }

    fn reset(&self) {
        let mut output = lock(&self.output);
        let settings = *lock(&self.settings);
        let has_audio = self.audio.is_linked();
        *self.recording() = Recording::new(&settings, has_audio);
        *output = Output::default();
        *lock(&self.stats) = Stats::default();
    }

    fn video_chain(
        &self,
        pad: &gst::Pad,
        buffer: &gst::Buffer,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let Some(pts) = running_time(pad, buffer) else {
            gst::debug!(CAT, imp = self, "a picture without a time is left out");
            return Ok(gst::FlowSuccess::Ok);
        };
        let mut recording = self.recording();
        if recording.has_ended {
            return Err(gst::FlowError::Eos);
        }
        let verdict = recording.video(pts, buffer, Instant::now());
        if recording.needs_time() {
            drop(recording);
            let unix = taken_at(self.obj().upcast_ref(), pts);
            self.recording().set_time(pts, unix);
        } else {
            drop(recording);
        }
        match verdict {
            Ok(verdict) => self.obey(&verdict),
            Err(error) => return Err(self.refuse(&error)),
        }
        self.drain()
    }

    /// What was recorded so far goes out, where the stream is at fault.
    fn refuse(&self, error: &VideoError) -> gst::FlowError {
        if let VideoError::Stream(error) = error {
            gst::element_imp_warning!(
                self,
                gst::StreamError::Format,
                ["The recording ends here: {error}"]
            );
            self.end_video();
            return gst::FlowError::Eos;
        }
        gst::element_imp_error!(self, gst::StreamError::Format, ["{error}"]);
        gst::FlowError::Error
    }

    fn audio_chain(
        &self,
        pad: &gst::Pad,
        buffer: gst::Buffer,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let Some(pts) = running_time(pad, &buffer) else {
            gst::debug!(CAT, imp = self, "sound without a time is left out");
            return Ok(gst::FlowSuccess::Ok);
        };
        let mut recording = self.recording();
        if recording.has_ended {
            return Err(gst::FlowError::Eos);
        }
        recording.audio(pts, buffer);
        drop(recording);
        self.news.notify_all();
        self.drain()
    }

    /// Key frames are asked for, and what can be done about long groups is said.
    fn obey(&self, verdict: &Verdict) {
        if let Some(at) = verdict.key_wanted_at {
            lock(&self.stats).key_requests += 1;
            let event = gst_video::UpstreamForceKeyUnitEvent::builder()
                .running_time(gst::ClockTime::from_nseconds(at))
                .all_headers(true)
                .build();
            let heard = self.video.push_event(event);
            gst::debug!(
                CAT,
                imp = self,
                "key frame wanted at {at} ns (heard: {heard})"
            );
        }
        if verdict.overlong {
            let limit = lock(&self.settings).fragment_duration;
            gst::element_imp_warning!(
                self,
                gst::StreamError::Format,
                [
                    "The key frames of the stream are more than {limit} ms apart, so fragments get longer than \
                     that: set the camera's key frame interval (I-frame interval, GOP) to {limit} ms or less"
                ]
            );
        }
    }

    /// Writes and pushes all fragments that are ready.
    fn drain(&self) -> Result<gst::FlowSuccess, gst::FlowError> {
        if !self.recording().is_waiting() {
            return Ok(gst::FlowSuccess::Ok);
        }
        let mut output = lock(&self.output);
        loop {
            let job = self.recording().job(Instant::now());
            let Some(job) = job else {
                return Ok(gst::FlowSuccess::Ok);
            };
            match self.write(&mut output, job) {
                Ok(()) => {}
                Err(DrainError::Flow(error)) => return Err(error),
                Err(DrainError::Write(error)) => {
                    gst::element_imp_error!(self, gst::StreamError::Mux, ["{error}"]);
                    return Err(gst::FlowError::Error);
                }
            }
        }
    }

    fn write(&self, output: &mut Output, job: Job) -> Result<(), DrainError> {
        let begun = Instant::now();
        let start = job.fragment.start;
        let ticks = job.fragment.duration();
        let is_first = output.writer.is_none();
        let writer = match &mut output.writer {
            Some(writer) => writer,
            empty => {
                let writer = Writer::new(job.video_caps, job.audio_caps);
                empty.insert(writer.map_err(DrainError::Write)?)
            }
        };
        let written = writer
            .write(job.fragment, job.unix)
            .map_err(DrainError::Write)?;
        let pts = gst::ClockTime::from_nseconds(start);
        let duration = gst::ClockTime::from_nseconds(ticks * 1_000_000_000 / VIDEO_TIMESCALE);
        let (mut init, mut fragment) = (written.init, written.fragment);
        if is_first {
            self.begin(&mut init, pts);
        }
        let buffer = fragment.make_mut();
        buffer.set_pts(pts);
        buffer.set_duration(duration);
        if is_first {
            buffer.set_flags(gst::BufferFlags::DISCONT);
        }
        lock(&self.stats).fragment(buffer.size(), duration, begun.elapsed());
        if is_first {
            self.push(init)?;
        }
        self.push(fragment)
    }

    fn push(&self, buffer: gst::Buffer) -> Result<(), DrainError> {
        self.src.push(buffer).map(drop).map_err(DrainError::Flow)
    }

    /// The events that come before the init segment.
    fn begin(&self, init: &mut gst::Buffer, pts: gst::ClockTime) {
        let buffer = init.make_mut();
        buffer.unset_flags(gst::BufferFlags::all());
        buffer.set_flags(gst::BufferFlags::HEADER | gst::BufferFlags::DISCONT);
        buffer.set_pts(pts);
        buffer.set_dts(gst::ClockTime::NONE);
        let caps = gst::Caps::builder("video/quicktime")
            .field("variant", "iso-fragmented")
            .field("streamheader", gst::Array::new([&*init]))
            .build();
        self.push_event(self.stream_start());
        self.push_event(gst::event::Caps::new(&caps));
        let segment = gst::FormattedSegment::<gst::ClockTime>::new();
        self.push_event(gst::event::Segment::new(&segment));
    }

    fn stream_start(&self) -> gst::Event {
        let upstream = self.video.stream_id();
        let upstream = upstream.as_ref().map_or("hksvmux", |id| id.as_str());
        let id = format!("{upstream}/fragments");
        gst::event::StreamStart::builder(&id)
            .group_id(gst::GroupId::next())
            .build()
    }

    fn push_event(&self, event: gst::Event) {
        if !self.src.push_event(event) {
            gst::debug!(CAT, imp = self, "an event was not taken");
        }
    }

    fn sink_event(&self, pad: &gst::Pad, event: gst::Event) -> bool {
        use gst::EventView;
        let is_video = *pad == self.video;
        match event.view() {
            EventView::Caps(caps) => {
                self.caps(is_video, caps.caps());
                true
            }
            EventView::Eos(_) if is_video => self.end_video(),
            EventView::Eos(_) => self.end_audio(),
            EventView::FlushStart(_) => {
                self.recording().is_flushing = true;
                self.news.notify_all();
                self.src.push_event(event)
            }
            EventView::FlushStop(_) => {
                self.reset_for_flush();
                self.src.push_event(event)
            }
            // Of its own.
            EventView::StreamStart(_) | EventView::Segment(_) | EventView::Gap(_) => true,
            EventView::StreamGroupDone(_) | EventView::Tag(_) => true,
            _ => gst::Pad::event_default(pad, Some(&*self.obj()), event),
        }
    }

    /// A new recording begins with what comes after a flush; the caps stay.
    fn reset_for_flush(&self) {
        self.reset();
        let current = |pad: &gst::Pad| pad.current_caps();
        let mut recording = self.recording();
        if let Some(caps) = current(&self.video) {
            recording.set_video_caps(&caps);
        }
        if let Some(caps) = current(&self.audio) {
            recording.set_audio_caps(&caps);
        }
    }

    fn caps(&self, is_video: bool, caps: &gst::CapsRef) {
        let mut recording = self.recording();
        let change = if is_video {
            recording.set_video_caps(caps)
        } else {
            recording.set_audio_caps(caps)
        };
        let is_silent = recording.is_silent();
        drop(recording);
        if !is_video && is_silent {
            gst::element_imp_warning!(
                self,
                gst::StreamError::Format,
                ["Sound came after the first fragment: this recording has none"]
            );
        }
        if change == CapsChange::Ends {
            gst::element_imp_warning!(
                self,
                gst::StreamError::Format,
                [
                    "The stream changed to {caps}: the recording ends here, since its init segment says otherwise"
                ]
            );
            self.end_video();
        }
    }

    /// The fragment under way goes out, with its sound if that comes in time.
    fn end_video(&self) -> bool {
        let mut recording = self.recording();
        if std::mem::replace(&mut recording.has_ended, true) {
            return true;
        }
        recording.end_video(Instant::now());
        drop(recording);
        loop {
            if let Err(error) = self.drain() {
                gst::debug!(CAT, imp = self, "the last fragment was not taken: {error}");
                break;
            }
            let recording = self.recording();
            if !recording.is_waiting() || recording.is_flushing {
                break;
            }
            // Soon enough for what is overdue then.
            let step = Duration::from_millis(20);
            drop(self.news.wait_timeout(recording, step));
        }
        self.end()
    }

    fn end_audio(&self) -> bool {
        self.recording().end_audio();
        self.news.notify_all();
        if let Err(error) = self.drain() {
            gst::debug!(CAT, imp = self, "a fragment was not taken: {error}");
        }
        self.video.is_linked() || self.end()
    }

    fn end(&self) -> bool {
        let mut output = lock(&self.output);
        if self.recording().is_flushing || std::mem::replace(&mut output.has_ended, true) {
            return true;
        }
        if output.writer.is_none() {
            self.push_event(self.stream_start());
            gst::element_imp_warning!(
                self,
                gst::StreamError::Mux,
                ["There was no key frame: nothing was recorded"]
            );
        }
        drop(output);
        self.src.push_event(gst::event::Eos::new())
    }

    fn src_query(&self, pad: &gst::Pad, query: &mut gst::QueryRef) -> bool {
        match query.view_mut() {
            gst::QueryViewMut::Latency(latency) => {
                self.latency(latency);
                true
            }
            gst::QueryViewMut::Seeking(seeking) => {
                let none = gst::GenericFormattedValue::none_for_format(seeking.format());
                seeking.set(false, none, none);
                true
            }
            _ => gst::Pad::query_default(pad, Some(&*self.obj()), query),
        }
    }

    /// A fragment is out when it is complete: its first picture is as old as it is long, and its sound may
    /// be late besides.
    fn latency(&self, answer: &mut gst::query::Latency<gst::QueryRef>) {
        let settings = *lock(&self.settings);
        let (mut live, mut min) = (false, gst::ClockTime::ZERO);
        for pad in [&self.video, &self.audio] {
            let mut query = gst::query::Latency::new();
            if pad.peer_query(&mut query) {
                let (is_live, pad_min, _) = query.result();
                live |= is_live;
                min = min.max(pad_min);
            }
        }
        let own = u64::from(settings.fragment_duration) + u64::from(settings.audio_wait);
        answer.set(
            live,
            min + gst::ClockTime::from_mseconds(own),
            gst::ClockTime::NONE,
        );
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// In nanoseconds; `None` without one, or before the segment.
fn running_time(pad: &gst::Pad, buffer: &gst::BufferRef) -> Option<u64> {
    let segment = pad.sticky_event::<gst::event::Segment>(0)?;
    let segment = segment.segment().downcast_ref::<gst::ClockTime>()?;
    let time = segment.to_running_time(buffer.pts()?)?;
    Some(time.nseconds())
}
