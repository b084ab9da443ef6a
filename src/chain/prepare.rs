//! From a checked chain and a scan to stages that are ready to run: finds what is `auto`, surveys, plans.

use super::axis::{AxisMethod, AxisOptions, find_axis, find_axis_with};
use super::builtin::{
    FBP, N2I, NORMALISE, PAGANIN, PROJECT, STITCH, create_n2i, inside_n2i, is_recon, normalise_options,
};
use super::look;
use super::manifest::Known;
use super::plan::{self, Cut, Reading, stage_plans};
use super::read::{Kept, count_bytes, reader_threads};
use super::run::{self, Prepared};
use super::stage::{ParamValue, Setup, Stage};
use super::survey::{Keep, survey_and_keep, survey_sinograms};
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
    /// Slices that all of the data would give.
    pub slices: usize,
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
    let first = create(&mut chain, &setup, false)?;
    remarks.extend(look::remark(&first.stages));
    let rows = plan::check_rows(first.after.shape.rows, options.rows.clone())?;
    let reading = Reading {
        shape,
        domain: info.domain,
        count_bytes: count_bytes(scan),
        grain: scan.source().grain(),
        decoding_bytes: scan.source().decoding_bytes(),
        kept_bytes: 0,
        threads: reader_threads(ctx),
    };
    check_axis(&chain, &first, &reading, &rows)?;
    let cut = |stages: &[Box<dyn Stage>], kept_bytes: u64| {
        let reading = Reading { kept_bytes, ..reading };
        plan::cut(stages, rows.clone(), options.slab_rows, reading, ctx.memory_bytes())
    };
    let normalise = chain.steps.iter().find(|s| s.params.info().id == NORMALISE.id);
    let normalise = normalise.map(|s| normalise_options(&s.params));
    // What a run that is continued knew is not looked for again.
    let look = normalise.filter(|_| known.is_none());
    let keep = look.map(|_| what_to_keep(&first.stages, shape, &reading, &rows, cut)).transpose()?.flatten();
    let surveyed = look.map(|options| survey_and_keep(ctx, scan, &options, keep.as_ref(), progress)).transpose()?;
    let (surveyed, mut kept) = surveyed.map_or((None, Kept::default()), |(survey, kept)| (Some(survey), kept));
    // Sinograms tell the axis and whether the sample is wider than the detector as well; only a reconstruction asks.
    let asks = info.domain == Domain::Sinogram && chain.steps.iter().any(|s| is_recon(s.params.info()));
    let surveyed = match surveyed {
        None if asks && known.is_none() => Some(survey_sinograms(ctx, scan, progress)?),
        found => found,
    };
    let fbp = chain.steps.iter().find(|s| is_recon(s.params.info())).map(|s| &s.params);
    let stitch = chain.steps.iter().find(|s| s.params.info().id == STITCH.id).map(|s| &s.params);
    // The first stage that needs the axis tells those after it.
    let asking = stitch.or(fbp.filter(|_| !chain.steps.iter().any(|s| s.params.info().id == PROJECT.id)));
    if asking.is_some_and(|params| params.text("center_px").is_none()) {
        if info.domain == Domain::Volume {
            let message = "finished slices do not show the rotation axis; give center_px";
            return Err(Error::unsupported(asking.map_or(FBP.id, |p| p.info().id), message));
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
    let created = create(&mut chain, &setup, true)?;
    check_axis(&chain, &created, &reading, &rows)?;
    let Created { stages, before, after } = created;
    let rows_before = before.iter().map(|shape| shape.rows).collect();
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
    let (edge_over_mean, slices, geometry) = (setup.edge_over_mean, after.shape.rows, after.geometry);
    Ok(Ready { prepared, geometry, angle_offset_rad, slices, remarks, edge_over_mean, chain })
}

/// What is known of a scan without reading it.
fn first_setup(ctx: &Context, scan: &Scan) -> Setup {
    let (shape, info) = (scan.shape(), scan.info());
    let middle = Center::Fixed((shape.cols as f64 - 1.0) / 2.0);
    let geometry = Geometry {
        angles_rad: info.angles_rad.clone(),
        center: info.made.as_ref().map_or(middle, |made| made.center),
        pixel_um: info.pixel_um.unwrap_or(1.0),
    };
    Setup { shape, geometry, edge_over_mean: 0.0, threads: ctx.threads() }
}

/// Slices that the chain makes of the whole scan.
pub(super) fn slices(chain: &Chain, ctx: &Context, scan: &Scan) -> Result<usize> {
    Ok(create(&mut chain.clone(), &first_setup(ctx, scan), false)?.after.shape.rows)
}

/// Stages, and what each of them and a stage after the last one would see.
struct Created {
    stages: Vec<Box<dyn Stage>>,
    before: Vec<ScanShape>,
    after: Setup,
}

/// Makes the stages. With `fill_in`, what was `auto` and is known now is written into the chain, so that it can be run again.
fn create(chain: &mut Chain, setup: &Setup, fill_in: bool) -> Result<Created> {
    let mut created = Created { stages: Vec::new(), before: Vec::new(), after: setup.clone() };
    let inside = inside_n2i(&chain.steps).unwrap_or(0..0);
    for k in (0..chain.steps.len()).filter(|k| !inside.contains(k)) {
        let (earlier, rest) = chain.steps.split_at_mut(k);
        let step = &mut rest[0];
        // What runs inside of the stage for each subset of the views changes axis and pixel size as for all views.
        let mut seen = created.after.clone();
        let own = if step.params.info().id == N2I.id { &mut earlier[inside.clone()] } else { &mut [] };
        for step in own.iter_mut() {
            if fill_in {
                fill(&mut step.params, &seen)?;
            }
            seen = step.factory.create(&step.params, &seen)?.after(&seen);
        }
        if fill_in {
            fill(&mut step.params, &seen)?;
        }
        let stage = match step.params.info().id == N2I.id {
            true => create_n2i(&step.params, own, &created.after)?,
            false => step.factory.create(&step.params, &created.after)?,
        };
        created.before.push(created.after.shape);
        created.after = stage.after(&created.after);
        created.stages.push(stage);
    }
    Ok(created)
}

fn fill(params: &mut Params, setup: &Setup) -> Result<()> {
    let info = params.info();
    let is_auto = |params: &Params, name: &str| {
        info.params.iter().any(|p| p.name == name) && *params.get(name) == ParamValue::Auto
    };
    if (is_recon(info) || info.id == STITCH.id) && is_auto(params, "center_px") {
        params.set_text("center_px", &setup.geometry.center.to_string())?;
    }
    if info.id == N2I.id
        && let Some(model) = params.text("model").map(std::path::PathBuf::from)
        && let Ok(absolute) = std::path::absolute(&model)
    {
        // The chain that is written beside the slices can be run from anywhere.
        params.set_text("model", &absolute.to_string_lossy())?;
    }
    if (is_recon(info) || [PAGANIN.id, PROJECT.id].contains(&info.id)) && is_auto(params, "pixel_um") {
        params.set("pixel_um", ParamValue::Float(setup.geometry.pixel_um))?;
    }
    Ok(())
}

/// Refuses an axis that lies beside the detector in any of the rows that the reconstruction will work on, halo included. One
/// that is not known yet is not looked at.
fn check_axis(chain: &Chain, created: &Created, reading: &Reading, rows: &Range<usize>) -> Result<()> {
    let Some(step) = chain.steps.iter().find(|s| is_recon(s.params.info())) else { return Ok(()) };
    let Some(center) = step.params.text("center_px") else { return Ok(()) };
    // What runs inside of recon.n2i may cut rows and columns off; the axis counts behind that.
    let Some(k) = created.stages.iter().position(|stage| is_recon(stage.info())) else { return Ok(()) };
    if inside_n2i(&chain.steps).is_some_and(|inside| !inside.is_empty()) {
        return Ok(());
    }
    let plans = stage_plans(&created.stages, reading, 1)?.stages;
    let (here, rows) = (created.before[k], plan::rows_at(&plans, k, rows.clone()));
    center.parse::<Center>()?.check(rows.start..rows.end.min(here.rows), here.cols)
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
    let end = (rows.end + halo.above).min(shape.rows);
    let rows = rows.start.saturating_sub(halo.below).min(end)..end;
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
