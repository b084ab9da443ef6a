//! Stripe removal by wavelets and Fourier filtering: Münch, Trtik, Marone, Stampanoni, "Stripe and ring artifact removal with
//! combined wavelet-Fourier filtering", Optics Express 17 (2009), doi:10.1364/OE.17.008567.

use super::check::{check_above, refuse_not_finite};
use super::wavelet::{WAVELETS, Wavelet};
use crate::error::{Error, Result};
use ndarray::{Array2, ArrayViewMut2, Axis, s};
use rustfft::{FftPlanner, num_complex::Complex};

const ID: &str = "ring.wavelet-fft";
/// The smallest image of the decomposition is not smaller than this, along either axis.
const SMALLEST: usize = 16;

/// Options of [`wavelet_fft`].
#[derive(Clone, Debug, PartialEq)]
pub struct WaveletFftOptions {
    /// Levels of the decomposition; more remove wider stripes. Fewer are used where the sinogram is too small.
    pub level: usize,
    /// Standard deviation of the Gaussian that is cut out around frequency 0, in steps of the discrete Fourier transform over
    /// the views; greater removes more.
    pub sigma_bins: f64,
    /// One of [`WAVELETS`].
    pub wavelet: &'static str,
}

impl Default for WaveletFftOptions {
    fn default() -> Self {
        WaveletFftOptions { level: 5, sigma_bins: 1.0, wavelet: "db9" }
    }
}

/// Views and columns added at either end.
fn pad(views: usize, cols: usize) -> usize {
    (views.min(cols) / 10).min(150)
}

pub(super) fn scratch_bytes(views: usize, cols: usize, options: &WaveletFftOptions) -> u64 {
    let Some(wavelet) = Wavelet::named(options.wavelet) else { return 0 };
    let (mut rows, mut cols) = (views + 2 * pad(views, cols), cols + 2 * pad(views, cols));
    let tap = size_of::<(usize, f64)>() + size_of::<Vec<(usize, f64)>>();
    // At the first level the image, its slow half, the two halves of that, and the way to them; details of all levels stay.
    let (half_rows, half_cols) = (wavelet.half(rows), wavelet.half(cols));
    let first = 4 * (rows * cols + half_rows * (cols + 2 * half_cols));
    let mut kept = 0;
    for _ in 0..options.level.min(20) {
        (rows, cols) = (wavelet.half(rows), wavelet.half(cols));
        kept += 4 * rows * cols;
    }
    (first + kept + tap * cols * (2 * options.wavelet.len() + 20) + 16 * 6 * views) as u64
}

/// Removes stripes from one sinogram `[view, col]` in place: decomposes it into wavelets, takes from the details across
/// columns what hardly changes over the views, and puts it together again. Any unit.
///
/// Before, the sinogram grows by a tenth of its shorter side: columns by the edge's value, views by the mean of all.
///
/// Errors: NaN or infinity, `level` 0, `sigma_bins` not above 0, an unknown wavelet, a side of less than 32.
pub fn wavelet_fft(mut sino: ArrayViewMut2<f32>, options: &WaveletFftOptions) -> Result<()> {
    let (views, cols) = sino.dim();
    refuse_not_finite(ID, &sino.view())?;
    check_above(ID, "sigma_bins", options.sigma_bins, 0.0)?;
    let wavelet = Wavelet::named(options.wavelet).ok_or_else(|| {
        Error::invalid(ID, format!("expected one of {}", WAVELETS.join(", "))).with("wavelet", options.wavelet)
    })?;
    if options.level == 0 {
        return Err(Error::invalid(ID, "level must be 1 or more"));
    }
    if sino.is_empty() {
        return Ok(());
    }
    let pad = pad(views, cols);
    let most = ((views.min(cols) + 2 * pad) / SMALLEST).checked_ilog2().unwrap_or(0) as usize;
    if most == 0 {
        let error = Error::invalid(ID, "needs 32 views and 32 columns or more");
        return Err(error.with("views", views).with("cols", cols));
    }
    let mut details = Vec::new();
    let mut image = padded(&sino, pad);
    for _ in 0..options.level.min(most) {
        let (rows, cols) = image.dim();
        let [slow, fast] = wavelet.halves_of_columns(wavelet.low_views(image.view()).view());
        details.push((fast, rows, cols));
        image = slow;
    }
    // The transform is linear, so what is put together is only what will be subtracted.
    image.fill(0.0);
    while let Some((mut stripes, rows, cols)) = details.pop() {
        keep_constant(stripes.view_mut(), options.sigma_bins);
        // A half of an odd length comes back one longer.
        let slow = image.slice(s![..stripes.nrows(), ..stripes.ncols()]);
        image = wavelet.image(slow, stripes.view(), rows, cols);
    }
    sino -= &image.slice(s![pad..pad + views, pad..pad + cols]);
    Ok(())
}

fn padded(sino: &ArrayViewMut2<f32>, pad: usize) -> Array2<f32> {
    let (views, cols) = sino.dim();
    let mut image = Array2::zeros((views + 2 * pad, cols + 2 * pad));
    let mut mean = vec![0.0; cols];
    for row in sino.outer_iter() {
        mean.iter_mut().zip(row).for_each(|(m, v)| *m += f64::from(*v));
    }
    let inner = pad..pad + cols;
    for (at, mut row) in image.outer_iter_mut().enumerate() {
        let mut middle = row.slice_mut(s![inner.clone()]);
        if (pad..pad + views).contains(&at) {
            middle.assign(&sino.row(at - pad));
        } else {
            middle.iter_mut().zip(&mean).for_each(|(v, m)| *v = (m / views as f64) as f32);
        }
        let (first, last) = (row[pad], row[pad + cols - 1]);
        row.slice_mut(s![..pad]).fill(first);
        row.slice_mut(s![pad + cols..]).fill(last);
    }
    image
}

/// Leaves of each column what a Gaussian around frequency 0 lets through.
fn keep_constant(mut image: ArrayViewMut2<f32>, sigma: f64) {
    let len = image.nrows();
    let mut planner = FftPlanner::<f64>::new();
    let (there, back) = (planner.plan_fft_forward(len), planner.plan_fft_inverse(len));
    let mut scratch = vec![Complex::default(); there.get_inplace_scratch_len().max(back.get_inplace_scratch_len())];
    let gauss = |f: f64| (-f * f / (2.0 * sigma * sigma)).exp() / len as f64;
    // For even lengths the published program has its window one step off and keeps the real part, which is this mean.
    let off = if len.is_multiple_of(2) { 1.0 } else { 0.0 };
    let frequency = |k: usize| if k > len / 2 { k as f64 - len as f64 } else { k as f64 };
    // The window ends where the spectrum does; its other side does not come in again.
    let side = |f: f64| if f > (len / 2) as f64 { 0.0 } else { gauss(f) };
    let window: Vec<f64> = (0..len).map(|k| (side(frequency(k) + off) + side(-frequency(k) + off)) / 2.0).collect();
    let mut buffer = vec![Complex::default(); len];
    for mut two in image.axis_chunks_iter_mut(Axis(1), 2) {
        let both = two.ncols() == 2;
        for (value, row) in buffer.iter_mut().zip(two.rows()) {
            *value = Complex::new(f64::from(row[0]), if both { f64::from(row[1]) } else { 0.0 });
        }
        there.process_with_scratch(&mut buffer, &mut scratch);
        buffer.iter_mut().zip(&window).for_each(|(value, w)| *value *= w);
        back.process_with_scratch(&mut buffer, &mut scratch);
        for (value, mut row) in buffer.iter().zip(two.rows_mut()) {
            row[0] = value.re as f32;
            if both {
                row[1] = value.im as f32;
            }
        }
    }
}
