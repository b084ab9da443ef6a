//! From a checked chain and a scan to stages that are ready to run: finds what is `auto`, surveys, plans.

use super::axis::{AxisOptions, find_axis, find_axis_with};
use super::builtin::{FBP, NORMALISE, normalise_options};
use super::look;
use super::manifest::Known;
use super::plan::{self, Cut, Reading};
use super::read::{Kept, count_bytes, reader_threads};
use super::run::{self, Prepared};
use super::stage::{ParamValue, Setup, Stage};
use super::survey::{Keep, survey_and_keep};
use super::{Chain, RunOptions, RunSummary};
use crate::context::Context;
use crate::error::Result;
use crate::geometry::{Center, Geometry};
use crate::io::SliceSink;
use crate::progress::{PREPARE, Progress, WRITE};
use crate::scan::{Scan, ScanShape};
use crate::slab::Domain;
use std::ops::Range;

/// A chain ready for one scan, and what was found on the way.
pub(super) struct Ready {
    pub prepared: Prepared,
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
    let mut remarks = info.notes.clone();
    let mut geometry = Geometry {
        angles_rad: info.angles_rad.clone(),
        center: Center::Fixed((shape.cols as f64 - 1.0) / 2.0),
        pixel_um: info.pixel_um.unwrap_or(1.0),
    };
    let mut angle_offset_rad = 0.0;
    // Cheap refusals come before the survey and the search of the axis, which read files.
    let rows = plan::check_rows(shape, options.rows.clone())?;
    let fbp = chain.steps.iter().find(|s| s.params.info().id == FBP.id);
    let given = fbp.and_then(|s| s.params.text("center_px")).map(str::parse::<Center>).transpose()?;
    if let Some(center) = given {
        center.check(rows.clone(), shape.cols)?;
        geometry.center = center;
    }
    let mut setup = Setup { shape, geometry: geometry.clone(), edge_over_mean: 0.0, threads: ctx.threads() };
    let stages = create(&chain, &setup)?;
    remarks.extend(look::remark(&stages));
    let reading = Reading {
        count_bytes: count_bytes(scan),
        grain: scan.source().grain(),
        kept_bytes: 0,
        threads: reader_threads(ctx),
    };
    let cut = |stages: &[Box<dyn Stage>], kept_bytes: u64| {
        let reading = Reading { kept_bytes, ..reading };
        plan::cut(stages, shape, rows.clone(), options.slab_rows, reading, ctx.memory_bytes())
    };
    let keep = what_to_keep(&stages, shape, &reading, &rows, cut)?;
    let normalise = chain.steps.iter().find(|s| s.params.info().id == NORMALISE.id);
    let normalise = normalise.map(|s| normalise_options(&s.params));
    let keep = keep.as_ref();
    // What a run that is continued knew is not looked for again.
    let look = normalise.filter(|_| known.is_none());
    let surveyed = look.map(|options| survey_and_keep(ctx, scan, &options, keep, progress)).transpose()?;
    let (surveyed, mut kept) = surveyed.map_or((None, Kept::default()), |(survey, kept)| (Some(survey), kept));
    if let Some(fbp) = chain.steps.iter_mut().find(|s| s.params.info().id == FBP.id) {
        let params = &mut fbp.params;
        angle_offset_rad = params.float("angle_offset_deg").unwrap_or(0.0).to_radians();
        match params.float("pixel_um") {
            Some(um) => geometry.pixel_um = um,
            None => {
                if info.pixel_um.is_none() {
                    let remark = "pixel size unknown: 1 um taken, so values are in 1/cm only after pixel_um is set";
                    remarks.push(format!("recon.fbp: {remark}"));
                }
                params.set("pixel_um", ParamValue::Float(geometry.pixel_um))?;
            }
        }
        if given.is_none() {
            let options = AxisOptions { normalise: normalise.unwrap_or_default(), ..AxisOptions::default() };
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
            geometry.center = found.center;
            geometry.center.check(rows.clone(), shape.cols)?;
        }
        params.set_text("center_px", &geometry.center.to_string())?;
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
    setup.geometry = geometry.clone();
    let stages = create(&chain, &setup)?;
    let output = chain.steps.last().map_or(Domain::Counts, |s| s.factory.info().output);
    let without = cut(&stages, 0)?;
    // What the survey found may make the stages need more memory than was known before it.
    let cut = match cut(&stages, kept.bytes()) {
        Ok(with) if with.is_as_good_as(&without) => with,
        _ => {
            kept = Kept::default();
            without
        }
    };
    // Stages with a halo have the rows around reconstructed too.
    let around = cut.rows.start.saturating_sub(cut.halo.below)..(cut.rows.end + cut.halo.above).min(shape.rows);
    geometry.center.check(around, shape.cols)?;
    let prepared = Prepared { stages, black_views, cut, kept };
    let edge_over_mean = setup.edge_over_mean;
    Ok(Ready { prepared, geometry, angle_offset_rad, output, remarks, edge_over_mean, chain })
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
    let halo = without.halo;
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

fn create(chain: &Chain, setup: &Setup) -> Result<Vec<Box<dyn Stage>>> {
    chain.steps.iter().map(|s| s.factory.create(&s.params, setup)).collect()
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
            chain: self.chain.to_string(),
        })
    }
}
