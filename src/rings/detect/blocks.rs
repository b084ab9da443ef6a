//! Means of a sinogram over blocks of views: small enough to look for stripes at leisure. Must not know what is looked for.

use super::profile::{Run, high_pass};
use ndarray::{Array2, ArrayView2, Axis, s};
use std::ops::Range;

/// Most blocks.
const MOST: usize = 64;
/// Fewest views of a block.
const FEWEST_VIEWS: usize = 8;
/// The same edge of the sample stays in a column for more than one block, so blocks are not independent: their mean is so
/// much less certain than if they were.
const CORRELATION: f64 = 1.5;

/// Means `[block, col]`, f64.
pub(super) struct Blocks {
    means: Array2<f64>,
    /// The same without the smooth part along the columns.
    high: Array2<f64>,
    edges: Vec<usize>,
}

impl Blocks {
    pub fn new(sino: ArrayView2<f32>) -> Self {
        let (views, cols) = sino.dim();
        let edges = Self::edges(views);
        let mut means = Array2::zeros((edges.len() - 1, cols));
        for (mut mean, block) in means.outer_iter_mut().zip(edges.windows(2)) {
            for row in sino.slice(s![block[0]..block[1], ..]).outer_iter() {
                mean.iter_mut().zip(row).for_each(|(m, v)| *m += f64::from(*v));
            }
            mean /= (block[1] - block[0]) as f64;
        }
        let mut blocks = Blocks { high: means.clone(), means, edges };
        blocks.smooth_away();
        blocks
    }
    /// Bytes for a sinogram of that size.
    pub fn bytes(views: usize, cols: usize) -> usize {
        let count = Self::edges(views).len() - 1;
        2 * size_of::<f64>() * count * cols + size_of::<usize>() * (count + 1)
    }
    fn edges(views: usize) -> Vec<usize> {
        let count = (views / FEWEST_VIEWS).clamp(1, MOST);
        (0..=count).map(|b| b * views / count).collect()
    }
    fn smooth_away(&mut self) {
        for (mut high, mean) in self.high.outer_iter_mut().zip(self.means.outer_iter()) {
            high.assign(&ndarray::ArrayView1::from(&high_pass(&mean.to_vec())));
        }
    }
    /// Takes the height of each run from its columns, in its blocks.
    pub fn subtract<'a>(&mut self, runs: impl IntoIterator<Item = (Range<usize>, usize, &'a [f64])>) {
        for (blocks, first, heights) in runs {
            for mut mean in self.means.slice_mut(s![blocks, first..first + heights.len()]).outer_iter_mut() {
                mean.iter_mut().zip(heights).for_each(|(m, h)| *m -= h);
            }
        }
        self.smooth_away();
    }
    pub fn count(&self) -> usize {
        self.means.nrows()
    }
    pub fn cols(&self) -> usize {
        self.means.ncols()
    }
    /// Views of some blocks.
    pub fn views(&self, blocks: Range<usize>) -> Range<usize> {
        self.edges[blocks.start]..self.edges[blocks.end]
    }
    /// Mean over blocks, for each column.
    pub fn mean_line(&self, blocks: Range<usize>) -> Vec<f64> {
        let mean = self.means.slice(s![blocks, ..]).mean_axis(Axis(0));
        mean.map_or_else(|| vec![0.0; self.cols()], |m| m.to_vec())
    }
    /// Mean over the views of a column in each block.
    pub fn column(&self, col: usize) -> impl Iterator<Item = f64> + '_ {
        self.means.column(col).into_iter().copied()
    }
    /// Height of a run in each block.
    pub fn heights(&self, run: &Run, first: usize) -> Vec<f64> {
        self.high.outer_iter().map(|high| high.as_slice().map_or(0.0, |high| run.height(high, first))).collect()
    }
    /// Uncertainty of the mean height of a run, from its changes between blocks; a constant offset changes nothing.
    pub fn uncertainty(&self, run: &Run, first: usize) -> f64 {
        let heights = self.heights(run, first);
        let sums = heights.iter().fold((0.0, 0.0), |(sum, sum2), h| (sum + h, sum2 + h * h));
        uncertainty2(heights.len() as f64, sums.0, sums.1).sqrt()
    }
}

/// Square of the uncertainty of the mean height of consecutive blocks, from their number, the sum and the sum of squares.
pub(super) fn uncertainty2(count: f64, sum: f64, sum2: f64) -> f64 {
    let mean = sum / count;
    CORRELATION * CORRELATION * (sum2 / count - mean * mean).max(0.0) / count
}
