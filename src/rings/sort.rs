//! Stripe removal by sorting: Vo, Atwood, Drakopoulos, "Superior techniques for eliminating ring artifacts in X-ray
//! micro-tomography", Optics Express 26 (2018), algorithm 3, doi:10.1364/OE.26.028396.
//!
//! A detector column that answers wrongly has a wrong *distribution* of values over the views. Sorting each column by
//! value makes columns comparable rank by rank; a median across neighbouring columns then repairs the odd one out, and
//! sorting back puts the repaired values where they came from. `docs/theory/rings.md` says more.

use super::median;
use super::radix::Sorter;
use crate::error::{Error, Result};
use ndarray::{ArrayViewMut2, ArrayViewMut3, Axis, s};
use rayon::prelude::*;
use std::ops::Range;

/// Columns that are read and written at a time: a cache line of f32 in each view.
const BLOCK: usize = 16;

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
    let window = if kernel > median::MOST_COLUMNS { kernel } else { 0 };
    let per_view = 8 * Strip::columns(cols, kernel) + 4 * (BLOCK + window + 1);
    (views * per_view + Sorter::bytes(views)) as u64
}

/// Removes stripes from one sinogram `[view, col]` in place. Any unit; the set of ranks of each column is kept.
///
/// `kernel_px`: width of the median across columns. 0 and 1 change nothing, even sizes grow by one (see
/// [`odd_kernel`]). At the left edge the mirror does not repeat the edge column, at the right edge it does: the rule of
/// existing SPring-8 volumes, kept so that results agree. Equal values keep the order of their views; a negative zero
/// becomes zero. Works on the calling thread; [`sort_rows`] gives each thread a sinogram of its own.
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
    let half = kernel / 2;
    let mut strip = Strip::new(views, cols, kernel);
    let mut medians = Medians::new(views, kernel);
    let mut repaired = vec![0.0; views * BLOCK];
    let mut read = 0;
    for first in (0..cols).step_by(BLOCK) {
        let block = first..cols.min(first + BLOCK);
        while read < cols.min(block.end + half) {
            let next = read..cols.min(read + BLOCK).min(block.end + half);
            strip.read(&sino, next.clone());
            read = next.end;
        }
        for (col, column) in block.clone().zip(repaired.chunks_mut(views)) {
            let medians = medians.at(col, &strip);
            for (view, median) in strip.views_of(col).iter().zip(medians) {
                column[*view as usize] = *median;
            }
        }
        write(&repaired, sino.slice_mut(s![.., block]));
    }
    Ok(())
}

/// [`sort`] on each sinogram of `[row, view, col]`, rows in parallel on `pool`.
///
/// `detector_row` is the number of a row for messages. `tick` is called on the calling thread with the finished part (0
/// to 1) after as many rows as there are threads; its error stops the work. The result does not depend on the threads.
pub fn sort_rows(
    pool: &rayon::ThreadPool,
    mut sinograms: ArrayViewMut3<f32>,
    kernel_px: usize,
    detector_row: impl Fn(usize) -> usize,
    tick: &mut dyn FnMut(f64) -> Result<()>,
) -> Result<()> {
    let mut rows: Vec<_> = sinograms.outer_iter_mut().collect();
    let (all, mut done) = (rows.len(), 0);
    for group in rows.chunks_mut(pool.current_num_threads()) {
        let repair = |sino: &mut ArrayViewMut2<f32>| sort(sino.view_mut(), kernel_px);
        let results: Vec<_> = pool.install(|| group.par_iter_mut().map(repair).collect());
        for result in results {
            result.map_err(|e| e.with("row", detector_row(done)))?;
            done += 1;
        }
        tick(done as f64 / all as f64)?;
    }
    Ok(())
}

fn refuse_nan(sino: &ArrayViewMut2<f32>) -> Result<()> {
    for (view, row) in sino.rows().into_iter().enumerate() {
        // Without a way out in the middle this is vector code.
        if row.fold(false, |any, v| any | v.is_nan())
            && let Some(col) = row.iter().position(|v| v.is_nan())
        {
            let message = "NaN cannot be sorted; repair or replace such pixels first";
            return Err(Error::invalid("ring.sort", message).with("view", view).with("column", col));
        }
    }
    Ok(())
}

/// The sorted columns around those that are being repaired.
struct Strip {
    cols: usize,
    views: usize,
    /// Sorted columns; column `c` has place `c % places`.
    sorted: Vec<f32>,
    /// The view from which each value came.
    from: Vec<u32>,
    sorter: Sorter,
}

impl Strip {
    /// A block and half a window on either side, and the column that the window has just left.
    fn columns(cols: usize, kernel: usize) -> usize {
        cols.min(BLOCK + kernel)
    }

    fn new(views: usize, cols: usize, kernel: usize) -> Self {
        let len = views * Self::columns(cols, kernel);
        Strip { cols, views, sorted: vec![0.0; len], from: vec![0; len], sorter: Sorter::new(views) }
    }

    fn place(&self, col: usize) -> Range<usize> {
        let first = col * self.views % self.sorted.len();
        first..first + self.views
    }

    /// Sorts `cols`, at most a block of columns.
    fn read(&mut self, sino: &ArrayViewMut2<f32>, cols: Range<usize>) {
        for (part, views) in sino.slice(s![.., cols.clone()]).axis_chunks_iter(Axis(0), BLOCK).enumerate() {
            let mut tile = [[0.0; BLOCK]; BLOCK];
            for (line, row) in tile.iter_mut().zip(views.rows()) {
                line.iter_mut().zip(row).for_each(|(t, v)| *t = *v);
            }
            for (j, col) in cols.clone().enumerate() {
                let first = self.place(col).start + part * BLOCK;
                let column = &mut self.sorted[first..first + views.nrows()];
                column.iter_mut().zip(&tile).for_each(|(v, line)| *v = line[j]);
            }
        }
        for col in cols {
            let place = self.place(col);
            self.sorter.sort(&mut self.sorted[place.clone()], &mut self.from[place]);
        }
    }

    /// The sorted column at position `p`, which may lie in the mirror.
    fn column(&self, p: isize) -> &[f32] {
        &self.sorted[self.place(mirror(p, self.cols))]
    }

    fn views_of(&self, col: usize) -> &[u32] {
        &self.from[self.place(col)]
    }
}

/// Column behind position `p`; callers keep `-cols < p <= 2 cols - 1`.
fn mirror(p: isize, cols: usize) -> usize {
    match usize::try_from(p) {
        Err(_) => p.unsigned_abs(),
        Ok(p) if p >= cols => 2 * cols - 1 - p,
        Ok(p) => p,
    }
}

/// Medians across columns, rank by rank.
struct Medians {
    kernel: usize,
    /// For wide windows: the window of each rank in ascending order.
    windows: Vec<f32>,
    medians: Vec<f32>,
}

impl Medians {
    fn new(views: usize, kernel: usize) -> Self {
        let windows = if kernel > median::MOST_COLUMNS { views * kernel } else { 0 };
        Medians { kernel, windows: vec![0.0; windows], medians: vec![0.0; views] }
    }

    /// The medians around column `col`; columns must come in order, from 0 on.
    fn at(&mut self, col: usize, strip: &Strip) -> &[f32] {
        let (kernel, half) = (self.kernel, (self.kernel / 2) as isize);
        let (first, last) = (col as isize - half, col as isize + half);
        if self.windows.is_empty() {
            let mut columns = [[].as_slice(); median::MOST_COLUMNS];
            columns.iter_mut().zip(first..=last).for_each(|(column, p)| *column = strip.column(p));
            median::of_columns(&columns[..kernel], &mut self.medians);
        } else if col == 0 {
            for (k, p) in (first..=last).enumerate() {
                for (window, value) in self.windows.chunks_exact_mut(kernel).zip(strip.column(p)) {
                    window[k] = *value;
                }
            }
            self.windows.chunks_exact_mut(kernel).for_each(|window| window.sort_unstable_by(f32::total_cmp));
        } else {
            let moved = strip.column(first - 1).iter().zip(strip.column(last));
            for (window, (old, new)) in self.windows.chunks_exact_mut(kernel).zip(moved) {
                median::slide(window, *old, *new);
            }
        }
        let middles = self.windows.chunks_exact(kernel).map(|window| window[kernel / 2]);
        self.medians.iter_mut().zip(middles).for_each(|(median, middle)| *median = middle);
        &self.medians
    }
}

/// Writes `columns`, one after the other, to a block of a sinogram.
fn write(columns: &[f32], mut block: ArrayViewMut2<f32>) {
    let views = block.nrows();
    for (part, mut rows) in block.axis_chunks_iter_mut(Axis(0), BLOCK).enumerate() {
        let mut tile = [[0.0; BLOCK]; BLOCK];
        let first = part * BLOCK;
        for (j, column) in columns.chunks_exact(views).enumerate() {
            let values = &column[first..views.min(first + BLOCK)];
            tile.iter_mut().zip(values).for_each(|(line, v)| line[j] = *v);
        }
        for (line, row) in tile.iter().zip(rows.rows_mut()) {
            line.iter().zip(row).for_each(|(t, v)| *v = *t);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirror_repeats_the_edge_on_the_right_only() {
        let seen: Vec<usize> = (-3..7).map(|p| mirror(p, 4)).collect();
        assert_eq!(seen, [3, 2, 1, 0, 1, 2, 3, 3, 2, 1]);
    }
}
