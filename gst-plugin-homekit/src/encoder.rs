//! Bitrates of running encoders, each in its own unit.

use gst::glib;
use gst::prelude::*;

/// Where an encoder has its bitrate.
#[derive(Debug, Clone, PartialEq)]
enum Knob {
    /// A property, in units of so many bit/s.
    Property { spec: glib::ParamSpec, unit: u32 },
    /// The field `video_bitrate` of `extra-controls`, in bit/s (Video4Linux).
    ExtraControls,
}

/// Encoders whose property is known, and its unit in bit/s.
const KNOWN: &[(&str, &str, u32)] = &[
    ("x264enc", "bitrate", 1000),
    ("x265enc", "bitrate", 1000),
    ("openh264enc", "bitrate", 1),
    ("vah264enc", "bitrate", 1000),
    ("vah264lpenc", "bitrate", 1000),
    ("vah265enc", "bitrate", 1000),
    ("vah265lpenc", "bitrate", 1000),
    ("vaapih264enc", "bitrate", 1000),
    ("vaapih265enc", "bitrate", 1000),
    ("nvh264enc", "bitrate", 1000),
    ("nvh265enc", "bitrate", 1000),
    ("nvcudah264enc", "bitrate", 1000),
    ("nvcudah265enc", "bitrate", 1000),
    ("nvv4l2h264enc", "bitrate", 1),
    ("nvv4l2h265enc", "bitrate", 1),
    ("qsvh264enc", "bitrate", 1000),
    ("qsvh265enc", "bitrate", 1000),
    ("msdkh264enc", "bitrate", 1000),
    ("msdkh265enc", "bitrate", 1000),
    ("omxh264enc", "target-bitrate", 1),
    ("omxh265enc", "target-bitrate", 1),
    ("mpph264enc", "bps", 1),
    ("mpph265enc", "bps", 1),
    ("vtenc_h264", "bitrate", 1000),
    ("vtenc_h264_hw", "bitrate", 1000),
    ("vtenc_h265", "bitrate", 1000),
    ("opusenc", "bitrate", 1),
    ("fdkaacenc", "bitrate", 1),
];

/// What encoders that are not known may call theirs.
const USUAL: &[&str] = &["target-bitrate", "bps", "bitrate", "average-bitrate"];

/// Sets the bitrate of a running encoder, in bit/s, to the nearest it can do. Returns `false` if
/// the element has no bitrate that can be changed while it runs.
///
/// Encoders that only hold their bitrate on average need a rate control that is meant for it:
/// `x264enc` has a VBV buffer of `vbv-buf-capacity` (600 ms) unless `pass` or `option-string` say
/// otherwise, `openh264enc` needs `rate-control=bitrate` (and `enable-frame-skip=true`
/// for pictures that are hard to code), `x265enc` obeys with
/// `option-string=vbv-maxrate=…:vbv-bufsize=…` only.
pub fn set_bitrate(encoder: &gst::Element, bits_per_second: u32) -> bool {
    match knob(encoder) {
        Some(Knob::Property { spec, unit }) => set_property(encoder, &spec, bits_per_second / unit),
        Some(Knob::ExtraControls) => set_extra_controls(encoder, bits_per_second),
        None => false,
    }
}

/// The bitrate an encoder is set to, in bit/s; `None` if it has none that could be changed.
pub fn bitrate(encoder: &gst::Element) -> Option<u32> {
    let bits = match knob(encoder)? {
        Knob::Property { spec, unit } => {
            number(&encoder.property_value(spec.name()))? * i64::from(unit)
        }
        Knob::ExtraControls => {
            let controls = encoder.property::<Option<gst::Structure>>("extra-controls")?;
            controls.get::<i32>("video_bitrate").ok()?.into()
        }
    };
    u32::try_from(bits).ok()
}

fn knob(encoder: &gst::Element) -> Option<Knob> {
    let factory = encoder.factory()?;
    let name = factory.name();
    let known = KNOWN.iter().find(|(known, ..)| *known == name);
    if let Some((_, property, unit)) = known {
        let spec = encoder.find_property(property)?;
        return Some(Knob::Property { spec, unit: *unit });
    }
    if name.starts_with("v4l2") && encoder.find_property("extra-controls").is_some() {
        return Some(Knob::ExtraControls);
    }
    let is_encoder = factory.has_type(gst::ElementFactoryType::ENCODER);
    let usual = || USUAL.iter().filter_map(|name| encoder.find_property(name));
    let spec = usual().find(|spec| spec.flags().contains(gst::PARAM_FLAG_MUTABLE_PLAYING));
    spec.filter(|_| is_encoder).map(|spec| Knob::Property {
        unit: unit_of(&spec),
        spec,
    })
}

/// The unit of a property, by what it says of itself.
fn unit_of(spec: &glib::ParamSpec) -> u32 {
    let blurb = spec.blurb().unwrap_or_default().to_lowercase();
    let kilo = ["kbit", "kbps", "kb/s", "kilobit"];
    match kilo.iter().any(|word| blurb.contains(word)) {
        true => 1000,
        false => 1,
    }
}

/// Sets an integer property of any width, within its range.
fn set_property(encoder: &gst::Element, spec: &glib::ParamSpec, value: u32) -> bool {
    let name = spec.name();
    if let Some(spec) = spec.downcast_ref::<glib::ParamSpecUInt>() {
        encoder.set_property(name, value.clamp(spec.minimum(), spec.maximum()));
    } else if let Some(spec) = spec.downcast_ref::<glib::ParamSpecInt>() {
        let value = i32::try_from(value).unwrap_or(i32::MAX);
        encoder.set_property(name, value.clamp(spec.minimum(), spec.maximum()));
    } else if let Some(spec) = spec.downcast_ref::<glib::ParamSpecInt64>() {
        encoder.set_property(name, i64::from(value).clamp(spec.minimum(), spec.maximum()));
    } else if let Some(spec) = spec.downcast_ref::<glib::ParamSpecUInt64>() {
        encoder.set_property(name, u64::from(value).clamp(spec.minimum(), spec.maximum()));
    } else {
        return false;
    }
    true
}

fn number(value: &glib::Value) -> Option<i64> {
    let unsigned = || value.get::<u32>().ok().map(i64::from);
    let signed = || value.get::<i32>().ok().map(i64::from);
    let long = || value.get::<i64>().ok();
    let unsigned_long = || value.get::<u64>().ok().and_then(|n| n.try_into().ok());
    unsigned()
        .or_else(signed)
        .or_else(long)
        .or_else(unsigned_long)
}

fn set_extra_controls(encoder: &gst::Element, bits_per_second: u32) -> bool {
    let controls = encoder.property::<Option<gst::Structure>>("extra-controls");
    let mut controls = controls.unwrap_or_else(|| gst::Structure::new_empty("controls"));
    let bitrate = i32::try_from(bits_per_second).unwrap_or(i32::MAX);
    controls.set("video_bitrate", bitrate);
    encoder.set_property("extra-controls", controls);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(name: &str) -> gst::Element {
        gst::init().unwrap();
        gst::ElementFactory::make(name).build().unwrap()
    }

    #[test]
    fn each_encoder_is_set_in_its_own_unit() {
        for (name, value) in [("x264enc", 299), ("x265enc", 299), ("openh264enc", 299_500)] {
            let encoder = element(name);
            assert!(set_bitrate(&encoder, 299_500), "{name}");
            assert_eq!(encoder.property::<u32>("bitrate"), value, "{name}");
            let unit = if value == 299 { 1000 } else { 1 };
            assert_eq!(bitrate(&encoder), Some(value * unit), "{name}");
        }
    }

    #[test]
    fn values_stay_in_the_range_of_the_encoder() {
        let opus = element("opusenc");
        assert!(set_bitrate(&opus, 1));
        assert_eq!(opus.property::<i32>("bitrate"), 4000);
        let x264 = element("x264enc");
        assert!(set_bitrate(&x264, 0));
        assert_eq!(x264.property::<u32>("bitrate"), 1);
    }

    #[test]
    fn encoders_that_are_not_known_are_asked_what_they_mean() {
        let vp8 = element("vp8enc");
        assert_eq!(vp8.property::<i32>("target-bitrate"), 256_000);
        assert!(!set_bitrate(&element("jpegenc"), 1000), "no bitrate");
        assert!(!set_bitrate(&element("queue"), 1000), "no encoder");
        // Not to be changed while it runs.
        assert_eq!(bitrate(&element("voaacenc")), None);
    }

    #[test]
    fn units_are_read_off_the_description() {
        let spec = |blurb: &str| {
            let builder = glib::ParamSpecUInt::builder("bitrate").blurb(blurb);
            unit_of(&builder.build())
        };
        assert_eq!(spec("Bitrate in kbit/sec"), 1000);
        assert_eq!(spec("The desired bitrate expressed in kbps"), 1000);
        assert_eq!(spec("Bitrate in bits per second"), 1);
    }
}
