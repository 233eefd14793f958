//! What is known of the recording under way.

use std::time::{Duration, Instant};

use super::access_unit::{Codec, contents};
use super::cut::Verdict;
use super::fragmenter::{Fragment, Fragmenter, Picture, StreamError};
use super::settings::Settings;
use super::sound::Sound;
use super::wall_clock::{WallClock, carried};
use super::writer::audio_rate;

/// Samples of an AAC-LC frame, where its duration does not say otherwise.
const AAC_SAMPLES: u64 = 1024;

/// A fragment to be written, and what the writer needs besides.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) fragment: Fragment<gst::Buffer, gst::Buffer>,
    pub(super) unix: u64,
    pub(super) video_caps: gst::Caps,
    /// `None`: a recording without sound.
    pub(super) audio_caps: Option<gst::Caps>,
}

/// What new caps mean.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CapsChange {
    /// Nothing that is in the init segment.
    Same,
    /// The recording cannot go on.
    Ends,
}

#[derive(Debug)]
pub(super) struct Recording {
    fragmenter: Fragmenter<gst::Buffer, gst::Buffer>,
    /// And the bytes of its lengths.
    codec: Option<(Codec, usize)>,
    video_caps: Option<gst::Caps>,
    audio_caps: Option<gst::Caps>,
    /// The init segment is out, with or without sound.
    is_settled: bool,
    has_audio_pad: bool,
    wall_clock: WallClock,
    start_time: u64,
    pub(super) has_ended: bool,
    pub(super) is_flushing: bool,
}

impl Recording {
    pub(super) fn new(settings: &Settings, has_audio_pad: bool) -> Self {
        let patience = Duration::from_millis(settings.audio_wait.into());
        let limit = u64::from(settings.fragment_duration) * 1_000_000;
        let mut recording = Self {
            fragmenter: Fragmenter::new(limit, patience),
            codec: None,
            video_caps: None,
            audio_caps: None,
            is_settled: false,
            has_audio_pad,
            wall_clock: WallClock::default(),
            start_time: settings.start_time,
            has_ended: false,
            is_flushing: false,
        };
        recording.expect_sound(has_audio_pad);
        recording
    }

    /// Sound will come, of a rate not yet known; or none will.
    pub(super) fn expect_sound(&mut self, expected: bool) {
        self.has_audio_pad = expected;
        let sound = expected.then(|| Sound::new(1));
        self.fragmenter.set_sound(sound);
    }

    pub(super) fn set_video_caps(&mut self, caps: &gst::CapsRef) -> CapsChange {
        if let Some(interval) = frame_interval(caps) {
            self.fragmenter.set_frame_interval(interval);
        }
        let is_settled = self.fragmenter.has_begun();
        let change = take_caps(&mut self.video_caps, caps, is_settled);
        if change == CapsChange::Same {
            self.codec = codec(caps);
        }
        change
    }

    pub(super) fn set_audio_caps(&mut self, caps: &gst::CapsRef) -> CapsChange {
        let had_caps = self.audio_caps.is_some();
        let is_settled = had_caps && self.fragmenter.has_begun();
        let change = take_caps(&mut self.audio_caps, caps, is_settled);
        let is_awaited = self.has_audio_pad && !self.is_settled;
        let rate = self.audio_caps.as_ref().map_or(1, audio_rate);
        if change == CapsChange::Same && is_awaited && !is_settled {
            self.fragmenter.set_sound(Some(Sound::new(rate)));
        }
        change
    }

    /// Whether sound came too late for the init segment.
    pub(super) fn is_silent(&self) -> bool {
        self.is_settled && self.has_audio_pad && self.fragmenter.has_no_sound()
    }

    /// An access unit that begins at running time `pts`.
    pub(super) fn video(
        &mut self,
        pts: u64,
        buffer: &gst::Buffer,
        now: Instant,
    ) -> Result<Verdict, VideoError> {
        let (codec, length_size) = self.codec.ok_or(VideoError::NoCaps)?;
        if let Some(unix) = carried(buffer) {
            self.wall_clock.set(pts, unix);
        }
        let (key, data) = sample(codec, length_size, buffer).ok_or(VideoError::Unreadable)?;
        let picture = Picture { pts, key, data };
        let had_begun = self.fragmenter.has_begun();
        let verdict = self.fragmenter.picture(picture, now)?;
        if !had_begun && key && self.start_time != 0 {
            self.wall_clock.fix(pts, self.start_time);
        }
        Ok(verdict)
    }

    /// A key frame has come and nobody knows when it was taken.
    pub(super) fn needs_time(&self) -> bool {
        self.fragmenter.has_begun() && !self.wall_clock.is_known()
    }

    pub(super) fn set_time(&mut self, pts: u64, unix: u64) {
        self.wall_clock.set(pts, unix);
    }

    /// An AAC frame that begins at running time `pts`.
    pub(super) fn audio(&mut self, pts: u64, buffer: gst::Buffer) {
        let rate = self.audio_caps.as_ref().map_or(1, audio_rate);
        let samples = samples(&buffer, u64::from(rate));
        if let Some(sound) = self.fragmenter.sound() {
            sound.push(pts, samples, buffer);
        }
    }

    pub(super) fn end_audio(&mut self) {
        if let Some(sound) = self.fragmenter.sound() {
            sound.end();
        }
    }

    pub(super) fn end_video(&mut self, now: Instant) {
        self.fragmenter.finish(now);
    }

    /// Whether a fragment is there, be it without its sound.
    pub(super) fn is_waiting(&self) -> bool {
        self.fragmenter.is_waiting()
    }

    pub(super) fn left_out(&mut self) -> u64 {
        self.fragmenter.sound().map_or(0, |sound| sound.left_out())
    }

    /// The next fragment that is ready.
    pub(super) fn job(&mut self, now: Instant) -> Option<Job> {
        let video_caps = self.video_caps.clone()?;
        let fragment = self.fragmenter.fragment(now)?;
        if !self.is_settled {
            self.is_settled = true;
            if self.audio_caps.is_none() {
                self.fragmenter.set_sound(None);
            }
        }
        let audio_caps = self.audio_caps.clone();
        Some(Job {
            unix: self.wall_clock.unix(fragment.start),
            fragment,
            video_caps,
            audio_caps: audio_caps.filter(|_| !self.fragmenter.has_no_sound()),
        })
    }
}

/// Why a picture was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum VideoError {
    #[error("pictures come before their caps")]
    NoCaps,
    #[error("a picture cannot be read")]
    Unreadable,
    #[error(transparent)]
    Stream(#[from] StreamError),
}

/// Keeps the first caps, or later ones while they may still change.
fn take_caps(kept: &mut Option<gst::Caps>, caps: &gst::CapsRef, is_settled: bool) -> CapsChange {
    let same = kept
        .as_ref()
        .is_some_and(|kept| in_init(kept) == in_init(caps));
    if same || !is_settled {
        *kept = Some(caps.to_owned());
        return CapsChange::Same;
    }
    CapsChange::Ends
}

/// Media type and decoder configuration: what the sample entry is made of.
fn in_init(caps: &gst::CapsRef) -> Option<(String, Vec<u8>)> {
    let structure = caps.structure(0)?;
    let data = structure.get::<gst::Buffer>("codec_data").ok();
    let data = data.and_then(|data| Some(data.map_readable().ok()?.to_vec()));
    Some((structure.name().to_string(), data.unwrap_or_default()))
}

fn codec(caps: &gst::CapsRef) -> Option<(Codec, usize)> {
    let (name, configuration) = in_init(caps)?;
    let codec = Codec::from_media_type(&name)?;
    Some((codec, codec.length_size(&configuration)?))
}

fn frame_interval(caps: &gst::CapsRef) -> Option<u64> {
    let rate = caps.structure(0)?.get::<gst::Fraction>("framerate").ok()?;
    let (numerator, denominator) = (rate.numer(), rate.denom());
    let numerator = u64::try_from(numerator).ok().filter(|it| *it > 0)?;
    Some(u64::try_from(denominator).ok()? * 1_000_000_000 / numerator)
}

fn samples(buffer: &gst::BufferRef, rate: u64) -> u64 {
    let duration = buffer.duration().map_or(0, gst::ClockTime::nseconds);
    let samples = (duration * rate + 500_000_000) / 1_000_000_000;
    match samples {
        0 => AAC_SAMPLES,
        samples => samples,
    }
}

/// Whether it is a key frame, and the same bytes without what does not belong into a sample.
fn sample(codec: Codec, length_size: usize, buffer: &gst::Buffer) -> Option<(bool, gst::Buffer)> {
    let contents = contents(codec, length_size, &buffer.map_readable().ok()?);
    if contents.is_all_of(buffer.size()) {
        return Some((contents.key, buffer.clone()));
    }
    let mut kept = contents.kept.into_iter();
    let mut data = buffer
        .copy_region(gst::BufferCopyFlags::MEMORY, kept.next()?)
        .ok()?;
    for range in kept {
        let piece = buffer
            .copy_region(gst::BufferCopyFlags::MEMORY, range)
            .ok()?;
        data.append(piece);
    }
    Some((contents.key, data))
}
