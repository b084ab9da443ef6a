//! Back-projection by way of the Fourier transform: the spectrum of a view is a line through the spectrum of the image.
//! The lines are gridded and transformed; the error is that of the gridding kernel, and is chosen as a tolerance.
//! `docs/theory/fourier.md` has the formulas.
//!
//! Views are transformed (`views`), spread over the grid (`spread`, `isa`) with a kernel (`kernel`), and the grid becomes
//! the image (`image`). Every grid point gets its samples in the order of the views' angles, and bands of the grid are cut
//! by the geometry alone: results are bit-identical for any number of threads and slices. Must not know files or stages.

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod avx2;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod avx512;
mod image;
#[allow(unsafe_code)]
mod isa;
mod kernel;
mod portable;
mod spread;
mod views;

use super::{Fbp, FbpOptions, View};
use crate::error::Result;
use image::{Image, Transformed};
use kernel::Kernel;
use ndarray::{ArrayView3, ArrayViewMut2, ArrayViewMut3, Axis, s};
use rayon::prelude::*;
use rustfft::FftPlanner;
use spread::Layout;
use std::ops::Range;
use views::{Seen, Views};

pub(super) use kernel::TOLERANCE;

type Complex = rustfft::num_complex::Complex<f32>;

/// Most slices that share the geometry's computation.
pub(super) const SIDE_BY_SIDE: usize = 4;
/// Memory for the grids of slices side by side, and for spectra before they are spread; more if one slice needs it.
const GRID_BYTES: usize = 128 << 20;
const SPECTRA_BYTES: usize = 32 << 20;
/// Values (samples of spectra, or grid points) per thread between two ticks.
const TICK_VALUES: usize = 10_000_000;
/// Part of the work before the grid is transformed, and before the image is.
const SPREAD_PART: f64 = 0.7;
const ROWS_PART: f64 = 0.8;

/// What is prepared for one geometry.
pub(super) struct Fourier {
    views: Views,
    layout: Layout,
    image: Image,
}

impl Fourier {
    pub fn new(views: &[View], cols: usize, options: &FbpOptions) -> Fourier {
        let mut planner = FftPlanner::new();
        let kernel = Kernel::new(options.tolerance);
        let size = fft_size((cols as f64 * kernel.oversampling).ceil() as usize);
        let prepared = Views::new(options, cols, &mut planner);
        let layout = Layout::new(views, size, prepared.fft_len(), &kernel);
        let image = Image::new(cols, size, &kernel, &mut planner);
        Fourier { views: prepared, layout, image }
    }

    fn side_by_side(&self, rows: usize) -> usize {
        (GRID_BYTES / (self.layout.len() * size_of::<Complex>())).clamp(1, SIDE_BY_SIDE).min(rows)
    }

    /// Views whose spectra are held at a time; even, since two are transformed together.
    fn panel_views(&self, slices: usize, threads: usize) -> usize {
        let memory = SPECTRA_BYTES / size_of::<Complex>();
        let views = memory.min(threads * TICK_VALUES) / (slices * self.views.half());
        (views & !1).clamp(2, self.layout.steps().len().next_multiple_of(2))
    }

    pub fn scratch_bytes(&self, rows: usize, threads: usize) -> u64 {
        let slices = self.side_by_side(rows);
        let spectra = self.panel_views(slices, threads) * self.views.half();
        let per_thread = self.views.scratch_bytes().max(self.image.scratch_bytes());
        let patches = self.layout.patches() * self.layout.patch_len();
        (slices * (self.layout.len() + spectra + patches) * size_of::<Complex>()) as u64 + threads as u64 * per_thread
    }
}

/// The smallest even size from `at_least` on that transforms quickly: 2, 3 and 5 are its only factors.
fn fft_size(at_least: usize) -> usize {
    let is_quick = |n: &usize| {
        let mut rest = *n;
        for factor in [2, 3, 5] {
            while rest.is_multiple_of(factor) {
                rest /= factor;
            }
        }
        rest == 1
    };
    // Margins must be shorter than a period; a power of 2 is found at the latest.
    (at_least.max(32)..).filter(|n| n.is_multiple_of(4)).find(is_quick).unwrap_or(at_least)
}

/// Slices go through in groups, as many as memory allows.
pub(super) fn reconstruct(
    fbp: &Fbp,
    fourier: &Fourier,
    pool: &rayon::ThreadPool,
    sinograms: ArrayView3<f32>,
    center_px: &[f64],
    mut out: ArrayViewMut3<f32>,
    tick: &mut dyn FnMut(f64) -> Result<()>,
) -> Result<()> {
    let slices = fourier.side_by_side(center_px.len());
    let panel = fourier.panel_views(slices, pool.current_num_threads());
    let zeros = |len| crate::memory::zeros::<Complex>(slices * len);
    let (mut cells, mut spectra) = (zeros(fourier.layout.len()), zeros(panel * fourier.views.half()));
    let mut patches = zeros(fourier.layout.patches() * fourier.layout.patch_len());
    let all = center_px.len() as f64;
    for (group, centers) in center_px.chunks(slices).enumerate() {
        let first_row = group * slices;
        let rows = s![first_row..first_row + centers.len(), .., ..];
        let group = Group { fbp, fourier, pool, sinograms: sinograms.slice(rows), first_row, centers };
        let mut tick = |part: f64| tick((first_row as f64 + part * centers.len() as f64) / all);
        let cells = &mut cells[..centers.len() * fourier.layout.len()];
        if first_row > 0 {
            cells.fill(Complex::new(0.0, 0.0));
            patches.fill(Complex::new(0.0, 0.0));
        }
        let patches = &mut patches[..centers.len() * fourier.layout.patches() * fourier.layout.patch_len()];
        let views = fourier.layout.steps().len();
        for first in (0..views).step_by(panel) {
            let steps = first..views.min(first + panel);
            let part = |of_panel: f64| SPREAD_PART * (first as f64 + of_panel * steps.len() as f64) / views as f64;
            tick(part(0.0))?;
            let spectra = &mut spectra[..centers.len() * steps.len().next_multiple_of(2) * fourier.views.half()];
            group.spectra(steps.clone(), spectra)?;
            tick(part(0.3))?;
            group.spread(steps.clone(), spectra, cells, patches);
        }
        group.fourier.layout.add_patches(patches, centers.len(), &mut group.bands(cells));
        group.transform_rows(cells, &mut |x| tick(SPREAD_PART + (ROWS_PART - SPREAD_PART) * x))?;
        group.image(cells, out.slice_mut(rows), &mut |x| tick(ROWS_PART + (1.0 - ROWS_PART) * x))?;
    }
    tick(1.0)
}

/// Slices that go through side by side.
struct Group<'a> {
    fbp: &'a Fbp,
    fourier: &'a Fourier,
    pool: &'a rayon::ThreadPool,
    sinograms: ArrayView3<'a, f32>,
    first_row: usize,
    centers: &'a [f64],
}

impl Group<'_> {
    /// Fills `out` `[slice][step][sample]`; the number of steps is rounded up to be even.
    fn spectra(&self, steps: Range<usize>, out: &mut [Complex]) -> Result<()> {
        let Fourier { views, layout, .. } = self.fourier;
        let (fbp, half) = (self.fbp, views.half());
        let steps = &layout.steps()[steps];
        // Sums of as many values must be finite.
        let limit = f32::MAX / (8 * fbp.views.len() * views.fft_len()) as f32;
        // Of the middle of the image from its origin, which is a pixel.
        let offset = super::offset(fbp.cols, fbp.cols / 2);
        let seen = |slice: usize, step: usize| {
            let step = &steps[step.min(steps.len() - 1)];
            let view = fbp.views[step.view];
            Seen {
                line: self.sinograms.slice_move(s![slice, view.index, ..]),
                view: view.index,
                weight_per_cm: view.weight_per_cm,
                shift_px: self.centers[slice] + offset * (view.cos - view.sin),
                mirrored: step.mirrored,
            }
        };
        let pairs = steps.len().div_ceil(2);
        let work = |scratch: &mut views::Scratch, (i, out): (usize, &mut [Complex])| {
            let (slice, pair) = (i / pairs, i % pairs);
            let (first, second) = (seen(slice, 2 * pair), seen(slice, 2 * pair + 1));
            let done = views.spectra(fbp.isa, [&first, &second], limit, out, scratch);
            done.map_err(|e| e.with("row", self.first_row + slice))
        };
        let pairs = out.par_chunks_mut(2 * half).enumerate();
        self.pool.install(|| pairs.try_for_each_init(|| views.scratch(), work))
    }

    fn spread(&self, steps: Range<usize>, spectra: &[Complex], cells: &mut [Complex], patches: &mut [Complex]) {
        let (layout, isa) = (&self.fourier.layout, self.fbp.isa);
        let mut bands = self.bands(cells);
        let spectra = (spectra, self.centers.len());
        let patches = patches.par_chunks_mut(self.centers.len() * layout.patch_len()).enumerate();
        self.pool.install(|| {
            patches.for_each(|(patch, cells)| layout.spread_low(isa, patch, steps.clone(), spectra, cells));
            bands.par_iter_mut().enumerate().with_max_len(1).for_each(|(band, cells)| {
                layout.spread(isa, band, steps.clone(), spectra, cells);
            });
        });
    }

    fn bands<'c>(&self, mut cells: &'c mut [Complex]) -> Vec<&'c mut [Complex]> {
        let layout = &self.fourier.layout;
        let cut = |band| {
            let (head, rest) = std::mem::take(&mut cells).split_at_mut(self.centers.len() * layout.band_len(band));
            cells = rest;
            head
        };
        (0..layout.bands()).map(cut).collect()
    }

    fn transform_rows(&self, cells: &mut [Complex], tick: &mut dyn FnMut(f64) -> Result<()>) -> Result<()> {
        let Fourier { layout, image, .. } = self.fourier;
        let slices = self.centers.len();
        let mut bands = self.bands(cells);
        // What a band spread into its margin belongs to the next.
        for band in 1..layout.bands() {
            let (before, now) = bands.split_at_mut(band);
            let own = layout.band(band - 1).len() * layout.row_len;
            let margins = before[band - 1].chunks(layout.band_len(band - 1)).map(|cells| &cells[own..]);
            for (now, margin) in now[0].chunks_mut(layout.band_len(band)).zip(margins) {
                now.iter_mut().zip(margin).for_each(|(cell, more)| *cell += *more);
            }
        }
        let bands_per_tick = self.per_tick(layout.len() * slices / layout.bands());
        let all = bands.len() as f64;
        for (chunk, bands) in bands.chunks_mut(bands_per_tick).enumerate() {
            tick((chunk * bands_per_tick) as f64 / all)?;
            let rows: Vec<_> = bands.iter_mut().flat_map(|band| band.chunks_mut(layout.row_len)).collect();
            let rows = rows.into_par_iter().with_min_len(8);
            self.pool.install(|| {
                rows.for_each_init(|| image.scratch(), |scratch, row| image.transform_row(layout, row, scratch));
            });
        }
        Ok(())
    }

    fn image(&self, cells: &[Complex], out: ArrayViewMut3<f32>, tick: &mut dyn FnMut(f64) -> Result<()>) -> Result<()> {
        let Fourier { layout, image, .. } = self.fourier;
        let grid = Transformed { layout, cells, slices: self.centers.len() };
        let mut blocks = blocks(out);
        let per_tick = self.per_tick(image::ROWS * layout.size);
        let all = blocks.len() as f64;
        for (chunk, blocks) in blocks.chunks_mut(per_tick).enumerate() {
            tick((chunk * per_tick) as f64 / all)?;
            let blocks = blocks.par_iter_mut().with_min_len(4);
            self.pool.install(|| {
                blocks.for_each_init(
                    || image.scratch(),
                    |scratch, block| {
                        image.rows(
                            &grid,
                            block.slice,
                            self.centers[block.slice],
                            block.first_y,
                            block.out.view_mut(),
                            scratch,
                        );
                    },
                );
            });
        }
        Ok(())
    }

    fn per_tick(&self, values: usize) -> usize {
        self.pool.current_num_threads() * (TICK_VALUES / values).max(1)
    }
}

/// Image rows that are transformed together.
struct Block<'a> {
    slice: usize,
    first_y: usize,
    out: ArrayViewMut2<'a, f32>,
}

/// Cuts images into blocks; none reaches across the middle row.
fn blocks(mut out: ArrayViewMut3<f32>) -> Vec<Block> {
    let middle = out.len_of(Axis(1)) / 2;
    let mut blocks = Vec::new();
    for slice in 0..out.len_of(Axis(0)) {
        let (image, others) = out.split_at(Axis(0), 1);
        out = others;
        let (mut rest, mut first_y) = (image.index_axis_move(Axis(0), 0), 0);
        while !rest.is_empty() {
            let end = if first_y < middle { middle } else { usize::MAX };
            let count = image::ROWS.min(rest.len_of(Axis(0))).min(end - first_y);
            let (head, below) = rest.split_at(Axis(0), count);
            blocks.push(Block { slice, first_y, out: head });
            (rest, first_y) = (below, first_y + count);
        }
    }
    blocks
}
