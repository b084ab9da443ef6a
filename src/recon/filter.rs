//! Ramp filters as convolution kernels, applied in single precision to two views at a time by FFT. Must not know images
//! or threads.
//!
//! The sampled kernel is transformed, not the analytic ramp: only so is the mean right (Ramachandran and
//! Lakshminarayanan 1971, doi:10.1073/pnas.68.9.2236; Shepp and Logan 1974, doi:10.1109/TNS.1974.6499235).
//!
//! A view is mostly slow changes, which the ramp takes away; an FFT of 24 bits would lose what is left. So the kernel is
//! summed up once and convolved with the differences of neighbouring columns, which is the same: the sum of the kernel
//! has a nearly flat spectrum, and the rounding errors of the FFT stay as small as they come.

use super::pad;
use rustfft::{Fft, FftPlanner};
use std::f64::consts::PI;
use std::sync::Arc;

pub(super) type Complex = rustfft::num_complex::Complex<f32>;

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
    /// How an edge value fades out, from column to column, in parts of it: at once, or by the steps of the taper.
    steps: Vec<f32>,
    /// exp(-iπ n / half), `half` of them.
    twist: Vec<Complex>,
    /// Spectrum of the summed kernel divided by the FFT length, even frequencies first.
    response: Vec<Complex>,
    forward: Arc<dyn Fft<f32>>,
    inverse: Arc<dyn Fft<f32>>,
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
        let half = fast_length(cols + taper.len());
        let values = || std::iter::once(1.0).chain(taper.iter().copied());
        let steps = values().zip(values().skip(1).chain([0.0])).map(|(from, to)| (to - from) as f32).collect();
        let turn = |n: usize| rustfft::num_complex::Complex::cis(-PI * n as f64 / half as f64);
        let single = |z: rustfft::num_complex::Complex<f64>| Complex::new(z.re as f32, z.im as f32);
        // Half of the middle on either side: the sum is odd about -1/2, and small far away.
        let mut sums = vec![rustfft::num_complex::Complex::new(0.0, 0.0); 2 * half];
        let mut sum = -0.5 * filter.kernel(0);
        for n in 0..half {
            sum += filter.kernel(n as i64);
            sums[n].re = sum;
            sums[2 * half - 1 - n].re = -sum;
        }
        FftPlanner::new().plan_fft_forward(2 * half).process(&mut sums);
        let even_first = (0..half).map(|k| 2 * k).chain((0..half).map(|k| 2 * k + 1));
        let response = even_first.map(|k| single(sums[k] / (2 * half) as f64)).collect();
        let mut planner = FftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(half), planner.plan_fft_inverse(half));
        RampFilter { cols, steps, twist: (0..half).map(|n| single(turn(n))).collect(), response, forward, inverse }
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

    /// Filters two views and multiplies them with their `weights`; in `out`, `cols` long, the first is the real and the
    /// second the imaginary part. What is not finite makes everything not finite.
    pub fn apply(&self, views: [&[f32]; 2], weights: [f32; 2], out: &mut [Complex], scratch: &mut Scratch) {
        let [first, second] = views.map(|view| &view[..self.cols]);
        let (signal, len) = (&mut scratch.signal, self.len());
        signal[self.cols..].fill(Complex::new(0.0, 0.0));
        for (z, (a, b)) in signal[1..self.cols].iter_mut().zip(first.windows(2).zip(second.windows(2))) {
            *z = Complex::new(a[1] - a[0], b[1] - b[0]);
        }
        // What lies before the first column stands at the end.
        for (n, step) in self.steps.iter().enumerate() {
            signal[(len - n) % len] = Complex::new(-first[0], -second[0]) * step;
            signal[self.cols + n] = Complex::new(first[self.cols - 1], second[self.cols - 1]) * step;
        }
        // Even and odd frequencies go through an FFT of half the length each, which the nearest cache holds.
        let (even, odd) = signal.split_at_mut(len / 2);
        for ((even, odd), twist) in even.iter_mut().zip(odd).zip(&self.twist) {
            (*even, *odd) = (*even + *odd, (*even - *odd) * twist);
        }
        self.forward.process_with_scratch(signal, &mut scratch.fft);
        signal.iter_mut().zip(&self.response).for_each(|(z, h)| *z *= h);
        self.inverse.process_with_scratch(signal, &mut scratch.fft);
        let (even, odd) = signal.split_at(len / 2);
        for (((out, even), odd), twist) in out.iter_mut().zip(even).zip(odd).zip(&self.twist) {
            let sum = even + odd * twist.conj();
            *out = Complex::new(weights[0] * sum.re, weights[1] * sum.im);
        }
    }
}

/// The smallest length of at least `len` that the FFT is fast for: a power of two, or one times 3, 5, 9, 15 or 27.
fn fast_length(len: usize) -> usize {
    let lengths = [1, 3, 5, 9, 15, 27].map(|odd| odd * len.div_ceil(odd).next_power_of_two());
    lengths.into_iter().fold(usize::MAX, usize::min)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recon::reference::ExactFilter;

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

    /// Values in -1..1.
    fn random(state: &mut u64) -> f32 {
        *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (*state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    #[test]
    fn single_precision_loses_nothing_that_an_image_would_show() {
        let mut state = 1;
        let mut compared = 0;
        for cols in [1, 2, 3, 16, 100, 255, 1000, 2048] {
            let x = |n: usize| (n as f32 - cols as f32 / 2.0) / (0.4 * cols as f32);
            let disc = |n: usize| (1.0 - x(n) * x(n)).max(0.0).sqrt();
            let noise: Vec<f32> = (0..cols).map(|_| random(&mut state)).collect();
            let views: [Vec<f32>; 7] = [
                noise.clone(),
                vec![1e4; cols],
                noise.iter().map(|r| 1e4 + r).collect(),
                (0..cols).map(|n| if n == cols / 3 { 1e3 } else { 1.0 }).collect(),
                (0..cols).map(|n| 3.0 * disc(n) + 0.01 * noise[n]).collect(),
                (0..cols).map(|n| 5.0 + n as f32).collect(),
                (0..cols).map(|n| (-8.0 * x(n) * x(n)).exp()).collect(),
            ];
            for filter in [Filter::Ramp, Filter::SheppLogan, Filter::Chesler] {
                for pad in [false, true] {
                    let (single, exact) = (RampFilter::new(filter, cols, pad), ExactFilter::new(filter, cols, pad));
                    let (mut scratch, mut exact_scratch) = (single.scratch(), exact.scratch());
                    for (i, first) in views.iter().enumerate() {
                        let second = &views[(i + 1) % views.len()];
                        let mut ours = vec![Complex::new(0.0, 0.0); cols];
                        single.apply([first, second], [1.0, 2.0], &mut ours, &mut scratch);
                        let truth = exact.apply(first.into(), Some(second.into()), &mut exact_scratch).unwrap();
                        let top = truth.iter().fold(0.0f64, |top, z| top.max(z.re.abs()).max(2.0 * z.im.abs()));
                        let worst = ours.iter().zip(truth).fold(0.0f64, |worst, (a, b)| {
                            let (re, im) = (f64::from(a.re) - b.re, f64::from(a.im) - 2.0 * b.im);
                            worst.max(re.abs()).max(im.abs())
                        });
                        // A rounding is 6e-8; those of the differences and of some ten steps of the FFT are random.
                        let case = format!("{filter:?}, pad {pad}, {cols} columns, view {i}");
                        assert!(worst <= 5e-7 * top, "{case}: {:e}", worst / top);
                        compared += 1;
                    }
                }
            }
        }
        assert_eq!(compared, 8 * 3 * 2 * 7);
    }

    #[test]
    fn fft_is_long_enough_and_fast() {
        for (cols, pad, half) in [
            (1, false, 1),
            (64, false, 64),
            (65, false, 72),
            (64, true, 96),
            (2048, false, 2048),
            (4432, false, 4608),
            (13000, false, 13824),
        ] {
            assert_eq!(RampFilter::new(Filter::Ramp, cols, pad).len(), 2 * half);
        }
    }

    #[test]
    fn what_is_not_finite_shows_everywhere() {
        let filter = RampFilter::new(Filter::Chesler, 100, false);
        let (good, mut out) = (vec![1.0; 100], vec![Complex::new(0.0, 0.0); 100]);
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for col in [0, 1, 57, 99] {
                let mut view = good.clone();
                view[col] = bad;
                filter.apply([&good, &view], [1.0, 1.0], &mut out, &mut filter.scratch());
                assert!(out.iter().all(|z| !z.im.is_finite()), "{bad} in column {col}");
            }
        }
    }
}
