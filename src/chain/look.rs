//! A look at the whole volume before its first slice leaves, for stages that ask for one ([`Stage::surveys`]): labels that
//! go on from slab to slab, thresholds from all voxels.
//!
//! Must not know: sinks, the sizes of files.

use super::plan::{Cut, Plans, Reading, rows_at, stage_plans};
use super::read::{Kept, Reader, reader_threads};
use super::run::{Input, read, take};
use super::stage::{Arrays, Run, Stage, StagePlan, Worker};
use crate::error::{Error, Result};
use crate::scan::Scan;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{channel, sync_channel};
use std::thread;

/// What a user should know of it beforehand.
pub(super) fn remark(stages: &[Box<dyn Stage>]) -> Option<String> {
    let ids: Vec<&str> = stages.iter().filter(|s| s.surveys()).map(|s| s.info().id).collect();
    let passes = groups(stages).len() + 1;
    let verb = if ids.len() == 1 { "looks" } else { "look" };
    let remark = || format!("{} {verb} at all rows first: the scan is gone through {passes} times", ids.join(", "));
    (!ids.is_empty()).then(remark)
}

/// The stages that look, those together that do so in one pass: neighbours of which all but the last change nothing.
pub(super) fn groups(stages: &[Box<dyn Stage>]) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for (k, _) in stages.iter().enumerate().filter(|(_, stage)| stage.surveys()) {
        match groups.last_mut() {
            Some(group) if group.end == k && stages[k - 1].only_looks() => group.end += 1,
            _ => groups.push(k..k + 1),
        }
    }
    groups
}

/// Where rows come from.
pub(super) struct Source<'a> {
    pub scan: &'a Scan,
    pub reading: &'a Reading,
    /// Rows that each stage gets of the whole scan.
    pub rows_before: &'a [usize],
    pub black_views: &'a Arc<[bool]>,
}

/// One pass.
struct Look {
    /// The stages that look.
    stages: Range<usize>,
    /// What they will be given to process, rows around the own ones included, as far as there are any.
    rows: Range<usize>,
}

/// The workers of all stages. Those that survey have done so: one pass for each of the [`groups`], in the order of the chain, over
/// all rows, through the stages before it. Rows that an earlier run has finished are looked at too, so that the rest comes out as it
/// would have then. Slices are computed again in the usual pass; they are the same bits. `run` counts on from there.
pub(super) fn look<'s>(
    source: &Source<'_>,
    stages: &'s [Box<dyn Stage>],
    plans: &[StagePlan],
    cut: &Cut,
    run: &mut Run<'_, '_>,
) -> Result<Vec<Box<dyn Worker + 's>>> {
    let look = |stages: Range<usize>| {
        let rows = rows_at(plans, stages.start, cut.rows.clone());
        let end = rows.end.min(source.rows_before[stages.start]);
        Look { rows: rows.start.min(end.saturating_sub(1))..end, stages }
    };
    let looks: Vec<Look> = groups(stages).into_iter().map(look).collect();
    let cost = |plans: &[StagePlan]| plans.iter().map(|p| p.cost_per_row).sum::<f64>();
    let work = |look: &Look| look.rows.len() as f64 * cost(&plans[..look.stages.end]);
    let left = (cut.rows.len() - cut.finished()) as f64 * cost(plans);
    let all = (looks.iter().map(work).sum::<f64>() + left).max(f64::MIN_POSITIVE);
    let (found, mut before) = (cut.finished() as f64 / cut.rows.len() as f64, 0.0);
    let mut surveyed: Vec<Box<dyn Worker + 's>> = Vec::new();
    for look in &looks {
        let part = work(look) / all;
        run.span = (found + (1.0 - found) * before, (1.0 - found) * part);
        // The others are made anew for each pass, so that what they count for their remarks is that of one pass.
        let mut passing = workers(&stages[..look.stages.end], plans, surveyed)?;
        pass(source, look, stages, &mut passing, cut, run)?;
        surveyed = passing.into_iter().zip(stages).filter(|(_, s)| s.surveys()).map(|(worker, _)| worker).collect();
        before += part;
    }
    run.span = (before, 1.0 - before);
    workers(stages, plans, surveyed)
}

/// A worker for each stage: the first that survey are `surveyed` already.
fn workers<'s>(
    stages: &'s [Box<dyn Stage>],
    plans: &[StagePlan],
    surveyed: Vec<Box<dyn Worker + 's>>,
) -> Result<Vec<Box<dyn Worker + 's>>> {
    let (mut surveyed, mut workers) = (surveyed.into_iter(), Vec::with_capacity(stages.len()));
    for (stage, plan) in stages.iter().zip(plans) {
        let known = if stage.surveys() { surveyed.next() } else { None };
        workers.push(known.map_or_else(|| stage.worker(plan), Ok)?);
    }
    Ok(workers)
}

/// Reads what some of the stages look at.
fn pass(
    source: &Source<'_>,
    look: &Look,
    stages: &[Box<dyn Stage>],
    workers: &mut [Box<dyn Worker + '_>],
    cut: &Cut,
    run: &mut Run<'_, '_>,
) -> Result<()> {
    // A row is one of the last stage's input here.
    let before = stage_plans(&stages[..look.stages.start], source.reading, cut.part_rows)?;
    let cut = &Cut {
        rows: look.rows.clone(),
        left: vec![look.rows.clone()],
        grain_rows: if before.source == cut.source { cut.grain_rows } else { 1 },
        source: before.source,
        halo: before.halo,
        ..cut.clone()
    };
    let stop = &AtomicBool::new(false);
    thread::scope(|scope| {
        let (to_compute, from_reader) = sync_channel(cut.slabs);
        let (to_reader, emptied_slabs) = channel();
        let (scan, threads) = (source.scan, reader_threads(run.context));
        let black_views = source.black_views;
        let reader = Reader { scan, threads, halo: cut.halo, black_views, kept: Kept::default() };
        let reader = scope.spawn(move || read(reader, cut, &emptied_slabs, &to_compute, stop));
        let input = Input { slabs: &from_reader, emptied: &to_reader, domain: source.reading.domain };
        let looked = survey(&stages[..look.stages.end], &before, workers, cut, &input, run);
        // Hanging up lets the thread end.
        stop.store(true, Ordering::Relaxed);
        drop((from_reader, to_reader));
        reader.join().map_err(|_| Error::internal("reader", "the reader thread panicked"))?;
        looked
    })
}

/// All slabs through the stages of `before`; the stages behind those get to see them.
fn survey(
    stages: &[Box<dyn Stage>],
    before: &Plans,
    workers: &mut [Box<dyn Worker + '_>],
    cut: &Cut,
    input: &Input<'_>,
    run: &mut Run<'_, '_>,
) -> Result<()> {
    let first = before.stages.len();
    let (workers, lookers) = workers.split_at_mut(first);
    let id = |k: usize| stages[k].info().id;
    // A survey counts as the stage's own processing would, which nobody knows better.
    let seen = before.stages.last().map_or(before.input, |p| p.output);
    let own_costs =
        stages[first..].iter().map(|stage| Ok(stage.plan(seen)?.cost_per_row)).collect::<Result<Vec<f64>>>()?;
    let cost = before.stages.iter().map(|p| p.cost_per_row).chain(own_costs.iter().copied()).sum::<f64>();
    let (total, cost) = (cut.rows.len() as f64, cost.max(f64::MIN_POSITIVE));
    let mut rows_done = 0;
    for slab_rows in cut.slabs() {
        let slab = input.next(run)?;
        run.arrived((rows_done + slab_rows.len()) as f64 / total);
        for own in cut.parts(slab_rows) {
            run.full_rows = before.input.rows;
            let mut part = take(&slab, cut.source.input(own.clone()), cut.halo, input.domain, run)?;
            run.fraction_before = rows_done as f64 / total;
            for (k, (worker, plan)) in workers.iter_mut().zip(&before.stages).enumerate() {
                run.fraction_of_step = own.len() as f64 / total * plan.cost_per_row / cost;
                run.progress.phase(id(k));
                run.full_rows = plan.output.rows;
                part = worker.process(part, run)?;
                run.fraction_before += run.fraction_of_step;
            }
            if part.own_rows() != own || part.data.shape()[0] != own.len() {
                return Err(Error::internal("chain", "a stage lost or kept rows that it should not")
                    .with("rows", format!("{:?}", part.own_rows()))
                    .with("expected", format!("{own:?}")));
            }
            for (k, (looker, own_cost)) in lookers.iter_mut().zip(&own_costs).enumerate() {
                run.fraction_of_step = own.len() as f64 / total * own_cost / cost;
                run.progress.phase(id(first + k));
                looker.survey(&part, run)?;
                run.fraction_before += run.fraction_of_step;
            }
            run.recycle(part.data);
            rows_done += own.len();
            (run.fraction_before, run.fraction_of_step) = (rows_done as f64 / total, 0.0);
            run.tick(0.0)?;
        }
        // The reader may have ended already; then nobody needs the memory.
        let _ = input.emptied.send(slab.band);
    }
    // The next pass takes others.
    run.arrays = Arrays::default();
    for (k, looker) in lookers.iter_mut().enumerate() {
        run.progress.phase(id(first + k));
        looker.survey_done(run)?;
    }
    Ok(())
}
