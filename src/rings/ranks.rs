//! Sorted columns of a sinogram and the medians across them, rank by rank. Must not know what is done with them.

use super::median;
use super::radix::Sorter;
use ndarray::{ArrayView2, ArrayViewMut2, Axis, s};
use std::ops::Range;

/// Columns that are read and written at a time: a cache line of f32 in each view.
pub(super) const BLOCK: usize = 16;

/// What lies left of column 0. Right of the last column the mirror always repeats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LeftEdge {
    /// Column 1: the rule of existing SPring-8 volumes.
    Column1,
    /// Column 0: as on the right.
    Column0,
}

/// A sorted column, and what its neighbours say.
pub(super) struct Ranks<'a> {
    /// Its values in ascending order.
    pub sorted: &'a [f32],
    /// Median of each rank over the window.
    pub medians: &'a [f32],
    /// The view from which each value came.
    pub from: &'a [u32],
}

/// Goes over the columns of a sinogram from left to right.
pub(super) struct Walk {
    strip: Strip,
    medians: Medians,
    half: usize,
    read: usize,
}

impl Walk {
    /// `kernel` is odd and at most `2 cols - 1`.
    pub fn new(views: usize, cols: usize, kernel: usize, edge: LeftEdge) -> Self {
        let strip = Strip::new(views, cols, kernel, edge);
        Walk { strip, medians: Medians::new(views, kernel), half: kernel / 2, read: 0 }
    }
    /// Bytes.
    pub fn bytes(views: usize, cols: usize, kernel: usize) -> usize {
        let window = if kernel > median::MOST_COLUMNS { kernel } else { 0 };
        views * (8 * Strip::columns(cols, kernel) + 4 * (window + 1)) + Sorter::bytes(views)
    }
    /// Reads what the columns `..end` need; they must not have been changed since, and no more than a block of them may
    /// follow those asked for so far.
    pub fn read(&mut self, sino: &ArrayView2<f32>, end: usize) {
        let end = self.strip.cols.min(end + self.half);
        while self.read < end {
            let next = self.read..end.min(self.read + BLOCK);
            self.strip.read(sino, next.clone());
            self.read = next.end;
        }
    }
    /// The columns must be asked for in order, from 0 on.
    pub fn at(&mut self, col: usize) -> Ranks<'_> {
        let medians = self.medians.at(col, &self.strip);
        Ranks { sorted: self.strip.column(col as isize), medians, from: self.strip.views_of(col) }
    }
}

/// The sorted columns around those that are being repaired.
struct Strip {
    cols: usize,
    views: usize,
    edge: LeftEdge,
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

    fn new(views: usize, cols: usize, kernel: usize, edge: LeftEdge) -> Self {
        let len = views * Self::columns(cols, kernel);
        Strip { cols, views, edge, sorted: vec![0.0; len], from: vec![0; len], sorter: Sorter::new(views) }
    }

    fn place(&self, col: usize) -> Range<usize> {
        let first = col * self.views % self.sorted.len();
        first..first + self.views
    }

    /// Sorts `cols`, at most a block of columns.
    fn read(&mut self, sino: &ArrayView2<f32>, cols: Range<usize>) {
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
        &self.sorted[self.place(mirror(p, self.cols, self.edge))]
    }

    fn views_of(&self, col: usize) -> &[u32] {
        &self.from[self.place(col)]
    }
}

/// Column behind position `p`; callers keep `-cols < p <= 2 cols - 1`.
fn mirror(p: isize, cols: usize, edge: LeftEdge) -> usize {
    match usize::try_from(p) {
        Err(_) if edge == LeftEdge::Column0 => p.unsigned_abs() - 1,
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
pub(super) fn write(columns: &[f32], mut block: ArrayViewMut2<f32>) {
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
    fn mirror_repeats_the_edge_on_the_right_and_if_told_on_the_left() {
        let seen = |edge| -> Vec<usize> { (-3..7).map(|p| mirror(p, 4, edge)).collect() };
        assert_eq!(seen(LeftEdge::Column1), [3, 2, 1, 0, 1, 2, 3, 3, 2, 1]);
        assert_eq!(seen(LeftEdge::Column0), [2, 1, 0, 0, 1, 2, 3, 3, 2, 1]);
    }
}
