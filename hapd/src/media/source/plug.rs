//! Leads the open ends of a source's pipeline into memory.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use gst::prelude::*;

use super::super::intake::{self, Note, Once, Pace};
use super::super::track::{Codec, Medium};
use super::super::tracks::Tracks;
use super::actor::Msg;

/// Connects pads of one pipeline. Shared by the callbacks of its elements.
#[derive(Debug)]
pub(super) struct Plug {
    pub(super) pipeline: gst::glib::WeakRef<gst::Pipeline>,
    pub(super) tracks: Arc<Tracks>,
    pub(super) pace: Pace,
    pub(super) want_audio: bool,
    pub(super) run: u32,
    pub(super) actor: mpsc::Sender<Msg>,
    /// Lowered when the pipeline is given up: what it still delivers is not wanted.
    pub(super) alive: Arc<AtomicBool>,
    /// Raised when there is any video, usable or not.
    pub(super) offered_video: Once,
    pub(super) video: Once,
    pub(super) audio: Once,
}

/// A pad could not be connected.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlugError {
    #[error("{0}")]
    Glib(#[from] gst::glib::BoolError),
    #[error("{0}")]
    Parse(#[from] gst::glib::Error),
    #[error("{0}")]
    Link(#[from] gst::PadLinkError),
    #[error("the pipeline is gone")]
    Gone,
}

impl Plug {
    /// Connects `pad` as soon as it is known what it carries.
    pub(super) fn open_end(self: &Arc<Self>, pad: &gst::Pad) {
        let once = Arc::new(Once::default());
        let plug = self.clone();
        let seen = once.clone();
        pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |pad, info| {
            let Some(gst::EventView::Caps(event)) = info.event().map(|event| event.view()) else {
                return gst::PadProbeReturn::Ok;
            };
            let caps = event.caps_owned();
            if seen.first() {
                plug.connect_or_tell(pad, &caps);
            }
            gst::PadProbeReturn::Remove
        });
        if let Some(caps) = pad.current_caps().filter(|_| once.first()) {
            self.connect_or_tell(pad, &caps);
        }
    }

    /// Follows an element whose pads appear later.
    pub(super) fn open_ends_of(self: &Arc<Self>, element: &gst::Element) {
        let plug = self.clone();
        element.connect_pad_added(move |_, pad| {
            if pad.direction() == gst::PadDirection::Src && !pad.is_linked() {
                plug.open_end(pad);
            }
        });
    }

    fn connect_or_tell(self: &Arc<Self>, pad: &gst::Pad, caps: &gst::Caps) {
        if let Err(error) = self.connect(pad, caps) {
            let reason = format!("cannot use a stream of {}: {error}", caps_name(caps));
            let _ = self.actor.send(Msg::Broken(self.run, reason));
        }
    }

    fn connect(self: &Arc<Self>, pad: &gst::Pad, caps: &gst::Caps) -> Result<(), PlugError> {
        let medium = Medium::of(caps);
        if medium == Some(Medium::Video) {
            self.offered_video.first();
        }
        if medium == Some(Medium::Audio) && !self.want_audio {
            return self.discard(pad);
        }
        if needs_split(caps) {
            return self.split(pad);
        }
        if !self.wanted(medium) {
            return self.discard(pad);
        }
        match depayloader(caps) {
            Some((depayloader, codec)) => self.lead_in(pad, codec, Some(depayloader)),
            None => match Codec::of(caps) {
                Some(codec) => self.lead_in(pad, codec, None),
                None => self.discard(pad),
            },
        }
    }

    /// The first video and the first audio are.
    fn wanted(&self, medium: Option<Medium>) -> bool {
        match medium {
            Some(Medium::Video) => self.video.first(),
            Some(Medium::Audio) => self.audio.first(),
            None => false,
        }
    }

    /// Splits containers and payloads into parsed streams, which are connected in turn.
    fn split(self: &Arc<Self>, pad: &gst::Pad) -> Result<(), PlugError> {
        let parser = gst::ElementFactory::make("parsebin").build()?;
        self.open_ends_of(&parser);
        self.add(pad, &parser)
    }

    fn discard(&self, pad: &gst::Pad) -> Result<(), PlugError> {
        let sink = gst::ElementFactory::make("fakesink")
            .property("async", false)
            .property("sync", false)
            .build()?;
        self.add(pad, &sink)
    }

    fn lead_in(
        self: &Arc<Self>,
        pad: &gst::Pad,
        codec: Codec,
        depayloader: Option<&str>,
    ) -> Result<(), PlugError> {
        let queue = match self.pace {
            // A demuxer feeds several sinks that wait: what one of them is ahead of the other must lie somewhere.
            Pace::RealTime => {
                Some("queue max-size-buffers=0 max-size-bytes=33554432 max-size-time=5000000000")
            }
            Pace::AsItComes | Pace::AsSource => None,
        };
        let chain = [queue, depayloader, Some(codec.normalise())]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" ! ");
        let bin = gst::parse::bin_from_description(&chain, true)?;
        let sink = self.sink(codec);
        self.pipeline()?.add(&sink)?;
        self.pipeline()?.add(&bin)?;
        bin.link(&sink)?;
        sink.sync_state_with_parent()?;
        self.start(pad, bin.upcast_ref())
    }

    fn sink(&self, codec: Codec) -> gst_app::AppSink {
        let medium = medium(codec);
        let ring = match medium {
            Medium::Video => self.tracks.video.clone(),
            Medium::Audio => self.tracks.audio.clone(),
        };
        let (run, actor) = (self.run, self.actor.clone());
        let note = move |note: Note| drop(actor.send(Msg::Note(run, medium, note)));
        let sink = intake::sink(codec, ring, self.pace, self.alive.clone(), note);
        if medium == Medium::Video {
            self.tracks.set_video_end(&sink);
        }
        sink
    }

    fn add(&self, pad: &gst::Pad, element: &gst::Element) -> Result<(), PlugError> {
        self.pipeline()?.add(element)?;
        self.start(pad, element)
    }

    fn start(&self, pad: &gst::Pad, element: &gst::Element) -> Result<(), PlugError> {
        element.sync_state_with_parent()?;
        pad.link(&element.static_pad("sink").ok_or(PlugError::Gone)?)?;
        Ok(())
    }

    fn pipeline(&self) -> Result<gst::Pipeline, PlugError> {
        let pipeline = self
            .pipeline
            .upgrade()
            .filter(|_| self.alive.load(Ordering::Acquire));
        pipeline.ok_or(PlugError::Gone)
    }
}

fn medium(codec: Codec) -> Medium {
    match codec {
        Codec::H264 | Codec::H265 | Codec::RawVideo | Codec::OtherVideo => Medium::Video,
        Codec::Opus | Codec::RawAudio | Codec::OtherAudio => Medium::Audio,
    }
}

/// The codecs of RTP that need no search for elements.
fn depayloader(caps: &gst::CapsRef) -> Option<(&'static str, Codec)> {
    let s = caps
        .structure(0)
        .filter(|s| s.name() == "application/x-rtp")?;
    match s.get::<&str>("encoding-name").ok()? {
        // As AVC the depayloader joins all slices of one RTP timestamp and takes parameter sets out. Senders that repeat
        // those before each slice of a key picture would have h264parse cut the picture in two otherwise.
        "H264" => Some((
            "rtph264depay ! capsfilter caps=video/x-h264,stream-format=avc,alignment=au",
            Codec::H264,
        )),
        "H265" => Some(("rtph265depay", Codec::H265)),
        "OPUS" | "opus" => Some(("rtpopusdepay", Codec::Opus)),
        _ => None,
    }
}

/// Whether a stream is a container, or a payload or codec that is not framed yet.
fn needs_split(caps: &gst::CapsRef) -> bool {
    let Some(s) = caps.structure(0) else {
        return false;
    };
    if s.name() == "application/x-rtp" {
        return Medium::of(caps).is_some() && depayloader(caps).is_none();
    }
    let framed = ["parsed", "framed"]
        .into_iter()
        .any(|field| s.get::<bool>(field) == Ok(true));
    match Codec::of(caps) {
        Some(Codec::OtherVideo) => !framed,
        // These have no frames.
        Some(Codec::OtherAudio) => {
            !framed && !matches!(s.name().as_str(), "audio/x-mulaw" | "audio/x-alaw")
        }
        Some(_) => false,
        None => matches!(
            s.name().as_str(),
            "application/ogg" | "application/x-rtp-stream" | "multipart/x-mixed-replace"
        ),
    }
}

fn caps_name(caps: &gst::CapsRef) -> String {
    caps.structure(0)
        .map_or_else(|| "unknown".to_owned(), |s| s.name().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::str::FromStr;

    #[test]
    fn only_what_is_not_framed_is_split() {
        gst::init().unwrap();
        for (caps, split) in [
            ("video/x-h264", false),
            ("video/x-raw", false),
            ("image/jpeg", true),
            ("image/jpeg,parsed=true", false),
            ("video/quicktime", true),
            ("audio/mpeg,framed=true", false),
            ("audio/mpeg", true),
            ("audio/x-mulaw", false),
            ("application/x-rtp,media=video,encoding-name=H264", false),
            ("application/x-rtp,media=video,encoding-name=JPEG", true),
            (
                "application/x-rtp,media=application,encoding-name=VND.ONVIF.METADATA",
                false,
            ),
            ("text/x-raw", false),
        ] {
            assert_eq!(
                needs_split(&gst::Caps::from_str(caps).unwrap()),
                split,
                "{caps}"
            );
        }
    }
}
