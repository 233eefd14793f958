//! A camera on loopback for tests: the accessory's protocol crates on real sockets, and media that
//! is made up.

mod media;

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use hap_camera::rtp::{SupportedAudio, SupportedRtp, SupportedVideo};
use hap_camera::services::{self, Description};
use hap_camera::{Camera, CameraState, Event, Requester};
use hap_proto::{
    CharId, ConnContext, ConnId, Database, DeviceId, Host, Identity, Limits, Output, PairingState,
    ResourceReply, ResourceRequest, Server, ServerConfig, SetupCode, SetupVerifier, Status,
    StoreError, Value, WriteContext,
};
use media::Senders;

/// The setup code of every test accessory.
pub(crate) const CODE: &str = "518-08-582";
/// Its device ID.
pub(crate) const DEVICE: &str = "AA:BB:CC:00:11:22";
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
    Stop,
}

impl Accessory {
    /// Starts a camera with `streams` stream services.
    pub(crate) fn start(streams: u8) -> Self {
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
        std::thread::spawn(move || World::new(streams, connected).run(&received));
        Self { port, commands }
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
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
    server: Server,
    host: CameraHost,
    sockets: HashMap<ConnId, TcpStream>,
    next: u64,
    commands: Sender<Command>,
}

impl World {
    fn new(streams: u8, commands: Sender<Command>) -> Self {
        let description = description(streams);
        let code: SetupCode = CODE.parse().unwrap();
        let device: DeviceId = DEVICE.parse().unwrap();
        let config = ServerConfig {
            identity: Identity::new(device, &[9; 32]),
            verifier: SetupVerifier::derive(&code, [3; 16]),
            limits: Limits::default(),
        };
        let database = Database::new(vec![services::accessory(&description)]).unwrap();
        Self {
            server: Server::new(config, PairingState::default(), database),
            host: CameraHost {
                camera: Camera::new(&description, CameraState::default()),
                media: Senders::default(),
            },
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
            self.drain();
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
            }
            Command::EndStreams => {
                let CameraHost { camera, media } = &mut self.host;
                camera.stop_all(media);
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
            if let Event::Changed { id, value, origin } = event {
                self.server.notify(id, value, origin, now);
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
        if request.width > 1920 {
            return ResourceReply::Error(Status::InvalidValue);
        }
        ResourceReply::Image(media::picture(request.width, request.height))
    }

    fn connection_closed(&mut self, conn: ConnId) {
        self.camera.connection_closed(conn, &mut self.media);
    }
}
