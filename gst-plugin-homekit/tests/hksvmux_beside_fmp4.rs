//! `hksvmux` and an application that brings the plugin `fmp4` leave each other alone.

mod common;
mod hksv;

use hksv::bench::Bench;
use hksv::streams;

fn finds_isofmp4mux() -> bool {
    gst::ElementFactory::find("isofmp4mux").is_some()
}

#[test]
fn the_application_sees_its_own_plugin_only() {
    let video = streams::h264("25", 5, 25);
    let before = finds_isofmp4mux();
    let record = || {
        let bench = Bench::new(&video, None);
        bench.push_both(&video.buffers, &[]);
        bench.end();
        assert_eq!(bench.fragments().len(), 2);
    };
    record();
    assert_eq!(
        finds_isofmp4mux(),
        before,
        "nothing new to plug automatically"
    );
    gstfmp4::plugin_register_static().unwrap();
    assert!(finds_isofmp4mux());
    record();
    assert!(finds_isofmp4mux());
}
