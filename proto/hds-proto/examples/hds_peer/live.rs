//! Connections over TCP, one at a time.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use hds_proto::{
    Connection, DataEvent, DataType, Event, Open, OpenRequest, Pending, Reason, SessionKeys,
};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use crate::{say, tagged};

/// How long a peer may be silent.
const PATIENCE: Duration = Duration::from_secs(20);

fn keys(command: &Json) -> Result<SessionKeys, String> {
    Ok(SessionKeys::derive(
        &tagged::array(&command["shared"])?,
        &tagged::array(&command["controller_salt"])?,
        &tagged::array(&command["accessory_salt"])?,
    ))
}

/// A connection and its socket.
struct Link {
    socket: TcpStream,
    connection: Connection,
    pending: Pending,
}

impl Link {
    fn new(socket: TcpStream, connection: Connection, pending: Pending) -> Result<Self, String> {
        socket.set_nodelay(true).map_err(text)?;
        socket.set_read_timeout(Some(PATIENCE)).map_err(text)?;
        Ok(Self {
            socket,
            connection,
            pending,
        })
    }

    /// The next thing that happens; `None` when the peer has closed the connection.
    fn next(&mut self) -> Result<Option<Event>, String> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            while let Some(frame) = self.connection.poll_output() {
                self.socket.write_all(&frame).map_err(text)?;
            }
            if let Some(event) = self.connection.poll_event() {
                return Ok(Some(event));
            }
            let count = match self.socket.read(&mut buffer) {
                Ok(0) => return Ok(None),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(None),
                result => result.map_err(text)?,
            };
            self.connection
                .input(&buffer[..count], Instant::now(), &mut self.pending)
                .map_err(text)?;
        }
    }
}

/// What came on a stream.
#[derive(Default)]
struct Received {
    pieces: Vec<(DataType, u64, Vec<usize>, Vec<u8>)>,
    findings: Vec<String>,
}

impl Received {
    fn take(&mut self, data: DataEvent) {
        for packet in data.packets {
            if packet.chunk == 1 {
                let piece = (packet.data_type, packet.sequence, Vec::new(), Vec::new());
                self.pieces.push(piece);
            }
            let Some((_, sequence, chunks, bytes)) = self.pieces.last_mut() else {
                self.findings
                    .push("a stream without a first chunk".to_owned());
                continue;
            };
            chunks.push(packet.data.len());
            bytes.extend(packet.data);
            let expected = (packet.sequence, packet.chunk) == (*sequence, chunks.len() as u64);
            let whole = packet.total_size.is_none() || packet.chunk == 1;
            if !expected || !whole {
                self.findings
                    .push(format!("{sequence}: chunk {}", packet.chunk));
            }
        }
    }

    fn tell(&self) -> Json {
        let pieces = self.pieces.iter().map(|(kind, sequence, chunks, bytes)| {
            json!({
                "type": kind.name(),
                "sequence": sequence,
                "chunks": chunks,
                "sha256": tagged::hex(&Sha256::digest(bytes)),
            })
        });
        json!({ "pieces": pieces.collect::<Vec<_>>(), "findings": self.findings })
    }
}

/// A controller that records once per stream identifier.
pub(crate) fn record(command: &Json) -> Result<Json, String> {
    let port = command["port"].as_u64().and_then(|n| u16::try_from(n).ok());
    let socket = TcpStream::connect(("127.0.0.1", port.ok_or("no port")?)).map_err(text)?;
    let connection = Connection::controller(&keys(command)?, Instant::now());
    let mut link = Link::new(socket, connection, Pending::new())?;
    let mut streams: Vec<i64> = serde_json::from_value(command["streams"].clone()).map_err(text)?;
    streams.reverse();
    let (mut told, mut received) = (Vec::new(), Received::default());
    let mut current = None;
    loop {
        match link.next()?.ok_or("the accessory closed the connection")? {
            Event::Ready => {}
            Event::Opened { .. } => continue,
            Event::Refused { stream_id, reason } => {
                told.push(json!({ "stream": stream_id, "refused": reason.code() }));
            }
            Event::Data(data) => {
                let (stream_id, ended) = (data.stream_id, data.end_of_stream);
                received.take(data);
                if !ended || Some(stream_id) != current {
                    continue;
                }
                link.connection.ack(stream_id);
                link.connection.close_stream(stream_id, Reason::Normal);
                let mut story = std::mem::take(&mut received).tell();
                story["stream"] = json!(stream_id);
                told.push(story);
            }
            Event::Close { stream_id, reason } => {
                told.push(json!({ "stream": stream_id, "closed": reason.code() }));
            }
            other => return Err(format!("unexpected: {other:?}")),
        }
        current = streams.pop();
        let Some(stream_id) = current else {
            return finish(link, told);
        };
        let open = Open::recording(stream_id);
        link.connection.open(&open, Instant::now()).map_err(text)?;
    }
}

/// Writes what is left and closes the socket.
fn finish(mut link: Link, told: Vec<Json>) -> Result<Json, String> {
    while let Some(frame) = link.connection.poll_output() {
        link.socket.write_all(&frame).map_err(text)?;
    }
    Ok(json!({ "streams": told }))
}

/// An accessory with one connection; says its port at once.
pub(crate) fn serve(command: &Json) -> Result<Json, String> {
    let pieces: Vec<usize> = serde_json::from_value(command["pieces"].clone()).map_err(text)?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(text)?;
    let port = listener.local_addr().map_err(text)?.port();
    let mut pending = Pending::new();
    pending.add(1, keys(command)?, Instant::now());
    say(&json!({ "port": port }));
    let (socket, _) = listener.accept().map_err(text)?;
    let mut link = Link::new(socket, Connection::accessory(Instant::now()), pending)?;
    let mut told = BTreeMap::<i64, Vec<Json>>::new();
    while let Some(event) = link.next()? {
        match event {
            Event::Ready => {}
            Event::Open(request) => answer(&mut link.connection, &request, &pieces),
            Event::Ack {
                stream_id,
                end_of_stream,
            } => told
                .entry(stream_id)
                .or_default()
                .push(json!({ "acked": end_of_stream })),
            Event::Close { stream_id, reason } => told
                .entry(stream_id)
                .or_default()
                .push(json!({ "closed": reason.code() })),
            other => return Err(format!("unexpected: {other:?}")),
        }
    }
    let streams = told.into_iter();
    let streams = streams.map(|(stream, events)| json!({ "stream": stream, "events": events }));
    Ok(json!({ "streams": streams.collect::<Vec<_>>() }))
}

/// Sends the pieces; stream 9 is refused, as if nothing was configured.
fn answer(connection: &mut Connection, request: &OpenRequest, pieces: &[usize]) {
    if request.stream_id == 9 {
        return connection.refuse(request, Reason::InvalidConfiguration);
    }
    connection.accept(request);
    for (index, length) in pieces.iter().enumerate() {
        let sequence = index as u64 + 1;
        let bytes: Vec<u8> = (0..*length).map(|i| (i * 7 + index + 1) as u8).collect();
        let data_type = match index {
            0 => DataType::Initialization,
            _ => DataType::Fragment,
        };
        let last = index + 1 == pieces.len();
        connection.send_data(request.stream_id, data_type, sequence, &bytes, last);
    }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}
