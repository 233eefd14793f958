//! What to ask a camera for, given what it offers.

use std::net::IpAddr;
use std::time::Duration;

use hap_camera::rtp::{
    AudioCodec, AudioSelection, H264Level, H264Profile, RtpParameters, SampleRate, SrtpSuite,
    VideoAttributes, VideoSelection,
};

use crate::camera::Offer;
use crate::failure::{Failure, Kind, Result};

/// Payload types that iOS asks for.
const VIDEO_PAYLOAD_TYPE: u8 = 99;
const AUDIO_PAYLOAD_TYPE: u8 = 110;
const COMFORT_NOISE_PAYLOAD_TYPE: u8 = 13;

/// What the person wants; what is not said is chosen as an iPhone chooses it.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// Picture size.
    pub size: Option<(u16, u16)>,
    /// Frames per second.
    pub fps: Option<u8>,
    /// Limit of the video in kbit/s.
    pub video_kbps: Option<u16>,
    /// H.264 profile.
    pub profile: Option<H264Profile>,
    /// Audio sample rate.
    pub rate: Option<SampleRate>,
    /// Audio per packet in ms.
    pub packet_time_ms: Option<u8>,
    /// Largest UDP payload.
    pub mtu: Option<u16>,
    /// SRTP suite.
    pub suite: Option<SrtpSuite>,
    /// No audio at all.
    pub mute: bool,
    /// Ask even for what is not offered.
    pub force: bool,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Plan {
    /// SRTP suite of both media.
    pub suite: SrtpSuite,
    /// Video.
    pub video: VideoSelection,
    /// Audio, unless none is wanted.
    pub audio: Option<AudioSelection>,
}

impl Plan {
    /// Chooses from `offer`; `address` is where media goes.
    ///
    /// # Errors
    /// [`Kind::Usage`] for what is not offered, with what is.
    pub fn new(wishes: &Wishes, offer: &Offer, address: IpAddr) -> Result<Self> {
        let attributes = attributes(wishes, offer)?;
        let audio = match wishes.mute {
            true => None,
            false => Some(audio(wishes, offer)?),
        };
        Ok(Self {
            suite: suite(wishes, offer)?,
            video: VideoSelection {
                profile: profile(wishes, offer)?,
                level: level(offer, attributes),
                attributes,
                rtp: RtpParameters {
                    payload_type: VIDEO_PAYLOAD_TYPE,
                    ssrc: random_ssrc()?,
                    max_bitrate_kbps: wishes.video_kbps.unwrap_or_else(|| kbps(attributes)),
                    min_rtcp_interval_s: 0.5,
                    mtu: Some(wishes.mtu.unwrap_or_else(|| mtu(address))),
                    comfort_noise_pt: None,
                },
            },
            audio,
        })
    }
}

fn random_ssrc() -> Result<u32> {
    let mut bytes = [0; 4];
    crate::random(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes).max(1))
}

/// iOS asks for 1378 bytes over IPv4 and 1228 over IPv6.
fn mtu(address: IpAddr) -> u16 {
    if address.is_ipv4() { 1378 } else { 1228 }
}

/// What an iPhone in the same network asks for.
fn kbps(attributes: VideoAttributes) -> u16 {
    match attributes.height {
        0..=360 => 132,
        361..=720 => 299,
        _ => 802,
    }
}

fn not_offered(what: String, offered: &[String]) -> Failure {
    Failure::new(Kind::Usage, format!("the camera does not offer {what}")).hint(format!(
        "it offers {}; --force asks all the same",
        offered.join(", ")
    ))
}

fn attributes(wishes: &Wishes, offer: &Offer) -> Result<VideoAttributes> {
    let fits = |a: &&VideoAttributes| {
        wishes.size.is_none_or(|s| s == (a.width, a.height))
            && wishes.fps.is_none_or(|f| f == a.fps)
    };
    let offered: Vec<VideoAttributes> = offer.sizes.iter().filter(fits).copied().collect();
    match (best(&offered), wishes.size, wishes.force) {
        (Some(found), _, _) => Ok(found),
        (None, Some((width, height)), true) => Ok(VideoAttributes {
            width,
            height,
            fps: wishes.fps.unwrap_or(30),
        }),
        _ => {
            let shown: Vec<String> = offer.sizes.iter().map(show).collect();
            Err(not_offered("that size and rate".into(), &shown))
        }
    }
}

fn show(a: &VideoAttributes) -> String {
    format!("{}x{}@{}", a.width, a.height, a.fps)
}

/// 1280x720 or the largest below it, else the smallest; the highest rate of it.
fn best(sizes: &[VideoAttributes]) -> Option<VideoAttributes> {
    let pixels = |a: &VideoAttributes| u32::from(a.width) * u32::from(a.height);
    let rank = |a: &VideoAttributes| (pixels(a), a.fps);
    let moderate = sizes.iter().filter(|a| pixels(a) <= 1280 * 720);
    let found = moderate.max_by_key(|a| rank(a));
    found
        .or_else(|| sizes.iter().min_by_key(|a| (pixels(a), u8::MAX - a.fps)))
        .copied()
}

fn profile(wishes: &Wishes, offer: &Offer) -> Result<H264Profile> {
    let highest = offer.profiles.iter().max_by_key(|p| p.to_wire()).copied();
    match wishes.profile {
        None => Ok(highest.unwrap_or(H264Profile::Main)),
        Some(p) if wishes.force || offer.profiles.contains(&p) => Ok(p),
        Some(p) => {
            let shown: Vec<String> = offer.profiles.iter().map(|p| format!("{p:?}")).collect();
            Err(not_offered(format!("profile {p:?}"), &shown))
        }
    }
}

/// The lowest offered level that holds the size at its rate (H.264 table A-1).
fn level(offer: &Offer, a: VideoAttributes) -> H264Level {
    let macroblocks = u32::from(a.width).div_ceil(16) * u32::from(a.height).div_ceil(16);
    let rate = macroblocks * u32::from(a.fps);
    let holds = |level: &H264Level| match level {
        H264Level::L3_1 => macroblocks <= 3600 && rate <= 108_000,
        H264Level::L3_2 => macroblocks <= 5120 && rate <= 216_000,
        H264Level::L4_0 => true,
    };
    let mut levels = offer.levels.clone();
    levels.sort_by_key(|l| l.to_wire());
    let fitting = levels.iter().find(|l| holds(l)).or(levels.last());
    fitting.copied().unwrap_or(H264Level::L4_0)
}

fn suite(wishes: &Wishes, offer: &Offer) -> Result<SrtpSuite> {
    let default = offer
        .suites
        .first()
        .copied()
        .unwrap_or(SrtpSuite::AesCm128HmacSha1_80);
    match wishes.suite {
        None => Ok(default),
        Some(s) if wishes.force || offer.suites.contains(&s) => Ok(s),
        Some(s) => {
            let shown: Vec<String> = offer.suites.iter().map(|s| format!("{s:?}")).collect();
            Err(not_offered(format!("SRTP suite {s:?}"), &shown))
        }
    }
}

/// Opus if offered, else AAC-ELD.
fn audio(wishes: &Wishes, offer: &Offer) -> Result<AudioSelection> {
    let (codec, rates) = audio_codec(offer)?;
    let sample_rate = sample_rate(wishes, codec, &rates)?;
    Ok(AudioSelection {
        codec,
        channels: 1,
        constant_bitrate: false,
        sample_rate,
        packet_time_ms: wishes
            .packet_time_ms
            .unwrap_or(packet_time(codec, sample_rate)),
        rtp: RtpParameters {
            payload_type: AUDIO_PAYLOAD_TYPE,
            ssrc: random_ssrc()?,
            max_bitrate_kbps: 24,
            min_rtcp_interval_s: 5.0,
            mtu: None,
            comfort_noise_pt: Some(COMFORT_NOISE_PAYLOAD_TYPE),
        },
        comfort_noise: false,
    })
}

fn audio_codec(offer: &Offer) -> Result<(AudioCodec, Vec<SampleRate>)> {
    let rates = |codec: AudioCodec| -> Vec<SampleRate> {
        let number = u64::from(codec.to_wire());
        let found = offer.audio.iter().filter(|a| a.codec == number);
        found.flat_map(|a| a.rates.iter().copied()).collect()
    };
    for codec in [AudioCodec::Opus, AudioCodec::AacEld] {
        let rates = rates(codec);
        if !rates.is_empty() {
            return Ok((codec, rates));
        }
    }
    Err(
        Failure::new(Kind::Refused, "the camera offers neither Opus nor AAC-ELD")
            .hint("--no-audio watches without sound"),
    )
}

fn sample_rate(wishes: &Wishes, codec: AudioCodec, rates: &[SampleRate]) -> Result<SampleRate> {
    let preferred = match codec {
        AudioCodec::Opus => SampleRate::Khz24,
        AudioCodec::AacEld => SampleRate::Khz16,
    };
    match wishes.rate {
        Some(rate) if wishes.force || rates.contains(&rate) => Ok(rate),
        Some(rate) => {
            let shown: Vec<String> = rates.iter().map(|r| format!("{} Hz", r.hz())).collect();
            Err(not_offered(format!("audio at {} Hz", rate.hz()), &shown))
        }
        None if rates.contains(&preferred) => Ok(preferred),
        None => Ok(rates.first().copied().unwrap_or(preferred)),
    }
}

/// AAC-ELD has 480 samples a frame; Opus packets are 20 ms in the same network.
fn packet_time(codec: AudioCodec, rate: SampleRate) -> u8 {
    match (codec, rate) {
        (AudioCodec::Opus, _) | (AudioCodec::AacEld, SampleRate::Khz24) => 20,
        (AudioCodec::AacEld, SampleRate::Khz16) => 30,
        (AudioCodec::AacEld, SampleRate::Khz8) => 60,
    }
}

/// The RTCP interval to keep for `seconds` from a selection; 0 keeps half a second.
#[must_use]
pub fn rtcp_interval(seconds: f32) -> Duration {
    if seconds > 0.0 {
        Duration::from_secs_f32(seconds.min(60.0))
    } else {
        Duration::from_millis(500)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::OfferedAudio;

    fn offer() -> Offer {
        let size = VideoAttributes::new;
        Offer {
            profiles: vec![H264Profile::High, H264Profile::Main],
            levels: vec![H264Level::L4_0, H264Level::L3_1],
            sizes: vec![
                size(1920, 1080, 30),
                size(1280, 720, 30),
                size(320, 240, 30),
                size(320, 240, 15),
            ],
            audio: vec![OfferedAudio {
                codec: 3,
                rates: vec![SampleRate::Khz16, SampleRate::Khz24],
            }],
            suites: vec![SrtpSuite::AesCm128HmacSha1_80],
        }
    }

    fn plan(wishes: &Wishes) -> Result<Plan> {
        Plan::new(wishes, &offer(), "192.0.2.1".parse().unwrap())
    }

    #[test]
    fn without_wishes_it_is_what_an_iphone_asks_for() {
        let plan = plan(&Wishes::default()).unwrap();
        assert_eq!(plan.video.attributes, VideoAttributes::new(1280, 720, 30));
        assert_eq!(plan.video.profile, H264Profile::High);
        assert_eq!(plan.video.level, H264Level::L3_1);
        assert_eq!(plan.video.rtp.max_bitrate_kbps, 299);
        assert_eq!(plan.video.rtp.mtu, Some(1378));
        let audio = plan.audio.unwrap();
        assert_eq!(audio.sample_rate, SampleRate::Khz24);
        assert_eq!((audio.packet_time_ms, audio.channels), (20, 1));
        assert_ne!(audio.rtp.ssrc, plan.video.rtp.ssrc);
    }

    #[test]
    fn wishes_choose_among_the_offer() {
        let wishes = Wishes {
            size: Some((320, 240)),
            fps: Some(15),
            rate: Some(SampleRate::Khz16),
            packet_time_ms: Some(60),
            ..Wishes::default()
        };
        let plan = plan(&wishes).unwrap();
        assert_eq!(plan.video.attributes, VideoAttributes::new(320, 240, 15));
        assert_eq!(plan.audio.unwrap().packet_time_ms, 60);
    }

    #[test]
    fn large_pictures_take_a_higher_level() {
        let wishes = Wishes {
            size: Some((1920, 1080)),
            ..Wishes::default()
        };
        assert_eq!(plan(&wishes).unwrap().video.level, H264Level::L4_0);
    }

    #[test]
    fn what_is_not_offered_is_refused_unless_forced() {
        let mut wishes = Wishes {
            size: Some((640, 480)),
            ..Wishes::default()
        };
        let e = plan(&wishes).unwrap_err();
        assert!(e.advice().unwrap().contains("1920x1080@30"));
        wishes.force = true;
        let forced = plan(&wishes).unwrap().video.attributes;
        assert_eq!(forced, VideoAttributes::new(640, 480, 30));
        for wishes in [
            Wishes {
                profile: Some(H264Profile::ConstrainedBaseline),
                ..Wishes::default()
            },
            Wishes {
                suite: Some(SrtpSuite::AesCm256HmacSha1_80),
                ..Wishes::default()
            },
            Wishes {
                rate: Some(SampleRate::Khz8),
                ..Wishes::default()
            },
        ] {
            assert_eq!(plan(&wishes).unwrap_err().kind(), Kind::Usage);
        }
    }

    #[test]
    fn a_camera_without_audio_codec_can_be_watched_mute() {
        let offer = Offer {
            audio: Vec::new(),
            ..offer()
        };
        let address = "::1".parse().unwrap();
        let mut wishes = Wishes::default();
        assert!(Plan::new(&wishes, &offer, address).is_err());
        wishes.mute = true;
        let plan = Plan::new(&wishes, &offer, address).unwrap();
        assert!(plan.audio.is_none());
        assert_eq!(plan.video.rtp.mtu, Some(1228));
    }
}
