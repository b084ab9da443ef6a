//! Where the samples of a view's spectrum lie on the grid, and the bands into which the grid is cut for threads. Must not
//! know how samples are made, nor images.

use super::Complex;
use super::kernel::{Kernel, MAX_WIDTH};
use crate::recon::View;
use crate::recon::direct::Checked;
use std::ops::Range;

/// Bits of a position on the grid that are its fraction. Positions are whole numbers, so that steps along a ray are exact.
const FRACTION_BITS: u32 = 40;
/// Samples of a dense ray that are spread together, and how many rows or columns the last is further than the first.
pub(super) const DENSE: usize = 4;
pub(super) const DENSE_REACH: usize = 2;
/// Samples along a ray that may share a grid point, at most.
const OVERLAP: usize = 20;
/// Parts of a ray that are gone through side by side.
const PARTS: usize = 8;
/// Samples of a view beside frequency 0, where all views meet: every grid point gets thousands of them there, and an image
/// consists of little else. So they go to small patches of the grid, one for a few views, that are added up in f64.
const LOW: usize = 32;
const PATCH_VIEWS: usize = 64;
/// Bands, at most, and rows of a band, at least.
const BANDS: usize = 32;
const BAND_ROWS: usize = 8;

/// The half of the grid whose first frequency is not negative, of `size` by `size` points: the other half is its mirror.
///
/// It has a margin of rows and columns that belong to the other side of the periodic grid. Rows are cut into bands, each
/// with a margin of its own, into which samples of the band spread; how they are cut depends on nothing but the geometry.
pub(super) struct Layout {
    pub size: usize,
    pub width: usize,
    /// Complex values from row to row.
    pub row_len: usize,
    /// First row of each band, and the end.
    starts: Vec<usize>,
    /// Of the views in the order in which they are spread.
    steps: Vec<Step>,
    /// Samples of a view, and how many of them go to patches.
    half: usize,
    low: usize,
    /// Grid points that the latter reach from frequency 0, kernel not included.
    reach: usize,
    taps: Vec<[f32; MAX_WIDTH]>,
}

/// One view: which it is, and the step on the grid from sample to sample.
pub(super) struct Step {
    pub view: usize,
    /// The view goes to the half of the grid in the mirrored direction, so its samples must be conjugated.
    pub mirrored: bool,
    row: i64,
    col: i64,
}

/// The part of a view that lies in one band.
pub(super) struct Ray {
    /// Samples `first..end` are spread in an order in which neighbours are apart, so that a sample need not wait until the
    /// one before is written: `first`, `first + part_len`, ..., `first + 1`, `first + 1 + part_len`, ...
    pub first: usize,
    pub end: usize,
    pub part_len: usize,
    /// [`DENSE`] samples one after the other reach 8 x 8 grid points, and the last two of 8 taps are 0.
    pub is_dense: bool,
    row: [i64; 2],
    col: [i64; 2],
}

/// A sample on the grid.
pub(super) struct Point {
    /// First row in the band and first column that it reaches.
    pub row: usize,
    pub col: usize,
    /// Arguments of the tap polynomials, for rows and columns.
    pub fractions: [f32; 2],
}

/// Samples of one view in several slices.
#[derive(Clone, Copy)]
pub(super) struct Samples<'a> {
    pub slices: usize,
    pub values: &'a [Complex],
    /// From slice to slice.
    pub stride: usize,
}

/// One band of the grids of several slices.
pub(super) struct Grids<'a> {
    pub cells: &'a mut [Complex],
    /// From slice to slice.
    pub stride: usize,
    pub row_len: usize,
}

impl Ray {
    #[inline(always)]
    pub fn point(&self, k: usize) -> Point {
        let (row, col) = (self.row[0] + k as i64 * self.row[1], self.col[0] + k as i64 * self.col[1]);
        let whole = |position: i64| (position >> FRACTION_BITS) as usize;
        Point { row: whole(row), col: whole(col), fractions: [fraction(row), fraction(col)] }
    }
}

/// The grid points are `1 - rest of the position` further; that from 1 to 0 is -1 to 1 for the polynomials.
#[inline(always)]
fn fraction(position: i64) -> f32 {
    let bits = (position >> (FRACTION_BITS - 24)) as i32 & 0xff_ffff;
    1.0 - bits as f32 * (2.0 / (1 << 24) as f32)
}

fn fixed(cells: f64) -> i64 {
    (cells * (1i64 << FRACTION_BITS) as f64).round_ties_even() as i64
}

impl Layout {
    /// `fft_len`: samples of a view, of which the first half is spread.
    pub fn new(views: &[View], size: usize, fft_len: usize, kernel: &Kernel) -> Layout {
        let step = size as f64 / fft_len as f64;
        let mut steps: Vec<Step> = views
            .iter()
            .enumerate()
            .map(|(view, v)| {
                let mirrored = v.cos < 0.0;
                let sign = if mirrored { -step } else { step };
                Step { view, mirrored, row: fixed(sign * v.cos), col: fixed(-sign * v.sin) }
            })
            .collect();
        // Neighbouring views touch the same cache lines.
        let angle = |s: &Step| (s.col as f64).atan2(s.row as f64);
        steps.sort_by(|a, b| angle(a).total_cmp(&angle(b)));
        let (width, half) = (kernel.width, fft_len / 2 + 1);
        let row_len = (size + 2 * MAX_WIDTH).next_multiple_of(8);
        let starts = balanced(&steps, size / 2 + 1, half);
        let low = LOW.min(half / 4);
        let reach = (low as f64 * step).ceil() as usize;
        Layout { size, width, row_len, starts, steps, half, low, reach, taps: kernel.taps() }
    }

    /// Row and column of the grid's frequency 0.
    pub fn origin(&self) -> [usize; 2] {
        let margin = (self.width - 1) / 2;
        [margin, self.size / 2 + margin + 1]
    }
    /// Views in the order in which they are spread.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
    pub fn bands(&self) -> usize {
        self.starts.len() - 1
    }
    /// Rows that samples of a band begin in; the last band has the margin too.
    pub fn band(&self, band: usize) -> Range<usize> {
        self.starts[band]..self.starts[band + 1]
    }
    /// Complex values in a band of one slice.
    pub fn band_len(&self, band: usize) -> usize {
        (self.band(band).len() + MAX_WIDTH - 1) * self.row_len
    }
    /// Complex values of one slice.
    pub fn len(&self) -> usize {
        (0..self.bands()).map(|band| self.band_len(band)).sum()
    }

    /// Spreads samples of the views `steps` over one band of the grids of several slices. `spectra` is
    /// `[slice][step][sample]`, perhaps with surplus steps.
    pub fn spread(
        &self,
        isa: Checked,
        band: usize,
        steps: Range<usize>,
        (spectra, slices): (&[Complex], usize),
        cells: &mut [Complex],
    ) {
        let (band_len, stride) = (self.band_len(band), spectra.len() / slices);
        for (i, step) in self.steps[steps].iter().enumerate() {
            let ray = self.ray(step, self.band(band));
            let samples = Samples { slices, values: &spectra[i * self.half..], stride };
            let grids = Grids { cells: &mut *cells, stride: band_len, row_len: self.row_len };
            super::isa::spread(isa, self.width, &ray, &self.taps, samples, grids);
        }
    }

    /// Patches of all views.
    pub fn patches(&self) -> usize {
        self.steps.len().div_ceil(PATCH_VIEWS)
    }
    /// Rows and columns of a patch. Its rows are the first of the grid.
    fn patch_size(&self) -> [usize; 2] {
        [self.reach + 2 * MAX_WIDTH, 2 * self.reach + 3 * MAX_WIDTH]
    }
    /// Complex values of a patch of one slice.
    pub fn patch_len(&self) -> usize {
        self.patch_size().iter().product()
    }
    /// Column of the grid at which patches begin.
    fn patch_col(&self) -> usize {
        self.origin()[1] - self.reach - MAX_WIDTH
    }

    /// Spreads the samples beside frequency 0 of those of the views `steps` that belong to one patch, for several slices.
    pub fn spread_low(
        &self,
        isa: Checked,
        patch: usize,
        steps: Range<usize>,
        (spectra, slices): (&[Complex], usize),
        cells: &mut [Complex],
    ) {
        let stride = spectra.len() / slices;
        let own = steps.start.max(patch * PATCH_VIEWS)..steps.end.min((patch + 1) * PATCH_VIEWS);
        for i in own {
            let step = &self.steps[i];
            let [row, col] = self.first_point();
            let ray = Ray {
                first: 0,
                end: self.low,
                part_len: self.low.next_multiple_of(DENSE),
                is_dense: self.is_dense(step),
                row: [row, step.row],
                col: [col - ((self.patch_col() as i64) << FRACTION_BITS), step.col],
            };
            let samples = Samples { slices, values: &spectra[(i - steps.start) * self.half..], stride };
            let grids = Grids { cells: &mut *cells, stride: self.patch_len(), row_len: self.patch_size()[1] };
            super::isa::spread(isa, self.width, &ray, &self.taps, samples, grids);
        }
    }

    /// Adds the patches `[patch][slice]` to the bands.
    pub fn add_patches(&self, patches: &[Complex], slices: usize, bands: &mut [&mut [Complex]]) {
        let [rows, cols] = self.patch_size();
        for (band, cells) in bands.iter_mut().enumerate() {
            let own = self.band(band);
            for (slice, cells) in cells.chunks_mut(self.band_len(band)).enumerate() {
                for (row, cells) in own.clone().zip(cells.chunks_mut(self.row_len)).take_while(|(row, _)| *row < rows) {
                    for (col, cell) in cells[self.patch_col()..][..cols].iter_mut().enumerate() {
                        let at = slice * self.patch_len() + row * cols + col;
                        let (mut re, mut im) = (0.0, 0.0);
                        for value in patches.iter().skip(at).step_by(slices * self.patch_len()) {
                            (re, im) = (re + f64::from(value.re), im + f64::from(value.im));
                        }
                        *cell += Complex::new(re as f32, im as f32);
                    }
                }
            }
        }
    }

    /// The first grid point that a sample at `x` reaches is floor(x - width / 2) + 1; this is that of frequency 0.
    fn first_point(&self) -> [i64; 2] {
        self.origin().map(|origin| ((2 * origin + 2 - self.width) as i64) << (FRACTION_BITS - 1))
    }

    fn is_dense(&self, step: &Step) -> bool {
        self.width + DENSE_REACH <= MAX_WIDTH
            && step.row.abs().max(step.col.abs()) * (DENSE as i64 - 1) < (DENSE_REACH as i64) << FRACTION_BITS
    }

    /// The samples of a view in a band, without those that go to patches.
    fn ray(&self, step: &Step, band: Range<usize>) -> Ray {
        let [row, col] = self.first_point();
        let sample = |band_start: usize| {
            let distance = ((band_start as i64) << FRACTION_BITS) - row;
            match step.row {
                // All samples are in the first row.
                0 if distance <= 0 => 0,
                0 => self.half,
                by => ((distance + by - 1).div_euclid(by).max(0) as usize).min(self.half),
            }
        };
        let (from, end) = (sample(band.start).max(self.low), sample(band.end).max(self.low));
        let len = end - from;
        let parts = (len / OVERLAP).clamp(1, PARTS);
        let band_start = (band.start as i64) << FRACTION_BITS;
        Ray {
            first: from,
            end,
            part_len: len.div_ceil(parts).max(1).next_multiple_of(DENSE),
            is_dense: self.is_dense(step),
            row: [row - band_start, step.row],
            col: [col, step.col],
        }
    }
}

/// Cuts `rows` into bands with about the same number of samples.
fn balanced(steps: &[Step], rows: usize, half: usize) -> Vec<usize> {
    // Samples that begin in each row: first the change from row to row.
    let mut samples = vec![0.0; rows + 1];
    for step in steps {
        let cells = step.row as f64 / (1i64 << FRACTION_BITS) as f64;
        let reached = ((cells * half as f64) as usize + 1).min(rows);
        samples[0] += half as f64 / reached as f64;
        samples[reached] -= half as f64 / reached as f64;
    }
    for row in 1..rows {
        samples[row] += samples[row - 1];
    }
    samples.truncate(rows);
    let each = samples.iter().sum::<f64>() / BANDS as f64;
    let (mut starts, mut sum) = (vec![0], 0.0);
    for (row, samples) in samples.iter().enumerate() {
        sum += samples;
        let start = starts[starts.len() - 1];
        if sum >= each && row + 1 - start >= BAND_ROWS && rows - row > BAND_ROWS {
            starts.push(row + 1);
            sum = 0.0;
        }
    }
    starts.push(rows);
    starts
}
