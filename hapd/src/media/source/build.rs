//! The pipeline of each kind of source.

use std::path::Path;
use std::sync::Arc;

use gst::prelude::*;
use pipelines::Element;

use super::super::intake::{Once, Pace};
use super::super::params::{CameraSource, RtspTransport, Source};
use super::super::redact;
use super::super::track::Medium;
use super::actor::Msg;
use super::device;
use super::open_caps;
use super::plug::Plug;
use super::url::RtspUrl;

/// What sources that can choose deliver unless told otherwise.
const SIZE: (u16, u16) = (1280, 720);
const FPS: u8 = 30;

/// Why a pipeline could not be built, for the status.
pub(super) type Reason = String;

/// How the ends of this source are paced.
pub(super) fn pace(source: &Source) -> Pace {
    match source {
        Source::File(_) => Pace::RealTime,
        Source::Launch(_) => Pace::AsSource,
        _ => Pace::AsItComes,
    }
}

/// Secrets of a source, to be kept out of any text.
pub(super) fn secrets(source: &Source) -> Vec<String> {
    match source {
        Source::Rtsp { url, .. } => RtspUrl::split(url.expose()).secrets(),
        _ => Vec::new(),
    }
}

/// An empty pipeline, or what the user's description makes.
pub(super) fn pipeline(source: &Source) -> Result<gst::Pipeline, Reason> {
    match source {
        Source::Launch(text) => described(text.expose()),
        _ => Ok(gst::Pipeline::new()),
    }
}

/// Fills `pipeline` and leads its ends to `plug`.
pub(super) fn fill(
    pipeline: &gst::Pipeline,
    camera: &CameraSource,
    transport: Transport,
    plug: &Arc<Plug>,
) -> Result<(), Reason> {
    match &camera.source {
        Source::Test => test(pipeline, camera, plug),
        Source::File(path) => file(pipeline, path, plug),
        Source::Rtsp { url, .. } => rtsp(pipeline, url.expose(), transport, plug),
        Source::V4l2(path) => {
            let source = Element::new("v4l2src").set("device", path.display());
            capture(pipeline, &source, camera, plug)
        }
        Source::Libcamera(name) => {
            let source = Element::new("libcamerasrc");
            let source = match name {
                Some(name) => source.set("camera-name", name),
                None => source,
            };
            capture(pipeline, &source, camera, plug)
        }
        Source::Launch(_) => open_ends(pipeline, plug),
    }
}

fn size(camera: &CameraSource) -> (u16, u16) {
    camera.size.unwrap_or(SIZE)
}

fn fps(camera: &CameraSource) -> u8 {
    camera.fps.unwrap_or(FPS).max(1)
}

fn test(pipeline: &gst::Pipeline, camera: &CameraSource, plug: &Arc<Plug>) -> Result<(), Reason> {
    let (width, height) = size(camera);
    let clock = gst::ElementFactory::find("clockoverlay").is_some();
    let video = pipelines::test_video(width.into(), height.into(), fps(camera).into(), clock);
    add_chain(pipeline, &video.to_string(), plug)?;
    if plug.want_audio {
        add_chain(pipeline, &pipelines::test_audio().to_string(), plug)?;
    }
    Ok(())
}

/// Adds a chain with one open end.
fn add_chain(pipeline: &gst::Pipeline, chain: &str, plug: &Arc<Plug>) -> Result<(), Reason> {
    let bin = gst::parse::bin_from_description(chain, true).map_err(|e| parse_reason(&e))?;
    pipeline.add(&bin).map_err(|e| e.to_string())?;
    if let Some(pad) = bin.static_pad("src") {
        plug.open_end(&pad);
    }
    Ok(())
}

fn file(pipeline: &gst::Pipeline, path: &Path, plug: &Arc<Plug>) -> Result<(), Reason> {
    if !path.is_file() {
        return Err(format!("no file {}", path.display()));
    }
    let bin = gst::parse::bin_from_description(&pipelines::file(path.display()).to_string(), false);
    let bin = bin.map_err(|e| parse_reason(&e))?;
    let splitter = bin.by_name("streams").ok_or("parsebin is missing")?;
    let outside = bin.downgrade();
    let plug = plug.clone();
    splitter.connect_pad_added(move |_, pad| {
        let (Some(bin), Ok(ghost)) = (outside.upgrade(), gst::GhostPad::with_target(pad)) else {
            return;
        };
        if ghost.set_active(true).is_ok() && bin.add_pad(&ghost).is_ok() {
            plug.open_end(ghost.upcast_ref());
        }
    });
    pipeline.add(&bin).map_err(|e| e.to_string())
}

/// How RTP comes in this attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Tcp,
    Udp,
}

impl Transport {
    pub(super) fn first(wanted: RtspTransport) -> Self {
        match wanted {
            RtspTransport::Udp => Self::Udp,
            RtspTransport::Tcp | RtspTransport::Auto => Self::Tcp,
        }
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::Tcp => Self::Udp,
            Self::Udp => Self::Tcp,
        }
    }
}

fn rtsp(
    pipeline: &gst::Pipeline,
    url: &str,
    transport: Transport,
    plug: &Arc<Plug>,
) -> Result<(), Reason> {
    let url = RtspUrl::split(url);
    let protocols = match transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp+udp-mcast",
    };
    // The URL without credentials: GStreamer's own messages and logs name it.
    let mut source = gst::ElementFactory::make("rtspsrc")
        .property("location", &url.clean)
        .property_from_str("protocols", protocols)
        .property("latency", 200_u32)
        .property("tcp-timeout", 5_000_000_u64)
        .property("timeout", 5_000_000_u64)
        .property("do-retransmission", false)
        // Times by the camera's own clock, whatever the network does: a mode that follows the arrival of packets pulls
        // picture and sound apart for seconds after each stall. What drifts far is mended by `ring::Continuity`.
        .property_from_str("buffer-mode", "synced")
        // The camera's first sender report moves its streams against each other: step by step, not in one jump.
        .property("max-ts-offset-adjustment", 2_000_000_u64);
    let (user, password) = url.credentials();
    source = source.property_if_some("user-id", user);
    source = source.property_if_some("user-pw", password);
    let source = source
        .build()
        .map_err(|_| "GStreamer's rtspsrc is missing (plugins-good)")?;
    select_streams(&source, plug.clone());
    plug.open_ends_of(&source);
    let (run, actor) = (plug.run, plug.actor.clone());
    source.connect_no_more_pads(move |_| drop(actor.send(Msg::NoMoreStreams(run))));
    pipeline.add(&source).map_err(|e| e.to_string())
}

/// Sets only the first video and the first audio up: the rest costs the camera and the network for nothing.
fn select_streams(source: &gst::Element, plug: Arc<Plug>) {
    let (video, audio) = (Once::default(), Once::default());
    source.connect("select-stream", false, move |values| {
        let caps = values.get(2)?.get::<gst::Caps>().ok()?;
        let take = match Medium::of(&caps) {
            Some(Medium::Video) => {
                plug.offered_video.first();
                video.first()
            }
            Some(Medium::Audio) => plug.want_audio && audio.first(),
            None => false,
        };
        Some(take.to_value())
    });
}

/// A capture device, set to the best of its formats.
fn capture(
    pipeline: &gst::Pipeline,
    source: &Element,
    camera: &CameraSource,
    plug: &Arc<Plug>,
) -> Result<(), Reason> {
    let source = gst::parse::launch(&source.to_string()).map_err(|e| parse_reason(&e))?;
    let pad = source
        .static_pad("src")
        .ok_or("the capture element has no pad")?;
    pipeline.add(&source).map_err(|e| e.to_string())?;
    // Only an open device knows its formats. A failure is explained by the message on the bus.
    source
        .set_state(gst::State::Ready)
        .map_err(|_| String::new())?;
    let offered = pad.query_caps(None);
    let caps = device::choose(&offered, size(camera), fps(camera))
        .ok_or("the device offers no H.264, raw video or JPEG")?;
    let filter = gst::ElementFactory::make("capsfilter")
        .property("caps", caps)
        .build()
        .map_err(|e| e.to_string())?;
    pipeline.add(&filter).map_err(|e| e.to_string())?;
    source.link(&filter).map_err(|e| e.to_string())?;
    plug.open_end(&filter.static_pad("src").ok_or("capsfilter has no pad")?);
    Ok(())
}

fn described(text: &str) -> Result<gst::Pipeline, Reason> {
    let element =
        gst::parse::launch(&open_caps::spelled_out(text)).map_err(|e| parse_reason(&e))?;
    element.downcast::<gst::Pipeline>().or_else(|single| {
        let pipeline = gst::Pipeline::new();
        pipeline.add(&single).map_err(|e| e.to_string())?;
        Ok(pipeline)
    })
}

/// Leads every open end of a description in, now or when it appears.
fn open_ends(pipeline: &gst::Pipeline, plug: &Arc<Plug>) -> Result<(), Reason> {
    let mut possible = false;
    let children = pipeline.children().into_iter();
    for element in children.filter_map(|child| child.downcast::<gst::Element>().ok()) {
        for pad in element
            .src_pads()
            .into_iter()
            .filter(|pad| !pad.is_linked())
        {
            plug.open_end(&in_memory(pipeline, pad)?);
            possible = true;
        }
        if has_sometimes_source(&element) {
            plug.open_ends_of(&element);
            possible = true;
        }
    }
    possible.then_some(()).ok_or_else(|| {
        "the launch description has no open end: leave the last element of each stream without a sink".to_owned()
    })
}

/// Raw video that nobody has asked for anything yet may choose a form that only graphics hardware reads, or leave its
/// overlays to the next element.
fn in_memory(pipeline: &gst::Pipeline, pad: gst::Pad) -> Result<gst::Pad, Reason> {
    let possible = pad.query_caps(None);
    if possible.is_any() || !possible.iter().all(|s| s.name() == "video/x-raw") {
        return Ok(pad);
    }
    let filter = gst::ElementFactory::make("capsfilter").property_from_str("caps", "video/x-raw");
    let filter = filter.build().map_err(|e| e.to_string())?;
    pipeline.add(&filter).map_err(|e| e.to_string())?;
    let sink = filter.static_pad("sink").ok_or("capsfilter has no pad")?;
    pad.link(&sink)
        .map_err(|e| format!("the open end cannot be used: {e}"))?;
    filter
        .static_pad("src")
        .ok_or_else(|| "capsfilter has no pad".to_owned())
}

fn has_sometimes_source(element: &gst::Element) -> bool {
    let templates = element.pad_template_list();
    templates.iter().any(|t| {
        t.direction() == gst::PadDirection::Src && t.presence() == gst::PadPresence::Sometimes
    })
}

fn parse_reason(error: &gst::glib::Error) -> Reason {
    format!("bad launch description: {}", redact::text(error.message()))
}
