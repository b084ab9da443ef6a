//! BM4D: groups of cubes that look alike, filtered together by their common spectrum.
//!
//! Maggioni, Katkovnik, Egiazarian and Foi 2013, doi:10.1109/TIP.2012.2210725, in its two stages: hard thresholds on groups found
//! in the noisy volume, then Wiener filters on groups found in the first result, with the first result as their model. Where
//! this differs from the paper: cosines instead of a biorthogonal wavelet in the first stage, and what follows from the estimates
//! of a voxel having a fixed order: cubes are referred to on a grid that belongs to the volume, group by group from its first
//! slice to its last, in each slice first all even bands of lines, then all odd ones. Bands of one kind are so far apart that
//! their groups have no voxel in common, so threads may work on them side by side.

mod matching;
mod stages;
mod transform;

use crate::error::Result;
use crate::progress::{Watch, watched};
use matching::Neighbourhood;
use ndarray::{Array3, ArrayView3, ArrayViewMut3, Axis, s};
use stages::{Groups, Sums};
use std::ops::Range;
use transform::EDGE;

/// How groups are found and filtered.
#[derive(Clone, Copy, Debug)]
pub struct BlockMatchingOptions {
    /// Distance up to which cubes are compared, along each axis; 1 to [`BlockMatchingOptions::MOST`].
    pub search_px: usize,
    /// Standard deviation of the noise, in the unit of the values; 0 leaves the volume as it is.
    pub sigma: f64,
    /// Without the second stage the result is that of the first.
    pub wiener: bool,
}

/// Lines of a band of references.
const BAND: usize = 24;

impl BlockMatchingOptions {
    /// Largest `search_px`: two bands and the reach of their groups must not meet.
    pub const MOST: usize = 10;

    /// Slices around one that a stage needs.
    fn reach_of_stage(&self) -> usize {
        2 * self.search_px + EDGE - 1
    }
    /// Slices needed before and behind each one.
    pub fn reach(&self) -> usize {
        self.reach_of_stage() * if self.wiener { 2 } else { 1 }
    }
    /// Working memory for slabs of `slices` (without those around) of `[height, width]`, bytes.
    pub fn scratch_bytes(&self, slices: usize, [height, width]: [usize; 2], threads: usize) -> u64 {
        let first = slices + if self.wiener { 2 * self.reach_of_stage() } else { 0 };
        // The first stage twice, while its slices move to the next slab; sums and weights.
        let of_slices = first * width * (4 * height + 2 * self.search_px);
        let around = [EDGE + 2 * self.search_px, BAND + 2 * self.search_px + EDGE];
        let copies = around[0] * around[1] * (width + 2 * self.search_px + 64);
        4 * (of_slices + threads * (copies + 8192)) as u64
    }
}

/// The slices that are given, and of which volume they are part.
#[derive(Clone, Copy)]
struct Part<'a> {
    values: ArrayView3<'a, f32>,
    /// Slice of the volume that the first one is.
    first: usize,
}

/// The filter of one volume, which is given in slabs from its first slice to its last: what the first stage has made around one
/// slab is used again for the next.
#[derive(Clone, Debug)]
pub struct BlockMatching {
    options: BlockMatchingOptions,
    /// Slices of the volume after the first stage, and their numbers.
    basic: Array3<f32>,
    rows: Range<usize>,
}

impl BlockMatching {
    /// Nothing filtered yet.
    pub fn new(options: BlockMatchingOptions) -> Self {
        BlockMatching { options, basic: Array3::zeros((0, 0, 0)), rows: 0..0 }
    }
    /// Filters the slices of `volume` `[z, y, x]` from `first` on, as many as `out` has. `volume` holds
    /// [`BlockMatchingOptions::reach`] more at either end, or ends there; its first slice is number `number` of `slices`, on which
    /// the grid of references depends. Of finite values. Cubes have edges of 4 voxels, 2 or 1 where the volume is thinner;
    /// groups have up to 16. Slices may come in any slabs and any order, with the same result.
    ///
    /// Noise is taken for white, as strong everywhere. Fails if `tick` does, which is told the finished part several times a
    /// second on the calling thread.
    pub fn filter(
        &mut self,
        pool: &rayon::ThreadPool,
        volume: ArrayView3<f32>,
        [number, slices]: [usize; 2],
        first: usize,
        mut out: ArrayViewMut3<f32>,
        tick: &mut dyn FnMut(f64) -> Result<()>,
    ) -> Result<()> {
        let wanted = number + first..number + first + out.shape()[0];
        if self.options.sigma <= 0.0 || out.is_empty() {
            let slices = first..first + out.shape()[0];
            out.assign(&volume.slice(s![slices, .., ..]));
            return tick(1.0);
        }
        let volume = volume.as_standard_layout();
        let (noisy, options) = (Part { values: volume.view(), first: number }, &self.options);
        if !options.wiener {
            return stage(pool, noisy, None, slices, options, (wanted, out), tick);
        }
        let reach = options.reach_of_stage();
        let rows = wanted.start.saturating_sub(reach)..(wanted.end + reach).min(slices);
        let mut basic = Array3::zeros((rows.len(), volume.shape()[1], volume.shape()[2]));
        // Slices that are there already.
        let of_this = self.basic.shape()[1..] == volume.shape()[1..] && self.rows.contains(&rows.start);
        let known = if of_this { rows.start..self.rows.end.min(rows.end) } else { 0..0 };
        if !known.is_empty() {
            let from = known.start - self.rows.start;
            basic.slice_mut(s![..known.len(), .., ..]).assign(&self.basic.slice(s![from..from + known.len(), .., ..]));
        }
        let new = rows.start + known.len()..rows.end;
        let part = new.len() as f64 / (new.len() + wanted.len()) as f64;
        if !new.is_empty() {
            let made = basic.slice_mut(s![known.len().., .., ..]);
            stage(pool, noisy, None, slices, options, (new, made), &mut |done| tick(done * part))?;
        }
        (self.basic, self.rows) = (basic, rows.clone());
        let basic = Part { values: self.basic.view(), first: rows.start };
        stage(pool, noisy, Some(basic), slices, options, (wanted, out), &mut |done| tick(part + done * (1.0 - part)))
    }
}

/// Where cubes of edge `edge` are referred to along an axis of `n`.
fn grid(n: usize, edge: usize) -> impl Iterator<Item = usize> {
    // So that cubes overlap.
    let step = if edge > 2 { edge - 1 } else { 1 };
    let last = n - edge;
    (0..last).step_by(step).chain(std::iter::once(last))
}

/// The slices `rows` of the volume after one stage: the first without `guide`, the second with it.
fn stage<'a>(
    pool: &rayon::ThreadPool,
    noisy: Part<'a>,
    guide: Option<Part<'a>>,
    slices: usize,
    options: &BlockMatchingOptions,
    (rows, mut out): (Range<usize>, ArrayViewMut3<f32>),
    tick: &mut dyn FnMut(f64) -> Result<()>,
) -> Result<()> {
    let search = options.search_px.clamp(1, BlockMatchingOptions::MOST);
    let shape = [slices, noisy.values.shape()[1], noisy.values.shape()[2]];
    let cube = shape.map(|n| if n >= EDGE { EDGE } else { 1 << n.ilog2() });
    let model = guide.unwrap_or(noisy);
    // Numbers of slices from here on are those of `model.values`.
    let local = |z: usize| z - model.first;
    let mut places = [0, 1, 2].map(|axis| 0..shape[axis] - cube[axis] + 1);
    places[0] = 0..model.values.shape()[0] - cube[0] + 1;
    let (before, wiener) = (model.first - noisy.first, guide.is_some());
    let groups = &Groups { noisy: noisy.values, before, model, cube, sigma: options.sigma as f32, wiener };
    // References whose groups have voxels in the wanted slices.
    let reached = rows.start.saturating_sub(search + cube[0] - 1)..rows.end + search;
    let levels: Vec<usize> = grid(slices, cube[0]).filter(|z| reached.contains(z)).collect();
    let lines: Vec<usize> = grid(shape[1], cube[1]).collect();
    let columns: Vec<usize> = grid(shape[2], cube[2]).collect();
    let (lines, columns) = (&lines[..], &columns[..]);
    // Lines begin `search` before the slice, as the first band reaches.
    let size = [rows.len(), shape[1] + search, shape[2]];
    let (mut sums, mut weights) = (Array3::<f32>::zeros(size), Array3::<f32>::zeros(size));
    let steps = (2 * levels.len()) as f64;
    for (i, &z) in levels.iter().enumerate() {
        for odd in [0, 1] {
            let from = (odd * BAND).min(size[1]);
            let (mut sums, mut weights) = (sums.slice_mut(s![.., from.., ..]), weights.slice_mut(s![.., from.., ..]));
            let sums = sums.axis_chunks_iter_mut(Axis(1), 2 * BAND);
            let weights = weights.axis_chunks_iter_mut(Axis(1), 2 * BAND);
            let jobs = sums.zip(weights).enumerate().map(|(k, chunks)| (2 * k + odd, chunks));
            let work = |(band, (mut sums, mut weights)): (usize, (ArrayViewMut3<f32>, ArrayViewMut3<f32>)),
                        watch: &Watch| {
                let own = band * BAND..(band + 1) * BAND;
                let mut of_band = lines.iter().copied().filter(|y| own.contains(y)).peekable();
                let Some(&start) = of_band.peek() else { return };
                let ys = start..own.end.min(places[1].end);
                let near = Neighbourhood::new(model.values, cube, search, places.clone(), local(z), ys);
                let first = [rows.start, (band * BAND).wrapping_sub(search)];
                let mut sums = Sums::new(&mut sums, &mut weights, first);
                for y in of_band {
                    groups.filter_line(&near, [local(z), y], columns, &mut sums);
                    if !watch.step() {
                        return;
                    }
                }
            };
            let done = (2 * i + odd) as f64;
            watched(pool, jobs, lines.len().div_ceil(2), work, &mut |part| tick((done + part) / steps))?;
        }
    }
    ndarray::Zip::from(&mut out)
        .and(sums.slice(s![.., search.., ..]))
        .and(weights.slice(s![.., search.., ..]))
        .for_each(|out, sum, weight| *out = sum / weight);
    Ok(())
}
