//! Stripe removal by regularization: Titarenko, Withers, Yagola, "An analytical formula for ring artefact suppression in
//! X-ray tomography", Applied Mathematics Letters 23 (2010), doi:10.1016/j.aml.2010.08.022.

use super::check::{check_above, refuse_not_finite};
use crate::error::{Error, Result};
use ndarray::{ArrayViewMut2, Axis, s};

const ID: &str = "ring.regularize";

/// Options of [`regularize`].
#[derive(Clone, Debug, PartialEq)]
pub struct RegularizeOptions {
    /// Weight of the size of the correction against the smoothness of the result; smaller corrects more.
    pub alpha: f64,
    /// Blocks of views that are corrected by themselves; 1 removes what goes through all views only.
    pub chunks: usize,
}

impl Default for RegularizeOptions {
    fn default() -> Self {
        RegularizeOptions { alpha: 0.0005, chunks: 1 }
    }
}

pub(super) fn scratch_bytes(cols: usize) -> u64 {
    8 * 5 * cols as u64
}

/// Subtracts from each column of a sinogram `[view, col]` of absorbance a number that makes the mean over the views smoother:
/// the one with the least sum of squared differences between neighbouring columns plus `alpha` times the squared numbers.
/// The solution is the analytical one, in the form of the published program, which leaves column 0 out as a neighbour of
/// others.
///
/// Errors: NaN or infinity, `alpha` not above 0, `chunks` 0 or more than there are views.
pub fn regularize(mut sino: ArrayViewMut2<f32>, options: &RegularizeOptions) -> Result<()> {
    let (views, cols) = sino.dim();
    refuse_not_finite(ID, &sino.view())?;
    check_above(ID, "alpha", options.alpha, 0.0)?;
    if sino.is_empty() {
        return Ok(());
    }
    if !(1..=views).contains(&options.chunks) {
        let error = Error::invalid(ID, format!("chunks must be from 1 to the number of views, {views}"));
        return Err(error.with("chunks", options.chunks));
    }
    // The first of them have a view more where it does not work out.
    let (short, longer) = (views / options.chunks, views % options.chunks);
    let mut first = 0;
    for chunk in 0..options.chunks {
        let end = first + short + usize::from(chunk < longer);
        let mut block = sino.slice_mut(s![first..end, ..]);
        let mut mean = vec![0.0; cols];
        for row in block.outer_iter() {
            mean.iter_mut().zip(row).for_each(|(m, v)| *m += f64::from(*v));
        }
        mean.iter_mut().for_each(|m| *m /= (end - first) as f64);
        for (mut column, by) in block.axis_iter_mut(Axis(1)).zip(correction(&mean, options.alpha)) {
            column.mapv_inplace(|v| (f64::from(v) + by) as f32);
        }
        first = end;
    }
    Ok(())
}

/// What is to be added to each column: the sum over columns j from 1 on of g(i, j) (p(j) - p(i)), where
/// g = α cosh((m - ½) τ) cosh((N - ½ - M) τ) / (sinh τ sinh N τ), m and M the smaller and the larger of i and j, and
/// sinh(τ/2) = √α / 2. Each cosh is written as a growing and a falling exponential, the growing ones together never exceed
/// the denominator, and so the sum takes one step from column to column.
fn correction(mean: &[f64], alpha: f64) -> Vec<f64> {
    let cols = mean.len();
    let tau = 2.0 * (alpha.sqrt() / 2.0).asinh();
    let scale = alpha / (2.0 * tau.sinh() * (1.0 - (-2.0 * cols as f64 * tau).exp()));
    let from_left = |i: usize| 1.0 + (-(2.0 * i as f64 - 1.0) * tau).exp();
    let from_right = |i: usize| 1.0 + (-(2.0 * (cols - i) as f64 - 1.0) * tau).exp();
    let decay = (-tau).exp();
    let mut out = vec![0.0; cols];
    // Neighbours on one side: sums of weights and of weighted values, brought one column further at each step.
    let (mut weight, mut value) = (0.0, 0.0);
    for i in 0..cols {
        out[i] += scale * decay * from_right(i) * (value - weight * mean[i]);
        if i > 0 {
            (weight, value) = (weight + from_left(i), value + from_left(i) * mean[i]);
        }
        (weight, value) = (weight * decay, value * decay);
    }
    (weight, value) = (0.0, 0.0);
    for i in (0..cols).rev() {
        out[i] += scale * decay * from_left(i) * (value - weight * mean[i]);
        (weight, value) = (weight + from_right(i), value + from_right(i) * mean[i]);
        (weight, value) = (weight * decay, value * decay);
    }
    out
}
