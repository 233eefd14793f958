//! A camera accessory: characteristic reads and writes on one side, media on the other.

mod announced;
mod recording;
mod sensors;

use std::collections::VecDeque;
use std::fmt;
use std::net::IpAddr;
use std::time::Instant;

use hap_proto::{CharId, ConnId, Status, Value};

use crate::Reason;
use crate::data_stream::DataStreams;
pub use crate::event::Event;
use crate::media::MediaHost;
use crate::operating_mode::OperatingMode;
use crate::recording::{Armed, Management, Recorder, RecordingState};
use crate::rtp::SrtpSuite;
use crate::sensor::Sensor;
use crate::services::{AID, Description, MAX_STREAMS, StreamCharacteristic, admin_only, iid};
pub use crate::sound::Sound;
use crate::sound::Sounds;
pub use crate::state::CameraState;
use crate::stream::{Stream, StreamKey};
use crate::value::as_flag;

/// Who reads or writes.
#[derive(Clone, Copy)]
pub struct Requester<'a> {
    /// The connection.
    pub conn: ConnId,
    /// Pairing identifier of the controller behind it.
    pub controller: Option<&'a str>,
    /// The accessory's own address on that connection: where media is sent from, too.
    pub local: IpAddr,
    /// Whether the controller is an admin.
    pub admin: bool,
    /// The shared secret of Pair Verify on that connection.
    pub shared_secret: Option<&'a [u8; 32]>,
}

impl fmt::Debug for Requester<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requester")
            .field("conn", &self.conn)
            .field("controller", &self.controller)
            .field("local", &self.local)
            .field("admin", &self.admin)
            .finish_non_exhaustive()
    }
}

/// A camera accessory.
pub struct Camera {
    streams: Vec<Stream>,
    /// Active of the stream services that this camera has not, or not any more.
    other_streams_active: Vec<bool>,
    sounds: Sounds,
    mode: OperatingMode,
    motion: Option<Sensor>,
    occupancy: Option<Sensor>,
    doorbell: bool,
    privacy_switch: bool,
    /// Where the camera does not record: what is kept for when it does again.
    management: Result<Management, RecordingState>,
    recorder: Recorder,
    data_streams: DataStreams,
    /// What follows from the above, as it was told last.
    announced: Vec<(CharId, Value)>,
    was_active: bool,
    was_armed: Option<Armed>,
    events: VecDeque<Event>,
}

/// The service that a characteristic belongs to.
enum Part {
    Stream(usize, StreamCharacteristic),
    Sound,
    Mode,
    Recording,
    DataStream,
    Derived,
}

impl Part {
    fn of(id: CharId) -> Result<Self, Status> {
        if id.aid != AID {
            return Err(Status::NotFound);
        }
        if let Some((slot, which)) = StreamCharacteristic::of(id) {
            return Ok(Self::Stream(slot, which));
        }
        Ok(match id.iid {
            iid::MICROPHONE..=iid::SPEAKER_VOLUME => Self::Sound,
            iid::EVENT_SNAPSHOTS_ACTIVE..=iid::PERIODIC_SNAPSHOTS_ACTIVE => Self::Mode,
            iid::RECORDING..=iid::RECORDING_AUDIO_ACTIVE => Self::Recording,
            iid::SETUP_DATA_STREAM => Self::DataStream,
            _ => Self::Derived,
        })
    }
}

impl Camera {
    /// A camera as described, in the state that was kept.
    #[must_use]
    pub fn new(description: &Description, state: CameraState) -> Self {
        let count = usize::from(description.streams.clamp(1, MAX_STREAMS));
        let other_streams_active = state.streams_active.get(count..).unwrap_or_default();
        let sensor = |present: bool| present.then(|| Sensor::new(description.motion_hold));
        let kept = state.recording.clone();
        let mut camera = Self {
            streams: streams(description, count, &state.streams_active),
            other_streams_active: other_streams_active.to_vec(),
            sounds: Sounds {
                microphone: state.microphone,
                speaker: state.speaker,
            },
            mode: OperatingMode::new(description.has_operating_mode(), state.operating_mode),
            motion: sensor(description.has_motion()),
            occupancy: sensor(description.occupancy),
            doorbell: description.doorbell,
            privacy_switch: description.privacy_switch,
            management: match &description.recording {
                Some(supported) => Ok(Management::new(supported.clone(), state.recording)),
                None => Err(state.recording),
            },
            recorder: Recorder::default(),
            data_streams: DataStreams::default(),
            announced: Vec::new(),
            was_active: true,
            was_armed: None,
            events: VecDeque::new(),
        };
        camera.remember_start(&kept);
        camera
    }

    /// What to keep across restarts.
    #[must_use]
    pub fn state(&self) -> CameraState {
        let active = self.streams.iter().map(Stream::active);
        CameraState {
            streams_active: active.chain(self.other_streams_active.clone()).collect(),
            microphone: self.sounds.microphone,
            speaker: self.sounds.speaker,
            operating_mode: *self.mode.state(),
            recording: match &self.management {
                Ok(management) => management.state().clone(),
                Err(kept) => kept.clone(),
            },
        }
    }

    /// Whether any stream service is switched on; Home switches them off where it only detects or records.
    #[must_use]
    pub fn offers_streams(&self) -> bool {
        self.streams.iter().any(Stream::active)
    }

    /// Whether the camera may see: neither switched off in Home nor by hand.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        self.mode.active()
    }

    /// The next thing that happened; drain after every call.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Camera::timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let streams = self.streams.iter().filter_map(Stream::deadline);
        let sensors = [&self.motion, &self.occupancy];
        let sensors = sensors.into_iter().flatten().filter_map(Sensor::deadline);
        streams.chain(sensors).chain(self.recorder.deadline()).min()
    }

    /// Time has passed.
    pub fn timeout(&mut self, now: Instant, media: &mut dyn MediaHost) {
        self.streams.iter_mut().for_each(|s| s.timeout(now, media));
        let sensors = [&mut self.motion, &mut self.occupancy];
        sensors.into_iter().flatten().for_each(|s| s.timeout(now));
        self.settle(media);
        self.recorder.advance(now, media, &mut self.events);
    }

    /// A HAP connection is gone.
    pub fn connection_closed(&mut self, conn: ConnId, media: &mut dyn MediaHost) {
        self.data_streams.connection_closed(conn);
        self.each_stream(media, |s, media| s.connection_closed(conn, media));
    }

    /// The media side lost a session: no RTCP, or it failed.
    pub fn stream_lost(&mut self, key: StreamKey, media: &mut dyn MediaHost) {
        self.each_stream(media, |s, media| s.lost(key, media));
    }

    /// Ends every session and the recording.
    pub fn stop_all(&mut self, media: &mut dyn MediaHost) {
        self.recorder
            .abort(Reason::Cancelled, media, &mut self.events);
        self.each_stream(media, Stream::end);
    }

    /// Whether a snapshot may be taken for `reason`: 0 periodically, 1 because of an event.
    ///
    /// # Errors
    /// [`Status::NotAllowedInCurrentState`], or [`Status::InsufficientPrivileges`] for a request that does not say
    /// why while one of the reasons is switched off.
    pub fn snapshot_allowed(&self, reason: Option<u8>) -> Result<(), Status> {
        if !self.streams.iter().any(Stream::active) {
            return Err(Status::NotAllowedInCurrentState);
        }
        self.mode.snapshot_allowed(reason)
    }

    /// Reads a characteristic that is not constant.
    ///
    /// # Errors
    /// [`Status::NotFound`] for an identifier that is not the camera's, [`Status::UnableToCommunicate`] for a
    /// recording configuration that was never selected.
    pub fn read(&self, id: CharId, from: &Requester<'_>) -> Result<Value, Status> {
        match Part::of(id)? {
            Part::Stream(slot, which) => {
                let stream = self.streams.get(slot).ok_or(Status::NotFound)?;
                read_stream(stream, which, from)
            }
            Part::Sound => self.sounds.read(id.iid),
            Part::Mode => self.mode.read(id.iid),
            Part::Recording => self.management()?.read(id.iid),
            Part::DataStream => self.management().map(|_| self.data_streams.read(from.conn)),
            Part::Derived => self.derived(id).ok_or(Status::NotFound),
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
        if admin_only(id) && !from.admin {
            return Err(Status::InsufficientPrivileges);
        }
        let result = match Part::of(id)? {
            Part::Stream(slot, which) => self.write_stream(slot, which, value, from, now, media),
            Part::DataStream => {
                self.management()?;
                self.data_streams.write(value, from, media).map(Some)
            }
            part => self.write_setting(&part, id, value, from),
        };
        self.settle(media);
        result
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
        match (which, value) {
            (StreamCharacteristic::SetupEndpoints, Value::Tlv8(bytes)) => {
                stream.setup_endpoints(bytes, from, now, media)?;
                Ok(Some(Value::Tlv8(stream.read_setup_endpoints(from.conn))))
            }
            (StreamCharacteristic::Selected, Value::Tlv8(bytes)) => {
                stream.select(bytes, from, media).map(|()| None)
            }
            (StreamCharacteristic::Active, value) => {
                let (active, before) = (as_flag(value)?, stream.active());
                stream.set_active(active, media);
                if active != before {
                    self.setting_changed(which.id(slot), value, from);
                }
                Ok(None)
            }
            _ => Err(Status::InvalidValue),
        }
    }

    /// Writes what only has to be remembered, and followed.
    fn write_setting(
        &mut self,
        part: &Part,
        id: CharId,
        value: &Value,
        from: &Requester<'_>,
    ) -> Result<Option<Value>, Status> {
        let changed = match part {
            Part::Sound => self.sounds.write(id.iid, value)?,
            Part::Mode => self.mode.write(id.iid, value)?,
            Part::Recording => self.write_recording(id.iid, value)?,
            _ => return Err(Status::NotFound),
        };
        if changed {
            self.setting_changed(id, value, from);
        }
        Ok(None)
    }

    fn setting_changed(&mut self, id: CharId, value: &Value, from: &Requester<'_>) {
        self.events.push_back(Event::Changed {
            id,
            value: value.clone(),
            origin: Some(from.conn),
        });
        self.events.push_back(Event::Persist);
    }

    fn each_stream(
        &mut self,
        media: &mut dyn MediaHost,
        call: impl Fn(&mut Stream, &mut dyn MediaHost),
    ) {
        self.streams.iter_mut().for_each(|s| call(s, media));
        self.settle(media);
    }

    /// Ends what may no longer be, and tells what follows from all that was changed.
    fn settle(&mut self, media: &mut dyn MediaHost) {
        let active = self.mode.active();
        self.streams
            .iter_mut()
            .for_each(|s| s.set_allowed(active, media));
        let sensors = [&mut self.motion, &mut self.occupancy];
        sensors
            .into_iter()
            .flatten()
            .for_each(|s| s.set_enabled(active));
        if !self.may_record() {
            self.recorder
                .abort(Reason::NotAllowed, media, &mut self.events);
        }
        self.recorder
            .set_motion(self.motion.as_ref().is_some_and(Sensor::reported));
        self.announce();
    }
}

fn streams(description: &Description, count: usize, active: &[bool]) -> Vec<Stream> {
    // A controller that asks for 256-bit keys without being offered them gets them.
    let mut suites = description.rtp.suites.clone();
    suites.push(SrtpSuite::AesCm256HmacSha1_80);
    let active = |slot: usize| active.get(slot).copied().unwrap_or(true);
    (0..count)
        .map(|slot| Stream::new(slot, active(slot), suites.clone()))
        .collect()
}

fn read_stream(
    stream: &Stream,
    which: StreamCharacteristic,
    from: &Requester<'_>,
) -> Result<Value, Status> {
    match which {
        StreamCharacteristic::StreamingStatus => Ok(Value::Tlv8(stream.status().encode())),
        StreamCharacteristic::SetupEndpoints => {
            Ok(Value::Tlv8(stream.read_setup_endpoints(from.conn)))
        }
        StreamCharacteristic::Selected => Ok(Value::Tlv8(stream.read_selected())),
        StreamCharacteristic::Active => Ok(Value::UInt(stream.active().into())),
        _ => Err(Status::NotFound),
    }
}
