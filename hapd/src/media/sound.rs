//! The recipe of viewers' sound: Opus of what the camera hears, or of silence.

use std::sync::Arc;

use gst::prelude::*;

use super::decoders;
use super::derived::Recipe;
use super::drift;
use super::track::{Codec, opus_packet_ms};
use super::tracks::Tracks;
use gsthomekit::ring::{Backlog, Ring};

/// What the sound of a viewer is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The source's own Opus.
    Passthrough,
    /// Encoded here: the source's sound, or silence.
    Encoder,
}

/// Opus in packets of 20 ms goes as it is: only these can be joined into what viewers ask for.
pub(super) fn origin(tracks: &Tracks) -> Origin {
    let newest = tracks
        .audio
        .key_frame()
        .filter(|_| tracks.status().audio.is_some());
    let suits = newest.is_some_and(|frame| {
        let opus = Codec::of(&frame.caps) == Some(Codec::Opus);
        opus && frame
            .buffer
            .map_readable()
            .is_ok_and(|packet| opus_packet_ms(&packet) == Some(20.0))
    });
    if suits {
        Origin::Passthrough
    } else {
        Origin::Encoder
    }
}

/// Encodes the camera's sound or silence.
pub(super) struct Sound {
    pub(super) tracks: Arc<Tracks>,
    pub(super) kbps: u32,
}

impl Recipe for Sound {
    fn input(&self) -> Option<Arc<Ring>> {
        self.tracks
            .status()
            .audio
            .map(|_| self.tracks.audio.clone())
    }

    fn limit(&self, _caps: &gst::Caps) -> Backlog {
        Backlog {
            frames: 100,
            bytes: 4 << 20,
        }
    }

    fn chain(&self, caps: Option<&gst::Caps>, attempt: usize) -> Option<String> {
        let encoder = pipelines::opus_encoder(self.kbps);
        let source = sources(caps).into_iter().nth(attempt)?;
        Some(format!(
            "{source} ! identity name=steady silent=true ! {encoder}"
        ))
    }

    fn prepare(&self, bin: &gst::Bin, _joined: Option<gst::ClockTime>) {
        let steady = bin.by_name("steady");
        if let Some(pad) = steady.and_then(|steady| steady.static_pad("src")) {
            drift::watch(&pad);
        }
    }

    fn codec(&self) -> Codec {
        Codec::Opus
    }
}

/// Ways to get raw sound. What cannot be decoded is not heard.
fn sources(caps: Option<&gst::Caps>) -> Vec<String> {
    let silence = pipelines::silence().to_string();
    match caps {
        None => vec![silence],
        Some(caps) if Codec::of(caps) == Some(Codec::RawAudio) => {
            vec!["appsrc name=in".to_owned(), silence]
        }
        Some(caps) => {
            let decoders = decoders::of(caps).into_iter();
            decoders
                .map(|factory| format!("appsrc name=in ! {factory}"))
                .chain([silence])
                .collect()
        }
    }
}
