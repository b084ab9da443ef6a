//! Spectra of filtered views, with the phase that moves the rotation axis to the middle of the image. Must not know the
//! grid.
//!
//! A view's differences are transformed instead of the view, and the filter's response is divided by that of the
//! difference: a ramp takes away most of what a view consists of, and 32 bits then hold the rest without loss.

use super::{Complex, fft_size};
use crate::error::{Error, Result};
use crate::recon::direct::Checked;
use crate::recon::{FbpOptions, Interpolation, PLACE, pad};
use ndarray::ArrayView1;
use rustfft::{Fft, FftPlanner};
use std::f64::consts::PI;
use std::sync::Arc;

/// Samples that one entry of a coarse table of phases stands for.
pub(super) const BLOCK: usize = 64;

/// Transform and filter of views of one length.
pub(super) struct Views {
    cols: usize,
    /// Steps of the extension beyond either end, as parts of the edge value, and the sum of the extension.
    steps: Vec<f64>,
    extension: f64,
    /// Response to differences, for frequencies 0 to 1/2; response to the sum of a view.
    response: Vec<Complex>,
    mean_response: f64,
    fft: Arc<dyn Fft<f32>>,
}

/// One view of one slice.
pub(super) struct Seen<'a> {
    pub line: ArrayView1<'a, f32>,
    /// Number of the view, for messages.
    pub view: usize,
    pub weight_per_cm: f64,
    /// Where on the detector the image's origin is seen.
    pub shift_px: f64,
    /// Give the conjugate of the spectrum.
    pub mirrored: bool,
}

/// Buffers of one thread.
pub(super) struct Scratch {
    signal: Vec<Complex>,
    fft: Vec<Complex>,
    turns: [Turn; 2],
}

/// `exp(2πi k s)` times a factor, as a table of `k` in blocks and a table within a block; real parts apart.
pub(super) struct Turn {
    /// -1 for the conjugate.
    pub sign: f32,
    pub coarse: Vec<Complex>,
    pub fine: [[f32; BLOCK]; 2],
}

impl Turn {
    fn set(&mut self, cycles: f64, factor: f64) {
        type Complex64 = rustfft::num_complex::Complex<f64>;
        let turn = |samples: usize| Complex64::cis(2.0 * PI * (cycles * samples as f64).fract());
        let (step, mut now) = (turn(1), Complex64::new(1.0, 0.0));
        for i in 0..BLOCK {
            (self.fine[0][i], self.fine[1][i]) = (now.re as f32, now.im as f32);
            now *= step;
        }
        let (step, mut now) = (turn(BLOCK), Complex64::new(factor, 0.0));
        for coarse in &mut self.coarse {
            *coarse = Complex::new(now.re as f32, now.im as f32);
            now *= step;
        }
    }
}

/// What interpolation makes of a wave of `frequency` cycles per column.
fn damping(interpolation: Interpolation, frequency: f64) -> f64 {
    match interpolation {
        Interpolation::Linear if frequency > 0.0 => ((PI * frequency).sin() / (PI * frequency)).powi(2),
        _ => 1.0,
    }
}

impl Views {
    pub fn new(options: &FbpOptions, cols: usize, planner: &mut FftPlanner<f32>) -> Views {
        let taper = if options.pad { pad::taper(cols / 2) } else { Vec::new() };
        // Distances up to cols + taper - 1 must not wrap round.
        let len = fft_size(2 * (cols + taper.len()));
        let at = |i: usize| if i <= len / 2 { i as i64 } else { i as i64 - len as i64 };
        let mut kernel: Vec<_> =
            (0..len).map(|i| rustfft::num_complex::Complex::new(options.filter.kernel(at(i)), 0.0)).collect();
        FftPlanner::new().plan_fft_forward(len).process(&mut kernel);
        let response = |k: usize| {
            let difference = 1.0 - rustfft::num_complex::Complex::cis(-2.0 * PI * k as f64 / len as f64);
            // Halves: two views are parted by a sum of two; and the highest frequency is its own mirror.
            let factor = if k == len / 2 { 0.25 } else { 0.5 } * damping(options.interpolation, k as f64 / len as f64);
            let value = if k == 0 { difference } else { factor * kernel[k].re / len as f64 / difference };
            Complex::new(value.re as f32, value.im as f32)
        };
        let ends = std::iter::once(1.0).chain(taper.iter().copied());
        let steps = ends.zip(taper.iter().copied().chain([0.0])).map(|(a, b)| b - a).collect();
        Views {
            cols,
            steps,
            extension: taper.iter().sum(),
            response: (0..=len / 2).map(response).collect(),
            mean_response: 0.5 * kernel[0].re / len as f64,
            fft: planner.plan_fft_forward(len),
        }
    }

    /// Length of a transform; even.
    pub fn fft_len(&self) -> usize {
        2 * (self.response.len() - 1)
    }
    /// Samples of a spectrum.
    pub fn half(&self) -> usize {
        self.response.len()
    }

    pub fn scratch_bytes(&self) -> u64 {
        let complex = self.fft_len() + 1 + self.fft.get_inplace_scratch_len() + 2 * self.half().div_ceil(BLOCK);
        (complex * size_of::<Complex>()) as u64
    }
    pub fn scratch(&self) -> Scratch {
        let zeros = |len| vec![Complex::new(0.0, 0.0); len];
        let turn = || Turn { sign: 1.0, coarse: zeros(self.half().div_ceil(BLOCK)), fine: [[0.0; BLOCK]; 2] };
        Scratch {
            signal: zeros(self.fft_len() + 1),
            fft: zeros(self.fft.get_inplace_scratch_len()),
            turns: [turn(), turn()],
        }
    }

    /// Spectra of two views of one slice, one after the other: each half of its spectrum, weight included.
    ///
    /// Errors: values that are not finite or beyond `limit`.
    pub fn spectra(
        &self,
        isa: Checked,
        views: [&Seen; 2],
        limit: f32,
        out: &mut [Complex],
        scratch: &mut Scratch,
    ) -> Result<()> {
        let (len, Scratch { signal, fft, turns }) = (self.fft_len(), scratch);
        signal.fill(Complex::new(0.0, 0.0));
        let sums =
            [self.differences(views[0], signal, |z| &mut z.re)?, self.differences(views[1], signal, |z| &mut z.im)?];
        self.fft.process_with_scratch(&mut signal[..len], fft);
        signal[len] = signal[0];
        for (turn, view) in turns.iter_mut().zip(views) {
            turn.set(view.shift_px / len as f64, view.weight_per_cm);
            turn.sign = if view.mirrored { -1.0 } else { 1.0 };
        }
        let (first, second) = out.split_at_mut(self.half());
        let fits = super::isa::part(isa, signal, &self.response, [&turns[0], &turns[1]], [first, second], limit);
        for ((view, sum), out) in views.iter().zip(sums).zip([first, second]) {
            out[0] = Complex::new((view.weight_per_cm * self.mean_response * sum) as f32, 0.0);
            if !(fits && out[0].re.abs() <= limit) {
                let message = "the sinogram is too large for a 32-bit image";
                return Err(Error::invalid(PLACE, message).with("view", view.view));
            }
        }
        Ok(())
    }

    /// Writes the steps from value to value of an extended view into `part` of a periodic `signal`; its sum.
    fn differences(&self, view: &Seen, signal: &mut [Complex], part: impl Fn(&mut Complex) -> &mut f32) -> Result<f64> {
        let (line, len) = (view.line, self.fft_len());
        let (mut before, mut sum) = (line[0], 0.0);
        for (value, z) in line.iter().zip(&mut *signal) {
            *part(z) = value - before;
            before = *value;
            sum += f64::from(*value);
        }
        if !sum.is_finite() {
            let col = line.iter().position(|p| !p.is_finite()).unwrap_or(0);
            let message = "the sinogram holds a value that is not finite; repair or replace such pixels first";
            return Err(Error::invalid(PLACE, message).with("view", view.view).with("column", col));
        }
        let (first, last) = (f64::from(line[0]), f64::from(line[self.cols - 1]));
        for (n, step) in self.steps.iter().enumerate() {
            *part(&mut signal[(len - n) % len]) -= (first * step) as f32;
            *part(&mut signal[self.cols + n]) += (last * step) as f32;
        }
        Ok(sum + (first + last) * self.extension)
    }
}
