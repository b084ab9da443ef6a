//! Reader thread → compute on the calling thread → writer thread, over bounded queues.

use super::plan::{Cut, QUEUE, stage_plans};
use super::stage::{Run, Stage, Worker};
use super::survey::read_counts;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::io::SliceSink;
use crate::progress::{Progress, READ, WRITE};
use crate::scan::Scan;
use crate::slab::{Domain, References, Slab};
use ndarray::{ArrayView2, Axis, Slice};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

/// A chain made ready for one scan.
pub(super) struct Prepared {
    pub stages: Vec<Box<dyn Stage>>,
    pub black_views: Arc<[bool]>,
    pub cut: Cut,
}

/// What came out.
pub(super) struct Done {
    pub slices: usize,
    pub range: (f32, f32),
    pub remarks: Vec<String>,
}

/// Runs all slabs. On an error or a wish to stop, slices already computed are still written.
pub(super) fn run(
    ctx: &Context,
    scan: &Scan,
    prepared: &Prepared,
    sink: &mut dyn SliceSink,
    progress: &mut Progress,
) -> Result<Done> {
    let stop = &AtomicBool::new(false);
    thread::scope(|scope| {
        let (to_compute, from_reader) = sync_channel::<Result<Slab>>(QUEUE);
        let (to_writer, from_compute) = sync_channel::<Slab>(QUEUE);
        let reader = scope.spawn(move || read(ctx, scan, prepared, &to_compute, stop));
        let writer =
            scope.spawn(|| write(&mut *sink, &from_compute, prepared.cut.slice).map_err(|e| (e, drop(from_compute))));
        let computed = compute(ctx, scan, prepared, &from_reader, &to_writer, progress);
        // Hanging up on both sides lets the threads end.
        stop.store(true, Ordering::Relaxed);
        drop(from_reader);
        drop(to_writer);
        let read = reader.join().map_err(|_| Error::internal("reader", "the reader thread panicked"));
        let written = writer.join().map_err(|_| Error::internal("writer", "the writer thread panicked"))?;
        // A failed writer makes compute stop, so its error comes first.
        let (slices, range) = written.map_err(|(e, ())| e)?;
        let remarks = computed?;
        read?;
        Ok(Done { slices, range, remarks })
    })
}

fn read(ctx: &Context, scan: &Scan, prepared: &Prepared, out: &SyncSender<Result<Slab>>, stop: &AtomicBool) {
    let mut go_on = |_| if stop.load(Ordering::Relaxed) { Err(Error::cancelled("reader")) } else { Ok(()) };
    for own in prepared.cut.slabs() {
        let slab = read_counts(ctx, scan, own, prepared.cut.halo, &prepared.black_views, &mut go_on);
        let failed = slab.is_err();
        if out.send(slab).is_err() || failed {
            return;
        }
    }
}

/// Waits for the next slab; the listener is still asked while the disk is slow.
fn receive(input: &Receiver<Result<Slab>>, run: &mut Run<'_, '_>) -> Result<Slab> {
    run.progress.phase(READ);
    loop {
        match input.recv_timeout(Duration::from_millis(100)) {
            Ok(slab) => return slab,
            Err(RecvTimeoutError::Timeout) => run.tick(0.0)?,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Error::internal("reader", "the reader stopped without a word"));
            }
        }
    }
}

fn compute(
    ctx: &Context,
    scan: &Scan,
    prepared: &Prepared,
    input: &Receiver<Result<Slab>>,
    output: &SyncSender<Slab>,
    progress: &mut Progress,
) -> Result<Vec<String>> {
    let stages = &prepared.stages;
    let (plans, _) = stage_plans(stages, scan.shape(), prepared.cut.part_rows)?;
    let cost: f64 = plans.iter().map(|p| p.cost_per_row).sum::<f64>().max(f64::MIN_POSITIVE);
    let mut workers: Vec<Box<dyn Worker + '_>> = Vec::with_capacity(stages.len());
    for (stage, plan) in stages.iter().zip(&plans) {
        workers.push(stage.worker(plan)?);
    }
    let (done, total) = (prepared.cut.finished(), prepared.cut.rows.len());
    progress.begin(done, total);
    let fraction_before = done as f64 / total as f64;
    let mut run = Run { context: ctx, progress, done, total, fraction_before, fraction_of_step: 0.0 };
    run.tick(0.0)?;
    for slab_rows in prepared.cut.slabs() {
        let slab = receive(input, &mut run)?;
        run.progress.arrived((run.done + slab_rows.len()) as f64 / total as f64);
        for own in prepared.cut.parts(slab_rows) {
            let mut part = take(&slab, own.clone());
            let mut before = run.done as f64 / total as f64;
            for (worker, (plan, stage)) in workers.iter_mut().zip(plans.iter().zip(stages)) {
                run.fraction_before = before;
                run.fraction_of_step = own.len() as f64 / total as f64 * plan.cost_per_row / cost;
                run.progress.phase(stage.info().id);
                part = worker.process(part, &mut run)?;
                before += run.fraction_of_step;
                if part.domain != plan.output.domain {
                    return Err(Error::internal(stage.info().id, "the stage returned another domain than it planned"));
                }
            }
            if part.own_rows() != own || part.data.shape()[0] != own.len() {
                return Err(Error::internal("chain", "a stage lost or kept rows that it should not")
                    .with("rows", format!("{:?}", part.own_rows()))
                    .with("expected", format!("{own:?}")));
            }
            run.done += own.len();
            run.fraction_before = run.done as f64 / total as f64;
            run.fraction_of_step = 0.0;
            send(output, part, &mut run)?;
            run.tick(0.0)?;
        }
    }
    Ok(workers.iter().flat_map(|w| w.remarks()).collect())
}

/// Hands a finished part to the writer; the listener is still asked while the disk is slow.
fn send(output: &SyncSender<Slab>, mut part: Slab, run: &mut Run<'_, '_>) -> Result<()> {
    run.progress.phase(WRITE);
    loop {
        match output.try_send(part) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(back)) => part = back,
            // Its own error, which says why, goes before this one.
            Err(TrySendError::Disconnected(_)) => return Err(Error::internal("writer", "the writer stopped")),
        }
        thread::sleep(Duration::from_millis(20));
        if let Err(cancelled) = run.tick(0.0) {
            // The part is finished work: it goes out before the run ends.
            let _ = output.send(part);
            return Err(cancelled);
        }
    }
}

/// The rows `own` of a slab with the halo around them.
fn take(slab: &Slab, own: Range<usize>) -> Slab {
    let first = own.start - slab.first_row;
    let rows = Slice::from(first..first + slab.halo.below + own.len() + slab.halo.above);
    let references = slab.references.as_ref().map(|all| {
        Arc::new(References {
            dark: all.dark.slice_axis(Axis(0), rows).to_owned(),
            flats: all.flats.slice_axis(Axis(1), rows).to_owned(),
            flat_time: all.flat_time.clone(),
            view_time: all.view_time.clone(),
            black_views: all.black_views.clone(),
        })
    });
    Slab { data: slab.data.slice_axis(Axis(0), rows).to_owned(), first_row: own.start, references, ..*slab }
}

fn write(sink: &mut dyn SliceSink, input: &Receiver<Slab>, slice: [usize; 2]) -> Result<(usize, (f32, f32))> {
    let (mut slices, mut range) = (0, (f32::INFINITY, f32::NEG_INFINITY));
    for slab in input {
        for (z, image) in slab.own_rows().zip(slab.data.outer_iter()) {
            debug_assert_eq!(image.shape(), slice);
            let of_slice = finite_range(z, image, slab.domain)?;
            range = (range.0.min(of_slice.0), range.1.max(of_slice.1));
            sink.write(z, image)?;
            slices += 1;
        }
    }
    Ok((slices, range))
}

/// Smallest and largest value; NaN or infinity is an error, wherever it came from.
fn finite_range(z: usize, image: ArrayView2<f32>, domain: Domain) -> Result<(f32, f32)> {
    let mut range = (f32::INFINITY, f32::NEG_INFINITY);
    for (row, line) in image.outer_iter().enumerate() {
        for (col, &v) in line.iter().enumerate() {
            if !v.is_finite() {
                let message = format!("a value of the {} is not a number", domain.name());
                return Err(Error::internal("chain", message).with("slice", z).with("row", row).with("column", col));
            }
            range = (range.0.min(v), range.1.max(v));
        }
    }
    Ok(range)
}
