//! A volume made in pieces by all threads.

use crate::error::Result;
use crate::progress::{Watch, watched};
use ndarray::{ArrayViewMut3, Axis};

/// A piece of the output: whole lines.
pub(super) struct Tile<'a> {
    /// First slice and first line of `out` in the whole.
    pub z: usize,
    pub y: usize,
    pub out: ArrayViewMut3<'a, f32>,
}

/// Makes `out` in tiles of at most `[slices, lines]`. `work` takes a step of the watch for each line number of its tile, and
/// returns early when it is told to; `tick` as in [`watched`].
pub(super) fn tiles(
    pool: &rayon::ThreadPool,
    mut out: ArrayViewMut3<f32>,
    [slices, lines]: [usize; 2],
    work: impl Fn(Tile<'_>, &Watch) + Sync,
    tick: &mut dyn FnMut(f64) -> Result<()>,
) -> Result<()> {
    let steps = out.shape()[0].div_ceil(slices) * out.shape()[1];
    let mut all = Vec::new();
    for (i, mut left) in out.axis_chunks_iter_mut(Axis(0), slices).enumerate() {
        let height = left.shape()[1];
        for y in (0..height).step_by(lines) {
            let (out, rest) = left.split_at(Axis(1), lines.min(height - y));
            all.push(Tile { z: i * slices, y, out });
            left = rest;
        }
    }
    watched(pool, all, steps, work, tick)
}
