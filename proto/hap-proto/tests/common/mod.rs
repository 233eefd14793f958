//! A server, a host and controllers, all in memory, with a clock that only the test moves.

#![allow(dead_code, reason = "each test uses another part of it")]
#![allow(
    unreachable_pub,
    reason = "a module of tests is public to nobody, whatever it says"
)]

pub mod client;
pub mod srp_controller;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use hap_proto::database::{Accessory, Characteristic, Perms, Service, Uuid};
use hap_proto::{
    CharId, ConnContext, ConnId, Database, DeviceId, Format, Host, Identity, Limits, Output,
    PairingState, ResourceReply, ResourceRequest, Server, ServerConfig, SetupVerifier, Status,
    StoreError, Value, WriteContext,
};
use sha2::{Digest, Sha256};

pub const CODE: &str = "518-08-582";
pub const DEVICE: &str = "C8:D8:58:C6:63:F5";

/// Characteristics of the test accessory.
pub mod iid {
    pub const IDENTIFY: u64 = 2;
    pub const NAME: u64 = 5;
    pub const ON: u64 = 9;
    pub const LEVEL: u64 = 10;
    pub const BUTTON: u64 = 11;
    pub const CONTROL_POINT: u64 = 12;
    pub const SECRET: u64 = 13;
    pub const LOCK: u64 = 14;
    pub const ADMIN_ONLY: u64 = 15;
    pub const TEXT: u64 = 16;
}

pub fn id(iid: u64) -> CharId {
    CharId { aid: 1, iid }
}

/// Everything the server may ask for, written down.
#[derive(Default)]
pub struct TestHost {
    pub values: BTreeMap<u64, Value>,
    pub failing: BTreeMap<u64, Status>,
    pub writes: Vec<Write>,
    pub subscriptions: Vec<(ConnId, u64, bool)>,
    pub stored: Vec<PairingState>,
    pub store_fails: bool,
    pub paired: Vec<bool>,
    pub identified: usize,
    pub resources: Vec<(ConnId, ResourceRequest)>,
    pub resource: Option<ResourceReply>,
    pub closed: Vec<ConnId>,
    pub contexts: Vec<(Option<String>, bool, Option<[u8; 32]>)>,
    /// What `random` gives first.
    pub random: VecDeque<Vec<u8>>,
    pub draws: u64,
    pub seed: u64,
}

/// One call of [`Host::write`].
#[derive(Debug, PartialEq)]
pub struct Write {
    pub iid: u64,
    pub value: Value,
    pub auth_data: Option<Vec<u8>>,
    pub remote: bool,
    pub timed: bool,
    pub response_wanted: bool,
}

impl Host for TestHost {
    fn store(&mut self, state: &PairingState) -> Result<(), StoreError> {
        if self.store_fails {
            return Err(StoreError("disk full".into()));
        }
        self.stored.push(state.clone());
        Ok(())
    }

    fn random(&mut self, out: &mut [u8]) {
        if let Some(bytes) = self.random.pop_front() {
            return out.copy_from_slice(&bytes);
        }
        for chunk in out.chunks_mut(32) {
            self.draws += 1;
            let digest = Sha256::new()
                .chain_update(self.seed.to_be_bytes())
                .chain_update(self.draws.to_be_bytes())
                .finalize();
            chunk.copy_from_slice(&digest[..chunk.len()]);
        }
    }

    fn pairing_changed(&mut self, paired: bool) {
        self.paired.push(paired);
    }

    fn identify(&mut self) {
        self.identified += 1;
    }

    fn read(&mut self, _conn: &ConnContext<'_>, id: CharId) -> Result<Value, Status> {
        match self.failing.get(&id.iid) {
            Some(status) => Err(*status),
            None => Ok(self.values.get(&id.iid).cloned().unwrap_or(Value::Null)),
        }
    }

    fn write(
        &mut self,
        conn: &ConnContext<'_>,
        id: CharId,
        value: &Value,
        context: &WriteContext<'_>,
    ) -> Result<Option<Value>, Status> {
        let controller = conn.controller.map(str::to_owned);
        self.contexts
            .push((controller, conn.admin, conn.shared_secret.copied()));
        if let Some(status) = self.failing.get(&id.iid) {
            return Err(*status);
        }
        self.values.insert(id.iid, value.clone());
        self.writes.push(Write {
            iid: id.iid,
            value: value.clone(),
            auth_data: context.auth_data.map(<[u8]>::to_vec),
            remote: context.remote,
            timed: context.timed,
            response_wanted: context.response_wanted,
        });
        Ok((id.iid == iid::CONTROL_POINT).then(|| Value::Tlv8(vec![2, 1, 0])))
    }

    fn subscribed(&mut self, conn: &ConnContext<'_>, id: CharId, on: bool) {
        self.subscriptions.push((conn.id, id.iid, on));
    }

    fn resource(&mut self, conn: &ConnContext<'_>, request: ResourceRequest) -> ResourceReply {
        self.resources.push((conn.id, request));
        self.resource.clone().unwrap_or(ResourceReply::Later)
    }

    fn connection_closed(&mut self, conn: ConnId) {
        self.closed.push(conn);
    }
}

/// A server with its host, its clock and the far ends of its connections.
pub struct World {
    pub server: Server,
    pub host: TestHost,
    pub now: Instant,
    received: HashMap<ConnId, Vec<u8>>,
    pub closed: Vec<ConnId>,
    next: u64,
}

impl World {
    pub fn new() -> Self {
        Self::with(Limits::default(), PairingState::default())
    }

    pub fn with(limits: Limits, pairings: PairingState) -> Self {
        let config = ServerConfig {
            identity: identity(),
            verifier: verifier(),
            limits,
        };
        let mut host = TestHost::default();
        host.values.insert(iid::ON, Value::Bool(false));
        host.values.insert(iid::LEVEL, Value::UInt(20));
        host.values.insert(iid::TEXT, Value::String("text".into()));
        Self {
            server: Server::new(config, pairings, database()),
            host,
            now: Instant::now(),
            received: HashMap::new(),
            closed: Vec::new(),
            next: 1,
        }
    }

    pub fn connect(&mut self) -> ConnId {
        let conn = ConnId(self.next);
        self.next += 1;
        self.server.connected(conn, self.now, &mut self.host);
        self.drain();
        conn
    }

    pub fn send(&mut self, conn: ConnId, bytes: &[u8]) {
        self.server.input(conn, bytes, self.now, &mut self.host);
        self.drain();
    }

    pub fn disconnect(&mut self, conn: ConnId) {
        self.server.disconnected(conn, self.now, &mut self.host);
        self.drain();
    }

    pub fn notify(&mut self, iid: u64, value: Value, origin: Option<ConnId>) {
        self.server.notify(id(iid), value, origin, self.now);
        self.drain();
    }

    pub fn resource_ready(&mut self, conn: ConnId, result: Result<Vec<u8>, Status>) {
        self.server
            .resource_ready(conn, result, self.now, &mut self.host);
        self.drain();
    }

    /// Lets time pass, with every timeout at its time.
    pub fn advance(&mut self, time: Duration) {
        let target = self.now + time;
        let mut rounds = 0;
        while let Some(at) = self.server.poll_timeout().filter(|&at| at <= target) {
            self.now = self.now.max(at);
            self.server.timeout(self.now, &mut self.host);
            self.drain();
            rounds += 1;
            assert!(rounds < 10_000, "timeouts without end");
        }
        self.now = target;
    }

    /// What arrived since the last time.
    pub fn received(&mut self, conn: ConnId) -> Vec<u8> {
        self.received.remove(&conn).unwrap_or_default()
    }

    pub fn is_closed(&self, conn: ConnId) -> bool {
        self.closed.contains(&conn)
    }

    fn drain(&mut self) {
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Send { conn, bytes } => {
                    assert!(!self.is_closed(conn), "sent to a closed connection");
                    self.received.entry(conn).or_default().extend(bytes);
                }
                Output::Close { conn } => self.closed.push(conn),
            }
        }
    }
}

pub fn identity() -> Identity {
    let device: DeviceId = DEVICE.parse().unwrap();
    Identity::new(device, &[0x44; 32])
}

/// Deriving a verifier takes a moment, and all worlds have the same one.
pub fn verifier() -> SetupVerifier {
    static VERIFIER: std::sync::OnceLock<SetupVerifier> = std::sync::OnceLock::new();
    let salt = std::array::from_fn(|i| 0x10 + i as u8);
    VERIFIER
        .get_or_init(|| SetupVerifier::derive(&CODE.parse().unwrap(), salt))
        .clone()
}

pub fn database() -> Database {
    Database::new(vec![accessory()]).unwrap()
}

pub fn accessory() -> Accessory {
    let text = |iid, kind, value: &str| {
        Characteristic::constant(
            iid,
            Uuid::short(kind),
            Format::String,
            Value::String(value.into()),
        )
    };
    let information = Service::new(
        1,
        Uuid::short(0x3E),
        vec![
            Characteristic::new(
                iid::IDENTIFY,
                Uuid::short(0x14),
                Format::Bool,
                Perms::new().pw(),
            ),
            text(3, 0x20, "Acme"),
            text(4, 0x21, "Test1,1"),
            text(iid::NAME, 0x23, "Test"),
            text(6, 0x30, "0001"),
            text(7, 0x52, "1.0.0"),
        ],
    );
    Accessory {
        aid: 1,
        services: vec![information, test_service()],
    }
}

fn test_service() -> Service {
    let rw = Perms::new().pr().pw();
    let new = |iid, kind, format, perms| Characteristic::new(iid, Uuid::short(kind), format, perms);
    let on = new(iid::ON, 0x25, Format::Bool, rw.ev());
    let mut level = new(iid::LEVEL, 0x8, Format::UInt8, rw.ev());
    (level.min, level.max, level.step) = (Some(10.0), Some(100.0), Some(1.0));
    level.unit = Some(hap_proto::database::Unit::Percentage);
    let mut button = new(iid::BUTTON, 0x73, Format::UInt8, Perms::new().pr().ev());
    (button.event_only, button.valid_values) = (true, vec![0, 1, 2]);
    let control = new(iid::CONTROL_POINT, 0x118, Format::Tlv8, rw.wr());
    let secret = new(iid::SECRET, 0x19, Format::UInt8, Perms::new().pw().aa());
    let lock = new(iid::LOCK, 0x1E, Format::UInt8, rw.tw());
    let mut admin_only = new(iid::ADMIN_ONLY, 0x1A, Format::UInt32, rw);
    admin_only.admin_only_write = true;
    let mut text = new(iid::TEXT, 0xE3, Format::String, rw);
    text.max_len = Some(8);
    let characteristics = vec![on, level, button, control, secret, lock, admin_only, text];
    Service {
        primary: true,
        ..Service::new(8, Uuid::short(0x43), characteristics)
    }
}
