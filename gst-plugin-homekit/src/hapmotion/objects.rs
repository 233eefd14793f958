//! Connected cells that changed, and which of them were there a moment ago.

use std::time::Duration;

use super::background::Cell;
use super::luma::Grid;

/// Of this many cells on, the pattern in an area tells a change of the light from an object.
const PATTERN_AREA: usize = 12;

/// Least variance of a background with a pattern, and the correlation that says that it is still to be seen.
const PATTERN_VARIANCE: f32 = 25.0;
const PATTERN_CORRELATION: f32 = 0.93;

/// Cells that changed together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Object {
    /// Cells.
    pub(super) area: usize,
    /// Cells of them that move.
    pub(super) moving: usize,
    /// What is behind is still to be seen, in another light.
    pub(super) only_light: bool,
    /// In cells, both ends inside.
    left: usize,
    right: usize,
    top: usize,
    bottom: usize,
}

impl Object {
    /// Whether this is near enough to another to be the same some time later: within its own size.
    fn follows(&self, other: &Self) -> bool {
        let width = self.width().max(other.width());
        let height = self.height().max(other.height());
        near((self.left, self.right), (other.left, other.right), width)
            && near((self.top, self.bottom), (other.top, other.bottom), height)
    }

    fn width(&self) -> usize {
        self.right - self.left + 1
    }

    fn height(&self) -> usize {
        self.bottom - self.top + 1
    }
}

/// Whether no more than `gap` cells are between two spans.
fn near(a: (usize, usize), b: (usize, usize), gap: usize) -> bool {
    a.0 <= b.1 + gap && b.0 <= a.1 + gap
}

/// Finds objects; keeps its memory from picture to picture.
#[derive(Debug, Default)]
pub(super) struct Finder {
    seen: Vec<bool>,
    todo: Vec<usize>,
}

impl Finder {
    /// All connected areas of changed cells where `mask` is set.
    pub(super) fn find(
        &mut self,
        grid: &Grid,
        (cells, mask): (&[Cell], &[bool]),
        (picture, background): (&[f32], &[f32]),
        objects: &mut Vec<Object>,
    ) {
        self.seen.clear();
        let mut pairs = cells.iter().zip(mask);
        self.seen.extend(
            pairs
                .by_ref()
                .map(|(cell, inside)| !cell.changed || !inside),
        );
        objects.clear();
        for start in 0..cells.len() {
            if !self.seen[start] {
                objects.push(self.area(grid, start, cells, (picture, background)));
            }
        }
    }

    fn area(
        &mut self,
        grid: &Grid,
        start: usize,
        cells: &[Cell],
        (picture, background): (&[f32], &[f32]),
    ) -> Object {
        let (x, y) = (start % grid.columns, start / grid.columns);
        let mut object = Object {
            area: 0,
            moving: 0,
            only_light: false,
            left: x,
            right: x,
            top: y,
            bottom: y,
        };
        let mut pattern = Pattern::default();
        self.seen[start] = true;
        self.todo.push(start);
        while let Some(cell) = self.todo.pop() {
            let (x, y) = (cell % grid.columns, cell / grid.columns);
            object.area += 1;
            object.moving += usize::from(cells[cell].moving);
            object.left = object.left.min(x);
            object.right = object.right.max(x);
            object.top = object.top.min(y);
            object.bottom = object.bottom.max(y);
            pattern.add(background[cell], picture[cell]);
            for y in y.saturating_sub(1)..=(y + 1).min(grid.rows - 1) {
                for x in x.saturating_sub(1)..=(x + 1).min(grid.columns - 1) {
                    let next = y * grid.columns + x;
                    if !self.seen[next] {
                        self.seen[next] = true;
                        self.todo.push(next);
                    }
                }
            }
        }
        object.only_light = pattern.is_kept();
        object
    }
}

/// Sums for the correlation of an area before and now.
#[derive(Debug, Default)]
struct Pattern {
    count: usize,
    before: f32,
    now: f32,
    before_squares: f32,
    now_squares: f32,
    products: f32,
}

impl Pattern {
    fn add(&mut self, before: f32, now: f32) {
        self.count += 1;
        self.before += before;
        self.now += now;
        self.before_squares += before * before;
        self.now_squares += now * now;
        self.products += before * now;
    }

    fn is_kept(&self) -> bool {
        let count = self.count as f32;
        let variance = |sum: f32, squares: f32| squares / count - (sum / count).powi(2);
        let before = variance(self.before, self.before_squares);
        let now = variance(self.now, self.now_squares);
        let covariance = self.products / count - self.before * self.now / (count * count);
        self.count >= PATTERN_AREA
            && before > PATTERN_VARIANCE
            && now > 0.0
            && covariance > PATTERN_CORRELATION * (before * now).sqrt()
    }
}

/// An object over several pictures.
#[derive(Debug, Clone, Copy)]
struct Track {
    object: Object,
    since: Duration,
    pictures: u32,
    missed: bool,
}

/// Objects that were there in the pictures before.
#[derive(Debug, Default)]
pub(super) struct Tracks {
    tracks: Vec<Track>,
    before: Vec<Track>,
}

impl Tracks {
    pub(super) fn clear(&mut self) {
        self.tracks.clear();
    }

    /// Follows the objects into this picture. Returns the area of the largest that was seen in `pictures` of them over
    /// at least `span`.
    pub(super) fn follow(
        &mut self,
        objects: impl Iterator<Item = Object>,
        now: Duration,
        span: Duration,
        pictures: u32,
    ) -> Option<usize> {
        std::mem::swap(&mut self.tracks, &mut self.before);
        self.tracks.clear();
        self.tracks.extend(objects.map(|object| {
            let same = self
                .before
                .iter()
                .filter(|track| object.follows(&track.object));
            let oldest = same.max_by_key(|track| track.pictures);
            Track {
                object,
                since: oldest.map_or(now, |track| track.since),
                pictures: 1 + oldest.map_or(0, |track| track.pictures),
                missed: false,
            }
        }));
        let lasting = self
            .tracks
            .iter()
            .filter(|track| track.pictures >= pictures && now.saturating_sub(track.since) >= span);
        let largest = lasting.map(|track| track.object.area).max();
        self.keep_missed();
        largest
    }

    /// An object may be missed in one picture.
    fn keep_missed(&mut self) {
        let (tracks, before) = (&mut self.tracks, &self.before);
        let found = tracks.len();
        for track in before.iter().filter(|track| !track.missed) {
            if !tracks[..found]
                .iter()
                .any(|new| new.object.follows(&track.object))
            {
                tracks.push(Track {
                    missed: true,
                    ..*track
                });
            }
        }
    }
}
