//! A data stream: HomeKit Data Stream over TCP, set up over the HAP connection.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hap_camera::data_stream::{DataStreamRequest, DataStreamResponse};
use hds_proto::{Connection, Event, Open, Pending, Reason};
use tokio::io::{Interest, Ready};
use tokio::net::TcpStream;

use super::services::Services;
use crate::failure::{Failure, Kind, Result};
use crate::session::{Session, Write};
use crate::value;

/// Bytes read at once.
const READ: usize = 64 * 1024;

/// A data stream that said hello.
pub struct Link {
    stream: TcpStream,
    connection: Connection,
    /// Bytes that the socket has not taken yet.
    output: VecDeque<u8>,
    buffer: Box<[u8]>,
    none: Pending,
    /// Bytes still to be read before the link breaks on purpose.
    cut: Option<u64>,
    reads: bool,
}

impl Link {
    /// Writes 131, connects, and waits for the answer to `hello`.
    ///
    /// # Errors
    /// [`Kind::Refused`] when the camera gives no data stream, [`Kind::Protocol`] when it breaks the
    /// rules, [`Kind::Unreachable`] when its port does not answer.
    pub async fn open(session: &Session, services: &Services, timeout: Duration) -> Result<Self> {
        let opening = Self::connect(session, services);
        let opened = tokio::time::timeout(timeout, opening).await;
        let silent = |_| Failure::new(Kind::Unreachable, "no answer to hello");
        opened
            .map_err(silent)
            .and_then(|link| link)
            .map_err(|e| e.context("data stream"))
    }

    async fn connect(session: &Session, services: &Services) -> Result<Self> {
        let mut ours = [0; 32];
        crate::random(&mut ours)?;
        let (port, theirs) = set_up(session, services, ours).await?;
        let keys = session.data_stream_keys(&ours, &theirs);
        let mut address: SocketAddr = session.peer();
        address.set_port(port);
        let stream = TcpStream::connect(address).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        let mut link = Self {
            stream,
            connection: Connection::controller(&keys, Instant::now()),
            output: VecDeque::new(),
            buffer: vec![0; READ].into_boxed_slice(),
            none: Pending::new(),
            cut: None,
            reads: true,
        };
        match link.next().await? {
            Event::Ready => Ok(link),
            other => Err(broken(&format!("{other:?} came instead of hello"))),
        }
    }

    /// The next event. May be dropped and called again.
    ///
    /// # Errors
    /// [`Kind::Unreachable`] when the connection is gone, [`Kind::Protocol`] when the camera broke the
    /// rules. The link is of no use then.
    pub async fn next(&mut self) -> Result<Event> {
        loop {
            if let Some(event) = self.connection.poll_event() {
                return Ok(event);
            }
            self.collect();
            let deadline = self.connection.poll_timeout();
            tokio::select! {
                ready = self.ready() => self.transfer(ready?)?,
                () = until(deadline) => {
                    let late = self.connection.timeout(Instant::now());
                    late.map_err(|e| broken(&e.to_string()))?;
                }
            }
        }
    }

    /// Waits until the socket can do what is wanted of it; for ever, when that is nothing.
    async fn ready(&self) -> Result<Ready> {
        let interest = match (self.reads, self.output.is_empty()) {
            (true, true) => Interest::READABLE,
            (true, false) => Interest::READABLE | Interest::WRITABLE,
            (false, false) => Interest::WRITABLE,
            (false, true) => return std::future::pending().await,
        };
        self.stream.ready(interest).await.map_err(unreachable)
    }

    fn transfer(&mut self, ready: Ready) -> Result<()> {
        if ready.is_writable() {
            self.write()?;
        }
        if ready.is_readable() && self.reads {
            self.read()?;
        }
        Ok(())
    }

    fn collect(&mut self) {
        while let Some(frame) = self.connection.poll_output() {
            self.output.extend(frame);
        }
    }

    fn write(&mut self) -> Result<()> {
        while !self.output.is_empty() {
            let (front, _) = self.output.as_slices();
            match self.stream.try_write(front) {
                Ok(n) => drop(self.output.drain(..n)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => return Err(unreachable(e)),
            }
        }
        Ok(())
    }

    fn read(&mut self) -> Result<()> {
        let read = match self.stream.try_read(&mut self.buffer) {
            Ok(0) => {
                return Err(Failure::new(
                    Kind::Unreachable,
                    "the camera closed the data stream",
                ));
            }
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(e) => return Err(unreachable(e)),
        };
        if let Some(left) = &mut self.cut {
            *left = left.saturating_sub(read as u64);
            if *left == 0 {
                return Err(Failure::new(Kind::Other, "dropped on purpose"));
            }
        }
        let bytes = &self.buffer[..read];
        let taken = self.connection.input(bytes, Instant::now(), &mut self.none);
        taken.map_err(|e| broken(&e.to_string()))
    }

    /// Asks for a stream.
    ///
    /// # Errors
    /// [`Kind::Other`] when a stream of that number is open.
    pub fn open_stream(&mut self, open: &Open) -> Result<()> {
        let asked = self.connection.open(open, Instant::now());
        asked.map_err(|e| Failure::new(Kind::Other, e.to_string()))
    }

    /// Says that the end has arrived.
    pub fn ack(&mut self, stream_id: i64) {
        self.connection.ack(stream_id);
    }

    /// Closes a stream.
    pub fn close_stream(&mut self, stream_id: i64, reason: Reason) {
        self.connection.close_stream(stream_id, reason);
    }

    /// Breaks after so many bytes more.
    pub fn cut_after(&mut self, bytes: u64) {
        self.cut = Some(bytes);
    }

    /// Stops reading for good.
    pub fn stop_reading(&mut self) {
        self.reads = false;
    }

    /// Writes what waits, for at most this long.
    pub async fn flush(&mut self, limit: Duration) {
        self.collect();
        let writing = async {
            while !self.output.is_empty() {
                if self.stream.writable().await.is_err() || self.write().is_err() {
                    break;
                }
            }
        };
        // What is not written by then is lost with the connection.
        let _ = tokio::time::timeout(limit, writing).await;
    }
}

async fn set_up(
    session: &Session,
    services: &Services,
    controller_salt: [u8; 32],
) -> Result<(u16, [u8; 32])> {
    let request = DataStreamRequest { controller_salt }.encode();
    let write = Write {
        id: services.setup,
        value: value::from_tlv8(&request),
        response: true,
    };
    let reply = session.write(&[write], None).await?.pop();
    let reply = reply.ok_or_else(|| broken("131 was written, but no response came"))?;
    let bytes = value::tlv8(reply.ok()?.value.as_ref())?;
    let response = DataStreamResponse::decode(&bytes);
    match response.map_err(|e| broken(&format!("the response of 131 is malformed: {e}")))? {
        DataStreamResponse::Session {
            port,
            accessory_salt,
        } => Ok((port, accessory_salt)),
        DataStreamResponse::Failed(why) => Err(Failure::new(
            Kind::Refused,
            format!("the camera gives no data stream: {why:?}"),
        )),
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

fn unreachable(e: io::Error) -> Failure {
    Failure::new(Kind::Unreachable, e.to_string())
}

fn broken(why: &str) -> Failure {
    Failure::new(Kind::Protocol, why)
}
