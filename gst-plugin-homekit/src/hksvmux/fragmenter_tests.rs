use proptest::prelude::*;

use super::*;

const MS: u64 = 1_000_000;
const LIMIT: u64 = 4000 * MS;
const PATIENCE: Duration = Duration::from_millis(500);

type Numbers = Fragmenter<u64, u64>;

fn fragmenter() -> Numbers {
    let mut fragmenter = Fragmenter::new(LIMIT, PATIENCE);
    fragmenter.set_frame_interval(40 * MS);
    fragmenter
}

fn picture(fragmenter: &mut Numbers, number: u64, key: bool, now: Instant) {
    let picture = Picture {
        pts: number * 40 * MS,
        key,
        data: number,
    };
    fragmenter.picture(picture, now).expect("key frames come");
}

/// 25 frames per second with a key frame each second.
fn seconds(fragmenter: &mut Numbers, seconds: std::ops::Range<u64>, now: Instant) {
    for number in seconds.start * 25..seconds.end * 25 {
        picture(fragmenter, number, number % 25 == 0, now);
    }
}

fn numbers(fragment: &Fragment<u64, u64>) -> Vec<u64> {
    fragment.video.iter().map(|sample| sample.data).collect()
}

#[test]
fn a_fragment_is_out_with_the_key_frame_after_it() {
    let (mut fragmenter, now) = (fragmenter(), Instant::now());
    seconds(&mut fragmenter, 0..4, now);
    assert!(fragmenter.fragment(now).is_none());
    picture(&mut fragmenter, 100, true, now);
    let fragment = fragmenter.fragment(now).expect("it is complete");
    assert_eq!(numbers(&fragment), (0..100).collect::<Vec<_>>());
    assert_eq!(fragment.duration(), 4 * VIDEO_TIMESCALE);
    assert_eq!(fragment.start, 0);
    assert!(fragmenter.fragment(now).is_none());
}

#[test]
fn what_comes_before_the_first_key_frame_or_is_shown_before_it_is_left_out() {
    let (mut fragmenter, now) = (fragmenter(), Instant::now());
    picture(&mut fragmenter, 1, false, now);
    picture(&mut fragmenter, 4, true, now);
    picture(&mut fragmenter, 3, false, now);
    picture(&mut fragmenter, 5, false, now);
    fragmenter.finish(now);
    let fragment = fragmenter.fragment(now).expect("the end completes it");
    assert_eq!(numbers(&fragment), [4, 5]);
    let times: Vec<u64> = fragment.video.iter().map(|sample| sample.pts).collect();
    assert_eq!(times, [0, 3600]);
    assert_eq!(fragment.start, 160 * MS);
}

#[test]
fn a_fragment_waits_for_its_sound_but_not_forever() {
    let (mut fragmenter, now) = (fragmenter(), Instant::now());
    fragmenter.set_sound(Some(Sound::new(1000)));
    seconds(&mut fragmenter, 0..5, now);
    assert!(fragmenter.fragment(now).is_none());
    let sound = fragmenter.sound().expect("it was set");
    for number in 0..40 {
        sound.push(number * 100 * MS, 100, number);
    }
    let fragment = fragmenter.fragment(now).expect("the sound is there");
    assert_eq!(fragment.audio.len(), 40);

    seconds(&mut fragmenter, 5..9, now);
    assert!(fragmenter.fragment(now).is_none());
    assert!(fragmenter.is_waiting());
    let late = fragmenter.fragment(now + PATIENCE).expect("waited enough");
    assert!(late.audio.is_empty());
    // What was too late goes into the next one.
    let sound = fragmenter.sound().expect("it was set");
    sound.push(7000 * MS, 100, 70);
    sound.end();
    fragmenter.finish(now);
    let last = fragmenter.fragment(now).expect("the end completes it");
    assert_eq!(
        last.audio.iter().map(|it| it.position).collect::<Vec<_>>(),
        [7000]
    );
}

#[test]
fn open_groups_of_pictures_leave_neither_gap_nor_overlap() {
    let (mut fragmenter, now) = (fragmenter(), Instant::now());
    // Decoding order: the key frame 100 comes before 98 and 99, which are shown before it.
    for number in (0..98).chain([100, 98, 99]).chain(101..150) {
        picture(&mut fragmenter, number, number % 50 == 0, now);
    }
    fragmenter.finish(now);
    let mut position = 0;
    while let Some(fragment) = fragmenter.fragment(now) {
        assert_eq!(fragment.video[0].dts, position);
        position += fragment.duration();
    }
    assert_eq!(position, 150 * 3600);
}

#[test]
fn a_stream_that_never_sends_another_key_frame_is_given_up() {
    let (mut fragmenter, now) = (fragmenter(), Instant::now());
    let mut result = Ok(Verdict::default());
    for number in 0..=MAX_PICTURES as u64 {
        let picture = Picture {
            pts: number * 40 * MS,
            key: number == 0,
            data: number,
        };
        result = fragmenter.picture(picture, now);
    }
    assert_eq!(result, Err(StreamError::NoKeyFrame));
}

#[test]
fn times_that_go_back_end_it() {
    let (mut fragmenter, now) = (fragmenter(), Instant::now());
    seconds(&mut fragmenter, 3..5, now);
    let picture = Picture {
        pts: 0,
        key: true,
        data: 0,
    };
    let result = fragmenter.picture(picture, now);
    assert_eq!(result, Err(StreamError::WentBack));
    fragmenter.finish(now);
    assert_eq!(fragmenter.fragment(now).map(|it| it.video.len()), Some(50));
}

/// Length of a group in frames and how many of its pictures are reordered.
fn groups() -> impl Strategy<Value = Vec<(u64, u64)>> {
    prop::collection::vec((1_u64..160, 0_u64..4), 1..40)
}

/// Presentation times in frames, in decoding order, and whether each is a key frame.
fn decoding_order(groups: &[(u64, u64)]) -> Vec<(u64, bool)> {
    let mut order = Vec::new();
    let mut start = 0;
    for &(length, reordered) in groups {
        order.push((start, true));
        let mut shown = start + 1;
        while shown < start + length {
            let last = (shown + reordered).min(start + length - 1);
            order.push((last, false));
            order.extend((shown..last).map(|frame| (frame, false)));
            shown = last + 1;
        }
        start += length;
    }
    order
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_rules_hold_for_any_stream(
        groups in groups(),
        limit_ms in 200_u64..8000,
        interval_us in 15_000_u64..200_000,
        jitter in prop::collection::vec(0_u64..4_000_000, 8),
    ) {
        let limit = limit_ms * MS;
        let interval = interval_us * 1000;
        let longest = groups.iter().map(|group| group.0).max().unwrap_or(0) * interval + 8 * MS;
        let order = decoding_order(&groups);
        let now = Instant::now();
        let mut fragmenter = Fragmenter::<usize, ()>::new(limit, PATIENCE);
        let mut out = Vec::new();
        let mut overlong = false;
        for (index, &(frame, key)) in order.iter().enumerate() {
            let pts = frame * interval + jitter[frame as usize % jitter.len()];
            let verdict = fragmenter.picture(Picture { pts, key, data: index }, now).expect("bounded");
            overlong |= verdict.overlong;
            out.extend(std::iter::from_fn(|| fragmenter.fragment(now)));
        }
        fragmenter.finish(now);
        out.extend(std::iter::from_fn(|| fragmenter.fragment(now)));

        // Nothing is lost, and all stays in decoding order.
        let all: Vec<usize> = out.iter().flat_map(|it| it.video.iter().map(|sample| sample.data)).collect();
        let first_shown = jitter[0];
        let expected: Vec<usize> = (0..order.len())
            .filter(|&index| {
                let frame = order[index].0;
                frame * interval + jitter[frame as usize % jitter.len()] >= first_shown
            })
            .collect();
        prop_assert_eq!(all, expected);

        let mut position = 0;
        for fragment in &out {
            // Each begins with a key frame, where the last one ended or later, and time passes.
            prop_assert!(fragment.video[0].key);
            prop_assert!(fragment.video[0].dts >= position);
            for pair in fragment.video.windows(2) {
                prop_assert_eq!(pair[0].dts + pair[0].duration, pair[1].dts);
                prop_assert!(pair[0].duration > 0);
            }
            position = fragment.video[0].dts + fragment.duration();
            // No longer than allowed, unless it is one group that does not fit.
            let groups = fragment.video.iter().filter(|sample| sample.key).count();
            let length = fragment.duration() * 1_000_000_000 / VIDEO_TIMESCALE;
            // (times are rounded to ticks)
            prop_assert!(length <= limit + 12_000 || groups == 1, "{length} of {groups} groups");
            // Presentation and decoding are permutations of each other.
            let mut shown: Vec<u64> = fragment.video.iter().map(|sample| sample.pts).collect();
            shown.sort_unstable();
            let decoded: Vec<u64> = fragment.video.iter().map(|sample| sample.dts).collect();
            prop_assert_eq!(shown, decoded);
        }
        // Whoever has short groups is not accused.
        prop_assert!(!overlong || longest + interval >= limit);
        prop_assert_eq!(out[0].video[0].dts, 0);
    }
}
