//! Which decoders the system has for a stream.

use gst::prelude::*;
use pipelines::Element;

/// Factories of decoders for streams of these caps, the best first.
///
/// Chosen here and not by `decodebin`: that needs several times as long to start, and says nothing of what it chose.
pub(super) fn of(caps: &gst::Caps) -> Vec<String> {
    let kind = gst::ElementFactoryType::DECODER;
    let mut factories: Vec<_> = gst::ElementFactory::factories_with_type(kind, gst::Rank::MARGINAL)
        .into_iter()
        .filter(|factory| factory.can_sink_any_caps(caps) && !is_bin(factory))
        .collect();
    factories.sort_by_key(|factory| std::cmp::Reverse(factory.rank()));
    factories
        .into_iter()
        .map(|factory| factory.name().to_string())
        .collect()
}

/// The decoder `name` for pictures one at a time: its threads would cost more time and memory than they gain.
pub(super) fn for_single_pictures(name: &str) -> Element {
    let decoder = Element::new(name);
    let threads = gst::ElementFactory::make(name)
        .build()
        .is_ok_and(|element| element.has_property("max-threads"));
    match threads {
        true => decoder.set("max-threads", 1),
        false => decoder,
    }
}

/// Bins that only look for a decoder in turn.
fn is_bin(factory: &gst::ElementFactory) -> bool {
    let class = factory.metadata("klass").unwrap_or_default();
    class
        .split('/')
        .any(|part| part == "Bin" || part == "Generic")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::str::FromStr;

    #[test]
    fn every_codec_a_camera_may_have_is_decoded() {
        gst::init().unwrap();
        for caps in [
            "video/x-h264,stream-format=byte-stream,alignment=au,profile=high,width=640,height=360,parsed=true",
            "video/x-h265,stream-format=byte-stream,alignment=au,profile=main,parsed=true",
            "image/jpeg,parsed=true,width=640,height=480",
            "audio/mpeg,mpegversion=4,framed=true,stream-format=raw,rate=48000,channels=1",
            "audio/x-mulaw,rate=8000,channels=1",
            "audio/x-alaw,rate=8000,channels=1",
            "audio/x-opus,channel-mapping-family=0",
        ] {
            assert!(
                !of(&gst::Caps::from_str(caps).unwrap()).is_empty(),
                "{caps}"
            );
        }
        assert_eq!(
            of(&gst::Caps::from_str("video/x-nothing").unwrap()),
            Vec::<String>::new()
        );
    }
}
