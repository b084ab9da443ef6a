//! Runs a method on many sinograms. Must not know methods.

use crate::error::Result;
use ndarray::{ArrayViewMut2, ArrayViewMut3};
use rayon::prelude::*;

/// Runs `repair` on each sinogram of `[row, view, col]`, rows in parallel on `pool`, and returns what it returned, in order.
///
/// `detector_row` is the number of a row for messages. `tick` is called on the calling thread with the finished part (0
/// to 1) after as many rows as there are threads; its error stops the work, as does an error of `repair`. The result does
/// not depend on the threads.
pub fn rows<T: Send>(
    pool: &rayon::ThreadPool,
    mut sinograms: ArrayViewMut3<f32>,
    repair: impl Fn(ArrayViewMut2<f32>) -> Result<T> + Sync,
    detector_row: impl Fn(usize) -> usize,
    tick: &mut dyn FnMut(f64) -> Result<()>,
) -> Result<Vec<T>> {
    let mut rows: Vec<_> = sinograms.outer_iter_mut().collect();
    let (all, mut done) = (rows.len(), Vec::with_capacity(rows.len()));
    for group in rows.chunks_mut(pool.current_num_threads()) {
        let one = |sino: &mut ArrayViewMut2<f32>| repair(sino.view_mut());
        let results: Vec<_> = pool.install(|| group.par_iter_mut().map(one).collect());
        for result in results {
            done.push(result.map_err(|e| e.with("row", detector_row(done.len())))?);
        }
        tick(done.len() as f64 / all as f64)?;
    }
    Ok(done)
}
