//! Stages in a row: description, check, plan, preview, run.

pub mod axis;
mod builtin;
mod params;
mod registry;
mod stage;
pub mod survey;

pub use axis::{AxisFound, AxisMethod, AxisOptions, find_axis};
pub use params::{Params, nearest};
pub use registry::Registry;
pub use stage::{ParamInfo, ParamKind, ParamValue, Run, Setup, Stage, StageFactory, StageInfo, StagePlan, Worker};

use crate::context::Context;
use crate::error::{Error, Result};
use crate::geometry::Center;
use crate::progress::Progress;
use crate::scan::Scan;
use ndarray::{Array2, ArrayView2};
use std::ops::Range;
use std::path::Path;

/// A checked chain of stages. Immutable in a run; thread-safe.
///
/// Text form: `raw | normalise | ring.sort kernel_px=5 | recon.fbp filter=chesler center_px=auto | write.tiff type=f32`.
/// `raw` at the start and `write.tiff` at the end may be left out.
#[derive(Clone)]
pub struct Chain {}

/// What part of a scan to run, and how.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Detector rows to reconstruct; all if `None`.
    pub rows: Option<Range<usize>>,
    /// Slab height; from the memory budget if `None`. Results never depend on it.
    pub slab_rows: Option<usize>,
}

/// What a run will take; nothing is computed but the axis where it is `auto`.
#[derive(Clone, Debug)]
pub struct ChainPlan {
    /// Detector rows (slice numbers).
    pub rows: Range<usize>,
    /// Height of a slab.
    pub slab_rows: usize,
    /// Peak memory, bytes.
    pub memory_bytes: u64,
    /// Bytes that will be written.
    pub disk_bytes: u64,
    /// Height and width of a slice.
    pub slice: [usize; 2],
    /// Rotation axis that will be used.
    pub center: Center,
}

/// What a run did.
#[derive(Clone, Debug)]
pub struct RunSummary {
    /// Slices written.
    pub slices: usize,
    /// Axis used.
    pub center: Center,
    /// Smallest and largest value of the volume, 1/cm.
    pub range: (f32, f32),
    /// Repairs and remarks, each once, with numbers.
    pub remarks: Vec<String>,
}

/// Takes finished slices, in order of z.
pub trait SliceSink: Send {
    /// One slice; `z` is the detector row.
    fn write(&mut self, z: usize, slice: ArrayView2<f32>) -> Result<()>;
    /// After the last slice, not after an error.
    fn finish(&mut self) -> Result<()>;
}

impl Chain {
    /// Parses and checks a chain of one line.
    pub fn parse(registry: &Registry, text: &str) -> Result<Chain> {
        let _ = registry;
        Err(Error::internal("chain", text))
    }
    /// Sets `stage.param` (for example `recon.fbp.center_px`) from text.
    pub fn set(&mut self, stage: &str, param: &str, text: &str) -> Result<()> {
        Err(Error::internal(stage, param).with("t", text))
    }
    /// Memory, disk and slabs of a run.
    pub fn plan(&self, ctx: &Context, scan: &Scan, options: &RunOptions, progress: &mut Progress) -> Result<ChainPlan> {
        let _ = (ctx, scan, options, progress);
        Err(Error::internal("chain", "stub"))
    }
    /// One slice, without writing anything.
    pub fn preview(&self, ctx: &Context, scan: &Scan, row: usize, progress: &mut Progress) -> Result<Array2<f32>> {
        let _ = (ctx, scan, row, progress);
        Err(Error::internal("chain", "stub"))
    }
    /// All rows into TIFF files in `out_dir`, which is made if it does not exist.
    pub fn run(
        &self,
        ctx: &Context,
        scan: &Scan,
        out_dir: &Path,
        options: &RunOptions,
        progress: &mut Progress,
    ) -> Result<RunSummary> {
        let _ = (ctx, scan, out_dir, options, progress);
        Err(Error::internal("chain", "stub"))
    }
    /// All rows into a sink of the caller.
    pub fn run_into(
        &self,
        ctx: &Context,
        scan: &Scan,
        sink: &mut dyn SliceSink,
        options: &RunOptions,
        progress: &mut Progress,
    ) -> Result<RunSummary> {
        let _ = (ctx, scan, sink, options, progress);
        Err(Error::internal("chain", "stub"))
    }
}
