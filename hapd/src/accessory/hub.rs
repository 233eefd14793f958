//! What hubs ask over data streams: recordings, and snapshots.

use std::time::Instant;

use hap_camera::recording::{HdsId, RecordingKey};
use hds_proto::{DataType, Event, OpenRequest, Reason, StreamKind};
use tracing::{debug, info, warn};

use super::actor::{Actor, Message};
use super::data_stream::{Bytes, Command, Data};
use super::recordings;
use crate::media::{Piece, RecordingEvent};

/// Sizes of pictures over data streams; without one, this.
const USUAL_SNAPSHOT: (u16, u16) = (1280, 720);

impl Actor {
    /// A data stream says something.
    pub(super) fn data_stream(&mut self, token: u64, event: Event, now: Instant) {
        let camera = &mut self.host.camera;
        match event {
            Event::Ready => debug!(
                camera = self.host.record.name,
                token, "data stream is ready"
            ),
            Event::Open(open) => self.open(token, open, now),
            Event::Ack {
                stream_id,
                end_of_stream: true,
            } => camera.recording_acked(HdsId(token), stream_id),
            Event::Close { stream_id, reason } => {
                debug!(camera = self.host.record.name, %reason, "the hub closes a recording");
                camera.recording_closed(HdsId(token), stream_id, &mut self.host.streams);
            }
            _ => {}
        }
    }

    /// A data stream has ended.
    pub(super) fn data_stream_ended(&mut self, token: u64) {
        self.host.streams.data().ended(token);
        self.host
            .camera
            .data_stream_lost(HdsId(token), &mut self.host.streams);
    }

    fn open(&mut self, token: u64, open: OpenRequest, now: Instant) {
        match open.kind {
            StreamKind::Recording => self.open_recording(token, open, now),
            StreamKind::Snapshot => self.open_snapshot(token, open),
            StreamKind::Other(_) => self.refuse(token, open, Reason::UnexpectedFailure),
        }
    }

    fn open_recording(&mut self, token: u64, open: OpenRequest, now: Instant) {
        let streams = &mut self.host.streams;
        let camera = &mut self.host.camera;
        match camera.recording_open(HdsId(token), open.stream_id, now, streams) {
            Ok(_) => {
                self.refused = None;
                self.tell(token, Command::Accept(open));
            }
            Err(reason) => self.refuse(token, open, reason),
        }
    }

    fn refuse(&mut self, token: u64, open: OpenRequest, reason: Reason) {
        let name = &self.host.record.name;
        // Hubs that try again and again are told of once.
        if self.refused.replace(reason) == Some(reason) {
            debug!(camera = name, %reason, "refused to the hub again");
        } else {
            info!(camera = name, kind = open.kind.name(), %reason, "refused to the hub");
        }
        self.tell(token, Command::Refuse(open, reason));
    }

    fn open_snapshot(&mut self, token: u64, open: OpenRequest) {
        let allowed = self
            .host
            .camera
            .snapshot_stream_allowed(open.reason.as_deref());
        if let Err(reason) = allowed {
            return self.refuse(token, open, reason);
        }
        let Some((width, height)) = snapshot_size(&open) else {
            return self.refuse(token, open, Reason::BadData);
        };
        let stream_id = open.stream_id;
        self.tell(token, Command::Accept(open));
        let (camera, actor) = (self.host.streams.camera().clone(), self.tx.clone());
        tokio::spawn(async move {
            let snapshot = camera.snapshot(width, height).await;
            let jpeg = snapshot.ok().map(|snapshot| snapshot.jpeg);
            if let Some(actor) = actor.upgrade() {
                let message = Message::HubSnapshot(token, stream_id, jpeg);
                let _ = actor.send(message).await;
            }
        });
    }

    /// The picture for a data stream is ready.
    pub(super) fn hub_snapshot(
        &mut self,
        token: u64,
        stream_id: i64,
        jpeg: Option<std::sync::Arc<[u8]>>,
    ) {
        let reason = match (&jpeg, self.host.camera.is_active()) {
            (_, false) => Reason::NotAllowed,
            _ => Reason::UnexpectedFailure,
        };
        let command = match jpeg.filter(|_| self.host.camera.is_active()) {
            Some(jpeg) => Command::Data(Data {
                stream_id,
                data_type: DataType::Image,
                sequence: 1,
                bytes: Bytes::Jpeg(jpeg),
                end_of_stream: true,
            }),
            None => Command::Close { stream_id, reason },
        };
        self.tell(token, command);
    }

    /// Media made a piece of a recording, or could not.
    pub(super) fn recording(&mut self, key: RecordingKey, event: RecordingEvent, now: Instant) {
        let name = &self.host.record.name;
        match event {
            RecordingEvent::Initialization(piece) => self.send_piece(key, piece, false, now),
            RecordingEvent::Fragment { piece, last } => self.send_piece(key, piece, last, now),
            RecordingEvent::Ended => self.host.camera.recording_failed(key),
            RecordingEvent::Failed(reason) => {
                warn!(camera = name, recording = key.0, reason, "recording failed");
                self.host.camera.recording_failed(key);
            }
        }
    }

    fn send_piece(&mut self, key: RecordingKey, piece: Piece, last: bool, now: Instant) {
        let Some(out) = self.host.camera.recording_data(key, last, now) else {
            return;
        };
        let data = Data {
            stream_id: out.stream_id,
            data_type: match out.initialization {
                true => DataType::Initialization,
                false => DataType::Fragment,
            },
            sequence: out.sequence,
            bytes: Bytes::Piece(piece),
            end_of_stream: out.end_of_stream,
        };
        self.tell(out.hds.0, Command::Data(data));
    }

    /// The camera ends a recording.
    pub(super) fn close_recording(&mut self, hds: HdsId, stream_id: i64, reason: Reason) {
        info!(camera = self.host.record.name, %reason, "recording closed");
        self.tell(hds.0, Command::Close { stream_id, reason });
    }

    /// Tells a data stream what to do; one that cannot be told is gone, with its recording.
    fn tell(&mut self, token: u64, command: Command) {
        if !self.host.streams.data().send(token, command) {
            self.host
                .camera
                .data_stream_lost(HdsId(token), &mut self.host.streams);
        }
    }

    /// What is to be recorded has changed.
    pub(super) fn apply_armed(&self) {
        let armed = self.host.camera.armed();
        let name = &self.host.record.name;
        info!(camera = name, armed = armed.is_some(), "recordings");
        let params = armed.map(|armed| recordings::params(&armed.selected, armed.audio));
        self.host.streams.camera().arm(params);
    }
}

fn snapshot_size(open: &OpenRequest) -> Option<(u16, u16)> {
    let Some((width, height)) = open.size else {
        return Some(USUAL_SNAPSHOT);
    };
    let sizes = 16..=super::host::MAX_SNAPSHOT;
    let side = |pixels: u32| u16::try_from(pixels).ok().filter(|p| sizes.contains(p));
    side(width).zip(side(height))
}
