//! Where one fragment ends and the next begins.

/// Times are running times in nanoseconds.
type Nanoseconds = u64;

/// What is assumed of an unknown frame rate when key frames are asked for: 15 per second.
const UNKNOWN_INTERVAL: Nanoseconds = 66_666_667;

/// A key frame that comes so many frames after it was asked for is taken for the answer.
const ANSWER: u64 = 4;

/// Cuts at key frames: as many whole groups of pictures per fragment as fit, judging the next group by
/// the last one, so that a fragment ends the moment its last group does.
#[derive(Debug)]
pub(super) struct Cutter {
    limit: Nanoseconds,
    interval: Option<Nanoseconds>,
    previous: Option<Nanoseconds>,
    under_way: Option<UnderWay>,
    /// Length of the last group that was not asked for.
    natural: Option<Nanoseconds>,
    /// Whether key frames have to be asked for.
    asking: bool,
    asked_for: Option<Nanoseconds>,
    overlong: bool,
}

#[derive(Debug, Clone, Copy)]
struct UnderWay {
    start: Nanoseconds,
    newest_key: Nanoseconds,
}

/// What a picture means for the fragment under way.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// It ended at the newest key frame before this picture.
    pub(super) before_newest_key: bool,
    /// It ends before this picture.
    pub(super) before_this: bool,
    /// A key frame is wanted at this running time.
    pub(super) key_wanted_at: Option<Nanoseconds>,
    /// For the first time the key frames are too far apart.
    pub(super) overlong: bool,
}

impl Cutter {
    pub(super) fn new(limit: Nanoseconds) -> Self {
        Self {
            limit,
            interval: None,
            previous: None,
            under_way: None,
            natural: None,
            asking: true,
            asked_for: None,
            overlong: false,
        }
    }

    /// The frame rate is known.
    pub(super) fn set_interval(&mut self, interval: Nanoseconds) {
        self.interval = Some(interval);
    }

    /// Time from one frame to the next, as far as known.
    pub(super) fn interval(&self) -> Nanoseconds {
        self.interval.unwrap_or(UNKNOWN_INTERVAL)
    }

    /// The next picture in decoding order.
    pub(super) fn picture(&mut self, pts: Nanoseconds, key: bool) -> Verdict {
        self.measure(pts);
        let mut verdict = Verdict::default();
        match self.under_way {
            None if key => self.begin(pts, &mut verdict),
            None => self.ask_for_the_first(pts, &mut verdict),
            Some(_) => {
                self.pass(pts, key, &mut verdict);
                if key {
                    self.key(pts, &mut verdict);
                } else {
                    self.watch(pts, &mut verdict);
                }
            }
        }
        verdict
    }

    /// The shortest distance seen, where the caps name no frame rate.
    fn measure(&mut self, pts: Nanoseconds) {
        let distance = self.previous.replace(pts).map(|last| last.abs_diff(pts));
        if self.under_way.is_some() && self.interval.is_none() {
            self.interval = distance.filter(|distance| *distance > 5_000_000);
        }
    }

    fn begin(&mut self, start: Nanoseconds, verdict: &mut Verdict) {
        let newest_key = self.under_way.map_or(start, |it| it.newest_key.max(start));
        self.under_way = Some(UnderWay { start, newest_key });
        if self.asking {
            self.ask(self.last_chance(start), verdict);
        }
    }

    /// When the key frame after a fragment's first is due: one frame early, since the encoder takes the
    /// next frame from there on.
    fn last_chance(&self, start: Nanoseconds) -> Nanoseconds {
        start + self.limit.saturating_sub(self.interval())
    }

    fn ask(&mut self, at: Nanoseconds, verdict: &mut Verdict) {
        self.asked_for = Some(at);
        verdict.key_wanted_at = Some(at);
    }

    fn ask_for_the_first(&mut self, pts: Nanoseconds, verdict: &mut Verdict) {
        let asked = self.asked_for;
        if asked.is_none_or(|asked| pts > asked + self.limit) {
            self.ask(pts, verdict);
        }
    }

    /// The fragment under way cannot take the group that this picture belongs to.
    fn pass(&mut self, pts: Nanoseconds, key: bool, verdict: &mut Verdict) {
        // What is no key frame lasts a while yet.
        let end = if key { pts } else { pts + self.interval() };
        if !self.is_beyond(end) {
            return;
        }
        let inner = self.under_way.filter(|it| it.newest_key > it.start);
        if let Some(inner) = inner {
            verdict.before_newest_key = true;
            self.begin(inner.newest_key, verdict);
        }
        if self.is_beyond(pts) && !self.overlong {
            self.overlong = true;
            verdict.overlong = true;
        }
    }

    fn is_beyond(&self, end: Nanoseconds) -> bool {
        let under_way = self.under_way;
        under_way.is_some_and(|it| end > it.start + self.limit)
    }

    fn key(&mut self, pts: Nanoseconds, verdict: &mut Verdict) {
        let Some(under_way) = self.under_way.as_mut() else {
            return;
        };
        let group = pts.saturating_sub(under_way.newest_key);
        let length = pts.saturating_sub(under_way.start);
        under_way.newest_key = pts;
        self.learn(pts, group);
        if length + group > self.limit {
            verdict.before_this = true;
            self.begin(pts, verdict);
        }
    }

    fn learn(&mut self, pts: Nanoseconds, group: Nanoseconds) {
        let answer = ANSWER * self.interval();
        let answered = |asked: Nanoseconds| (asked..=asked + answer).contains(&pts);
        if !self.asked_for.is_some_and(answered) {
            self.natural = Some(group);
            self.asking = group > self.limit;
        }
    }

    /// A group that is longer than those before it, or an encoder that did not hear.
    fn watch(&mut self, pts: Nanoseconds, verdict: &mut Verdict) {
        let Some(UnderWay { start, newest_key }) = self.under_way else {
            return;
        };
        let late = |natural| pts > newest_key + natural + 2 * self.interval();
        if !self.asking && self.natural.is_some_and(late) {
            self.asking = true;
            self.ask(self.last_chance(start), verdict);
        } else if self.asking && self.asked_for.is_none_or(|asked| pts > asked + self.limit) {
            self.ask(pts, verdict);
        }
    }
}

#[cfg(test)]
#[path = "cut_tests.rs"]
mod tests;
