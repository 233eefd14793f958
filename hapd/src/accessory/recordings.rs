//! Between the recording state machine of `hap-camera` and the media library.

use std::sync::Arc;

use hap_camera::recording::{RecordingKey, SelectedRecording};
use tokio::sync::mpsc;

use super::actor::Message;
use super::streams::{h264_level, h264_profile};
use crate::media::{RecordingAudio, RecordingParams, RecordingVideo, Tell};

/// What the media library has to make of a selection.
pub(super) fn params(selected: &SelectedRecording, audio: bool) -> RecordingParams {
    let (video, sound) = (&selected.video, &selected.audio);
    RecordingParams {
        video: RecordingVideo {
            profile: h264_profile(video.profile),
            level: h264_level(video.level),
            width: video.attributes.width,
            height: video.attributes.height,
            fps: video.attributes.fps,
            kbps: video.kbps,
        },
        audio: audio.then(|| RecordingAudio {
            rate: sound.sample_rate.hz(),
            channels: sound.channels.max(1),
            kbps: sound.kbps,
        }),
        fragment: selected.fragment,
        prebuffer: selected.prebuffer,
    }
}

/// Passes what becomes of recordings on to the actor, in order.
pub(super) fn follow(actor: mpsc::WeakSender<Message>) -> Tell {
    let (sender, mut events) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some((id, event)) = events.recv().await {
            let Some(actor) = actor.upgrade() else { return };
            let message = Message::Recording(RecordingKey(id), event);
            if actor.send(message).await.is_err() {
                return;
            }
        }
    });
    Arc::new(move |id, event| drop(sender.send((id, event))))
}
