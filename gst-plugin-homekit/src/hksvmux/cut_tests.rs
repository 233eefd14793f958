use super::*;

const MS: Nanoseconds = 1_000_000;
const LIMIT: Nanoseconds = 4000 * MS;
const FRAME: Nanoseconds = 40 * MS;

fn cutter() -> Cutter {
    let mut cutter = Cutter::new(LIMIT);
    cutter.set_interval(FRAME);
    cutter
}

/// Everything that was not the default, with the time in frames.
fn verdicts(cutter: &mut Cutter, frames: u64, key: impl Fn(u64) -> bool) -> Vec<(u64, Verdict)> {
    let verdicts = (0..frames).map(|frame| (frame, cutter.picture(frame * FRAME, key(frame))));
    let spoken = verdicts.filter(|(_, verdict)| *verdict != Verdict::default());
    spoken.collect()
}

fn cuts(verdicts: &[(u64, Verdict)]) -> Vec<u64> {
    let cuts = verdicts.iter();
    let cuts = cuts.filter(|(_, it)| it.before_this || it.before_newest_key);
    cuts.map(|(frame, _)| *frame).collect()
}

fn requests(verdicts: &[(u64, Verdict)]) -> Vec<u64> {
    let requests = verdicts.iter().filter_map(|(_, it)| it.key_wanted_at);
    requests.map(|time| time / FRAME).collect()
}

#[test]
fn groups_that_divide_the_limit_fill_it_exactly() {
    for group in [25, 50, 100] {
        let verdicts = verdicts(&mut cutter(), 351, |frame| frame % group == 0);
        assert_eq!(cuts(&verdicts), [100, 200, 300], "{group}");
        assert!(
            verdicts
                .iter()
                .all(|(_, it)| !it.before_newest_key && !it.overlong)
        );
    }
}

#[test]
fn as_many_groups_as_fit() {
    // Three groups of 30 are 90 frames; a fourth would be beyond 100.
    let verdicts = verdicts(&mut cutter(), 300, |frame| frame % 30 == 0);
    assert_eq!(cuts(&verdicts), [90, 180, 270]);
}

#[test]
fn a_group_longer_than_the_last_ends_the_fragment_as_soon_as_that_shows() {
    let keys = [0, 25, 50, 140, 165];
    let verdicts = verdicts(&mut cutter(), 200, |frame| keys.contains(&frame));
    let late = verdicts.iter().find(|(_, it)| it.before_newest_key);
    assert_eq!(late.map(|(frame, _)| *frame), Some(100));
    assert!(verdicts.iter().all(|(_, it)| !it.overlong));
}

#[test]
fn key_frames_are_asked_for_one_frame_before_the_limit() {
    // What is asked for comes.
    let verdicts = verdicts(&mut cutter(), 400, |frame| frame % 99 == 0);
    assert_eq!(cuts(&verdicts), [99, 198, 297, 396]);
    assert_eq!(requests(&verdicts), [99, 198, 297, 396, 495]);
    assert!(verdicts.iter().all(|(_, it)| !it.overlong));
}

#[test]
fn who_sends_key_frames_often_is_not_asked_again() {
    let verdicts = verdicts(&mut cutter(), 1000, |frame| frame % 50 == 0);
    assert_eq!(requests(&verdicts), [99]);
}

#[test]
fn who_stops_sending_them_is_asked() {
    let verdicts = verdicts(&mut cutter(), 280, |frame| frame <= 200 && frame % 25 == 0);
    assert_eq!(requests(&verdicts), [99, 299]);
    let asked = verdicts.iter().rfind(|(_, it)| it.key_wanted_at.is_some());
    // Two frames after the next was due.
    assert_eq!(asked.map(|(frame, _)| *frame), Some(228));
}

#[test]
fn who_does_not_listen_gets_long_fragments_and_is_named_once() {
    let verdicts = verdicts(&mut cutter(), 1001, |frame| frame % 250 == 0);
    assert_eq!(cuts(&verdicts), [250, 500, 750, 1000]);
    let overlong: Vec<_> = verdicts.iter().filter(|(_, it)| it.overlong).collect();
    assert_eq!(overlong.len(), 1);
    assert_eq!(overlong[0].0, 101);
    assert!(requests(&verdicts).len() < 15, "{verdicts:?}");
}

#[test]
fn the_first_key_frame_is_asked_for_at_once() {
    let verdicts = verdicts(&mut cutter(), 60, |_| false);
    assert_eq!(requests(&verdicts), [0]);
}

#[test]
fn an_unknown_frame_rate_is_measured() {
    let mut cutter = Cutter::new(LIMIT);
    assert_eq!(cutter.interval(), UNKNOWN_INTERVAL);
    verdicts(&mut cutter, 3, |frame| frame == 0);
    assert_eq!(cutter.interval(), FRAME);
}
