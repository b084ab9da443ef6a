//! Phase retrieval from one distance for a sample of one material: Paganin et al. 2002,
//! doi:10.1046/j.1365-2818.2002.01010.x, with the discrete Laplacian of Paganin et al. 2020,
//! doi:10.1088/2040-8986/abbab9. `docs/theory/phase.md` has formulas, units and how to choose.
//!
//! Must not know: files, scans, stages.

use super::fft_len;
use crate::error::{Error, Result};
use crate::slab::Halo;
use ndarray::{ArrayView3, ArrayViewMut3, Axis, s};
use rayon::prelude::*;
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};
use std::f64::consts::PI;
use std::sync::Arc;

/// Place named in the errors of this module.
const PLACE: &str = "phase";
/// Planck's constant times the speed of light, keV µm.
const HC_KEV_UM: f64 = 1.239_841_984e-3;
/// Smallest transmission that comes out; below, rounding of the Fourier transform is all there is.
const LEAST: f64 = 1e-15;
/// A transmission above this is no measurement.
const MOST: f64 = 1e6;
/// Widest filter, px².
const MOST_STRENGTH: f64 = 1e7;

/// Experiment and sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PhaseOptions {
    /// Energy of the X-rays, keV.
    pub energy_kev: f64,
    /// From the sample to the detector, mm; parallel beam.
    pub distance_mm: f64,
    /// Detector pixel at the sample, µm.
    pub pixel_um: f64,
    /// δ / β of the material: how much stronger it refracts than it absorbs.
    pub delta_beta: f64,
    /// The part of the difference between far rows that may be missing: see [`Phase::halo_rows`].
    pub tolerance: f64,
}

impl PhaseOptions {
    /// Below the noise of any measurement.
    pub const DEFAULT_TOLERANCE: f64 = 1e-3;

    /// Refuses values outside what is accepted.
    pub fn check(&self) -> Result<()> {
        let all = [
            ("energy_kev", self.energy_kev, "the energy must be greater than 0 keV"),
            ("distance_mm", self.distance_mm, "the distance must be greater than 0 mm"),
            ("pixel_um", self.pixel_um, "the pixel size must be greater than 0 µm"),
            ("delta_beta", self.delta_beta, "delta over beta must be greater than 0"),
        ];
        for (name, value, accepted) in all {
            if !(value > 0.0 && value.is_finite()) {
                return Err(Error::invalid(PLACE, accepted).with(name, value));
            }
        }
        if !(1e-9..=0.1).contains(&self.tolerance) {
            return Err(Error::invalid(PLACE, "expected a tolerance of 1e-9 to 0.1").with("tolerance", self.tolerance));
        }
        let strength = self.strength_px2();
        if strength.is_nan() || strength > MOST_STRENGTH {
            let message = "the filter would blur over thousands of pixels: check the units of energy (keV), distance (mm) \
                           and pixel (µm)";
            return Err(Error::invalid(PLACE, message).with("strength_px2", format!("{strength:.3e}")));
        }
        Ok(())
    }

    /// The one number that the filter depends on, px²: distance × wavelength × δ/β / 4π. Its root is the width of the blur.
    pub fn strength_px2(&self) -> f64 {
        let wavelength_um = HC_KEV_UM / self.energy_kev;
        1e3 * self.distance_mm * wavelength_um * self.delta_beta / (4.0 * PI * self.pixel_um * self.pixel_um)
    }
}

/// A prepared filter for detectors of one width.
///
/// The filter is 1 / (1 + a (4 - 2 cos u - 2 cos v)) at the angular frequencies u along and v across rows: by Fourier
/// transform along rows, and across them by its exact response, which for each u is ρ^|j| at distance j. Running sums make it;
/// each starts at a row that only depends on the number of the detector row, so that the result does not depend on how the
/// detector was cut into slabs, to the last bit.
pub struct Phase {
    cols: usize,
    len: usize,
    reach: usize,
    block: usize,
    /// ρ of each frequency.
    decay: Vec<f64>,
    /// 1 / (1 - ρ): the running sum over a constant 1.
    settled: Vec<f64>,
    /// What makes the gain of the whole 1 at rest, and undoes the gain of the transforms.
    gain: Vec<f64>,
    forward: Arc<dyn Fft<f64>>,
    inverse: Arc<dyn Fft<f64>>,
}

type Line = Vec<Complex<f64>>;

/// Buffers of one thread.
struct Scratch {
    spectra: Line,
    result: Line,
    sum: Line,
    fft: Line,
}

impl Phase {
    /// For rows of `cols` columns. Errors: see [`PhaseOptions::check`]; no columns or more than 1048576.
    pub fn new(options: &PhaseOptions, cols: usize) -> Result<Self> {
        options.check()?;
        if !(1..=1 << 20).contains(&cols) {
            return Err(Error::invalid(PLACE, "expected 1 to 1048576 detector columns").with("cols", cols));
        }
        let a = options.strength_px2();
        // Along the row, at frequency u: 1 / (total + a (2 - 2 cos v)).
        let total = |u: f64| 1.0 + a * (2.0 - 2.0 * u.cos());
        let decay = |u: f64| {
            let q = total(u) / a;
            1.0 / (1.0 + 0.5 * q + (q + 0.25 * q * q).sqrt())
        };
        let reach = (options.tolerance.ln() / decay(0.0).ln()).ceil() as usize;
        // Both ends of a row are continued by their last value for as far as the filter reaches.
        let len = fft_len(cols + 2 * reach);
        let u: Vec<f64> = (0..len).map(|k| 2.0 * PI * k as f64 / len as f64).collect();
        let gain = |u: &f64| (1.0 - decay(*u)) / ((1.0 + decay(*u)) * total(*u) * len as f64);
        let mut planner = FftPlanner::new();
        Ok(Phase {
            cols,
            len,
            reach,
            block: reach.div_ceil(4).max(4),
            decay: u.iter().map(|u| decay(*u)).collect(),
            settled: u.iter().map(|u| 1.0 / (1.0 - decay(*u))).collect(),
            gain: u.iter().map(gain).collect(),
            forward: planner.plan_fft_forward(len),
            inverse: planner.plan_fft_inverse(len),
        })
    }

    /// Rows that are needed below and above each row that is made.
    ///
    /// The response falls to `tolerance` over 4/5 of them. Rows beyond count as equal to the last one within: a transmission
    /// is off by at most `tolerance` times the largest difference between those rows.
    pub fn halo_rows(&self) -> usize {
        self.reach + self.block - 1
    }

    /// Working memory of [`Phase::retrieve`] for `rows` rows without halo on `threads` threads, bytes.
    pub fn scratch_bytes(&self, rows: usize, threads: usize) -> u64 {
        let lines = 2 * rows + 2 * self.halo_rows() + 3;
        (threads * lines * self.len * size_of::<Complex<f64>>()) as u64
    }

    /// Absorbance -ln(I/I0) `[row, view, col]`, with `halo` → absorbance `[row, view, col]` of the sample alone, without halo:
    /// -ln of the filtered I/I0, which is µ times the thickness.
    ///
    /// `first_row`: detector row of the first row of `out`; rows before the detector have negative numbers. `halo` must be at least [`Phase::halo_rows`]; rows beyond the
    /// detector repeat its last one. Beyond the ends of a row the view counts as constant. Absorbance above 34.5 comes out
    /// as 34.5.
    ///
    /// Views in parallel on `pool`. `tick` is called on the calling thread with the finished part (0 to 1); its error stops
    /// the work. The result of a row does not depend on the number of rows or threads.
    ///
    /// Errors: shapes that do not fit together, a halo that is too small, absorbance that is not finite or below -13.8.
    pub fn retrieve(
        &self,
        pool: &rayon::ThreadPool,
        absorbance: ArrayView3<f32>,
        (first_row, halo): (isize, Halo),
        mut out: ArrayViewMut3<f32>,
        tick: &mut dyn FnMut(f64) -> Result<()>,
    ) -> Result<()> {
        let (rows, views, cols) = out.dim();
        if absorbance.dim() != (rows + halo.below + halo.above, views, cols) || cols != self.cols {
            return Err(Error::invalid(PLACE, "input with halo and output must have the same views and columns")
                .with("input", format!("{:?}", absorbance.shape()))
                .with("output", format!("{:?}", out.shape()))
                .with("halo", format!("{halo:?}"))
                .with("cols", self.cols));
        }
        if halo.below.min(halo.above) < self.halo_rows() {
            let accepted = format!("expected at least {} rows of halo on either side", self.halo_rows());
            return Err(Error::invalid(PLACE, accepted).with("halo", format!("{halo:?}")));
        }
        let threads = pool.current_num_threads();
        let mut scratch: Vec<Scratch> = (0..threads).map(|_| self.scratch(rows, absorbance.shape()[0])).collect();
        let mut pairs: Vec<_> = out.axis_chunks_iter_mut(Axis(1), 2).enumerate().collect();
        let (all, mut done) = (pairs.len(), 0);
        for group in pairs.chunks_mut(threads) {
            let one = |((pair, out), scratch): (&mut (usize, ArrayViewMut3<f32>), &mut Scratch)| {
                self.pair(absorbance, 2 * *pair, (first_row, halo.below), out, scratch)
            };
            let results: Vec<Result<()>> = pool.install(|| group.par_iter_mut().zip(&mut scratch).map(one).collect());
            done += results.len();
            results.into_iter().collect::<Result<()>>()?;
            tick(done as f64 / all as f64)?;
        }
        Ok(())
    }

    fn scratch(&self, rows: usize, rows_with_halo: usize) -> Scratch {
        let zeros = |lines: usize| vec![Complex::default(); lines * self.len];
        let fft = self.forward.get_inplace_scratch_len().max(self.inverse.get_inplace_scratch_len());
        Scratch {
            spectra: zeros(rows_with_halo),
            result: zeros(rows),
            sum: zeros(1),
            fft: vec![Complex::default(); fft],
        }
    }

    /// The views `first` and `first + 1`, if there is one: one is the real part, the other the imaginary one, which a
    /// filter with an even response keeps apart.
    fn pair(
        &self,
        absorbance: ArrayView3<f32>,
        first: usize,
        (first_row, below): (isize, usize),
        out: &mut ArrayViewMut3<f32>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let views = out.shape()[1];
        for (r, line) in scratch.spectra.chunks_exact_mut(self.len).enumerate() {
            let pair = absorbance.slice(s![r, first..first + views, ..]);
            for (view, values) in pair.outer_iter().enumerate() {
                for (col, (z, p)) in line.iter_mut().zip(values).enumerate() {
                    let transmission = (-f64::from(*p)).exp();
                    if !p.is_finite() || transmission > MOST {
                        let accepted = "expected finite absorbance above -13.8";
                        return Err(Error::invalid(PLACE, accepted)
                            .with("row", (first_row + r as isize - below as isize).max(0))
                            .with("view", first + view)
                            .with("column", col)
                            .with("value", p));
                    }
                    *(if view == 0 { &mut z.re } else { &mut z.im }) = transmission;
                }
            }
            if views == 1 {
                line[..self.cols].iter_mut().for_each(|z| z.im = 0.0);
            }
            let (start, end) = (line[0], line[self.cols - 1]);
            let middle = self.cols + (self.len - self.cols) / 2;
            line[self.cols..middle].fill(end);
            line[middle..].fill(start);
            self.forward.process_with_scratch(line, &mut scratch.fft);
        }
        self.across_rows(first_row.rem_euclid(self.block as isize) as usize, below, scratch);
        for (r, line) in scratch.result.chunks_exact_mut(self.len).enumerate() {
            self.inverse.process_with_scratch(line, &mut scratch.fft);
            for (view, mut values) in out.index_axis_mut(Axis(0), r).outer_iter_mut().enumerate() {
                for (p, z) in values.iter_mut().zip(line.iter()) {
                    *p = -(if view == 0 { z.re } else { z.im }).max(LEAST).ln() as f32;
                }
            }
        }
        Ok(())
    }

    /// Running sums over the rows of `spectra`, from both sides, into the rows of `result`. Only where the first row lies in its
    /// block matters.
    fn across_rows(&self, first_row: usize, below: usize, scratch: &mut Scratch) {
        let Scratch { spectra, result, sum, .. } = scratch;
        let rows = result.len() / self.len;
        let line = |r: usize| r * self.len..(r + 1) * self.len;
        let mut done = 0;
        while done < rows {
            // Blocks begin at multiples of their height on the detector.
            let block = (first_row + done) / self.block * self.block;
            let end = (block + self.block - first_row).min(rows);
            // Number of a detector row in `spectra`; the halo is large enough for these not to be negative.
            let at = |row: usize| row + below - first_row;
            let start = at(block) - self.reach;
            settle(sum, &spectra[line(start)], &self.settled);
            for r in start + 1..below + end {
                add(sum, &spectra[line(r)], &self.decay);
                if r >= below + done {
                    result[line(r - below)].copy_from_slice(sum);
                }
            }
            let start = at(block + self.block - 1) + self.reach;
            settle(sum, &spectra[line(start)], &self.settled);
            for r in (below + done..start).rev() {
                let x = &spectra[line(r)];
                add(sum, x, &self.decay);
                if r < below + end {
                    // The row itself is in both sums.
                    let out = result[line(r - below)].iter_mut().zip(sum.iter()).zip(x).zip(&self.gain);
                    out.for_each(|(((out, sum), x), gain)| *out = (*out + sum - x) * gain);
                }
            }
            done = end;
        }
    }
}

/// The running sum after endless repetition of `x`.
fn settle(sum: &mut [Complex<f64>], x: &[Complex<f64>], settled: &[f64]) {
    sum.iter_mut().zip(x).zip(settled).for_each(|((sum, x), settled)| *sum = x * settled);
}

/// One more row.
fn add(sum: &mut [Complex<f64>], x: &[Complex<f64>], decay: &[f64]) {
    sum.iter_mut().zip(x).zip(decay).for_each(|((sum, x), decay)| *sum = x + *sum * decay);
}
