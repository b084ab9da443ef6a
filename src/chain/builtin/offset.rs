//! `offset.stitch`: full turns with the axis near one edge of the detector; and `project`: slices back to sinograms.

use super::whole::WholeStage;
use crate::chain::params::Params;
use crate::chain::stage::{ParamInfo, ParamKind, ParamValue, Run, Setup, Stage, StageFactory, StageInfo, StagePlan};
use crate::error::{Error, Result};
use crate::geometry::{Center, Geometry, uniform_angles};
use crate::preprocess::offset::{Layout, opposite_views, stitch_rows};
use crate::recon::project::Projector;
use crate::scan::ScanShape;
use crate::slab::{Domain, Halo, Slab, SlabShape};
use ndarray::s;
use std::f64::consts::PI;
use std::sync::Arc;

/// `offset.stitch`; the search of its axis is in `chain/axis`.
pub(in crate::chain) static STITCH: StageInfo = StageInfo {
    id: "offset.stitch",
    summary: "Joins opposite views of a full turn with the axis near one edge into views of half a turn, nearly twice as wide",
    input: Domain::Sinogram,
    output: Domain::Sinogram,
    params: &[
        ParamInfo::new("center_px", ParamKind::Text, "px", ParamValue::Auto, "Rotation axis on the detector before stitching: a column, row:px,row:px for a tilted axis, or auto; with rule=ct-rec its integer Rc").or_auto(),
        ParamInfo::int("shift_rows", "px", 0, "Rows by which the sample stands lower in the first half turn than in the second; the volume loses as many").range(-1e6, 1e6),
        ParamInfo::choice("rule", &["exact", "ct-rec"], "exact", "ct-rec: as ofct_srec, whose axis is a pixel off; only to get its numbers"),
    ],
};

/// `project`.
pub(in crate::chain) static PROJECT: StageInfo = StageInfo {
    id: "project",
    summary: "Forward projection: slices back to sinograms, for another reconstruction",
    input: Domain::Volume,
    output: Domain::Sinogram,
    params: &[
        ParamInfo::new(
            "views",
            ParamKind::Int,
            "",
            ParamValue::Auto,
            "Views over half a turn; auto: as many as the slices were made from, else as they have columns",
        )
        .range(1.0, 1e6)
        .or_auto(),
        ParamInfo::new(
            "pixel_um",
            ParamKind::Float,
            "um",
            ParamValue::Auto,
            "Pixel of the slices; auto takes it from their files, or 1 um",
        )
        .range(1e-6, 1e6)
        .or_auto(),
    ],
};

/// All stages of this file.
pub(super) const STAGES: [Offset; 2] = [Offset(&STITCH), Offset(&PROJECT)];

#[derive(Clone, Copy)]
pub(super) struct Offset(&'static StageInfo);

impl StageFactory for Offset {
    fn info(&self) -> &'static StageInfo {
        self.0
    }
    fn create(&self, params: &Params, setup: &Setup) -> Result<Box<dyn Stage>> {
        let stage = if self.0.id == STITCH.id { stitch(params, setup) } else { project(params, setup) };
        Ok(Box::new(stage?))
    }
}

fn stitch(params: &Params, setup: &Setup) -> Result<WholeStage> {
    let ScanShape { rows, cols, .. } = setup.shape;
    let text = params.text("center_px");
    let center = text.map(str::parse).transpose()?.unwrap_or(setup.geometry.center);
    let pairs = opposite_views(&setup.geometry.angles_rad)?;
    let layout = if params.text("rule") == Some("ct-rec") {
        let rc = match center {
            Center::Fixed(rc) if text.is_some() && rc.fract() == 0.0 && rc >= 1.0 => rc as usize,
            _ => {
                let accepted = "rule=ct-rec needs an integer center_px, the Rc of ofct_srec";
                return Err(Error::invalid(STITCH.id, accepted).with("center_px", center));
            }
        };
        Layout::ct_rec(cols, rc)?
    } else {
        Layout::new(cols, [center.at(0), center.at(rows.saturating_sub(1))])?
    };
    let (width, views) = (layout.width(), pairs.len());
    let shift = params.int("shift_rows").unwrap_or(0);
    let lost = shift.unsigned_abs() as usize;
    if lost >= rows {
        let accepted = "shift_rows must leave at least one row of the detector";
        return Err(Error::invalid(STITCH.id, accepted).with("shift_rows", shift).with("rows", rows));
    }
    // The half turn whose rows begin further down.
    let lower: Vec<usize> = pairs.iter().map(|pair| if shift > 0 { pair.first } else { pair.second }).collect();
    let angles_rad: Vec<f64> = pairs.iter().map(|pair| setup.geometry.angles_rad[pair.first]).collect();
    let moved = center.moved(|px| layout.center_px(px), |row| row);
    let plan = move |input: SlabShape| {
        let output = SlabShape { rows: input.rows.saturating_sub(lost), dims: [views, width], ..input };
        let scratch_bytes = super::beside(input, output);
        let halo = Halo { below: 0, above: lost };
        StagePlan { halo, scratch_bytes, cost_per_row: super::cost(output, 4.0), ..StagePlan::new(output) }
    };
    let process = move |mut slab: Slab, run: &mut Run<'_, '_>| {
        let count = slab.data.shape()[0] - lost;
        if lost > 0 {
            // Rows of one half turn move up to those that belong to them.
            for &view in &lower {
                for row in 0..count {
                    let (mut to, from) = slab.data.multi_slice_mut((s![row, view, ..], s![row + lost, view, ..]));
                    to.assign(&from);
                }
            }
        }
        let centers: Vec<f64> = (0..count).map(|i| center.at(slab.detector_row(i, rows))).collect();
        let mut data = run.array([count, views, width]);
        let pool = run.context.pool();
        let used = slab.data.slice(s![..count, .., ..]);
        stitch_rows(pool, used, &pairs, &layout, &centers, data.view_mut(), &mut |f| run.tick(f))?;
        run.recycle(slab.data);
        Ok(Slab { data, halo: Halo { above: slab.halo.above - lost, ..slab.halo }, ..slab })
    };
    let after = move |setup: &Setup| Setup {
        shape: ScanShape { views, rows: rows - lost, cols: width, ..setup.shape },
        geometry: Geometry { angles_rad: angles_rad.clone(), center: moved, ..setup.geometry.clone() },
        // What the survey saw at the edges of the detector was one edge and the middle of the sample.
        edge_over_mean: 0.0,
        ..setup.clone()
    };
    let stage = WholeStage::in_place(&STITCH, 0.0, Box::new(process));
    Ok(WholeStage { plan: Box::new(plan), after: Box::new(after), ..stage })
}

fn project(params: &Params, setup: &Setup) -> Result<WholeStage> {
    let ScanShape { views: height, cols, .. } = setup.shape;
    if height != cols {
        let message = "only square slices, with the rotation axis in the middle, can be projected";
        return Err(Error::unsupported(PROJECT.id, message).with("slice", format!("{cols} x {height}")));
    }
    let known = setup.geometry.angles_rad.len();
    let views = params.int("views").map_or(if known > 0 { known } else { cols }, |n| n as usize);
    let pixel_um = params.float("pixel_um").unwrap_or(setup.geometry.pixel_um);
    let angles_rad = uniform_angles(views, 0.0, PI);
    let center = (cols as f64 - 1.0) / 2.0;
    let projector = Arc::new(Projector::new(&angles_rad, cols, cols, center, pixel_um)?);
    let (planned, threads) = (projector.clone(), setup.threads);
    let plan = move |input: SlabShape| {
        let output = SlabShape { domain: Domain::Sinogram, dims: [views, cols], ..input };
        StagePlan {
            scratch_bytes: planned.scratch_bytes(threads) + super::beside(input, output),
            cost_per_row: 0.3 * (views * cols) as f64 * cols as f64,
            ..StagePlan::new(output)
        }
    };
    let preferred_rows = projector.preferred_rows();
    let process = move |slab: Slab, run: &mut Run<'_, '_>| {
        let mut data = run.array([slab.data.shape()[0], views, cols]);
        projector.project(run.context.pool(), slab.data.view(), data.view_mut(), &mut |f| run.tick(f))?;
        run.recycle(slab.data);
        Ok(Slab { data, domain: Domain::Sinogram, ..slab })
    };
    let after = move |setup: &Setup| Setup {
        shape: ScanShape { views, ..setup.shape },
        geometry: Geometry { angles_rad: angles_rad.clone(), center: Center::Fixed(center), pixel_um },
        edge_over_mean: 0.0,
        ..setup.clone()
    };
    let stage = WholeStage::in_place(&PROJECT, 0.0, Box::new(process));
    Ok(WholeStage { plan: Box::new(plan), after: Box::new(after), preferred_rows, ..stage })
}
