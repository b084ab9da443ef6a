//! Gaussian smoothing in Fourier space as ct-rec defines it (rec_gf, si_gf, gf_fd): lines end in zeros up to the next power of
//! two, and that period repeats. What is bright at one end of a line that fills it up therefore reaches around to the other.
//!
//! Must not know: files, chains.

use ndarray::{ArrayView2, ArrayViewMut1, ArrayViewMut2, Axis};
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};
use std::f64::consts::PI;
use std::sync::Arc;

/// Lines transformed at a time: as many neighbours in memory as a cache line holds.
const BLOCK: usize = 16;

/// What may be left out of a kernel, of its sum: less than 32-bit pixels of a usual volume resolve.
const LEFT_OUT: f64 = 1e-6;

/// Smoothing of lines of one length by exp(-r² / R²), a standard deviation of R / √2: multiplication by exp(-π² R² f²).
pub struct PeriodicGaussian {
    len: usize,
    gain: Vec<f64>,
    forward: Arc<dyn Fft<f64>>,
    inverse: Arc<dyn Fft<f64>>,
}

impl PeriodicGaussian {
    /// For lines of `len` values, at least 1; `radius_px` is R, 0 changes nothing.
    pub fn new(len: usize, radius_px: f64) -> Self {
        let period = len.next_power_of_two();
        let mut planner = FftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(period), planner.plan_fft_inverse(period));
        let gain = |k: usize| (-(PI * radius_px * k.min(period - k) as f64 / period as f64).powi(2)).exp();
        PeriodicGaussian { len, gain: (0..period).map(gain).collect(), forward, inverse }
    }
    /// Length after which lines repeat.
    pub fn period(&self) -> usize {
        self.gain.len()
    }
    /// Smooths each line of `[line, i]` in place, in f64; a value is good to one rounding to f32.
    pub fn smooth(&self, mut lines: ArrayViewMut2<f32>) {
        let period = self.period();
        // The gain is real and the same for ±f, so two lines go as real and imaginary part and do not mix.
        let mut work = vec![Complex::new(0.0, 0.0); BLOCK / 2 * period];
        let scratch = self.forward.get_inplace_scratch_len().max(self.inverse.get_inplace_scratch_len());
        let mut scratch = vec![Complex::new(0.0, 0.0); scratch];
        for mut block in lines.axis_chunks_iter_mut(Axis(0), BLOCK) {
            work.fill(Complex::new(0.0, 0.0));
            let count = block.nrows();
            for (i, column) in block.axis_iter(Axis(1)).enumerate() {
                for (line, v) in column.iter().enumerate() {
                    let place = &mut work[line / 2 * period + i];
                    *(if line % 2 == 0 { &mut place.re } else { &mut place.im }) = f64::from(*v);
                }
            }
            let pairs = &mut work[..count.div_ceil(2) * period];
            self.forward.process_with_scratch(pairs, &mut scratch);
            for line in pairs.chunks_exact_mut(period) {
                line.iter_mut().zip(&self.gain).for_each(|(v, gain)| *v *= gain / period as f64);
            }
            self.inverse.process_with_scratch(pairs, &mut scratch);
            for (i, mut column) in block.axis_iter_mut(Axis(1)).enumerate() {
                for (line, v) in column.iter_mut().enumerate() {
                    let value = work[line / 2 * period + i];
                    *v = (if line % 2 == 0 { value.re } else { value.im }) as f32;
                }
            }
        }
    }
    /// The kernel over one period, from distance 0 to half of it; those beyond repeat. Their full sum is 1.
    pub fn weights(&self) -> Vec<f64> {
        let period = self.period();
        let mut line: Vec<Complex<f64>> = self.gain.iter().map(|g| Complex::new(*g, 0.0)).collect();
        self.inverse.process(&mut line);
        line[..=period / 2].iter().map(|v| v.re / period as f64).collect()
    }
    /// Distance beyond which the kernel's absolute values sum up to less than 1e-6: narrow kernels are cut off in frequency, so
    /// they ring, and reach far.
    pub fn reach(&self) -> usize {
        let (mut left_out, weights) = (0.0, self.weights());
        let far = weights.iter().enumerate().rev().find(|(_, w)| {
            left_out += 2.0 * w.abs();
            left_out > LEFT_OUT
        });
        far.map_or(0, |(d, _)| d)
    }
    /// Length of the lines.
    pub fn line_len(&self) -> usize {
        self.len
    }
}

/// The line at the middle of `window` after smoothing across it: `weights` for each of its lines, `None` is a line of zeros.
pub fn across(window: &[Option<ArrayView2<f32>>], weights: &[f64], y: usize, mut out: ArrayViewMut1<f32>) {
    let mut sums = vec![0f64; out.len()];
    for (slice, weight) in window.iter().zip(weights) {
        if let Some(slice) = slice {
            sums.iter_mut().zip(slice.row(y)).for_each(|(sum, v)| *sum += weight * f64::from(*v));
        }
    }
    out.iter_mut().zip(sums).for_each(|(o, sum)| *o = sum as f32);
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, Array2};

    /// The definition: every pair of places, every period.
    fn plain(line: &[f32], radius: f64) -> Vec<f64> {
        let n = line.len().next_power_of_two();
        let kernel = |d: f64| -> f64 {
            let term = |k: usize| {
                let f = if k <= n / 2 { k as f64 } else { k as f64 - n as f64 } / n as f64;
                (-(PI * radius * f).powi(2)).exp() * (2.0 * PI * f * d).cos()
            };
            (0..n).map(term).sum::<f64>() / n as f64
        };
        let at = |i: usize| line.iter().enumerate().map(|(j, v)| f64::from(*v) * kernel(i as f64 - j as f64)).sum();
        (0..line.len()).map(at).collect()
    }

    #[test]
    fn lines_are_smoothed_as_defined_and_those_that_fill_their_period_wrap() {
        for (lines, len, radius) in [(3, 3, 1.5), (17, 8, 0.7), (2, 13, 2.0), (1, 1, 3.0)] {
            let mut image = Array2::from_shape_fn((lines, len), |(y, x)| ((7 * y + 3 * x * x) % 11) as f32);
            let expected: Vec<Vec<f64>> = image.outer_iter().map(|line| plain(&line.to_vec(), radius)).collect();
            let gaussian = PeriodicGaussian::new(len, radius);
            gaussian.smooth(image.view_mut());
            for (line, expected) in image.outer_iter().zip(&expected) {
                // One rounding to f32 of values below 16.
                assert!(line.iter().zip(expected).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-6), "{len} {radius}");
            }
        }
        let mut line = Array2::zeros((1, 64));
        line[[0, 0]] = 1.0f32;
        PeriodicGaussian::new(64, 2.0).smooth(line.view_mut());
        assert!((line[[0, 63]] - line[[0, 1]]).abs() < 1e-7 && line[[0, 63]] > 0.1);
    }

    #[test]
    fn a_window_of_the_reach_does_what_the_transform_does() {
        let (len, radius) = (100, 3.0);
        let gaussian = PeriodicGaussian::new(len, radius);
        let (reach, weights) = (gaussian.reach(), gaussian.weights());
        // exp(-r² / R²) is 1e-8 at 4.3 R.
        assert!((9..14).contains(&reach), "{reach}");
        let mut line = Array2::from_shape_fn((1, len), |(_, i)| ((37 * i) % 101) as f32);
        let before = line.clone();
        gaussian.smooth(line.view_mut());
        let weights: Vec<f64> = (0..=2 * reach).map(|i| weights[i.abs_diff(reach)]).collect();
        for z in 0..len {
            let at = |i: usize| (z + i).checked_sub(reach).filter(|j| *j < len);
            let slices: Vec<Option<Array2<f32>>> =
                (0..=2 * reach).map(|i| at(i).map(|j| Array2::from_elem((1, 1), before[[0, j]]))).collect();
            let views: Vec<_> = slices.iter().map(|s| s.as_ref().map(|s| s.view())).collect();
            let mut out = Array1::zeros(1);
            across(&views, &weights, 0, out.view_mut());
            // What the reach leaves out, 1e-6 of 101, and roundings.
            assert!((out[0] - line[[0, z]]).abs() < 1.2e-4, "{z}");
        }
    }
}
