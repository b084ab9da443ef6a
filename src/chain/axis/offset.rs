//! The axis of an offset scan: reads opposite views of a full turn and compares where they overlap.

use super::pairs::Frames;
use super::{AxisFound, AxisOptions, Candidate, LEAST_CONFIDENCE, evenly, refusal};
use crate::context::Context;
use crate::error::Result;
use crate::geometry::Center;
use crate::preprocess::offset::{OverlapSearch, opposite_views};
use crate::progress::Progress;
use crate::scan::{Frame, Scan};
use rayon::prelude::*;
use std::ops::Range;

/// Pairs of views and rows of each that are compared at most.
const MOST_PAIRS: usize = 48;
const MOST_ROWS: usize = 64;

/// See [`super::AxisMethod::Overlap`].
pub(super) fn overlap(
    ctx: &Context,
    scan: &Scan,
    rows: &Range<usize>,
    options: &AxisOptions,
    progress: &mut Progress,
) -> Result<AxisFound> {
    let pairs = opposite_views(&scan.info().angles_rad)?;
    let frames = Frames::new(scan, evenly(rows, MOST_ROWS), &options.normalise)?;
    let mut search = OverlapSearch::new(scan.shape().cols)?;
    let chosen: Vec<_> = evenly(&(0..pairs.len()), MOST_PAIRS).into_iter().map(|k| pairs[k]).collect();
    for group in chosen.chunks(ctx.threads()) {
        let read = |view: usize| frames.absorbance(Frame::View(view), frames.beam(view));
        let views = |pair: &crate::preprocess::offset::Pair| Ok((read(pair.first)?, read(pair.second)?));
        let both: Vec<Result<_>> = ctx.pool().install(|| group.par_iter().map(views).collect());
        for pair in both {
            let (first, second) = pair?;
            search.add(first.view(), second.view())?;
        }
        progress.poll()?;
    }
    let whole = search.range_px();
    let range = options.search_px.clone().unwrap_or(whole.start..whole.end + 0.25);
    let found = search.find(&range);
    let candidates: Vec<Candidate> = found
        .iter()
        .map(|o| Candidate { method: "overlap", center_px: o.center_px, confidence: o.confidence })
        .collect();
    let best = candidates.first().filter(|c| c.confidence >= LEAST_CONFIDENCE).ok_or_else(|| refusal(&candidates))?;
    // Three decimals are finer than the search, and can be typed again with the same result.
    let center = Center::Fixed((best.center_px * 1000.0).round() / 1000.0);
    Ok(AxisFound { center, confidence: best.confidence, method: "overlap", candidates, tilt: None })
}
