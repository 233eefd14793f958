//! Camera TLVs against captures of real controllers and published values.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hap_camera::rtp::*;
use proptest::prelude::*;

fn b64(text: &str) -> Vec<u8> {
    STANDARD.decode(text).expect("valid base64 in the test")
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).expect("hex"))
        .collect()
}

const SESSION: &str = "accc6cc1056345158da974b450900691";

/// A phone's write of Setup Endpoints.
const SETUP_WRITE: &str = "ARCszGzBBWNFFY2pdLRQkAaRAxoBAQACDTE5Mi4xNjguMS4xMTQDAjPFBAKs1gQlAhDYlmCkyTBZQfxqFS3OnxVOAw4bQZm5NuoQjyanlqWA0QEBAAUlAhAKRPSRVaqGeNmESTIojxNiAw78WkjTLtGv0waWnLo9gQEBAA==";
/// A phone's Start.
const START: &str = "ARUCAQEBEKzMbMEFY0UVjal0tFCQBpECNAEBAAIJAQEAAgEAAwEAAwsBAoACAgJoAQMBHgQXAQFjAgQr66FSAwKEAAQEAAAAPwUCYgUDLAEBAgIMAQEBAgEAAwEBBAEeAxYBAW4CBMUInmQDAhgABAQAAKBABgENBAEA";
const RECONFIGURE: &str = "ARUCAQQBEHOaCxibNkonjz4Gk2lOW7YCGQMLAQKAAgICaAEDAR4ECgMChAAEBAAAAAA=";
const STOP: &str = "ARUCAQABEKzMbMEFY0UVjal0tFCQBpE=";

#[test]
fn setup_endpoints_write_of_a_phone() {
    let request = SetupEndpointsRequest::decode(&b64(SETUP_WRITE)).unwrap();
    assert_eq!(request.session_id.to_vec(), hex(SESSION));
    assert_eq!(request.controller.address.to_string(), "192.168.1.114");
    assert_eq!(
        (request.controller.video_port, request.controller.audio_port),
        (50483, 54956)
    );
    assert_eq!(request.video_srtp.suite, SrtpSuite::AesCm128HmacSha1_80);
    assert_eq!(
        request.video_srtp.key.to_vec(),
        hex("d89660a4c9305941fc6a152dce9f154e")
    );
    assert_eq!(
        request.video_srtp.salt.to_vec(),
        hex("1b4199b936ea108f26a796a580d1")
    );
    assert_eq!(
        request.audio_srtp.key.to_vec(),
        hex("0a44f49155aa8678d9844932288f1362")
    );
    assert_eq!(
        SetupEndpointsRequest::decode(&request.encode()).unwrap(),
        request
    );
}

#[test]
fn setup_endpoints_response_bytes() {
    let counted = |from: u8, n: u8| zeroize::Zeroizing::new((from..from + n).collect::<Vec<u8>>());
    let srtp = |key, salt| SrtpParameters {
        suite: SrtpSuite::AesCm128HmacSha1_80,
        key: counted(key, 16),
        salt: counted(salt, 14),
    };
    let response = SetupEndpointsResponse {
        session_id: Some(hex(SESSION).try_into().unwrap()),
        result: Ok(SetupEndpointsAnswer {
            accessory: Endpoint {
                address: "192.168.1.226".parse().unwrap(),
                video_port: 50000,
                audio_port: 50002,
            },
            video_srtp: srtp(0x10, 0x30),
            audio_srtp: srtp(0x50, 0x70),
            video_ssrc: 0x1122_3344,
            audio_ssrc: 0x5566_7788,
        }),
    };
    let expected = "ARCszGzBBWNFFY2pdLRQkAaRAgEAAxoBAQACDTE5Mi4xNjguMS4yMjYDAlDDBAJSwwQlAQEAAhAQERITFBUWFxgZGhscHR4fAw4wMTIzNDU2Nzg5Ojs8PQUlAQEAAhBQUVJTVFVWV1hZWltcXV5fAw5wcXJzdHV2d3h5ent8fQYERDMiEQcEiHdmVQ==";
    assert_eq!(STANDARD.encode(response.encode()), expected);
    assert_eq!(
        SetupEndpointsResponse::decode(&b64(expected)).unwrap(),
        response
    );
}

#[test]
fn setup_endpoints_without_a_session_reads_as_error() {
    assert_eq!(
        STANDARD.encode(SetupEndpointsResponse::idle().encode()),
        "AgEC"
    );
    let busy = SetupEndpointsResponse {
        session_id: Some([7; 16]),
        result: Err(SetupStatus::Busy),
    };
    assert_eq!(busy.encode(), [&[1, 16][..], &[7; 16], &[2, 1, 1]].concat());
    assert_eq!(
        SetupEndpointsResponse::decode(&busy.encode()).unwrap(),
        busy
    );
}

#[test]
fn start_of_a_phone() {
    let SelectedStreamConfiguration::Start {
        session_id,
        video,
        audio,
    } = SelectedStreamConfiguration::decode(&b64(START)).unwrap()
    else {
        panic!("not a start")
    };
    assert_eq!(session_id.to_vec(), hex(SESSION));
    assert_eq!(
        (video.profile, video.level),
        (H264Profile::ConstrainedBaseline, H264Level::L3_1)
    );
    assert_eq!(video.attributes, VideoAttributes::new(640, 360, 30));
    let rtp = RtpParameters {
        payload_type: 99,
        ssrc: 0x52a1_eb2b,
        max_bitrate_kbps: 132,
        min_rtcp_interval_s: 0.5,
        mtu: Some(1378),
        comfort_noise_pt: None,
    };
    assert_eq!(video.rtp, rtp);
    let audio = audio.unwrap();
    assert_eq!(
        (audio.codec, audio.sample_rate),
        (AudioCodec::AacEld, SampleRate::Khz16)
    );
    assert_eq!(
        (audio.channels, audio.packet_time_ms, audio.constant_bitrate),
        (1, 30, false)
    );
    assert_eq!(
        (audio.rtp.payload_type, audio.rtp.max_bitrate_kbps),
        (110, 24)
    );
    assert_eq!(
        (audio.rtp.comfort_noise_pt, audio.rtp.mtu),
        (Some(13), None)
    );
}

#[test]
fn start_without_constrained_order_round_trips() {
    let start = SelectedStreamConfiguration::decode(&b64(START)).unwrap();
    assert_eq!(
        SelectedStreamConfiguration::decode(&start.encode()).unwrap(),
        start
    );
}

#[test]
fn reconfigure_keeps_what_it_does_not_name() {
    let SelectedStreamConfiguration::Reconfigure { session_id, video } =
        SelectedStreamConfiguration::decode(&b64(RECONFIGURE)).unwrap()
    else {
        panic!("not a reconfigure")
    };
    assert_eq!(session_id.to_vec(), hex("739a0b189b364a278f3e0693694e5bb6"));
    assert_eq!(video.attributes, Some(VideoAttributes::new(640, 360, 30)));
    assert_eq!(video.max_bitrate_kbps, Some(132));
    assert_eq!(video.min_rtcp_interval_s, Some(0.0));
}

#[test]
fn stop_of_a_phone() {
    let expected = SelectedStreamConfiguration::Control {
        session_id: hex(SESSION).try_into().unwrap(),
        command: StreamCommand::End,
    };
    assert_eq!(
        SelectedStreamConfiguration::decode(&b64(STOP)).unwrap(),
        expected
    );
}

#[test]
fn supported_video_bytes() {
    let expected = "AcMBAQACGwEBAQAAAQECAgEAAAACAQEAAAIBAgMBAAQBAAMLAQKABwICOAQDAR4AAAMLAQIABQIC0AIDAR4AAAMLAQIABQICwAMDAR4AAAMLAQIABAICAAMDAR4AAAMLAQKAAgIC4AEDAR4AAAMLAQKAAgICaAEDAR4AAAMLAQLgAQICaAEDAR4AAAMLAQLgAQICDgEDAR4AAAMLAQJAAQIC8AADAR4AAAMLAQJAAQIC8AADAQ8AAAMLAQJAAQICtAADAR4=";
    assert_eq!(
        STANDARD.encode(SupportedVideo::up_to(1920, 1080).encode()),
        expected
    );
}

#[test]
fn small_cameras_still_offer_the_watch_size() {
    let offered = SupportedVideo::up_to(160, 120).attributes;
    assert!(offered.contains(&VideoAttributes::new(320, 240, 15)));
    assert!(!offered.contains(&VideoAttributes::new(640, 480, 30)));
}

#[test]
fn supported_audio_and_rtp_bytes() {
    assert_eq!(
        STANDARD.encode(SupportedAudio::opus().encode()),
        "ARMBAQMCDgEBAQIBAAMBAQAAAwECAgEA"
    );
    let both = SupportedAudio {
        codecs: vec![
            (AudioCodec::AacEld, vec![SampleRate::Khz16]),
            (AudioCodec::Opus, vec![SampleRate::Khz16, SampleRate::Khz24]),
        ],
    };
    assert_eq!(
        STANDARD.encode(both.encode()),
        "AQ4BAQICCQEBAQIBAAMBAQAAARMBAQMCDgEBAQIBAAMBAQAAAwECAgEA"
    );
    assert_eq!(STANDARD.encode(SupportedRtp::default().encode()), "AgEA");
}

#[test]
fn streaming_status_bytes() {
    assert_eq!(StreamingStatus::InUse.encode(), [1, 1, 1]);
}

#[test]
fn rejects() {
    let mut request = SetupEndpointsRequest::decode(&b64(SETUP_WRITE)).unwrap();
    request.video_srtp.key = zeroize::Zeroizing::new(vec![1; 15]);
    let wrong = SetupEndpointsRequest::decode(&request.encode());
    assert_eq!(
        wrong,
        Err(DecodeError::KeyLength {
            field: "key",
            expected: 16,
            actual: 15
        })
    );
    for cut in 0..b64(START).len() {
        assert!(
            SelectedStreamConfiguration::decode(&b64(START)[..cut]).is_err()
                || cut > 0x15 + 2 + 0x34
        );
    }
    assert!(SelectedStreamConfiguration::decode(&[]).is_err());
    assert!(SetupEndpointsRequest::decode(&[]).is_err());
    assert!(SetupEndpointsResponse::decode(&[]).is_err());
}

#[test]
fn address_of_the_wrong_family_is_rejected() {
    let mut bytes = b64(SETUP_WRITE);
    let at = bytes
        .windows(5)
        .position(|w| w == [0x03, 0x1a, 0x01, 0x01, 0x00])
        .unwrap();
    bytes[at + 4] = 1;
    assert_eq!(
        SetupEndpointsRequest::decode(&bytes),
        Err(DecodeError::Address)
    );
}

#[test]
fn debug_shows_no_keys() {
    let request = SetupEndpointsRequest::decode(&b64(SETUP_WRITE)).unwrap();
    let text = format!("{request:?}");
    assert!(!text.contains("216") && !text.contains("key: ["), "{text}");
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = SetupEndpointsRequest::decode(&bytes);
        let _ = SetupEndpointsResponse::decode(&bytes);
        let _ = SelectedStreamConfiguration::decode(&bytes);
    }

    #[test]
    fn damaged_captures_do_not_panic(at in 0usize..160, with in any::<u8>(), which in 0usize..4) {
        let mut bytes = b64([SETUP_WRITE, START, RECONFIGURE, STOP][which]);
        let at = at % bytes.len();
        bytes[at] = with;
        let _ = SetupEndpointsRequest::decode(&bytes);
        if let Ok(command) = SelectedStreamConfiguration::decode(&bytes) {
            prop_assert_eq!(SelectedStreamConfiguration::decode(&command.encode()).unwrap(), command);
        }
    }
}
