//! What holds for every recording.

use super::bench::Bench;
use super::boxes::{self, Fragment, nal_units};
use super::streams::Stream;

pub(crate) const VIDEO_TIMESCALE: u64 = 90_000;

/// Everything through at once, then the end.
pub(crate) fn record(video: &Stream, audio: Option<&Stream>) -> Bench {
    let bench = Bench::new(video, audio);
    bench.push_both(&video.buffers, audio.map_or(&[], |it| &it.buffers));
    bench.end();
    bench
}

/// What holds for every recording.
pub(crate) fn check(bench: &Bench, longest: u64) -> Vec<Fragment> {
    let buffers = bench.buffers();
    assert!(buffers[0].flags().contains(gst::BufferFlags::HEADER));
    let tracks = boxes::init(&buffers[0].map_readable().unwrap());
    assert!(tracks.values().all(|track| !track.has_edit_list));
    assert_eq!(tracks[&1].timescale, VIDEO_TIMESCALE);
    let fragments = bench.fragments();
    let mut positions = [0, 0];
    for (index, fragment) in fragments.iter().enumerate() {
        assert_eq!(fragment.sequence_number, index as u64 + 1);
        assert!(
            fragment.duration() * 1000 <= longest * VIDEO_TIMESCALE,
            "{}",
            fragment.duration()
        );
        check_samples(fragment, &tracks[&1].entry);
        assert_eq!(fragment.video()[0].dts, positions[0]);
        positions[0] += fragment.duration();
        if let Some(first) = fragment.audio().first() {
            assert!(first.dts >= positions[1]);
            positions[1] = first.dts + fragment.audio().iter().map(|it| it.duration).sum::<u64>();
        }
    }
    check_times(&buffers, &fragments);
    fragments
}

/// The first sample is a sync sample, and flags say the truth; nothing in samples that belongs to the
/// sample entry.
fn check_samples(fragment: &Fragment, entry: &str) {
    assert!(fragment.video()[0].is_sync());
    for sample in fragment.video() {
        let kinds: Vec<u8> = nal_units(&sample.data)
            .iter()
            .map(|unit| {
                if entry == "avc1" {
                    unit[0] & 0x1f
                } else {
                    (unit[0] >> 1) & 0x3f
                }
            })
            .collect();
        let (key, unwanted) = match entry {
            "avc1" => (kinds.contains(&5), 7..=13),
            _ => (kinds.iter().any(|kind| (16..=21).contains(kind)), 32..=38),
        };
        assert!(
            !kinds.iter().any(|kind| unwanted.contains(kind)),
            "{kinds:?}"
        );
        assert_eq!(sample.is_sync(), key, "{kinds:?}");
        assert_eq!(sample.is_delta(), !key, "{kinds:?}");
    }
    assert!(fragment.audio().iter().all(boxes::Sample::is_sync));
}

/// Buffers carry the times of what is in them.
fn check_times(buffers: &[gst::Buffer], fragments: &[Fragment]) {
    let start = buffers[1].pts().unwrap();
    assert!(buffers[1].flags().contains(gst::BufferFlags::DISCONT));
    for (buffer, fragment) in buffers[1..].iter().zip(fragments) {
        let expected = fragment.video()[0].pts as u64 * 1_000_000 / 90;
        let pts = (buffer.pts().unwrap() - start).nseconds();
        assert!(pts.abs_diff(expected) < 20_000, "{pts} {expected}");
        let duration = fragment.duration() * 1_000_000 / 90;
        assert!(buffer.duration().unwrap().nseconds().abs_diff(duration) < 20_000);
    }
}

pub(crate) fn durations(fragments: &[Fragment]) -> Vec<u64> {
    fragments
        .iter()
        .map(|it| it.duration() * 1000 / VIDEO_TIMESCALE)
        .collect()
}

pub(crate) fn frames(fragments: &[Fragment]) -> (usize, usize) {
    let sum = |count: fn(&Fragment) -> usize| fragments.iter().map(count).sum();
    (sum(|it| it.video().len()), sum(|it| it.audio().len()))
}
