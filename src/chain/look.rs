//! A look at the whole volume before its first slice leaves, for stages that ask for one ([`Stage::surveys`]): labels that
//! go on from slab to slab, thresholds from all voxels.
//!
//! Must not know: sinks, the sizes of files.

use super::plan::{Cut, Plans, Reading, rows_at, stage_plans};
use super::read::{Kept, Reader, reader_threads};
use super::run::{Input, read, take};
use super::stage::{Run, Stage, StagePlan, Worker};
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
    let passes = ids.len() + 1;
    let verb = if ids.len() == 1 { "looks" } else { "look" };
    let remark = || format!("{} {verb} at all rows first: the scan is gone through {passes} times", ids.join(", "));
    (!ids.is_empty()).then(remark)
}

/// What a look goes through.
pub(super) struct Looking<'a> {
    pub scan: &'a Scan,
    pub stages: &'a [Box<dyn Stage>],
    pub plans: &'a [StagePlan],
    /// Rows that there are for each stage.
    pub rows_in: &'a [usize],
    pub reading: &'a Reading,
    pub black_views: &'a Arc<[bool]>,
}

/// One pass.
struct Look {
    /// The stage that looks.
    stage: usize,
    /// What it will be given to process, rows around the own ones included, as far as there are any.
    rows: Range<usize>,
}

/// The workers of all stages. Those that survey have done so: one pass for each, in the order of the chain, over all rows,
/// through the stages before it. Rows that an earlier run has finished are looked at too, so that the rest comes out as it
/// would have then. Slices are computed again in the usual pass; they are the same bits. `run` counts on from there.
pub(super) fn look<'s>(on: &Looking<'s>, cut: &Cut, run: &mut Run<'_, '_>) -> Result<Vec<Box<dyn Worker + 's>>> {
    let who = (0..on.stages.len()).filter(|&stage| on.stages[stage].surveys());
    let rows = |stage: usize| {
        let rows = rows_at(on.plans, stage, cut.rows.clone());
        rows.start..rows.end.min(on.rows_in[stage])
    };
    let looks: Vec<Look> = who.map(|stage| Look { stage, rows: rows(stage) }).collect();
    let cost = |plans: &[StagePlan]| plans.iter().map(|p| p.cost_per_row).sum::<f64>();
    let work = |look: &Look| look.rows.len() as f64 * cost(&on.plans[..=look.stage]);
    let left = (cut.rows.len() - cut.finished()) as f64 * cost(on.plans);
    let all = (looks.iter().map(work).sum::<f64>() + left).max(f64::MIN_POSITIVE);
    let (found, mut before) = (cut.finished() as f64 / cut.rows.len() as f64, 0.0);
    let mut surveyed: Vec<Box<dyn Worker + 's>> = Vec::new();
    for look in &looks {
        let part = work(look) / all;
        run.span = (found + (1.0 - found) * before, (1.0 - found) * part);
        let Plans { source, halo, .. } = stage_plans(&on.stages[..look.stage], on.reading, cut.part_rows)?;
        let (rows, left) = (look.rows.clone(), vec![look.rows.clone()]);
        let cut = Cut { rows, left, source, halo, grain_rows: 1, ..cut.clone() };
        // The others are made anew for each pass, so that what they count for their remarks is that of one pass.
        let mut passing = workers(&on.stages[..=look.stage], on.plans, surveyed)?;
        pass(on, look, &mut passing, &cut, run)?;
        surveyed = passing.into_iter().zip(on.stages).filter(|(_, s)| s.surveys()).map(|(worker, _)| worker).collect();
        before += part;
    }
    run.span = (before, 1.0 - before);
    workers(on.stages, on.plans, surveyed)
}

/// A worker for each stage: the first that survey are `surveyed` already.
fn workers<'s>(
    stages: &'s [Box<dyn Stage>],
    plans: &[StagePlan],
    surveyed: Vec<Box<dyn Worker + 's>>,
) -> Result<Vec<Box<dyn Worker + 's>>> {
    let mut surveyed = surveyed.into_iter();
    let known = |stage: &dyn Stage| if stage.surveys() { surveyed.next() } else { None };
    let made = stages.iter().map(|s| &**s).map(known).collect::<Vec<_>>();
    made.into_iter()
        .zip(stages.iter().zip(plans))
        .map(|(known, (s, plan))| known.map_or_else(|| s.worker(plan), Ok))
        .collect()
}

fn pass(
    on: &Looking<'_>,
    look: &Look,
    workers: &mut [Box<dyn Worker + '_>],
    cut: &Cut,
    run: &mut Run<'_, '_>,
) -> Result<()> {
    let stop = &AtomicBool::new(false);
    thread::scope(|scope| {
        let (to_compute, from_reader) = sync_channel(cut.slabs);
        let (to_reader, emptied_slabs) = channel();
        let (scan, threads, black_views) = (on.scan, reader_threads(run.context), on.black_views);
        let reader = Reader { scan, threads, halo: cut.halo, black_views, kept: Kept::default() };
        let reader = scope.spawn(move || read(reader, cut, &emptied_slabs, &to_compute, stop));
        let input = Input { slabs: &from_reader, emptied: &to_reader };
        let looked = survey(on, look.stage, workers, cut, &input, run);
        // Hanging up lets the thread end.
        stop.store(true, Ordering::Relaxed);
        drop((from_reader, to_reader));
        reader.join().map_err(|_| Error::internal("reader", "the reader thread panicked"))?;
        looked
    })
}

/// All slabs through the stages before `last`, which then gets to see them.
fn survey(
    on: &Looking<'_>,
    last: usize,
    workers: &mut [Box<dyn Worker + '_>],
    cut: &Cut,
    input: &Input<'_>,
    run: &mut Run<'_, '_>,
) -> Result<()> {
    let (stages, plans) = (on.stages, on.plans);
    let cost = plans[..=last].iter().map(|p| p.cost_per_row).sum::<f64>().max(f64::MIN_POSITIVE);
    let total = cut.rows.len() as f64;
    let mut rows_done = 0;
    for slab_rows in cut.slabs() {
        let slab = input.next(run)?;
        run.arrived((rows_done + slab_rows.len()) as f64 / total);
        for own in cut.parts(slab_rows) {
            let mut part = take(&slab, cut.source.input(own.clone()), cut.halo, on.reading.domain, run);
            run.fraction_before = rows_done as f64 / total;
            for (k, worker) in workers[..=last].iter_mut().enumerate() {
                run.fraction_of_step = own.len() as f64 / total * plans[k].cost_per_row / cost;
                run.progress.phase(stages[k].info().id);
                if k < last {
                    part = worker.process(part, run)?;
                } else {
                    worker.survey(&part, run)?;
                }
                run.fraction_before += run.fraction_of_step;
            }
            run.recycle(part.data);
            rows_done += own.len();
            run.fraction_of_step = 0.0;
            run.tick(0.0)?;
        }
        // The reader may have ended already; then nobody needs the memory.
        let _ = input.emptied.send(slab.band);
    }
    run.progress.phase(stages[last].info().id);
    workers[last].survey_done(run)
}
