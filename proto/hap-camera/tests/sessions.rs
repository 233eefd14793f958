//! The session state machine with a recording media side and a clock of its own.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use hap_camera::recording::SelectedRecording;
use hap_camera::rtp::*;
use hap_camera::services::{Description, MOTION_HOLD, StreamCharacteristic as C, accessory};
use hap_camera::{
    Camera, CameraState, Event, MediaHost, MediaUnavailable, Ports, RecordingKey, Requester,
    StreamKey,
};
use hap_proto::{CharId, ConnId, Status, Value};

#[derive(Default)]
struct Media {
    calls: Vec<String>,
    random: u8,
    fail_open: bool,
    fail_start: bool,
}

impl MediaHost for Media {
    fn random(&mut self, out: &mut [u8]) {
        self.random = self.random.wrapping_add(1);
        out.fill(self.random);
    }
    fn open(
        &mut self,
        key: StreamKey,
        local: IpAddr,
        _: &SetupEndpointsRequest,
        _: &SetupEndpointsAnswer,
    ) -> Result<Ports, MediaUnavailable> {
        if self.fail_open {
            return Err(MediaUnavailable);
        }
        self.calls
            .push(format!("open {}/{} at {local}", key.slot, key.serial));
        Ok(Ports {
            video: 40000,
            audio: 40002,
        })
    }
    fn start(
        &mut self,
        key: StreamKey,
        v: &VideoSelection,
        _: Option<&AudioSelection>,
    ) -> Result<(), MediaUnavailable> {
        self.calls.push(format!(
            "start {}/{} {}x{}",
            key.slot, key.serial, v.attributes.width, v.attributes.height
        ));
        if self.fail_start {
            Err(MediaUnavailable)
        } else {
            Ok(())
        }
    }
    fn reconfigure(
        &mut self,
        key: StreamKey,
        change: &VideoChange,
    ) -> Result<(), MediaUnavailable> {
        self.calls.push(format!(
            "reconfigure {}/{} {:?}",
            key.slot, key.serial, change.max_bitrate_kbps
        ));
        Ok(())
    }
    fn suspend(&mut self, key: StreamKey, suspended: bool) {
        self.calls
            .push(format!("suspend {}/{} {suspended}", key.slot, key.serial));
    }
    fn close(&mut self, key: StreamKey) {
        self.calls
            .push(format!("close {}/{}", key.slot, key.serial));
    }
    fn open_data_stream(
        &mut self,
        _: ConnId,
        _: &[u8; 32],
        _: &[u8; 32],
        _: &[u8; 32],
    ) -> Result<u16, MediaUnavailable> {
        Err(MediaUnavailable)
    }
    fn start_recording(
        &mut self,
        _: RecordingKey,
        _: &SelectedRecording,
        _: bool,
    ) -> Result<(), MediaUnavailable> {
        Err(MediaUnavailable)
    }
    fn finish_recording(&mut self, _: RecordingKey) {}
    fn stop_recording(&mut self, _: RecordingKey) {}
}

struct Bench {
    camera: Camera,
    media: Media,
    now: Instant,
}

const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

fn description() -> Description {
    Description {
        name: "Test".into(),
        manufacturer: "m".into(),
        model: "m".into(),
        serial_number: "s".into(),
        firmware_revision: "1.0.0".into(),
        streams: 2,
        video: SupportedVideo::up_to(1920, 1080),
        audio: SupportedAudio::opus(),
        rtp: SupportedRtp::default(),
        speaker: true,
        recording: None,
        motion: false,
        occupancy: false,
        doorbell: false,
        privacy_switch: false,
        motion_hold: MOTION_HOLD,
    }
}

fn phone(conn: u64) -> Requester<'static> {
    Requester {
        conn: ConnId(conn),
        controller: Some("phone"),
        local: LOCAL,
        admin: true,
        shared_secret: None,
    }
}

fn request(session: u8) -> SetupEndpointsRequest {
    let srtp = || SrtpParameters {
        suite: SrtpSuite::AesCm128HmacSha1_80,
        key: vec![1; 16].into(),
        salt: vec![2; 14].into(),
    };
    let controller = Endpoint {
        address: "192.0.2.9".parse().unwrap(),
        video_port: 5000,
        audio_port: 5002,
    };
    SetupEndpointsRequest {
        session_id: [session; 16],
        controller,
        video_srtp: srtp(),
        audio_srtp: srtp(),
    }
}

fn start(session: u8) -> SelectedStreamConfiguration {
    let rtp = RtpParameters {
        payload_type: 99,
        ssrc: 1,
        max_bitrate_kbps: 299,
        min_rtcp_interval_s: 0.5,
        mtu: Some(1378),
        comfort_noise_pt: None,
    };
    let attributes = VideoAttributes::new(1280, 720, 30);
    let video = VideoSelection {
        profile: H264Profile::Main,
        level: H264Level::L3_1,
        attributes,
        rtp,
    };
    SelectedStreamConfiguration::Start {
        session_id: [session; 16],
        video,
        audio: None,
    }
}

fn control(session: u8, command: StreamCommand) -> SelectedStreamConfiguration {
    SelectedStreamConfiguration::Control {
        session_id: [session; 16],
        command,
    }
}

impl Bench {
    fn new() -> Self {
        let camera = Camera::new(&description(), CameraState::default());
        Self {
            camera,
            media: Media::default(),
            now: Instant::now(),
        }
    }

    fn write(
        &mut self,
        id: CharId,
        value: Value,
        from: Requester<'_>,
    ) -> Result<Option<Value>, Status> {
        self.camera
            .write(id, &value, &from, self.now, &mut self.media)
    }

    fn setup(&mut self, slot: usize, session: u8, from: Requester<'_>) -> SetupEndpointsResponse {
        self.write(
            C::SetupEndpoints.id(slot),
            Value::Tlv8(request(session).encode()),
            from,
        )
        .unwrap();
        self.read_setup(slot, from)
    }

    fn read_setup(&self, slot: usize, from: Requester<'_>) -> SetupEndpointsResponse {
        let Value::Tlv8(bytes) = self.camera.read(C::SetupEndpoints.id(slot), &from).unwrap()
        else {
            panic!("no TLV")
        };
        SetupEndpointsResponse::decode(&bytes).unwrap()
    }

    fn select(
        &mut self,
        slot: usize,
        what: &SelectedStreamConfiguration,
        from: Requester<'_>,
    ) -> Result<(), Status> {
        self.write(C::Selected.id(slot), Value::Tlv8(what.encode()), from)
            .map(|_| ())
    }

    fn status(&self, slot: usize) -> Vec<u8> {
        match self
            .camera
            .read(C::StreamingStatus.id(slot), &phone(0))
            .unwrap()
        {
            Value::Tlv8(bytes) => bytes,
            other => panic!("{other:?}"),
        }
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.camera.poll_event()).collect()
    }
}

#[test]
fn a_session_from_setup_to_end() {
    let mut b = Bench::new();
    assert_eq!(b.read_setup(0, phone(1)), SetupEndpointsResponse::idle());
    let answer = b.setup(0, 7, phone(1)).result.unwrap();
    assert_eq!(
        (answer.accessory.video_port, answer.accessory.audio_port),
        (40000, 40002)
    );
    assert_eq!(answer.accessory.address, LOCAL);
    assert_ne!(answer.video_srtp.key, answer.audio_srtp.key);
    assert_ne!(answer.video_ssrc, answer.audio_ssrc);
    assert_eq!(b.status(0), [1, 1, 1]);
    b.select(0, &start(7), phone(1)).unwrap();
    b.select(0, &control(7, StreamCommand::Suspend), phone(1))
        .unwrap();
    b.select(0, &control(7, StreamCommand::Resume), phone(1))
        .unwrap();
    let change = VideoChange {
        max_bitrate_kbps: Some(132),
        ..VideoChange::default()
    };
    let reconfigure = SelectedStreamConfiguration::Reconfigure {
        session_id: [7; 16],
        video: change,
    };
    b.select(0, &reconfigure, phone(1)).unwrap();
    b.select(0, &control(7, StreamCommand::End), phone(1))
        .unwrap();
    let expected = [
        "open 0/1 at 192.0.2.1",
        "start 0/1 1280x720",
        "suspend 0/1 true",
        "suspend 0/1 false",
        "reconfigure 0/1 Some(132)",
        "close 0/1",
    ];
    assert_eq!(b.media.calls, expected);
    assert_eq!(b.status(0), [1, 1, 0]);
    assert_eq!(b.read_setup(0, phone(1)), SetupEndpointsResponse::idle());
    // Controllers were seen to reconfigure after a stop: refused, not left hanging.
    assert_eq!(
        b.select(0, &reconfigure, phone(1)),
        Err(Status::InvalidValue)
    );
}

#[test]
fn status_changes_are_announced_once() {
    let mut b = Bench::new();
    b.setup(0, 7, phone(1));
    b.select(0, &start(7), phone(1)).unwrap();
    b.camera.connection_closed(ConnId(1), &mut b.media);
    let id = C::StreamingStatus.id(0);
    let status = |s: StreamingStatus| Event::Changed {
        id,
        value: Value::Tlv8(s.encode()),
        origin: None,
    };
    assert_eq!(
        b.events(),
        [
            status(StreamingStatus::InUse),
            status(StreamingStatus::Available)
        ]
    );
}

#[test]
fn a_busy_service_says_so_only_to_the_second_controller() {
    let mut b = Bench::new();
    b.setup(0, 7, phone(1));
    let second = b.setup(0, 9, phone(2));
    assert_eq!(
        second,
        SetupEndpointsResponse {
            session_id: Some([9; 16]),
            result: Err(SetupStatus::Busy)
        }
    );
    assert!(b.read_setup(0, phone(1)).result.is_ok());
    assert!(
        b.setup(1, 9, phone(2)).result.is_ok(),
        "the other service is free"
    );
}

#[test]
fn endpoints_never_started_expire() {
    let mut b = Bench::new();
    b.setup(0, 7, phone(1));
    assert_eq!(
        b.camera.poll_timeout(),
        Some(b.now + Duration::from_secs(30))
    );
    b.camera
        .timeout(b.now + Duration::from_secs(29), &mut b.media);
    assert_eq!(b.status(0), [1, 1, 1]);
    b.camera
        .timeout(b.now + Duration::from_secs(30), &mut b.media);
    assert_eq!(b.status(0), [1, 1, 0]);
    assert_eq!(b.media.calls.last().unwrap(), "close 0/1");
    assert_eq!(b.camera.poll_timeout(), None);
    assert_eq!(b.select(0, &start(7), phone(1)), Err(Status::InvalidValue));
}

#[test]
fn a_started_session_does_not_expire() {
    let mut b = Bench::new();
    b.setup(0, 7, phone(1));
    b.select(0, &start(7), phone(1)).unwrap();
    assert_eq!(b.camera.poll_timeout(), None);
    assert_eq!(
        b.select(0, &start(7), phone(1)),
        Err(Status::NotAllowedInCurrentState)
    );
}

#[test]
fn the_same_connection_may_set_up_again_before_it_starts() {
    let mut b = Bench::new();
    b.setup(0, 7, phone(1));
    assert!(b.setup(0, 8, phone(1)).result.is_ok());
    assert_eq!(
        b.media.calls,
        [
            "open 0/1 at 192.0.2.1",
            "close 0/1",
            "open 0/2 at 192.0.2.1"
        ]
    );
    b.select(0, &start(8), phone(1)).unwrap();
    let again = b.setup(0, 9, phone(1));
    assert_eq!(
        again.result,
        Err(SetupStatus::Busy),
        "a running session is not replaced"
    );
}

#[test]
fn another_controllers_stream_cannot_be_ended() {
    let mut b = Bench::new();
    b.setup(0, 7, phone(1));
    b.select(0, &start(7), phone(1)).unwrap();
    let other = Requester {
        conn: ConnId(2),
        controller: Some("other"),
        local: LOCAL,
        admin: false,
        shared_secret: None,
    };
    assert_eq!(
        b.select(0, &control(7, StreamCommand::End), other),
        Err(Status::InsufficientPrivileges)
    );
    assert_eq!(b.status(0), [1, 1, 1]);
}

#[test]
fn a_lost_stream_frees_the_service_and_only_that_one() {
    let mut b = Bench::new();
    b.setup(0, 7, phone(1));
    b.select(0, &start(7), phone(1)).unwrap();
    b.setup(1, 8, phone(1));
    b.camera.stream_lost(
        StreamKey {
            slot: 0,
            serial: 99,
        },
        &mut b.media,
    );
    assert_eq!(
        b.status(0),
        [1, 1, 1],
        "an older session's end is not this one's"
    );
    b.camera
        .stream_lost(StreamKey { slot: 0, serial: 1 }, &mut b.media);
    assert_eq!((b.status(0), b.status(1)), (vec![1, 1, 0], vec![1, 1, 1]));
}

#[test]
fn active_off_ends_and_gates_and_persists() {
    let mut b = Bench::new();
    b.setup(0, 7, phone(1));
    b.select(0, &start(7), phone(1)).unwrap();
    b.events();
    b.write(C::Active.id(0), Value::UInt(0), phone(2)).unwrap();
    assert_eq!(b.media.calls.last().unwrap(), "close 0/1");
    let setup = b.write(
        C::SetupEndpoints.id(0),
        Value::Tlv8(request(8).encode()),
        phone(1),
    );
    assert_eq!(setup, Err(Status::NotAllowedInCurrentState));
    assert_eq!(
        b.select(0, &start(7), phone(1)),
        Err(Status::NotAllowedInCurrentState)
    );
    let events = b.events();
    assert!(events.contains(&Event::Persist));
    let active = Event::Changed {
        id: C::Active.id(0),
        value: Value::UInt(0),
        origin: Some(ConnId(2)),
    };
    assert!(events.contains(&active), "{events:?}");
    assert_eq!(b.camera.snapshot_allowed(Some(0)), Ok(()));
    b.write(C::Active.id(1), Value::UInt(0), phone(2)).unwrap();
    assert_eq!(
        b.camera.snapshot_allowed(Some(0)),
        Err(Status::NotAllowedInCurrentState)
    );
    let again = Camera::new(&description(), b.camera.state().clone());
    assert_eq!(again.read(C::Active.id(0), &phone(1)), Ok(Value::UInt(0)));
}

#[test]
fn failures_of_the_media_side_are_answered_and_leave_the_service_free() {
    let mut b = Bench::new();
    b.media.fail_open = true;
    assert_eq!(b.setup(0, 7, phone(1)).result, Err(SetupStatus::Error));
    b.media.fail_open = false;
    b.media.fail_start = true;
    b.setup(0, 7, phone(1));
    assert_eq!(
        b.select(0, &start(7), phone(1)),
        Err(Status::UnableToCommunicate)
    );
    assert_eq!(b.status(0), [1, 1, 0]);
    assert_eq!(b.media.calls.last().unwrap(), "close 0/2");
}

#[test]
fn unencrypted_or_foreign_family_requests_are_refused() {
    let mut b = Bench::new();
    let mut plain = request(7);
    plain.video_srtp = SrtpParameters {
        suite: SrtpSuite::None,
        key: vec![].into(),
        salt: vec![].into(),
    };
    b.write(
        C::SetupEndpoints.id(0),
        Value::Tlv8(plain.encode()),
        phone(1),
    )
    .unwrap();
    assert_eq!(b.read_setup(0, phone(1)).result, Err(SetupStatus::Error));
    let mut six = request(7);
    six.controller.address = "2001:db8::1".parse().unwrap();
    b.write(C::SetupEndpoints.id(0), Value::Tlv8(six.encode()), phone(1))
        .unwrap();
    assert_eq!(b.read_setup(0, phone(1)).result, Err(SetupStatus::Error));
    assert_eq!(
        b.write(C::SetupEndpoints.id(0), Value::Tlv8(vec![1, 2]), phone(1)),
        Err(Status::InvalidValue)
    );
    assert!(b.media.calls.is_empty());
}

#[test]
fn sound_characteristics_keep_their_values() {
    let mut b = Bench::new();
    let mute = CharId {
        aid: 1,
        iid: hap_camera::services::iid::SPEAKER_MUTE,
    };
    let volume = CharId {
        aid: 1,
        iid: hap_camera::services::iid::SPEAKER_VOLUME,
    };
    b.write(mute, Value::Bool(true), phone(1)).unwrap();
    b.write(volume, Value::UInt(40), phone(1)).unwrap();
    assert_eq!(
        b.write(volume, Value::UInt(101), phone(1)),
        Err(Status::InvalidValue)
    );
    assert_eq!(b.camera.read(mute, &phone(1)), Ok(Value::Bool(true)));
    assert_eq!(b.camera.read(volume, &phone(1)), Ok(Value::UInt(40)));
}

#[test]
fn the_database_is_well_formed_and_its_identifiers_never_move() {
    let mut ten = description();
    ten.streams = 10;
    let database = hap_proto::database::Database::new(vec![accessory(&ten)]).unwrap();
    assert_ne!(database.digest(), [0; 32]);
    let iids: Vec<_> = accessory(&description())
        .services
        .iter()
        .map(|s| s.iid)
        .collect();
    assert_eq!(iids, [1, 0x10, 0x100, 0x110, 0x20, 0x30]);
    assert_eq!(C::Selected.id(9), CharId { aid: 1, iid: 0x196 });
    assert_eq!(C::of(CharId { aid: 1, iid: 0x196 }), Some((9, C::Selected)));
    assert_eq!(C::of(CharId { aid: 1, iid: 0x1a6 }), None);
}
