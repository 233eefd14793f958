//! What `hap_proto::Server` asks of the daemon.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Instant;

use hap_camera::recording::HdsId;
use hap_camera::{Camera, Requester};
use hap_proto::{
    CharId, ConnContext, ConnId, Host, PairingState, ResourceReply, ResourceRequest, Status,
    StoreError, Value, WriteContext,
};
use tokio::sync::mpsc;
use tracing::{error, info};

use super::actor::Message;
use super::streams::Streams;
use crate::mdns::{Announcement, Responder};
use crate::media::Loudness;
use crate::random;
use crate::state::{CameraRecord, Picture, StateDir};

/// Largest picture that a controller may ask for.
pub(super) const MAX_SNAPSHOT: u16 = 4096;

/// One camera's state, media and announcement.
pub(super) struct CameraHost {
    pub(super) id: String,
    pub(super) record: CameraRecord,
    pub(super) state: StateDir,
    pub(super) camera: Camera,
    pub(super) streams: Streams,
    pub(super) announcement: Announcement,
    pub(super) mdns: Option<Responder>,
    /// The accessory's address on each connection.
    pub(super) locals: HashMap<ConnId, SocketAddr>,
    pub(super) actor: mpsc::WeakSender<Message>,
}

impl CameraHost {
    fn requester<'a>(&self, conn: &ConnContext<'a>) -> Result<Requester<'a>, Status> {
        let local = self
            .locals
            .get(&conn.id)
            .ok_or(Status::UnableToCommunicate)?;
        Ok(Requester {
            conn: conn.id,
            controller: conn.controller,
            local: local.ip().to_canonical(),
            admin: conn.admin,
            shared_secret: conn.shared_secret,
        })
    }

    /// Announces the camera as it is now.
    pub(super) fn announce(&self) {
        let Some(mdns) = &self.mdns else { return };
        if let Err(error) = mdns.announce(&self.announcement) {
            error!(camera = self.record.name, %error, "cannot announce by mDNS");
        }
    }

    /// Keeps what the source's picture is.
    pub(super) fn seen(&mut self, picture: Picture) {
        let before = self.record.picture.replace(picture);
        if before == Some(picture) {
            return;
        }
        if before.is_some() {
            info!(
                camera = self.record.name,
                ?picture,
                "the camera sends another picture: recordings are offered for it from the next start on"
            );
        }
        self.save();
    }

    /// The privacy switch is thrown, or let go; it stays so over a restart.
    pub(super) fn set_privacy(&mut self, on: bool) {
        self.camera.set_manually_disabled(on, &mut self.streams);
        if std::mem::replace(&mut self.record.privacy, on) != on {
            self.save();
        }
    }

    /// Keeps the camera's own state (Active, mute, volume).
    pub(super) fn persist_camera(&mut self) {
        self.record.camera = self.camera.state();
        self.save();
    }

    fn save(&self) {
        if let Err(error) = self.state.save(&self.id, &self.record) {
            error!(camera = self.record.name, %error, "cannot save the state");
        }
    }
}

impl CameraHost {
    /// Plays what viewers say as loud as the Speaker service says.
    pub(super) fn apply_speaker(&self) {
        let speaker = self.camera.state().speaker;
        self.streams.camera().set_speaker(Loudness {
            mute: speaker.mute,
            volume: speaker.volume,
        });
    }
}

impl Host for CameraHost {
    fn store(&mut self, pairings: &PairingState) -> Result<(), StoreError> {
        let before = std::mem::replace(&mut self.record.pairings, pairings.clone());
        self.state.save(&self.id, &self.record).map_err(|error| {
            error!(camera = self.record.name, %error, "cannot save the pairings; the change is refused");
            self.record.pairings = before;
            StoreError(error.to_string())
        })
    }

    fn random(&mut self, out: &mut [u8]) {
        random::fill(out);
    }

    fn pairing_changed(&mut self, paired: bool) {
        info!(camera = self.record.name, paired, "pairing changed");
        self.announcement.paired = paired;
        self.announce();
    }

    fn identify(&mut self) {
        info!(
            camera = self.record.name,
            "a controller asks this camera to identify itself"
        );
    }

    fn read(&mut self, conn: &ConnContext<'_>, id: CharId) -> Result<Value, Status> {
        self.camera.read(id, &self.requester(conn)?)
    }

    fn write(
        &mut self,
        conn: &ConnContext<'_>,
        id: CharId,
        value: &Value,
        _: &WriteContext<'_>,
    ) -> Result<Option<Value>, Status> {
        if id.iid == hap_camera::services::iid::IDENTIFY {
            self.identify();
            return Ok(None);
        }
        let from = self.requester(conn)?;
        self.streams.set_zone(zone(self.locals.get(&conn.id)));
        self.camera
            .write(id, value, &from, Instant::now(), &mut self.streams)
    }

    fn resource(&mut self, conn: &ConnContext<'_>, request: ResourceRequest) -> ResourceReply {
        let sizes = 16..=MAX_SNAPSHOT;
        if request.aid != hap_camera::services::AID {
            return ResourceReply::Error(Status::NotFound);
        }
        if !sizes.contains(&request.width) || !sizes.contains(&request.height) {
            return ResourceReply::Error(Status::InvalidValue);
        }
        if let Err(status) = self.camera.snapshot_allowed(request.reason) {
            return ResourceReply::Error(status);
        }
        let (camera, actor, id) = (self.streams.camera().clone(), self.actor.clone(), conn.id);
        tokio::spawn(async move {
            let snapshot = camera.snapshot(request.width, request.height).await;
            let result = snapshot
                .map(|s| s.jpeg.to_vec())
                .map_err(|_| Status::UnableToCommunicate);
            if let Some(actor) = actor.upgrade() {
                let _ = actor.send(Message::Snapshot(id, result)).await;
            }
        });
        ResourceReply::Later
    }

    fn connection_closed(&mut self, conn: ConnId) {
        self.locals.remove(&conn);
        for token in self.streams.data().hap_closed(conn) {
            self.camera
                .data_stream_lost(HdsId(token), &mut self.streams);
        }
        self.camera.connection_closed(conn, &mut self.streams);
    }
}

/// The interface of a link-local IPv6 connection; 0 for every other.
fn zone(local: Option<&SocketAddr>) -> u32 {
    match local {
        Some(SocketAddr::V6(v6)) => v6.scope_id(),
        _ => 0,
    }
}
