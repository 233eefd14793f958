//! The luma of a picture, and its mean per cell of a coarse grid.

/// Cells along the longer side.
const CELLS: usize = 64;

/// Smallest cell, in pixels.
const MIN_CELL: usize = 4;

/// Rows of pixels that are read per row of cells: more of a large picture tell no more.
const ROWS_PER_CELL: usize = 12;

/// 8-bit luma in memory.
#[derive(Debug, Clone, Copy)]
pub struct Luma<'a> {
    /// From the first sample on.
    pub data: &'a [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
    /// Bytes from one sample to the next.
    pub step: usize,
    /// Samples in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl Luma<'_> {
    fn row(&self, y: usize) -> Option<&[u8]> {
        let length = (self.width - 1) * self.step + 1;
        self.data.get(y * self.stride..)?.get(..length)
    }
}

/// Cells of almost the same size that cover a picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Grid {
    /// Of the picture.
    pub width: usize,
    /// Of the picture.
    pub height: usize,
    /// Cells in a row.
    pub columns: usize,
    /// Rows of cells.
    pub rows: usize,
}

impl Grid {
    /// For pictures of that many pixels; none for pictures too small to see anything on.
    pub fn new(width: usize, height: usize) -> Option<Self> {
        let cell = width.max(height).div_ceil(CELLS).max(MIN_CELL);
        let (columns, rows) = (width / cell, height / cell);
        (columns >= 4 && rows >= 4).then_some(Self {
            width,
            height,
            columns,
            rows,
        })
    }

    /// Number of cells.
    pub fn cells(&self) -> usize {
        self.columns * self.rows
    }

    /// Width of a cell in pixels.
    pub fn cell_width(&self) -> f32 {
        self.width as f32 / self.columns as f32
    }

    /// Centre of a cell, in shares of the picture.
    pub fn centre(&self, cell: usize) -> (f32, f32) {
        let (x, y) = (cell % self.columns, cell / self.columns);
        (
            (x as f32 + 0.5) / self.columns as f32,
            (y as f32 + 0.5) / self.rows as f32,
        )
    }

    /// The mean luma of every cell. Returns `false` if the picture has fewer bytes than it should.
    pub fn measure(&self, luma: &Luma<'_>, means: &mut Vec<f32>) -> bool {
        means.clear();
        (0..self.rows).all(|row| self.measure_row(luma, row, means))
    }

    fn measure_row(&self, luma: &Luma<'_>, row: usize, means: &mut Vec<f32>) -> bool {
        let (top, bottom) = (
            row * self.height / self.rows,
            (row + 1) * self.height / self.rows,
        );
        let every = (bottom - top).div_ceil(ROWS_PER_CELL);
        let mut sums = [0u32; CELLS];
        for y in (top..bottom).step_by(every) {
            let Some(pixels) = luma.row(y) else {
                return false;
            };
            self.add_row(pixels, luma.step, &mut sums);
        }
        let read = (bottom - top).div_ceil(every);
        means.extend((0..self.columns).map(|column| {
            let pixels = read * (self.edge(column + 1) - self.edge(column));
            sums[column] as f32 / pixels as f32
        }));
        true
    }

    fn add_row(&self, pixels: &[u8], step: usize, sums: &mut [u32; CELLS]) {
        for (column, total) in sums.iter_mut().enumerate().take(self.columns) {
            let (left, right) = (self.edge(column), self.edge(column + 1));
            *total += match step {
                1 => sum(&pixels[left..right]),
                _ => pixels[left * step..=(right - 1) * step]
                    .iter()
                    .step_by(step)
                    .map(|&pixel| u32::from(pixel))
                    .sum(),
            };
        }
    }

    /// The first pixel of a column of cells.
    fn edge(&self, column: usize) -> usize {
        column * self.width / self.columns
    }
}

fn sum(pixels: &[u8]) -> u32 {
    pixels.iter().map(|&pixel| u32::from(pixel)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn luma(data: &[u8], width: usize, height: usize, step: usize) -> Luma<'_> {
        Luma {
            data,
            stride: width * step,
            step,
            width,
            height,
        }
    }

    #[test]
    fn the_grid_follows_the_shape_of_the_picture() {
        let shape = |width, height| Grid::new(width, height).map(|grid| (grid.columns, grid.rows));
        assert_eq!(shape(640, 360), Some((64, 36)));
        assert_eq!(shape(1920, 1080), Some((64, 36)));
        assert_eq!(shape(360, 640), Some((36, 64)));
        assert_eq!(shape(160, 120), Some((40, 30)));
        assert_eq!(shape(641, 359), Some((58, 32)));
        assert_eq!(shape(15, 15), None);
        assert_eq!(shape(0, 0), None);
        assert_eq!(shape(4000, 16), None);
    }

    #[test]
    fn each_cell_has_its_own_mean() {
        for step in [1, 2] {
            let (width, height) = (64, 32);
            let grid = Grid::new(width, height).unwrap();
            let mut data = vec![10u8; width * height * step];
            for y in 4..8 {
                for x in 8..12 {
                    data[(y * width + x) * step] = 210;
                }
            }
            let mut means = Vec::new();
            assert!(grid.measure(&luma(&data, width, height, step), &mut means));
            assert_eq!(means.len(), grid.cells());
            for (cell, &mean) in means.iter().enumerate() {
                let inside = cell == grid.columns + 2;
                assert_eq!(mean, if inside { 210.0 } else { 10.0 }, "{cell}");
            }
        }
    }

    #[test]
    fn a_picture_that_is_too_short_is_refused() {
        let grid = Grid::new(64, 64).unwrap();
        let data = vec![0; 64 * 64 - 1];
        assert!(!grid.measure(&luma(&data, 64, 64, 1), &mut Vec::new()));
    }

    #[test]
    fn odd_sizes_are_covered() {
        for (width, height) in [(641, 359), (177, 143), (1919, 1079), (64, 17)] {
            let grid = Grid::new(width, height).unwrap();
            let data = vec![77; width * height];
            let mut means = Vec::new();
            assert!(grid.measure(&luma(&data, width, height, 1), &mut means));
            assert!(means.iter().all(|&mean| mean == 77.0), "{width}x{height}");
        }
    }
}
