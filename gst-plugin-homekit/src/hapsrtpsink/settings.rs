//! What the application asks for.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use gst::glib;
use gst::prelude::*;
use rtp_payload::Orientation;
use srtp::{KeyError, MasterKey};
use zeroize::Zeroizing;

use super::SrtpSuite;
use super::pacer::Pace;
use super::stream::{Stream, StreamConfig, Turned};
use crate::secret;

/// Values of the properties. Has no `Debug`: it holds keys.
pub(crate) struct Settings {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) bind_address: String,
    pub(crate) bind_port: u16,
    pub(crate) ssrc: u32,
    pub(crate) remote_ssrc: u32,
    pub(crate) payload_type: u8,
    pub(crate) mtu: u32,
    pub(crate) clock_rate: u32,
    pub(crate) packet_time: u32,
    pub(crate) suite: SrtpSuite,
    pub(crate) key: Zeroizing<Vec<u8>>,
    pub(crate) remote_key: Zeroizing<Vec<u8>>,
    /// Counts the changes of keys, suite and SSRC: under the same ones SRTP must go on counting.
    pub(crate) key_generation: u64,
    pub(crate) rtcp_interval: u32,
    pub(crate) rtcp_timeout: u32,
    pub(crate) canonical_name: String,
    pub(crate) active: bool,
    pub(crate) pacing: f64,
    pub(crate) target_bitrate: u32,
    pub(crate) min_bitrate: u32,
    pub(crate) key_frame_interval: u32,
    pub(crate) cvo_id: u8,
    /// The byte of 3GPP TS 26.114.
    pub(crate) video_orientation: u8,
}

pub(crate) const DEFAULT_MTU: u32 = 1378;
pub(crate) const DEFAULT_PACING: f64 = 8.0;
pub(crate) const DEFAULT_RTCP_INTERVAL: u32 = 500;
pub(crate) const DEFAULT_RTCP_TIMEOUT: u32 = 30_000;

impl Default for Settings {
    fn default() -> Self {
        Self {
            host: String::new(),
            port: 0,
            bind_address: String::new(),
            bind_port: 0,
            ssrc: 0,
            remote_ssrc: 0,
            payload_type: 0,
            mtu: DEFAULT_MTU,
            clock_rate: 0,
            packet_time: 0,
            suite: SrtpSuite::default(),
            key: Zeroizing::default(),
            remote_key: Zeroizing::default(),
            key_generation: 0,
            rtcp_interval: DEFAULT_RTCP_INTERVAL,
            rtcp_timeout: DEFAULT_RTCP_TIMEOUT,
            canonical_name: String::new(),
            active: true,
            pacing: DEFAULT_PACING,
            target_bitrate: 0,
            min_bitrate: 0,
            key_frame_interval: 0,
            cvo_id: 0,
            video_orientation: 0,
        }
    }
}

impl Settings {
    /// The key that protects what we send.
    pub(crate) fn master_key(&self) -> Result<MasterKey, KeyError> {
        MasterKey::from_key_and_salt(self.suite.into(), &self.key)
    }

    /// The key of what we receive.
    pub(crate) fn remote_master_key(&self) -> Result<MasterKey, KeyError> {
        let key = match self.remote_key.is_empty() {
            true => &self.key,
            false => &self.remote_key,
        };
        MasterKey::from_key_and_salt(self.suite.into(), key)
    }

    pub(crate) fn report_interval(&self) -> Duration {
        Duration::from_millis(self.rtcp_interval.into())
    }

    pub(crate) fn silence_timeout(&self) -> Option<Duration> {
        nonzero(self.rtcp_timeout).map(|ms| Duration::from_millis(ms.into()))
    }

    pub(crate) fn stream_config(&self) -> StreamConfig {
        StreamConfig {
            remote_ssrc: nonzero(self.remote_ssrc),
            payload_type: Some(self.payload_type).filter(|&pt| pt != 0),
            mtu: self.mtu as usize,
            audio_clock_rate: nonzero(self.clock_rate),
            packet_time: nonzero(self.packet_time).map(|ms| Duration::from_millis(ms.into())),
            canonical_name: self.canonical_name(),
            report_interval: self.report_interval(),
            silence_timeout: self.silence_timeout(),
            active: self.active,
            pace: self.pace(),
            min_bitrate: self.min_bitrate,
            key_frame_interval: self.key_frame_interval(),
            orientation: self.orientation(),
        }
    }

    fn key_frame_interval(&self) -> Option<Duration> {
        nonzero(self.key_frame_interval).map(|ms| Duration::from_millis(ms.into()))
    }

    fn orientation(&self) -> Turned {
        Turned {
            id: self.cvo_id,
            orientation: Orientation::from_byte(self.video_orientation),
        }
    }

    fn pace(&self) -> Pace {
        Pace {
            factor: self.pacing,
            bitrate: self.target_bitrate.into(),
        }
    }

    /// Passes on a property that was set while the stream runs.
    pub(crate) fn apply(&self, property: &str, stream: &mut Stream) {
        let session = stream.session_mut();
        match property {
            "remote-ssrc" => stream.set_remote_ssrc(nonzero(self.remote_ssrc)),
            "rtcp-interval" => session.set_report_interval(self.report_interval()),
            "rtcp-timeout" => session.set_silence_timeout(self.silence_timeout()),
            "active" => stream.set_active(self.active, Instant::now()),
            "mtu" => stream.set_mtu(self.mtu as usize),
            "pacing" | "target-bitrate" => stream.set_pace(self.pace()),
            "min-bitrate" => session.set_bitrate_range(self.min_bitrate.max(1).into(), None),
            "key-frame-interval" => session.set_key_frame_interval(self.key_frame_interval()),
            "cvo-id" | "video-orientation" => stream.set_orientation(self.orientation()),
            _ => {}
        }
    }

    fn canonical_name(&self) -> String {
        /// One name for all sinks of the process: a receiver puts streams together by it.
        static RANDOM: LazyLock<String> =
            LazyLock::new(|| format!("{:08x}{:08x}", glib::random_int(), glib::random_int()));
        match self.canonical_name.is_empty() {
            true => RANDOM.clone(),
            false => self.canonical_name.clone(),
        }
    }
}

/// Zero stands for "not set".
pub(crate) fn nonzero(value: u32) -> Option<u32> {
    (value != 0).then_some(value)
}

/// Property values by name.
impl Settings {
    /// Sets a property; its type and range were checked by its `ParamSpec`.
    pub(crate) fn set(&mut self, name: &str, value: &glib::Value) {
        match name {
            "host" => self.host = text(value),
            "port" => self.port = number(value) as u16,
            "bind-address" => self.bind_address = text(value),
            "bind-port" => self.bind_port = number(value) as u16,
            "ssrc" => self.ssrc = number(value),
            "remote-ssrc" => self.remote_ssrc = number(value),
            "payload-type" => self.payload_type = number(value) as u8,
            "mtu" => self.mtu = number(value),
            "clock-rate" => self.clock_rate = number(value),
            "packet-time" => self.packet_time = number(value),
            "srtp-suite" => self.suite = value.get().unwrap_or_default(),
            "srtp-key" => self.key = secret::bytes(value),
            "srtp-remote-key" => self.remote_key = secret::bytes(value),
            "rtcp-interval" => self.rtcp_interval = number(value),
            "rtcp-timeout" => self.rtcp_timeout = number(value),
            "cname" => self.canonical_name = text(value),
            "pacing" => self.pacing = value.get().unwrap_or_default(),
            "target-bitrate" => self.target_bitrate = number(value),
            "min-bitrate" => self.min_bitrate = number(value),
            "key-frame-interval" => self.key_frame_interval = number(value),
            "cvo-id" => self.cvo_id = number(value) as u8,
            "video-orientation" => self.video_orientation = number(value) as u8,
            "active" => self.active = value.get().unwrap_or_default(),
            _ => unreachable!("GObject passes on known properties only"),
        }
        if matches!(name, "ssrc" | "srtp-suite" | "srtp-key" | "srtp-remote-key") {
            self.key_generation += 1;
        }
    }

    /// The value of a property that can be read.
    pub(crate) fn get(&self, name: &str) -> glib::Value {
        match name {
            "host" => self.host.to_value(),
            "port" => u32::from(self.port).to_value(),
            "bind-address" => self.bind_address.to_value(),
            "remote-ssrc" => self.remote_ssrc.to_value(),
            "payload-type" => u32::from(self.payload_type).to_value(),
            "mtu" => self.mtu.to_value(),
            "clock-rate" => self.clock_rate.to_value(),
            "packet-time" => self.packet_time.to_value(),
            "srtp-suite" => self.suite.to_value(),
            "rtcp-interval" => self.rtcp_interval.to_value(),
            "rtcp-timeout" => self.rtcp_timeout.to_value(),
            "cname" => self.canonical_name.to_value(),
            "pacing" => self.pacing.to_value(),
            "target-bitrate" => self.target_bitrate.to_value(),
            "min-bitrate" => self.min_bitrate.to_value(),
            "key-frame-interval" => self.key_frame_interval.to_value(),
            "cvo-id" => u32::from(self.cvo_id).to_value(),
            "video-orientation" => u32::from(self.video_orientation).to_value(),
            "active" => self.active.to_value(),
            _ => unreachable!("GObject asks for readable properties only"),
        }
    }
}

fn number(value: &glib::Value) -> u32 {
    value.get().unwrap_or_default()
}

fn text(value: &glib::Value) -> String {
    let text = value.get::<Option<String>>();
    text.ok().flatten().unwrap_or_default()
}
