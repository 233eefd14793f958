//! The messages of `dataSend`, the protocol that carries recordings and snapshots.

use crate::value::{array, boolean, data_length, dict, int, text};
use crate::{Reason, Value};

/// The longest part of a piece in one message.
pub const CHUNK: usize = 0x4_0000;

/// The name of the protocol.
pub const PROTOCOL: &str = "dataSend";

/// The only target there is for what a camera sends.
pub const TARGET: &str = "controller";

/// Room for a message around its chunk.
const AROUND: usize = 256;

/// What a stream carries.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StreamKind {
    /// `ipcamera.recording`: an init segment and fragments of MP4.
    Recording,
    /// `ipcamera.snapshot`: a JPEG.
    Snapshot,
    /// Any other type.
    Other(String),
}

impl StreamKind {
    /// The name on the wire.
    pub fn name(&self) -> &str {
        match self {
            Self::Recording => "ipcamera.recording",
            Self::Snapshot => "ipcamera.snapshot",
            Self::Other(name) => name,
        }
    }

    fn from_name(name: &str) -> Self {
        match name {
            "ipcamera.recording" => Self::Recording,
            "ipcamera.snapshot" => Self::Snapshot,
            name => Self::Other(name.to_owned()),
        }
    }
}

/// What a piece of data is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataType {
    /// `mediaInitialization`: the init segment.
    Initialization,
    /// `mediaFragment`: a fragment.
    Fragment,
    /// `image`: a JPEG.
    Image,
}

impl DataType {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Initialization => "mediaInitialization",
            Self::Fragment => "mediaFragment",
            Self::Image => "image",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Initialization, Self::Fragment, Self::Image]
            .into_iter()
            .find(|data_type| data_type.name() == name)
    }
}

/// A controller's wish for a stream, as the accessory gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRequest {
    /// The request that has to be answered.
    pub request_id: i64,
    /// The controller's name for the stream.
    pub stream_id: i64,
    /// What it is to carry.
    pub kind: StreamKind,
    /// Where to; always [`TARGET`].
    pub target: String,
    /// `record`, or for a snapshot `periodic` or `event`.
    pub reason: Option<String>,
    /// Width and height of the picture, for a snapshot.
    pub size: Option<(u32, u32)>,
}

impl OpenRequest {
    /// Reads the message of an `open` request.
    pub(crate) fn of(request_id: i64, message: &Value) -> Result<Self, Reason> {
        let target = field(message, "target", Value::as_text)?;
        if target != TARGET {
            return Err(Reason::UnexpectedFailure);
        }
        Ok(Self {
            request_id,
            stream_id: field(message, "streamId", Value::as_int)?,
            kind: StreamKind::from_name(field(message, "type", Value::as_text)?),
            target: target.to_owned(),
            reason: message
                .get("reason")
                .and_then(Value::as_text)
                .map(str::to_owned),
            size: size(message)?,
        })
    }
}

/// A stream that a controller wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Chosen by the controller, at least 0.
    pub stream_id: i64,
    /// What it is to carry.
    pub kind: StreamKind,
    /// `record`, or for a snapshot `periodic` or `event`.
    pub reason: Option<String>,
    /// Width and height of the picture, for a snapshot.
    pub size: Option<(u32, u32)>,
}

impl Open {
    /// A recording.
    pub fn recording(stream_id: i64) -> Self {
        Self {
            stream_id,
            kind: StreamKind::Recording,
            reason: Some("record".to_owned()),
            size: None,
        }
    }

    /// A snapshot; `reason` is `periodic` or `event`.
    pub fn snapshot(stream_id: i64, size: (u32, u32), reason: Option<&str>) -> Self {
        Self {
            stream_id,
            kind: StreamKind::Snapshot,
            reason: reason.map(str::to_owned),
            size: Some(size),
        }
    }

    pub(crate) fn message(&self) -> Value {
        let mut pairs = vec![
            ("streamId".into(), Value::Int(self.stream_id)),
            ("type".into(), self.kind.name().into()),
            ("target".into(), TARGET.into()),
        ];
        if let Some((width, height)) = self.size {
            let size = [
                ("image-width", Value::Int(width.into())),
                ("image-height", Value::Int(height.into())),
            ];
            pairs.push(("metadata".into(), Value::dict(size)));
        }
        if let Some(reason) = &self.reason {
            pairs.push(("reason".into(), reason.as_str().into()));
        }
        Value::Dict(pairs)
    }
}

/// Data that came for a controller's stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataEvent {
    /// The stream.
    pub stream_id: i64,
    /// One, as a rule.
    pub packets: Vec<Packet>,
    /// Whether nothing follows.
    pub end_of_stream: bool,
}

/// A chunk of a piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// At most [`CHUNK`] bytes.
    pub data: Vec<u8>,
    /// What the piece is.
    pub data_type: DataType,
    /// The piece's number, from 1.
    pub sequence: u64,
    /// The chunk's number within the piece, from 1.
    pub chunk: u64,
    /// Whether the piece is complete with it.
    pub is_last_chunk: bool,
    /// Bytes of the whole piece; only the first chunk says it.
    pub total_size: Option<u64>,
}

impl DataEvent {
    /// Takes the message of a `data` event apart; gives it back if it is not one.
    pub(crate) fn of(mut message: Value) -> Result<Self, Value> {
        if !Self::is_right(&message) {
            return Err(message);
        }
        let packets = match message.take("packets") {
            Some(Value::Array(packets)) => packets,
            _ => Vec::new(),
        };
        Ok(Self {
            stream_id: message.get("streamId").and_then(Value::as_int).unwrap_or(0),
            packets: packets.into_iter().filter_map(Packet::of).collect(),
            end_of_stream: flag(&message, "endOfStream").unwrap_or(false),
        })
    }

    fn is_right(message: &Value) -> bool {
        let packets = message.get("packets").and_then(Value::as_array);
        message.get("streamId").and_then(Value::as_int).is_some()
            && packets.is_some_and(|packets| packets.iter().all(Packet::is_right))
    }
}

impl Packet {
    fn is_right(packet: &Value) -> bool {
        packet.get("data").and_then(Value::as_data).is_some()
            && packet.get("metadata").and_then(Metadata::of).is_some()
    }

    fn of(mut packet: Value) -> Option<Self> {
        let metadata = Metadata::of(packet.get("metadata")?)?;
        let Some(Value::Data(data)) = packet.take("data") else {
            return None;
        };
        Some(Self {
            data,
            data_type: metadata.data_type,
            sequence: metadata.sequence,
            chunk: metadata.chunk,
            is_last_chunk: metadata.is_last_chunk,
            total_size: metadata.total_size,
        })
    }
}

struct Metadata {
    data_type: DataType,
    sequence: u64,
    chunk: u64,
    is_last_chunk: bool,
    total_size: Option<u64>,
}

impl Metadata {
    fn of(value: &Value) -> Option<Self> {
        let number = |key| u64::try_from(value.get(key)?.as_int()?).ok();
        Some(Self {
            data_type: DataType::from_name(value.get("dataType")?.as_text()?)?,
            sequence: number("dataSequenceNumber")?,
            chunk: number("dataChunkSequenceNumber")?,
            is_last_chunk: flag(value, "isLastDataChunk")?,
            total_size: number("dataTotalSize"),
        })
    }
}

/// A piece of data that is to be sent: one init segment, fragment or image.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    /// The stream.
    pub stream_id: i64,
    /// What the piece is.
    pub data_type: DataType,
    /// The piece's number, from 1.
    pub sequence: u64,
    /// Its bytes, one part after the other.
    pub parts: &'a [&'a [u8]],
    /// Whether nothing follows.
    pub end_of_stream: bool,
}

impl<'a> Piece<'a> {
    /// The chunks the piece is sent in; an empty piece has one.
    pub fn chunks(self) -> impl DoubleEndedIterator<Item = Chunk<'a>> {
        let total: usize = self.parts.iter().map(|part| part.len()).sum();
        let count = total.div_ceil(CHUNK).max(1);
        (0..count).map(move |index| Chunk {
            piece: self,
            index,
            total,
        })
    }
}

/// A part of a [`Piece`] and the message around it.
#[derive(Debug, Clone, Copy)]
pub struct Chunk<'a> {
    piece: Piece<'a>,
    index: usize,
    total: usize,
}

impl Chunk<'_> {
    /// At least as many bytes as [`write`](Self::write) appends.
    pub fn capacity(&self) -> usize {
        self.len() + AROUND
    }

    /// Appends the payload of the frame that carries the chunk to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(HEADER);
        dict(out, if self.ends_stream() { 3 } else { 2 });
        text(out, "streamId");
        int(out, self.piece.stream_id);
        text(out, "packets");
        array(out, 1);
        self.packet(out);
        if self.ends_stream() {
            text(out, "endOfStream");
            boolean(out, true);
        }
    }

    fn packet(&self, out: &mut Vec<u8>) {
        dict(out, 2);
        text(out, "data");
        self.data(out);
        text(out, "metadata");
        let first = self.index == 0;
        dict(out, if first { 5 } else { 4 });
        text(out, "dataType");
        text(out, self.piece.data_type.name());
        text(out, "dataSequenceNumber");
        int(out, self.piece.sequence as i64);
        text(out, "dataChunkSequenceNumber");
        int(out, self.index as i64 + 1);
        text(out, "isLastDataChunk");
        boolean(out, self.is_last());
        if first {
            text(out, "dataTotalSize");
            int(out, self.total as i64);
        }
    }

    fn data(&self, out: &mut Vec<u8>) {
        data_length(out, self.len());
        let (mut skip, mut missing) = (self.index * CHUNK, self.len());
        for part in self.piece.parts {
            let rest = &part[skip.min(part.len())..];
            skip = skip.saturating_sub(part.len());
            let taken = &rest[..missing.min(rest.len())];
            out.extend_from_slice(taken);
            missing -= taken.len();
        }
    }

    fn len(&self) -> usize {
        (self.total - self.index * CHUNK).min(CHUNK)
    }

    fn is_last(&self) -> bool {
        (self.index + 1) * CHUNK >= self.total
    }

    fn ends_stream(&self) -> bool {
        self.piece.end_of_stream && self.is_last()
    }
}

/// The header of every `data` event, with its length.
const HEADER: &[u8] = b"\x1e\xe2\x48protocol\x48dataSend\x45event\x44data";

/// The message of an `ack` or the answer to one.
pub(crate) fn ack(stream_id: i64) -> Value {
    Value::dict([
        ("streamId", Value::Int(stream_id)),
        ("endOfStream", Value::Bool(true)),
    ])
}

/// The message of a `close`.
pub(crate) fn close(stream_id: i64, reason: Reason) -> Value {
    Value::dict([
        ("streamId", Value::Int(stream_id)),
        ("reason", Value::Int(reason.code())),
    ])
}

/// The message of the response to an `open`.
pub(crate) fn opened(reason: Reason) -> Value {
    Value::dict([("status", Value::Int(reason.code()))])
}

/// The flag `key`, false if it is not there; `None` if it is no flag.
pub(crate) fn flag(message: &Value, key: &str) -> Option<bool> {
    message.get(key).map_or(Some(false), Value::as_bool)
}

/// The reason under `key`; a code nobody knows is an unexpected failure.
pub(crate) fn reason(message: &Value, key: &str) -> Reason {
    let code = message.get(key).and_then(Value::as_int);
    code.and_then(Reason::from_code)
        .unwrap_or(Reason::UnexpectedFailure)
}

fn field<'a, T>(
    message: &'a Value,
    key: &str,
    read: impl FnOnce(&'a Value) -> Option<T>,
) -> Result<T, Reason> {
    let value = message.get(key).and_then(read);
    value.ok_or(Reason::UnexpectedFailure)
}

/// Nothing where nothing is said.
fn size(message: &Value) -> Result<Option<(u32, u32)>, Reason> {
    let metadata = message.get("metadata");
    let side = |key| metadata.and_then(|m| m.get(key)).and_then(Value::as_int);
    let (Some(width), Some(height)) = (side("image-width"), side("image-height")) else {
        return Ok(None);
    };
    match (u32::try_from(width), u32::try_from(height)) {
        (Ok(width), Ok(height)) => Ok(Some((width, height))),
        _ => Err(Reason::BadData),
    }
}
