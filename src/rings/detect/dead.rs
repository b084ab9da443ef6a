//! Columns whose values say nothing: dead ones, which do not follow the sample, and fluctuating ones.

use super::blocks::Blocks;
use super::profile::{Run, median_of};
use ndarray::{ArrayView2, ArrayViewMut2};

/// Columns to either side that tell what is usual.
const HALF_WINDOW: usize = 10;
/// A column changes from view to view by so many times as much as its neighbours: it fluctuates.
const FLUCTUATES: f64 = 4.0;
/// A column changes between blocks of views by so small a part of what its neighbours do: it is dead.
const DEAD: f64 = 0.25;
/// The height of a column above its neighbours changes between blocks by so many times as much as is usual: it is unsteady.
const UNSTEADY: f64 = 6.0;
/// Where neighbours change by less than this part of what is usual on the whole detector, nothing can be said.
const LEAST_CHANGE: f64 = 0.1;

/// Numbers of the dead and the fluctuating columns, ascending.
pub(super) fn find(sino: ArrayView2<f32>, blocks: &Blocks) -> Vec<usize> {
    let (views, cols) = sino.dim();
    if views < 3 || cols < 3 {
        return Vec::new();
    }
    let mut rough = vec![0.0; cols];
    for view in 1..views - 1 {
        let three = sino.row(view - 1).into_iter().zip(sino.row(view)).zip(sino.row(view + 1));
        for (rough, ((a, b), c)) in rough.iter_mut().zip(three) {
            *rough += f64::from((a - 2.0 * b + c).abs());
        }
    }
    let columns: Vec<Vec<f64>> = (0..cols).map(|col| blocks.column(col).collect()).collect();
    let change: Vec<f64> = columns.iter().map(|c| c.windows(2).map(|two| (two[1] - two[0]).abs()).sum()).collect();
    let usual = |values: &[f64], col: usize, half: usize| {
        median_of(&mut values[col.saturating_sub(half)..(col + half + 1).min(cols)].to_vec())
    };
    let (all_rough, all_change) = (usual(&rough, 0, cols), usual(&change, 0, cols));
    let fluctuates =
        |col: usize| rough[col] > FLUCTUATES * usual(&rough, col, HALF_WINDOW).max(LEAST_CHANGE * all_rough);
    let is_dead = |col: usize| {
        let neighbours = usual(&change, col, HALF_WINDOW);
        neighbours > LEAST_CHANGE * all_change && change[col] < DEAD * neighbours
    };
    (0..cols).filter(|col| fluctuates(*col) || is_dead(*col)).collect()
}

/// Numbers of the columns that, after all corrections, still answer differently from their neighbours in some views, as a pixel
/// does whose gain is wrong; ascending.
pub(super) fn unsteady(blocks: &Blocks) -> Vec<usize> {
    let (cols, run) = (blocks.cols(), Run::new(1));
    let mut changes = vec![0.0; cols];
    run.places(cols).for_each(|col| changes[col] = blocks.uncertainty(&run, col));
    let least = LEAST_CHANGE * median_of(&mut changes.clone());
    let is_unsteady = |col: &usize| {
        // Its neighbours are compared with it and seem unsteady too, but less.
        let near = &changes[col.saturating_sub(2)..(col + 3).min(cols)];
        let around = &changes[col.saturating_sub(HALF_WINDOW)..(col + HALF_WINDOW + 1).min(cols)];
        changes[*col] > UNSTEADY * median_of(&mut around.to_vec()).max(least)
            && near.iter().all(|v| *v <= changes[*col])
    };
    run.places(cols).filter(is_unsteady).collect()
}

/// Replaces columns (ascending) by straight lines between the nearest others; at the detector's ends by the nearest other.
pub(in super::super) fn fill(mut sino: ArrayViewMut2<f32>, columns: &[usize]) {
    let cols = sino.ncols();
    let is_good = |col: &usize| columns.binary_search(col).is_err();
    for &col in columns {
        let left = (0..col).rev().find(is_good);
        let right = (col + 1..cols).find(is_good);
        let (left, right) = match (left, right) {
            (Some(left), Some(right)) => (left, right),
            (Some(one), None) | (None, Some(one)) => (one, one),
            (None, None) => return,
        };
        let share = if right > left { (col - left) as f32 / (right - left) as f32 } else { 0.0 };
        for mut row in sino.rows_mut() {
            row[col] = row[left] + share * (row[right] - row[left]);
        }
    }
}
