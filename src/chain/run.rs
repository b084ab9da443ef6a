//! Reader thread → compute on the calling thread → writer thread, over bounded queues.

use super::look::{Source, look};
use super::plan::{Cut, Reading, stage_plans};
use super::read::{Kept, RawSlab, Reader, reader_threads};
use super::stage::{Run, Stage, StagePlan, Worker};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::io::SliceSink;
use crate::progress::{Progress, READ, WRITE};
use crate::scan::{Band, BandMut, Scan};
use crate::slab::{Domain, Halo, References, Slab};
use ndarray::{Array3, ArrayView2, ArrayViewMut3, Axis, Slice};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

/// How long to wait for a disk before the listener is asked again.
const PATIENCE: Duration = Duration::from_millis(100);

/// A chain made ready for one scan.
pub(super) struct Prepared {
    pub stages: Vec<Box<dyn Stage>>,
    /// Rows that each stage gets of the whole scan.
    pub rows_before: Vec<usize>,
    pub black_views: Arc<[bool]>,
    pub reading: Reading,
    pub cut: Cut,
    /// Counts that are known already.
    pub kept: Kept,
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
    prepared: Prepared,
    sink: &mut dyn SliceSink,
    progress: &mut Progress,
) -> Result<Done> {
    let stop = &AtomicBool::new(false);
    let Prepared { stages, rows_before, black_views, reading, cut, kept } = prepared;
    let (black_views, cut) = (&black_views, &cut);
    let plans = stage_plans(&stages, &reading, cut.part_rows)?.stages;
    let mut run = Run::of_cut(ctx, progress, cut.finished(), cut.rows.len());
    let source = Source { scan, reading: &reading, rows_before: &rows_before, black_views };
    let mut workers = look(&source, &stages, &plans, cut, &mut run)?;
    thread::scope(|scope| {
        let (to_compute, from_reader) = sync_channel(cut.slabs);
        let (to_reader, emptied_slabs) = channel();
        let (to_writer, from_compute) = channel::<Slab>();
        let (written, emptied_parts) = channel();
        let reader = Reader { scan, threads: reader_threads(ctx), halo: cut.halo, black_views, kept };
        let reader = scope.spawn(move || read(reader, cut, &emptied_slabs, &to_compute, stop));
        let writer = scope.spawn(|| {
            write(&mut *sink, &from_compute, &written, cut.slice).map_err(|e| (e, drop(from_compute), drop(written)))
        });
        let input = Input { slabs: &from_reader, emptied: &to_reader, domain: reading.domain };
        let output = Output { parts: &to_writer, emptied: &emptied_parts, waiting: 0 };
        let computed = compute(&stages, &plans, &mut workers, cut, input, output, &mut run);
        run.progress.phase(WRITE);
        // Hanging up on both sides lets the threads end.
        stop.store(true, Ordering::Relaxed);
        drop((from_reader, to_reader));
        drop(to_writer);
        let read = reader.join().map_err(|_| Error::internal("reader", "the reader thread panicked"));
        let written = writer.join().map_err(|_| Error::internal("writer", "the writer thread panicked"))?;
        // A failed writer makes compute stop, so its error comes first.
        let (slices, range) = written.map_err(|(e, ..)| e)?;
        let remarks = computed?;
        read?;
        Ok(Done { slices, range, remarks })
    })
}

/// Fills as many slabs as the plan allows; then one for each that comes back empty.
pub(super) fn read(
    mut reader: Reader<'_>,
    cut: &Cut,
    emptied: &Receiver<Band>,
    out: &SyncSender<Result<RawSlab>>,
    stop: &AtomicBool,
) {
    let mut go_on = |_| if stop.load(Ordering::Relaxed) { Err(Error::cancelled("reader")) } else { Ok(()) };
    for (i, own) in cut.slabs().enumerate() {
        let memory = if i < cut.slabs { None } else { emptied.recv().ok() };
        if i >= cut.slabs && memory.is_none() {
            return;
        }
        let slab = reader.read(cut.source.input(own), memory, &mut go_on);
        let failed = slab.is_err();
        if out.send(slab).is_err() || failed {
            return;
        }
    }
}

/// From the reader, and back.
pub(super) struct Input<'a> {
    pub slabs: &'a Receiver<Result<RawSlab>>,
    pub emptied: &'a Sender<Band>,
    pub domain: Domain,
}

impl Input<'_> {
    /// Waits for the next slab; the listener is still asked while the disk is slow.
    pub fn next(&self, run: &mut Run<'_, '_>) -> Result<RawSlab> {
        run.progress.phase(READ);
        loop {
            match self.slabs.recv_timeout(PATIENCE) {
                Ok(slab) => return slab,
                Err(RecvTimeoutError::Timeout) => run.tick(0.0)?,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::internal("reader", "the reader stopped without a word"));
                }
            }
        }
    }
}

/// To the writer, and back.
struct Output<'a> {
    parts: &'a Sender<Slab>,
    emptied: &'a Receiver<Array3<f32>>,
    /// Parts that the writer has not given back.
    waiting: usize,
}

impl Output<'_> {
    /// Waits until the writer holds fewer than `most` parts; the listener is still asked while the disk is slow.
    fn wait_below(&mut self, most: usize, run: &mut Run<'_, '_>) -> Result<()> {
        while self.waiting >= most {
            run.progress.phase(WRITE);
            match self.emptied.recv_timeout(PATIENCE) {
                Ok(array) => {
                    run.recycle(array);
                    self.waiting -= 1;
                }
                Err(RecvTimeoutError::Timeout) => run.tick(0.0)?,
                // Its own error, which says why, goes before this one.
                Err(RecvTimeoutError::Disconnected) => return Err(Error::internal("writer", "the writer stopped")),
            }
        }
        Ok(())
    }
    fn send(&mut self, part: Slab) -> Result<()> {
        self.waiting += 1;
        self.parts.send(part).map_err(|_| Error::internal("writer", "the writer stopped"))
    }
}

fn compute(
    stages: &[Box<dyn Stage>],
    plans: &[StagePlan],
    workers: &mut [Box<dyn Worker + '_>],
    cut: &Cut,
    input: Input<'_>,
    mut output: Output<'_>,
    run: &mut Run<'_, '_>,
) -> Result<Vec<String>> {
    let cost: f64 = plans.iter().map(|p| p.cost_per_row).sum::<f64>().max(f64::MIN_POSITIVE);
    let total = run.total;
    run.fraction_before = run.done as f64 / total as f64;
    run.tick(0.0)?;
    let rows_read = cut.part_rows * cut.source.step + cut.halo.below + cut.halo.above;
    for slab_rows in cut.slabs() {
        let slab = input.next(run)?;
        run.arrived((run.done + slab_rows.len()) as f64 / total as f64);
        let mut slab = Some(slab);
        let parts: Vec<Range<usize>> = cut.parts(slab_rows).collect();
        for (i, own) in parts.iter().cloned().enumerate() {
            let Some(raw) = &slab else { break };
            if cut.last_change.is_none() {
                output.wait_below(cut.volumes, run)?;
            }
            run.full_rows = rows_read;
            let mut part = take(raw, cut.source.input(own.clone()), cut.halo, input.domain, run)?;
            if i + 1 == parts.len()
                && let Some(raw) = slab.take()
            {
                // The reader may have ended already; then nobody needs the memory.
                let _ = input.emptied.send(raw.band);
            }
            let mut before = run.done as f64 / total as f64;
            for (k, (worker, (plan, stage))) in workers.iter_mut().zip(plans.iter().zip(stages)).enumerate() {
                run.fraction_before = before;
                if cut.last_change == Some(k) {
                    run.fraction_of_step = 0.0;
                    output.wait_below(cut.volumes, run)?;
                }
                run.fraction_of_step = own.len() as f64 / total as f64 * plan.cost_per_row / cost;
                run.full_rows = plan.output.rows;
                run.progress.phase(stage.info().id);
                part = worker.process(part, run)?;
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
            output.send(part)?;
            run.tick(0.0)?;
        }
    }
    Ok(workers.iter().flat_map(|w| w.remarks()).collect())
}

/// The rows `own` of a slab with the halo around them, as `f32`. Sinograms and slices must be numbers: stages such as a median
/// would make numbers of NaN. Counts are checked where they are converted.
pub(super) fn take(
    slab: &RawSlab,
    own: Range<usize>,
    halo: Halo,
    domain: Domain,
    run: &mut Run<'_, '_>,
) -> Result<Slab> {
    let first = own.start - slab.first_row;
    let rows = first..first + halo.below + own.len() + halo.above;
    let [_, views, cols] = slab.band.shape();
    let mut data = run.array([rows.len(), views, cols]);
    let copied: Vec<Result<()>> = run.context.pool().install(|| {
        let lines: Vec<_> = data.axis_chunks_iter_mut(Axis(0), 1).enumerate().collect();
        let copy = |(i, mut out): (usize, ArrayViewMut3<f32>)| {
            let row = rows.start + i;
            slab.band.copy_to(row..row + 1, 0..views, &mut BandMut::F32(out.view_mut()));
            // Rows of the halo may repeat the last one there is.
            let number = (own.start + i).saturating_sub(halo.below);
            if domain == Domain::Counts { Ok(()) } else { numbers_only(number, out.index_axis(Axis(0), 0), domain) }
        };
        lines.into_par_iter().map(copy).collect()
    });
    copied.into_iter().collect::<Result<()>>()?;
    let rows = Slice::from(rows);
    let references = slab.references.as_ref().map(|all| {
        Arc::new(References {
            dark: all.dark.slice_axis(Axis(0), rows).to_owned(),
            flats: all.flats.slice_axis(Axis(1), rows).to_owned(),
            flat_time: all.flat_time.clone(),
            view_time: all.view_time.clone(),
            black_views: all.black_views.clone(),
        })
    });
    Ok(Slab { data, domain, first_row: own.start, halo, references })
}

/// Refuses a slice or sinogram that was read with NaN or infinity in it.
fn numbers_only(number: usize, image: ArrayView2<f32>, domain: Domain) -> Result<()> {
    let (what, lines) = if domain == Domain::Volume { ("slice", "row") } else { ("sinogram", "view") };
    match image.indexed_iter().find(|(_, v)| !v.is_finite()) {
        None => Ok(()),
        Some(((line, col), value)) => Err(Error::format(
            what,
            format!("the {what} that was read holds a value that is not a finite number; replace such values first"),
        )
        .with(what, number)
        .with(lines, line)
        .with("column", col)
        .with("value", value)),
    }
}

fn write(
    sink: &mut dyn SliceSink,
    input: &Receiver<Slab>,
    emptied: &Sender<Array3<f32>>,
    slice: [usize; 2],
) -> Result<(usize, (f32, f32))> {
    let (mut slices, mut range) = (0, (f32::INFINITY, f32::NEG_INFINITY));
    for slab in input {
        for (z, image) in slab.own_rows().zip(slab.data.outer_iter()) {
            debug_assert_eq!(image.shape(), slice);
            let of_slice = finite_range(z, image, slab.domain)?;
            range = (range.0.min(of_slice.0), range.1.max(of_slice.1));
            sink.write(z, image)?;
            slices += 1;
        }
        // After the last part nobody waits for it.
        let _ = emptied.send(slab.data);
    }
    Ok((slices, range))
}

/// Smallest and largest value; NaN or infinity, which only numbers near the limits of 32 bits can become here, is an error.
fn finite_range(z: usize, image: ArrayView2<f32>, domain: Domain) -> Result<(f32, f32)> {
    let mut range = (f32::INFINITY, f32::NEG_INFINITY);
    for (row, line) in image.outer_iter().enumerate() {
        let Some((low, high)) = crate::post::finite_range(line.as_standard_layout().as_slice().unwrap_or_default())
        else {
            let col = line.iter().position(|v| !v.is_finite()).unwrap_or(0);
            let message = format!("a value of the {} became too large for a 32-bit number", domain.name());
            return Err(Error::limit("chain", message).with("slice", z).with("row", row).with("column", col));
        };
        range = (range.0.min(low), range.1.max(high));
    }
    Ok(range)
}
