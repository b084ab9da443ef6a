//! Noise2Inverse: subsets of the views, and the chain that applies a model. Training is beside it.

use super::chain::wagiri_chain;
use super::context::wagiri_context;
use super::error::wagiri_error;
use super::report::{in_full, wagiri_reporter};
use super::scan::wagiri_scan;
use super::types::{Versioned, range, wagiri_progress, wagiri_status};
use crate::chain::n2i::{self, SplitOptions, Work};
use crate::denoise::Subsets;
use crate::error::{Error, Result};
use std::ffi::{c_char, c_void};
use std::path::Path;
use std::sync::OnceLock;

/// How a scan is split. Set `struct_size` to sizeof; every other field may be 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wagiri_n2i_split_options {
    /// sizeof(wagiri_n2i_split_options).
    pub struct_size: u32,
    /// Subsets of the views, 2 to 64; 0 is 4.
    pub subsets: u32,
    /// First detector row to reconstruct.
    pub row_start: u64,
    /// Row after the last one; 0 is all.
    pub row_end: u64,
    /// 1 continues the split that was stopped in the folder; what is finished is not computed again.
    pub resume: u64,
    /// Called instead of `progress`, with its `user`; may be NULL.
    pub report: wagiri_reporter,
}

// SAFETY: repr(C), `u32` first, numbers and pointers only (NULL for the function), no padding at the end.
unsafe impl Versioned for wagiri_n2i_split_options {
    const FIRST_SIZE: usize = 40;
}

/// What a work folder holds.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct wagiri_n2i_work {
    /// sizeof(wagiri_n2i_work), set by the caller.
    pub struct_size: u32,
    /// Noisy volumes, one for each subset of the views.
    pub subsets: u32,
    /// Slices of each (z).
    pub slices: u64,
    /// Rows of a slice (y).
    pub slice_height: u64,
    /// Columns of a slice (x).
    pub slice_width: u64,
}

// SAFETY: repr(C), `u32` first, numbers only, no padding at the end.
unsafe impl Versioned for wagiri_n2i_work {
    const FIRST_SIZE: usize = 32;
}

impl wagiri_n2i_work {
    fn new(work: &Work) -> Self {
        let [slices, slice_height, slice_width] = work.shape().map(|n| n as u64);
        wagiri_n2i_work { struct_size: 0, subsets: work.count() as u32, slices, slice_height, slice_width }
    }
}

/// 0 or 1.
pub(super) fn flag(name: &'static str, value: u64) -> Result<bool> {
    if value > 1 {
        return Err(Error::invalid(name, "expected 0 or 1").with("value", value));
    }
    Ok(value == 1)
}

/// Splits the views of a scan into interleaved subsets and reconstructs each by itself with `chain`, which must end with a
/// reconstruction, into the folder `work_dir`: what a network is trained on. The axis is found once, on all views. `options`,
/// `progress` and `out` may be NULL; else set `out->struct_size` first. Thread-safe, but two calls cannot share a folder.
///
/// WAGIRI_INVALID: fewer than 8 views for each subset. WAGIRI_CANCELLED: what is finished stays, and `options->resume` goes on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_n2i_split(
    ctx: *const wagiri_context,
    chain: *const wagiri_chain,
    scan: *const wagiri_scan,
    work_dir: *const c_char,
    options: *const wagiri_n2i_split_options,
    progress: wagiri_progress,
    user: *mut c_void,
    out: *mut wagiri_n2i_work,
    err: *mut *mut wagiri_error,
) -> wagiri_status {
    entry!(err, ctx: shared, chain: shared, scan: shared, work_dir: text, options: options, progress: report,
           out: optional_fill => {
        let mut progress = in_full(options.report, user, progress);
        let preset = SplitOptions::default();
        let split = SplitOptions {
            subsets: if options.subsets == 0 { preset.subsets } else { options.subsets as usize },
            rows: range("rows", options.row_start, options.row_end)?,
            resume: flag("resume", options.resume)?,
        };
        let work = n2i::split(&ctx.inner, &chain.inner, &scan.inner, Path::new(work_dir), &split, &mut progress)?;
        out.iter().for_each(|o| o.set(wagiri_n2i_work::new(&work)));
        Ok(())
    })
}

/// Tells what the work folder `work_dir` holds, which `wagiri_n2i_split` filled. Set `out->struct_size` first. Thread-safe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_n2i_work_info(
    work_dir: *const c_char,
    out: *mut wagiri_n2i_work,
    err: *mut *mut wagiri_error,
) -> wagiri_status {
    entry!(err, work_dir: text, out: fill => {
        out.set(wagiri_n2i_work::new(&Work::open(Path::new(work_dir))?));
        Ok(())
    })
}

/// Makes the chain that applies the model in the file `model_path`, which is read when it runs: `chain` with recon.n2i in the
/// place of its reconstruction, of which it keeps the parameters. It runs like any other. On success `*out` is a new chain to be
/// freed with `wagiri_chain_free`, on error NULL. Thread-safe.
///
/// WAGIRI_INVALID: the chain has no reconstruction.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wagiri_n2i_chain(
    chain: *const wagiri_chain,
    model_path: *const c_char,
    out: *mut *mut wagiri_chain,
    err: *mut *mut wagiri_error,
) -> wagiri_status {
    entry!(err, out: handle, chain: shared, model_path: text => {
        let inner = n2i::apply_chain(&chain.inner, Path::new(model_path))?;
        out.give(wagiri_chain { inner, texts: OnceLock::new() });
        Ok(())
    })
}
