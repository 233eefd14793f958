//! `hapsrtpsink` sends one media stream to a HomeKit controller: RTP payloads as HomeKit wants
//! them, SRTP, and RTP and RTCP on one UDP port.
//!
//! - **Video** is H.264 or H.265, as access units (with start codes or lengths) or in RTP. Parameter
//!   sets go in one aggregation packet before each key frame, access unit delimiters and SEI are
//!   left out. Nothing goes out before the first key frame, which is asked for. A picture that
//!   cannot be sent leaves a gap in the sequence numbers: the receiver learns of it. Where `cvo-id`
//!   was negotiated, key frames and changes tell `video-orientation` (HAP R1 §11.4.2).
//! - **Audio** is Opus or AAC-ELD, raw or in RTP. `clock-rate` and `packet-time` are those that were
//!   negotiated: frames are regrouped without encoding them again, and timestamps count at that
//!   rate. Opus frames of different modes cannot share a packet, and a packet before a change of mode
//!   is too short: let the encoder keep one, such as `opusenc audio-type=restricted-lowdelay`.
//! - **Pace**: a frame leaves in one system call where the kernel has segmentation offload. What is
//!   larger than 100 ms of the bitrate, as key frames are, leaves at `pacing` times the bitrate: that
//!   of `max-bitrate`, or `target-bitrate`, or what was measured, whichever is known and more; 4
//!   Mbit/s where nothing is. No frame is held back for more than 250 ms: the pace is raised then.
//!   Nothing else waits meanwhile, neither RTCP nor a flush or a stop.
//! - **RTCP**: the first sender report follows the first packets, then one per `rtcp-interval`; a
//!   BYE ends the stream. PLI and FIR become upstream force-key-unit events, one at a time; a PLI
//!   within two round trips of a key frame is ignored. TMMBR becomes `max-bitrate`, not below
//!   `min-bitrate`, and an upstream event; it is confirmed by TMMBN at once. TSTR becomes an
//!   upstream event and is confirmed by TSTN. `hapencctl` behind an encoder obeys both. Packets of
//!   the controller have to be authentic.
//! - **Talkback**: sound of the controller, of the codec that is sent, appears at the sometimes pad
//!   `talkback` as RTP, authenticated and decrypted, with its time of arrival and in the order of
//!   arrival: an `rtpjitterbuffer` goes next. Opus has timestamps at 48 kHz, as `rtpopusdepay`
//!   expects, whatever was negotiated. A branch that is slow loses the oldest packets and holds
//!   nothing up; its latency does not delay what is sent. Our reports tell what was received.
//! - **New caps**, another size or encoder: SSRC, sequence numbers and timestamps go on without a
//!   break.
//!
//! The socket opens from NULL to READY, so that `bind-port` reads as the port to announce before
//! anything is sent. `host`, `port`, keys and all that is negotiated later may be set in READY. The
//! stream runs from PAUSED (`srtp-key`, `host` and `port` are needed by then) until READY. What the
//! controller sends in READY waits in the socket.
//!
//! `sync` is true, as usual. `async` is **false**, other than usual: a live stream whose source
//! is late, or that is suspended, must not keep its siblings from playing. `processing-deadline` is
//! 0, which saves 20 ms of latency.
//!
//! Sender reports of all sinks of a process use one clock, so that a receiver can align audio and
//! video that come from different pipelines too; for that, give them the same `cname` (the default
//! does).
//!
//! # Messages
//!
//! Element messages on the bus, from the receiving thread:
//!
//! | structure | fields | |
//! |---|---|---|
//! | `hapsrtpsink-first-rtcp` | | the first authentic RTCP packet has come |
//! | `hapsrtpsink-rtcp-timeout` | `age-ms`: uint64 | nothing has come for `rtcp-timeout`; once per silence |
//! | `hapsrtpsink-bye` | | the controller left |
//! | `hapsrtpsink-max-bitrate` | `bitrate`: uint, bit/s | `max-bitrate` has changed |
//! | `hapsrtpsink-trade-off` | `index`: uint | 0 = sharp pictures to 31 = many of them |
//!
//! Custom upstream events, for encoders: `hap-max-bitrate` with `bitrate` (uint, bit/s), before the
//! key frame that is asked for in the same packet, and `hap-trade-off` with `index` (uint).
//!
//! `notify::max-bitrate` and upstream events too are sent from the receiving thread, nothing being
//! locked.
//!
//! # Statistics
//!
//! Fields of `stats`, counted since PAUSED:
//!
//! | field | type | |
//! |---|---|---|
//! | `packets-sent` | uint64 | RTP packets |
//! | `bytes-sent` | uint64 | UDP payload, RTP and RTCP |
//! | `octets-sent` | uint64 | RTP payload, as sender reports count |
//! | `frames-sent` | uint64 | access units or audio packets |
//! | `key-frames-sent` | uint64 | |
//! | `dropped-before-key` | uint64 | frames before the first key frame, or after a resume |
//! | `dropped-inactive` | uint64 | buffers while `active` was false |
//! | `dropped-invalid` | uint64 | buffers that are malformed, too large, or lack SPS and PPS |
//! | `sender-reports` | uint64 | |
//! | `send-errors` | uint64 | packets the system did not take |
//! | `packets-flushed` | uint64 | packets given up by a flush or stop while they waited |
//! | `paced-frames`, `paced-us` | uint64 | frames that left in parts, and how long they took |
//! | `pace-raised` | uint64 | frames whose pace was raised, lest they be late |
//! | `rtcp-received` | uint64 | authentic packets |
//! | `rtcp-rejected` | uint64 | forged, replayed, malformed or from another SSRC |
//! | `rtp-rejected` | uint64 | RTP that is forged, replayed, malformed or from another SSRC |
//! | `rtp-ignored` | uint64 | RTP that nobody wants here: on video, or of another payload type |
//! | `talkback-packets` | uint64 | of the controller's sound |
//! | `talkback-lost` | int64 | of them, missing |
//! | `talkback-jitter` | uint | in units of the media clock |
//! | `talkback-dropped` | uint64 | packets that the branch behind the pad was too slow for |
//! | `pli-received`, `fir-received`, `tmmbr-received`, `tstr-received` | uint64 | |
//! | `pli-ignored` | uint64 | within two round trips of a key frame, or while one is on its way |
//! | `nack-received` | uint64 | packets that generic NACKs asked for |
//! | `fraction-lost` | double | 0 to 1, of the last report |
//! | `packets-lost` | int | of the last report |
//! | `jitter` | uint | of the last report, in units of the media clock |
//! | `clock-rate` | uint | of the media clock, 0 = no caps yet |
//! | `round-trip-time-us` | uint64 | 0 = unknown |
//! | `last-rtcp-age-ms` | uint64 | `G_MAXUINT64` = never heard |
//!
//! # Example
//!
//! A test picture for a receiver on this machine, with a key of zeros:
//!
//! ```text
//! gst-launch-1.0 videotestsrc is-live=true ! video/x-raw,width=1280,height=720,framerate=30/1 ! \
//!   x264enc tune=zerolatency speed-preset=ultrafast key-int-max=30 bitrate=800 ! \
//!   video/x-h264,profile=main ! hapsrtpsink host=127.0.0.1 port=5004 ssrc=305419896 \
//!   srtp-key=000000000000000000000000000000000000000000000000000000000000
//! ```
//!
//! And the receiver, which has to know the SSRC beforehand:
//!
//! ```text
//! gst-launch-1.0 udpsrc port=5004 caps="application/x-srtp,media=video,clock-rate=90000,\
//! encoding-name=H264,payload=99,ssrc=(uint)305419896,\
//! srtp-key=(buffer)000000000000000000000000000000000000000000000000000000000000,\
//! srtp-cipher=aes-128-icm,srtp-auth=hmac-sha1-80,srtcp-cipher=aes-128-icm,\
//! srtcp-auth=hmac-sha1-80" ! srtpdec name=d d.rtp_src ! rtph264depay ! avdec_h264 ! fakesink \
//!   d.rtcp_src ! fakesink async=false sync=false
//! ```
//!
//! The controller's sound, where `s` is an audio sink:
//!
//! ```text
//! hapsrtpsink name=s … s. ! rtpjitterbuffer ! rtpopusdepay ! opusdec ! audioconvert ! autoaudiosink
//! ```
//!
//! Since: 0.1

use gst::glib;
use gst::prelude::*;

mod audio;
mod events;
mod imp;
mod media;
mod meter;
mod moment;
mod outgoing;
mod pacer;
mod payloader;
mod properties;
mod receive_thread;
mod reception;
mod send_buffer;
mod settings;
mod socket;
mod state;
mod stats;
mod stream;
mod talkback;
mod timeline;
mod transmit;
mod video;

glib::wrapper! {
    /// The element `hapsrtpsink`.
    pub struct HapSrtpSink(ObjectSubclass<imp::HapSrtpSink>)
        @extends gst_base::BaseSink, gst::Element, gst::Object;
}

/// SRTP crypto suite, by the names of RFC 4568.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstHapSrtpSuite")]
pub enum SrtpSuite {
    /// 16 bytes of key, 14 of salt.
    #[default]
    #[enum_value(
        name = "AES_CM_128_HMAC_SHA1_80: key of 16 bytes, salt of 14",
        nick = "aes-cm-128-hmac-sha1-80"
    )]
    AesCm128HmacSha1_80,
    /// 32 bytes of key, 14 of salt.
    #[enum_value(
        name = "AES_256_CM_HMAC_SHA1_80: key of 32 bytes, salt of 14",
        nick = "aes-cm-256-hmac-sha1-80"
    )]
    AesCm256HmacSha1_80,
}

impl From<SrtpSuite> for srtp::Suite {
    fn from(suite: SrtpSuite) -> Self {
        match suite {
            SrtpSuite::AesCm128HmacSha1_80 => Self::AesCm128HmacSha1_80,
            SrtpSuite::AesCm256HmacSha1_80 => Self::AesCm256HmacSha1_80,
        }
    }
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "hapsrtpsink",
        gst::Rank::NONE,
        HapSrtpSink::static_type(),
    )
}
