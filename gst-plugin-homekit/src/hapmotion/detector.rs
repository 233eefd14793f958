//! Finds motion in the luma of pictures: no GStreamer, no clock, no allocation once it runs.

use std::time::Duration;

use super::background::{Background, Cell, Threshold};
use super::light::{self, Light};
use super::luma::{Grid, Luma};
use super::objects::{Finder, Object, Scene};
use super::tracks::Tracks;
use super::zones::Zones;

/// Least and longest time in which a new scene is learned.
const LEARN: Duration = Duration::from_millis(1800);
const RELEARN: Duration = Duration::from_millis(900);
const LEARN_LONGEST: Duration = Duration::from_secs(2);
const LEARN_PICTURES: u32 = 3;

/// Share of the cells that differ from a moment ago while the light still changes.
const UNSTEADY: f32 = 0.2;

/// Share of the cells that changed when the whole scene did: a camera that was turned, day and night.
const ALL_CHANGED: f32 = 0.5;

/// The same if the light, taken out already, jumped by that many levels from one picture to the next.
const LIGHT_JUMP: f32 = 8.0;

/// Share of the cells that still move while something covers most of the picture.
const GROWING: f32 = 0.1;

/// How long a scene that could not be learned for all that moved is not learned again.
const BUSY: Duration = Duration::from_secs(10);

/// Share of the cells that changed from which on it is asked whether the light did at all.
const SAME_LIGHT: f32 = 0.2;

/// How long something has to move before it counts.
const PERSISTENCE: Duration = Duration::from_millis(350);
const PERSISTENT_PICTURES: u32 = 2;

/// Seconds in which the clutter is followed, and the most cells that are taken for clutter.
const CLUTTER_UP: f32 = 2.0;
const CLUTTER_DOWN: f32 = 10.0;
const MOST_CLUTTER: f32 = 8.0;

/// What counts as motion.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// From 0 (large objects of high contrast) to 1.
    pub sensitivity: f64,
    /// Least share of the picture that moves; 0: by the sensitivity.
    pub min_area: f64,
    /// How long motion stays on after it was last seen.
    pub hold: Duration,
    /// Where.
    pub zones: Zones,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sensitivity: 0.5,
            min_area: 0.0,
            hold: Duration::from_millis(2000),
            zones: Zones::default(),
        }
    }
}

impl Settings {
    fn threshold(&self) -> Threshold {
        Threshold {
            levels: self.between(12.0, 3.0),
            deviations: self.between(8.0, 3.0),
        }
    }

    /// In cells.
    fn area(&self, grid: &Grid) -> usize {
        let share = match self.min_area {
            0.0 => f64::from(self.between(9.0, 1.0)) / 2304.0,
            share => share,
        };
        ((share * grid.cells() as f64).ceil() as usize).max(2)
    }

    /// By the sensitivity, in steps of the same factor.
    fn between(&self, dull: f32, keen: f32) -> f32 {
        dull * (keen / dull).powf(self.sensitivity.clamp(0.0, 1.0) as f32)
    }
}

/// Motion begins or ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// Which.
    pub motion: bool,
    /// The largest share of the watched picture that one object covered so far.
    pub score: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    /// Since when, and for how long at least.
    Learning(Duration, Duration),
    Watching,
}

/// The whole of it.
#[derive(Debug)]
pub struct Detector {
    settings: Settings,
    grid: Option<Grid>,
    state: State,
    last: Duration,
    pictures: u32,
    background: Background,
    mask: Vec<bool>,
    watched: usize,
    finder: Finder,
    tracks: Tracks,
    clutter: f32,
    /// When learning ended although much of the picture moved.
    busy: Option<Duration>,
    /// When something that counts moved last, while motion is on.
    moved: Option<Duration>,
    score: f64,
    memory: Memory,
}

/// Kept from picture to picture, so that nothing is allocated.
#[derive(Debug, Default)]
struct Memory {
    picture: Vec<f32>,
    scratch: Vec<f32>,
    cells: Vec<Cell>,
    scratch_cells: Vec<Cell>,
    objects: Vec<Object>,
}

impl Detector {
    /// Sees nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            grid: None,
            state: State::Watching,
            last: Duration::ZERO,
            pictures: 0,
            background: Background::default(),
            mask: Vec::new(),
            watched: 0,
            finder: Finder::default(),
            tracks: Tracks::default(),
            clutter: 0.0,
            busy: None,
            moved: None,
            score: 0.0,
            memory: Memory::default(),
        }
    }

    /// Other settings from the next picture on; what was learned is kept.
    pub fn set(&mut self, settings: Settings) {
        if settings.zones != self.settings.zones {
            self.mask.clear();
        }
        self.settings = settings;
    }

    /// Whether motion is on.
    pub fn motion(&self) -> bool {
        self.moved.is_some()
    }

    /// Forgets the scene, not whether motion is on.
    pub fn forget(&mut self) {
        self.grid = None;
    }

    /// Motion ends now, whatever moves.
    pub fn stop(&mut self) -> Option<Change> {
        self.moved.take()?;
        self.tracks.clear();
        Some(self.change(false))
    }

    /// Ends motion if it has been held for long enough.
    pub fn tick(&mut self, now: Duration) -> Option<Change> {
        let held = now.saturating_sub(self.moved?);
        if held < self.settings.hold {
            return None;
        }
        self.moved = None;
        Some(self.change(false))
    }

    /// Looks at a picture. `now` should not step back.
    pub fn look(&mut self, luma: &Luma<'_>, now: Duration) -> Option<Change> {
        let mut memory = std::mem::take(&mut self.memory);
        let area = self.moving_area(luma, now, &mut memory);
        self.memory = memory;
        match area {
            Some(area) => self.saw(area, now),
            None => self.tick(now),
        }
    }

    fn saw(&mut self, area: usize, now: Duration) -> Option<Change> {
        let score = area as f64 / self.watched.max(1) as f64;
        let before = self.moved.replace(now);
        if before.is_some() {
            self.score = self.score.max(score);
            return None;
        }
        self.score = score;
        Some(self.change(true))
    }

    fn change(&self, motion: bool) -> Change {
        Change {
            motion,
            score: self.score,
        }
    }

    /// The area of the largest object that counts.
    fn moving_area(
        &mut self,
        luma: &Luma<'_>,
        now: Duration,
        memory: &mut Memory,
    ) -> Option<usize> {
        let grid = Grid::new(luma.width, luma.height)?;
        if !grid.measure(luma, &mut memory.picture) {
            return None;
        }
        if self.grid != Some(grid) {
            self.grid = Some(grid);
            self.mask.clear();
            self.restart(&memory.picture, now, LEARN);
            return None;
        }
        if self.mask.len() != grid.cells() {
            self.mask = self.settings.zones.mask(&grid);
            self.watched = self.mask.iter().filter(|&&inside| inside).count();
        }
        let seconds = now.saturating_sub(self.last).as_secs_f32();
        self.last = now;
        match self.state {
            State::Learning(since, least) => {
                self.learn(
                    &grid,
                    (&memory.picture, &mut memory.scratch),
                    now.saturating_sub(since),
                    least,
                    seconds,
                );
                None
            }
            State::Watching => self.watch(&grid, memory, now, seconds),
        }
    }

    fn restart(&mut self, picture: &[f32], now: Duration, least: Duration) {
        self.background.restart(picture);
        self.tracks.clear();
        self.state = State::Learning(now, least);
        (self.last, self.pictures) = (now, 0);
    }

    fn learn(
        &mut self,
        grid: &Grid,
        (picture, scratch): (&[f32], &mut Vec<f32>),
        age: Duration,
        least: Duration,
        seconds: f32,
    ) {
        let light = light::change(&self.background.recent, picture, scratch);
        self.background.relight(light);
        let unsteady = self.background.learn(picture, seconds);
        self.pictures += 1;
        let enough = age >= least && self.pictures >= LEARN_PICTURES;
        if age > LEARN_LONGEST || (enough && unsteady < UNSTEADY) {
            self.busy = (unsteady >= UNSTEADY).then_some(self.last);
            self.background.learned(grid);
            self.state = State::Watching;
        }
    }

    fn watch(
        &mut self,
        grid: &Grid,
        memory: &mut Memory,
        now: Duration,
        seconds: f32,
    ) -> Option<usize> {
        let threshold = self.settings.threshold();
        let (light, changed) = self.compare(memory, threshold);
        if self.is_new_scene(light, changed, &memory.cells) {
            self.restart(&memory.picture, now, RELEARN);
            return None;
        }
        self.background.relight(light);
        self.find(grid, memory);
        self.background
            .follow(&memory.picture, &memory.cells, seconds, threshold);
        self.background.measure_contrast(grid);
        let clutter = self.clutter(&mut memory.objects, seconds);
        let needed = self.settings.area(grid).max(clutter);
        let counts = |object: &Object| {
            object.area >= needed && object.moving * 3 >= needed && !object.only_light
        };
        let objects = memory.objects.iter().copied().filter(counts);
        // What began goes on without a new proof.
        let span = match self.motion() {
            true => Duration::ZERO,
            false => PERSISTENCE,
        };
        self.tracks.follow(objects, now, span, PERSISTENT_PICTURES)
    }

    /// Compares the picture with the background in the light that explains most of it. Returns that, and the share of the
    /// cells that it does not explain.
    fn compare(&self, memory: &mut Memory, threshold: Threshold) -> (Light, f32) {
        let Memory {
            picture,
            scratch,
            cells,
            scratch_cells,
            ..
        } = memory;
        let background = &self.background;
        let light = light::change(&background.mean, picture, scratch);
        let changed = background.compare(picture, light, threshold, cells);
        if changed <= SAME_LIGHT || light.shift <= 1.0 {
            return (light, changed);
        }
        // Something so large that it was taken for light?
        let same = background.compare(picture, Light::SAME, threshold, scratch_cells);
        if same > changed {
            return (light, changed);
        }
        std::mem::swap(cells, scratch_cells);
        (Light::SAME, same)
    }

    fn find(&mut self, grid: &Grid, memory: &mut Memory) {
        let scene = Scene {
            grid,
            cells: &memory.cells,
            before: &self.background.before,
            mask: &self.mask,
            picture: &memory.picture,
            background: &self.background.mean,
        };
        self.finder.find(&scene, &mut memory.objects);
    }

    /// Whether this is no object, but the light or the camera that was turned.
    fn is_new_scene(&self, light: Light, changed: f32, cells: &[Cell]) -> bool {
        let moving = cells.iter().filter(|cell| cell.moving).count() as f32 / cells.len() as f32;
        // What grows before the camera was there before, and keeps moving.
        let busy = self.busy.is_some_and(|since| self.last < since + BUSY);
        let grows = (busy || !self.tracks.is_empty()) && moving > GROWING;
        (changed > ALL_CHANGED && !grows) || light.shift > LIGHT_JUMP
    }

    /// Cells that something has to cover to stand out from rain, snow and leaves: there, several areas change in every
    /// picture that had not changed in the one before.
    fn clutter(&mut self, objects: &mut [Object], seconds: f32) -> usize {
        objects.sort_unstable_by_key(|object| std::cmp::Reverse(object.area));
        let third = objects.iter().filter(|object| object.fresh).nth(2);
        let third = third.map_or(0.0, |object| object.area as f32);
        let third = third.min(MOST_CLUTTER);
        let constant = if third > self.clutter {
            CLUTTER_UP
        } else {
            CLUTTER_DOWN
        };
        self.clutter += (third - self.clutter) * (1.0 - (-seconds / constant).exp());
        (2.0 * self.clutter).round() as usize
    }
}

#[cfg(test)]
#[path = "detector_tests.rs"]
mod tests;
