//! Stripe removal by filtering and sorting: Vo, Atwood, Drakopoulos, "Superior techniques for eliminating ring artifacts in
//! X-ray micro-tomography", Optics Express 26 (2018), algorithm 2, doi:10.1364/OE.26.028396.

use super::check::{check_above, refuse_not_finite};
use super::ranks::LeftEdge;
use super::sort::{sort_in, sort_scratch_bytes};
use crate::error::Result;
use ndarray::{ArrayViewMut2, Zip, s};
use rustfft::{FftPlanner, num_complex::Complex};

const ID: &str = "ring.filter";

/// Options of [`filter`].
#[derive(Clone, Debug, PartialEq)]
pub struct FilterOptions {
    /// Standard deviation of the Gaussian low-pass over the views, in steps of the discrete Fourier transform; greater leaves
    /// more to the sorting.
    pub sigma_bins: f64,
    /// Width of the median across columns, px. Even sizes grow by one.
    pub kernel_px: usize,
}

impl Default for FilterOptions {
    fn default() -> Self {
        FilterOptions { sigma_bins: 3.0, kernel_px: 21 }
    }
}

/// Views added at either end, mirrored, against the wrap-round of the transform.
fn pad(views: usize) -> usize {
    (views / 10).min(150)
}

pub(super) fn scratch_bytes(views: usize, cols: usize, kernel_px: usize) -> u64 {
    let fft = 16 * 6 * (views + 2 * pad(views));
    sort_scratch_bytes(views, cols, kernel_px).max(fft as u64) + (4 * views * cols) as u64
}

/// Removes stripes from one sinogram `[view, col]` in place: takes the slow changes over the views out of each column, removes
/// stripes from them by [`sort()`](super::sort()), and puts the fast changes back. At both edges of the median the mirror
/// repeats the edge column.
///
/// Errors: NaN or infinity, `sigma_bins` not above 0, a window wider than the mirrored sinogram.
pub fn filter(mut sino: ArrayViewMut2<f32>, options: &FilterOptions) -> Result<()> {
    refuse_not_finite(ID, &sino.view())?;
    check_above(ID, "sigma_bins", options.sigma_bins, 0.0)?;
    if sino.is_empty() {
        return Ok(());
    }
    let mut slow = sino.to_owned();
    low_pass(slow.view_mut(), options.sigma_bins);
    sino -= &slow;
    sort_in(ID, slow.view_mut(), options.kernel_px, LeftEdge::Column0)?;
    Zip::from(&mut sino).and(&slow).for_each(|fast, slow| *fast += slow);
    Ok(())
}

/// Smooths each column over the views.
fn low_pass(mut sino: ArrayViewMut2<f32>, sigma: f64) {
    let (views, cols) = sino.dim();
    let pad = pad(views);
    let len = views + 2 * pad;
    let mut planner = FftPlanner::<f64>::new();
    let (there, back) = (planner.plan_fft_forward(len), planner.plan_fft_inverse(len));
    let mut scratch = vec![Complex::default(); there.get_inplace_scratch_len().max(back.get_inplace_scratch_len())];
    // The published program turns every second sign so that slow changes come to the middle of the spectrum, and keeps the
    // real part of the result, which is the mean of the window and its mirror image. That window suits two real columns
    // at a time.
    let gauss = |k: usize| (-(k as f64 - (len as f64 - 1.0) / 2.0).powi(2) / (2.0 * sigma * sigma)).exp();
    let window: Vec<f64> = (0..len).map(|k| (gauss(k) + gauss((len - k) % len)) / (2 * len) as f64).collect();
    let sign = |i: usize| if i.is_multiple_of(2) { 1.0 } else { -1.0 };
    let place = |i: usize| {
        let at = (i as isize - pad as isize).unsigned_abs();
        if at < views { at } else { 2 * (views - 1) - at }
    };
    let mut buffer = vec![Complex::default(); len];
    for first in (0..cols).step_by(2) {
        let second = (first + 1).min(cols - 1);
        for (i, value) in buffer.iter_mut().enumerate() {
            let view = place(i);
            *value = sign(i) * Complex::new(f64::from(sino[[view, first]]), f64::from(sino[[view, second]]));
        }
        there.process_with_scratch(&mut buffer, &mut scratch);
        buffer.iter_mut().zip(&window).for_each(|(value, w)| *value *= w);
        back.process_with_scratch(&mut buffer, &mut scratch);
        for (view, mut row) in sino.slice_mut(s![.., first..=second]).rows_mut().into_iter().enumerate() {
            let value = sign(view + pad) * buffer[view + pad];
            row[0] = value.re as f32;
            if second > first {
                row[1] = value.im as f32;
            }
        }
    }
}
