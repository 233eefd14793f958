//! Sound as HomeKit hears it: mono Opus in packets of 20 ms.

use crate::{Chain, Element};

/// Bitrate of controllers' usual requests.
pub const OPUS_KBPS: u32 = 24;

/// Raw sound of any kind to mono Opus, 20 ms, VBR, without pauses.
///
/// Mode and bandwidth are fixed so that all packets share one TOC byte: only then can they be joined into packets of 40 or
/// 60 ms (RFC 6716 §3.2.5).
pub fn opus_encoder(kbps: u32) -> Chain {
    Element::new("audioconvert")
        .to(Element::new("audioresample"))
        .to(Element::caps("audio/x-raw,rate=24000,channels=1"))
        .to(Element::new("opusenc")
            .set("bitrate", kbps.clamp(8, 128) * 1000)
            .set("bitrate-type", "vbr")
            .set("frame-size", 20)
            .set("audio-type", "voice")
            .set("bandwidth", "superwideband")
            .set("dtx", false)
            // Sound whose times move by more than this moves with them; its timestamps on the wire still count samples.
            .set("tolerance", 5_000_000)
            .set("complexity", 5))
}

/// Live silence, in blocks of 20 ms.
pub fn silence() -> Chain {
    Element::new("audiotestsrc")
        .set("is-live", true)
        .set("wave", "silence")
        .set("samplesperbuffer", 480)
        .to(Element::caps(
            "audio/x-raw,format=S16LE,rate=24000,channels=1,layout=interleaved",
        ))
}
