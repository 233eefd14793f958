//! A camera on loopback for tests: the accessory's protocol crates on real sockets, and media that
//! is made up.

// Each test program uses a part of it.
#![allow(dead_code)]

mod data_stream;
mod fmp4;
mod media;
mod recorder;

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use data_stream::DataStreams;
use hap_camera::recording::{SupportedRecording, Triggers};
use hap_camera::rtp::{SupportedAudio, SupportedRtp, SupportedVideo};
use hap_camera::services::{self, Description};
use hap_camera::{Camera, CameraState, Event, Requester};
use hap_proto::{
    CharId, ConnContext, ConnId, Database, DeviceId, Host, Identity, Limits, Output, PairingState,
    ResourceReply, ResourceRequest, Server, ServerConfig, SetupCode, SetupVerifier, Status,
    StoreError, Value, WriteContext,
};
use media::Senders;
pub(crate) use recorder::Fault;
use recorder::Recorder;

/// The setup code of every test accessory.
pub(crate) const CODE: &str = "518-08-582";
/// Its device ID.
pub(crate) const DEVICE: &str = "AA:BB:CC:00:11:22";
/// How often a recording is looked at.
const TICK: Duration = Duration::from_millis(10);
const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A running accessory; stops when dropped.
pub(crate) struct Accessory {
    /// Where it listens.
    port: u16,
    commands: Sender<Command>,
}

enum Command {
    Connected(TcpStream),
    Input(ConnId, Vec<u8>),
    Closed(ConnId),
    EndStreams,
    DataConnected(TcpStream),
    DataInput(u64, Vec<u8>),
    DataClosed(u64),
    Motion(bool),
    Ring,
    Fault(Fault),
    DropConnections,
    Forget,
    Stop,
}

impl Accessory {
    /// Starts a camera with `streams` stream services.
    pub(crate) fn start(streams: u8) -> Self {
        Self::run(description(streams))
    }

    /// Starts a camera that records, with a doorbell.
    pub(crate) fn recording() -> Self {
        // Made now, so that the first recording does not wait for it.
        fmp4::h264();
        let before = Duration::from_secs(4);
        let triggers = Triggers::MOTION_AND_DOORBELL;
        Self::run(Description {
            recording: Some(SupportedRecording::for_source(
                640, 360, 15, before, triggers,
            )),
            motion: true,
            doorbell: true,
            motion_hold: Duration::from_millis(300),
            ..description(1)
        })
    }

    fn run(description: Description) -> Self {
        let listener = TcpListener::bind((LOCAL, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (commands, received) = channel();
        let (accepted, connected) = (commands.clone(), commands.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if accepted.send(Command::Connected(stream)).is_err() {
                    return;
                }
            }
        });
        std::thread::spawn(move || World::new(&description, connected).run(&received));
        Self { port, commands }
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Something moves, or no longer.
    pub(crate) fn motion(&self, motion: bool) {
        self.commands.send(Command::Motion(motion)).unwrap();
    }

    /// Somebody rings.
    pub(crate) fn ring(&self) {
        self.commands.send(Command::Ring).unwrap();
    }

    /// Does something wrong from now on.
    pub(crate) fn fault(&self, fault: Fault) {
        self.commands.send(Command::Fault(fault)).unwrap();
    }

    /// Closes all HAP connections.
    pub(crate) fn drop_connections(&self) {
        self.commands.send(Command::DropConnections).unwrap();
    }

    /// Forgets what a hub wrote.
    pub(crate) fn forget(&self) {
        self.commands.send(Command::Forget).unwrap();
    }

    /// Ends every stream, as a camera does that fails.
    pub(crate) fn end_streams(&self) {
        self.commands.send(Command::EndStreams).unwrap();
    }
}

impl Drop for Accessory {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Stop);
    }
}

struct World {
    description: Description,
    server: Server,
    host: CameraHost,
    data: DataStreams,
    sockets: HashMap<ConnId, TcpStream>,
    next: u64,
    commands: Sender<Command>,
}

impl World {
    fn new(description: &Description, commands: Sender<Command>) -> Self {
        let code: SetupCode = CODE.parse().unwrap();
        let device: DeviceId = DEVICE.parse().unwrap();
        let config = ServerConfig {
            identity: Identity::new(device, &[9; 32]),
            verifier: SetupVerifier::derive(&code, [3; 16]),
            limits: Limits::default(),
        };
        let database = Database::new(vec![services::accessory(description)]).unwrap();
        let port = data_stream::listen(commands.clone());
        Self {
            description: description.clone(),
            server: Server::new(config, PairingState::default(), database),
            host: CameraHost {
                camera: Camera::new(description, CameraState::default()),
                media: Senders::new(Recorder::new(port)),
            },
            data: DataStreams::default(),
            sockets: HashMap::new(),
            next: 1,
            commands,
        }
    }

    fn run(mut self, commands: &Receiver<Command>) {
        loop {
            let due = [self.server.poll_timeout(), self.host.camera.poll_timeout()];
            let due = due.into_iter().flatten().min();
            let wait = due.map_or(Duration::from_secs(3600), |at| {
                at.saturating_duration_since(Instant::now())
            });
            let playing = self.host.media.recorder.is_playing();
            let wait = if playing { wait.min(TICK) } else { wait };
            match commands.recv_timeout(wait) {
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(command) => self.obey(command),
                Err(RecvTimeoutError::Timeout) => {
                    let now = Instant::now();
                    self.server.timeout(now, &mut self.host);
                    let CameraHost { camera, media } = &mut self.host;
                    camera.timeout(now, media);
                }
            }
            self.send_pieces();
            self.drain();
            self.drain_data();
        }
    }

    fn obey(&mut self, command: Command) {
        let now = Instant::now();
        match command {
            Command::Connected(stream) => self.connect(stream, now),
            Command::Input(conn, bytes) => self.server.input(conn, &bytes, now, &mut self.host),
            Command::Closed(conn) => {
                self.server.disconnected(conn, now, &mut self.host);
                self.sockets.remove(&conn);
                self.close_data_streams(conn.0);
            }
            Command::EndStreams => {
                let CameraHost { camera, media } = &mut self.host;
                camera.stop_all(media);
            }
            Command::DataConnected(stream) => self.data_connected(stream),
            Command::DataInput(id, bytes) => self.data_input(id, &bytes),
            Command::DataClosed(id) => self.data_closed(id),
            Command::Fault(fault) => self.host.media.recorder.fault = fault,
            Command::Motion(motion) => {
                let CameraHost { camera, media } = &mut self.host;
                camera.motion(motion, now, media);
            }
            Command::Ring => {
                let CameraHost { camera, media } = &mut self.host;
                camera.ring(now, media);
            }
            Command::DropConnections => {
                for socket in self.sockets.values() {
                    let _ = socket.shutdown(Shutdown::Both);
                }
            }
            Command::Forget => {
                self.host.camera = Camera::new(&self.description, CameraState::default());
            }
            Command::Stop => {}
        }
    }

    fn connect(&mut self, stream: TcpStream, now: Instant) {
        let conn = ConnId(self.next);
        self.next += 1;
        let mut reader = stream.try_clone().unwrap();
        self.sockets.insert(conn, stream);
        self.server.connected(conn, now, &mut self.host);
        let commands = self.commands.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                if commands
                    .send(Command::Input(conn, buffer[..n].to_vec()))
                    .is_err()
                {
                    return;
                }
            }
            let _ = commands.send(Command::Closed(conn));
        });
    }

    fn drain(&mut self) {
        let now = Instant::now();
        while let Some(event) = self.host.camera.poll_event() {
            match event {
                Event::Changed { id, value, origin } => {
                    self.server.notify(id, value, origin, now);
                }
                Event::CloseRecording {
                    hds,
                    stream_id,
                    reason,
                } => self.close_recording(hds, stream_id, reason),
                _ => {}
            }
        }
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Send { conn, bytes } => {
                    if let Some(socket) = self.sockets.get_mut(&conn) {
                        let _ = socket.write_all(&bytes);
                    }
                }
                Output::Close { conn } => {
                    if let Some(socket) = self.sockets.get(&conn) {
                        let _ = socket.shutdown(Shutdown::Both);
                    }
                }
            }
        }
    }
}

fn description(streams: u8) -> Description {
    Description {
        name: "Test camera".into(),
        manufacturer: "Maker".into(),
        model: "Model".into(),
        serial_number: "1".into(),
        firmware_revision: "1.0.0".into(),
        streams,
        video: SupportedVideo::up_to(1280, 720),
        audio: SupportedAudio::opus(),
        rtp: SupportedRtp::default(),
        speaker: true,
        recording: None,
        motion: false,
        occupancy: false,
        doorbell: false,
        privacy_switch: false,
        motion_hold: services::MOTION_HOLD,
    }
}

struct CameraHost {
    camera: Camera,
    media: Senders,
}

impl CameraHost {
    fn requester<'a>(conn: &ConnContext<'a>) -> Requester<'a> {
        Requester {
            conn: conn.id,
            controller: conn.controller,
            local: LOCAL,
            admin: conn.admin,
            shared_secret: conn.shared_secret,
        }
    }
}

impl Host for CameraHost {
    fn store(&mut self, _: &PairingState) -> Result<(), StoreError> {
        Ok(())
    }

    fn random(&mut self, out: &mut [u8]) {
        hapctl::random(out).unwrap();
    }

    fn pairing_changed(&mut self, _: bool) {}

    fn identify(&mut self) {}

    fn read(&mut self, conn: &ConnContext<'_>, id: CharId) -> Result<Value, Status> {
        self.camera.read(id, &Self::requester(conn))
    }

    fn write(
        &mut self,
        conn: &ConnContext<'_>,
        id: CharId,
        value: &Value,
        _: &WriteContext<'_>,
    ) -> Result<Option<Value>, Status> {
        if id.iid == services::iid::IDENTIFY {
            return Ok(None);
        }
        let Self { camera, media } = self;
        camera.write(id, value, &Self::requester(conn), Instant::now(), media)
    }

    fn resource(&mut self, _: &ConnContext<'_>, request: ResourceRequest) -> ResourceReply {
        if request.width > 1920 || self.media.recorder.fault == Fault::NoPicture {
            return ResourceReply::Error(Status::InvalidValue);
        }
        ResourceReply::Image(media::picture(request.width, request.height))
    }

    fn connection_closed(&mut self, conn: ConnId) {
        self.camera.connection_closed(conn, &mut self.media);
    }
}
