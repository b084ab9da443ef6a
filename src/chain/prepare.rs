//! From a checked chain and a scan to stages that are ready to run: finds what is `auto`, surveys, plans.

use super::axis::{AxisMethod, AxisOptions, find_axis, find_axis_with};
use super::builtin::{FBP, NORMALISE, PAGANIN, PROJECT, STITCH, is_recon, normalise_options};
use super::look;
use super::manifest::Known;
use super::plan::{self, Cut, Reading, stage_plans};
use super::read::{Kept, count_bytes, reader_threads};
use super::run::{self, Prepared};
use super::stage::{ParamValue, Setup, Stage};
use super::survey::{Keep, survey_and_keep};
use super::{Chain, Params, RunOptions, RunSummary};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::geometry::{Center, Geometry};
use crate::io::SliceSink;
use crate::progress::{PREPARE, Progress, WRITE};
use crate::scan::{Scan, ScanShape};
use crate::slab::Domain;
use std::ops::Range;

/// A chain ready for one scan, and what was found on the way.
pub(super) struct Ready {
    pub prepared: Prepared,
    /// As it is after the last stage.
    pub geometry: Geometry,
    pub angle_offset_rad: f64,
    pub output: Domain,
    pub remarks: Vec<String>,
    pub edge_over_mean: f64,
    pub chain: Chain,
}

/// Builds the stages. Reads a few rows of every frame (survey), and the frames that the search of the axis needs.
pub(super) fn prepare(
    chain: &Chain,
    ctx: &Context,
    scan: &Scan,
    options: &RunOptions,
    known: Option<&Known>,
    progress: &mut Progress,
) -> Result<Ready> {
    progress.phase(PREPARE);
    let mut chain = chain.clone();
    let (shape, info) = (scan.shape(), scan.info());
    chain.check_source(info.domain)?;
    let mut remarks = info.notes.clone();
    let mut setup = first_setup(ctx, scan);
    // Cheap refusals come before the survey and the search of the axis, which read files.
    let Created { stages, after, .. } = create(&chain, &setup)?;
    remarks.extend(look::remark(&stages));
    let rows = plan::check_rows(after.shape.rows, options.rows.clone())?;
    let reading = Reading {
        shape,
        domain: info.domain,
        count_bytes: count_bytes(scan),
        grain: scan.source().grain(),
        kept_bytes: 0,
        threads: reader_threads(ctx),
    };
    check_axis(&chain, &stages, &setup, &reading, &rows, true)?;
    let cut = |stages: &[Box<dyn Stage>], kept_bytes: u64| {
        let reading = Reading { kept_bytes, ..reading };
        plan::cut(stages, rows.clone(), options.slab_rows, reading, ctx.memory_bytes())
    };
    let normalise = chain.steps.iter().find(|s| s.params.info().id == NORMALISE.id);
    let normalise = normalise.map(|s| normalise_options(&s.params));
    // What a run that is continued knew is not looked for again.
    let look = normalise.filter(|_| known.is_none());
    let keep = look.map(|_| what_to_keep(&stages, shape, &reading, &rows, cut)).transpose()?.flatten();
    let surveyed = look.map(|options| survey_and_keep(ctx, scan, &options, keep.as_ref(), progress)).transpose()?;
    let (surveyed, mut kept) = surveyed.map_or((None, Kept::default()), |(survey, kept)| (Some(survey), kept));
    let fbp = chain.steps.iter().find(|s| is_recon(s.params.info())).map(|s| &s.params);
    let stitch = chain.steps.iter().find(|s| s.params.info().id == STITCH.id).map(|s| &s.params);
    // The first stage that needs the axis tells those after it.
    let first = stitch.or(fbp.filter(|_| !chain.steps.iter().any(|s| s.params.info().id == PROJECT.id)));
    if first.is_some_and(|params| params.text("center_px").is_none()) {
        if info.domain != Domain::Counts {
            let message = "the axis is searched in raw projections only; give center_px";
            return Err(Error::unsupported(first.map_or(FBP.id, |p| p.info().id), message));
        }
        let method = if stitch.is_some() { AxisMethod::Overlap } else { AxisMethod::Auto };
        let options = AxisOptions { method, normalise: normalise.unwrap_or_default(), ..AxisOptions::default() };
        let found = match &surveyed {
            Some(survey) => find_axis_with(ctx, scan, survey, &options, progress)?,
            None => find_axis(ctx, scan, &options, progress)?,
        };
        remarks.push(format!(
            "rotation axis found at {:.2} px ({}, confidence {:.2})",
            found.center.at(shape.rows / 2),
            found.method,
            found.confidence
        ));
        setup.geometry.center = found.center;
    }
    if fbp.is_some_and(|params| params.float("pixel_um").is_none()) && info.pixel_um.is_none() {
        let remark = "pixel size unknown: 1 um taken, so values are in 1/cm only after pixel_um is set";
        remarks.push(format!("recon.fbp: {remark}"));
    }
    let mut black_views = vec![false; shape.views].into();
    if let Some(found) = surveyed {
        black_views = found.black_views;
        setup.edge_over_mean = found.edge_over_mean;
    }
    if let Some(known) = known {
        black_views = known.black_views.clone();
        setup.edge_over_mean = known.edge_over_mean;
        remarks.clone_from(&known.remarks);
    }
    fill_in(&mut chain, &setup)?;
    let Created { stages, rows_before, after } = create(&chain, &setup)?;
    check_axis(&chain, &stages, &setup, &reading, &rows, false)?;
    let output = chain.steps.last().map_or(info.domain, |s| s.factory.info().output);
    let without = cut(&stages, 0)?;
    // What the survey found may make the stages need more memory than was known before it.
    let cut = match cut(&stages, kept.bytes()) {
        Ok(with) if with.is_as_good_as(&without) => with,
        _ => {
            kept = Kept::default();
            without
        }
    };
    let fbp = chain.steps.iter().find(|s| is_recon(s.params.info())).map(|s| &s.params);
    let angle_offset_rad = fbp.and_then(|p| p.float("angle_offset_deg")).unwrap_or(0.0).to_radians();
    let prepared = Prepared { stages, rows_before, black_views, reading, cut, kept };
    let (edge_over_mean, geometry) = (setup.edge_over_mean, after.geometry);
    Ok(Ready { prepared, geometry, angle_offset_rad, output, remarks, edge_over_mean, chain })
}

/// What is known of a scan without reading it.
fn first_setup(ctx: &Context, scan: &Scan) -> Setup {
    let (shape, info) = (scan.shape(), scan.info());
    let geometry = Geometry {
        angles_rad: info.angles_rad.clone(),
        center: Center::Fixed((shape.cols as f64 - 1.0) / 2.0),
        pixel_um: info.pixel_um.unwrap_or(1.0),
    };
    Setup { shape, geometry, edge_over_mean: 0.0, threads: ctx.threads() }
}

/// Slices that the chain makes of the whole scan.
pub(super) fn slices(chain: &Chain, ctx: &Context, scan: &Scan) -> Result<usize> {
    Ok(create(chain, &first_setup(ctx, scan))?.after.shape.rows)
}

/// Stages, and what a stage after the last one would see.
struct Created {
    stages: Vec<Box<dyn Stage>>,
    /// Rows that there are for each of them.
    rows_before: Vec<usize>,
    after: Setup,
}

fn create(chain: &Chain, setup: &Setup) -> Result<Created> {
    let mut created = Created { stages: Vec::new(), rows_before: Vec::new(), after: setup.clone() };
    for step in &chain.steps {
        let stage = step.factory.create(&step.params, &created.after)?;
        created.rows_before.push(created.after.shape.rows);
        created.after = stage.after(&created.after);
        created.stages.push(stage);
    }
    Ok(created)
}

/// Writes what was `auto` and is known now into the chain, so that it can be run again.
fn fill_in(chain: &mut Chain, setup: &Setup) -> Result<()> {
    let mut setup = setup.clone();
    for step in &mut chain.steps {
        let info = step.params.info();
        let is_auto = |params: &Params, name: &str| {
            info.params.iter().any(|p| p.name == name) && *params.get(name) == ParamValue::Auto
        };
        if (is_recon(info) || info.id == STITCH.id) && is_auto(&step.params, "center_px") {
            step.params.set_text("center_px", &setup.geometry.center.to_string())?;
        }
        if (is_recon(info) || [PAGANIN.id, PROJECT.id].contains(&info.id)) && is_auto(&step.params, "pixel_um") {
            step.params.set("pixel_um", ParamValue::Float(setup.geometry.pixel_um))?;
        }
        setup = step.factory.create(&step.params, &setup)?.after(&setup);
    }
    Ok(())
}

/// Refuses an axis that lies beside the detector in any of the rows that the reconstruction will work on, halo included.
fn check_axis(
    chain: &Chain,
    stages: &[Box<dyn Stage>],
    setup: &Setup,
    reading: &Reading,
    rows: &Range<usize>,
    given_only: bool,
) -> Result<()> {
    let Some(k) = chain.steps.iter().position(|s| is_recon(s.params.info())) else { return Ok(()) };
    let Some(center) = chain.steps[k].params.text("center_px").map(str::parse::<Center>).transpose()? else {
        return if given_only { Ok(()) } else { Err(Error::internal(FBP.id, "the axis was not filled in")) };
    };
    let plans = stage_plans(stages, reading, 1)?.stages;
    let here = stages[..k].iter().fold(setup.clone(), |setup, stage| stage.after(&setup)).shape;
    let rows = plan::rows_at(&plans, k, rows.clone());
    center.check(rows.start..rows.end.min(here.rows), here.cols)
}

/// The counts that the survey should keep for the run: as many as leave the cut as good as it is without them.
fn what_to_keep(
    stages: &[Box<dyn Stage>],
    shape: ScanShape,
    reading: &Reading,
    rows: &Range<usize>,
    cut: impl Fn(&[Box<dyn Stage>], u64) -> Result<Cut>,
) -> Result<Option<Keep>> {
    let without = cut(stages, 0)?;
    let (halo, rows) = (without.halo, without.source.input(rows.clone()));
    let rows = rows.start.saturating_sub(halo.below)..(rows.end + halo.above).min(shape.rows);
    for whole_grains in [true, false] {
        let keep = Keep { rows: rows.clone(), whole_grains };
        let kept: usize = keep.ranges(shape, reading.grain).iter().map(Range::len).sum();
        let bytes = (kept * shape.views * shape.cols) as u64 * reading.count_bytes;
        if cut(stages, bytes).is_ok_and(|with| with.is_as_good_as(&without)) {
            return Ok(Some(keep));
        }
    }
    Ok(None)
}

impl Ready {
    /// Runs into `sink` and tells it how it ended.
    pub fn run(
        self,
        ctx: &Context,
        scan: &Scan,
        sink: &mut dyn SliceSink,
        progress: &mut Progress,
    ) -> Result<RunSummary> {
        let cut = self.prepared.cut.clone();
        let done = run::run(ctx, scan, self.prepared, sink, progress)
            .and_then(|done| {
                progress.phase(WRITE);
                sink.finish(&mut || progress.poll()).map(|()| done)
            })
            .map_err(|error| match sink.abandon() {
                Some(remark) => error.with("note", remark),
                None => error,
            })?;
        let mut remarks = self.remarks;
        remarks.extend(done.remarks);
        Ok(RunSummary {
            slices: done.slices,
            found: 0,
            center: self.geometry.center,
            pixel_um: self.geometry.pixel_um,
            range: done.range,
            rows: cut.rows,
            slab_rows: cut.slab_rows,
            remarks,
            times: progress.times(),
            chain: self.chain.without_data().to_string(),
        })
    }
}
