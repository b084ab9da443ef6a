//! Stripe removal by sorting: Vo, Atwood, Drakopoulos, "Superior techniques for eliminating ring artifacts in X-ray
//! micro-tomography", Optics Express 26 (2018), algorithm 3, doi:10.1364/OE.26.028396.
//!
//! A detector column that answers wrongly has a wrong *distribution* of values over the views. Sorting each column by
//! value makes columns comparable rank by rank; a median across neighbouring columns then repairs the odd one out, and
//! sorting back puts the repaired values where they came from. `docs/theory/rings.md` says more.

use super::check::{check_window, refuse_nan};
use super::ranks::{BLOCK, LeftEdge, Walk, write};
use crate::error::Result;
use ndarray::{ArrayViewMut2, s};

const ID: &str = "ring.sort";

/// The window that is really used: 0 and 1 stay (no filtering), other even sizes grow by one.
pub fn odd_kernel(kernel_px: usize) -> usize {
    if kernel_px > 1 && kernel_px.is_multiple_of(2) { kernel_px + 1 } else { kernel_px }
}

/// Working memory of [`sort`], bytes.
pub fn sort_scratch_bytes(views: usize, cols: usize, kernel_px: usize) -> u64 {
    let kernel = odd_kernel(kernel_px);
    if kernel <= 1 {
        return 0;
    }
    (Walk::bytes(views, cols, kernel) + size_of::<f32>() * views * BLOCK) as u64
}

/// Removes stripes from one sinogram `[view, col]` in place. Any unit; the set of ranks of each column is kept.
///
/// `kernel_px`: width of the median across columns. 0 and 1 change nothing, even sizes grow by one (see
/// [`odd_kernel`]). At the left edge the mirror does not repeat the edge column, at the right edge it does: the rule of
/// existing SPring-8 volumes, kept so that results agree. Equal values keep the order of their views; a negative zero
/// becomes zero.
///
/// Errors: NaN anywhere (even if nothing would be filtered), and a window that reaches beyond the mirrored sinogram,
/// that is `kernel_px > 2 cols - 1`.
pub fn sort(sino: ArrayViewMut2<f32>, kernel_px: usize) -> Result<()> {
    sort_in(ID, sino, kernel_px, LeftEdge::Column1)
}

/// [`sort`] in the name of a stage, with another edge.
pub(super) fn sort_in(stage: &str, mut sino: ArrayViewMut2<f32>, kernel_px: usize, edge: LeftEdge) -> Result<()> {
    let (views, cols) = sino.dim();
    refuse_nan(stage, &sino.view())?;
    let kernel = odd_kernel(kernel_px);
    if kernel <= 1 || views == 0 || cols == 0 {
        return Ok(());
    }
    check_window(stage, "kernel_px", kernel_px, views, cols)?;
    let mut walk = Walk::new(views, cols, kernel, edge);
    let mut repaired = vec![0.0; views * BLOCK];
    for first in (0..cols).step_by(BLOCK) {
        let block = first..cols.min(first + BLOCK);
        walk.read(&sino.view(), block.end);
        for (col, column) in block.clone().zip(repaired.chunks_mut(views)) {
            let ranks = walk.at(col);
            for (view, median) in ranks.from.iter().zip(ranks.medians) {
                column[*view as usize] = *median;
            }
        }
        write(&repaired, sino.slice_mut(s![.., block]));
    }
    Ok(())
}
