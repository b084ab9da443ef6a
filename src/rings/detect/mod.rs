//! Finds striped columns first and corrects only those: our own method, described in `docs/theory/rings.md`.
//!
//! Every filter that treats all columns alike also changes those without a stripe. Here a column is touched only if it
//! stands out from what is usual around it. Dead and fluctuating columns are replaced; from others the offset is
//! subtracted, so that what the column has measured of the sample stays.

mod blocks;
mod dead;
mod full;
mod part;
mod profile;

use super::check::refuse_not_finite;
use crate::error::{Error, Result};
use blocks::Blocks;
use ndarray::{ArrayViewMut2, s};
use std::ops::Range;

pub(super) use dead::fill;

/// What [`detect`] looks for.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectOptions {
    /// A stripe must be so many times as high as the scatter of its neighbours, 1 or more.
    pub snr: f64,
    /// Widest stripe, px; 0 looks for dead and fluctuating columns only.
    pub widest_px: usize,
    /// Look for stripes that go through a part of the views, an eighth or more.
    pub partial: bool,
    /// Look for dead and fluctuating columns, and for such as still differ in some views after all corrections.
    pub dead: bool,
}

impl Default for DetectOptions {
    fn default() -> Self {
        DetectOptions { snr: 4.5, widest_px: 20, partial: true, dead: true }
    }
}

/// What [`detect`] found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Detected {
    /// Dead, fluctuating and unsteady columns, replaced by their neighbours; ascending.
    pub replaced: Vec<usize>,
    /// Columns with a constant offset, and the offset that was subtracted; ascending.
    pub offset: Vec<(usize, f64)>,
    /// Columns and views from which an offset was subtracted.
    pub partial: Vec<(Range<usize>, Range<usize>, f64)>,
}

/// Fewest columns and views with which anything can be found.
const FEWEST: usize = 16;

/// Working memory of [`detect`], bytes.
pub(super) fn scratch_bytes(views: usize, cols: usize) -> u64 {
    if views < FEWEST || cols < FEWEST {
        return 0;
    }
    // Means over blocks and the heights of runs in them; a few lines of one number for each column.
    (3 * Blocks::bytes(views, cols) + 60 * size_of::<f64>() * cols) as u64
}

/// Finds stripes in a sinogram `[view, col]` of absorbance, any unit, and removes them in place. The other columns keep every
/// bit. The three outermost columns on either side are only examined for being dead or fluctuating; a sinogram with fewer
/// than 16 views or columns stays as it is.
///
/// Errors: NaN or infinity anywhere, `snr` below 1 or not finite.
pub fn detect(mut sino: ArrayViewMut2<f32>, options: &DetectOptions) -> Result<Detected> {
    let (views, cols) = sino.dim();
    refuse_not_finite("ring.detect", &sino.view())?;
    if !(options.snr.is_finite() && options.snr >= 1.0) {
        return Err(Error::invalid("ring.detect", "snr must be 1 or more").with("snr", options.snr));
    }
    let mut found = Detected::default();
    if views < FEWEST || cols < FEWEST {
        return Ok(found);
    }
    let mut blocks = Blocks::new(sino.view());
    if options.dead {
        found.replaced = dead::find(sino.view(), &blocks);
        if !found.replaced.is_empty() {
            fill(sino.view_mut(), &found.replaced);
            blocks = Blocks::new(sino.view());
        }
    }
    if options.widest_px == 0 {
        return Ok(found);
    }
    let mut offsets = full::offsets(&blocks, options.snr, options.widest_px);
    let all = 0..blocks.count();
    blocks.subtract([(all.clone(), 0, offsets.as_slice())]);
    if options.partial {
        let mut parts = part::find(&mut blocks, options.snr);
        // Stripes that the parts had hidden.
        let more = full::offsets(&blocks, options.snr, options.widest_px);
        offsets.iter_mut().zip(&more).for_each(|(offset, more)| *offset += more);
        parts.iter_mut().for_each(|part| part.sharpen(sino.view(), &blocks));
        for part in parts {
            let cols = part.first..part.first + part.width;
            sino.slice_mut(s![part.views.clone(), cols.clone()]).mapv_inplace(|v| v - part.height as f32);
            found.partial.push((cols, part.views, part.height));
        }
    }
    found.offset = offsets.into_iter().enumerate().filter(|(_, offset)| *offset != 0.0).collect();
    for (col, offset) in &found.offset {
        sino.column_mut(*col).mapv_inplace(|v| v - *offset as f32);
    }
    if options.dead {
        blocks = Blocks::new(sino.view());
        let unsteady = dead::unsteady(&blocks);
        fill(sino.view_mut(), &unsteady);
        found.offset.retain(|(col, _)| !unsteady.contains(col));
        found.partial.retain(|(cols, _, _)| !cols.clone().all(|col| unsteady.contains(&col)));
        found.replaced.extend(unsteady);
        found.replaced.sort_unstable();
        found.replaced.dedup();
    }
    Ok(found)
}
