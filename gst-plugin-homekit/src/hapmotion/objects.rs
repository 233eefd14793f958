//! Connected cells that changed.

use super::background::Cell;
use super::lighting::Lighting;
use super::luma::Grid;

/// Cells that changed together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Object {
    /// Cells.
    pub(super) area: usize,
    /// Cells of them that move.
    pub(super) moving: usize,
    /// None of the cells had changed in the picture before.
    pub(super) fresh: bool,
    /// What is behind is still to be seen, in another light.
    pub(super) only_light: bool,
    /// In cells, both ends inside.
    left: usize,
    right: usize,
    top: usize,
    bottom: usize,
}

impl Object {
    fn at((x, y): (usize, usize)) -> Self {
        Self {
            area: 0,
            moving: 0,
            fresh: true,
            only_light: false,
            left: x,
            right: x,
            top: y,
            bottom: y,
        }
    }

    fn add(&mut self, (x, y): (usize, usize), now: Cell, before: Cell) {
        self.area += 1;
        self.moving += usize::from(now.moving);
        self.fresh &= !before.changed;
        self.left = self.left.min(x);
        self.right = self.right.max(x);
        self.top = self.top.min(y);
        self.bottom = self.bottom.max(y);
    }

    /// Whether this is near enough to another to be the same some time later: within `reach` times its own size.
    pub(super) fn follows(&self, other: &Self, reach: usize) -> bool {
        let width = self.width().max(other.width()) * reach;
        let height = self.height().max(other.height()) * reach;
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

/// What is known of a picture, cell by cell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) grid: &'a Grid,
    pub(super) cells: &'a [Cell],
    /// Of the picture before.
    pub(super) before: &'a [Cell],
    /// Where objects are looked for.
    pub(super) mask: &'a [bool],
    pub(super) picture: &'a [f32],
    pub(super) background: &'a [f32],
}

impl Scene<'_> {
    /// Column and row of a cell.
    fn place(&self, cell: usize) -> (usize, usize) {
        (cell % self.grid.columns, cell / self.grid.columns)
    }

    /// The cells around one, diagonally too; that one itself among them.
    fn around(&self, cell: usize) -> impl Iterator<Item = usize> + use<> {
        let ((x, y), columns) = (self.place(cell), self.grid.columns);
        let xs = x.saturating_sub(1)..=(x + 1).min(columns - 1);
        let ys = y.saturating_sub(1)..=(y + 1).min(self.grid.rows - 1);
        ys.flat_map(move |y| xs.clone().map(move |x| y * columns + x))
    }
}

/// Finds objects; keeps its memory from picture to picture.
#[derive(Debug, Default)]
pub(super) struct Finder {
    seen: Vec<bool>,
    todo: Vec<usize>,
}

impl Finder {
    /// All connected areas of changed cells where the mask is set.
    pub(super) fn find(&mut self, scene: &Scene<'_>, objects: &mut Vec<Object>) {
        self.seen.clear();
        let cells = scene.cells.iter().zip(scene.mask);
        self.seen
            .extend(cells.map(|(cell, &inside)| !(cell.changed && inside)));
        objects.clear();
        for start in 0..scene.cells.len() {
            if !self.seen[start] {
                objects.push(self.object(scene, start));
            }
        }
    }

    fn object(&mut self, scene: &Scene<'_>, start: usize) -> Object {
        let mut object = Object::at(scene.place(start));
        let mut lighting = Lighting::default();
        self.seen[start] = true;
        self.todo.push(start);
        while let Some(cell) = self.todo.pop() {
            object.add(scene.place(cell), scene.cells[cell], scene.before[cell]);
            lighting.add(scene, cell);
            for next in scene.around(cell) {
                if !self.seen[next] {
                    self.seen[next] = true;
                    self.todo.push(next);
                }
            }
        }
        object.only_light = lighting.is_all();
        object
    }
}
