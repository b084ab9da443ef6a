//! Stripes that go through all views: a column, or a run of columns, that is too high or too low by a constant.

use super::blocks::Blocks;
use super::profile::{MARGIN, Proposal, Run, Scatter, Term, explain, high_pass, stands_out};
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
/// Columns on either side of the ends of a wide run that are explained together with it.
const BESIDE: usize = 4;
/// Most of them that may have heights of their own, none above that of the run: with more, any edge could be explained as a run.
const MOST_BESIDE: usize = 3;

/// Offset of each column, 0 for most. `widest_px` is the widest run looked for.
pub(super) fn offsets(blocks: &Blocks, snr: f64, widest_px: usize) -> Vec<f64> {
    let line = blocks.mean_line(0..blocks.count());
    let mut found = Found { of_runs: vec![0.0; line.len()], own: vec![0.0; line.len()] };
    let narrow: Vec<Run> = (1..=NARROW.min(widest_px)).map(Run::new).collect();
    let wide: Vec<Run> = (NARROW + 1..=widest_px).filter(|w| *w <= 12 || w.is_multiple_of(2)).map(Run::new).collect();
    let narrow_rounds = |found: &mut Found| (0..ROUNDS).all(|_| narrow_round(blocks, &line, found, &narrow, snr));
    narrow_rounds(&mut found);
    if (0..ROUNDS).take_while(|_| wide_round(blocks, &line, &mut found, &wide, snr)).count() > 0 {
        // Columns that the jumps of the runs had hidden.
        narrow_rounds(&mut found);
    }
    found.of_runs.iter().zip(&found.own).map(|(run, own)| run + own).collect()
}

/// What was found so far, for each column.
struct Found {
    /// Heights of the wide runs it is in.
    of_runs: Vec<f64>,
    /// Its own height above them.
    own: Vec<f64>,
}

impl Found {
    fn taken_from(&self, line: &[f64]) -> Vec<f64> {
        line.iter().zip(self.of_runs.iter().zip(&self.own)).map(|(p, (run, own))| p - run - own).collect()
    }
}

/// A place where a run may be.
struct Candidate<'a> {
    certainty: f64,
    run: &'a Run,
    first: usize,
    height: f64,
    /// Height that would be just certain enough.
    least: f64,
}

/// One round over the detector for columns with heights of their own; whether anything was found.
fn narrow_round(blocks: &Blocks, uncorrected: &[f64], found: &mut Found, runs: &[Run], snr: f64) -> bool {
    let cols = uncorrected.len();
    let line = found.taken_from(uncorrected);
    let high = high_pass(&line);
    let single = Run::new(1);
    let scatter = Scatter::of(&[heights(&single, &high)]);
    let mut taken = vec![false; cols];
    let mut any = false;
    for Candidate { run, first, height, .. } in candidates(blocks, &high, runs, snr) {
        let end = first + run.width;
        if taken[first.saturating_sub(4)..(end + 4).min(cols)].contains(&true) || !stands_out(&line, first, end, height)
        {
            continue;
        }
        let now = Now { line: &line, high: &high, own: &found.own, scatter: &scatter, single: &single, snr };
        for (col, height) in GROW.iter().find_map(|grow| columns(&now, first..end, *grow)).into_iter().flatten() {
            found.own[col] = height;
            any = true;
        }
        taken[first.saturating_sub(6)..(end + 6).min(cols)].fill(true);
    }
    any
}

/// One round over the detector for wide runs; whether anything was found.
fn wide_round(blocks: &Blocks, uncorrected: &[f64], found: &mut Found, runs: &[Run], snr: f64) -> bool {
    let cols = uncorrected.len();
    let line = found.taken_from(uncorrected);
    let high = high_pass(&line);
    let single = Run::new(1);
    let scatter = Scatter::of(&[heights(&single, &high)]);
    let now = Now { line: &line, high: &high, own: &found.own, scatter: &scatter, single: &single, snr };
    let mut believed: Vec<WideRun> =
        candidates(blocks, &high, runs, snr).iter().filter_map(|candidate| wide_run(&now, candidate)).collect();
    // A run that is a column too long is as certain, but needs a column more to explain the line.
    believed.sort_by(|a, b| b.saves.total_cmp(&a.saves).then(a.columns.start.cmp(&b.columns.start)));
    let mut taken = vec![false; cols];
    for run in &believed {
        let around = run.columns.start.saturating_sub(6)..(run.columns.end + 6).min(cols);
        if !taken[around.clone()].contains(&true) {
            taken[around].fill(true);
            found.of_runs[run.columns.clone()].iter_mut().for_each(|v| *v += run.height);
            run.own.iter().for_each(|(col, height)| found.own[*col] = *height);
        }
    }
    !believed.is_empty()
}

/// Height of a run at each column, 0 where none may begin.
fn heights(run: &Run, high: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; high.len()];
    run.places(high.len()).for_each(|first| out[first] = run.height(high, first));
    out
}

/// Places that stand out from the scatter of columns and from their own changes over the views, the most certain first.
fn candidates<'a>(blocks: &Blocks, high: &[f64], runs: &'a [Run], snr: f64) -> Vec<Candidate<'a>> {
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
                    found.push(Candidate { certainty, run, first, height, least: needed * usual });
                }
            }
        }
    }
    found.sort_by(|a, b| b.certainty.total_cmp(&a.certainty).then(a.first.cmp(&b.first)));
    found
}

/// What is known so far.
#[derive(Clone, Copy)]
struct Now<'a> {
    /// With all offsets taken away, and without its smooth part.
    line: &'a [f64],
    high: &'a [f64],
    own: &'a [f64],
    scatter: &'a Scatter,
    single: &'a Run,
    snr: f64,
}

impl Now<'_> {
    fn column(&self, col: usize) -> Term<'_> {
        Term { run: self.single, first: col, least: self.snr * self.scatter.at(col) }
    }
    /// The line as if these columns had no height of their own.
    fn given_back(&self, columns: &[usize]) -> Vec<f64> {
        let mut line = self.line.to_vec();
        columns.iter().for_each(|col| line[*col] += self.own[*col]);
        line
    }
}

/// Own heights of the columns `of`, of `grow` more on either side, because two stripes near each other look like one between
/// them, and of those found before around them.
fn columns(now: &Now, of: Range<usize>, grow: usize) -> Option<Vec<(usize, f64)>> {
    let reach = grow.max(2);
    let near = of.start.saturating_sub(reach).max(MARGIN)..(of.end + reach).min(now.line.len() - MARGIN);
    let is_free = |col: &usize| (*col + grow >= of.start && *col < of.end + grow) || now.own[*col] != 0.0;
    let members: Vec<usize> = near.filter(is_free).collect();
    let line = now.given_back(&members);
    let terms: Vec<Term> = members.iter().map(|col| now.column(*col)).collect();
    let (_, mut solution) = explain(&high_pass(&line), &terms, 0);
    solution.sort_unstable_by_key(|(i, _)| *i);
    let (from, to) = (members[solution.first()?.0], members[solution.last()?.0] + 1);
    let mut heights = vec![0.0; to - from];
    solution.iter().for_each(|(i, height)| heights[members[*i] - from] = *height);
    Proposal { line: &line, high_now: now.high, heights: &heights, from }.judge_columns()?;
    let height = |col: usize| heights.get(col.wrapping_sub(from)).copied().unwrap_or(0.0);
    Some(members.into_iter().map(|col| (col, height(col))).collect())
}

struct WideRun {
    columns: Range<usize>,
    height: f64,
    /// Own heights of columns in it and beside it.
    own: Vec<(usize, f64)>,
    /// How much dearer the line is explained without it.
    saves: f64,
}

/// A wide run together with the columns near its ends, which may have heights of their own: a stripe there looks like a part of
/// the jump, and what was found there before was found without knowing of the run.
fn wide_run(now: &Now, candidate: &Candidate) -> Option<WideRun> {
    let Candidate { run, first, least, .. } = *candidate;
    let end = first + run.width;
    let near = first.saturating_sub(BESIDE).max(MARGIN)..(end + BESIDE).min(now.line.len() - MARGIN);
    let is_free = |col: &usize| col.abs_diff(first) <= BESIDE || col.abs_diff(end) <= BESIDE;
    let members: Vec<usize> = near.filter(is_free).collect();
    let mut line = now.given_back(&members);
    let mut terms = vec![Term { run, first, least }];
    terms.extend(members.iter().map(|col| now.column(*col)));
    let high = high_pass(&line);
    let (with, solution) = explain(&high, &terms, 1);
    let (without, _) = explain(&high, &terms[1..], 0);
    if with >= without {
        return None;
    }
    let height = solution.first()?.1;
    if solution.len() > 1 + MOST_BESIDE || solution.iter().any(|(_, own)| own.abs() > height.abs()) {
        return None;
    }
    let mut own: Vec<(usize, f64)> = members.iter().map(|col| (*col, 0.0)).collect();
    for (i, height) in &solution[1..] {
        own[i - 1].1 = *height;
    }
    // Each must be believable with the other taken away.
    let mut without_run = line.clone();
    without_run[first..end].iter_mut().for_each(|v| *v -= height);
    own.iter().for_each(|(col, height)| line[*col] -= height);
    if let (Some(from), Some(to)) = (own.iter().position(|o| o.1 != 0.0), own.iter().rposition(|o| o.1 != 0.0)) {
        let (from, to) = (own[from].0, own[to].0 + 1);
        let mut heights = vec![0.0; to - from];
        own.iter().filter(|o| o.1 != 0.0).for_each(|(col, height)| heights[col - from] = *height);
        let high = high_pass(&without_run);
        Proposal { line: &without_run, high_now: &high, heights: &heights, from }.judge_columns()?;
    }
    let heights = vec![height; run.width];
    Proposal { line: &line, high_now: &high_pass(&line), heights: &heights, from: first }.judge_run()?;
    Some(WideRun { columns: first..end, height, own, saves: without - with })
}
