//! The camera's stream management services: which are free, and what they offer (HAP R1 §11).

use hap_camera::rtp::{H264Level, H264Profile, SampleRate, SrtpSuite, VideoAttributes};
use hap_tlv8::Tlv;

use crate::database::{CharId, Database, Service};
use crate::failure::{Failure, Kind, Result};
use crate::names;
use crate::session::{ReadFlags, Session};
use crate::value;

/// Camera RTP Stream Management.
const SERVICE: &str = "110";
/// Streaming Status of a service that takes a session: `01 01 00`.
const AVAILABLE: u64 = 0;

/// One Camera RTP Stream Management service: it carries one stream at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamService {
    /// Accessory instance ID.
    pub aid: u64,
    /// Instance ID of the service.
    pub iid: u64,
    /// Streaming Status, 120.
    pub status: CharId,
    /// Supported Video Stream Configuration, 114.
    pub video: CharId,
    /// Supported Audio Stream Configuration, 115.
    pub audio: CharId,
    /// Supported RTP Configuration, 116.
    pub rtp: CharId,
    /// Selected RTP Stream Configuration, 117.
    pub selected: CharId,
    /// Setup Endpoints, 118.
    pub setup: CharId,
}

impl StreamService {
    fn from_service(aid: u64, service: &Service) -> Option<Self> {
        let id = |kind| {
            let iid = service.characteristic(kind)?.iid;
            Some(CharId { aid, iid })
        };
        Some(Self {
            aid,
            iid: service.iid,
            status: id("120")?,
            video: id("114")?,
            audio: id("115")?,
            rtp: id("116")?,
            selected: id("117")?,
            setup: id("118")?,
        })
    }
}

/// The stream services of all accessories, in the order of the database.
#[must_use]
pub fn stream_services(database: &Database) -> Vec<StreamService> {
    let services = database
        .accessories
        .iter()
        .flat_map(|a| a.services.iter().map(move |s| (a.aid, s)));
    services
        .filter(|(_, s)| names::same_type(&s.kind, SERVICE))
        .filter_map(|(aid, s)| StreamService::from_service(aid, s))
        .collect()
}

/// The first service that takes a session, or the `wanted`-th (from 1), whatever it says.
///
/// # Errors
/// [`Kind::NotFound`] when the accessory is no camera, [`Kind::Refused`] when all are in use.
pub async fn free_service(
    session: &Session,
    database: &Database,
    wanted: Option<usize>,
) -> Result<StreamService> {
    let services = stream_services(database);
    if services.is_empty() {
        return Err(Failure::new(
            Kind::NotFound,
            "the accessory has no camera stream service",
        ));
    }
    if let Some(n) = wanted {
        let chosen = n.checked_sub(1).and_then(|i| services.get(i)).copied();
        return chosen.ok_or_else(|| no_such_stream(n, services.len()));
    }
    let status: Vec<CharId> = services.iter().map(|s| s.status).collect();
    let replies = session.read(&status, ReadFlags::default()).await?;
    for service in &services {
        let reply = replies.iter().find(|r| r.id == service.status);
        if reply.is_some_and(|r| status_value(r.value.as_ref()) == Some(AVAILABLE)) {
            return Ok(*service);
        }
    }
    Err(all_in_use(services.len()))
}

fn no_such_stream(n: usize, count: usize) -> Failure {
    Failure::new(Kind::NotFound, format!("there is no stream service {n}"))
        .hint(format!("--stream goes from 1 to {count}"))
}

fn all_in_use(count: usize) -> Failure {
    Failure::new(
        Kind::Refused,
        format!("none of the {count} stream services is available"),
    )
    .hint("end another view, or wait half a minute: a camera ends streams nobody watches")
}

/// The number in a Streaming Status value.
#[must_use]
pub fn status_value(value: Option<&serde_json::Value>) -> Option<u64> {
    Tlv::parse(&value::tlv8(value).ok()?).ok()?.uint(1).ok()
}

/// An audio codec a camera offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedAudio {
    /// Codec number: 2 AAC-ELD, 3 Opus.
    pub codec: u64,
    /// Sample rates.
    pub rates: Vec<SampleRate>,
}

/// What a stream service offers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offer {
    /// H.264 profiles.
    pub profiles: Vec<H264Profile>,
    /// H.264 levels.
    pub levels: Vec<H264Level>,
    /// Picture sizes with frame rates.
    pub sizes: Vec<VideoAttributes>,
    /// Audio codecs.
    pub audio: Vec<OfferedAudio>,
    /// SRTP suites.
    pub suites: Vec<SrtpSuite>,
}

impl Offer {
    /// Reads 114, 115 and 116 of `service`.
    ///
    /// # Errors
    /// When the accessory refuses, or [`Kind::Protocol`] for values that are malformed.
    pub async fn read(session: &Session, service: &StreamService) -> Result<Self> {
        let ids = [service.video, service.audio, service.rtp];
        let mut replies = session.read(&ids, ReadFlags::default()).await?;
        let mut bytes = |id: CharId| {
            let at = replies.iter().position(|r| r.id == id);
            let at = at.ok_or_else(|| Failure::new(Kind::Protocol, format!("no answer for {id}")));
            value::tlv8(replies.swap_remove(at?).ok()?.value.as_ref())
        };
        let (video, audio, rtp) = (bytes(ids[0])?, bytes(ids[1])?, bytes(ids[2])?);
        Self::parse(&video, &audio, &rtp).map_err(|e| {
            Failure::new(
                Kind::Protocol,
                format!("the supported configurations are malformed: {e}"),
            )
        })
    }

    /// Reads the values of 114, 115 and 116. Numbers this program does not know are left out.
    ///
    /// # Errors
    /// When a value is malformed.
    pub fn parse(
        video: &[u8],
        audio: &[u8],
        rtp: &[u8],
    ) -> std::result::Result<Self, hap_tlv8::Error> {
        let mut offer = Self::default();
        for codec in nested_all(&Tlv::parse(video)?, 1)? {
            // Codec 0 is H.264, the only one of the classic protocol.
            if codec.uint(1)? == 0 {
                offer.add_h264(&codec)?;
            }
        }
        for codec in nested_all(&Tlv::parse(audio)?, 1)? {
            offer.audio.push(audio_codec(&codec)?);
        }
        offer.suites = known(&Tlv::parse(rtp)?, 2, |n| SrtpSuite::from_wire(n).ok());
        Ok(offer)
    }

    fn add_h264(&mut self, codec: &Tlv) -> std::result::Result<(), hap_tlv8::Error> {
        for parameters in nested_all(codec, 2)? {
            self.profiles
                .extend(known(&parameters, 1, |n| H264Profile::from_wire(n).ok()));
            self.levels
                .extend(known(&parameters, 2, |n| H264Level::from_wire(n).ok()));
        }
        for size in nested_all(codec, 3)? {
            self.sizes.extend(attributes(&size)?);
        }
        Ok(())
    }
}

fn nested_all(tlv: &Tlv, tag: u8) -> std::result::Result<Vec<Tlv>, hap_tlv8::Error> {
    tlv.all(tag).map(Tlv::parse).collect()
}

/// The values of `tag` that `read` knows.
fn known<T>(tlv: &Tlv, tag: u8, read: impl Fn(u64) -> Option<T>) -> Vec<T> {
    tlv.all(tag)
        .filter_map(little_endian)
        .filter_map(read)
        .collect()
}

fn little_endian(bytes: &[u8]) -> Option<u64> {
    let mut wide = [0; 8];
    wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
    (!bytes.is_empty()).then(|| u64::from_le_bytes(wide))
}

fn attributes(tlv: &Tlv) -> std::result::Result<Option<VideoAttributes>, hap_tlv8::Error> {
    let (width, height, fps) = (tlv.uint(1)?, tlv.uint(2)?, tlv.uint(3)?);
    Ok(
        match (width.try_into(), height.try_into(), fps.try_into()) {
            (Ok(width), Ok(height), Ok(fps)) => Some(VideoAttributes { width, height, fps }),
            _ => None,
        },
    )
}

fn audio_codec(codec: &Tlv) -> std::result::Result<OfferedAudio, hap_tlv8::Error> {
    let parameters = codec.nested(2)?;
    Ok(OfferedAudio {
        codec: codec.uint(1)?,
        rates: known(&parameters, 3, |n| SampleRate::from_wire(n).ok()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::tests::camera;
    use crate::hex;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use proptest::prelude::*;
    use serde_json::json;

    fn bytes(text: &str) -> Vec<u8> {
        BASE64.decode(text).unwrap()
    }

    /// Main and High, levels 3.1 to 4.0, eleven sizes, with `00 00` between siblings.
    const VIDEO: &str = "AcMBAQACGwEBAQAAAQECAgEAAAACAQEAAAIBAgMBAAQBAAMLAQKABwICOAQDAR4AAAML\
        AQIABQIC0AIDAR4AAAMLAQIABQICwAMDAR4AAAMLAQIABAICAAMDAR4AAAMLAQKAAgIC4AEDAR4AAAMLAQKAAgIC\
        aAEDAR4AAAMLAQLgAQICaAEDAR4AAAMLAQLgAQICDgEDAR4AAAMLAQJAAQIC8AADAR4AAAMLAQJAAQIC8AADAQ8A\
        AAMLAQJAAQICtAADAR4=";

    #[test]
    fn offers_with_separators_are_read() {
        let offer = Offer::parse(
            &bytes(VIDEO),
            &bytes("ARMBAQMCDgEBAQIBAAMBAQAAAwECAgEA"),
            &bytes("AgEA"),
        )
        .unwrap();
        assert_eq!(offer.profiles, [H264Profile::Main, H264Profile::High]);
        assert_eq!(
            offer.levels,
            [H264Level::L3_1, H264Level::L3_2, H264Level::L4_0]
        );
        assert_eq!(offer.sizes.len(), 11);
        assert_eq!(offer.sizes[0], VideoAttributes::new(1920, 1080, 30));
        assert_eq!(offer.sizes[9], VideoAttributes::new(320, 240, 15));
        let opus = OfferedAudio {
            codec: 3,
            rates: vec![SampleRate::Khz16, SampleRate::Khz24],
        };
        assert_eq!(offer.audio, [opus]);
        assert_eq!(offer.suites, [SrtpSuite::AesCm128HmacSha1_80]);
    }

    #[test]
    fn offers_of_adjacent_items_are_read() {
        // As HAP-python writes them: no separators, frame rates of two bytes, a codec per rate.
        let video = hex::decode(
            "0141 010100 0212 030100 010100 010101 010102 020100 020102 \
             030c 01024001 0202f000 03020f00 030c 01028002 02026801 03021e00 \
             030c 01020005 0202d002 03021e00",
        );
        let audio = "AQ4BAQMCCQEBAQIBAAMBAgEOAQEDAgkBAQECAQADAQECAQA=";
        let mut video = video.unwrap();
        video[1] = (video.len() - 2) as u8;
        let offer = Offer::parse(&video, &bytes(audio), &bytes("AgEA")).unwrap();
        assert_eq!(offer.profiles.len(), 3);
        assert_eq!(offer.sizes.len(), 3);
        assert_eq!(offer.sizes[2], VideoAttributes::new(1280, 720, 30));
        let rates: Vec<_> = offer.audio.iter().map(|a| a.rates[0]).collect();
        assert_eq!(rates, [SampleRate::Khz24, SampleRate::Khz16]);
    }

    #[test]
    fn status_is_the_first_item() {
        assert_eq!(status_value(Some(&json!("AQEA"))), Some(0));
        assert_eq!(status_value(Some(&json!("AQEB"))), Some(1));
        assert_eq!(status_value(Some(&json!(""))), None);
        assert_eq!(status_value(None), None);
    }

    #[test]
    fn a_service_without_its_characteristics_is_no_stream() {
        assert!(stream_services(&camera()).is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(
            video in proptest::collection::vec(any::<u8>(), 0..100),
            audio in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let _ = Offer::parse(&video, &audio, &video);
        }
    }
}
