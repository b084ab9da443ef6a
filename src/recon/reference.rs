//! Filter and back-projection in f64, written to be read: the truth that every other engine is measured against.
//!
//! Must not become fast at the price of being plain.

use super::{Fbp, Filter, PLACE, not_finite, offset, pad, radius2};
use crate::error::{Error, Result};
use ndarray::{ArrayView1, ArrayView2, ArrayView3, ArrayViewMut3, Axis};
use rayon::prelude::*;
use rustfft::{Fft, FftPlanner};
use std::sync::Arc;

/// Pixels × views that each thread sums between two ticks.
const TICK_UPDATES: usize = 20_000_000;

pub(super) fn scratch_bytes(fbp: &Fbp) -> u64 {
    8 * fbp.views.len() as u64 * fbp.cols as u64 + fbp.exact.scratch_bytes()
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
    let mut scratch = fbp.exact.scratch();
    for (pair, out) in out.chunks_mut(2 * fbp.cols).enumerate() {
        if pair % 32 == 0 {
            tick()?;
        }
        let q = filter_pair(fbp, sinogram, 2 * pair, &mut scratch)?;
        let (first, second) = out.split_at_mut(fbp.cols);
        first.iter_mut().zip(q).for_each(|(v, z)| *v = z.re);
        second.iter_mut().zip(q).for_each(|(v, z)| *v = z.im);
    }
    Ok(out)
}

/// Filters the view at place `first` of the order of the views and, if there is one, the next; the values are in the real
/// and the imaginary part.
///
/// Refuses what would become infinite or NaN in the image.
fn filter_pair<'s>(
    fbp: &Fbp,
    sinogram: ArrayView2<f32>,
    first: usize,
    scratch: &'s mut Scratch,
) -> Result<&'s [Complex]> {
    let view = &fbp.views[first];
    let next = fbp.views.get(first + 1);
    let second = next.map(|next| sinogram.row(next.index));
    let next = next.unwrap_or(view);
    let filtered = fbp.exact.apply(sinogram.row(view.index), second, scratch);
    let filtered = filtered.map_err(|col| {
        not_finite(if sinogram[[view.index, col]].is_finite() { next.index } else { view.index }, col)
    })?;
    let limit = f64::from(f32::MAX) / (4 * fbp.views.len()) as f64;
    let (a, b) = (view.weight_per_cm, next.weight_per_cm);
    let fits = |z: &Complex| (a * z.re).abs() <= limit && (b * z.im).abs() <= limit;
    if !filtered.iter().all(fits) {
        return Err(Error::invalid(PLACE, "the sinogram is too large for a 32-bit image").with("view", view.index));
    }
    Ok(filtered)
}

type Complex = rustfft::num_complex::Complex<f64>;

/// The filter in f64: views themselves, convolved with the kernel itself.
pub(super) struct ExactFilter {
    cols: usize,
    taper: Vec<f64>,
    /// Spectrum of the kernel divided by the FFT length; real, since the kernel is even.
    response: Vec<f64>,
    forward: Arc<dyn Fft<f64>>,
    inverse: Arc<dyn Fft<f64>>,
}

/// Buffers of the filter.
pub(super) struct Scratch {
    signal: Vec<Complex>,
    fft: Vec<Complex>,
}

impl ExactFilter {
    /// `pad`: extend views by a taper of half the width at either end.
    pub fn new(filter: Filter, cols: usize, pad: bool) -> Self {
        let taper = if pad { pad::taper(cols / 2) } else { Vec::new() };
        // Distances up to cols + taper - 1 must not wrap round.
        let reach = (cols + taper.len()).next_power_of_two();
        let len = 2 * reach;
        let mut planner = FftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(len), planner.plan_fft_inverse(len));
        let at = |i: usize| if i < reach { i as i64 } else { i as i64 - len as i64 };
        let mut kernel: Vec<Complex> = (0..len).map(|i| Complex::new(filter.kernel(at(i)), 0.0)).collect();
        forward.process(&mut kernel);
        let response = kernel.iter().map(|z| z.re / len as f64).collect();
        ExactFilter { cols, taper, response, forward, inverse }
    }

    fn fft_scratch_len(&self) -> usize {
        self.forward.get_inplace_scratch_len().max(self.inverse.get_inplace_scratch_len())
    }

    fn scratch_bytes(&self) -> u64 {
        (size_of::<Complex>() * (self.response.len() + self.fft_scratch_len())) as u64
    }

    pub fn scratch(&self) -> Scratch {
        let zero = Complex::new(0.0, 0.0);
        Scratch { signal: vec![zero; self.response.len()], fft: vec![zero; self.fft_scratch_len()] }
    }

    /// Filters one or two views; the result, `cols` long, has the first in the real part and the second in the
    /// imaginary part. `Err` names a column with a value that is not finite.
    pub fn apply<'s>(
        &self,
        first: ArrayView1<f32>,
        second: Option<ArrayView1<f32>>,
        scratch: &'s mut Scratch,
    ) -> std::result::Result<&'s [Complex], usize> {
        let (signal, rest) = scratch.signal.split_at_mut(self.cols);
        signal.iter_mut().zip(first).for_each(|(z, p)| *z = Complex::new(f64::from(*p), 0.0));
        if let Some(second) = second {
            signal.iter_mut().zip(second).for_each(|(z, p)| z.im = f64::from(*p));
        }
        if let Some(col) = signal.iter().position(|z| !z.is_finite()) {
            return Err(col);
        }
        rest.fill(Complex::new(0.0, 0.0));
        pad::extend_row(&mut scratch.signal, self.cols, &self.taper);
        self.forward.process_with_scratch(&mut scratch.signal, &mut scratch.fft);
        scratch.signal.iter_mut().zip(&self.response).for_each(|(z, h)| *z *= *h);
        self.inverse.process_with_scratch(&mut scratch.signal, &mut scratch.fft);
        Ok(&scratch.signal[..self.cols])
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    #[test]
    fn spectra_follow_the_ramp_and_its_windows() {
        // The kernel is cut at ±1024 px, so its spectrum differs from the ideal one by about 1 / (π² 1024).
        let tolerance = 2e-4;
        for (filter, ideal) in [
            (Filter::Ramp, (|f| f) as fn(f64) -> f64),
            (Filter::SheppLogan, |f| f * (PI * f).sin() / (PI * f).max(1e-300)),
            (Filter::Chesler, |f| f * (1.0 + (2.0 * PI * f).cos()) / 2.0),
        ] {
            let response = ExactFilter::new(filter, 1024, false).response;
            let len = response.len();
            for k in [1, 10, 100, 500, 1000] {
                let f = k as f64 / len as f64;
                assert!((response[k] * len as f64 - ideal(f)).abs() < tolerance, "{filter:?} {k}");
            }
        }
    }
}
