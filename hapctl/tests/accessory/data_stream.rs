//! Data streams of the test camera: the accessory's end on real sockets.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::Sender;
use std::time::Instant;

use hap_camera::recording::{HdsId, Outgoing};
use hds_proto::{Connection, DataType, Event, OpenRequest, Reason, StreamKind, Value};

use super::recorder::{Fault, Piece};
use super::{CameraHost, Command, LOCAL, World, media};

/// All data streams.
#[derive(Default)]
pub(super) struct DataStreams {
    open: HashMap<u64, DataStream>,
    next: u64,
}

struct DataStream {
    connection: Connection,
    socket: TcpStream,
    pieces: u64,
}

/// Listens for data streams; gives the port.
pub(super) fn listen(commands: Sender<Command>) -> u16 {
    let listener = TcpListener::bind((LOCAL, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if commands.send(Command::DataConnected(stream)).is_err() {
                return;
            }
        }
    });
    port
}

impl World {
    pub(super) fn data_connected(&mut self, socket: TcpStream) {
        let id = self.data.next;
        self.data.next += 1;
        let (mut reader, commands) = (socket.try_clone().unwrap(), self.commands.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                let bytes = buffer[..n].to_vec();
                if commands.send(Command::DataInput(id, bytes)).is_err() {
                    return;
                }
            }
            let _ = commands.send(Command::DataClosed(id));
        });
        let stream = DataStream {
            connection: Connection::accessory(Instant::now()),
            socket,
            pieces: 0,
        };
        self.data.open.insert(id, stream);
    }

    pub(super) fn data_input(&mut self, id: u64, bytes: &[u8]) {
        let Some(stream) = self.data.open.get_mut(&id) else {
            return;
        };
        let pending = &mut self.host.media.recorder.pending;
        let taken = stream.connection.input(bytes, Instant::now(), pending);
        if taken.is_err() {
            self.data_closed(id);
            return;
        }
        while let Some(event) = self
            .data
            .open
            .get_mut(&id)
            .and_then(|s| s.connection.poll_event())
        {
            self.data_event(id, event);
        }
    }

    pub(super) fn data_closed(&mut self, id: u64) {
        if let Some(stream) = self.data.open.remove(&id) {
            let _ = stream.socket.shutdown(Shutdown::Both);
            let CameraHost { camera, media } = &mut self.host;
            camera.data_stream_lost(HdsId(id), media);
        }
    }

    /// The HAP connection `token` is gone, and its data streams with it.
    pub(super) fn close_data_streams(&mut self, token: u64) {
        let of_token = self.data.open.iter();
        let ids: Vec<u64> = of_token
            .filter(|(_, s)| s.connection.token() == Some(token))
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            self.data_closed(id);
        }
    }

    fn data_event(&mut self, id: u64, event: Event) {
        let (now, hds) = (Instant::now(), HdsId(id));
        let CameraHost { camera, media } = &mut self.host;
        match event {
            Event::Open(request) => self.data_open(id, &request),
            Event::Ack { stream_id, .. } => camera.recording_acked(hds, stream_id),
            Event::Close { stream_id, .. } => camera.recording_closed(hds, stream_id, media),
            _ => {}
        }
        self.host.camera.timeout(now, &mut self.host.media);
    }

    fn data_open(&mut self, id: u64, request: &OpenRequest) {
        let CameraHost { camera, media } = &mut self.host;
        let fault = media.recorder.fault;
        let answer = match request.kind {
            StreamKind::Snapshot if fault == Fault::NoPicture => Err(Reason::UnexpectedFailure),
            StreamKind::Snapshot => camera.snapshot_stream_allowed(request.reason.as_deref()),
            StreamKind::Recording => {
                let now = Instant::now();
                let opened = camera.recording_open(HdsId(id), request.stream_id, now, media);
                match opened {
                    Err(Reason::Busy) if fault == Fault::TakesTwo => Ok(()),
                    other => other.map(drop),
                }
            }
            StreamKind::Other(_) => Err(Reason::UnexpectedFailure),
        };
        let Some(stream) = self.data.open.get_mut(&id) else {
            return;
        };
        match answer {
            Err(reason) => stream.connection.refuse(request, reason),
            Ok(()) => drop(stream.connection.accept(request)),
        }
        if answer.is_ok() && request.kind == StreamKind::Snapshot {
            let (width, height) = request.size.unwrap_or((640, 360));
            let picture = media::picture(width as u16, height as u16);
            let stream_id = request.stream_id;
            stream
                .connection
                .send_data(stream_id, DataType::Image, 1, &picture, true);
        }
    }

    /// Sends what is recorded by now.
    pub(super) fn send_pieces(&mut self) {
        let now = Instant::now();
        while let Some(piece) = self.host.media.recorder.due(now) {
            let CameraHost { camera, media } = &mut self.host;
            if media.recorder.fault == Fault::Fails && !piece.bytes.windows(4).any(|w| w == b"moov")
            {
                media.recorder.stop();
                camera.recording_failed(piece.key);
                return;
            }
            if let Some(outgoing) = camera.recording_data(piece.key, piece.last, now) {
                self.send_piece(&outgoing, &piece);
            }
        }
    }

    fn send_piece(&mut self, outgoing: &Outgoing, piece: &Piece) {
        let fault = self.host.media.recorder.fault;
        let Some(stream) = self.data.open.get_mut(&outgoing.hds.0) else {
            return;
        };
        let kind = match outgoing.initialization {
            true => DataType::Initialization,
            false => DataType::Fragment,
        };
        let (id, number) = (outgoing.stream_id, outgoing.sequence);
        let end = outgoing.end_of_stream && fault != Fault::NoEnd;
        stream
            .connection
            .send_data(id, kind, number, &piece.bytes, end);
        stream.pieces += 1;
        match fault {
            Fault::NoEnd if outgoing.end_of_stream => {
                stream.connection.close_stream(id, Reason::Normal);
            }
            Fault::AfterEnd if end => {
                let late = late(id, number + 1);
                stream.connection.event("dataSend", "data", &late).unwrap();
            }
            Fault::Malformed if number == 2 => {
                let bare = Value::dict([("streamId", Value::Int(id))]);
                stream.connection.event("dataSend", "data", &bare).unwrap();
            }
            Fault::Garbage if number == 2 => drop(stream.socket.write_all(&[9; 64])),
            _ => {}
        }
    }

    pub(super) fn close_recording(&mut self, hds: HdsId, stream_id: i64, reason: Reason) {
        if let Some(stream) = self.data.open.get_mut(&hds.0) {
            stream.connection.close_stream(stream_id, reason);
        }
    }

    pub(super) fn drain_data(&mut self) {
        for stream in self.data.open.values_mut() {
            while let Some(frame) = stream.connection.poll_output() {
                // A reader that stalls must not stop the camera; nothing here is longer than the
                // sockets' buffers and a few seconds.
                let _ = stream
                    .socket
                    .set_write_timeout(Some(std::time::Duration::from_secs(1)));
                let _ = stream.socket.write_all(&frame);
            }
        }
    }
}

/// A fragment as the connection itself would not send it.
fn late(stream_id: i64, number: u64) -> Value {
    let metadata = Value::dict([
        ("dataType", Value::Text("mediaFragment".into())),
        ("dataSequenceNumber", Value::Int(number as i64)),
        ("dataChunkSequenceNumber", Value::Int(1)),
        ("isLastDataChunk", Value::Bool(true)),
        ("dataTotalSize", Value::Int(4)),
    ]);
    let packet = Value::dict([("data", Value::Data(vec![1; 4])), ("metadata", metadata)]);
    Value::dict([
        ("streamId", Value::Int(stream_id)),
        ("packets", Value::Array(vec![packet])),
    ])
}
