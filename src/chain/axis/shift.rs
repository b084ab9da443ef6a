//! Axis and shift along it of an offset scan: reads opposite frames of a full turn and lays them on each other.

use super::pairs::Frames;
use crate::context::Context;
use crate::error::Result;
use crate::preprocess::NormaliseOptions;
use crate::preprocess::offset::{FrameShift, Pair, ShiftSearch, opposite_views, smooth};
use crate::progress::Progress;
use crate::scan::{Frame, Scan};
use ndarray::{Array2, Zip, s};
use rayon::prelude::*;

/// What is compared.
#[derive(Clone, Copy, Debug)]
pub struct ShiftOptions {
    /// Neighbouring views whose transmission is averaged to one frame, at least 1.
    pub average: usize,
    /// Of so many such frames one is used, at least 1.
    pub stride: usize,
    /// Standard deviation of the Gaussian before, px; 0 is none.
    pub smooth_px: f64,
    /// The axis within half a pixel, if it is known.
    pub near_px: Option<f64>,
    /// How counts become absorbance.
    pub normalise: NormaliseOptions,
}

/// How opposite frames of a full turn lie on each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShiftFound {
    /// Axis, px.
    pub center_px: f64,
    /// Rows by which the sample stands lower in the first half turn.
    pub rows: f64,
    /// The axis is at an end of what was looked at, and is probably wrong.
    pub at_end: bool,
}

/// Lays opposite frames of a full turn on each other; see [`ShiftSearch`]. `None` if they show nothing, or `near_px` is in the
/// middle half of the detector.
///
/// Errors: as [`opposite_views`], and frames that cannot be read.
pub fn find_shift(
    ctx: &Context,
    scan: &Scan,
    options: &ShiftOptions,
    progress: &mut Progress,
) -> Result<Option<ShiftFound>> {
    let pairs = opposite_views(&scan.info().angles_rad)?;
    let shape = scan.shape();
    let last = shape.cols as f64 - 1.0;
    // The search is for axes at the right; at the left, frames are mirrored.
    let left = options.near_px.is_some_and(|px| 2.0 * px < last);
    let mut search = ShiftSearch::new([shape.rows, shape.cols])?;
    let frames = Frames::new(scan, (0..shape.rows).collect(), &options.normalise)?;
    let average = options.average.max(1);
    // Both views of a pair, each with what makes it absorbance.
    let pair_bytes = 2 * 5 * 4 * (shape.rows * shape.cols) as u64;
    let at_once = ((ctx.memory_bytes() / pair_bytes.max(1)) as usize).clamp(1, ctx.threads());
    let groups: Vec<&[Pair]> = pairs.chunks(average).step_by(options.stride.max(1)).collect();
    for (done, group) in groups.iter().enumerate() {
        progress.report(done, groups.len(), done as f64 / groups.len() as f64)?;
        let mut sums = [Array2::<f64>::zeros((shape.rows, shape.cols)), Array2::zeros((shape.rows, shape.cols))];
        for some in group.chunks(at_once) {
            let read = |view: usize| frames.absorbance(Frame::View(view), frames.beam(view));
            let both = |pair: &Pair| Ok([read(pair.first)?, read(pair.second)?]);
            let read: Vec<Result<[Array2<f32>; 2]>> = ctx.pool().install(|| some.par_iter().map(both).collect());
            for views in read {
                for (sum, view) in sums.iter_mut().zip(views?) {
                    Zip::from(sum).and(&view).for_each(|sum, p| *sum += (-f64::from(*p)).exp());
                }
            }
        }
        let mean = |sum: &Array2<f64>| {
            // Transmission is above 0: counts were raised to the floor.
            let image = sum.mapv(|sum| -(sum / group.len() as f64).max(1e-300).ln() as f32);
            let smoothed = smooth(ctx.pool(), image.view(), options.smooth_px);
            if left { smoothed.slice_move(s![.., ..;-1]) } else { smoothed }
        };
        let [first, second] = [mean(&sums[0]), mean(&sums[1])];
        search.add(ctx.pool(), first.view(), second.view())?;
    }
    progress.report(groups.len(), groups.len(), 1.0)?;
    let side = |px: f64| if left { last - px } else { px };
    let found = search.find(options.near_px.map(|px| 2.0 * side(px) - last));
    Ok(found.map(|FrameShift { cols, rows, at_end }| ShiftFound { center_px: side((last + cols) / 2.0), rows, at_end }))
}
