//! Stages in a row: description, check, plan, preview, run.
//!
//! Must not know: C, Java, the command line. Algorithms come from the modules below; `builtin` adapts them.

mod axis;
mod builtin;
mod look;
mod manifest;
pub mod n2i;
mod params;
mod plan;
mod prepare;
pub mod read;
mod registry;
mod resume;
mod run;
mod source;
mod spec;
mod stage;
pub mod survey;
mod write;
pub mod zscan;

pub use crate::io::SliceSink;
pub use axis::{AxisFound, AxisMethod, AxisOptions, ShiftFound, ShiftOptions, find_axis, find_shift};
pub use manifest::RECORD;
pub(crate) use params::parse as parse_param;
pub use params::{Params, nearest};
pub use registry::Registry;
pub use resume::CHAIN_FILE;
pub use source::{PROJECTIONS, RAW, SINOGRAMS, SOURCES, STACK, VOLUME};
pub use stage::{ParamInfo, ParamKind, ParamValue, Run, Setup, Stage, StageFactory, StageInfo, StagePlan, Worker};
use write::Files;
pub use write::{ENDS, WRITE_PROJECTIONS, WRITE_TIFF};

use crate::context::Context;
use crate::error::{Error, Result};
use crate::geometry::Center;
use crate::io::{Levels, MemorySink, SampleType};
use crate::progress::{PhaseTime, Progress};
use crate::scan::{Scan, ScanOptions};
use crate::slab::{Domain, Halo};
use ndarray::{Array2, Axis};
use std::ops::Range;
use std::path::Path;

/// Files of sinograms, of whatever type.
const SINOGRAM_PREFIX: &str = "s";

/// A checked chain of stages. Immutable in a run; thread-safe.
///
/// Text form: `raw | normalise | ring.sort kernel_px=5 | recon.fbp filter=chesler center_px=auto | write.tiff type=f32`, or a
/// TOML file with a table `[[stage]]` for each. The source at the start (`raw`, `sinograms` or `volume`) and `write.tiff` at
/// the end may be left out.
#[derive(Clone)]
pub struct Chain {
    source: Params,
    steps: Vec<spec::Step>,
    write: Params,
}

/// What part of a scan to run, and how.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Detector rows to reconstruct; all if `None`.
    pub rows: Option<Range<usize>>,
    /// Slab height; from the memory budget if `None`. Results never depend on it.
    pub slab_rows: Option<usize>,
    /// Artist tag of the files; `wagiri` if `None`.
    pub artist: Option<String>,
    /// Continue the run in the folder, which must be of the same version, chain, rows and frames. Its finished slices are
    /// not touched and the values it found are used again; all bytes are those of a run that was never stopped.
    pub resume: bool,
    /// Leave no record in the folder. Such a run cannot be continued, and several may write to one folder at the same time,
    /// each its own slices. An earlier record is removed.
    pub unrecorded: bool,
}

impl RunOptions {
    fn artist(&self) -> &str {
        self.artist.as_deref().unwrap_or("wagiri")
    }
}

/// What a stage will do with a slab.
#[derive(Clone, Debug)]
pub struct PlannedStage {
    /// `ring.sort`.
    pub id: &'static str,
    /// What it makes: views and columns of a sinogram, lines and columns of a slice.
    pub dims: [usize; 2],
    /// Rows that it needs around its own.
    pub halo: Halo,
    /// Working memory, bytes.
    pub scratch_bytes: u64,
    /// Processor time for all rows, seconds, as a guess.
    pub core_s: f64,
}

/// What a run will take; nothing is computed but the axis where it is `auto`.
#[derive(Clone, Debug)]
pub struct ChainPlan {
    /// Detector rows (slice numbers).
    pub rows: Range<usize>,
    /// Height of a slab.
    pub slab_rows: usize,
    /// Peak memory of slabs and buffers, bytes.
    pub memory_bytes: u64,
    /// Bytes that will be written.
    pub disk_bytes: u64,
    /// Computing alone, seconds, as a guess for a usual machine.
    pub compute_s: f64,
    /// The stages, in order, with the rows around its own that each looks at.
    pub stages: Vec<PlannedStage>,
    /// Rows of the data around those of a slab that the stages need together.
    pub halo: Halo,
    /// Height and width of a slice.
    pub slice: [usize; 2],
    /// Rotation axis that will be used.
    pub center: Center,
    /// Pixel size that will be used, µm.
    pub pixel_um: f64,
    /// What a user should know beforehand.
    pub remarks: Vec<String>,
}

/// What a run did.
#[derive(Clone, Debug)]
pub struct RunSummary {
    /// Slices of the volume, all finished now.
    pub slices: usize,
    /// How many of them an earlier run had finished, so that nothing was done for them.
    pub found: usize,
    /// Detector rows (slice numbers).
    pub rows: Range<usize>,
    /// Rows that were read at a time.
    pub slab_rows: usize,
    /// Axis used.
    pub center: Center,
    /// Pixel size used, µm.
    pub pixel_um: f64,
    /// Smallest and largest value of the volume, 1/cm.
    pub range: (f32, f32),
    /// Repairs and remarks, each once, with numbers.
    pub remarks: Vec<String>,
    /// What the time was spent on.
    pub times: Vec<PhaseTime>,
    /// The chain with every value that was found, ready to be run again.
    pub chain: String,
}

impl Chain {
    /// The chain of a plain reconstruction with all defaults.
    pub const DEFAULT: &str = "raw | normalise | ring.sort | recon.fbp | write.tiff";

    /// Parses and checks a chain: a line, or the text of a chain file.
    pub fn parse(registry: &Registry, text: &str) -> Result<Chain> {
        spec::parse(registry, text)
    }
    /// Parameters of every stage, in order; the source is the first, `write.tiff` the last.
    pub fn params(&self) -> impl Iterator<Item = &Params> {
        let steps = self.steps.iter().map(|s| &s.params);
        std::iter::once(&self.source).chain(steps).chain(std::iter::once(&self.write))
    }
    /// The chain as a TOML file, with every parameter that is not at its default.
    pub fn to_toml(&self) -> String {
        spec::to_file(self)
    }
    /// Writes into the chain where its data are: what was given beside it goes before what stands in it.
    pub fn locate(&mut self, path: Option<&Path>, options: &ScanOptions) -> Result<()> {
        source::locate(&mut self.source, path, options)
    }
    /// Opens the data that the chain names; an error if it names none.
    pub fn open(&self) -> Result<Scan> {
        source::open(&self.source)
    }
    /// The same chain for any data.
    fn without_data(&self) -> Chain {
        Chain { source: Params::defaults(self.source.info()), ..self.clone() }
    }
    /// The folder that `write.tiff` names, if it does.
    pub fn out_dir(&self) -> Option<&Path> {
        self.write.text("dir").map(Path::new)
    }
    /// What the chain starts from.
    pub fn input(&self) -> Domain {
        self.source.info().input
    }
    /// What its files hold.
    pub fn output(&self) -> Domain {
        self.steps.last().map_or(self.source.info(), |step| step.params.info()).output
    }
    /// The data that its source names, if it does.
    pub fn path(&self) -> Option<&Path> {
        source::path(&self.source)
    }
    /// Refuses data of another kind than the chain starts from.
    fn check_source(&self, domain: Domain) -> Result<()> {
        if self.input() == domain {
            return Ok(());
        }
        let name = |domain| match domain {
            Domain::Counts => "counts",
            Domain::Sinogram => "sinograms",
            Domain::Volume => "a volume",
        };
        let (takes, has) = (name(self.input()), name(domain));
        let hint = if domain == Domain::Counts { "; begin with normalise" } else { "" };
        let message = format!("the chain takes {takes}, but the data are {has}{hint}");
        Err(Error::invalid(format!("chain: {}", self.source.info().id), message))
    }
    /// Sets a parameter of every stage with the id `stage` from text.
    pub fn set(&mut self, stage: &str, param: &str, text: &str) -> Result<()> {
        let mut found = false;
        let steps = self.steps.iter_mut().map(|s| &mut s.params);
        let all = std::iter::once(&mut self.source).chain(steps).chain(std::iter::once(&mut self.write));
        for params in all.filter(|p| p.info().id == stage) {
            params.set_text(param, text)?;
            found = true;
        }
        if found { Ok(()) } else { Err(Error::not_found("chain", format!("the chain has no stage '{stage}'"))) }
    }
    /// Slices that the chain makes of all of `scan`, without reading it.
    pub fn slices(&self, ctx: &Context, scan: &Scan) -> Result<usize> {
        prepare::slices(self, ctx, scan)
    }
    /// Memory, disk and slabs of a run.
    pub fn plan(&self, ctx: &Context, scan: &Scan, options: &RunOptions, progress: &mut Progress) -> Result<ChainPlan> {
        let ready = prepare::prepare(self, ctx, scan, options, None, progress)?;
        let cut = &ready.prepared.cut;
        let Files { sample, levels, .. } = self.files(scan.info(), ready.slices)?;
        let pixels = (cut.slice[0] * cut.slice[1]) as u64 * cut.rows.len() as u64;
        // With an open range all slices exist in 32 bits before the first is converted.
        let open = sample != SampleType::F32 && matches!(levels, Levels::Range(None, _) | Levels::Range(_, None));
        let plans = plan::stage_plans(&ready.prepared.stages, &ready.prepared.reading, cut.part_rows)?.stages;
        let slices = cut.rows.len() as f64;
        let ids = ready.prepared.stages.iter().map(|stage| stage.info().id);
        let planned = |(id, plan): (&'static str, &StagePlan)| PlannedStage {
            id,
            dims: plan.output.dims,
            halo: plan.halo,
            scratch_bytes: plan.scratch_bytes + plan.kept_bytes,
            core_s: 1e-9 * plan.cost_per_row * slices * plan.output.rows as f64 / cut.part_rows as f64,
        };
        let stages: Vec<PlannedStage> = ids.zip(&plans).map(planned).collect();
        Ok(ChainPlan {
            compute_s: stages.iter().map(|s| s.core_s).sum::<f64>() / ctx.threads() as f64,
            stages,
            halo: cut.halo,
            rows: cut.rows.clone(),
            slab_rows: cut.slab_rows,
            memory_bytes: cut.memory_bytes,
            disk_bytes: pixels * if open { SampleType::F32.bytes() } else { sample.bytes() },
            slice: cut.slice,
            center: ready.geometry.center,
            pixel_um: ready.geometry.pixel_um,
            remarks: ready.remarks,
        })
    }
    /// One slice, without writing anything.
    pub fn preview(&self, ctx: &Context, scan: &Scan, row: usize, progress: &mut Progress) -> Result<Array2<f32>> {
        let options = RunOptions { rows: Some(row..row.saturating_add(1)), ..RunOptions::default() };
        let ready = prepare::prepare(self, ctx, scan, &options, None, progress)?;
        let mut sink = MemorySink::new(row, 1, ready.prepared.cut.slice);
        run::run(ctx, scan, ready.prepared, &mut sink, progress)?;
        Ok(sink.volume.index_axis_move(Axis(0), 0))
    }
    /// All rows into TIFF files in `out_dir`, which is made if it does not exist.
    ///
    /// The folder gets a record of the run ([`RECORD`]), by which `options.resume` continues it after it was stopped in any
    /// way; see `docs/running.md`. Slices of an earlier run are replaced. An error if another run is writing to the folder.
    pub fn run(
        &self,
        ctx: &Context,
        scan: &Scan,
        out_dir: &Path,
        options: &RunOptions,
        progress: &mut Progress,
    ) -> Result<RunSummary> {
        resume::run(self, ctx, scan, out_dir, options, None, progress)
    }
    /// All rows into a sink of the caller; `write.tiff` of the chain is not used.
    pub fn run_into(
        &self,
        ctx: &Context,
        scan: &Scan,
        sink: &mut dyn SliceSink,
        options: &RunOptions,
        progress: &mut Progress,
    ) -> Result<RunSummary> {
        if options.resume {
            return Err(Error::invalid("resume", "only a run into a folder can be continued"));
        }
        prepare::prepare(self, ctx, scan, options, None, progress)?.run(ctx, scan, sink, progress)
    }
}
