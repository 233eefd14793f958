//! A camera accessory: characteristic reads and writes on one side, media on the other.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Instant;

use hap_proto::{CharId, ConnId, Status, Value};

use crate::rtp::{SrtpSuite, StreamingStatus};
use crate::services::{AID, Description, MAX_STREAMS, StreamCharacteristic, iid};
use crate::stream::{MediaHost, Stream, StreamKey};

/// Who reads or writes.
#[derive(Debug, Clone, Copy)]
pub struct Requester<'a> {
    /// The connection.
    pub conn: ConnId,
    /// Pairing identifier of the controller behind it.
    pub controller: Option<&'a str>,
    /// The accessory's own address on that connection: where media is sent from, too.
    pub local: IpAddr,
}

/// What the camera has to say after a call.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A characteristic changed; `origin` wrote it itself and is not to be told.
    Changed {
        /// Which characteristic.
        id: CharId,
        /// Its new value.
        value: Value,
        /// The connection that caused it by writing this very characteristic.
        origin: Option<ConnId>,
    },
    /// [`Camera::state`] changed and is to be kept across restarts.
    Persist,
}

/// What outlives a restart: a camera that forgets that it was switched off, or on, is a camera nobody can trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameraState {
    /// Active of each stream service; missing ones are on.
    pub streams_active: Vec<bool>,
    /// Microphone.
    pub microphone: Sound,
    /// Speaker.
    pub speaker: Sound,
}

/// Mute and volume of a microphone or speaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sound {
    /// Muted.
    pub mute: bool,
    /// Volume in percent.
    pub volume: u8,
}

impl Default for Sound {
    fn default() -> Self {
        Self {
            mute: false,
            volume: 100,
        }
    }
}

impl Default for CameraState {
    fn default() -> Self {
        Self {
            streams_active: vec![true; MAX_STREAMS.into()],
            microphone: Sound::default(),
            speaker: Sound::default(),
        }
    }
}

/// A camera accessory.
pub struct Camera {
    streams: Vec<Stream>,
    last_status: Vec<StreamingStatus>,
    state: CameraState,
    events: VecDeque<Event>,
}

impl Camera {
    /// A camera as described, in the state that was kept.
    #[must_use]
    pub fn new(description: &Description, state: CameraState) -> Self {
        // A controller that asks for 256-bit keys without being offered them gets them.
        let mut suites = description.rtp.suites.clone();
        suites.push(SrtpSuite::AesCm256HmacSha1_80);
        let active = |slot| state.streams_active.get(slot).copied().unwrap_or(true);
        let streams: Vec<_> = (0..usize::from(description.streams.clamp(1, MAX_STREAMS)))
            .map(|slot| Stream::new(slot, active(slot), suites.clone()))
            .collect();
        let last_status = streams.iter().map(Stream::status).collect();
        Self {
            streams,
            last_status,
            state,
            events: VecDeque::new(),
        }
    }

    /// What to keep across restarts.
    #[must_use]
    pub const fn state(&self) -> &CameraState {
        &self.state
    }

    /// The next thing that happened; drain after every call.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Camera::timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.streams.iter().filter_map(Stream::deadline).min()
    }

    /// Time has passed.
    pub fn timeout(&mut self, now: Instant, media: &mut dyn MediaHost) {
        self.each_stream(|s| s.timeout(now, media));
    }

    /// A HAP connection is gone.
    pub fn connection_closed(&mut self, conn: ConnId, media: &mut dyn MediaHost) {
        self.each_stream(|s| s.connection_closed(conn, media));
    }

    /// The media side lost a session: no RTCP, or it failed.
    pub fn stream_lost(&mut self, key: StreamKey, media: &mut dyn MediaHost) {
        self.each_stream(|s| s.lost(key, media));
    }

    /// Ends every session.
    pub fn stop_all(&mut self, media: &mut dyn MediaHost) {
        self.each_stream(|s| s.end(media));
    }

    /// Whether a snapshot may be taken: not while every stream service is switched off.
    ///
    /// # Errors
    /// [`Status::NotAllowedInCurrentState`].
    pub fn snapshot_allowed(&self) -> Result<(), Status> {
        if self.streams.iter().any(Stream::active) {
            Ok(())
        } else {
            Err(Status::NotAllowedInCurrentState)
        }
    }

    /// Reads a characteristic that is not constant.
    ///
    /// # Errors
    /// [`Status::NotFound`] for an identifier that is not the camera's.
    pub fn read(&self, id: CharId, from: &Requester<'_>) -> Result<Value, Status> {
        if let Some((slot, which)) = StreamCharacteristic::of(id) {
            let stream = self.streams.get(slot).ok_or(Status::NotFound)?;
            return match which {
                StreamCharacteristic::StreamingStatus => Ok(Value::Tlv8(stream.status().encode())),
                StreamCharacteristic::SetupEndpoints => {
                    Ok(Value::Tlv8(stream.read_setup_endpoints(from.conn)))
                }
                StreamCharacteristic::Selected => Ok(Value::Tlv8(stream.read_selected())),
                StreamCharacteristic::Active => Ok(Value::UInt(stream.active().into())),
                _ => Err(Status::NotFound),
            };
        }
        match id.iid {
            iid::MICROPHONE_MUTE => Ok(Value::Bool(self.state.microphone.mute)),
            iid::MICROPHONE_VOLUME => Ok(Value::UInt(self.state.microphone.volume.into())),
            iid::SPEAKER_MUTE => Ok(Value::Bool(self.state.speaker.mute)),
            iid::SPEAKER_VOLUME => Ok(Value::UInt(self.state.speaker.volume.into())),
            _ => Err(Status::NotFound),
        }
    }

    /// Writes a characteristic; returns the write-response.
    ///
    /// # Errors
    /// The HAP status that tells the controller why nothing was changed.
    pub fn write(
        &mut self,
        id: CharId,
        value: &Value,
        from: &Requester<'_>,
        now: Instant,
        media: &mut dyn MediaHost,
    ) -> Result<Option<Value>, Status> {
        if id.aid != AID {
            return Err(Status::NotFound);
        }
        match StreamCharacteristic::of(id) {
            Some((slot, which)) => self.write_stream(slot, which, value, from, now, media),
            None => self.write_sound(id, value, from).map(|()| None),
        }
    }

    fn write_stream(
        &mut self,
        slot: usize,
        which: StreamCharacteristic,
        value: &Value,
        from: &Requester<'_>,
        now: Instant,
        media: &mut dyn MediaHost,
    ) -> Result<Option<Value>, Status> {
        let stream = self.streams.get_mut(slot).ok_or(Status::NotFound)?;
        let result = match (which, value) {
            (StreamCharacteristic::SetupEndpoints, Value::Tlv8(bytes)) => {
                let done = stream.setup_endpoints(bytes, from, now, media);
                done.map(|()| Some(Value::Tlv8(stream.read_setup_endpoints(from.conn))))
            }
            (StreamCharacteristic::Selected, Value::Tlv8(bytes)) => {
                stream.select(bytes, from, media).map(|()| None)
            }
            (StreamCharacteristic::Active, value) => {
                let active = as_flag(value)?;
                stream.set_active(active, media);
                self.active_written(slot, active, from.conn);
                Ok(None)
            }
            _ => Err(Status::InvalidValue),
        };
        self.announce_status();
        result
    }

    fn active_written(&mut self, slot: usize, active: bool, origin: ConnId) {
        if self.state.streams_active.len() <= slot {
            self.state.streams_active.resize(slot + 1, true);
        }
        if std::mem::replace(&mut self.state.streams_active[slot], active) != active {
            let id = StreamCharacteristic::Active.id(slot);
            self.changed(id, Value::UInt(active.into()), Some(origin));
            self.events.push_back(Event::Persist);
        }
    }

    fn write_sound(
        &mut self,
        id: CharId,
        value: &Value,
        from: &Requester<'_>,
    ) -> Result<(), Status> {
        let sound = match id.iid {
            iid::MICROPHONE_MUTE | iid::MICROPHONE_VOLUME => &mut self.state.microphone,
            iid::SPEAKER_MUTE | iid::SPEAKER_VOLUME => &mut self.state.speaker,
            _ => return Err(Status::NotFound),
        };
        let before = *sound;
        match id.iid {
            iid::MICROPHONE_MUTE | iid::SPEAKER_MUTE => sound.mute = as_flag(value)?,
            _ => sound.volume = as_percent(value)?,
        }
        if *sound != before {
            self.changed(id, value.clone(), Some(from.conn));
            self.events.push_back(Event::Persist);
        }
        Ok(())
    }

    fn each_stream(&mut self, call: impl FnMut(&mut Stream)) {
        self.streams.iter_mut().for_each(call);
        self.announce_status();
    }

    /// Streaming Status follows from the sessions: tell when it is no longer what was told last.
    fn announce_status(&mut self) {
        for slot in 0..self.streams.len() {
            let status = self.streams[slot].status();
            if std::mem::replace(&mut self.last_status[slot], status) != status {
                self.changed(
                    StreamCharacteristic::StreamingStatus.id(slot),
                    Value::Tlv8(status.encode()),
                    None,
                );
            }
        }
    }

    fn changed(&mut self, id: CharId, value: Value, origin: Option<ConnId>) {
        self.events.push_back(Event::Changed { id, value, origin });
    }
}

fn as_flag(value: &Value) -> Result<bool, Status> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::UInt(0) | Value::Int(0) => Ok(false),
        Value::UInt(1) | Value::Int(1) => Ok(true),
        _ => Err(Status::InvalidValue),
    }
}

fn as_percent(value: &Value) -> Result<u8, Status> {
    match value {
        Value::UInt(percent @ 0..=100) => u8::try_from(*percent).map_err(|_| Status::InvalidValue),
        _ => Err(Status::InvalidValue),
    }
}
