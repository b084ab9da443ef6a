//! Back-projection in f64, written to be read: the truth that every other engine is measured against.
//!
//! Must not become fast at the price of being plain.

use super::{Fbp, offset, radius2};
use crate::error::Result;
use ndarray::{Array2, ArrayView2, ArrayView3, ArrayViewMut3, Axis};
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

/// All filtered views of one slice; calls `tick` now and then.
pub(super) fn filtered(
    fbp: &Fbp,
    sinogram: ArrayView2<f32>,
    tick: &mut dyn FnMut() -> Result<()>,
) -> Result<Array2<f64>> {
    let mut out = Array2::zeros(sinogram.dim());
    let mut scratch = fbp.filter.scratch();
    for (pair, mut rows) in out.axis_chunks_iter_mut(Axis(0), 2).enumerate() {
        if pair % 32 == 0 {
            tick()?;
        }
        let q = fbp.filter_pair(sinogram, 2 * pair, &mut scratch)?;
        rows.row_mut(0).iter_mut().zip(q).for_each(|(v, z)| *v = z.re);
        if rows.nrows() == 2 {
            rows.row_mut(1).iter_mut().zip(q).for_each(|(v, z)| *v = z.im);
        }
    }
    Ok(out)
}

/// Value of pixel (y, x) in 1/cm: the sum over the views, each interpolated linearly where the ray through the pixel
/// hits the detector. Beyond the detector filtered views count as 0.
pub(super) fn pixel(fbp: &Fbp, filtered: &Array2<f64>, center_px: f64, y: usize, x: usize) -> f64 {
    let (x, y) = (offset(fbp.cols, x), -offset(fbp.cols, y));
    if x * x + y * y > radius2(fbp.cols, center_px) {
        return 0.0;
    }
    let mut sum = 0.0;
    for (view, q) in fbp.views.iter().zip(filtered.rows()) {
        let r = x * view.cos + y * view.sin + center_px;
        let n = r.floor();
        let at = |i: f64| if i < 0.0 { 0.0 } else { q.get(i as usize).copied().unwrap_or(0.0) };
        sum += view.weight_per_cm * (at(n) + (at(n + 1.0) - at(n)) * (r - n));
    }
    sum
}
