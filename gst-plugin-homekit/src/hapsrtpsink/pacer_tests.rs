use super::*;

const PACE: Pace = Pace {
    factor: 8.0,
    bitrate: 4_000_000,
};

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A pacer with a clock that only waiting moves.
struct Bench {
    pacer: Pacer,
    start: Instant,
    now: Instant,
    raised: u64,
}

/// Parts of a frame: milliseconds since the start, and bytes.
type Parts = Vec<(u64, usize)>;

impl Bench {
    fn new() -> Self {
        let start = Instant::now();
        Self {
            pacer: Pacer::default(),
            start,
            now: start,
            raised: 0,
        }
    }

    fn frame(&mut self, pace: Pace, bytes: usize, time: u64) -> Parts {
        let raised = self.pacer.begin(pace, bytes, ms(time), self.now);
        self.raised += u64::from(raised);
        let (mut parts, mut left) = (Vec::new(), bytes);
        while left > 0 {
            match self.pacer.turn(left, self.now) {
                Turn::Send(bytes) => {
                    assert!(bytes > 0 && bytes <= left);
                    let at = (self.now - self.start).as_millis() as u64;
                    parts.push((at, bytes));
                    self.pacer.sent(bytes);
                    left -= bytes;
                }
                Turn::Wait(until) => {
                    assert!(until > self.now, "waiting takes time");
                    self.now = until;
                }
            }
        }
        self.pacer.finish(self.now);
        parts
    }

    fn at(&mut self, milliseconds: u64) {
        self.now = self.start + ms(milliseconds);
    }
}

#[test]
fn ordinary_frames_leave_in_one_go() {
    let mut bench = Bench::new();
    for n in 0..300 {
        bench.at(33 * n);
        let bytes = [16_000, 12_000, 40_000][n as usize % 3];
        assert_eq!(bench.frame(PACE, bytes, 33 * n), [(33 * n, bytes)]);
    }
    assert_eq!(bench.raised, 0);
}

#[test]
fn a_key_frame_is_spread_and_not_late() {
    let mut bench = Bench::new();
    let parts = bench.frame(PACE, 150_000, 0);
    assert_eq!(parts[0], (0, 50_000));
    // 100 KB at 4 MB/s, in parts of 5 ms.
    assert_eq!(parts.len(), 6);
    assert_eq!(parts.last().unwrap().0, 25);
    assert!(parts[1..].iter().all(|part| part.1 <= 20_001), "{parts:?}");
    assert_eq!(bench.raised, 0);
}

#[test]
fn the_frame_behind_a_key_frame_waits_for_what_is_left_of_the_bucket() {
    let mut bench = Bench::new();
    bench.frame(PACE, 150_000, 0);
    let parts = bench.frame(PACE, 16_000, 33);
    assert_eq!(parts, [(29, 16_000)]);
    bench.at(200);
    assert_eq!(bench.frame(PACE, 50_000, 200), [(200, 50_000)]);
}

#[test]
fn zero_turns_pacing_off() {
    let mut bench = Bench::new();
    let off = Pace {
        factor: 0.0,
        ..PACE
    };
    assert_eq!(bench.frame(off, 10_000_000, 0), [(0, 10_000_000)]);
    assert_eq!(bench.frame(PACE, 40_000, 33), [(0, 40_000)]);
}

#[test]
fn nothing_is_held_back_for_longer_than_the_limit() {
    let mut bench = Bench::new();
    // Three seconds of the paced rate.
    let parts = bench.frame(PACE, 12_000_000, 0);
    let last = parts.last().unwrap().0;
    assert!((240..=250).contains(&last), "{last}");
    assert_eq!(bench.raised, 1);
}

#[test]
fn frames_that_pile_up_never_lag_behind_by_more_than_the_limit() {
    let mut bench = Bench::new();
    let slow = Pace {
        factor: 1.0,
        bitrate: 100_000,
    };
    // 30 frames a second of 50 KB: 120 times what was announced.
    for n in 0..120 {
        let due = bench.start + ms(33 * n);
        bench.now = bench.now.max(due);
        bench.frame(slow, 50_000, 33 * n);
        let lag = bench.now - due;
        assert!(lag <= MAX_DELAY + ms(1), "frame {n}: {lag:?}");
    }
    // Until it is measured that the stream is not what was announced.
    assert!(bench.raised > 10);
    let before = bench.raised;
    for n in 120..180 {
        bench.now = bench.now.max(bench.start + ms(33 * n));
        bench.frame(slow, 50_000, 33 * n);
    }
    assert_eq!(bench.raised, before);
}

#[test]
fn a_burst_to_catch_up_is_spread_too() {
    let mut bench = Bench::new();
    let mut parts = bench.frame(PACE, 150_000, 0);
    for n in 1..30 {
        parts.extend(bench.frame(PACE, 12_000, 33 * n));
    }
    // (150 + 29 * 12 - 50) KB at 4 MB/s.
    let last = parts.last().unwrap().0;
    assert!((105..=120).contains(&last), "{last}");
    assert_eq!(bench.raised, 0);
}

#[test]
fn without_any_figure_the_first_key_frame_leaves_as_on_a_local_network() {
    let mut bench = Bench::new();
    let unknown = Pace {
        factor: 8.0,
        bitrate: 0,
    };
    let last = bench.frame(unknown, 150_000, 0).last().unwrap().0;
    assert_eq!(last, 25);
}

#[test]
fn what_is_measured_counts_where_it_is_more() {
    let mut bench = Bench::new();
    let modest = Pace {
        factor: 8.0,
        bitrate: 500_000,
    };
    for n in 0..100 {
        bench.at(40 * n);
        bench.frame(modest, 20_000, 40 * n);
    }
    bench.at(4100);
    // 4 Mbit/s were seen.
    let parts = bench.frame(modest, 150_000, 4100);
    let took = parts.last().unwrap().0 - 4100;
    assert!((20..=30).contains(&took), "{took}");
}
