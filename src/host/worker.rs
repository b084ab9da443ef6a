//! Sends the rows of a slab through a plugin, and checks every pixel that comes back.

use super::bridge::{BridgeStage, Msg, PluginWorker, domain, halo};
use super::callbacks::Call;
use super::calls::{Calls, lock};
use super::{NOT_A_NUMBER, NOT_ASKED, OTHER_DIMS};
use crate::chain::{Run, StagePlan, Worker};
use crate::error::{Error, Result};
use crate::slab::{Domain, Halo, References, Slab};
use ndarray::{ArrayView3, s};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use wagiri_plugin::abi;

/// One worker of wagiri: as many workers of the plugin as threads happen to need at once, one in a serial stage.
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

    /// One call with a worker that nobody else uses. `None` if the run is to stop, for then what the call left behind is
    /// of no interest and the caller knows why.
    fn call(
        &self,
        calls: &Calls,
        scratch_bytes: u64,
        body: impl FnOnce(*mut std::ffi::c_void, *const abi::Host, &mut Msg) -> i32,
    ) -> Result<Option<()>> {
        let id = self.stage.desc().info.id;
        let idle = lock(&self.idle).pop();
        let worker = idle.map_or_else(|| self.stage.plugin_worker(&self.plan), Ok)?;
        let call = Call::new(id, &calls.stop, scratch_bytes, self.stage.desc().serial);
        let mut msg = Msg::new();
        let code = body(worker.raw, &call.host(), &mut msg);
        lock(&self.idle).push(worker);
        match code {
            abi::OK | abi::CANCELLED if calls.stop.load(Ordering::Relaxed) => Ok(None),
            abi::OK => Ok(Some(())),
            abi::CANCELLED => Err(Error::plugin(id, format!("the plugin {NOT_ASKED}"))),
            _ => Err(Error::plugin(id, msg.text())),
        }
    }
}

impl Worker for BridgeWorker<'_> {
    fn process(&mut self, slab: Slab, run: &mut Run<'_, '_>) -> Result<Slab> {
        let id = self.stage.desc().info.id;
        let plan = self.stage.raw_plan(slab.shape())?;
        let dims = plan.dims.map(|d| d as usize); // fits, see `raw_plan`
        if dims != self.plan.output.dims {
            return Err(Error::plugin(id, OTHER_DIMS)
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
        let mut output = run.array([rows, dims[0], dims[1]]);
        let (Some(from), Some(to)) = (input.as_slice(), output.as_slice_mut()) else { return Err(not_contiguous(id)) };
        let job = Job {
            worker: self,
            plan,
            from,
            row_len: slab.data.shape()[1] * slab.data.shape()[2],
            first_row: slab.first_row as i64 - halo_left.below as i64,
            dims_in: [slab.data.shape()[1], slab.data.shape()[2]],
            calls: Calls::default(),
        };
        log::debug!("{id}: process of the plugin runs, rows from {}", job.first_row);
        // One call for each row in a parallel stage, one for all in a serial one.
        let rows_per_call = if self.stage.desc().serial { rows.max(1) } else { 1 };
        let chunks = to.chunks_mut(rows_per_call * dims[0] * dims[1]).enumerate();
        let job = &job;
        job.calls.make(chunks.map(|(i, to)| move || job.rows(i * rows_per_call, to)), run)?;
        let references = match self.stage.desc().info.output {
            Domain::Counts => slab.references.map(|r| trim(r, need, rows)),
            _ => None,
        };
        drop(input);
        run.recycle(slab.data);
        let domain = self.stage.desc().info.output;
        Ok(Slab { data: output, domain, first_row: slab.first_row, halo: halo_left, references })
    }

    fn survey(&mut self, slab: &Slab, run: &mut Run<'_, '_>) -> Result<()> {
        let (id, Some((survey, _))) = (self.stage.desc().info.id, self.stage.desc().survey) else { return Ok(()) };
        let scratch_bytes = self.stage.raw_plan(slab.shape())?.scratch_bytes;
        let own: ArrayView3<f32> = slab.data.slice(s![slab.halo.below..slab.data.shape()[0] - slab.halo.above, .., ..]);
        let own = own.as_standard_layout();
        let shape = [own.shape()[0], own.shape()[1], own.shape()[2]].map(|d| d as u64);
        let Some(data) = own.as_slice() else { return Err(not_contiguous(id)) };
        log::debug!("{id}: survey of the plugin runs, rows from {}", slab.first_row);
        let calls = Calls::default();
        let call = || {
            let raw = abi::Slab {
                struct_size: size_of::<abi::Slab>() as u32,
                domain: domain(slab.domain),
                rows: shape[0],
                dims: [shape[1], shape[2]],
                first_row: slab.first_row as i64,
                halo_below: 0,
                halo_above: 0,
                data: data.as_ptr(),
            };
            let body = |worker, host, msg: &mut Msg| {
                // SAFETY: all arguments are as the interface says and live until the call returns; only this call has
                // the worker.
                unsafe { survey(worker, host, &raw, msg.start(), Msg::CAP) }
            };
            self.call(&calls, scratch_bytes, body).map(|_| ()).map_err(|e| e.with("row", slab.first_row))
        };
        calls.make([call].into_iter(), run)
    }

    fn survey_done(&mut self, run: &mut Run<'_, '_>) -> Result<()> {
        let (id, Some((_, done))) = (self.stage.desc().info.id, self.stage.desc().survey) else { return Ok(()) };
        log::debug!("{id}: survey_done of the plugin runs");
        let calls = Calls::default();
        let body = |worker, host, msg: &mut Msg| {
            // SAFETY: all arguments are as the interface says and live until the call returns; only this call has the
            // worker.
            unsafe { done(worker, host, msg.start(), Msg::CAP) }
        };
        calls.make([|| self.call(&calls, 0, body).map(|_| ())].into_iter(), run)
    }
}

fn not_contiguous(id: &str) -> Error {
    Error::internal(id, "a slab is not contiguous")
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
    calls: Calls,
}

impl Job<'_> {
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
        // Shows which pixels a plugin forgot to write.
        to.fill(f32::NAN);
        let out = abi::SlabOut {
            struct_size: size_of::<abi::SlabOut>() as u32,
            domain: domain(info.output),
            rows: rows_out as u64,
            dims: self.plan.dims,
            data: to.as_mut_ptr(),
        };
        let body = |worker, host, msg: &mut Msg| {
            // SAFETY: all arguments are as the interface says and live until the call returns; only this call has the
            // worker; `to` is this call's alone.
            unsafe { (stage.desc().process)(worker, host, &slab, &out, msg.start(), Msg::CAP) }
        };
        let made = self.worker.call(&self.calls, self.plan.scratch_bytes, body).map_err(|e| e.with("row", row))?;
        let Some(()) = made else { return Ok(()) };
        let Some(at) = to.iter().position(|v| !v.is_finite()) else { return Ok(()) };
        let names = if info.output == Domain::Volume { ["z", "y", "x"] } else { ["row", "view", "col"] };
        let row = row + (at / (d0 * d1)) as i64;
        Err(Error::plugin(id, NOT_A_NUMBER).with(names[0], row).with(names[1], at / d1 % d0).with(names[2], at % d1))
    }
}
