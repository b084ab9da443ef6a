//! From the grid to the image: inverse Fourier transform, and division by the kernel's transform. Must not know views.
//!
//! The grid holds half of a spectrum whose image is real; the image is the real part of the transform of that half and
//! its mirror, and two image rows go through one complex transform.

use super::Complex;
use super::kernel::Kernel;
use super::spread::Layout;
use crate::recon::inside;
use ndarray::{ArrayViewMut2, Axis};
use rustfft::{Fft, FftPlanner};
use std::sync::Arc;

/// Image rows transformed together: their values beside each other are two cache lines.
pub(super) const ROWS: usize = 16;

pub(super) struct Image {
    cols: usize,
    size: usize,
    fft: Arc<dyn Fft<f32>>,
    /// Reciprocal of the kernel's transform at each column, and at each row with the sign of a shift by half a period.
    by_col: Vec<f32>,
    by_row: Vec<f32>,
}

/// The grids of several slices, band after band.
pub(super) struct Transformed<'a> {
    pub layout: &'a Layout,
    pub cells: &'a [Complex],
    pub slices: usize,
}

/// Buffers of one thread.
pub(super) struct Scratch {
    lines: Vec<Complex>,
    fft: Vec<Complex>,
}

impl Image {
    pub fn new(cols: usize, size: usize, kernel: &Kernel, planner: &mut FftPlanner<f32>) -> Image {
        let factor = |i: usize| 1.0 / kernel.transform((i as f64 - (cols / 2) as f64) / size as f64);
        let sign = |y: usize| if (y + cols / 2).is_multiple_of(2) { 1.0 } else { -1.0 };
        Image {
            cols,
            size,
            fft: planner.plan_fft_inverse(size),
            by_col: (0..cols).map(|x| factor(x) as f32).collect(),
            by_row: (0..cols).map(|y| (sign(y) * factor(y)) as f32).collect(),
        }
    }

    pub fn scratch_bytes(&self) -> u64 {
        ((ROWS / 2 * self.size + self.fft.get_inplace_scratch_len()) * size_of::<Complex>()) as u64
    }
    pub fn scratch(&self) -> Scratch {
        let zeros = |len| vec![Complex::new(0.0, 0.0); len];
        Scratch { lines: zeros(ROWS / 2 * self.size), fft: zeros(self.fft.get_inplace_scratch_len()) }
    }

    /// Transforms a row of the grid along its columns, in place. The result begins behind the margin.
    pub fn transform_row(&self, layout: &Layout, row: &mut [Complex], scratch: &mut Scratch) {
        let start = margin(layout);
        for i in 0..start {
            let outside = row[i];
            row[i + self.size] += outside;
        }
        let (periodic, outside) = row[start..].split_at_mut(self.size);
        for (inside, outside) in periodic.iter_mut().zip(outside) {
            *inside += *outside;
        }
        self.fft.process_with_scratch(periodic, &mut scratch.fft);
    }

    /// Up to [`ROWS`] image rows from `first_y` on, all above or all below the middle, of one slice.
    pub fn rows(
        &self,
        grid: &Transformed,
        slice: usize,
        center_px: f64,
        first_y: usize,
        mut out: ArrayViewMut2<f32>,
        scratch: &mut Scratch,
    ) {
        let (size, middle, count) = (self.size, self.cols / 2, out.len_of(Axis(0)));
        let Scratch { lines, fft } = scratch;
        // Row `y` of the image is `y - middle` of the transform.
        let first = margin(grid.layout) + if first_y < middle { size + first_y - middle } else { first_y - middle };
        self.gather(grid, slice, first, count, lines);
        for (pair, line) in lines.chunks_mut(size).take(count.div_ceil(2)).enumerate() {
            self.fft.process_with_scratch(line, fft);
            for second in 0..2.min(count - 2 * pair) {
                let y = first_y + 2 * pair + second;
                let x = inside(self.cols, center_px, y);
                let mut row = out.row_mut(2 * pair + second);
                row.fill(0.0);
                // Left of the middle is the end of the period.
                let line = line[size - middle..].iter().chain(&line[..self.cols - middle]);
                let factors = self.by_col[x.clone()].iter();
                let values = line.skip(x.start).zip(factors).zip(row.iter_mut().skip(x.start));
                for ((z, by_col), value) in values {
                    *value = if second == 0 { z.re } else { z.im } * (*by_col * self.by_row[y]);
                }
            }
        }
    }

    /// Spectra of pairs of image rows: the first and `i` times the second, each with its mirror, so that their transforms
    /// are real. `first`: column in the transformed grid.
    fn gather(&self, grid: &Transformed, slice: usize, first: usize, count: usize, lines: &mut [Complex]) {
        let size = self.size;
        let zero = Complex::new(0.0, 0.0);
        for line in lines.chunks_mut(size) {
            (line[0], line[size / 2]) = (zero, zero);
        }
        // Rows that meet no other on the way go first, so that nothing else has to be cleared.
        for edge in [false, true] {
            grid.for_each_row(slice, |frequency, row| {
                let is_edge = !(1..(size / 2) as i64).contains(&frequency);
                if is_edge != edge {
                    return;
                }
                let (at, mirror) =
                    (frequency.rem_euclid(size as i64) as usize, (-frequency).rem_euclid(size as i64) as usize);
                let values = &row[first..first + count];
                for (line, pair) in lines.chunks_exact_mut(size).zip(values.chunks(2)) {
                    let (a, b) = (pair[0], pair.get(1).copied().unwrap_or(zero));
                    let plus = Complex::new(a.re - b.im, a.im + b.re);
                    let minus = Complex::new(a.re + b.im, b.re - a.im);
                    if edge {
                        line[at] += plus;
                        line[mirror] += minus;
                    } else {
                        (line[at], line[mirror]) = (plus, minus);
                    }
                }
            });
        }
    }
}

/// Columns before the first of a period.
fn margin(layout: &Layout) -> usize {
    layout.origin()[1] - layout.size / 2
}

impl Transformed<'_> {
    /// Calls `work` with each row of a slice and its frequency.
    #[inline(always)]
    fn for_each_row(&self, slice: usize, mut work: impl FnMut(i64, &[Complex])) {
        let (mut rest, mut frequency) = (self.cells, -(self.layout.origin()[0] as i64));
        let bands = self.layout.bands();
        for band in 0..bands {
            let len = self.layout.band_len(band);
            let cells = &rest[slice * len..(slice + 1) * len];
            let own = self.layout.band(band).len();
            let rows = if band + 1 == bands { len / self.layout.row_len } else { own };
            for row in cells.chunks_exact(self.layout.row_len).take(rows) {
                work(frequency, row);
                frequency += 1;
            }
            rest = &rest[self.slices * len..];
        }
    }
}
