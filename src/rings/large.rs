//! Removal of large stripes: Vo, Atwood, Drakopoulos, "Superior techniques for eliminating ring artifacts in X-ray
//! micro-tomography", Optics Express 26 (2018), algorithm 5, doi:10.1364/OE.26.028396.

use super::check::{check_above, check_window, refuse_not_finite};
use super::outlier::{mask, ratio};
use super::ranks::{LeftEdge, Walk};
use super::sort::odd_kernel;
use crate::error::{Error, Result};
use ndarray::{ArrayViewMut2, Axis};

const ID: &str = "ring.large";

/// Options of [`large`].
#[derive(Clone, Debug, PartialEq)]
pub struct LargeOptions {
    /// How much a column must stand out to be called striped; greater finds fewer.
    pub snr: f64,
    /// Width of the median across columns, px; wider than the widest stripe. Even sizes grow by one.
    pub kernel_px: usize,
    /// Part of the highest and lowest values of each column, both together, that does not count when columns are compared,
    /// 0 to 0.8.
    pub drop_ratio: f64,
    /// First scale each column to what its neighbours let expect.
    pub normalise: bool,
}

impl Default for LargeOptions {
    fn default() -> Self {
        LargeOptions { snr: 3.0, kernel_px: 51, drop_ratio: 0.1, normalise: true }
    }
}

pub(super) fn scratch_bytes(views: usize, cols: usize, kernel_px: usize) -> u64 {
    let kernel = odd_kernel(kernel_px).max(1);
    (Walk::bytes(views, cols, kernel) + 4 * views * cols + 60 * cols) as u64
}

/// Removes large stripes from one sinogram `[view, col]` in place: sorts the values of each column, takes the median of
/// each rank over `kernel_px` columns, and gives those columns whose mean stands out, and their neighbours, the medians
/// instead of their values. Any unit, but absorbance that is not mostly positive has no meaningful ratios.
///
/// At both edges the mirror repeats the edge column. A column whose mean, or the mean of its medians, is not positive is not
/// scaled.
///
/// Errors: NaN or infinity, `snr` not above 0, `drop_ratio` outside 0 to 0.8, a window wider than the mirrored sinogram.
pub fn large(sino: ArrayViewMut2<f32>, options: &LargeOptions) -> Result<()> {
    large_in(ID, sino, options)
}

/// [`large`] in the name of a stage.
pub(super) fn large_in(stage: &str, mut sino: ArrayViewMut2<f32>, options: &LargeOptions) -> Result<()> {
    let (views, cols) = sino.dim();
    refuse_not_finite(stage, &sino.view())?;
    check_above(stage, "snr", options.snr, 0.0)?;
    if !(0.0..=0.8).contains(&options.drop_ratio) {
        let error = Error::invalid(stage, "drop_ratio must be from 0 to 0.8");
        return Err(error.with("drop_ratio", options.drop_ratio));
    }
    if views == 0 || cols == 0 {
        return Ok(());
    }
    check_window(stage, "kernel_px", options.kernel_px, views, cols)?;
    let mut walk = Walk::new(views, cols, odd_kernel(options.kernel_px).max(1), LeftEdge::Column0);
    let dropped = (0.5 * options.drop_ratio * views as f64) as usize;
    let mean = |column: &[f32]| column[dropped..views - dropped].iter().map(|v| f64::from(*v)).sum::<f64>();
    let mut factors = Vec::with_capacity(cols);
    // One column after the other, each in the order of its views.
    let mut repaired = vec![0.0f32; views * cols];
    for (col, repaired) in repaired.chunks_exact_mut(views).enumerate() {
        walk.read(&sino.view(), col + 1);
        let ranks = walk.at(col);
        factors.push(ratio(mean(ranks.sorted), mean(ranks.medians)));
        for (view, median) in ranks.from.iter().zip(ranks.medians) {
            repaired[*view as usize] = *median;
        }
    }
    let striped = mask(&factors, options.snr);
    for (col, mut column) in sino.axis_iter_mut(Axis(1)).enumerate() {
        if striped[col] {
            column.iter_mut().zip(&repaired[col * views..]).for_each(|(v, r)| *v = *r);
        } else if options.normalise && factors[col] != 1.0 {
            column.mapv_inplace(|v| (f64::from(v) / factors[col]) as f32);
        }
    }
    Ok(())
}
