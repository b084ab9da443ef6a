//! `proj.*` and `counts.*` that work on whole slabs: spikes, air, phase, bad pixels.

use super::whole::WholeStage;
use crate::chain::params::Params;
use crate::chain::stage::{ParamInfo, ParamKind, ParamValue, Run, Setup, Stage, StageFactory, StageInfo, StagePlan};
use crate::error::{Error, Result};
use crate::preprocess::phase::{Phase, PhaseOptions};
use crate::preprocess::spikes::{Spike, SpikeOptions, remove_spikes};
use crate::preprocess::{air, pixels};
use crate::slab::{Domain, Halo, Slab, SlabShape};
use ndarray::Axis;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

static PIXELS: StageInfo = StageInfo {
    id: "counts.repair",
    summary: "Finds detector pixels that answer otherwise than their neighbours in dark and direct beam, and fills them in",
    input: Domain::Counts,
    output: Domain::Counts,
    params: &[ParamInfo::float(
        "factor",
        "",
        2.0,
        "A pixel is bad if its direct beam differs from its neighbours' by more than this factor",
    )
    .range(1.01, 1000.0)],
};

static SPIKES: StageInfo = StageInfo {
    id: "proj.spikes",
    summary: "Removes spikes (zingers): pixels hit by stray radiation in single views",
    input: Domain::Sinogram,
    output: Domain::Sinogram,
    params: &[
        ParamInfo::float(
            "threshold",
            "",
            0.3,
            "Absorbance below the median of the neighbouring views that makes a spike",
        )
        .range(1e-6, 100.0),
        ParamInfo::int("window_views", "", 5, "Views in the median, odd; spikes may last for less than half of them")
            .range(3.0, 15.0),
        ParamInfo::choice(
            "kind",
            &["bright", "dark", "both"],
            "bright",
            "bright: more counts than expected; dark: fewer; both",
        ),
    ],
};

static AIR: StageInfo = StageInfo {
    id: "proj.air",
    summary: "Subtracts a straight line through the air on both sides of the sample from each view",
    input: Domain::Sinogram,
    output: Domain::Sinogram,
    params: &[
        ParamInfo::int("left_px", "px", 10, "Columns at the left that the sample never reaches; 0: none")
            .range(0.0, 1e6),
        ParamInfo::int("right_px", "px", 10, "Columns at the right that the sample never reaches; 0: none")
            .range(0.0, 1e6),
    ],
};

/// `proj.paganin`.
pub(in crate::chain) static PAGANIN: StageInfo = StageInfo {
    id: "proj.paganin",
    summary: "Phase retrieval from one distance for a sample of one material (Paganin 2002)",
    input: Domain::Sinogram,
    output: Domain::Sinogram,
    params: &[
        ParamInfo::float("energy_kev", "keV", 25.0, "Energy of the X-rays").range(0.1, 1e4),
        ParamInfo::float("distance_mm", "mm", 100.0, "From the sample to the detector").range(1e-3, 1e6),
        ParamInfo::float(
            "delta_beta",
            "",
            100.0,
            "Delta over beta of the material: how much stronger it refracts than it absorbs",
        )
        .range(1e-3, 1e6),
        ParamInfo::new(
            "pixel_um",
            ParamKind::Float,
            "um",
            ParamValue::Auto,
            "Detector pixel at the sample; auto takes it from the scan",
        )
        .range(1e-6, 1e6)
        .or_auto(),
        ParamInfo::float(
            "tolerance",
            "",
            PhaseOptions::DEFAULT_TOLERANCE,
            "Part of the difference to far rows that may be missing; smaller looks at more rows",
        )
        .range(1e-9, 0.1),
    ],
};

/// All stages of this file.
pub(super) const STAGES: [Repair; 4] = [Repair(&PIXELS), Repair(&SPIKES), Repair(&AIR), Repair(&PAGANIN)];

#[derive(Clone, Copy)]
pub(super) struct Repair(&'static StageInfo);

impl StageFactory for Repair {
    fn info(&self) -> &'static StageInfo {
        self.0
    }
    fn create(&self, params: &Params, setup: &Setup) -> Result<Box<dyn Stage>> {
        Ok(Box::new(match self.0.id {
            "counts.repair" => pixels_stage(params),
            "proj.spikes" => spikes_stage(params, setup)?,
            "proj.air" => air_stage(params, setup)?,
            _ => phase_stage(params, setup)?,
        }))
    }
}

fn pixels_stage(params: &Params) -> WholeStage {
    let factor = params.float("factor").unwrap_or(2.0);
    let found = Arc::new(AtomicU64::new(0));
    let told = found.clone();
    let process = move |mut slab: Slab, run: &mut Run<'_, '_>| {
        let references = slab.references.take();
        let references = references.ok_or_else(|| Error::internal(PIXELS.id, "the slab carries no dark and flats"))?;
        let mut references = Arc::unwrap_or_clone(references);
        let bad = pixels::find_bad(&references, factor)?;
        let own = bad.axis_iter(Axis(0)).skip(slab.halo.below).take(slab.own_rows().len());
        found.fetch_add(own.map(|row| row.iter().filter(|b| **b).count() as u64).sum(), Ordering::Relaxed);
        let pool = run.context.pool();
        pixels::repair(pool, slab.data.view_mut(), bad.view())?;
        pixels::repair_references(pool, &mut references, bad.view())?;
        run.tick(1.0)?;
        Ok(Slab { references: Some(Arc::new(references)), ..slab })
    };
    let remarks = move || match told.load(Ordering::Relaxed) {
        0 => Vec::new(),
        n => vec![format!("counts.repair: {n} detector pixels filled in")],
    };
    WholeStage { remarks: Box::new(remarks), ..WholeStage::in_place(&PIXELS, 1.0, Box::new(process)) }
}

fn spikes_stage(params: &Params, setup: &Setup) -> Result<WholeStage> {
    let options = SpikeOptions {
        threshold: params.float("threshold").unwrap_or(0.3) as f32,
        // More counts are less absorbance.
        spike: match params.text("kind") {
            Some("dark") => Spike::High,
            Some("both") => Spike::Both,
            _ => Spike::Low,
        },
        window_views: params.int("window_views").unwrap_or(5) as usize,
    };
    options.check()?;
    let rows = setup.shape.rows;
    let found = Arc::new(AtomicU64::new(0));
    let told = found.clone();
    let process = move |mut slab: Slab, run: &mut Run<'_, '_>| {
        let numbers: Vec<usize> = (0..slab.data.shape()[0]).map(|i| slab.detector_row(i, rows)).collect();
        let own = slab.halo.below..slab.data.shape()[0] - slab.halo.above;
        let pool = run.context.pool();
        // Rows of the halo are counted by their own slab.
        let parts = [0..own.start, own.clone(), own.end..numbers.len()];
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            let (first, all) = (part.start as f64, numbers.len() as f64);
            let (numbers, share) = (&numbers[part.clone()], part.len() as f64 / all);
            let data = slab.data.slice_axis_mut(Axis(0), ndarray::Slice::from(part.clone()));
            let tick = &mut |fraction: f64| run.tick(first / all + share * fraction);
            let spikes = remove_spikes(pool, data, &options, |i| numbers[i], tick)?;
            if part == own {
                found.fetch_add(spikes, Ordering::Relaxed);
            }
        }
        Ok(slab)
    };
    let remarks = move || match told.load(Ordering::Relaxed) {
        0 => Vec::new(),
        n => vec![format!("proj.spikes: {n} values replaced")],
    };
    Ok(WholeStage { remarks: Box::new(remarks), ..WholeStage::in_place(&SPIKES, 8.0, Box::new(process)) })
}

fn air_stage(params: &Params, setup: &Setup) -> Result<WholeStage> {
    let margin = |name| params.int(name).unwrap_or(0) as usize;
    let (left, right, cols) = (margin("left_px"), margin("right_px"), setup.shape.cols);
    if left + right == 0 || left + right > cols {
        let accepted = format!("expected margins of 1 to {cols} columns in all");
        return Err(Error::invalid(AIR.id, accepted).with("left_px", left).with("right_px", right));
    }
    let process = move |mut slab: Slab, run: &mut Run<'_, '_>| {
        air::air_baseline(run.context.pool(), slab.data.view_mut(), left, right)?;
        run.tick(1.0)?;
        Ok(slab)
    };
    Ok(WholeStage::in_place(&AIR, 2.0, Box::new(process)))
}

fn phase_stage(params: &Params, setup: &Setup) -> Result<WholeStage> {
    let float = |name| params.float(name).unwrap_or(0.0);
    let options = PhaseOptions {
        energy_kev: float("energy_kev"),
        distance_mm: float("distance_mm"),
        pixel_um: params.float("pixel_um").unwrap_or(setup.geometry.pixel_um),
        delta_beta: float("delta_beta"),
        tolerance: params.float("tolerance").unwrap_or(PhaseOptions::DEFAULT_TOLERANCE),
    };
    let phase = Arc::new(Phase::new(&options, setup.shape.cols)?);
    let (planned, threads) = (phase.clone(), setup.threads);
    let need = Halo { below: phase.halo_rows(), above: phase.halo_rows() };
    let plan = move |input: SlabShape| {
        let rows = input.rows.saturating_sub(need.below + need.above);
        StagePlan {
            halo: need,
            scratch_bytes: planned.scratch_bytes(rows, threads.min(input.dims[0].div_ceil(2))),
            // Rows around are transformed for each slab; that of high slabs is counted.
            cost_per_row: super::cost(input, 60.0),
            ..StagePlan::new(SlabShape { rows, ..input })
        }
    };
    let process = move |slab: Slab, run: &mut Run<'_, '_>| {
        let [all, views, cols] = slab.data.dim().into();
        let mut data = run.array([all - need.below - need.above, views, cols]);
        let halo = Halo { below: slab.halo.below - need.below, above: slab.halo.above - need.above };
        let first_row = slab.first_row as isize - halo.below as isize;
        let pool = run.context.pool();
        phase.retrieve(pool, slab.data.view(), (first_row, need), data.view_mut(), &mut |f| run.tick(f))?;
        run.recycle(slab.data);
        Ok(Slab { data, halo, ..slab })
    };
    // Many rows share one halo.
    let stage = WholeStage::in_place(&PAGANIN, 0.0, Box::new(process));
    Ok(WholeStage { plan: Box::new(plan), preferred_rows: 32, ..stage })
}
