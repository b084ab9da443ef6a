//! Sends the rows of a slab through a plugin: on the pool, while the calling thread reports progress and watches for
//! cancellation. Checks every pixel that comes back.

use super::bridge::{BridgeStage, Msg, PluginWorker, domain, halo};
use super::callbacks::Call;
use crate::chain::{Run, StagePlan, Worker};
use crate::error::{Error, Result};
use crate::slab::{Domain, Halo, References, Slab};
use ndarray::{Array3, s};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use wagiri_plugin::abi;

/// How often the listener hears from us.
const TICK: Duration = Duration::from_millis(50);

/// One worker of wagiri: as many workers of the plugin as threads happen to need at once.
pub(super) struct BridgeWorker<'s> {
    stage: &'s BridgeStage,
    plan: StagePlan,
    idle: Mutex<Vec<PluginWorker>>,
}

impl<'s> BridgeWorker<'s> {
    /// Makes the first worker of the plugin, so that its failure shows before the run.
    pub(super) fn new(stage: &'s BridgeStage, plan: StagePlan) -> Result<Self> {
        Ok(BridgeWorker { stage, plan, idle: Mutex::new(vec![stage.plugin_worker(&plan)?]) })
    }
}

impl Worker for BridgeWorker<'_> {
    fn process(&mut self, slab: Slab, run: &mut Run<'_, '_>) -> Result<Slab> {
        let id = self.stage.desc().info.id;
        let plan = self.stage.raw_plan(slab.shape())?;
        let dims = plan.dims.map(|d| d as usize); // fits, see `raw_plan`
        if dims != self.plan.output.dims {
            return Err(Error::plugin(id, "the output has other dimensions than were planned")
                .with("planned", format!("{:?}", self.plan.output.dims))
                .with("now", format!("{dims:?}")));
        }
        let need = halo(&plan);
        let left = |have: usize, need: usize| {
            have.checked_sub(need).ok_or_else(|| {
                Error::internal(id, "the slab has less halo than planned").with("halo", format!("{:?}", slab.halo))
            })
        };
        let halo_left = Halo { below: left(slab.halo.below, need.below)?, above: left(slab.halo.above, need.above)? };
        let rows = slab.data.shape()[0].saturating_sub(need.below + need.above);

        let input = slab.data.as_standard_layout();
        // NaN shows which pixels a plugin forgot to write.
        let mut output = Array3::from_elem((rows, dims[0], dims[1]), f32::NAN);
        let (Some(from), Some(to)) = (input.as_slice(), output.as_slice_mut()) else {
            return Err(Error::internal(id, "a slab is not contiguous"));
        };
        let job = Job {
            worker: self,
            plan,
            from,
            row_len: slab.data.shape()[1] * slab.data.shape()[2],
            first_row: slab.first_row as i64 - halo_left.below as i64,
            dims_in: [slab.data.shape()[1], slab.data.shape()[2]],
            stop: AtomicBool::new(false),
            failure: Mutex::new(None),
        };
        job.all(to, rows, run)?;
        let references = match self.stage.desc().info.output {
            Domain::Counts => slab.references.map(|r| trim(r, need, rows)),
            _ => None,
        };
        drop(input);
        let domain = self.stage.desc().info.output;
        Ok(Slab { data: output, domain, first_row: slab.first_row, halo: halo_left, references })
    }
}

/// References of the rows that remain.
fn trim(references: Arc<References>, need: Halo, rows: usize) -> Arc<References> {
    if need == Halo::default() {
        return references;
    }
    let keep = need.below..need.below + rows;
    Arc::new(References {
        dark: references.dark.slice(s![keep.clone(), ..]).to_owned(),
        flats: references.flats.slice(s![.., keep, ..]).to_owned(),
        flat_time: references.flat_time.clone(),
        view_time: references.view_time.clone(),
        black_views: references.black_views.clone(),
    })
}

/// One slab on its way.
struct Job<'a> {
    worker: &'a BridgeWorker<'a>,
    plan: abi::StagePlan,
    /// Input, halo included.
    from: &'a [f32],
    row_len: usize,
    dims_in: [usize; 2],
    /// Detector row of the first output row.
    first_row: i64,
    stop: AtomicBool,
    /// Of those that failed, the lowest call.
    failure: Mutex<Option<(usize, Error)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Job<'_> {
    /// All rows: one call each in a parallel stage, one call in a serial one.
    fn all(&self, to: &mut [f32], rows: usize, run: &mut Run<'_, '_>) -> Result<()> {
        let serial = self.worker.stage.desc().serial;
        let rows_per_call = if serial { rows.max(1) } else { 1 };
        let len_out = (self.plan.dims[0] * self.plan.dims[1]) as usize;
        let calls = rows.div_ceil(rows_per_call);
        let pool = run.context.pool();
        let inside = pool.current_thread_index().is_some();
        let (done, finished) = channel();
        let watched = pool.in_place_scope(|scope| {
            for (call, to) in to.chunks_mut(rows_per_call * len_out).enumerate() {
                let done = done.clone();
                scope.spawn(move |_| {
                    if !self.stop.load(Ordering::Relaxed)
                        && let Err(error) = self.rows(call * rows_per_call, to)
                    {
                        self.stop.store(true, Ordering::Relaxed);
                        let mut failure = lock(&self.failure);
                        if failure.as_ref().is_none_or(|(first, _)| call < *first) {
                            *failure = Some((call, error));
                        }
                    }
                    // Nobody listens any more only if the scope panics.
                    let _ = done.send(());
                });
            }
            drop(done);
            self.watch(&finished, calls, inside, run)
        });
        watched?;
        match lock(&self.failure).take() {
            Some((_, error)) => Err(error),
            None => run.tick(1.0),
        }
    }

    /// Waits for `calls` calls. Tells the listener on this thread, as listeners demand; stops the calls if it says so.
    fn watch(&self, finished: &Receiver<()>, calls: usize, inside: bool, run: &mut Run<'_, '_>) -> Result<()> {
        let mut outcome = Ok(());
        let mut done = 0;
        let mut told = Instant::now();
        while done < calls {
            // On a thread of the pool, waiting would keep the calls from ever running: help instead.
            let message = if inside {
                let idle = rayon::yield_now() != Some(rayon::Yield::Executed);
                match finished.try_recv() {
                    Ok(()) => Ok(()),
                    Err(TryRecvError::Disconnected) => Err(RecvTimeoutError::Disconnected),
                    Err(TryRecvError::Empty) => {
                        if idle {
                            std::thread::sleep(Duration::from_millis(1));
                        }
                        Err(RecvTimeoutError::Timeout)
                    }
                }
            } else {
                finished.recv_timeout(TICK)
            };
            match message {
                Ok(()) => done += 1,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break, // a call panicked; the scope passes that on
            }
            if outcome.is_ok() && told.elapsed() >= TICK {
                told = Instant::now();
                outcome = run.tick(done as f64 / calls as f64);
                if outcome.is_err() {
                    self.stop.store(true, Ordering::Relaxed);
                }
            }
        }
        outcome
    }

    /// One call of the plugin: output rows from `first` on, as many as fit into `to`.
    fn rows(&self, first: usize, to: &mut [f32]) -> Result<()> {
        let stage = self.worker.stage;
        let (id, info) = (stage.desc().info.id, stage.desc().info);
        let need = halo(&self.plan);
        let [d0, d1] = self.plan.dims.map(|d| d as usize);
        let rows_out = to.len() / (d0 * d1);
        let rows_in = rows_out + need.below + need.above;
        let from = self.from.get(first * self.row_len..(first + rows_in) * self.row_len);
        let from = from.ok_or_else(|| Error::internal(id, "rows outside the slab"))?;
        let row = self.first_row + first as i64;

        let slab = abi::Slab {
            struct_size: size_of::<abi::Slab>() as u32,
            domain: domain(info.input),
            rows: rows_in as u64,
            dims: self.dims_in.map(|d| d as u64),
            first_row: row,
            halo_below: self.plan.halo_below,
            halo_above: self.plan.halo_above,
            data: from.as_ptr(),
        };
        let out = abi::SlabOut {
            struct_size: size_of::<abi::SlabOut>() as u32,
            domain: domain(info.output),
            rows: rows_out as u64,
            dims: self.plan.dims,
            data: to.as_mut_ptr(),
        };
        let idle = lock(&self.worker.idle).pop();
        let worker = idle.map_or_else(|| stage.plugin_worker(&self.worker.plan), Ok)?;
        let call = Call::new(id, &self.stop, self.plan.scratch_bytes, stage.desc().serial);
        let mut msg = Msg::new();
        let host = call.host();
        // SAFETY: all arguments are as the interface says and live until the call returns; the worker was taken out of
        // the list, so no other thread uses it; `to` is this call's alone.
        let code = unsafe { (stage.desc().process)(worker.raw, &host, &slab, &out, msg.start(), Msg::CAP) };
        lock(&self.worker.idle).push(worker);
        match code {
            // The slab is given up: the caller knows why, and what this call left behind is of no interest.
            abi::OK | abi::CANCELLED if self.stop.load(Ordering::Relaxed) => return Ok(()),
            abi::OK => {}
            abi::CANCELLED => {
                return Err(Error::plugin(id, "the plugin stopped as if cancelled, but nobody asked").with("row", row));
            }
            _ => return Err(Error::plugin(id, msg.text()).with("row", row)),
        }
        let Some(at) = to.iter().position(|v| !v.is_finite()) else { return Ok(()) };
        let names = if info.output == Domain::Volume { ["z", "y", "x"] } else { ["row", "view", "col"] };
        let row = row + (at / (d0 * d1)) as i64;
        Err(Error::plugin(id, "the plugin wrote NaN or infinity, or did not write this pixel")
            .with(names[0], row)
            .with(names[1], at / d1 % d0)
            .with(names[2], at % d1))
    }
}
