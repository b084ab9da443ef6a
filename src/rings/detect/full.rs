//! Stripes that go through all views: a column, or a run of columns, that is too high or too low by a constant.

use super::blocks::Blocks;
use super::profile::{MARGIN, Proposal, Run, Scatter, explain, high_pass, stands_out};
use std::ops::Range;

/// Rounds of finding; each sees more, because what was found disturbs no longer.
const ROUNDS: usize = 8;
/// Up to this width columns have heights of their own.
const NARROW: usize = 3;
/// Columns on either side of a candidate that may be what is really off: if what explains most of them is not believable,
/// fewer are tried.
const GROW: [usize; 3] = [6, 2, 0];
/// A wide run needs so much more certainty: there are more places and widths where chance may make one.
const WIDE_CERTAINTY: f64 = 1.3;

/// Offset of each column, 0 for most. `widest_px` is the widest run looked for.
pub(super) fn offsets(blocks: &Blocks, snr: f64, widest_px: usize) -> Vec<f64> {
    let line = blocks.mean_line(0..blocks.count());
    let mut offsets = vec![0.0; line.len()];
    let narrow: Vec<Run> = (1..=NARROW.min(widest_px)).map(Run::new).collect();
    let wide: Vec<Run> = (NARROW + 1..=widest_px).filter(|w| *w <= 12 || w.is_multiple_of(2)).map(Run::new).collect();
    let mut own_height = vec![false; line.len()];
    for runs in [narrow, wide] {
        for _ in 0..ROUNDS {
            if !round(blocks, &line, &mut offsets, &mut own_height, &runs, snr) {
                break;
            }
        }
    }
    offsets
}

/// A place where a run may be.
struct Candidate {
    certainty: f64,
    width: usize,
    first: usize,
    height: f64,
}

/// One round over the detector; whether anything was found.
fn round(
    blocks: &Blocks,
    uncorrected: &[f64],
    offsets: &mut [f64],
    own_height: &mut [bool],
    runs: &[Run],
    snr: f64,
) -> bool {
    let cols = uncorrected.len();
    let line: Vec<f64> = uncorrected.iter().zip(&*offsets).map(|(p, o)| p - o).collect();
    let high = high_pass(&line);
    let single = Scatter::of(&[heights(&Run::new(1), &high)]);
    let mut taken = vec![false; cols];
    let mut any = false;
    for Candidate { width, first, height, .. } in candidates(blocks, &high, runs, snr) {
        let end = first + width;
        if taken[first.saturating_sub(4)..(end + 4).min(cols)].contains(&true) || !stands_out(&line, first, end, height)
        {
            continue;
        }
        let found: Option<Vec<Correction>> = if width > NARROW {
            let heights = vec![height; width];
            let proposal = Proposal { line: &line, high_now: &high, heights: &heights, from: first };
            let corrections = || (first..end).map(|col| (col, offsets[col] + height, own_height[col])).collect();
            proposal.judge_run().map(|_| corrections())
        } else {
            let now = Now { line: &line, high: &high, offsets, own_height, scatter: &single };
            GROW.iter().find_map(|grow| columns(&now, first..end, *grow, snr))
        };
        for (col, height, own) in found.into_iter().flatten() {
            let kept = if own_height[col] || width > NARROW { 0.0 } else { offsets[col] };
            (offsets[col], own_height[col]) = (kept + height, own);
            any = true;
        }
        taken[first.saturating_sub(6)..(end + 6).min(cols)].fill(true);
    }
    any
}

/// Height of a run at each column, 0 where none may begin.
fn heights(run: &Run, high: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; high.len()];
    run.places(high.len()).for_each(|first| out[first] = run.height(high, first));
    out
}

/// Places that stand out from the scatter of columns and from their own changes over the views, the most certain first.
fn candidates(blocks: &Blocks, high: &[f64], runs: &[Run], snr: f64) -> Vec<Candidate> {
    let mut found = Vec::new();
    for run in runs {
        let heights = heights(run, high);
        let scatter = Scatter::of(std::slice::from_ref(&heights));
        let needed = if run.width > NARROW { WIDE_CERTAINTY * snr } else { snr };
        for first in run.places(high.len()) {
            let (height, usual) = (heights[first], scatter.at(first));
            // In this order, because the second is slow.
            if height != 0.0 && height.abs() >= needed * usual {
                let certainty = height.abs() / usual.max(blocks.uncertainty(run, first));
                if certainty >= needed {
                    found.push(Candidate { certainty, width: run.width, first, height });
                }
            }
        }
    }
    found.sort_by(|a, b| b.certainty.total_cmp(&a.certainty).then(a.first.cmp(&b.first)));
    found
}

/// Column, how far it is off, and whether it has a height of its own.
type Correction = (usize, f64, bool);

/// What is known so far.
#[derive(Clone, Copy)]
struct Now<'a> {
    /// With all offsets taken away, and without its smooth part.
    line: &'a [f64],
    high: &'a [f64],
    offsets: &'a [f64],
    own_height: &'a [bool],
    scatter: &'a Scatter,
}

/// Heights of the columns `of`, of `grow` more on either side, because two stripes near each other look like one between them,
/// and of those found before around them.
fn columns(now: &Now, of: Range<usize>, grow: usize, snr: f64) -> Option<Vec<Correction>> {
    let Now { line, high, offsets, own_height, scatter } = *now;
    let reach = grow.max(2);
    let near = of.start.saturating_sub(reach).max(MARGIN)..(of.end + reach).min(line.len() - MARGIN);
    let is_free = |col: &usize| (*col + grow >= of.start && *col < of.end + grow) || own_height[*col];
    let members: Vec<usize> = near.filter(is_free).collect();
    let mut given_back = line.to_vec();
    members.iter().filter(|c| own_height[**c]).for_each(|c| given_back[*c] += offsets[*c]);
    let mut solution = explain(&high_pass(&given_back), &members, scatter, snr);
    solution.sort_unstable_by_key(|(col, _)| *col);
    let (from, to) = (solution.first()?.0, solution.last()?.0 + 1);
    let mut heights = vec![0.0; to - from];
    solution.iter().for_each(|(col, height)| heights[col - from] = *height);
    Proposal { line: &given_back, high_now: high, heights: &heights, from }.judge_columns()?;
    let height = |col: usize| heights.get(col.wrapping_sub(from)).copied().unwrap_or(0.0);
    Some(members.into_iter().map(|col| (col, height(col), height(col) != 0.0)).collect())
}
