//! What every cell of the picture looks like when nothing moves, and how much it varies by itself.

use super::light::Light;
use super::luma::Grid;

/// Seconds in which the background follows a cell that looks like it, and one that does not: a parked car becomes part
/// of it within a minute or so.
const FOLLOW: f32 = 5.0;
const ABSORB: f32 = 40.0;

/// Seconds in which `recent` follows, that tells what moves from what has stopped.
const RECENT: f32 = 0.7;

/// Seconds in which the deviation of a cell follows.
const DEVIATION: f32 = 10.0;

/// Share of an outlier's square that the variance takes at once: cells that leaves, rain or a flag hit again and again
/// become less sensitive.
const OUTLIER: f32 = 0.03;

/// Variance that is taken for granted before a few pictures were seen, and how many of them it counts for.
const PRIOR_VARIANCE: f32 = 4.0;
const PRIOR_WEIGHT: f32 = 4.0;

/// Most that a cell is taken to vary by itself while it is learned: what moves then is none of it.
const MOST_OFF: f32 = 12.0;

/// What a shift of the picture by one pixel in 640 does to a cell, as a share of the contrast to its neighbours.
const SHAKE: f32 = 0.12;

/// Share of a change of the light, taken out already, that a cell may be off by.
const LIGHT_SLACK: f32 = 0.3;

/// How much a cell has to change.
#[derive(Debug, Clone, Copy)]
pub(super) struct Threshold {
    /// Levels of luma, in any case.
    pub(super) levels: f32,
    /// Times the cell's own standard deviation.
    pub(super) deviations: f32,
}

/// What a cell does in a picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cell {
    /// It differs from the background.
    pub(super) changed: bool,
    /// It differs from a moment ago as well.
    pub(super) moving: bool,
}

#[derive(Debug, Default)]
pub(super) struct Background {
    pub(super) mean: Vec<f32>,
    variance: Vec<f32>,
    pub(super) recent: Vec<f32>,
    /// Contrast of each cell to its neighbours.
    contrast: Vec<f32>,
    /// Pictures learned since the last start.
    learned: u32,
    /// What the cells did in the picture before.
    pub(super) before: Vec<Cell>,
}

impl Background {
    /// Begins anew with this picture.
    pub(super) fn restart(&mut self, picture: &[f32]) {
        let cells = picture.len();
        self.mean.clear();
        self.mean.extend_from_slice(picture);
        self.recent.clear();
        self.recent.extend_from_slice(picture);
        self.variance.clear();
        self.variance.resize(cells, 0.0);
        self.before.clear();
        self.before.resize(cells, Cell::default());
        self.learned = 1;
    }

    /// Takes all of a picture for background. Returns the share of the cells that differ from a moment ago.
    pub(super) fn learn(&mut self, picture: &[f32], seconds: f32) -> f32 {
        self.learned += 1;
        let part = 1.0 / self.learned as f32;
        let recently = follow(seconds, RECENT);
        let mut unsteady = 0;
        for (i, &now) in picture.iter().enumerate() {
            let off = now - self.mean[i];
            self.mean[i] += part * off;
            let square = off.abs().min(MOST_OFF) * (now - self.mean[i]).abs().min(MOST_OFF);
            self.variance[i] += part * (square - self.variance[i]);
            unsteady += usize::from((now - self.recent[i]).abs() > 8.0);
            self.recent[i] += recently * (now - self.recent[i]);
        }
        unsteady as f32 / picture.len() as f32
    }

    /// Ends learning: few pictures tell little about how much a cell varies.
    pub(super) fn learned(&mut self, grid: &Grid) {
        let weight = self.learned as f32;
        for variance in &mut self.variance {
            *variance =
                (*variance * weight + PRIOR_VARIANCE * PRIOR_WEIGHT) / (weight + PRIOR_WEIGHT);
        }
        self.measure_contrast(grid);
    }

    /// Makes a change of the light that all of the picture had part of the background.
    pub(super) fn relight(&mut self, light: Light) {
        for mean in self.mean.iter_mut().chain(&mut self.recent) {
            *mean = light.of(*mean);
        }
    }

    /// Says of each cell what it does in this light. Returns the share of the cells that changed.
    pub(super) fn compare(
        &self,
        picture: &[f32],
        light: Light,
        threshold: Threshold,
        cells: &mut Vec<Cell>,
    ) -> f32 {
        cells.clear();
        cells.extend(picture.iter().enumerate().map(|(i, &now)| {
            let limit = self.limit(i, threshold) + LIGHT_SLACK * light.shift;
            let changed = (now - light.of(self.mean[i])).abs() > limit;
            let moving = changed && (now - light.of(self.recent[i])).abs() > 0.5 * limit;
            Cell { changed, moving }
        }));
        let changed = cells.iter().filter(|cell| cell.changed).count();
        changed as f32 / cells.len() as f32
    }

    /// Learns from a picture whose cells were compared.
    pub(super) fn follow(
        &mut self,
        picture: &[f32],
        cells: &[Cell],
        seconds: f32,
        threshold: Threshold,
    ) {
        let [usual, absorb, recently, deviation] =
            [FOLLOW, ABSORB, RECENT, DEVIATION].map(|constant| follow(seconds, constant));
        for (i, &now) in picture.iter().enumerate() {
            let off = now - self.mean[i];
            if cells[i].changed {
                if !self.before[i].changed {
                    let most = 1.5 * self.limit(i, threshold);
                    self.variance[i] += OUTLIER * off.abs().min(most).powi(2);
                }
                self.mean[i] += absorb * off;
            } else {
                self.mean[i] += usual * off;
                self.variance[i] += deviation * (off * off - self.variance[i]);
            }
            self.recent[i] += recently * (now - self.recent[i]);
        }
        self.before.clear();
        self.before.extend_from_slice(cells);
    }

    pub(super) fn limit(&self, cell: usize, threshold: Threshold) -> f32 {
        threshold.levels
            + threshold.deviations * self.variance[cell].sqrt()
            + SHAKE * self.contrast[cell]
    }

    pub(super) fn measure_contrast(&mut self, grid: &Grid) {
        let (columns, mean) = (grid.columns, &self.mean);
        self.contrast.clear();
        self.contrast.extend((0..grid.cells()).map(|i| {
            let (x, y) = (i % columns, i / columns);
            let left = if x > 0 { i - 1 } else { i };
            let right = if x + 1 < columns { i + 1 } else { i };
            let above = if y > 0 { i - columns } else { i };
            let below = if y + 1 < grid.rows { i + columns } else { i };
            (mean[left] - mean[right]).abs() + (mean[above] - mean[below]).abs()
        }));
    }
}

/// The share of a difference that is made up for in that time.
fn follow(seconds: f32, constant: f32) -> f32 {
    1.0 - (-seconds / constant).exp()
}
