//! A camera with a media side that notes what it is asked, and a clock of its own.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hap_camera::recording::{SelectedRecording, SupportedRecording, Triggers};
use hap_camera::rtp::*;
use hap_camera::services::{AID, Description, MOTION_HOLD, StreamCharacteristic as C, iid};
use hap_camera::{
    Camera, CameraState, Event, HdsId, MediaHost, MediaUnavailable, Outgoing, Ports, Reason,
    RecordingKey, Requester, StreamKey,
};
use hap_proto::{CharId, ConnId, Status, Value};

pub(crate) const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

/// What a hub wrote to a camera of 1200x1600.
pub(crate) const REAL_SELECTION: &str = "AR0BBKAPAAACCAEAAAAAAAAAAwsBAQACBgEEoA8AAAIkAQEAAhIBAQECAQIDBNAHAAAEBKAPAAADCwECsAQCAkAGAwEYAxQBAQACDwEBAQIBAAMBAwQEQAAAAA==";

/// The hub's data stream.
pub(crate) const HUB: HdsId = HdsId(1);

/// A data stream that was asked for: connection, secret, salts of controller and accessory.
pub(crate) type DataStream = (ConnId, [u8; 32], [u8; 32], [u8; 32]);

#[derive(Default)]
pub(crate) struct Media {
    pub(crate) calls: Vec<String>,
    pub(crate) data_streams: Vec<DataStream>,
    pub(crate) random: u8,
    pub(crate) fail_open: bool,
    pub(crate) fail_start: bool,
    pub(crate) fail_recording: bool,
    pub(crate) fail_data_stream: bool,
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
        conn: ConnId,
        shared_secret: &[u8; 32],
        controller_salt: &[u8; 32],
        accessory_salt: &[u8; 32],
    ) -> Result<u16, MediaUnavailable> {
        if self.fail_data_stream {
            return Err(MediaUnavailable);
        }
        self.data_streams
            .push((conn, *shared_secret, *controller_salt, *accessory_salt));
        Ok(51000)
    }
    fn start_recording(
        &mut self,
        key: RecordingKey,
        selected: &SelectedRecording,
        audio: bool,
    ) -> Result<(), MediaUnavailable> {
        if self.fail_recording {
            return Err(MediaUnavailable);
        }
        let sound = if audio { "with sound" } else { "mute" };
        let v = &selected.video;
        let size = format!("{}x{}", v.attributes.width, v.attributes.height);
        self.calls
            .push(format!("record {} {size} {} kbps {sound}", key.0, v.kbps));
        Ok(())
    }
    fn finish_recording(&mut self, key: RecordingKey) {
        self.calls.push(format!("finish {}", key.0));
    }
    fn stop_recording(&mut self, key: RecordingKey) {
        self.calls.push(format!("stop {}", key.0));
    }
}

/// A camera that only streams.
pub(crate) fn description() -> Description {
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

/// A doorbell that records, with everything there is.
pub(crate) fn doorbell() -> Description {
    Description {
        recording: Some(supported()),
        motion: true,
        occupancy: true,
        doorbell: true,
        privacy_switch: true,
        ..description()
    }
}

pub(crate) fn supported() -> SupportedRecording {
    let prebuffer = Duration::from_secs(4);
    SupportedRecording::for_source(1200, 1600, 24, prebuffer, Triggers::MOTION_AND_DOORBELL)
}

pub(crate) fn real_selection() -> Vec<u8> {
    STANDARD.decode(REAL_SELECTION).expect("base64")
}

pub(crate) fn phone(conn: u64) -> Requester<'static> {
    Requester {
        conn: ConnId(conn),
        controller: Some("phone"),
        local: LOCAL,
        admin: true,
        shared_secret: Some(&[7; 32]),
    }
}

pub(crate) fn request(session: u8) -> SetupEndpointsRequest {
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

pub(crate) fn start(session: u8) -> SelectedStreamConfiguration {
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

pub(crate) fn control(session: u8, command: StreamCommand) -> SelectedStreamConfiguration {
    SelectedStreamConfiguration::Control {
        session_id: [session; 16],
        command,
    }
}

/// The characteristic with this number.
pub(crate) const fn id(iid: u64) -> CharId {
    CharId { aid: AID, iid }
}

pub(crate) struct Bench {
    pub(crate) camera: Camera,
    pub(crate) media: Media,
    pub(crate) now: Instant,
}

impl Bench {
    /// A camera that only streams.
    pub(crate) fn new() -> Self {
        Self::of(&description())
    }

    pub(crate) fn of(description: &Description) -> Self {
        Self {
            camera: Camera::new(description, CameraState::default()),
            media: Media::default(),
            now: Instant::now(),
        }
    }

    /// A doorbell as a hub leaves it in "Stream & Allow Recording".
    pub(crate) fn armed() -> Self {
        let mut b = Self::of(&doorbell());
        b.set_flag(iid::RECORDING_ACTIVE, true);
        b.write(
            id(iid::SELECTED_RECORDING),
            Value::Tlv8(real_selection()),
            phone(9),
        )
        .unwrap();
        b.events();
        b
    }

    pub(crate) fn write(
        &mut self,
        id: CharId,
        value: Value,
        from: Requester<'_>,
    ) -> Result<Option<Value>, Status> {
        self.camera
            .write(id, &value, &from, self.now, &mut self.media)
    }

    /// Writes a characteristic that is 0 or 1.
    pub(crate) fn set_flag(&mut self, which: u64, on: bool) {
        self.write(id(which), Value::UInt(on.into()), phone(9))
            .unwrap();
    }

    pub(crate) fn read(&self, which: u64) -> Value {
        self.camera.read(id(which), &phone(9)).unwrap()
    }

    pub(crate) fn setup(
        &mut self,
        slot: usize,
        session: u8,
        from: Requester<'_>,
    ) -> SetupEndpointsResponse {
        self.write(
            C::SetupEndpoints.id(slot),
            Value::Tlv8(request(session).encode()),
            from,
        )
        .unwrap();
        self.read_setup(slot, from)
    }

    pub(crate) fn read_setup(&self, slot: usize, from: Requester<'_>) -> SetupEndpointsResponse {
        let Value::Tlv8(bytes) = self.camera.read(C::SetupEndpoints.id(slot), &from).unwrap()
        else {
            panic!("no TLV")
        };
        SetupEndpointsResponse::decode(&bytes).unwrap()
    }

    pub(crate) fn select(
        &mut self,
        slot: usize,
        what: &SelectedStreamConfiguration,
        from: Requester<'_>,
    ) -> Result<(), Status> {
        self.write(C::Selected.id(slot), Value::Tlv8(what.encode()), from)
            .map(|_| ())
    }

    pub(crate) fn status(&self, slot: usize) -> Vec<u8> {
        match self
            .camera
            .read(C::StreamingStatus.id(slot), &phone(0))
            .unwrap()
        {
            Value::Tlv8(bytes) => bytes,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.camera.poll_event()).collect()
    }

    /// Lets time pass, with every timer on the way.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.camera.poll_timeout().filter(|due| *due <= end) {
            assert!(due >= self.now, "a timer in the past is never armed again");
            self.now = due;
            self.camera.timeout(due, &mut self.media);
            let next = self.camera.poll_timeout();
            assert!(
                next.is_none_or(|next| next > due),
                "a timer that never ends"
            );
        }
        self.now = end;
    }

    pub(crate) fn motion(&mut self, detected: bool) {
        self.camera.motion(detected, self.now, &mut self.media);
    }

    pub(crate) fn open(&mut self, stream_id: i64) -> Result<RecordingKey, Reason> {
        self.camera
            .recording_open(HUB, stream_id, self.now, &mut self.media)
    }

    pub(crate) fn piece(&mut self, key: RecordingKey, last: bool) -> Option<Outgoing> {
        self.camera.recording_data(key, last, self.now)
    }

    pub(crate) fn manually_disabled(&mut self, disabled: bool) {
        self.camera.set_manually_disabled(disabled, &mut self.media);
    }
}
