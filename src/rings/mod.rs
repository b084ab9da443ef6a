//! Ring (stripe) removal on sinograms, as functions on arrays.

use crate::error::{Error, Result};
use ndarray::ArrayViewMut2;

/// Stub contract: removes rings from one sinogram `[view, col]` in place by sorting.
pub fn sort(sino: ArrayViewMut2<f32>, kernel_px: usize) -> Result<()> {
    let _ = (sino, kernel_px);
    Err(Error::internal("ring.sort", "stub"))
}
