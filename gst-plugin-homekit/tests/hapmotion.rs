//! `hapmotion` in pipelines: what it says on the bus, and that it changes nothing of what passes.

use gst::prelude::*;
use gst_check::Harness;
use gst_video::VideoFormat;

const FPS: u64 = 10;

fn init() {
    gst::init().unwrap();
    gsthomekit::plugin_register_static().unwrap();
}

struct Bench {
    harness: Harness,
    bus: gst::Bus,
    format: VideoFormat,
    size: (usize, usize),
    number: u64,
}

impl Bench {
    fn new(properties: &str) -> Self {
        Self::with_format(properties, VideoFormat::I420)
    }

    fn with_format(properties: &str, format: VideoFormat) -> Self {
        init();
        let mut harness = Harness::new_parse(&format!("hapmotion name=motion {properties}"));
        let bus = gst::Bus::new();
        harness.element().unwrap().set_bus(Some(&bus));
        let mut bench = Self {
            bus,
            format,
            size: (0, 0),
            number: 0,
            harness: {
                harness.play();
                harness
            },
        };
        bench.resize(320, 180);
        bench
    }

    fn element(&self) -> gst::Element {
        let bin = self.harness.element().unwrap();
        let bin = bin.dynamic_cast_ref::<gst::Bin>();
        bin.map_or_else(
            || self.harness.element().unwrap(),
            |bin| bin.by_name("motion").unwrap(),
        )
    }

    fn resize(&mut self, width: usize, height: usize) {
        self.size = (width, height);
        let info = gst_video::VideoInfo::builder(self.format, width as u32, height as u32);
        let caps = info
            .fps((FPS as i32, 1))
            .build()
            .unwrap()
            .to_caps()
            .unwrap();
        self.harness.set_src_caps(caps);
    }

    /// A picture with a light square at `x`, if any. Returns what came out.
    fn show(&mut self, x: Option<usize>) -> (gst::Buffer, gst::Buffer) {
        let (width, height) = self.size;
        let info = gst_video::VideoInfo::builder(self.format, width as u32, height as u32);
        let info = info.build().unwrap();
        let mut buffer = gst::Buffer::with_size(info.size()).unwrap();
        let writable = buffer.get_mut().unwrap();
        writable.set_pts(gst::ClockTime::from_mseconds(self.number * 1000 / FPS));
        self.number += 1;
        let mut frame =
            gst_video::VideoFrameRef::from_buffer_ref_writable(writable, &info).unwrap();
        let step = info.comp_pstride(0) as usize;
        let offset =
            info.comp_poffset(0) as usize + usize::from(self.format == VideoFormat::P01010le);
        let stride = info.comp_stride(0) as usize;
        let plane = frame.plane_data_mut(0).unwrap();
        for row in 0..height {
            for column in 0..width {
                let inside =
                    x.is_some_and(|x| (x..x + 30).contains(&column)) && (60..120).contains(&row);
                plane[row * stride + column * step + offset] = if inside { 200 } else { 90 };
            }
        }
        drop(frame);
        let out = self.harness.push_and_pull(buffer.clone()).unwrap();
        (buffer, out)
    }

    fn still(&mut self, pictures: usize) {
        (0..pictures).for_each(|_| drop(self.show(None)));
    }

    fn cross(&mut self) {
        (0..30).for_each(|i| drop(self.show(Some(i * 10))));
    }

    /// The messages since the last call.
    fn said(&self) -> Vec<(bool, f64, u64)> {
        let messages = self.bus.iter_filtered(&[gst::MessageType::Element]);
        let structures = messages.filter_map(|message| message.structure().map(ToOwned::to_owned));
        let ours = structures.filter(|structure| structure.name() == "hapmotion");
        ours.map(|s| {
            (
                s.get("motion").unwrap(),
                s.get("score").unwrap(),
                s.get("timestamp").unwrap(),
            )
        })
        .collect()
    }

    fn starts(&self) -> usize {
        self.said().iter().filter(|(motion, ..)| *motion).count()
    }
}

#[test]
fn motion_is_said_once_with_score_and_running_time() {
    let mut bench = Bench::new("hold-time=500");
    bench.still(40);
    assert_eq!(bench.said(), []);
    assert!(!bench.element().property::<bool>("motion"));
    bench.cross();
    assert!(bench.element().property::<bool>("motion"));
    bench.still(20);
    assert!(!bench.element().property::<bool>("motion"));
    let said = bench.said();
    assert_eq!(said.len(), 2, "{said:?}");
    let (begin, end) = (said[0], said[1]);
    assert!(begin.0 && !end.0);
    // It crosses from 4 s to 7 s, and covers a thirty-second of the picture.
    assert!(
        (4_200_000_000..5_000_000_000).contains(&begin.2),
        "{begin:?}"
    );
    assert!((7_200_000_000..8_200_000_000).contains(&end.2), "{end:?}");
    assert!(
        (0.01..0.08).contains(&begin.1) && (0.01..0.08).contains(&end.1),
        "{said:?}"
    );
}

#[test]
fn pictures_pass_untouched_and_uncopied() {
    let mut bench = Bench::new("");
    for x in [None, Some(10), Some(40)] {
        let (given, came) = bench.show(x);
        assert_eq!(given.as_ptr(), came.as_ptr());
    }
}

#[test]
fn all_formats_of_its_caps_are_seen() {
    init();
    let template = gst::ElementFactory::find("hapmotion").unwrap();
    let template = template
        .static_pad_templates()
        .iter()
        .next()
        .unwrap()
        .caps();
    let formats = template
        .structure(0)
        .unwrap()
        .get::<gst::List>("format")
        .unwrap();
    assert!(formats.len() >= 15);
    for format in formats.iter() {
        let format = format.get::<String>().unwrap();
        let mut bench = Bench::with_format("", VideoFormat::from_string(&format));
        bench.still(40);
        assert_eq!(bench.said(), [], "{format}");
        bench.cross();
        assert_eq!(bench.starts(), 1, "{format}");
    }
}

#[test]
fn few_pictures_are_looked_at() {
    let mut bench = Bench::new("max-fps=1");
    bench.still(100);
    // Faster than once a second sees it.
    (0..8).for_each(|i| drop(bench.show(Some(i * 30))));
    bench.still(40);
    assert_eq!(bench.said(), []);
}

#[test]
fn unset_active_ends_motion_and_none_begins() {
    let mut bench = Bench::new("");
    bench.still(40);
    bench.cross();
    assert_eq!(bench.starts(), 1);
    bench.element().set_property("active", false);
    bench.still(1);
    let said = bench.said();
    assert!(said.len() == 1 && !said[0].0, "{said:?}");
    bench.cross();
    assert_eq!(bench.said(), []);
    bench.element().set_property("active", true);
    bench.still(40);
    bench.cross();
    assert_eq!(bench.starts(), 1);
}

#[test]
fn stopping_ends_motion() {
    let mut bench = Bench::new("");
    bench.still(40);
    bench.cross();
    assert_eq!(bench.starts(), 1);
    bench.element().set_state(gst::State::Null).unwrap();
    let said = bench.said();
    assert!(said.len() == 1 && !said[0].0, "{said:?}");
}

#[test]
fn zones_are_obeyed_and_mistakes_refused() {
    let mut bench = Bench::new("zones=0,0:1,0:1,0.2:0,0.2");
    let zones = |bench: &Bench| bench.element().property::<String>("zones");
    assert_eq!(zones(&bench), "0,0 1,0 1,0.2 0,0.2");
    bench.still(40);
    bench.cross();
    assert_eq!(bench.starts(), 0);
    bench.element().set_property("zones", "0,0 1,0 2,2");
    assert_eq!(zones(&bench), "0,0 1,0 1,0.2 0,0.2");
    bench.element().set_property("zones", "0,0.2 1,0.2 1,1 0,1");
    bench.still(40);
    bench.cross();
    assert_eq!(bench.starts(), 1);
}

#[test]
fn other_sizes_and_times_that_step_back_are_taken() {
    let mut bench = Bench::new("hold-time=300");
    bench.still(40);
    bench.resize(640, 360);
    bench.still(40);
    assert_eq!(bench.said(), []);
    bench.cross();
    assert_eq!(bench.starts(), 1);
    bench.still(20);
    bench.number = 0;
    bench.still(40);
    bench.said();
    bench.cross();
    assert_eq!(bench.starts(), 1);
}

#[test]
fn pictures_without_a_time_pass() {
    let mut bench = Bench::new("");
    let (given, _) = bench.show(None);
    let mut buffer = given.copy();
    buffer.get_mut().unwrap().set_pts(gst::ClockTime::NONE);
    bench.harness.push_and_pull(buffer).unwrap();
}
