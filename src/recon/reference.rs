//! Back-projection in f64, written to be read: the truth that every other engine is measured against.
//!
//! Must not become fast at the price of being plain.

use super::{Fbp, offset, radius2};
use crate::error::Result;
use ndarray::{ArrayView2, ArrayView3, ArrayViewMut3, Axis};
use rayon::prelude::*;

/// Pixels × views that each thread sums between two ticks.
const TICK_UPDATES: usize = 20_000_000;

pub(super) fn scratch_bytes(fbp: &Fbp) -> u64 {
    8 * fbp.views.len() as u64 * fbp.cols as u64 + fbp.filter.scratch_bytes()
}

pub(super) fn reconstruct(
    fbp: &Fbp,
    pool: &rayon::ThreadPool,
    sinograms: ArrayView3<f32>,
    center_px: &[f64],
    mut out: ArrayViewMut3<f32>,
    tick: &mut dyn FnMut(f64) -> Result<()>,
) -> Result<()> {
    let threads = pool.current_num_threads();
    let rows_per_tick = (threads * TICK_UPDATES / (fbp.cols * fbp.views.len())).max(threads);
    for (slice, &center) in center_px.iter().enumerate() {
        let part = |of_slice: f64| (slice as f64 + of_slice) / center_px.len() as f64;
        let filtered = filtered(fbp, sinograms.index_axis(Axis(0), slice), &mut || tick(part(0.0)))?;
        let mut image = out.index_axis_mut(Axis(0), slice);
        for (chunk, mut rows) in image.axis_chunks_iter_mut(Axis(0), rows_per_tick).enumerate() {
            let first = chunk * rows_per_tick;
            tick(part(first as f64 / fbp.cols as f64))?;
            let rows: Vec<_> = rows.rows_mut().into_iter().enumerate().collect();
            pool.install(|| {
                rows.into_par_iter().for_each(|(i, mut row)| {
                    for (x, value) in row.iter_mut().enumerate() {
                        *value = pixel(fbp, &filtered, center, first + i, x) as f32;
                    }
                });
            });
        }
    }
    tick(1.0)
}

/// All filtered views of one slice, one after the other; calls `tick` now and then.
pub(super) fn filtered(fbp: &Fbp, sinogram: ArrayView2<f32>, tick: &mut dyn FnMut() -> Result<()>) -> Result<Vec<f64>> {
    let mut out = vec![0.0; sinogram.len()];
    let mut scratch = fbp.filter.scratch();
    for (pair, out) in out.chunks_mut(2 * fbp.cols).enumerate() {
        if pair % 32 == 0 {
            tick()?;
        }
        let q = fbp.filter_pair(sinogram, 2 * pair, &mut scratch)?;
        let (first, second) = out.split_at_mut(fbp.cols);
        first.iter_mut().zip(q).for_each(|(v, z)| *v = z.re);
        second.iter_mut().zip(q).for_each(|(v, z)| *v = z.im);
    }
    Ok(out)
}

/// Value of pixel (y, x) in 1/cm: the sum over the views, each interpolated linearly where the ray through the pixel
/// hits the detector. Beyond the detector filtered views count as 0.
pub(super) fn pixel(fbp: &Fbp, filtered: &[f64], center_px: f64, y: usize, x: usize) -> f64 {
    let (x, y) = (offset(fbp.cols, x), -offset(fbp.cols, y));
    if x * x + y * y > radius2(fbp.cols, center_px) {
        return 0.0;
    }
    let mut sum = 0.0;
    for (view, q) in fbp.views.iter().zip(filtered.chunks_exact(fbp.cols)) {
        let r = x * view.cos + y * view.sin + center_px;
        // Rounding can put r a hair below 0; there the neighbour beyond the detector counts, and is 0.
        let n = if r < 0.0 { -1 } else { r as i64 };
        let at = |i: i64| if (0..q.len() as i64).contains(&i) { q[i as usize] } else { 0.0 };
        sum += view.weight_per_cm * (at(n) + (at(n + 1) - at(n)) * (r - n as f64));
    }
    sum
}
