//! Sources.

use std::fmt::Display;

use crate::{Chain, Element};

/// A live test picture: a moving ball, and the time of day where the clock overlay exists.
pub fn test_video(width: u32, height: u32, fps: u32, clock: bool) -> Chain {
    let picture = Element::new("videotestsrc")
        .set("is-live", true)
        .set("pattern", "ball")
        .set("background-color", 0xff20_3050_u32);
    let caps = Element::caps(format!(
        "video/x-raw,format=I420,width={width},height={height},framerate={fps}/1,pixel-aspect-ratio=1/1"
    ));
    let chain = picture.to(caps);
    if clock {
        // The overlay would leave the drawing to the next element if that claims to be able to.
        chain
            .to(clock_overlay(height))
            .to(Element::caps("video/x-raw"))
    } else {
        chain
    }
}

fn clock_overlay(height: u32) -> Element {
    Element::new("clockoverlay")
        .set("time-format", "%H:%M:%S")
        .set("halignment", "left")
        .set("valignment", "top")
        .set("shaded-background", true)
        .set(
            "font-desc",
            format!("Monospace {}", (height / 30).clamp(8, 40)),
        )
}

/// A live tick every second, 48 kHz mono in blocks of 20 ms.
pub fn test_audio() -> Chain {
    Element::new("audiotestsrc")
        .set("is-live", true)
        .set("wave", "ticks")
        .set("volume", 0.5)
        .set("samplesperbuffer", 960)
        .to(Element::caps(
            "audio/x-raw,format=S16LE,rate=48000,channels=1,layout=interleaved",
        ))
}

/// A file, split into its parsed streams by the element named `streams`.
pub fn file(path: impl Display) -> Chain {
    Element::new("filesrc")
        .set("location", path)
        .to(Element::new("parsebin").set("name", "streams"))
}

/// An RTSP camera; `tcp` carries RTP inside the RTSP connection.
pub fn rtsp(url: impl Display, tcp: bool, latency_ms: u32) -> Element {
    Element::new("rtspsrc")
        .set("location", url)
        .set("protocols", if tcp { "tcp" } else { "udp+udp-mcast" })
        .set("latency", latency_ms)
}
