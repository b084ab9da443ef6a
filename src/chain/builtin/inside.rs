//! The part of a slab that lies within its volume: what stages take that look at where the volume ends.

use crate::slab::{Halo, Slab};
use ndarray::{Array3, ArrayView3, ArrayViewMut3, Axis, Slice};
use std::ops::Range;

/// Of a stage that needs `reach` rows on both sides.
pub(super) struct Inside {
    /// Rows that the stage makes, those beyond the volume included.
    pub rows: usize,
    /// What is left of the halo.
    pub halo: Halo,
    /// Number of the first row of the input that is within.
    pub first: usize,
    /// Numbers of the rows to make that are within.
    pub made: Range<usize>,
    /// Rows of the slab that are within.
    from: Range<usize>,
    /// Rows to make, in the output.
    to: Range<usize>,
}

impl Inside {
    /// Of a volume of `rows`.
    pub fn of(slab: &Slab, reach: usize, rows: usize) -> Self {
        let there = slab.data.dim().0;
        let halo = Halo { below: slab.halo.below - reach, above: slab.halo.above - reach };
        // Row 0 of the volume is row `zero` of an array that begins `below` rows before the first own one.
        let within = |below: usize, count: usize| {
            let first = slab.first_row as isize - below as isize;
            let clip = |row: isize| (row - first).clamp(0, count as isize) as usize;
            let range = clip(0)..clip(rows as isize);
            let number = first + range.start as isize;
            (number.max(0) as usize, range)
        };
        let (first, from) = within(slab.halo.below, there);
        let (made, to) = within(halo.below, there - 2 * reach);
        Inside { rows: there - 2 * reach, halo, first, made: made..made + to.len(), from, to }
    }
    /// Which rows of the slab are within.
    pub fn there(&self) -> Range<usize> {
        self.from.clone()
    }
    /// Rows of the slab from which those to make that are within are made.
    pub fn window(&self, reach: usize) -> Range<usize> {
        self.to.start..self.to.end + 2 * reach
    }
    /// The rows within.
    pub fn input<'a>(&self, slab: &'a Slab) -> ArrayView3<'a, f32> {
        slab.data.slice_axis(Axis(0), Slice::from(self.from.clone()))
    }
    /// The rows to make that are within.
    pub fn made<'a>(&self, out: &'a mut Array3<f32>) -> ArrayViewMut3<'a, f32> {
        out.slice_axis_mut(Axis(0), Slice::from(self.to.clone()))
    }
}

/// Fills the rows beyond the volume, for which the last one stands.
pub(super) fn repeat_ends(out: &mut Array3<f32>, inside: &Inside) {
    let (start, end) = (inside.to.start, inside.to.end);
    for (row, source) in (0..start).map(|row| (row, start)).chain((end..inside.rows).map(|row| (row, end - 1))) {
        let (mut low, mut high) = out.view_mut().split_at(Axis(0), row.max(source));
        match row < source {
            true => low.index_axis_mut(Axis(0), row).assign(&high.index_axis(Axis(0), 0)),
            false => high.index_axis_mut(Axis(0), 0).assign(&low.index_axis(Axis(0), source)),
        }
    }
}
