//! A band of detector rows on its way through a chain.
//!
//! Must not know: files, stages, engines.

use ndarray::{Array2, Array3};
use std::ops::Range;
use std::sync::Arc;

/// What the numbers of a slab mean. All domains share one memory order, so that nothing is transposed after reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Domain {
    /// `[row, view, col]`, detector counts, with [`References`] attached.
    #[default]
    Counts,
    /// `[row, view, col]`, absorbance ln(I0/I), no unit.
    Sinogram,
    /// `[z, y, x]`, linear attenuation in 1/cm after reconstruction.
    Volume,
}

impl Domain {
    /// Name in listings and error messages.
    pub fn name(self) -> &'static str {
        match self {
            Domain::Counts => "counts",
            Domain::Sinogram => "sinogram",
            Domain::Volume => "volume",
        }
    }
}

/// Extra rows that a stage needs below and above each row it makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Halo {
    /// Rows with smaller numbers.
    pub below: usize,
    /// Rows with larger numbers.
    pub above: usize,
}

/// Which input rows an output row is made from, its halo apart: `step` rows from `first + row * step` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowMap {
    /// Input row at which output row 0 begins.
    pub first: usize,
    /// Input rows to an output row, at least 1.
    pub step: usize,
}

impl Default for RowMap {
    /// Each row from the same row.
    fn default() -> Self {
        RowMap { first: 0, step: 1 }
    }
}

impl RowMap {
    /// Input rows of a range of output rows.
    pub fn input(&self, rows: Range<usize>) -> Range<usize> {
        self.first + rows.start * self.step..self.first + rows.end * self.step
    }
    /// This map behind another one: `before` makes the rows that this one takes.
    pub fn after(&self, before: RowMap) -> RowMap {
        RowMap { first: before.first + self.first * before.step, step: before.step * self.step }
    }
}

/// Shape of a slab: `rows` × `dims[0]` × `dims[1]` in the order of its domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlabShape {
    /// Meaning of the numbers.
    pub domain: Domain,
    /// Detector rows (slices).
    pub rows: usize,
    /// The two inner dimensions: view × col, or y × x.
    pub dims: [usize; 2],
}

impl SlabShape {
    /// Bytes of one row as f32.
    pub fn row_bytes(&self) -> u64 {
        4 * self.dims[0] as u64 * self.dims[1] as u64
    }
}

/// What turns counts into transmission: dark and direct-beam images of the same rows, and when they were taken.
#[derive(Clone, Debug)]
pub struct References {
    /// `[row, col]`, counts without beam.
    pub dark: Array2<f32>,
    /// `[flat, row, col]`, counts of the direct beam (I0), in order of time.
    pub flats: Array3<f32>,
    /// Time of each flat; any unit.
    pub flat_time: Vec<f64>,
    /// Time of each view, same unit.
    pub view_time: Vec<f64>,
    /// Views judged black as a whole frame (see `normalise`), one per view.
    pub black_views: Arc<[bool]>,
}

/// A band of rows. `data` holds `halo.below` + own + `halo.above` rows.
#[derive(Clone, Debug)]
pub struct Slab {
    /// Pixels, in the order of `domain`.
    pub data: Array3<f32>,
    /// Meaning of the numbers.
    pub domain: Domain,
    /// Detector row of the first *own* row (the one after the halo).
    pub first_row: usize,
    /// Halo rows still present at either end of `data`.
    pub halo: Halo,
    /// Present while the domain is [`Domain::Counts`].
    pub references: Option<Arc<References>>,
}

impl Slab {
    /// Detector rows that this slab is responsible for, without halo.
    pub fn own_rows(&self) -> Range<usize> {
        let own = self.data.shape()[0] - self.halo.below - self.halo.above;
        self.first_row..self.first_row + own
    }
    /// Row of a detector of `rows` rows that row `i` of `data` shows: halo rows beyond its ends repeat the last one.
    pub fn detector_row(&self, i: usize, rows: usize) -> usize {
        (self.first_row + i).saturating_sub(self.halo.below).min(rows.saturating_sub(1))
    }
    /// Shape including halo.
    pub fn shape(&self) -> SlabShape {
        let s = self.data.shape();
        SlabShape { domain: self.domain, rows: s[0], dims: [s[1], s[2]] }
    }
}
