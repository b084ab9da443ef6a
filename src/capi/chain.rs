//! Chains: stages in a row, their plan, one slice, all slices.

use super::context::wagiri_context;
use super::error::wagiri_error;
use super::inspect::ChainTexts;
use super::report::{in_full, wagiri_reporter};
use super::scan::wagiri_scan;
use super::types::{
    Versioned, axis_line, expect_shape, range, wagiri_progress, wagiri_status, wagiri_view, wagiri_view_mut,
};
use crate::chain::{Chain, RunOptions, RunSummary, SliceSink};
use crate::error::{Error, Result};
use ndarray::ArrayView2;
use std::ffi::{c_char, c_void};
use std::path::Path;
use std::sync::OnceLock;

/// A checked chain of stages. Owned by the caller; free it with `wagiri_chain_free`.
pub struct wagiri_chain {
    pub(super) inner: Chain,
    pub(super) texts: OnceLock<ChainTexts>,
}

/// What part of a scan to run, and how. Set `struct_size` to sizeof; every other field may be 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wagiri_run_options {
    /// sizeof(wagiri_run_options).
    pub struct_size: u32,
    /// First detector row to reconstruct.
    pub row_start: u64,
    /// Row after the last one; 0 is all.
    pub row_end: u64,
    /// Rows in one slab; 0 takes as many as the memory budget allows. The pixels do not depend on it.
    pub slab_rows: u64,
    /// 1 continues the run that was stopped in the folder, which must be of the same version, chain, rows and frames; the
    /// bytes are those of a run that was never stopped. For `wagiri_chain_run` only.
    pub resume: u64,
    /// Called instead of `progress`, with its `user`; may be NULL.
    pub report: wagiri_reporter,
}

// SAFETY: repr(C), `u32` first, numbers and pointers only (NULL for the function), no padding at the end.
unsafe impl Versioned for wagiri_run_options {
    const FIRST_SIZE: usize = 32;
}

/// What a run will take. Remarks that a user should see go to the logger of the context.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wagiri_plan {
    /// sizeof(wagiri_plan), set by the caller.
    pub struct_size: u32,
    /// First detector row, which is also the number of the first slice.
    pub row_start: u64,
    /// Row after the last one.
    pub row_end: u64,
    /// Rows in one slab.
    pub slab_rows: u64,
    /// Peak memory, bytes.
    pub memory_bytes: u64,
    /// Bytes that will be written.
    pub disk_bytes: u64,
    /// Rows (y) of a slice.
    pub slice_height: u64,
    /// Columns (x) of a slice.
    pub slice_width: u64,
    /// Rotation axis at detector row 0, px; found if the chain says auto.
    pub center_px: f64,
    /// Change of the axis from one row to the next, px.
    pub center_px_per_row: f64,
    /// Size of a pixel of the slice, um.
    pub pixel_um: f64,
    /// Computing alone, seconds, as a guess for a usual machine.
    pub compute_s: f64,
    /// Rows of the data before those of a slab that the stages look at, all together.
    pub halo_below: u64,
    /// Rows behind them.
    pub halo_above: u64,
}

// SAFETY: repr(C), `u32` first, numbers and pointers only, no padding at the end.
unsafe impl Versioned for wagiri_plan {
    const FIRST_SIZE: usize = 88;
}

/// What a run did. Repairs and remarks go to the logger of the context.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wagiri_summary {
    /// sizeof(wagiri_summary), set by the caller.
    pub struct_size: u32,
    /// Slices made.
    pub slices: u64,
    /// Rotation axis at detector row 0, px.
    pub center_px: f64,
    /// Change of the axis from one row to the next, px.
    pub center_px_per_row: f64,
    /// Smallest value of the volume, 1/cm.
    pub minimum: f32,
    /// Largest value of the volume, 1/cm.
    pub maximum: f32,
    /// How many of the slices an earlier run had finished.
    pub found: u64,
}

// SAFETY: repr(C), `u32` first, numbers and pointers only, no padding at the end.
unsafe impl Versioned for wagiri_summary {
    const FIRST_SIZE: usize = 40;
}

impl wagiri_summary {
    fn new(summary: &RunSummary) -> Self {
        log_remarks(&summary.remarks);
        log::info!("{} slices made by: {}", summary.slices, summary.chain);
        let (center_px, center_px_per_row) = axis_line(summary.center);
        let (minimum, maximum) = summary.range;
        wagiri_summary {
            struct_size: 0,
            slices: summary.slices as u64,
            center_px,
            center_px_per_row,
            minimum,
            maximum,
            found: summary.found as u64,
        }
    }
}

fn log_remarks(remarks: &[String]) {
    for remark in remarks {
        log::warn!("{remark}");
    }
}

/// Takes one finished slice: `z` is the detector row, `slice` is [1, y, x] and valid during the call. Called in order
/// of z, one call at a time, on a thread of the library that is not the caller's. 0 continues, anything else cancels.
/// Must return normally: no C++ exception, no longjmp.
pub type wagiri_slice = Option<unsafe extern "C" fn(user: *mut c_void, z: u64, slice: *const wagiri_view) -> i32>;

struct CallbackSink {
    call: unsafe extern "C" fn(*mut c_void, u64, *const wagiri_view) -> i32,
    user: *mut c_void,
}

// SAFETY: the header says that the function is called, with `user`, on another thread than the caller's.
unsafe impl Send for CallbackSink {}

impl SliceSink for CallbackSink {
    fn write(&mut self, z: usize, slice: ArrayView2<f32>) -> Result<()> {
        let (shape, stride) = (slice.shape(), slice.strides());
        let view = wagiri_view {
            data: slice.as_ptr(),
            shape: [1, shape[0] as u64, shape[1] as u64],
            stride: [slice.len() as i64, stride[0] as i64, stride[1] as i64],
        };
        // SAFETY: by the header `call` takes `user` and a view that is valid during the call, and returns normally.
        match unsafe { (self.call)(self.user, z as u64, &view) } {
            0 => Ok(()),
            _ => Err(Error::cancelled("slice")),
        }
    }
}

fn run_options(options: &wagiri_run_options) -> Result<RunOptions> {
    if options.resume > 1 {
        return Err(Error::invalid("resume", "expected 0 or 1").with("resume", options.resume));
    }
    Ok(RunOptions {
        rows: range("rows", options.row_start, options.row_end)?,
        slab_rows: (options.slab_rows > 0).then_some(options.slab_rows as usize),
        resume: options.resume == 1,
        ..RunOptions::default()
    })
}

/// Parses and checks a chain: one line, such as "normalise | ring.sort kernel_px=5 | recon.fbp center_px=auto", or the text
/// of a chain file, a TOML table [[stage]] for each stage. The first word may tell what the data are: raw, sinograms or
/// volume; without it the first stage does. The stages are those that `ctx` knows now. On success `*out` is a new chain to be freed with `wagiri_chain_free`, on
/// error NULL. Thread-safe.
///
/// WAGIRI_NOT_FOUND: unknown stage or parameter. WAGIRI_INVALID: a value, or stages that do not fit together.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_chain_parse(
    ctx: *const wagiri_context,
    text: *const c_char,
    out: *mut *mut wagiri_chain,
    err: *mut *mut wagiri_error,
) -> wagiri_status {
    entry!(err, out: handle, ctx: shared, text: text => {
        out.give(wagiri_chain { inner: Chain::parse(&ctx.inner.registry(), text)?, texts: OnceLock::new() });
        Ok(())
    })
}

/// Sets parameter `param` of stage `stage` ("recon.fbp", "center_px") from text. After an error the chain is as before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_chain_set(
    chain: *mut wagiri_chain,
    stage: *const c_char,
    param: *const c_char,
    value: *const c_char,
    err: *mut *mut wagiri_error,
) -> wagiri_status {
    entry!(err, chain: exclusive, stage: text, param: text, value: text => {
        let mut changed = chain.inner.clone();
        changed.set(stage, param, value)?;
        chain.inner = changed;
        chain.texts = OnceLock::new();
        Ok(())
    })
}

/// Finds out what a run will take, without computing anything but the axis where the chain says auto. `options` and
/// `progress` may be NULL. Set `out->struct_size` first. Thread-safe.
///
/// WAGIRI_LIMIT: not even one row fits into the memory budget.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_chain_plan(
    ctx: *const wagiri_context,
    chain: *const wagiri_chain,
    scan: *const wagiri_scan,
    options: *const wagiri_run_options,
    progress: wagiri_progress,
    user: *mut c_void,
    out: *mut wagiri_plan,
    err: *mut *mut wagiri_error,
) -> wagiri_status {
    entry!(err, ctx: shared, chain: shared, scan: shared, options: options, progress: report, out: fill => {
        let mut progress = in_full(options.report, user, progress);
        let plan = chain.inner.plan(&ctx.inner, &scan.inner, &run_options(&options)?, &mut progress)?;
        log_remarks(&plan.remarks);
        let (center_px, center_px_per_row) = axis_line(plan.center);
        out.set(wagiri_plan {
            struct_size: 0,
            row_start: plan.rows.start as u64,
            row_end: plan.rows.end as u64,
            slab_rows: plan.slab_rows as u64,
            memory_bytes: plan.memory_bytes,
            disk_bytes: plan.disk_bytes,
            slice_height: plan.slice[0] as u64,
            slice_width: plan.slice[1] as u64,
            center_px,
            center_px_per_row,
            pixel_um: plan.pixel_um,
            compute_s: plan.compute_s,
            halo_below: plan.halo.below as u64,
            halo_above: plan.halo.above as u64,
        });
        Ok(())
    })
}

/// Makes one slice, of detector row `row`, and writes no file. `out` is [1, slice_height, slice_width] of
/// `wagiri_chain_plan`. `progress` may be NULL. Thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_chain_preview(
    ctx: *const wagiri_context,
    chain: *const wagiri_chain,
    scan: *const wagiri_scan,
    row: u64,
    progress: wagiri_progress,
    user: *mut c_void,
    out: wagiri_view_mut,
    err: *mut *mut wagiri_error,
) -> wagiri_status {
    entry!(err, ctx: shared, chain: shared, scan: shared, progress: report, out: pixels_mut => {
        super::scan::detector_rows(row, 1, chain.inner.slices(&ctx.inner, &scan.inner)?)?;
        let slice = chain.inner.preview(&ctx.inner, &scan.inner, row as usize, &mut progress(user))?;
        let shape = [1, slice.shape()[0], slice.shape()[1]];
        expect_shape("out", out.shape(), shape, "[1, slice_height, slice_width]")?;
        let mut out = out;
        out.index_axis_mut(ndarray::Axis(0), 0).assign(&slice);
        Ok(())
    })
}

/// Makes all slices and writes them as TIFF files into the folder `out_dir`, which is made if it does not exist. Files
/// are written aside and renamed: after an error or a cancelled run finished slices stay and none is half-written. The
/// folder also gets wagiri-run.txt, by which `options->resume` continues the run. `options`, `progress` and `summary` may be
/// NULL; else set `summary->struct_size` first. Thread-safe, but two runs cannot share a folder.
///
/// WAGIRI_INVALID: another run is writing to the folder, or the run in it cannot be continued, because something changed.
/// WAGIRI_NOT_FOUND: there is no run to continue. WAGIRI_FORMAT: wagiri-run.txt is damaged.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_chain_run(
    ctx: *const wagiri_context,
    chain: *const wagiri_chain,
    scan: *const wagiri_scan,
    out_dir: *const c_char,
    options: *const wagiri_run_options,
    progress: wagiri_progress,
    user: *mut c_void,
    summary: *mut wagiri_summary,
    err: *mut *mut wagiri_error,
) -> wagiri_status {
    entry!(err, ctx: shared, chain: shared, scan: shared, out_dir: text, options: options, progress: report,
           summary: optional_fill => {
        let mut progress = in_full(options.report, user, progress);
        let options = run_options(&options)?;
        let dir = Path::new(out_dir);
        let done = chain.inner.run(&ctx.inner, &scan.inner, dir, &options, &mut progress)?;
        let done = wagiri_summary::new(&done);
        summary.iter().for_each(|s| s.set(done));
        Ok(())
    })
}

/// Makes all slices and hands them to `slice`, which gets `slice_user`. Otherwise as `wagiri_chain_run`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_chain_run_to(
    ctx: *const wagiri_context,
    chain: *const wagiri_chain,
    scan: *const wagiri_scan,
    slice: wagiri_slice,
    slice_user: *mut c_void,
    options: *const wagiri_run_options,
    progress: wagiri_progress,
    user: *mut c_void,
    summary: *mut wagiri_summary,
    err: *mut *mut wagiri_error,
) -> wagiri_status {
    entry!(err, ctx: shared, chain: shared, scan: shared, options: options, progress: report,
           summary: optional_fill => {
        let call = slice.ok_or_else(|| Error::invalid("slice", "must not be NULL"))?;
        let mut progress = in_full(options.report, user, progress);
        let options = run_options(&options)?;
        let mut sink = CallbackSink { call, user: slice_user };
        let done = chain.inner.run_into(&ctx.inner, &scan.inner, &mut sink, &options, &mut progress)?;
        let done = wagiri_summary::new(&done);
        summary.iter().for_each(|s| s.set(done));
        Ok(())
    })
}

/// Frees a chain; NULL is allowed. No function may be using it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_chain_free(chain: *mut wagiri_chain) {
    free!(chain);
}
