//! Stripe removal by sorting: Vo, Atwood, Drakopoulos, "Superior techniques for eliminating ring artifacts in X-ray
//! micro-tomography", Optics Express 26 (2018), algorithm 3, doi:10.1364/OE.26.028396.
//!
//! A detector column that answers wrongly has a wrong *distribution* of values over the views. Sorting each column by
//! value makes columns comparable rank by rank; a median across neighbouring columns then repairs the odd one out, and
//! sorting back puts the repaired values where they came from. `docs/theory/rings.md` says more.

use crate::error::{Error, Result};
use ndarray::{ArrayViewMut2, Axis};
use rayon::prelude::*;

/// Columns that one task handles: a cache line of f32, so that the row-major sinogram is read and written in lines.
const BLOCK: usize = 16;
/// Ranks whose medians are found side by side, in the SIMD lanes.
const LANES: usize = 64;

/// The window that is really used: 0 and 1 stay (no filtering), other even sizes grow by one.
pub fn odd_kernel(kernel_px: usize) -> usize {
    if kernel_px > 1 && kernel_px.is_multiple_of(2) { kernel_px + 1 } else { kernel_px }
}

/// Working memory of [`sort`] for one sinogram, bytes.
pub fn sort_scratch_bytes(views: usize, cols: usize, kernel_px: usize, threads: usize) -> u64 {
    let kernel = odd_kernel(kernel_px);
    if kernel <= 1 {
        return 0;
    }
    let per_thread = 4 * (views * BLOCK + LANES * kernel);
    (8 * views * cols + threads * per_thread) as u64
}

/// Removes stripes from one sinogram `[view, col]` in place. Any unit; the set of ranks of each column is kept.
///
/// `kernel_px`: width of the median across columns. 0 and 1 change nothing, even sizes grow by one (see
/// [`odd_kernel`]). At the left edge the mirror does not repeat the edge column, at the right edge it does: the rule of
/// existing SPring-8 volumes, kept so that results agree. Equal values keep the order of their views; a negative zero
/// becomes zero. Columns are spread over the threads of the current rayon pool; the result does not depend on them.
///
/// Errors: NaN anywhere (even if nothing would be filtered), and a window that reaches beyond the mirrored sinogram,
/// that is `kernel_px > 2 cols - 1`.
pub fn sort(mut sino: ArrayViewMut2<f32>, kernel_px: usize) -> Result<()> {
    let (views, cols) = sino.dim();
    refuse_nan(&sino)?;
    let kernel = odd_kernel(kernel_px);
    if kernel <= 1 || views == 0 || cols == 0 {
        return Ok(());
    }
    if kernel > 2 * cols - 1 {
        let accepted =
            format!("the median window must be at most {} px for a detector of {cols} columns", 2 * cols - 1);
        return Err(Error::invalid("ring.sort", accepted).with("kernel_px", kernel_px));
    }
    // The rank and the view of a value share one integer key.
    if views > u32::MAX as usize {
        return Err(Error::limit("ring.sort", "at most 4294967295 views").with("views", views));
    }

    // Column-major: all ranks of one column side by side.
    let mut sorted = vec![0.0f32; views * cols];
    let mut rows = vec![0u32; views * cols];
    sorted.par_chunks_mut(views * BLOCK).zip(rows.par_chunks_mut(views * BLOCK)).enumerate().for_each_init(
        || vec![0u64; views],
        |keys, (block, (sorted, rows))| {
            for (j, (values, rows)) in sorted.chunks_mut(views).zip(rows.chunks_mut(views)).enumerate() {
                for (row, (key, value)) in keys.iter_mut().zip(sino.column(block * BLOCK + j)).enumerate() {
                    *key = u64::from(ordered(*value)) << 32 | row as u64;
                }
                // No two keys are equal, so this is the stable order by value.
                keys.sort_unstable();
                for ((value, row), key) in values.iter_mut().zip(rows).zip(&*keys) {
                    *value = unordered((*key >> 32) as u32);
                    *row = *key as u32;
                }
            }
        },
    );

    let blocks: Vec<_> = sino.axis_chunks_iter_mut(Axis(1), BLOCK).enumerate().collect();
    blocks.into_par_iter().for_each_init(
        || (vec![[0.0f32; LANES]; kernel], vec![0.0f32; views * BLOCK]),
        |(window, tile), (block, mut out)| {
            for j in 0..out.ncols() {
                let col = block * BLOCK + j;
                for first in (0..views).step_by(LANES) {
                    let count = LANES.min(views - first);
                    for (offset, lanes) in window.iter_mut().enumerate() {
                        let from = mirror(col as isize + offset as isize - (kernel / 2) as isize, cols) * views + first;
                        lanes[..count].copy_from_slice(&sorted[from..from + count]);
                    }
                    let median = medians(window);
                    let rows = &rows[col * views + first..][..count];
                    for (row, value) in rows.iter().zip(median) {
                        tile[*row as usize * BLOCK + j] = *value;
                    }
                }
            }
            for (mut out, tile) in out.rows_mut().into_iter().zip(tile.chunks(BLOCK)) {
                out.iter_mut().zip(tile).for_each(|(o, t)| *o = *t);
            }
        },
    );
    Ok(())
}

fn refuse_nan(sino: &ArrayViewMut2<f32>) -> Result<()> {
    for (view, row) in sino.rows().into_iter().enumerate() {
        if let Some(col) = row.iter().position(|v| v.is_nan()) {
            let message = "NaN cannot be sorted; repair or replace such pixels first";
            return Err(Error::invalid("ring.sort", message).with("view", view).with("column", col));
        }
    }
    Ok(())
}

/// Column behind position `p`; callers keep `-cols < p <= 2 cols - 1`.
fn mirror(p: isize, cols: usize) -> usize {
    match usize::try_from(p) {
        Err(_) => p.unsigned_abs(),
        Ok(p) if p >= cols => 2 * cols - 1 - p,
        Ok(p) => p,
    }
}

/// Median of each lane: sinks the smallest of what is left to the front until the middle one is in place.
fn medians(window: &mut [[f32; LANES]]) -> &[f32; LANES] {
    let half = window.len() / 2;
    for i in 0..=half {
        let (front, rest) = window.split_at_mut(i + 1);
        let least = &mut front[i];
        for other in rest {
            for (a, b) in least.iter_mut().zip(other) {
                let (low, high) = if *b < *a { (*b, *a) } else { (*a, *b) };
                (*a, *b) = (low, high);
            }
        }
    }
    &window[half]
}

/// Unsigned integers in the order of the floats; both zeros are one.
fn ordered(value: f32) -> u32 {
    let bits = (value + 0.0).to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

fn unordered(bits: u32) -> f32 {
    f32::from_bits(if bits >> 31 == 1 { bits & !(1 << 31) } else { !bits })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_the_order_of_floats() {
        let values = [f32::NEG_INFINITY, -3.5, -f32::MIN_POSITIVE, 0.0, 1e-40, 2.0, f32::INFINITY];
        for pair in values.windows(2) {
            assert!(ordered(pair[0]) < ordered(pair[1]));
        }
        assert!(values.iter().all(|v| unordered(ordered(*v)) == *v));
        assert_eq!(ordered(-0.0), ordered(0.0));
    }

    #[test]
    fn mirror_repeats_the_edge_on_the_right_only() {
        let seen: Vec<usize> = (-3..7).map(|p| mirror(p, 4)).collect();
        assert_eq!(seen, [3, 2, 1, 0, 1, 2, 3, 3, 2, 1]);
    }
}
