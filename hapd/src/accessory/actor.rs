//! The task that owns one camera's protocol state. Nothing else touches it, so a slow controller, a slow source or
//! a slow snapshot of this camera delays nobody but itself.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use hap_camera::recording::RecordingKey;
use hap_camera::services::Description;
use hap_camera::{Camera, Event, StreamKey};
use hap_proto::database::Database;
use hap_proto::{ConnId, Limits, Output, Server, ServerConfig, Status, StoreError};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, info, warn};

use super::connection::{self, Writer};
use super::host::CameraHost;
use super::listener::Interfaces;
use super::streams::Streams;
use crate::events::{Inbox, Trigger};
use crate::mdns::{Announcement, Responder};
use crate::media::motion::{MotionSettings, MotionWatch};
use crate::media::{self, SessionEvent};
use crate::state::{CameraRecord, Picture, StateDir, StateError};

/// Messages that may wait for the actor; readers of sockets wait beyond that.
const QUEUE: usize = 64;

/// What the actor is told.
pub(super) enum Message {
    Accepted(TcpStream, SocketAddr),
    Input(ConnId, Vec<u8>),
    Disconnected(ConnId),
    Snapshot(ConnId, Result<Vec<u8>, Status>),
    Session(StreamKey, SessionEvent),
    /// The source's picture.
    Seen(Picture),
    /// A data stream, named by its token, says something, or has ended.
    DataStream(u64, hds_proto::Event),
    DataStreamEnded(u64),
    Recording(RecordingKey, media::RecordingEvent),
    /// The picture for a stream of a data stream.
    HubSnapshot(u64, i64, Option<Arc<[u8]>>),
    Unpair(oneshot::Sender<Result<usize, StoreError>>),
    Shutdown(oneshot::Sender<()>),
}

/// What a camera accessory is made of.
pub struct Setup {
    /// Names its state.
    pub id: String,
    /// Its state, just loaded or generated.
    pub record: CameraRecord,
    /// Where the state is kept.
    pub state: StateDir,
    /// What controllers are told about it.
    pub description: Description,
    /// Its media, already started.
    pub media: media::Camera,
    /// How it is watched for motion; `None`: it is not.
    pub motion: Option<MotionSettings>,
    /// The HAP port.
    pub listener: TcpListener,
    /// Where connections are taken.
    pub interfaces: Interfaces,
    /// The mDNS responder.
    pub mdns: Option<Responder>,
}

/// Starts accessories.
pub struct Accessory;

/// A running accessory.
#[derive(Clone)]
pub struct AccessoryHandle {
    /// Names its state.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its HAP port.
    pub port: u16,
    /// Its media.
    pub media: media::Camera,
    actor: mpsc::Sender<Message>,
    triggers: Arc<Inbox>,
}

impl AccessoryHandle {
    /// Tells the camera that something happened. Never waits; see [`Inbox`] for what a flood comes down to.
    pub fn trigger(&self, trigger: Trigger) {
        self.triggers.put(trigger);
    }

    /// Where its triggers go.
    pub(crate) fn inbox(&self) -> Arc<Inbox> {
        self.triggers.clone()
    }

    /// Removes every pairing; returns how many there were.
    ///
    /// # Errors
    /// When the state cannot be written, or the accessory has stopped.
    pub async fn unpair(&self) -> Result<usize, StoreError> {
        let stopped = || StoreError("the camera has stopped".into());
        let (done, result) = oneshot::channel();
        self.actor
            .send(Message::Unpair(done))
            .await
            .map_err(|_| stopped())?;
        result.await.map_err(|_| stopped())?
    }

    /// Says what the source's picture is: recordings are offered for it from the next start on.
    pub async fn seen(&self, picture: Picture) {
        let _ = self.actor.send(Message::Seen(picture)).await;
    }

    /// Ends all streams (receivers get a BYE) and connections.
    pub async fn shutdown(&self) {
        let (done, result) = oneshot::channel();
        if self.actor.send(Message::Shutdown(done)).await.is_ok() {
            let _ = result.await;
        }
    }
}

impl Accessory {
    /// Starts to serve.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn start(setup: Setup) -> Result<AccessoryHandle, StateError> {
        let (tx, rx) = mpsc::channel(QUEUE);
        let port = setup.listener.local_addr().map_or(0, |a| a.port());
        let handle = AccessoryHandle {
            id: setup.id.clone(),
            name: setup.description.name.clone(),
            port,
            media: setup.media.clone(),
            actor: tx.clone(),
            triggers: Arc::default(),
        };
        tokio::spawn(accept(setup.listener, setup.interfaces, tx.clone()));
        let accessory = hap_camera::services::accessory(&setup.description);
        let database = Database::new(vec![accessory])
            .expect("the camera's table of identifiers is sound: a test checks it");
        let mut record = setup.record;
        let changed = record.note_database(database.digest());
        if changed || record.port != port || record.name != setup.description.name {
            record.port = port;
            record.name.clone_from(&setup.description.name);
            setup.state.save(&setup.id, &record)?;
        }
        let server = Server::new(
            ServerConfig {
                identity: record.identity.clone(),
                verifier: record.verifier.clone(),
                limits: Limits::default(),
            },
            record.pairings.clone(),
            database,
        );
        let announcement = Announcement {
            name: setup.description.name.clone(),
            device_id: record.identity.device_id().clone(),
            setup_id: record.setup_id.clone(),
            model: setup.description.model.clone(),
            category: record.category,
            config_number: record.config_number,
            port,
            paired: server.is_paired(),
        };
        let host = CameraHost {
            camera: Camera::new(&setup.description, record.camera.clone()),
            streams: Streams::new(&setup.description.name, setup.media, tx.downgrade()),
            id: setup.id,
            record,
            state: setup.state,
            announcement,
            mdns: setup.mdns,
            locals: HashMap::new(),
            actor: tx.downgrade(),
        };
        host.announce();
        host.apply_speaker();
        let mut actor = Actor {
            server,
            host,
            writers: HashMap::new(),
            next_conn: 1,
            tx: tx.downgrade(),
            motion: setup.motion,
            watch: None,
            refused: None,
            triggers: handle.triggers.clone(),
        };
        if actor.host.record.privacy && setup.description.privacy_switch {
            actor.host.set_privacy(true);
        }
        actor.apply_armed();
        actor.apply_watch();
        tokio::spawn(actor.run(rx));
        Ok(handle)
    }
}

async fn accept(listener: TcpListener, interfaces: Interfaces, actor: mpsc::Sender<Message>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let local = stream.local_addr();
                if !local.is_ok_and(|a| interfaces.allow(a.ip())) {
                    continue;
                }
                if actor.send(Message::Accepted(stream, peer)).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                // Out of file descriptors, mostly: wait until some connection is given up.
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

pub(super) struct Actor {
    server: Server,
    pub(super) host: CameraHost,
    writers: HashMap<ConnId, Writer>,
    next_conn: u64,
    pub(super) tx: mpsc::WeakSender<Message>,
    /// How the camera is watched for motion, and the watch as long as it is.
    pub(super) motion: Option<MotionSettings>,
    pub(super) watch: Option<MotionWatch>,
    /// Why the last stream was refused to a hub, if it was.
    pub(super) refused: Option<hds_proto::Reason>,
    pub(super) triggers: Arc<Inbox>,
}

impl Actor {
    async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        loop {
            let deadline = [self.server.poll_timeout(), self.host.camera.poll_timeout()]
                .into_iter()
                .flatten()
                .min();
            tokio::select! {
                message = messages.recv() => match message {
                    Some(Message::Shutdown(done)) => {
                        self.stop();
                        let _ = done.send(());
                        return;
                    }
                    Some(message) => self.handle(message, Instant::now()),
                    None => return self.stop(),
                },
                triggers = self.triggers.take() => {
                    triggers.into_iter().for_each(|t| self.trigger(t, Instant::now()));
                }
                () = until(deadline) => self.timeout(Instant::now()),
            }
            self.drain();
        }
    }

    fn handle(&mut self, message: Message, now: Instant) {
        match message {
            Message::Accepted(stream, peer) => self.accepted(stream, peer, now),
            Message::Input(conn, bytes) => self.server.input(conn, &bytes, now, &mut self.host),
            Message::Disconnected(conn) => {
                if self.writers.remove(&conn).is_some() {
                    self.server.disconnected(conn, now, &mut self.host);
                }
            }
            Message::Snapshot(conn, result) => {
                // Whoever switched the camera off meanwhile did not mean to be seen.
                let result = match self.host.camera.is_active() {
                    true => result,
                    false => Err(Status::NotAllowedInCurrentState),
                };
                self.server
                    .resource_ready(conn, result, now, &mut self.host)
            }
            Message::Session(key, event) => self.session_event(key, &event),
            Message::Seen(picture) => self.host.seen(picture),
            Message::DataStream(token, event) => self.data_stream(token, event, now),
            Message::DataStreamEnded(token) => self.data_stream_ended(token),
            Message::Recording(key, event) => self.recording(key, event, now),
            Message::HubSnapshot(token, id, jpeg) => self.hub_snapshot(token, id, jpeg),
            Message::Unpair(done) => {
                let count = self.server.pairings().pairings.len();
                let removed = self.server.remove_all_pairings(now, &mut self.host);
                let _ = done.send(removed.map(|()| count));
            }
            Message::Shutdown(_) => {}
        }
    }

    fn accepted(&mut self, stream: TcpStream, peer: SocketAddr, now: Instant) {
        let (Ok(local), Some(actor)) = (stream.local_addr(), self.tx.upgrade()) else {
            return;
        };
        let conn = ConnId(self.next_conn);
        self.next_conn += 1;
        match connection::spawn(conn, stream, actor) {
            Ok(writer) => {
                debug!(camera = self.host.record.name, conn = conn.0, %peer, "connected");
                self.writers.insert(conn, writer);
                self.host.locals.insert(conn, local);
                self.server.connected(conn, now, &mut self.host);
            }
            Err(error) => debug!(%peer, %error, "connection lost at once"),
        }
    }

    fn session_event(&mut self, key: StreamKey, event: &SessionEvent) {
        let camera = &self.host.record.name;
        match event {
            SessionEvent::FirstRtcp => debug!(camera, slot = key.slot, "the controller receives"),
            SessionEvent::RtcpTimeout => info!(
                camera,
                slot = key.slot,
                "no RTCP from the controller: stream ends"
            ),
            SessionEvent::Failed(reason) => warn!(camera, slot = key.slot, reason, "stream failed"),
            other => debug!(camera, slot = key.slot, ?other, "stream event"),
        }
        if matches!(event, SessionEvent::RtcpTimeout | SessionEvent::Failed(_)) {
            self.host.camera.stream_lost(key, &mut self.host.streams);
        }
    }

    fn timeout(&mut self, now: Instant) {
        self.server.timeout(now, &mut self.host);
        self.host.camera.timeout(now, &mut self.host.streams);
    }

    /// Carries out what the protocol wants: camera events first, since they become output of the server.
    fn drain(&mut self) {
        let now = Instant::now();
        let mut persist = false;
        loop {
            while let Some(event) = self.host.camera.poll_event() {
                match event {
                    Event::Changed { id, value, origin } => {
                        self.note_changed(id.iid, &value);
                        self.server.notify(id, value, origin, now);
                    }
                    Event::Persist => persist = true,
                    other => self.camera_event(other),
                }
            }
            match self.server.poll_output() {
                Some(Output::Send { conn, bytes }) => self.send(conn, bytes, now),
                Some(Output::Close { conn }) => self.close(conn),
                None => break,
            }
        }
        if persist {
            self.host.persist_camera();
            self.host.apply_speaker();
            self.apply_watch();
        }
    }

    fn send(&mut self, conn: ConnId, bytes: Vec<u8>, now: Instant) {
        let Some(writer) = self.writers.get(&conn) else {
            return;
        };
        if !writer.send(bytes) {
            info!(camera = self.host.record.name, peer = %writer.peer(), "the peer does not read: connection dropped");
            self.writers.remove(&conn);
            self.server.disconnected(conn, now, &mut self.host);
        }
    }

    /// The server has forgotten the connection already; dropping the writer ends it after what is queued.
    fn close(&mut self, conn: ConnId) {
        if let Some(writer) = self.writers.remove(&conn) {
            debug!(camera = self.host.record.name, conn = conn.0, peer = %writer.peer(), "closed");
        }
    }

    fn stop(&mut self) {
        self.host.camera.stop_all(&mut self.host.streams);
        self.host.streams.camera().stop();
        self.writers.clear();
    }
}

pub(super) async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
