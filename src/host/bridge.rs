//! A plugin's stage behind wagiri's own traits.

use super::callbacks::Call;
use super::describe::Described;
use super::worker::BridgeWorker;
use super::{NO_REASON, NO_SENSE, NOT_ENDED};
use crate::chain::{ParamKind, ParamValue, Params, Setup, Stage, StageFactory, StageInfo, StagePlan, Worker};
use crate::error::{Error, Result};
use crate::geometry::Center;
use crate::slab::{Domain, Halo, RowMap, SlabShape};
use std::ffi::{CString, c_char, c_void};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use wagiri_plugin::abi;

/// No detector has more rows than this; a larger halo is nonsense.
const MAX_HALO: u32 = 1 << 16;
/// An hour for a pixel.
const MAX_COST: f64 = 1e12;

/// Makes stages of one kind.
pub(super) struct Factory(Arc<Described>);

impl Factory {
    pub(super) fn new(stage: Arc<Described>) -> Self {
        Factory(stage)
    }
}

impl StageFactory for Factory {
    fn info(&self) -> &'static StageInfo {
        self.0.info
    }
    fn create(&self, params: &Params, setup: &Setup) -> Result<Box<dyn Stage>> {
        let id = self.0.info.id;
        let (values, _texts) = values(params)?;
        let (at_row_0, per_row) = match setup.geometry.center {
            Center::Fixed(px) => (px, 0.0),
            line @ Center::Line { row0, px0, row1, px1 } => (line.at(0), (px1 - px0) / (row1 - row0)),
        };
        let raw_setup = abi::Setup {
            struct_size: size_of::<abi::Setup>() as u32,
            reserved: 0,
            views: setup.geometry.angles_rad.len() as u64,
            rows: setup.shape.rows as u64,
            cols: setup.shape.cols as u64,
            flats: setup.shape.flats as u64,
            angles_rad: setup.geometry.angles_rad.as_ptr(),
            center_px: at_row_0,
            center_px_per_row: per_row,
            pixel_um: setup.geometry.pixel_um,
        };
        let never = AtomicBool::new(false);
        let call = Call::new(id, &never, 0, false);
        let mut msg = Msg::new();
        let host = call.host();
        log::debug!("{id}: create of the plugin runs");
        // SAFETY: all arguments are as the interface says and live until the call returns.
        let this = unsafe { (self.0.create)(&host, &raw_setup, values.as_ptr(), msg.start(), Msg::CAP) };
        if this.is_null() {
            return Err(Error::plugin(id, msg.text()));
        }
        let threads = setup.threads.max(1) as u64;
        let (halo, works) = (OnceLock::new(), AtomicBool::new(false));
        Ok(Box::new(BridgeStage { this, desc: self.0.clone(), threads, halo, works }))
    }
}

/// Parameters as the interface wants them, and the texts that they point to.
fn values(params: &Params) -> Result<(Vec<abi::Value>, Vec<CString>)> {
    let mut texts = Vec::new();
    let mut values = Vec::new();
    for (info, value) in params.iter() {
        let mut raw = abi::Value { kind: abi::AUTO, reserved: 0, integer: 0, number: 0.0, text: std::ptr::null() };
        match value {
            ParamValue::Auto => {}
            ParamValue::Int(v) => (raw.kind, raw.integer, raw.number) = (abi::INT, *v, *v as f64),
            ParamValue::Float(v) => (raw.kind, raw.number) = (abi::FLOAT, *v),
            ParamValue::Bool(v) => (raw.kind, raw.integer) = (abi::BOOL, (*v).into()),
            ParamValue::Text(v) => {
                let place = params.info().id;
                let text = CString::new(v.as_bytes())
                    .map_err(|_| Error::invalid(place, format!("{}: text must not hold a zero byte", info.name)))?;
                raw.kind = abi::TEXT;
                if let ParamKind::Choice(words) = info.kind {
                    raw.kind = abi::CHOICE;
                    raw.integer = words.iter().position(|w| w == v).map_or(-1, |i| i as i64);
                }
                raw.text = text.as_ptr(); // stays where it is when the CString moves
                texts.push(text);
            }
        }
        values.push(raw);
    }
    Ok((values, texts))
}

/// A stage that a plugin made.
pub(super) struct BridgeStage {
    this: *mut c_void,
    desc: Arc<Described>,
    /// Calls that a parallel stage can have at a time.
    threads: u64,
    /// Of the first plan; it may not depend on the slab height.
    halo: OnceLock<Halo>,
    /// The log has its name.
    works: AtomicBool,
}

// SAFETY: by the interface, what `create` returned may be used from any thread, several at once.
unsafe impl Send for BridgeStage {}
// SAFETY: as above.
unsafe impl Sync for BridgeStage {}

impl Drop for BridgeStage {
    fn drop(&mut self) {
        if let Some(destroy) = self.desc.destroy {
            // SAFETY: called once; workers borrow the stage, so none is left.
            unsafe { destroy(self.this) }
        }
    }
}

impl BridgeStage {
    pub(super) fn desc(&self) -> &Described {
        &self.desc
    }

    /// Asks the plugin, and refuses nonsense. `scratch_bytes` is that of one call.
    pub(super) fn raw_plan(&self, input: SlabShape) -> Result<abi::StagePlan> {
        let info = self.desc.info;
        if input.domain != info.input {
            let message = format!("got {} instead of {}", input.domain.name(), info.input.name());
            return Err(Error::internal(info.id, message));
        }
        let dims = input.dims.map(|d| d as u64);
        let shape = abi::SlabShape {
            struct_size: size_of::<abi::SlabShape>() as u32,
            domain: domain(input.domain),
            rows: input.rows as u64,
            dims,
        };
        let mut plan = abi::StagePlan {
            struct_size: size_of::<abi::StagePlan>() as u32,
            halo_below: 0,
            halo_above: 0,
            reserved: 0,
            dims,
            scratch_bytes: 0,
            cost_per_row: 1.0,
        };
        if let Some(plan_fn) = self.desc.plan {
            let mut msg = Msg::new();
            if self.halo.get().is_none() {
                // Once: the planner asks for many heights.
                log::debug!("{}: plan of the plugin runs", info.id);
            }
            // SAFETY: all arguments are as the interface says and live until the call returns.
            let code = unsafe { plan_fn(self.this, &shape, &mut plan, msg.start(), Msg::CAP) };
            if code != abi::OK {
                return Err(Error::plugin(info.id, msg.text()));
            }
        }
        let bad = |message: &str| Error::plugin(info.id, format!("{NO_SENSE}: {message}"));
        let pixels = plan.dims.iter().try_fold(input.rows as u64, |n, &d| n.checked_mul(d));
        // 2^40 pixels: far beyond any slab, and small enough that its bytes fit everywhere.
        if plan.dims.contains(&0) || pixels.is_none_or(|n| n > 1 << 40) {
            return Err(bad("inner dimensions of an output").with("dims", format!("{:?}", plan.dims)));
        }
        if info.output == Domain::Counts && plan.dims != dims {
            return Err(bad("counts must keep their dimensions").with("dims", format!("{:?}", plan.dims)));
        }
        if plan.halo_below > MAX_HALO || plan.halo_above > MAX_HALO {
            return Err(bad("halo").with("below", plan.halo_below).with("above", plan.halo_above));
        }
        let halo = halo(&plan);
        let first = *self.halo.get_or_init(|| halo);
        if halo != first {
            let message = "the halo changes with the height of the slab";
            return Err(bad(message).with("halo", format!("{halo:?}")).with("before", format!("{first:?}")));
        }
        if !(0.0..=MAX_COST).contains(&plan.cost_per_row) {
            return Err(bad("cost of a row").with("cost_per_row", plan.cost_per_row));
        }
        Ok(plan)
    }

    /// Mutable state for one thread.
    pub(super) fn plugin_worker(&self, plan: &StagePlan) -> Result<PluginWorker> {
        if !self.works.swap(true, Ordering::Relaxed) {
            log::info!("{}: a stage of a plugin begins to work", self.desc.info.id);
        }
        let Some(worker_new) = self.desc.worker_new else { return Ok(PluginWorker { raw: self.this, free: None }) };
        let raw_plan = abi::StagePlan {
            struct_size: size_of::<abi::StagePlan>() as u32,
            halo_below: plan.halo.below as u32,
            halo_above: plan.halo.above as u32,
            reserved: 0,
            dims: plan.output.dims.map(|d| d as u64),
            scratch_bytes: plan.scratch_bytes,
            cost_per_row: plan.cost_per_row,
        };
        let mut msg = Msg::new();
        log::debug!("{}: worker_new of the plugin runs", self.desc.info.id);
        // SAFETY: all arguments are as the interface says and live until the call returns.
        let raw = unsafe { worker_new(self.this, &raw_plan, msg.start(), Msg::CAP) };
        if raw.is_null() {
            return Err(Error::plugin(self.desc.info.id, msg.text()));
        }
        Ok(PluginWorker { raw, free: self.desc.worker_free })
    }
}

impl Stage for BridgeStage {
    fn info(&self) -> &'static StageInfo {
        self.desc.info
    }
    fn plan(&self, input: SlabShape) -> Result<StagePlan> {
        let plan = self.raw_plan(input)?;
        let halo = halo(&plan);
        let rows = input.rows.saturating_sub(halo.below + halo.above);
        let calls = if self.desc.serial { 1 } else { self.threads.min(rows as u64) };
        // Fits: checked against 2^40 pixels.
        let output = SlabShape { domain: self.desc.info.output, rows, dims: plan.dims.map(|d| d as usize) };
        let bytes = |shape: SlabShape| shape.row_bytes() * shape.rows as u64;
        // The planner takes a stage that keeps the size for one that works in place. A plugin never does.
        let beside = if bytes(output) == bytes(input) { bytes(output) } else { 0 };
        Ok(StagePlan {
            output,
            halo,
            scratch_bytes: plan.scratch_bytes.saturating_mul(calls).saturating_add(beside),
            kept_bytes: 0,
            // One is a few operations, about two nanoseconds, for each pixel.
            cost_per_row: plan.cost_per_row * 2.0 * (plan.dims[0] * plan.dims[1]) as f64,
            rows: RowMap::default(),
        })
    }
    fn after(&self, setup: &Setup) -> Setup {
        let dims = [setup.shape.views, setup.shape.cols];
        let mut after = setup.clone();
        // A failure is told when the chain is planned.
        if let Ok(plan) = self.raw_plan(SlabShape { domain: self.desc.info.input, rows: 1, dims }) {
            [after.shape.views, after.shape.cols] = plan.dims.map(|d| d as usize);
        }
        after
    }
    fn surveys(&self) -> bool {
        self.desc.survey.is_some()
    }
    fn worker(&self, plan: &StagePlan) -> Result<Box<dyn Worker + '_>> {
        Ok(Box::new(BridgeWorker::new(self, *plan)?))
    }
}

/// What `worker_new` returned.
pub(super) struct PluginWorker {
    pub(super) raw: *mut c_void,
    free: Option<abi::FreeFn>,
}

// SAFETY: by the interface a worker may go from thread to thread, used by one at a time.
unsafe impl Send for PluginWorker {}

impl Drop for PluginWorker {
    fn drop(&mut self) {
        if let Some(free) = self.free {
            // SAFETY: from `worker_new` of the same stage, freed once.
            unsafe { free(self.raw) }
        }
    }
}

pub(super) fn halo(plan: &abi::StagePlan) -> Halo {
    Halo { below: plan.halo_below as usize, above: plan.halo_above as usize }
}

pub(super) fn domain(domain: Domain) -> i32 {
    match domain {
        Domain::Counts => abi::COUNTS,
        Domain::Sinogram => abi::SINOGRAM,
        Domain::Volume => abi::VOLUME,
    }
}

/// Room for the error text of a plugin.
pub(super) struct Msg([u8; Msg::CAP]);

impl Msg {
    pub(super) const CAP: usize = 1024;

    pub(super) fn new() -> Self {
        Msg([0; Msg::CAP])
    }
    pub(super) fn start(&mut self) -> *mut c_char {
        self.0.as_mut_ptr().cast()
    }
    /// What the plugin wrote, up to the zero byte or the end, as one line.
    pub(super) fn text(&self) -> String {
        let end = self.0.iter().position(|&b| b == 0);
        let text = String::from_utf8_lossy(&self.0[..end.unwrap_or(Msg::CAP)]);
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        match (end, text.is_empty()) {
            (_, true) => format!("the plugin failed and {NO_REASON}"),
            (Some(_), false) => text,
            (None, false) => format!("{text} ({NOT_ENDED})"),
        }
    }
}
