//! What sinograms and windows the methods refuse. Must not know methods.

use super::sort::odd_kernel;
use crate::error::{Error, Result};
use ndarray::ArrayView2;

pub(super) fn refuse_nan(stage: &str, sino: &ArrayView2<f32>) -> Result<()> {
    refuse(stage, sino, f32::is_nan, "NaN cannot be sorted; repair or replace such pixels first")
}

/// NaN and infinities, for methods that add values up.
pub(super) fn refuse_not_finite(stage: &str, sino: &ArrayView2<f32>) -> Result<()> {
    refuse(stage, sino, |v| !v.is_finite(), "expected finite values; repair or replace such pixels first")
}

fn refuse(stage: &str, sino: &ArrayView2<f32>, is_bad: impl Fn(f32) -> bool, message: &str) -> Result<()> {
    for (view, row) in sino.rows().into_iter().enumerate() {
        // Without a way out in the middle this is vector code.
        if row.fold(false, |any, v| any | is_bad(*v))
            && let Some(col) = row.iter().position(|v| is_bad(*v))
        {
            return Err(Error::invalid(stage, message).with("view", view).with("column", col));
        }
    }
    Ok(())
}

/// Refuses a window that reaches beyond the mirrored sinogram, and more views than can be numbered.
pub(super) fn check_window(stage: &str, name: &'static str, kernel_px: usize, views: usize, cols: usize) -> Result<()> {
    let widest = (2 * cols).saturating_sub(1);
    if odd_kernel(kernel_px) > widest {
        let accepted = format!("the median window must be at most {widest} px for a detector of {cols} columns");
        return Err(Error::invalid(stage, accepted).with(name, kernel_px));
    }
    // The rank and the view of a value share one integer key.
    if views > u32::MAX as usize {
        return Err(Error::limit(stage, "at most 4294967295 views").with("views", views));
    }
    Ok(())
}

/// Refuses a number that is not greater than `low`, or not finite.
pub(super) fn check_above(stage: &str, name: &'static str, value: f64, low: f64) -> Result<()> {
    if value.is_finite() && value > low {
        return Ok(());
    }
    Err(Error::invalid(stage, format!("{name} must be a number greater than {low}")).with(name, value))
}

/// Place in an array of `len` that is mirrored again and again, the ends repeated: -1 is 0, `len` is `len - 1`.
pub(super) fn mirrored(at: isize, len: usize) -> usize {
    let period = 2 * len as isize;
    let at = at.rem_euclid(period) as usize;
    if at < len { at } else { 2 * len - 1 - at }
}
