//! Recording TLVs against what hubs wrote and cameras offered.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hap_camera::recording::*;
use hap_camera::rtp::{DecodeError, H264Level, H264Profile, VideoAttributes};
use proptest::prelude::*;

fn b64(text: &str) -> Vec<u8> {
    STANDARD.decode(text).expect("base64")
}

const S: Duration = Duration::from_secs(1);

const GENERAL: &str = "AQSgDwAAAggDAAAAAAAAAAMLAQEAAgYBBKAPAAA=";
const VIDEO: &str = "AVQBAQACFQEBAQAAAQECAgEAAAACAQEAAAIBAgMLAQKABwICOAQDAR4AAAMLAQKABwICOAQDAQ8AAAMLAQIABQIC0AIDAR4AAAMLAQIABQIC0AIDAQ8=";
const AUDIO: &str = "ARgBAQACEwEBAQIBAAMBAQAAAwECAAADAQM=";
/// As a hub wrote it.
const SELECTED: &str = "AR0BBKAPAAACCAEAAAAAAAAAAwsBAQACBgEEoA8AAAIkAQEAAhIBAQECAQIDBNAHAAAEBKAPAAADCwECsAQCAkAGAwEYAxQBAQACDwEBAQIBAAMBAwQEQAAAAA==";

fn full_hd() -> SupportedRecording {
    SupportedRecording::for_source(1920, 1080, 30, 4 * S, Triggers::MOTION_AND_DOORBELL)
}

#[test]
fn general_bytes() {
    for (prebuffer, triggers, bytes) in [
        (
            8,
            Triggers::MOTION_AND_DOORBELL,
            "AQRAHwAAAggDAAAAAAAAAAMLAQEAAgYBBKAPAAA=",
        ),
        (
            4,
            Triggers::MOTION,
            "AQSgDwAAAggBAAAAAAAAAAMLAQEAAgYBBKAPAAA=",
        ),
        (4, Triggers::MOTION_AND_DOORBELL, GENERAL),
    ] {
        let offer = SupportedRecording::for_source(1920, 1080, 30, prebuffer * S, triggers);
        assert_eq!(STANDARD.encode(offer.encode_general()), bytes);
        let read = SupportedRecording::decode(&b64(bytes), &b64(VIDEO), &b64(AUDIO));
        assert_eq!(read, Ok(offer));
    }
}

#[test]
fn a_prebuffer_that_hubs_refuse_is_raised() {
    let offer = SupportedRecording::for_source(1920, 1080, 30, S, Triggers::MOTION);
    assert_eq!(offer.prebuffer, 4 * S);
}

#[test]
fn video_bytes() {
    assert_eq!(STANDARD.encode(full_hd().video.encode()), VIDEO);
}

#[test]
fn audio_bytes() {
    assert_eq!(STANDARD.encode(full_hd().audio.encode()), AUDIO);
    let one_rate = SupportedRecordingAudio {
        sample_rates: vec![RecordingSampleRate::Khz32],
        ..SupportedRecordingAudio::default()
    };
    assert_eq!(
        STANDARD.encode(one_rate.encode()),
        "AQ4BAQACCQEBAQIBAAMBAw=="
    );
}

/// A hub never arms a camera whose offers have members of the selection.
#[test]
fn offers_have_no_bitrate_and_no_key_frame_interval() {
    for (offer, tags) in [
        (full_hd().video.encode(), [3, 4]),
        (full_hd().audio.encode(), [4, 5]),
    ] {
        let codec = hap_tlv8::Tlv::parse(&offer).unwrap().nested(1).unwrap();
        let parameters = codec.nested(2).unwrap();
        assert!(tags.iter().all(|tag| parameters.first(*tag).is_none()));
    }
}

fn real() -> SelectedRecording {
    SelectedRecording {
        prebuffer: 4 * S,
        triggers: Triggers::MOTION,
        fragment: 4 * S,
        video: SelectedVideo {
            profile: H264Profile::Main,
            level: H264Level::L4_0,
            kbps: 2000,
            i_frame_interval: 4 * S,
            attributes: VideoAttributes::new(1200, 1600, 24),
        },
        audio: SelectedAudio {
            codec: RecordingAudioCodec::AacLc,
            channels: 1,
            bitrate_mode: BitrateMode::Variable,
            sample_rate: RecordingSampleRate::Khz32,
            kbps: 64,
        },
    }
}

#[test]
fn selection_of_a_hub() {
    assert_eq!(SelectedRecording::decode(&b64(SELECTED)), Ok(real()));
    assert_eq!(STANDARD.encode(real().encode()), SELECTED);
    let offer =
        SupportedRecording::for_source(1200, 1600, 24, 4 * S, Triggers::MOTION_AND_DOORBELL);
    assert_eq!(offer.check(&real()), Ok(()));
}

/// 1080p at 30 in High at 4.0, and 720p at 15 in level 3.1 with sound of 24 kHz: both seen.
#[test]
fn selections_from_the_field_are_possible() {
    let mut selected = real();
    selected.video.profile = H264Profile::High;
    selected.video.attributes = VideoAttributes::new(1920, 1080, 30);
    assert_eq!(full_hd().check(&selected), Ok(()));
    selected.video.level = H264Level::L3_1;
    selected.video.kbps = 1000;
    selected.video.attributes = VideoAttributes::new(1280, 720, 15);
    selected.audio.sample_rate = RecordingSampleRate::Khz24;
    selected.audio.kbps = 32;
    selected.triggers = Triggers::MOTION_AND_DOORBELL;
    assert_eq!(full_hd().check(&selected), Ok(()));
}

#[test]
fn selections_that_were_not_offered_are_named() {
    type Change = fn(&mut SelectedRecording);
    let offer = SupportedRecording::for_source(1200, 1600, 24, 4 * S, Triggers::MOTION);
    let changes: [(&str, Change); 11] = [
        ("prebuffer", |s| s.prebuffer = 8 * S),
        ("trigger", |s| s.triggers = Triggers::DOORBELL),
        ("trigger", |s| s.triggers = Triggers::from_bits(5)),
        ("fragment length", |s| s.fragment = 2 * S),
        ("profile", |s| {
            s.video.profile = H264Profile::ConstrainedBaseline;
        }),
        ("picture size or rate", |s| s.video.attributes.fps = 30),
        ("picture size or rate", |s| s.video.attributes.width = 1920),
        ("audio codec", |s| {
            s.audio.codec = RecordingAudioCodec::AacEld;
        }),
        ("channels", |s| s.audio.channels = 2),
        ("audio bitrate mode", |s| {
            s.audio.bitrate_mode = BitrateMode::Constant;
        }),
        ("audio sample rate", |s| {
            s.audio.sample_rate = RecordingSampleRate::Khz48;
        }),
    ];
    for (field, change) in changes {
        let mut selected = real();
        change(&mut selected);
        assert_eq!(
            offer.check(&selected),
            Err(DecodeError::NotOffered { field })
        );
    }
}

#[test]
fn selections_that_mean_nothing_are_named() {
    type Change = fn(&mut SelectedRecording);
    let changes: [(&str, u64, Change); 6] = [
        ("prebuffer", 0, |s| s.prebuffer = Duration::ZERO),
        ("fragment length", 0, |s| s.fragment = Duration::ZERO),
        ("video bitrate", 0, |s| s.video.kbps = 0),
        ("video bitrate", 4_000_000_000, |s| {
            s.video.kbps = 4_000_000_000;
        }),
        ("key frame interval", 0, |s| {
            s.video.i_frame_interval = Duration::ZERO;
        }),
        ("audio bitrate", 513, |s| s.audio.kbps = 513),
    ];
    for (field, value, change) in changes {
        let mut selected = real();
        change(&mut selected);
        assert_eq!(
            SelectedRecording::decode(&selected.encode()),
            Err(DecodeError::OutOfRange { field, value })
        );
    }
}

#[test]
fn truncated_selections_are_refused() {
    let bytes = b64(SELECTED);
    for cut in 0..bytes.len() {
        assert!(SelectedRecording::decode(&bytes[..cut]).is_err(), "{cut}");
    }
}

/// With `00 00`, with `FF 00` and without anything between them.
#[test]
fn lists_are_read_with_each_separator() {
    let rates = |separator: &[u8]| {
        let rate = |n| [3, 1, n];
        let list = [&rate(1)[..], separator, &rate(2), separator, &rate(3)].concat();
        let parameters = [&[1, 1, 1, 2, 1, 0][..], &list].concat();
        let length = u8::try_from(parameters.len()).unwrap();
        let codec = [&[1, 1, 0, 2, length][..], &parameters].concat();
        let length = u8::try_from(codec.len()).unwrap();
        SupportedRecordingAudio::decode(&[&[1, length][..], &codec].concat()).unwrap()
    };
    for separator in [&[0, 0][..], &[0xFF, 0], &[]] {
        assert_eq!(
            rates(separator),
            SupportedRecordingAudio::default(),
            "{separator:?}"
        );
    }
    assert_eq!(
        SupportedRecordingAudio::default().encode(),
        b64(AUDIO),
        "written with 00 00"
    );
}

#[test]
fn unknown_codecs_and_values_are_passed_over() {
    let unknown = [1, 3, 1, 1, 9, 0, 0];
    let video = [&unknown[..], &b64(VIDEO)].concat();
    let audio = [&unknown[..], &b64(AUDIO)].concat();
    let read = SupportedRecording::decode(&b64(GENERAL), &video, &audio);
    assert_eq!(read, Ok(full_hd()));
    let none = SupportedRecordingVideo::decode(&unknown);
    assert!(matches!(none, Err(DecodeError::NotOffered { .. })));

    let mut newer = b64(VIDEO);
    let profile = newer.windows(3).position(|w| w == [1, 1, 2]).unwrap();
    newer[profile + 2] = 9;
    let read = SupportedRecordingVideo::decode(&newer).unwrap();
    assert_eq!(read.profiles, [H264Profile::Main]);
}

#[test]
fn another_container_is_passed_over() {
    let mut general = b64(GENERAL);
    let container = general.windows(3).position(|w| w == [1, 1, 0]).unwrap();
    general[container + 2] = 1;
    let read = SupportedRecording::decode(&general, &b64(VIDEO), &b64(AUDIO));
    assert!(matches!(read, Err(DecodeError::NotOffered { .. })));
}

#[test]
fn sample_rates_have_their_numbers() {
    let rates: Vec<u32> = (0..6)
        .map(|n| RecordingSampleRate::from_wire(n).unwrap().hz())
        .collect();
    assert_eq!(rates, [8_000, 16_000, 24_000, 32_000, 44_100, 48_000]);
    assert!(RecordingSampleRate::from_wire(6).is_err());
    assert_eq!(RecordingAudioCodec::AacLc.to_wire(), 0);
    assert_eq!(RecordingAudioCodec::AacEld.to_wire(), 1);
    assert!(RecordingAudioCodec::from_wire(2).is_err());
}

prop_compose! {
    fn selections()(
        ms in (1u32.., 1u32.., 1u32..),
        triggers in any::<u64>(),
        (profile, level) in (0u64..3, 0u64..3),
        (width, height, fps) in (16u16..=8192, 16u16..=8192, 1u8..=240),
        kbps in (1u32..=25_000, 1u32..=512),
        (codec, channels, mode, rate) in (0u64..2, any::<u8>(), 0u64..2, 0u64..6),
    ) -> SelectedRecording {
        let times = [ms.0, ms.1, ms.2].map(ms_of);
        SelectedRecording {
            prebuffer: times[0],
            triggers: Triggers::from_bits(triggers),
            fragment: times[1],
            video: SelectedVideo {
                profile: H264Profile::from_wire(profile).unwrap(),
                level: H264Level::from_wire(level).unwrap(),
                kbps: kbps.0,
                i_frame_interval: times[2],
                attributes: VideoAttributes::new(width, height, fps),
            },
            audio: SelectedAudio {
                codec: RecordingAudioCodec::from_wire(codec).unwrap(),
                channels,
                bitrate_mode: BitrateMode::from_wire(mode).unwrap(),
                sample_rate: RecordingSampleRate::from_wire(rate).unwrap(),
                kbps: kbps.1,
            },
        }
    }
}

fn ms_of(n: u32) -> Duration {
    Duration::from_millis(n.into())
}

proptest! {
    #[test]
    fn selections_round_trip(selected in selections()) {
        prop_assert_eq!(SelectedRecording::decode(&selected.encode()), Ok(selected));
    }

    #[test]
    fn offers_round_trip(width: u16, height: u16, fps: u8, prebuffer in 4u32..60, both: bool) {
        let triggers = if both { Triggers::MOTION_AND_DOORBELL } else { Triggers::MOTION };
        let offer = SupportedRecording::for_source(width, height, fps, prebuffer * S, triggers);
        let read = SupportedRecording::decode(
            &offer.encode_general(), &offer.video.encode(), &offer.audio.encode());
        prop_assert_eq!(read, Ok(offer));
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = SelectedRecording::decode(&bytes);
        let _ = SupportedRecording::decode(&bytes, &b64(VIDEO), &b64(AUDIO));
        let _ = SupportedRecordingVideo::decode(&bytes);
        let _ = SupportedRecordingAudio::decode(&bytes);
        let _ = hap_camera::data_stream::DataStreamRequest::decode(&bytes);
        let _ = hap_camera::data_stream::DataStreamResponse::decode(&bytes);
    }

    #[test]
    fn damaged_captures_do_not_panic(at in 0usize..128, with in any::<u8>(), which in 0usize..4) {
        let mut bytes = b64([GENERAL, VIDEO, AUDIO, SELECTED][which]);
        let at = at % bytes.len();
        bytes[at] = with;
        let _ = SupportedRecording::decode(&bytes, &b64(VIDEO), &b64(AUDIO));
        let _ = SupportedRecordingVideo::decode(&bytes);
        let _ = SupportedRecordingAudio::decode(&bytes);
        if let Ok(selected) = SelectedRecording::decode(&bytes) {
            prop_assert_eq!(SelectedRecording::decode(&selected.encode()), Ok(selected));
        }
    }
}
