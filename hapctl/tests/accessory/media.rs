//! Media of the test camera: H.264 that names its size, Opus packets, sender reports.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::Duration;

use hap_camera::recording::{RecordingKey, SelectedRecording};
use hap_camera::rtp::{
    AudioSelection, SetupEndpointsAnswer, SetupEndpointsRequest, SrtpParameters, VideoChange,
    VideoSelection,
};
use hap_camera::{MediaHost, MediaUnavailable, Ports, StreamKey};
use hap_proto::ConnId;
use rtp_feedback::{NtpTime, SenderInfo, Writer};
use rtp_payload::Header;
use rtp_payload::h264::{Format, Packetizer};
use srtp::{MasterKey, Suite};

use super::recorder::Recorder;

/// Parameter sets of the sizes there are.
const SPS: [(u16, &str); 3] = [
    (720, "6742c01fd9005005bb0110000003001000000303c0f1832480"),
    (360, "6742c01ed900a02ff970110000030001000003003c0f162e48"),
    (240, "6742c00dd90141fb0110000003001000000303c0f142a480"),
];

/// The header of a JPEG picture of this size; no decoder would take it for more.
pub(super) fn picture(width: u16, height: u16) -> Vec<u8> {
    let mut out = vec![0xFF, 0xD8, 0xFF, 0xC0, 0, 11, 8];
    out.extend(height.to_be_bytes());
    out.extend(width.to_be_bytes());
    out.extend([1, 1, 0x11, 0, 0xFF, 0xDA, 0, 2]);
    out
}

/// All sessions, and what is recorded.
pub(super) struct Senders {
    sessions: HashMap<StreamKey, Session>,
    pub(super) recorder: Recorder,
}

impl Senders {
    pub(super) fn new(recorder: Recorder) -> Self {
        Self {
            sessions: HashMap::new(),
            recorder,
        }
    }
}

struct Session {
    video: UdpSocket,
    audio: UdpSocket,
    request: SetupEndpointsRequest,
    ours: SetupEndpointsAnswer,
    control: Arc<Control>,
}

#[derive(Default)]
struct Control {
    height: AtomicU16,
    suspended: AtomicBool,
    stopped: AtomicBool,
}

impl MediaHost for Senders {
    fn random(&mut self, out: &mut [u8]) {
        hapctl::random(out).unwrap();
    }

    fn open(
        &mut self,
        key: StreamKey,
        local: IpAddr,
        request: &SetupEndpointsRequest,
        ours: &SetupEndpointsAnswer,
    ) -> Result<Ports, MediaUnavailable> {
        let (video, audio) = (
            UdpSocket::bind((local, 0)).unwrap(),
            UdpSocket::bind((local, 0)).unwrap(),
        );
        let port = |socket: &UdpSocket| socket.local_addr().unwrap().port();
        let ports = Ports {
            video: port(&video),
            audio: port(&audio),
        };
        let session = Session {
            video,
            audio,
            request: request.clone(),
            ours: ours.clone(),
            control: Arc::default(),
        };
        self.sessions.insert(key, session);
        Ok(ports)
    }

    fn start(
        &mut self,
        key: StreamKey,
        video: &VideoSelection,
        audio: Option<&AudioSelection>,
    ) -> Result<(), MediaUnavailable> {
        let session = &self.sessions[&key];
        let (to, control) = (session.request.controller, Arc::clone(&session.control));
        control
            .height
            .store(video.attributes.height, Ordering::Relaxed);
        let mut v = Medium::new(
            &session.video,
            SocketAddr::new(to.address, to.video_port),
            &session.ours.video_srtp,
            session.ours.video_ssrc,
            video.rtp.payload_type,
        );
        let mut a = audio.map(|a| {
            let medium = Medium::new(
                &session.audio,
                SocketAddr::new(to.address, to.audio_port),
                &session.ours.audio_srtp,
                session.ours.audio_ssrc,
                a.rtp.payload_type,
            );
            (medium, a.sample_rate.hz() / 50)
        });
        std::thread::spawn(move || play(&control, &mut v, a.as_mut()));
        Ok(())
    }

    fn reconfigure(
        &mut self,
        key: StreamKey,
        change: &VideoChange,
    ) -> Result<(), MediaUnavailable> {
        let attributes = change.attributes.ok_or(MediaUnavailable)?;
        let control = &self.sessions[&key].control;
        control.height.store(attributes.height, Ordering::Relaxed);
        Ok(())
    }

    fn suspend(&mut self, key: StreamKey, suspended: bool) {
        self.sessions[&key]
            .control
            .suspended
            .store(suspended, Ordering::Relaxed);
    }

    fn close(&mut self, key: StreamKey) {
        if let Some(session) = self.sessions.remove(&key) {
            session.control.stopped.store(true, Ordering::Relaxed);
        }
    }

    fn open_data_stream(
        &mut self,
        conn: ConnId,
        shared_secret: &[u8; 32],
        controller_salt: &[u8; 32],
        accessory_salt: &[u8; 32],
    ) -> Result<u16, MediaUnavailable> {
        let salts = [controller_salt, accessory_salt];
        Ok(self.recorder.set_up(conn.0, shared_secret, salts))
    }

    fn start_recording(
        &mut self,
        key: RecordingKey,
        _: &SelectedRecording,
        _: bool,
    ) -> Result<(), MediaUnavailable> {
        self.recorder.start(key)
    }

    fn finish_recording(&mut self, _: RecordingKey) {
        self.recorder.finish();
    }

    fn stop_recording(&mut self, _: RecordingKey) {
        self.recorder.stop();
    }
}

/// Sends every 20 ms until stopped: sound each time, a picture every other time.
fn play(control: &Control, video: &mut Medium, mut audio: Option<&mut (Medium, u32)>) {
    let mut packetizer = Packetizer::new(1300);
    let mut height = 0;
    for n in 0u32.. {
        if control.stopped.load(Ordering::Relaxed) {
            break;
        }
        if !control.suspended.load(Ordering::Relaxed) {
            if let Some((audio, samples)) = &mut audio {
                audio.send(n * *samples, true, &[0x48, 1, 2, 3]);
            }
            let wanted = control.height.load(Ordering::Relaxed);
            if n % 2 == 0 {
                let unit = access_unit(wanted, n % 30 == 0 || wanted != height);
                height = wanted;
                for payload in packetizer
                    .access_unit(&unit, Format::AnnexB)
                    .unwrap()
                    .payloads()
                {
                    let mut bytes = Vec::new();
                    payload.write_to(&mut bytes);
                    video.send(n * 1800, payload.marker, &bytes);
                }
            }
        }
        if n % 25 == 0 {
            video.report(n * 1800);
            if let Some((audio, samples)) = &mut audio {
                audio.report(n * *samples);
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    video.bye();
    if let Some((audio, _)) = audio {
        audio.bye();
    }
}

fn access_unit(height: u16, key: bool) -> Vec<u8> {
    let nal = |bytes: &[u8]| [&[0, 0, 0, 1], bytes].concat();
    if !key {
        return nal(&[&[0x41][..], &[0x55; 200]].concat());
    }
    let (_, sps) = SPS
        .iter()
        .find(|(h, _)| *h == height)
        .expect("a size there is");
    let slice = [&[0x65][..], &[0xAA; 5000]].concat();
    let sps = hapctl::hex::decode(sps).unwrap();
    [nal(&sps), nal(&[0x68, 0xCE, 0x3C, 0x80]), nal(&slice)].concat()
}

struct Medium {
    socket: UdpSocket,
    to: SocketAddr,
    srtp: srtp::Sender,
    ssrc: u32,
    payload_type: u8,
    sequence: u16,
    packets: u32,
}

impl Medium {
    fn new(
        socket: &UdpSocket,
        to: SocketAddr,
        key: &SrtpParameters,
        ssrc: u32,
        payload_type: u8,
    ) -> Self {
        let suite = Suite::AesCm128HmacSha1_80;
        Self {
            socket: socket.try_clone().unwrap(),
            to,
            srtp: srtp::Sender::new(&MasterKey::new(suite, &key.key, &key.salt).unwrap()),
            ssrc,
            payload_type,
            sequence: 65_500,
            packets: 0,
        }
    }

    fn send(&mut self, timestamp: u32, marker: bool, payload: &[u8]) {
        let header = Header {
            marker,
            payload_type: self.payload_type,
            sequence: self.sequence,
            timestamp,
            ssrc: self.ssrc,
        };
        self.sequence = self.sequence.wrapping_add(1);
        self.packets += 1;
        let mut packet = header.to_bytes().to_vec();
        packet.extend_from_slice(payload);
        self.srtp.protect_rtp(&mut packet).unwrap();
        self.socket.send_to(&packet, self.to).unwrap();
    }

    fn report(&mut self, rtp_timestamp: u32) {
        let info = SenderInfo {
            ntp: NtpTime::from_bits(1 << 40),
            rtp_timestamp,
            packets: self.packets,
            octets: 0,
        };
        self.rtcp(
            Writer::new(self.ssrc)
                .sender_report(info, &[])
                .canonical_name("test"),
        );
    }

    fn bye(&mut self) {
        self.rtcp(Writer::new(self.ssrc).receiver_report(&[]).bye());
    }

    fn rtcp(&mut self, compound: Writer) {
        let mut bytes = compound.finish();
        self.srtp.protect_rtcp(&mut bytes).unwrap();
        self.socket.send_to(&bytes, self.to).unwrap();
    }
}
