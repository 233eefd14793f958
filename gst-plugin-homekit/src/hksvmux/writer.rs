//! Writes init segment and fragments by means of `isofmp4mux`.
//!
//! The muxer writes each fragment as a file of its own, from start to end of stream: so a fragment is out
//! when the call returns, whatever the clock says, and does not wait for the first pictures of the next.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use gst::prelude::*;

use super::boxes::{self, PRFT_LEN, ReferenceTime};
use super::fragmenter::{Fragment, Sample, VIDEO_TIMESCALE};
use super::muxer;
use super::sound::Placed;

/// The muxer needs a few milliseconds, on a machine with nothing to spare maybe some hundred.
const PATIENCE: Duration = Duration::from_secs(20);

/// Longer than any fragment: the muxer has nothing to split.
const NEVER: gst::ClockTime = gst::ClockTime::from_seconds(24 * 60 * 60);

/// What goes into one track.
#[derive(Debug)]
struct Track {
    pad: gst::Pad,
    caps: gst::Caps,
}

#[derive(Debug)]
pub(super) struct Writer {
    muxer: gst::Element,
    video: Track,
    audio: Option<Track>,
    output: gst::Pad,
    written: Receiver<Written>,
    sequence_number: u32,
}

#[derive(Debug)]
enum Written {
    Buffer(gst::Buffer),
    End,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    #[error("cannot set up isofmp4mux: {0}")]
    SetUp(#[from] gst::glib::BoolError),
    #[error("isofmp4mux has no property {0}: gst-plugin-fmp4 0.14 or newer is needed")]
    TooOld(&'static str),
    #[error("isofmp4mux does not start or stop: {0}")]
    State(#[from] gst::StateChangeError),
    #[error("isofmp4mux refuses a sample: {0}")]
    Refused(#[from] gst::FlowError),
    #[error("isofmp4mux refuses {0}")]
    RefusedEvent(gst::EventType),
    #[error("isofmp4mux did not finish a fragment")]
    Unfinished,
    #[error("isofmp4mux wrote no {0}")]
    Missing(&'static str),
}

/// What one fragment became.
#[derive(Debug)]
pub(super) struct Output {
    /// `ftyp` and `moov`.
    pub(super) init: gst::Buffer,
    /// `prft`, `moof` and `mdat`, without times.
    pub(super) fragment: gst::Buffer,
}

impl Writer {
    /// For tracks of these caps, of which `audio` names a rate.
    pub(super) fn new(video: gst::Caps, audio: Option<gst::Caps>) -> Result<Self, WriteError> {
        let muxer = muxer::make()?;
        set(&muxer, "fragment-duration", &NEVER.nseconds().to_string())?;
        // How much its pads take before they block.
        set(&muxer, "latency", &NEVER.nseconds().to_string())?;
        set(&muxer, "send-force-keyunit", "false")?;
        set(&muxer, "interleave-time", "0")?;
        set(&muxer, "write-edts-mode", "never")?;
        let rate = audio.as_ref().map(audio_rate);
        let video = Track::new(&muxer, video, VIDEO_TIMESCALE as u32)?;
        let audio = audio.zip(rate);
        let audio = audio.map(|(caps, rate)| Track::new(&muxer, caps, rate));
        let audio = audio.transpose()?;
        let (sender, written) = channel();
        let output = output_pad(sender);
        let source = muxer.static_pad("src");
        let source = source.ok_or(WriteError::Missing("source pad"))?;
        source.link(&output).map_err(link_error)?;
        Ok(Self {
            muxer,
            video,
            audio,
            output,
            written,
            sequence_number: 0,
        })
    }

    /// Writes the next fragment; `unix` is when its first picture was taken.
    pub(super) fn write(
        &mut self,
        fragment: Fragment<gst::Buffer, gst::Buffer>,
        unix: u64,
    ) -> Result<Output, WriteError> {
        let media = fragment.video.first().map_or(0, |sample| sample.dts);
        let buffers = self.run(fragment);
        self.stop()?;
        self.sequence_number += 1;
        let time = ReferenceTime { unix, media };
        assemble(&buffers?, time, self.sequence_number)
    }

    fn run(
        &mut self,
        fragment: Fragment<gst::Buffer, gst::Buffer>,
    ) -> Result<Vec<gst::Buffer>, WriteError> {
        self.output.set_active(true)?;
        self.muxer.set_state(gst::State::Paused)?;
        // The muxer looks at its tracks when the first of them has data: caps come before.
        self.video.begin()?;
        if let Some(audio) = &self.audio {
            audio.begin()?;
            let rate = u64::from(audio_rate(&audio.caps));
            audio.push(fragment.audio.into_iter().map(|it| audio_sample(it, rate)))?;
        }
        self.video
            .push(fragment.video.into_iter().map(video_sample))?;
        self.collect()
    }

    fn collect(&self) -> Result<Vec<gst::Buffer>, WriteError> {
        let mut buffers = Vec::new();
        loop {
            match self.written.recv_timeout(PATIENCE) {
                Ok(Written::Buffer(buffer)) => buffers.push(buffer),
                Ok(Written::End) => return Ok(buffers),
                Err(_) => return Err(WriteError::Unfinished),
            }
        }
    }

    /// Everything begins anew with the next fragment.
    fn stop(&self) -> Result<(), WriteError> {
        let stopped = self.muxer.set_state(gst::State::Null);
        for track in [Some(&self.video), self.audio.as_ref()]
            .into_iter()
            .flatten()
        {
            track.pad.set_active(false)?;
        }
        self.output.set_active(false)?;
        while self.written.try_recv().is_ok() {}
        stopped.map(drop).map_err(WriteError::from)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // An element must not go while it runs; a failure has been reported where it happened.
        let _ = self.muxer.set_state(gst::State::Null);
    }
}

impl Track {
    fn new(muxer: &gst::Element, caps: gst::Caps, timescale: u32) -> Result<Self, WriteError> {
        let sink = muxer.request_pad_simple("sink_%u");
        let sink = sink.ok_or(WriteError::Missing("pad for a track"))?;
        set(&sink, "trak-timescale", &timescale.to_string())?;
        let pad = gst::Pad::builder(gst::PadDirection::Src).build();
        pad.link(&sink).map_err(link_error)?;
        Ok(Self { pad, caps })
    }

    fn begin(&self) -> Result<(), WriteError> {
        self.pad.set_active(true)?;
        let segment = gst::FormattedSegment::<gst::ClockTime>::new();
        self.event(gst::event::StreamStart::new("track"))?;
        self.event(gst::event::Caps::new(&self.caps))?;
        self.event(gst::event::Segment::new(&segment))
    }

    fn push(&self, mut samples: impl Iterator<Item = gst::Buffer>) -> Result<(), WriteError> {
        samples.try_for_each(|sample| self.pad.push(sample).map(drop))?;
        self.event(gst::event::Eos::new())
    }

    fn event(&self, event: gst::Event) -> Result<(), WriteError> {
        let kind = event.type_();
        let taken = self.pad.push_event(event);
        taken.then_some(()).ok_or(WriteError::RefusedEvent(kind))
    }
}

/// The system's muxer may be older than the one linked in.
fn set(
    object: &impl IsA<gst::glib::Object>,
    name: &'static str,
    value: &str,
) -> Result<(), WriteError> {
    if object.find_property(name).is_none() {
        return Err(WriteError::TooOld(name));
    }
    object.set_property_from_str(name, value);
    Ok(())
}

fn link_error(error: gst::PadLinkError) -> WriteError {
    WriteError::SetUp(gst::glib::bool_error!("{error}"))
}

/// Samples per second.
pub(super) fn audio_rate(caps: &gst::Caps) -> u32 {
    let rate = caps.structure(0).and_then(|it| it.get::<i32>("rate").ok());
    rate.and_then(|rate| u32::try_from(rate).ok()).unwrap_or(1)
}

fn output_pad(sender: Sender<Written>) -> gst::Pad {
    let lists = sender.clone();
    let events = sender.clone();
    gst::Pad::builder(gst::PadDirection::Sink)
        .chain_function(move |_, _, buffer| send(&sender, Written::Buffer(buffer)))
        .chain_list_function(move |_, _, list| {
            list.iter_owned()
                .try_for_each(|buffer| send(&lists, Written::Buffer(buffer)).map(drop))?;
            Ok(gst::FlowSuccess::Ok)
        })
        .event_function(move |_, _, event| {
            event.type_() != gst::EventType::Eos || send(&events, Written::End).is_ok()
        })
        .build()
}

fn send(sender: &Sender<Written>, written: Written) -> Result<gst::FlowSuccess, gst::FlowError> {
    let sent = sender.send(written);
    sent.map_err(|_| gst::FlowError::Flushing)?;
    Ok(gst::FlowSuccess::Ok)
}

fn video_sample(sample: Sample<gst::Buffer>) -> gst::Buffer {
    let time = |ticks| nanoseconds(ticks, VIDEO_TIMESCALE);
    let end = time(sample.dts + sample.duration);
    let times = (time(sample.pts), time(sample.dts), end);
    timed(&sample.data, times, sample.key)
}

fn audio_sample(frame: Placed<gst::Buffer>, rate: u64) -> gst::Buffer {
    let start = nanoseconds(frame.position, rate);
    let end = nanoseconds(frame.position + frame.samples, rate);
    timed(&frame.data, (start, start, end), true)
}

/// The same bytes, not copied, with what the muxer is to see of them.
fn timed(
    data: &gst::Buffer,
    (pts, dts, end): (gst::ClockTime, gst::ClockTime, gst::ClockTime),
    key: bool,
) -> gst::Buffer {
    let memory = data.copy_region(gst::BufferCopyFlags::MEMORY, ..);
    let mut out = memory.unwrap_or_else(|_| data.copy());
    let buffer = out.make_mut();
    buffer.set_pts(pts);
    buffer.set_dts(dts);
    buffer.set_duration(end - dts);
    if !key {
        buffer.set_flags(gst::BufferFlags::DELTA_UNIT);
    }
    out
}

/// The muxer rounds down: so this rounds up, and the same number comes out again.
fn nanoseconds(ticks: u64, timescale: u64) -> gst::ClockTime {
    let nanoseconds = (u128::from(ticks) * 1_000_000_000).div_ceil(u128::from(timescale));
    let limit = u128::from(u64::MAX / 4);
    gst::ClockTime::from_nseconds(u64::try_from(nanoseconds.min(limit)).unwrap_or_default())
}

/// One memory with all of a fragment.
fn assemble(
    buffers: &[gst::Buffer],
    time: ReferenceTime,
    sequence_number: u32,
) -> Result<Output, WriteError> {
    let (init, rest) = buffers.split_first().ok_or(WriteError::Missing("data"))?;
    let (head, samples) = rest.split_first().ok_or(WriteError::Missing("moof"))?;
    let is_init = init.map_readable().is_ok_and(|map| boxes::is_init(&map));
    let head = head.map_readable()?;
    let moof = boxes::moof_offset(&head).filter(|_| is_init);
    let moof = &head[moof.ok_or(WriteError::Missing("moof after moov"))?..];
    let sizes: usize = samples.iter().map(|sample| sample.size()).sum();
    let mut bytes = Vec::with_capacity(PRFT_LEN + moof.len() + sizes);
    bytes.extend(time.prft());
    bytes.extend(moof);
    let numbered = boxes::set_sequence_number(&mut bytes[PRFT_LEN..], sequence_number);
    numbered.ok_or(WriteError::Missing("mfhd"))?;
    for memory in samples.iter().flat_map(|sample| sample.iter_memories()) {
        bytes.extend_from_slice(&memory.map_readable()?);
    }
    Ok(Output {
        init: init.copy(),
        fragment: gst::Buffer::from_mut_slice(bytes),
    })
}
