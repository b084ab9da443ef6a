//! Ramp filters as convolution kernels, applied to two views at a time by FFT. Must not know images or threads.
//!
//! The sampled kernel is transformed, not the analytic ramp: only so is the mean right (Ramachandran and
//! Lakshminarayanan 1971, doi:10.1073/pnas.68.9.2236; Shepp and Logan 1974, doi:10.1109/TNS.1974.6499235).

use super::pad;
use ndarray::ArrayView1;
use rustfft::{Fft, FftPlanner};
use std::f64::consts::PI;
use std::sync::Arc;

pub(super) type Complex = rustfft::num_complex::Complex<f64>;

/// Ramp filter and its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// |f|, no window (Ramachandran and Lakshminarayanan).
    Ramp,
    /// |f| sinc(f) (Shepp and Logan).
    SheppLogan,
    /// |f| (1 + cos 2πf) / 2 (Chesler), the Hann window.
    Chesler,
}

impl Filter {
    /// Convolution kernel at distance `i` px, for samples 1 px apart.
    pub fn kernel(self, i: i64) -> f64 {
        let d = i as f64;
        match self {
            Filter::Ramp if i == 0 => 0.25,
            Filter::Ramp if i % 2 == 0 => 0.0,
            Filter::Ramp => -1.0 / (PI * d).powi(2),
            Filter::SheppLogan => 2.0 / (PI * PI * (1.0 - 4.0 * d * d)),
            // A Hann window in frequency is a (1/4, 1/2, 1/4) average in space.
            Filter::Chesler => {
                let ramp = |i| Filter::Ramp.kernel(i);
                0.5 * ramp(i) + 0.25 * (ramp(i - 1) + ramp(i + 1))
            }
        }
    }
}

/// A filter prepared for one detector width.
pub(super) struct RampFilter {
    cols: usize,
    taper: Vec<f64>,
    /// Spectrum of the kernel divided by the FFT length; real, since the kernel is even.
    response: Vec<f64>,
    forward: Arc<dyn Fft<f64>>,
    inverse: Arc<dyn Fft<f64>>,
}

/// Buffers of one thread.
pub(super) struct Scratch {
    signal: Vec<Complex>,
    fft: Vec<Complex>,
}

impl RampFilter {
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
        RampFilter { cols, taper, response, forward, inverse }
    }

    fn fft_scratch_len(&self) -> usize {
        self.forward.get_inplace_scratch_len().max(self.inverse.get_inplace_scratch_len())
    }

    /// FFT length.
    pub fn len(&self) -> usize {
        self.response.len()
    }

    /// Size of one [`Scratch`].
    pub fn scratch_bytes(&self) -> u64 {
        (size_of::<Complex>() * (self.len() + self.fft_scratch_len())) as u64
    }

    pub fn scratch(&self) -> Scratch {
        let zero = Complex::new(0.0, 0.0);
        Scratch { signal: vec![zero; self.len()], fft: vec![zero; self.fft_scratch_len()] }
    }

    /// Filters one or two views; the result, `cols` long, has the first in the real part and the second in the
    /// imaginary part. `Err` names a column with a value that is not finite.
    pub fn apply<'s>(
        &self,
        first: ArrayView1<f32>,
        second: Option<ArrayView1<f32>>,
        scratch: &'s mut Scratch,
    ) -> Result<&'s [Complex], usize> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chesler_has_its_published_closed_form() {
        let p2 = 2.0 * PI * PI;
        for i in -9i64..=9 {
            let d = i as f64;
            let closed = match i.abs() {
                0 => 0.125 - 1.0 / p2,
                1 => 0.0625 - 1.0 / p2,
                n if n % 2 == 1 => -1.0 / (p2 * d * d),
                _ => -(d * d + 1.0) / (p2 * (d * d - 1.0).powi(2)),
            };
            assert!((Filter::Chesler.kernel(i) - closed).abs() < 1e-16, "{i}");
        }
    }

    #[test]
    fn spectra_follow_the_ramp_and_its_windows() {
        // The kernel is cut at ±1024 px, so its spectrum differs from the ideal one by about 1 / (π² 1024).
        let tolerance = 2e-4;
        for (filter, ideal) in [
            (Filter::Ramp, (|f| f) as fn(f64) -> f64),
            (Filter::SheppLogan, |f| f * (PI * f).sin() / (PI * f).max(1e-300)),
            (Filter::Chesler, |f| f * (1.0 + (2.0 * PI * f).cos()) / 2.0),
        ] {
            let prepared = RampFilter::new(filter, 1024, false);
            let len = prepared.len();
            for k in [1, 10, 100, 500, 1000] {
                let f = k as f64 / len as f64;
                assert!((prepared.response[k] * len as f64 - ideal(f)).abs() < tolerance, "{filter:?} {k}");
            }
        }
    }

    #[test]
    fn fft_is_long_enough_and_no_longer() {
        for (cols, pad, len) in [(1, false, 2), (64, false, 128), (65, false, 256), (64, true, 256), (86, true, 512)] {
            assert_eq!(RampFilter::new(Filter::Ramp, cols, pad).len(), len);
        }
    }
}
