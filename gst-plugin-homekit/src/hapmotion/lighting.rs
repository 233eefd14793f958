//! Tells a shadow, or a light that falls on part of the picture, from an object.
//!
//! An object hides what is behind it and has an edge. A light leaves the pattern that is there, only darker or
//! brighter; the shadow of a cloud has no edge either. Neighbouring cells are compared, each pair in the light that falls
//! on it: the contrast that is left unexplained is an edge of something.

use super::objects::Scene;

/// Of this many cells on, the pattern in an area tells a change of the light from an object.
const PATTERN_AREA: usize = 12;

/// Least mean square of the contrast between neighbours where there is a pattern.
const PATTERN: f32 = 16.0;

/// Share of these squares by which the pattern may be off.
const PATTERN_OFF: f32 = 0.12;

/// Unexplained contrast at the border of an area without an edge, as a share of the change within.
const SOFT: f32 = 0.22;
const SOFT_AREA: usize = 3;

/// Cells in which the edge of an object is over, though it goes through the middle of one.
const EDGE: usize = 2;

/// Share of the cells that become darker in a shadow, or brighter in a light.
const SAME_SIGN: f32 = 0.9;

/// Sums over one area.
#[derive(Debug, Default)]
pub(super) struct Lighting {
    cells: usize,
    darker: usize,
    change: f32,
    /// Pairs within the area.
    pairs: usize,
    contrast: f32,
    off: f32,
    /// Pairs across its border.
    border: usize,
    edge: f32,
}

impl Lighting {
    pub(super) fn add(&mut self, scene: &Scene<'_>, cell: usize) {
        let change = scene.picture[cell] - scene.background[cell];
        self.cells += 1;
        self.darker += usize::from(change < 0.0);
        self.change += change.abs();
        for next in beside(scene, cell, 1).into_iter().flatten() {
            if scene.cells[next].changed {
                let (expected, unexplained) = pair(scene, cell, next);
                self.pairs += 1;
                self.contrast += expected * expected;
                self.off += unexplained * unexplained;
            }
        }
        for next in beside(scene, cell, EDGE).into_iter().flatten() {
            if !scene.cells[next].changed {
                self.border += 1;
                self.edge += pair(scene, cell, next).1.abs();
            }
        }
    }

    /// Whether it is a light or a shadow and nothing else.
    pub(super) fn is_all(&self) -> bool {
        let darker = self.darker as f32 / self.cells as f32;
        darker.max(1.0 - darker) >= SAME_SIGN && (self.is_soft() || self.keeps_pattern())
    }

    fn is_soft(&self) -> bool {
        let (change, edge) = (
            self.change / self.cells as f32,
            self.edge / self.border.max(1) as f32,
        );
        self.cells >= SOFT_AREA && edge < SOFT * change
    }

    fn keeps_pattern(&self) -> bool {
        self.cells >= PATTERN_AREA
            && self.contrast > PATTERN * self.pairs as f32
            && self.off < PATTERN_OFF * self.contrast
    }
}

/// So many cells to the left, right, above and below.
fn beside(scene: &Scene<'_>, cell: usize, by: usize) -> [Option<usize>; 4] {
    let (columns, cells) = (scene.grid.columns, scene.cells.len());
    let (x, below) = (cell % columns, cell + by * columns);
    [
        (x >= by).then(|| cell - by),
        (x + by < columns).then_some(cell + by),
        cell.checked_sub(by * columns),
        (below < cells).then_some(below),
    ]
}

/// The contrast of two neighbours that there would be in the light of now, and what there is besides.
fn pair(scene: &Scene<'_>, a: usize, b: usize) -> (f32, f32) {
    let (before, now) = (scene.background, scene.picture);
    let gain = (now[a] + now[b]) / (before[a] + before[b]).max(1.0);
    let expected = gain * (before[a] - before[b]);
    (expected, now[a] - now[b] - expected)
}
