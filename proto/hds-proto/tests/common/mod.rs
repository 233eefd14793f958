//! Two ends in memory, and bytes written in hex.
#![allow(dead_code, reason = "each test binary uses what it needs")]

use std::time::{Duration, Instant};

use hds_proto::{Connection, Error, Event, Open, OpenRequest, Pending, SessionKeys};

pub(crate) const TOKEN: u64 = 7;

pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    assert_eq!(hex.len() % 2, 0);
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The session of the vectors; its salts count up, from 0 and from 32.
pub(crate) fn keys() -> SessionKeys {
    let shared = bytes("9e004098efc091d4ec2663b4e9f5cfd4d7064571690b4bea97ab146ab9f35056");
    let salt = |first: u8| std::array::from_fn(|i| first + i as u8);
    SessionKeys::derive(&shared.try_into().unwrap(), &salt(0), &salt(32))
}

pub(crate) fn other_keys(seed: u8) -> SessionKeys {
    SessionKeys::derive(&[seed; 32], &[seed; 32], &[0; 32])
}

/// An accessory and a controller, and the time both see.
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) pending: Pending,
    pub(crate) accessory: Connection,
    pub(crate) controller: Connection,
}

impl World {
    /// Before hello.
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        let mut pending = Pending::new();
        assert_eq!(pending.add(TOKEN, keys(), now), None);
        Self {
            now,
            pending,
            accessory: Connection::accessory(now),
            controller: Connection::controller(&keys(), now),
        }
    }

    /// After hello.
    pub(crate) fn ready() -> Self {
        let mut world = Self::new();
        world.exchange().unwrap();
        assert_eq!(world.accessory.poll_event(), Some(Event::Ready));
        assert_eq!(world.controller.poll_event(), Some(Event::Ready));
        world
    }

    /// With an open stream.
    pub(crate) fn open(open: &Open) -> Self {
        let mut world = Self::ready();
        let request = world.ask(open);
        assert!(world.accessory.accept(&request));
        world.exchange().unwrap();
        let stream_id = open.stream_id;
        let opened = Some(Event::Opened { stream_id });
        assert_eq!(world.controller.poll_event(), opened);
        world
    }

    /// Has the controller ask for a stream; what the accessory gets.
    pub(crate) fn ask(&mut self, open: &Open) -> OpenRequest {
        self.controller.open(open, self.now).unwrap();
        self.exchange().unwrap();
        match self.accessory.poll_event() {
            Some(Event::Open(request)) => request,
            other => panic!("{other:?} instead of a request"),
        }
    }

    /// Carries bytes both ways until nobody has any.
    pub(crate) fn exchange(&mut self) -> Result<(), Error> {
        loop {
            let up = output(&mut self.controller);
            let down = output(&mut self.accessory);
            if up.is_empty() && down.is_empty() {
                return Ok(());
            }
            self.accessory.input(&up, self.now, &mut self.pending)?;
            self.controller
                .input(&down, self.now, &mut Pending::new())?;
        }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
    }
}

/// All that waits to be sent.
pub(crate) fn output(connection: &mut Connection) -> Vec<u8> {
    let queued = connection.queued();
    let bytes: Vec<u8> = std::iter::from_fn(|| connection.poll_output())
        .flatten()
        .collect();
    assert_eq!((bytes.len(), connection.queued()), (queued, 0));
    bytes
}

pub(crate) fn events(connection: &mut Connection) -> Vec<Event> {
    std::iter::from_fn(|| connection.poll_event()).collect()
}
