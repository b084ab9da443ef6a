//! Removal of unresponsive and fluctuating stripes: Vo, Atwood, Drakopoulos, "Superior techniques for eliminating ring
//! artifacts in X-ray micro-tomography", Optics Express 26 (2018), algorithm 6, doi:10.1364/OE.26.028396.

use super::check::{check_above, check_window, mirrored, refuse_not_finite};
use super::detect::fill;
use super::large::{self, LargeOptions, large_in};
use super::outlier::{mask, running_median};
use super::sort::odd_kernel;
use crate::error::{Error, Result};
use ndarray::{ArrayView2, ArrayViewMut2};

const ID: &str = "ring.dead";

/// Options of [`dead`].
#[derive(Clone, Debug, PartialEq)]
pub struct DeadOptions {
    /// How much a column must stand out to be called dead; greater finds fewer.
    pub snr: f64,
    /// Width of the median across columns, px; wider than the widest stripe. Even sizes grow by one.
    pub kernel_px: usize,
    /// Views over which a column is smoothed to see how much it changes.
    pub smooth_views: usize,
    /// Remove large stripes afterwards, which interpolation may leave; as [`large()`](super::large()) with these numbers.
    pub residual: bool,
}

impl Default for DeadOptions {
    fn default() -> Self {
        DeadOptions { snr: 3.0, kernel_px: 51, smooth_views: 10, residual: true }
    }
}

pub(super) fn scratch_bytes(views: usize, cols: usize, options: &DeadOptions) -> u64 {
    let own = (60 * cols + 8 * options.kernel_px) as u64;
    if options.residual { own.max(large::scratch_bytes(views, cols, options.kernel_px)) } else { own }
}

/// Removes dead and fluctuating columns from one sinogram `[view, col]` in place: a column that changes over the views much
/// less or more than its neighbours is replaced, with a column on either side, by a straight line between the nearest
/// others. The two outermost columns on either side stay.
///
/// Errors: NaN or infinity, `snr` not above 0, `smooth_views` 0, a window wider than the mirrored sinogram.
pub fn dead(sino: ArrayViewMut2<f32>, options: &DeadOptions) -> Result<()> {
    dead_in(ID, sino, options)
}

/// [`dead`] in the name of a stage.
pub(super) fn dead_in(stage: &str, mut sino: ArrayViewMut2<f32>, options: &DeadOptions) -> Result<()> {
    let (views, cols) = sino.dim();
    refuse_not_finite(stage, &sino.view())?;
    check_above(stage, "snr", options.snr, 0.0)?;
    if options.smooth_views == 0 {
        return Err(Error::invalid(stage, "smooth_views must be 1 or more"));
    }
    if views == 0 || cols == 0 {
        return Ok(());
    }
    check_window(stage, "kernel_px", options.kernel_px, views, cols)?;
    let changes = changes(sino.view(), options.smooth_views);
    let usual = running_median(&changes, odd_kernel(options.kernel_px).max(1));
    let factors: Vec<f64> = changes.iter().zip(&usual).map(|(a, b)| if *b == 0.0 { 1.0 } else { a / b }).collect();
    let inside = 2..cols.saturating_sub(2);
    let bad = mask(&factors, options.snr).into_iter().enumerate();
    let bad: Vec<usize> = bad.filter(|(col, bad)| *bad && inside.contains(col)).map(|(col, _)| col).collect();
    fill(sino.view_mut(), &bad);
    if options.residual {
        let large = LargeOptions { snr: options.snr, kernel_px: options.kernel_px, ..LargeOptions::default() };
        large_in(stage, sino, &large)?;
    }
    Ok(())
}

/// For each column the sum of its distances from its own mean over `window` views, which is mirrored at the first and the
/// last view.
fn changes(sino: ArrayView2<f32>, window: usize) -> Vec<f64> {
    let (views, cols) = sino.dim();
    let first = -((window / 2) as isize);
    let row = |view: isize| sino.row(mirrored(view, views));
    let mut sums = vec![0.0; cols];
    for offset in first..first + window as isize {
        sums.iter_mut().zip(row(offset)).for_each(|(sum, v)| *sum += f64::from(*v));
    }
    let mut changes = vec![0.0; cols];
    for view in 0..views as isize {
        for (change, (sum, v)) in changes.iter_mut().zip(sums.iter().zip(row(view))) {
            *change += (f64::from(*v) - sum / window as f64).abs();
        }
        for (sum, (new, old)) in sums.iter_mut().zip(row(view + first + window as isize).iter().zip(row(view + first)))
        {
            *sum += f64::from(*new) - f64::from(*old);
        }
    }
    changes
}
