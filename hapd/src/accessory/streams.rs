//! Between the session state machine of `hap-camera` and the media library: parameters over, events back.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use hap_camera::recording::{RecordingKey, SelectedRecording};
use hap_camera::rtp::{
    AudioCodec, AudioSelection, H264Level, H264Profile, RtpParameters, SetupEndpointsAnswer,
    SetupEndpointsRequest, SrtpParameters, SrtpSuite, VideoChange, VideoSelection,
};
use hap_camera::{MediaHost, MediaUnavailable, Ports, StreamKey};
use hap_proto::ConnId;
use hds_proto::SessionKeys;
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::actor::Message;
use super::data_streams::DataStreams;
use super::recordings;
use crate::{media, random};

/// Used when the controller gives none, or 0.
const DEFAULT_RTCP_INTERVAL: Duration = Duration::from_millis(500);

/// The sessions of one camera.
pub(super) struct Streams {
    name: String,
    camera: media::Camera,
    sessions: HashMap<StreamKey, media::Session>,
    data: DataStreams,
    recordings: media::Tell,
    actor: mpsc::WeakSender<Message>,
    /// Interface of the connection that sets up a stream, where its addresses are link-local.
    zone: u32,
}

impl Streams {
    pub(super) fn new(name: &str, camera: media::Camera, actor: mpsc::WeakSender<Message>) -> Self {
        Self {
            name: name.to_owned(),
            camera,
            sessions: HashMap::new(),
            data: DataStreams::new(name, actor.clone()),
            recordings: recordings::follow(actor.clone()),
            actor,
            zone: 0,
        }
    }

    pub(super) const fn camera(&self) -> &media::Camera {
        &self.camera
    }

    pub(super) const fn data(&self) -> &DataStreams {
        &self.data
    }

    /// Names the interface for streams that are set up next: link-local addresses mean nothing without, and
    /// controllers cannot send ours along.
    pub(super) fn set_zone(&mut self, zone: u32) {
        self.zone = zone;
    }

    /// Passes the session's events on to the actor.
    fn follow(&self, key: StreamKey, session: &media::Session) {
        let (Some(mut events), actor) = (session.events(), self.actor.clone()) else {
            return;
        };
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                let Some(actor) = actor.upgrade() else { return };
                if actor.send(Message::Session(key, event)).await.is_err() {
                    return;
                }
            }
        });
    }

    fn unavailable(&self, what: &str, error: &media::MediaError) -> MediaUnavailable {
        warn!(camera = self.name, %error, "{what}");
        MediaUnavailable
    }
}

impl MediaHost for Streams {
    fn random(&mut self, out: &mut [u8]) {
        random::fill(out);
    }

    fn open(
        &mut self,
        key: StreamKey,
        local: IpAddr,
        request: &SetupEndpointsRequest,
        ours: &SetupEndpointsAnswer,
    ) -> Result<Ports, MediaUnavailable> {
        let endpoint = |port, ssrc, own: &SrtpParameters, theirs: &SrtpParameters| {
            Ok(media::MediaEndpoint {
                remote: remote(request.controller.address, port, self.zone),
                ssrc,
                key: srtp_key(own)?,
                remote_key: srtp_key(theirs)?,
            })
        };
        let open = || {
            let c = &request.controller;
            self.camera.open_session(media::SessionEndpoints {
                local,
                video: endpoint(
                    c.video_port,
                    ours.video_ssrc,
                    &ours.video_srtp,
                    &request.video_srtp,
                )?,
                audio: endpoint(
                    c.audio_port,
                    ours.audio_ssrc,
                    &ours.audio_srtp,
                    &request.audio_srtp,
                )?,
            })
        };
        let session = open().map_err(|e| self.unavailable("cannot set up a stream", &e))?;
        let ports = Ports {
            video: session.video_port(),
            audio: session.audio_port(),
        };
        self.follow(key, &session);
        self.sessions.insert(key, session);
        Ok(ports)
    }

    fn start(
        &mut self,
        key: StreamKey,
        video: &VideoSelection,
        audio: Option<&AudioSelection>,
    ) -> Result<(), MediaUnavailable> {
        let session = self.sessions.get(&key).ok_or(MediaUnavailable)?;
        let a = &video.attributes;
        info!(
            camera = self.name,
            slot = key.slot,
            "stream starts: {}x{} at {} fps, at most {} kbit/s",
            a.width,
            a.height,
            a.fps,
            video.rtp.max_bitrate_kbps
        );
        let audio = audio.and_then(|a| self.audio_params(a));
        session
            .start(video_params(video), audio)
            .map_err(|e| self.unavailable("cannot start the stream", &e))
    }

    fn reconfigure(
        &mut self,
        key: StreamKey,
        change: &VideoChange,
    ) -> Result<(), MediaUnavailable> {
        let session = self.sessions.get(&key).ok_or(MediaUnavailable)?;
        let change = media::VideoChange {
            attributes: change.attributes.map(|a| (a.width, a.height, a.fps)),
            max_bitrate_kbps: change.max_bitrate_kbps.map(u32::from),
            rtcp_interval: change.min_rtcp_interval_s.and_then(interval),
        };
        info!(
            camera = self.name,
            slot = key.slot,
            ?change,
            "stream changes"
        );
        session
            .reconfigure(change)
            .map_err(|e| self.unavailable("cannot change the stream", &e))
    }

    fn suspend(&mut self, key: StreamKey, suspended: bool) {
        match self.sessions.get(&key) {
            Some(session) if suspended => session.suspend(),
            Some(session) => session.resume(),
            None => {}
        }
    }

    fn close(&mut self, key: StreamKey) {
        if let Some(session) = self.sessions.remove(&key) {
            info!(camera = self.name, slot = key.slot, stats = ?session.stats(), "stream ends");
            session.stop();
        }
    }

    fn open_data_stream(
        &mut self,
        conn: ConnId,
        shared_secret: &[u8; 32],
        controller_salt: &[u8; 32],
        accessory_salt: &[u8; 32],
    ) -> Result<u16, MediaUnavailable> {
        let keys = SessionKeys::derive(shared_secret, controller_salt, accessory_salt);
        self.data.set_up(conn, keys).map_err(|error| {
            warn!(camera = self.name, %error, "no port for a data stream");
            MediaUnavailable
        })
    }

    fn start_recording(
        &mut self,
        key: RecordingKey,
        selected: &SelectedRecording,
        audio: bool,
    ) -> Result<(), MediaUnavailable> {
        info!(camera = self.name, recording = key.0, "recording starts");
        let params = recordings::params(selected, audio);
        self.camera
            .start_recording(key.0, params, self.recordings.clone());
        Ok(())
    }

    fn finish_recording(&mut self, key: RecordingKey) {
        self.camera.finish_recording(key.0);
    }

    fn stop_recording(&mut self, key: RecordingKey) {
        info!(camera = self.name, recording = key.0, "recording stops");
        self.camera.stop_recording(key.0);
    }
}

impl Streams {
    /// `None` for a codec that was never offered: the video then goes without sound.
    fn audio_params(&self, audio: &AudioSelection) -> Option<media::AudioParams> {
        if audio.codec != AudioCodec::Opus {
            warn!(camera = self.name, codec = ?audio.codec, "the controller selected a codec that was not offered");
            return None;
        }
        let rtp = &audio.rtp;
        Some(media::AudioParams {
            sample_rate: audio.sample_rate.hz(),
            packet_time_ms: audio.packet_time_ms,
            payload_type: rtp.payload_type,
            remote_ssrc: rtp.ssrc,
            max_bitrate_kbps: rtp.max_bitrate_kbps.into(),
            rtcp_interval: Some(rtcp_interval(rtp)),
            channels: audio.channels,
        })
    }
}

fn remote(address: IpAddr, port: u16, zone: u32) -> SocketAddr {
    match address {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => SocketAddrV6::new(v6, port, 0, zone).into(),
        _ => SocketAddr::new(address, port),
    }
}

fn video_params(video: &VideoSelection) -> media::VideoParams {
    let rtp = &video.rtp;
    media::VideoParams {
        profile: h264_profile(video.profile),
        level: h264_level(video.level),
        width: video.attributes.width,
        height: video.attributes.height,
        fps: video.attributes.fps,
        max_bitrate_kbps: rtp.max_bitrate_kbps.into(),
        payload_type: rtp.payload_type,
        remote_ssrc: rtp.ssrc,
        mtu: rtp.mtu,
        rtcp_interval: Some(rtcp_interval(rtp)),
    }
}

pub(super) const fn h264_profile(profile: H264Profile) -> media::H264Profile {
    match profile {
        H264Profile::ConstrainedBaseline => media::H264Profile::ConstrainedBaseline,
        H264Profile::Main => media::H264Profile::Main,
        H264Profile::High => media::H264Profile::High,
    }
}

pub(super) const fn h264_level(level: H264Level) -> media::H264Level {
    match level {
        H264Level::L3_1 => media::H264Level::L3_1,
        H264Level::L3_2 => media::H264Level::L3_2,
        H264Level::L4_0 => media::H264Level::L4_0,
    }
}

fn rtcp_interval(rtp: &RtpParameters) -> Duration {
    interval(rtp.min_rtcp_interval_s).unwrap_or(DEFAULT_RTCP_INTERVAL)
}

/// Seconds as a duration between 0.1 and 60 s; 0 means "no wish".
fn interval(seconds: f32) -> Option<Duration> {
    (seconds > 0.0).then(|| Duration::from_secs_f32(seconds.clamp(0.1, 60.0)))
}

fn srtp_key(srtp: &SrtpParameters) -> Result<media::SrtpKey, media::MediaError> {
    let suite = match srtp.suite {
        SrtpSuite::AesCm256HmacSha1_80 => media::SrtpSuite::Aes256,
        _ => media::SrtpSuite::Aes128,
    };
    media::SrtpKey::new(suite, &srtp.key, &srtp.salt)
}
